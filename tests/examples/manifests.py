"""Holds the manifests of docs/examples to the schemas of those who read them, and to the exit codes of copy.

Kubernetes: the OpenAPI schemas that kubernetes-validate carries. Step Functions: statelint. AWS Batch, and the parameters
that Step Functions hands to it: botocore's model, in the environment of tests/conformance (its Python is the argument).
Each validator is also given something broken, so that one that takes anything is noticed.
"""

import copy
import fnmatch
import json
import pathlib
import subprocess
import sys

import kubernetes_validate
import yaml

EXAMPLES = pathlib.Path(__file__).parents[2] / "docs/examples"
# The oldest release with all fields, and the newest that the validator knows.
KUBERNETES = ["1.33", "1.37"]

# Checks objects on stdin, {operation: parameters}, against botocore's model; prints a line for each problem.
BOTOCORE = """
import json, sys, botocore.session, botocore.validate
model = botocore.session.get_session().get_service_model("batch")
for operation, parameters in json.load(sys.stdin):
    shape = model.operation_model(operation).input_shape
    report = botocore.validate.ParamValidator().validate(parameters, shape)
    print(operation, report.generate_report().replace("\\n", "; ") if report.has_errors() else "ok")
"""

passed = 0


def check(what, holds):
    global passed
    if not holds:
        sys.exit(f"wrong: {what}")
    passed += 1


