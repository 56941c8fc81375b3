//! The file of a plan: written by `--plan-out`, read by `--plan`. `docs/output.md` describes it.
//!
//! A line with what the plan is about, a line for each point to copy, and a last one by which a file is known
//! that is cut off or was changed by hand.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::fingerprint::{Fingerprint, Fingerprints};
use crate::domain::{
    AccountId, BackupVaultName, IamRoleArn, Lifecycle, RecoveryPointArn, Region, ResourceArn,
};
use crate::error::AppError;
use crate::state::{Endpoint, words_of};

const FORMAT: &str = "shuffle-aws-vaults/plan";
const VERSION: u32 = 1;

/// What a plan is about: all that decides what is copied, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct PlanHeader {
    pub(super) format: String,
    pub(super) version: u32,
    pub(super) created_by: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) endpoint: Endpoint,
    pub(super) source_account: AccountId,
    pub(super) dest_account: AccountId,
    pub(super) region: Region,
    pub(super) dest_region: Region,
    pub(super) iam_role_arn: IamRoleArn,
    pub(super) retention: String,
    pub(super) selection: String,
    pub(super) min_remaining_days: Option<u32>,
    pub(super) include_expired: bool,
    pub(super) try_all: bool,
    pub(super) skip_dest_setup: bool,
    pub(super) dest_kms_key_arn: Option<String>,
    pub(super) no_reconcile: bool,
    pub(super) force_recopy: bool,
    pub(super) vaults: Vec<PlanVault>,
}

/// One vault of a plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PlanVault {
    pub(super) backup_vault_name: BackupVaultName,
    pub(super) destination_backup_vault_name: BackupVaultName,
    pub(super) setup: Vec<String>,
    pub(super) policy_difference: Option<String>,
    pub(super) to_copy: usize,
    pub(super) bytes_to_copy: u64,
}

/// One point that is to be copied.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PlanPoint {
    pub(super) backup_vault_name: BackupVaultName,
    pub(super) recovery_point_arn: RecoveryPointArn,
    pub(super) resource_arn: ResourceArn,
    pub(super) resource_type: String,
    pub(super) creation_date: DateTime<Utc>,
    pub(super) backup_size_bytes: Option<i64>,
    /// The retention that is sent; `None` if none is.
    pub(super) lifecycle: Option<Lifecycle>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Ending {
    points: usize,
    crc32: String,
}

impl PlanHeader {
    /// The name and version of this form.
    pub(super) fn form() -> (String, u32) {
        (FORMAT.to_owned(), VERSION)
    }
}

/// Writes a plan.
///
/// # Errors
/// If `out` cannot be written.
pub(super) fn write(
    header: &PlanHeader,
    points: impl Iterator<Item = PlanPoint>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut checksum = crc32fast::Hasher::new();
    let mut line = serde_json::to_vec(header)?;
    let mut count = 0;
    for point in points {
        line.push(b'\n');
        checksum.update(&line);
        out.write_all(&line)?;
        line = serde_json::to_vec(&point)?;
        count += 1;
    }
    line.push(b'\n');
    checksum.update(&line);
    out.write_all(&line)?;
    let ending = Ending {
        points: count,
        crc32: format!("{:08x}", checksum.finalize()),
    };
    serde_json::to_writer(&mut *out, &ending)?;
    out.write_all(b"\n")
}

/// A plan that was read: what it is about, and which points it copies with which retention.
#[derive(Debug)]
pub(super) struct PlanFile {
    pub(super) header: PlanHeader,
    pub(super) path: PathBuf,
    checksum: String,
    names: Fingerprints,
    /// By vault and point: the retention.
    points: HashMap<Fingerprint, Fingerprint>,
}

