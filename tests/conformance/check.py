"""Drives the simulator with boto3 and the aws command line tool, and compares every answer with what
was asked. Every answer is checked against botocore's model of the service: a member that the model does
not have, a required one that is missing and a value of a wrong type are failures."""

import json
import os
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone

import boto3
from botocore.exceptions import ClientError

SOURCE, DEST = "123456789012", "987654321098"
EBS = "arn:aws:ec2:us-east-1::snapshot/snap-0123456789abcdef0"
EFS = "arn:aws:backup:us-east-1:123456789012:recovery-point:1EB3B5E7-9EB0-435A-A80B-108B488B0D45"
ROLE = f"arn:aws:iam::{SOURCE}:role/service-role/AWSBackupDefaultServiceRole"
checks = 0


def equal(what, found, wanted):
    global checks
    checks += 1
    if found != wanted:
        sys.exit(f"FAILED {what}: found {found!r}, wanted {wanted!r}")


def true(what, found):
    equal(what, bool(found), True)


def against_model(shape, value, path):
    """The value has the shape's type, all the way down."""
    kind = shape.type_name
    types = {
        "structure": dict, "list": list, "map": dict, "string": str, "integer": int, "long": int,
        "boolean": bool, "timestamp": datetime,
    }
    equal(f"type of {path} ({type(value).__name__})", isinstance(value, types[kind]), True)
    if kind == "structure":
        for name, member in value.items():
            true(f"{path}.{name} is in the model", name in shape.members)
            against_model(shape.members[name], member, f"{path}.{name}")
    elif kind == "list":
        for index, member in enumerate(value):
            against_model(shape.member, member, f"{path}[{index}]")
    elif kind == "string" and shape.enum:
        true(f"{path}={value} is in the enumeration", value in shape.enum)


def raw_members(shape, body, path):
    """No member on the wire is unknown to the model: a parser would drop it in silence."""
    names = {s.serialization.get("name", n): (n, s) for n, s in shape.members.items()}
    for name, value in body.items():
        true(f"{path}.{name} on the wire is in the model", name in names)
        member = names[name][1]
        if member.type_name == "structure":
            raw_members(member, value, f"{path}.{name}")
        elif member.type_name == "list" and member.member.type_name == "structure":
            for each in value:
                raw_members(member.member, each, f"{path}.{name}[]")


def strict(client):
    """Checks every answer of the client."""

    def check(parsed, model, http_response, **_):
        if http_response.status_code >= 300 or model.output_shape is None:
            return
        answer = {k: v for k, v in parsed.items() if k != "ResponseMetadata"}
        against_model(model.output_shape, answer, model.name)
        true(f"{model.name} has a request id", parsed["ResponseMetadata"].get("RequestId"))
        if client.meta.service_model.service_name == "backup" and http_response.content:
            raw_members(model.output_shape, json.loads(http_response.content), model.name)

    client.meta.events.register("after-call.*.*", check)
    return client


