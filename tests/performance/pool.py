"""pool.py copy WIDTH | pool.py list: the vault v1 by boto3.

Copying is a pool of threads, each of which starts a copy job and looks at it each second until it has ended. Listing is
a paginator that prints a JSON object for each point.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

DESTINATION = "arn:aws:backup:us-east-1:987654321098:backup-vault:v1"
ROLE = "arn:aws:iam::123456789012:role/service-role/AWSBackupDefaultServiceRole"


def points(client):
    paginator = client.get_paginator("list_recovery_points_by_backup_vault")
    for page in paginator.paginate(BackupVaultName="v1", PaginationConfig={"PageSize": 1000}):
        yield from page["RecoveryPoints"]


def copy_one(client, arn):
    job = client.start_copy_job(
        RecoveryPointArn=arn,
        SourceBackupVaultName="v1",
        DestinationBackupVaultArn=DESTINATION,
        IamRoleArn=ROLE,
    )["CopyJobId"]
    while True:
        time.sleep(1)
        state = client.describe_copy_job(CopyJobId=job)["CopyJob"]["State"]
        if state in ("COMPLETED", "FAILED", "PARTIAL"):
            return state


def copy(client, width):
    arns = [point["RecoveryPointArn"] for point in points(client)]
    with ThreadPoolExecutor(width) as pool:
        states = list(pool.map(lambda arn: copy_one(client, arn), arns))
    return 0 if all(state == "COMPLETED" for state in states) else 1


def main():
    width = int(sys.argv[2]) if sys.argv[1] == "copy" else 1
    retries = {"mode": "standard", "max_attempts": 4}
    client = boto3.client("backup", config=Config(max_pool_connections=width, retries=retries))
    if sys.argv[1] == "copy":
        sys.exit(copy(client, width))
    for point in points(client):
        sys.stdout.write(json.dumps(point, default=str) + "\n")


main()