def runs(text):
    return [line.split()[0] for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def problem_of(document, version):
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return error.message
    return None


def on_kubernetes():
    documents = list(yaml.safe_load_all((EXAMPLES / "kubernetes-indexed-job.yaml").read_text()))
    for version in KUBERNETES:
        for document in documents:
            problem = problem_of(document, version)
            check(f"Kubernetes {version} and the {document['kind']}: {problem}", problem is None)
    by_kind = {document["kind"]: document for document in documents}
    job = by_kind["Job"]["spec"]
    broken = copy.deepcopy(by_kind["Job"])
    broken["spec"]["podFailurePolicy"]["rules"][1]["onExitCodes"]["value"] = [1]
    check("Kubernetes refuses a member that is not there", problem_of(broken, KUBERNETES[0]))

    # What the API server asks for beyond the schema, which has no list of the values that a text may have.
    check("an index for each run, not any completion", job["completionMode"] == "Indexed")
    pod = job["template"]["spec"]
    check("podFailurePolicy needs restartPolicy Never", pod["restartPolicy"] == "Never")
    check("FailIndex needs backoffLimitPerIndex", job["backoffLimitPerIndex"] > 0)
    check("an index for each run", job["completions"] == len(runs(by_kind["ConfigMap"]["data"]["runs.txt"])))
    by_code = {}
    for rule in job["podFailurePolicy"]["rules"]:
        codes = rule.get("onExitCodes", {"values": []})
        check("rules name the container", codes.get("containerName", "copy") == pod["containers"][0]["name"])
        check("codes are listed, not excluded", codes.get("operator", "In") == "In")
        conditions = [(each["type"], each["status"]) for each in rule.get("onPodConditions", [])]
        ignored = [("DisruptionTarget", "True")] if rule["action"] == "Ignore" else []
        check("only a drained node is ignored", conditions == ignored)
        by_code.update({code: rule["action"] for code in codes["values"]})
    check("1 ends the index, 2 is run again", by_code == {1: "FailIndex", 2: "Count"})
    check("any node may have any index", by_kind["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"])


def after_exit(rules, exit_code="", reason="", status_reason=""):
    """What AWS Batch does, by its guide: the first rule all of whose conditions match; if none does, again."""
    told = {"onExitCode": str(exit_code), "onReason": reason, "onStatusReason": status_reason}

    def matches(pattern, text):
        return text.startswith(pattern[:-1]) and text != "" if pattern.endswith("*") else pattern == text

    for rule in rules:
        if all(matches(pattern, told[name]) for name, pattern in rule.items() if name != "action"):
            return rule["action"]
    return "RETRY"


def camel(value):
    """The members of Step Functions' parameters as AWS Batch calls them; paths become texts."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name[0].lower() + name[1:].removesuffix(".$"): (
            ["x"] if str(item).startswith("States.Array(") else camel(item)
        )
        for name, item in value.items()
    }


def on_batch(botocore_python):
    definition = json.loads((EXAMPLES / "batch-job-definition.json").read_text())
    submission = json.loads((EXAMPLES / "batch-submit.json").read_text())
    machine = json.loads((EXAMPLES / "step-functions.asl.json").read_text())
    task = machine["States"]["Runs"]["ItemProcessor"]["States"]["Run"]
    broken = {**definition, "retryStrategies": {}}
    requests = [
        ("RegisterJobDefinition", definition),
        ("SubmitJob", submission),
        ("SubmitJob", camel(task["Parameters"])),
        ("RegisterJobDefinition", broken),
    ]
    told = subprocess.run(
        [botocore_python, "-c", BOTOCORE], input=json.dumps(requests), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for (operation, _), line in zip(requests[:3], told):
        check(f"AWS Batch takes it: {line}", line == f"{operation} ok")
    check("AWS Batch refuses a parameter that is not there", "retryStrategies" in told[3])

    strategy = definition["retryStrategy"]
    rules = strategy["evaluateOnExit"]
    check("limits of AWS Batch", strategy["attempts"] <= 10 and len(rules) <= 5)
    ended = "Essential container in task exited"
    for code, action in [(2, "RETRY"), (1, "EXIT"), (127, "EXIT"), (137, "EXIT"), (20, "EXIT")]:
        check(f"{code}: {action}", after_exit(rules, code, "", ended) == action)
    check("a lost host: again", after_exit(rules, status_reason="Host EC2 (instance i-1) terminated.") == "RETRY")
    check("no image: the end", after_exit(rules, reason="CannotPullContainerError: no such image") == "EXIT")
    check("an index for each run", submission["arrayProperties"]["size"] == len(runs((EXAMPLES / "runs.txt").read_text())))


def at(path, data):
    """What a reference path such as $.a.b names, or None."""
    for name in path.removeprefix("$").lstrip(".").split("."):
        data = data.get(name) if isinstance(data, dict) else None
    return data


def holds(rule, data):
    """Whether a rule of a Choice holds, by the States Language; a comparison with what is not there is an error."""
    if "And" in rule:
        return all(holds(each, data) for each in rule["And"])
    ((kind, wanted),) = [(name, value) for name, value in rule.items() if name not in ("Variable", "Next")]
    value = at(rule["Variable"], data)
    if kind == "IsPresent":
        return (value is not None) == wanted
    if value is None:
        raise ValueError(f"States.Runtime: {rule['Variable']} is not there")
    if kind == "IsNumeric":
        return isinstance(value, int) == wanted
    if kind == "StringMatches":
        return isinstance(value, str) and fnmatch.fnmatchcase(value, wanted)
    if kind == "NumericEqualsPath":
        return value == at(wanted, data)
    return {"NumericEquals": value == wanted, "BooleanEquals": value is wanted}[kind]


def chosen(states, name, data):
    """Where a Choice leads."""
    return next((rule["Next"] for rule in states[name]["Choices"] if holds(rule, data)), states[name]["Default"])


def after_failed_job(states, cause):
    """Where the state machine goes after a job that failed with this cause."""
    caught = {"run": "a", "error": {"Error": "States.TaskFailed", "Cause": cause}}
    after = chosen(states, states["Run"]["Catch"][0]["Next"], caught)
    if after != "Read the job":
        return after
    check("the cause is read", states[after]["Parameters"] == {"job.$": "States.StringToJson($.error.Cause)"})
    return chosen(states, states[after]["Next"], {**caught, "ended": {"job": json.loads(cause)}})


def on_step_functions():
    text = (EXAMPLES / "step-functions.asl.json").read_text()

    def problems(definition):
        done = subprocess.run(["statelint", definition], capture_output=True, text=True)
        return done.returncode, done.stdout

    code, told = problems(text)
    check(f"statelint takes the state machine: {told}", code == 0)
    code, _ = problems(text.replace('"Next": "Look"', '"Next": "Nowhere"', 1))
    check("statelint refuses a state that is not there", code != 0)

    machine = json.loads(text)["States"]
    states = machine["Runs"]["ItemProcessor"]["States"]
    ended = "Essential container in task exited"
    for job, wanted in [
        ({"StatusReason": ended, "Container": {"ExitCode": 2}}, "Pause"),
        ({"StatusReason": ended, "Container": {"ExitCode": 1}}, "Look"),
        ({"StatusReason": ended, "Container": {"ExitCode": 137}}, "Look"),
        ({"StatusReason": ended, "Container": {"ExitCode": "2"}}, "Look"),
        ({"StatusReason": "Host EC2 (instance i-1) terminated.", "Container": {}}, "Pause"),
        ({"StatusReason": "Host EC2 (instance i-1) terminated."}, "Pause"),
        ({"StatusReason": "CannotPullContainerError: no such image", "Container": {}}, "Look"),
        ({}, "Look"),
    ]:
        check(f"{job}: {wanted}", after_failed_job(states, json.dumps(job)) == wanted)
    check("a refused request: look", after_failed_job(states, "Job queue does not exist") == "Look")
    check("a pause is followed by the same run", states[states["Pause"]["Next"]]["Next"] == "Run")
    check("a job without failure is done", states["Run"]["Next"] == "Done")
    for look, ended, wanted in [(False, 3, "End"), (True, 3, "Some have to be looked at"), (False, 2, "Some have to be looked at")]:
        end = chosen(machine, "All done", {"runs": 3, "ended": ended, "look": look})
        check(f"{ended} of 3 ended, to look at {look}: {wanted}", end == wanted)


on_kubernetes()
on_batch(sys.argv[1])
on_step_functions()
print(f"{passed} passed, 0 failed")