def code(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return "no error", 200


def identities():
    sts = strict(boto3.Session(profile_name="source").client("sts"))
    equal("source account", sts.get_caller_identity()["Account"], SOURCE)
    role = f"arn:aws:iam::{DEST}:role/Migration"
    assumed = sts.assume_role(RoleArn=role, RoleSessionName="conformance")
    equal("assumed", assumed["AssumedRoleUser"]["Arn"], f"arn:aws:sts::{DEST}:assumed-role/Migration/conformance")
    dest = strict(boto3.Session(profile_name="destination").client("sts"))
    equal("destination account", dest.get_caller_identity()["Account"], DEST)
    foreign = "arn:aws:iam::111111111111:role/x"
    equal("foreign role", code(sts.assume_role, RoleArn=foreign, RoleSessionName="xx")[1], 403)
    stranger = boto3.client("backup", aws_access_key_id="AKIANOBODY", aws_secret_access_key="x")
    equal("stranger", code(stranger.list_backup_vaults), ("UnrecognizedClientException", 403))


def vaults(source, dest):
    names = [v["BackupVaultName"] for v in source.list_backup_vaults()["BackupVaultList"]]
    equal("vaults", names, ["generated", "seeded"])
    pages = source.get_paginator("list_backup_vaults").paginate(PaginationConfig={"PageSize": 1})
    equal("paged vaults", [v["BackupVaultName"] for p in pages for v in p["BackupVaultList"]], names)
    vault = source.describe_backup_vault(BackupVaultName="seeded")
    equal("vault ARN", vault["BackupVaultArn"], f"arn:aws:backup:us-east-1:{SOURCE}:backup-vault:seeded")
    equal("lock", (vault["Locked"], vault["MinRetentionDays"], vault["MaxRetentionDays"]), (True, 7, 3650))
    equal("points", vault["NumberOfRecoveryPoints"], 2)
    equal("no vault", code(dest.describe_backup_vault, BackupVaultName="copies")[0], "ResourceNotFoundException")
    made = dest.create_backup_vault(BackupVaultName="copies", EncryptionKeyArn="arn:aws:kms:us-east-1:987654321098:key/1")
    equal("made", made["BackupVaultArn"], f"arn:aws:backup:us-east-1:{DEST}:backup-vault:copies")
    equal("again", code(dest.create_backup_vault, BackupVaultName="copies")[0], "AlreadyExistsException")
    equal("no policy", code(dest.get_backup_vault_access_policy, BackupVaultName="copies")[0], "ResourceNotFoundException")
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{SOURCE}:root"},
                 "Action": "backup:CopyIntoBackupVault", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    dest.put_backup_vault_access_policy(BackupVaultName="copies", Policy=policy)
    equal("policy", dest.get_backup_vault_access_policy(BackupVaultName="copies")["Policy"], policy)
    return made["BackupVaultArn"]


def points(source):
    listed = source.list_recovery_points_by_backup_vault(BackupVaultName="seeded")["RecoveryPoints"]
    equal("seeded points", [p["RecoveryPointArn"] for p in listed], [EBS, EFS])
    ebs = listed[0]
    created = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc)
    equal("creation date", ebs["CreationDate"], created)
    equal("size", ebs["BackupSizeInBytes"], 1073741824)
    equal("lifecycle", ebs["Lifecycle"], {"MoveToColdStorageAfterDays": 9000, "DeleteAfterDays": 9999})
    equal("due", ebs["CalculatedLifecycle"]["DeleteAt"], created + timedelta(days=9999))
    described = source.describe_recovery_point(BackupVaultName="seeded", RecoveryPointArn=EBS)
    equal("described", {k: described[k] for k in ("ResourceArn", "ResourceType", "Status")},
          {k: ebs[k] for k in ("ResourceArn", "ResourceType", "Status")})
    equal("storage class", described["StorageClass"], "WARM")
    pager = source.get_paginator("list_recovery_points_by_backup_vault")

    def every(size=1000, **filters):
        pages = pager.paginate(BackupVaultName="generated", PaginationConfig={"PageSize": size}, **filters)
        return [p for page in pages for p in page["RecoveryPoints"]]

    everything = every()
    equal("generated points", len({p["RecoveryPointArn"] for p in everything}), 2500)
    equal("in small pages", [p["RecoveryPointArn"] for p in every(300)], [p["RecoveryPointArn"] for p in everything])
    of_type = [p["RecoveryPointArn"] for p in everything if p["ResourceType"] == "S3"]
    equal("by type", [p["RecoveryPointArn"] for p in every(ByResourceType="S3")], of_type)
    middle = datetime.now(timezone.utc) - timedelta(days=100)
    newer = [p["RecoveryPointArn"] for p in everything if p["CreationDate"] > middle]
    equal("by date", [p["RecoveryPointArn"] for p in every(ByCreatedAfter=middle)], newer)
    true("dates vary", 0 < len(newer) < 2500)
    one = everything[0]["ResourceArn"]
    of_one = [p["RecoveryPointArn"] for p in everything if p["ResourceArn"] == one]
    equal("by resource", [p["RecoveryPointArn"] for p in every(ByResourceArn=one)], of_one)
    bad = {"BackupVaultName": "generated", "NextToken": "nonsense"}
    equal("bad token", code(source.list_recovery_points_by_backup_vault, **bad)[0], "InvalidParameterValueException")


def keys():
    own = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    kms = strict(boto3.Session(profile_name="source").client("kms"))

    def described(key):
        found = kms.describe_key(KeyId=key)["KeyMetadata"]
        return found["Arn"], found["KeyManager"], found["KeyState"]

    equal("own key", described(own), (own, "CUSTOMER", "Enabled"))
    equal("own key by id", described(own.split("/")[1]), (own, "CUSTOMER", "Enabled"))
    of_aws = own.replace("11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000")
    for name in (of_aws, "alias/aws/ebs", own.split(":key/")[0] + ":alias/aws/ebs"):
        equal(f"key of AWS as {name}", described(name), (of_aws, "AWS", "Enabled"))
    equal("no key", code(kms.describe_key, KeyId="nonsense"), ("NotFoundException", 400))
    elsewhere = own.replace("us-east-1", "eu-west-1")
    equal("key of another Region", code(kms.describe_key, KeyId=elsewhere), ("NotFoundException", 400))
    other = boto3.Session(profile_name="destination").client("kms")
    equal("key of another account", code(other.describe_key, KeyId=own), ("AccessDeniedException", 400))
    stranger = boto3.client("kms", aws_access_key_id="AKIANOBODY", aws_secret_access_key="x")
    equal("stranger at KMS", code(stranger.describe_key, KeyId=own)[0], "UnrecognizedClientException")


