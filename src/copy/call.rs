//! One AWS call of a run, and its answer. The engine decides what is called; this only sends.

use super::scheduler::ItemId;
use crate::aws::{ApiError, BackupClient, CopyJobFilter, StartCopyJob, StartedCopyJob};
use crate::crash;
use crate::domain::{CopyJob, RecoveryPointArn};

/// A call about one item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) id: ItemId,
    pub(super) kind: CallKind,
}

/// What is called.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CallKind {
    /// StartCopyJob.
    Start(StartCopyJob),
    /// ListCopyJobs of one source point: whether a start whose answer was lost took effect.
    Look(RecoveryPointArn),
    /// DescribeCopyJob of a job that may be the start's, or may be older.
    Examine(Candidate),
}

/// A job that may be the one of a start.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub(super) job: StartedCopyJob,
    /// How it was met.
    pub(super) origin: Origin,
}

/// How a candidate was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// AWS answered the start with it, though it is older.
    Answer,
    /// It was in the list of the point's jobs, as one of so many.
    List(usize),
}

/// What came of a call.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) id: ItemId,
    pub(super) kind: AnswerKind,
}

/// What was answered.
#[derive(Debug)]
pub(super) enum AnswerKind {
    /// To [`CallKind::Start`].
    Started(Result<StartedCopyJob, ApiError>),
    /// To [`CallKind::Look`].
    Found(Result<Vec<CopyJob>, ApiError>),
    /// To [`CallKind::Examine`].
    Examined(Candidate, Result<CopyJob, ApiError>),
}

/// Sends a call.
pub(super) async fn send(client: BackupClient, call: Call) -> Answer {
    crash::point("call.send");
    let kind = match call.kind {
        CallKind::Start(request) => AnswerKind::Started(client.start_copy_job(&request).await),
        CallKind::Look(recovery_point_arn) => {
            let filter = CopyJobFilter {
                source_recovery_point_arn: Some(recovery_point_arn),
                ..CopyJobFilter::default()
            };
            AnswerKind::Found(client.list_copy_jobs(&filter).await)
        }
        CallKind::Examine(candidate) => {
            let job = client.describe_copy_job(&candidate.job.copy_job_id).await;
            AnswerKind::Examined(candidate, job)
        }
    };
    crash::point("call.answered");
    Answer { id: call.id, kind }
}