impl PlanFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is no plan, was made by a newer version, is cut off or was changed.
    pub(super) fn read(path: &Path) -> Result<Self, AppError> {
        let names = Fingerprints::default();
        let mut points = HashMap::new();
        let (header, checksum) = scan(path, |point| {
            let place = Self::place(&names, &point.backup_vault_name, &point.recovery_point_arn);
            points.insert(place, Self::retention(&names, point.lifecycle.as_ref()));
        })?;
        Ok(Self {
            header,
            path: path.to_owned(),
            checksum,
            names,
            points,
        })
    }

    /// Goes through its points once more.
    ///
    /// # Errors
    /// As [`PlanFile::read`].
    pub(super) fn each_point(&self, point: impl FnMut(PlanPoint)) -> Result<(), AppError> {
        scan(&self.path, point).map(|_| ())
    }

    fn place(names: &Fingerprints, vault: &BackupVaultName, point: &RecoveryPointArn) -> Fingerprint {
        names.of(&format!("{vault} {point}"))
    }

    fn retention(names: &Fingerprints, lifecycle: Option<&Lifecycle>) -> Fingerprint {
        names.of(&format!("{lifecycle:?}"))
    }

    /// Whether it copies a point.
    pub(super) fn has(&self, vault: &BackupVaultName, point: &RecoveryPointArn) -> bool {
        self.points.contains_key(&Self::place(&self.names, vault, point))
    }

    /// Whether it copies a point with this retention.
    pub(super) fn has_with(
        &self,
        vault: &BackupVaultName,
        point: &RecoveryPointArn,
        sent: Option<&Lifecycle>,
    ) -> bool {
        let planned = self.points.get(&Self::place(&self.names, vault, point));
        planned == Some(&Self::retention(&self.names, sent))
    }

    /// Which plan it is, in words.
    pub(super) fn describe(&self) -> String {
        format!(
            "the {} points of the plan {} ({})",
            self.points.len(),
            self.path.display(),
            self.checksum
        )
    }
}

/// The header and the checksum; every point is handed over on the way.
fn scan(path: &Path, mut each: impl FnMut(PlanPoint)) -> Result<(PlanHeader, String), AppError> {
    let cannot = |error| AppError::io(format!("read --plan {}", path.display()), error);
    let wrong =
        |what: String, hint: &str| AppError::usage(format!("--plan {}: {what}", path.display()), hint);
    let again = "make the plan anew, with --dry-run --plan-out";
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path).map_err(cannot)?);
    let mut checksum = crc32fast::Hasher::new();
    let (mut line, mut next) = (Vec::new(), Vec::new());
    reader.read_until(b'\n', &mut line).map_err(cannot)?;
    let header: PlanHeader = serde_json::from_slice(&line).map_err(|error| {
        let newer = serde_json::from_slice::<serde_json::Value>(&line).ok();
        match newer.and_then(|header| header.get("version")?.as_u64()) {
            Some(version) if version > u64::from(VERSION) => wrong(
                format!("it has version {version}, and this program knows {VERSION}"),
                "use the program that made it, or a newer one",
            ),
            _ => wrong(
                format!(
                    "line 1, column {}: it is no plan: {}",
                    error.column(),
                    words_of(&error)
                ),
                again,
            ),
        }
    })?;
    if (&header.format, header.version) != (&FORMAT.to_owned(), VERSION) {
        let what = format!(
            "it is of form {} {}, not {FORMAT} {VERSION}",
            header.format, header.version
        );
        return Err(wrong(what, again));
    }
    checksum.update(&line);
    let (mut points, mut number) = (0, 1);
    line.clear();
    reader.read_until(b'\n', &mut line).map_err(cannot)?;
    loop {
        next.clear();
        if reader.read_until(b'\n', &mut next).map_err(cannot)? == 0 {
            break;
        }
        number += 1;
        let point = serde_json::from_slice(&line).map_err(|error| {
            wrong(
                format!("line {number}: it is no point of a plan: {}", words_of(&error)),
                again,
            )
        })?;
        each(point);
        points += 1;
        checksum.update(&line);
        std::mem::swap(&mut line, &mut next);
    }
    let found = format!("{:08x}", checksum.finalize());
    let ending: Ending = serde_json::from_slice(&line)
        .map_err(|_| wrong("its last line is missing: it is cut off".to_owned(), again))?;
    if (ending.points, &ending.crc32) != (points, &found) {
        return Err(wrong(
            "it was changed since it was written".to_owned(),
            "make the plan anew; to copy less of it, use --exclude-from with --dry-run --plan-out",
        ));
    }
    Ok((header, found))
}

#[cfg(test)]
mod tests;
