#!/usr/bin/env bash
# loop.sh WIDTH: copies the vault v1 as operators do who write a loop over the aws tool: list the points, then for so many
# of them at once start a copy job and look at it each second until it has ended. A call that fails is tried again by
# the tool itself; a point that fails is named, and the loop then ends with an error.
set -euo pipefail

copy_one() {
    local point=$1 job state
    job=$(aws backup start-copy-job --recovery-point-arn "$point" --source-backup-vault-name v1 \
        --destination-backup-vault-arn arn:aws:backup:us-east-1:987654321098:backup-vault:v1 \
        --iam-role-arn arn:aws:iam::123456789012:role/service-role/AWSBackupDefaultServiceRole \
        --idempotency-token "$(printf %s "$point" | sha256sum | cut -c1-64)" --query CopyJobId --output text) || return 1
    while true; do
        sleep 1
        state=$(aws backup describe-copy-job --copy-job-id "$job" --query CopyJob.State --output text) || continue
        case $state in
        COMPLETED) return 0 ;;
        FAILED | PARTIAL)
            echo "$point: $state" >&2
            return 1
            ;;
        esac
    done
}
export -f copy_one

aws backup list-recovery-points-by-backup-vault --backup-vault-name v1 --page-size 1000 \
    --query 'RecoveryPoints[].[RecoveryPointArn]' --output text |
    xargs -P "$1" -I{} bash -c 'copy_one "$1"' _ {}
