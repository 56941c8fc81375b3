"""measure.py copy NAME WIDTH COMMAND... | measure.py list NAME COMMAND... | measure.py heading copy|list

Runs a command in a simulation, and prints one line of a table: what it took, by the simulator's ledger and the kernel.

Memory is the peak of the command's first process (VmHWM, looked at a hundred times a second), or the most that all of
its processes had together, each page counted once (PSS, four times a second), if that is more. Processor time is that
of the command and of all that it started, without the simulator. Jobs in flight are the time that all jobs ran, by the
simulator, over the wall time; the ideal is the width.
"""

import json
import os
import resource
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import datetime

import boto3

POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": "backup:CopyIntoBackupVault",
            "Resource": "*",
        }
    ],
}
HEADINGS = {
    "copy": [
        "program",
        "points",
        "seconds",
        "points an hour",
        "calls a point",
        "peak memory",
        "processor seconds",
        "jobs in flight",
        "of the ideal",
    ],
    "list": ["program", "seconds", "calls", "peak memory", "processor seconds"],
}


def row(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def ledger():
    with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/_ledger") as answer:
        return json.load(answer)


def job_time(copy):
    """Seconds; the ledger has dates as text."""
    created, completed = (datetime.fromisoformat(copy[date]) for date in ("created", "completed"))
    return (completed - created).total_seconds()


def make_destination():
    client = boto3.Session(profile_name="destination").client("backup")
    client.create_backup_vault(BackupVaultName="v1")
    client.put_backup_vault_access_policy(BackupVaultName="v1", Policy=json.dumps(POLICY))


def kilobytes(path, member):
    """Of a process; none if it has ended."""
    try:
        with open(path, encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(member))
    except (OSError, StopIteration):
        return 0


def together(group):
    """Kilobytes of all processes of a group."""
    total = 0
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getpgid(int(process)) != group:
                continue
        except OSError:
            continue
        total += kilobytes(f"/proc/{process}/smaps_rollup", "Pss:")
    return total


def run(command):
    """Exit code, wall time, processor time, and peak of memory in kilobytes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    with open("stderr", "wb") as said:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, process_group=0)
    peak = 0
    ended = threading.Event()

    def watch():
        nonlocal peak
        looks = 0
        # What the kernel tells of children that have ended counts the memory of whoever started them.
        while not ended.wait(0.01):
            looks += 1
            peak = max(peak, kilobytes(f"/proc/{child.pid}/status", "VmHWM:"))
            if looks % 25 == 0:
                peak = max(peak, together(child.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = child.wait()
    wall = time.monotonic() - began
    ended.set()
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return code, wall, cpu, peak


def main():
    what, name = sys.argv[1:3]
    if what == "heading":
        row(HEADINGS[name])
        row(["---"] * len(HEADINGS[name]))
        return
    command = sys.argv[4:] if what == "copy" else sys.argv[3:]
    if what == "copy":
        make_destination()
    calls_before = sum(ledger()["calls"].values())
    code, wall, cpu, peak = run(command)
    after = ledger()
    if code != 0 or after["duplicates"] != 0:
        with open("stderr", encoding="utf-8", errors="replace") as file:
            sys.exit(f"{name} ended with {code}, {after['duplicates']} duplicates:\n{file.read()[-2000:]}")
    calls = sum(after["calls"].values()) - calls_before
    memory = f"{peak / 1024:.0f} MiB"
    if what == "list":
        row([name, f"{wall:.2f}", str(calls), memory, f"{cpu:.2f}"])
        return
    points = after["copied_points"]
    in_flight = sum(map(job_time, after["copies"])) / wall
    cells = [name, str(points), f"{wall:.1f}", f"{points / wall * 3600:,.0f}", f"{calls / points:.2f}", memory]
    row(cells + [f"{cpu:.1f}", f"{in_flight:.1f}", f"{in_flight / int(sys.argv[3]):.0%}"])


main()