def settings(source):
    equal("opted in", source.describe_global_settings()["GlobalSettings"], {"isCrossAccountBackupEnabled": "true"})
    region = source.describe_region_settings()
    equal("EBS", (region["ResourceTypeOptInPreference"]["EBS"], region["ResourceTypeManagementPreference"].get("EBS")), (True, None))
    equal("EFS", region["ResourceTypeManagementPreference"]["EFS"], True)


def roles():
    iam = strict(boto3.Session(profile_name="source").client("iam"))
    role = iam.get_role(RoleName="AWSBackupDefaultServiceRole")["Role"]
    equal("role", role["Arn"], ROLE)
    equal("trusts", role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"], {"Service": "backup.amazonaws.com"})
    ask = dict(PolicySourceArn=f"arn:aws:iam::{SOURCE}:user/operator", ActionNames=["iam:PassRole"], ResourceArns=[ROLE])
    results = iam.simulate_principal_policy(**ask)["EvaluationResults"]
    equal("may pass", [(r["EvalResourceName"], r["EvalDecision"]) for r in results], [(ROLE, "allowed")])
    odd = "arn:aws:s3:::a<b>&'c\""
    results = iam.simulate_principal_policy(**{**ask, "ResourceArns": [odd]})["EvaluationResults"]
    equal("characters of XML", results[0]["EvalResourceName"], odd)
    nobody = f"arn:aws:iam::{SOURCE}:nobody/<&>"
    equal("and in errors", code(iam.simulate_principal_policy, **{**ask, "PolicySourceArn": nobody}), ("InvalidInput", 400))
    short = f"arn:aws:iam::{SOURCE}:role/AWSBackupDefaultServiceRole"
    equal("without its path", code(iam.simulate_principal_policy, **{**ask, "PolicySourceArn": short}), ("NoSuchEntity", 404))
    session = f"arn:aws:sts::{SOURCE}:assumed-role/x/y"
    equal("of a session", code(iam.simulate_principal_policy, **{**ask, "PolicySourceArn": session}), ("InvalidInput", 400))


def wait(source, job):
    for _ in range(200):
        found = source.describe_copy_job(CopyJobId=job)["CopyJob"]
        if found["State"] in ("COMPLETED", "FAILED", "PARTIAL"):
            return found
        time.sleep(0.05)
    sys.exit("FAILED a copy job did not end")


def jobs(source, dest, vault_arn):
    start = dict(RecoveryPointArn=EBS, SourceBackupVaultName="seeded", DestinationBackupVaultArn=vault_arn,
                 IamRoleArn=ROLE, IdempotencyToken="token-1", Lifecycle={"DeleteAfterDays": 9999})
    first = source.start_copy_job(**start)
    equal("not a composite", first["IsParent"], False)
    equal("replayed", source.start_copy_job(**start)["CopyJobId"], first["CopyJobId"])
    equal("unknown point", code(source.start_copy_job, **{**start, "RecoveryPointArn": "arn:aws:x:::y", "IdempotencyToken": "2"})[0],
          "ResourceNotFoundException")
    equal("wrong role", code(source.start_copy_job, **{**start, "IamRoleArn": "nonsense", "IdempotencyToken": "3"})[0],
          "InvalidParameterValueException")
    job = wait(source, first["CopyJobId"])
    equal("state", job["State"], "COMPLETED")
    equal("source", (job["SourceRecoveryPointArn"], job["DestinationBackupVaultArn"]), (EBS, vault_arn))
    copy = dest.describe_recovery_point(BackupVaultName="copies", RecoveryPointArn=job["DestinationRecoveryPointArn"])
    original = source.describe_recovery_point(BackupVaultName="seeded", RecoveryPointArn=EBS)
    for member in ("CreationDate", "ResourceArn", "ResourceType", "BackupSizeInBytes"):
        equal(f"kept {member}", copy[member], original[member])
    true("an ARN of its own", copy["RecoveryPointArn"].startswith("arn:aws:ec2:us-east-1::snapshot/snap-"))
    true("and another one", copy["RecoveryPointArn"] != EBS)
    equal("from", copy["SourceBackupVaultArn"], f"arn:aws:backup:us-east-1:{SOURCE}:backup-vault:seeded")
    equal("retention", copy["Lifecycle"], {"DeleteAfterDays": 9999})
    short = source.start_copy_job(**{**start, "RecoveryPointArn": EFS, "IdempotencyToken": "4", "Lifecycle": {"DeleteAfterDays": 35}})
    wait(source, short["CopyJobId"])

    def listed(**filters):
        return [j["CopyJobId"] for j in source.list_copy_jobs(**filters)["CopyJobs"]]

    both = [first["CopyJobId"], short["CopyJobId"]]
    soon, past = datetime.now(timezone.utc) + timedelta(hours=1), datetime.now(timezone.utc) - timedelta(hours=1)
    for filters, wanted in [
        ({}, both),
        ({"ByState": "COMPLETED"}, both),
        ({"ByState": "RUNNING"}, []),
        ({"BySourceRecoveryPointArn": EBS}, both[:1]),
        ({"ByResourceType": "EFS"}, both[1:]),
        ({"ByResourceArn": original["ResourceArn"]}, both[:1]),
        ({"ByDestinationVaultArn": vault_arn}, both),
        ({"ByDestinationVaultArn": vault_arn + "x"}, []),
        ({"ByCreatedAfter": past}, both),
        ({"ByCreatedAfter": soon}, []),
        ({"ByCreatedBefore": past}, []),
        ({"ByCompleteAfter": past}, both),
        ({"ByCompleteBefore": past}, []),
        ({"ByAccountId": SOURCE}, both),
    ]:
        equal(f"jobs by {filters}", listed(**filters), wanted)
    equal("jobs of another account", dest.list_copy_jobs()["CopyJobs"], [])
    equal("unknown job", code(source.describe_copy_job, CopyJobId="nonsense")[0], "ResourceNotFoundException")
    dest.delete_recovery_point(BackupVaultName="copies", RecoveryPointArn=copy["RecoveryPointArn"])
    left = dest.list_recovery_points_by_backup_vault(BackupVaultName="copies")["RecoveryPoints"]
    equal("deleted", len(left), 1)


def aws(*arguments):
    found = subprocess.run(["aws", *arguments, "--output", "json"],
                           capture_output=True, text=True, check=False)
    equal(f"aws {' '.join(arguments)}: {found.stderr}", found.returncode, 0)
    return json.loads(found.stdout) if found.stdout.strip() else None


def command_line_tool(vault_arn):
    equal("aws sts", aws("sts", "get-caller-identity", "--profile", "destination")["Account"], DEST)
    listed = aws("backup", "list-recovery-points-by-backup-vault", "--backup-vault-name", "generated", "--page-size", "500")
    equal("aws list", len(listed["RecoveryPoints"]), 2500)
    point = next(p for p in listed["RecoveryPoints"] if p["ResourceType"] == "EFS")
    started = aws("backup", "start-copy-job", "--recovery-point-arn", point["RecoveryPointArn"], "--source-backup-vault-name",
                  "generated", "--destination-backup-vault-arn", vault_arn, "--iam-role-arn", ROLE)
    job = aws("backup", "describe-copy-job", "--copy-job-id", started["CopyJobId"])["CopyJob"]
    equal("aws describe", job["SourceRecoveryPointArn"], point["RecoveryPointArn"])
    jobs = aws("backup", "list-copy-jobs", "--by-source-recovery-point-arn", point["RecoveryPointArn"])["CopyJobs"]
    equal("aws jobs", [j["CopyJobId"] for j in jobs], [started["CopyJobId"]])


def main():
    true("the simulator's environment", os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://127.0.0.1:"))
    source = strict(boto3.Session(profile_name="source").client("backup"))
    dest = strict(boto3.Session(profile_name="destination").client("backup"))
    identities()
    vault_arn = vaults(source, dest)
    points(source)
    keys()
    settings(source)
    roles()
    jobs(source, dest, vault_arn)
    command_line_tool(vault_arn)
    equal("aws iam", aws("iam", "get-role", "--role-name", "AWSBackupDefaultServiceRole")["Role"]["Arn"], ROLE)
    equal("aws kms", aws("kms", "describe-key", "--key-id", "alias/aws/ebs")["KeyMetadata"]["KeyManager"], "AWS")
    print(f"conformance: {checks} checks passed (boto3 {boto3.__version__})")


main()
