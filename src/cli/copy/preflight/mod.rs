//! `preflight`, and the same looks in short at the beginning of `copy`.

mod ask;
mod command;

use std::collections::BTreeSet;
use std::time::Duration;

use super::prepare::Clients;
use super::prepared_vault::{self, PreparedVault};
use crate::aws::Side;
use crate::cli::args::CopyArgs;
use crate::copy::eligibility::SkipReason;
use crate::copy::forecast::Forecast;
use crate::copy::plan::PlanTally;
use crate::domain::IamRoleArn;
use crate::error::AppError;
use crate::preflight::{self, DestinationFacts, Finding, RoleFacts, Space, Verdict};
use crate::report;
use crate::state::{directory, space};
use crate::vault_policy::Copier;
use ask::Answers;
pub(in crate::cli) use command::run;

/// What is looked at.
pub(super) struct Look<'a> {
    pub(super) args: &'a CopyArgs,
    pub(super) clients: &'a Clients,
    pub(super) vaults: &'a [PreparedVault],
    /// What is planned of each.
    pub(super) tallies: Vec<PlanTally>,
    pub(super) forecast: &'a Forecast,
    /// Whether it is only for a plan (`copy --dry-run`).
    pub(super) is_plan: bool,
}

/// `is_plan`: a plan may be made before there is a key.
fn missing_key(args: &CopyArgs, vault: &PreparedVault, own_key: &[String], is_plan: bool) -> Option<Finding> {
    let is_new = vault.setup.as_ref().is_some_and(|setup| setup.create);
    let lacks = is_new && args.terms.dest_kms_key_arn.is_none();
    let finding = lacks
        .then(|| preflight::missing_key(&vault.dest_vault, own_key))
        .flatten()?;
    let verdict = if is_plan {
        Verdict::Warning
    } else {
        Verdict::Problem
    };
    Some(Finding { verdict, ..finding })
}

fn lock(args: &CopyArgs, vault: &PreparedVault) -> Option<Finding> {
    let dest = vault.dest.as_ref()?.0.vault.as_ref()?;
    let outside = if dest.locked {
        prepared_vault::outside_of_lock(args, dest, vault.items())
    } else {
        0
    };
    Some(preflight::vault_lock(dest, outside))
}

impl Look<'_> {
    /// Everything that a copy depends on, but for what has been looked at to get here.
    async fn all(&self) -> Vec<Finding> {
        let role = self.args.role(self.clients.source.region());
        let answers = Answers::ask(
            self,
            self.role_facts(&role).is_role().then_some(&role),
            self.keys(),
        )
        .await;
        let mut findings = self.of_accounts(&answers, &role).await;
        for (vault, tally) in self.vaults.iter().zip(&self.tallies) {
            findings.extend(self.of_vault(vault, tally, &answers));
        }
        let managed = |tally: &PlanTally| {
            tally
                .skipped
                .get(SkipReason::AwsManagedKey.as_str())
                .map_or(0, |t| t.points)
        };
        let unknown = self.clients.keys.unknown().await;
        findings.push(preflight::source_keys(
            self.tallies.iter().map(managed).sum(),
            unknown.as_ref(),
        ));
        findings.extend(preflight::unusable_keys(&self.clients.keys.unusable().await));
        findings
    }

    /// The same for a copy that is about to begin: says what is in its way, and answers how many problems there are.
    /// With `--skip-preflight`, or if there is nothing to copy, nothing is asked.
    pub(super) async fn before_copy(&self) -> usize {
        let is_work = self.forecast.bound.is_some();
        let findings = if self.args.skip_preflight {
            self.required()
        } else if is_work {
            let mut findings = Box::pin(self.all()).await;
            findings.push(preflight::room_for_state(&self.space()));
            findings
        } else {
            Vec::new()
        };
        tell(&findings)
    }

    /// Problems that are known without a question, and that stop a copy whatever its options say of preflights.
    fn required(&self) -> Vec<Finding> {
        let args = self.args;
        let of_vault = |(vault, tally): (&PreparedVault, &PlanTally)| {
            let own_key = preflight::types_with_own_key(tally, |_| false);
            let key = missing_key(args, vault, &own_key, self.is_plan);
            let lock = (!args.terms.try_all).then(|| lock(args, vault)).flatten();
            let lock = lock.filter(|finding| finding.verdict == Verdict::Problem);
            [key, lock].into_iter().flatten()
        };
        self.vaults.iter().zip(&self.tallies).flat_map(of_vault).collect()
    }

    /// Stops a copy that has problems, unless they are for AWS to decide about (`--try-all`). A vault that would be made
    /// under the wrong key is there for good, and is none of these.
    pub(super) fn allow(&self, problems: usize) -> Result<(), AppError> {
        let args = self.args;
        let stops = if args.terms.try_all {
            self.required().len()
        } else {
            problems
        };
        if stops == 0 {
            return Ok(());
        }
        Err(AppError::usage(
            format!("nothing was changed: {stops} of what the copies depend on is not as it must be"),
            if args.skip_preflight || args.terms.try_all {
                "do as said above"
            } else {
                "do as said above, or use --skip-preflight to find out from AWS"
            },
        ))
    }

    fn role_facts<'r>(&'r self, role: &'r IamRoleArn) -> RoleFacts<'r> {
        RoleFacts {
            role,
            account: self.clients.source.account(),
            region: self.clients.source.region(),
        }
    }

    async fn of_accounts(&self, answers: &Answers, role: &IamRoleArn) -> Vec<Finding> {
        let source = &self.clients.source;
        let mut total = PlanTally::default();
        for tally in &self.tallies {
            total.merge(tally);
        }
        let mut findings = vec![preflight::cross_account_backup(&answers.cross_account_backup)];
        let settings =
            |side, region, answer| preflight::region_settings((side, region), answer, &total.to_copy);
        findings.push(settings(Side::Source, source.region(), &answers.source_settings));
        let runtime = self.args.runtime_limit().unwrap_or(Duration::MAX);
        let run = self.forecast.likely.min(runtime);
        let now = source.aws_now();
        findings.push(preflight::credentials(
            Side::Source,
            &source.credentials().await,
            now,
            run,
        ));
        if let Some(client) = &self.clients.destination {
            if let Some(answer) = &answers.dest_settings {
                findings.push(settings(Side::Destination, client.region(), answer));
            }
            findings.extend(preflight::region_quotas(client.region().as_str(), &total.to_copy));
        }
        let asked = answers.role.as_ref();
        findings.push(preflight::role(
            self.role_facts(role),
            asked.map(|answers| &answers.role),
        ));
        findings.extend(asked.map(|answers| preflight::pass_role(role, source.identity(), &answers.pass)));
        findings
    }

    fn of_vault(&self, vault: &PreparedVault, tally: &PlanTally, answers: &Answers) -> Vec<Finding> {
        let mut findings = vec![preflight::source_vault(&vault.source, tally)];
        let Some((dest, setup)) = &vault.dest else {
            return findings;
        };
        let facts = DestinationFacts {
            name: &vault.dest_vault,
            dest,
            setup,
            is_left_alone: self.args.terms.skip_dest_setup,
            new_key: self.args.terms.dest_kms_key_arn.as_deref(),
        };
        findings.push(preflight::destination_vault(facts));
        let header = &vault.header;
        let copier = Copier {
            account: &header.source_account,
            partition: header.dest_region.partition(),
            role: &self.args.role(&header.region),
            vault: &header.destination_vault_arn,
        };
        if dest.vault.is_some() || !self.args.terms.skip_dest_setup {
            findings.push(preflight::policy(facts, copier));
        }
        let is_managed = |kind: &str| {
            let settings = answers.source_settings.as_ref().ok();
            settings.is_some_and(|settings| settings.fully_managed.get(kind) == Some(&true))
        };
        let own_key = preflight::types_with_own_key(tally, is_managed);
        findings.extend(missing_key(self.args, vault, &own_key, self.is_plan));
        if let Some(key) = self.key_of(vault)
            && let Some(answer) = answers.keys.get(key)
        {
            findings.push(preflight::vault_key(facts, &own_key, (key, answer)));
        }
        findings.extend(lock(self.args, vault));
        if let Some(there) = &dest.vault {
            let points = usize::try_from(there.recovery_points).unwrap_or(0);
            let to_copy = tally.to_copy_total().points + tally.under_way.points;
            findings.push(preflight::vault_quota(vault.dest_vault.as_str(), points, to_copy));
        }
        findings
    }

    /// The key that a destination vault has or will have, if it is named.
    fn key_of<'v>(&'v self, vault: &'v PreparedVault) -> Option<&'v str> {
        let (dest, _) = vault.dest.as_ref()?;
        match &dest.vault {
            Some(there) => there.encryption_key_arn.as_deref(),
            None => self.args.terms.dest_kms_key_arn.as_deref(),
        }
    }

    /// The keys to ask for: those of vaults for points that depend on them.
    fn keys(&self) -> Vec<String> {
        let depends = |tally: &PlanTally| !preflight::types_with_own_key(tally, |_| false).is_empty();
        let keys: BTreeSet<&str> = self
            .vaults
            .iter()
            .zip(&self.tallies)
            .filter(|(_, tally)| depends(tally))
            .filter_map(|(vault, _)| self.key_of(vault))
            .collect();
        keys.into_iter().map(str::to_owned).collect()
    }

    fn space(&self) -> Space {
        let given = self
            .args
            .terms
            .state_file
            .as_deref()
            .and_then(std::path::Path::parent);
        let given = given.map(|place| {
            if place.as_os_str().is_empty() {
                std::path::Path::new(".")
            } else {
                place
            }
        });
        let directory = given.map_or_else(directory::default_directory, |place| Ok(place.to_owned()));
        let points = self.vaults.iter().map(|vault| vault.items().counts().total).sum();
        let journal = self.args.journal_bytes();
        match directory {
            Ok(directory) => Space {
                unwritable: space::writable(&directory).err().map(|error| error.to_string()),
                free: space::free_bytes(&directory).ok(),
                directory,
                points,
                journal,
            },
            Err(error) => Space {
                directory: "~".into(),
                unwritable: Some(error.to_string()),
                free: None,
                points,
                journal,
            },
        }
    }
}

/// Says what is in the way of a copy; answers how many problems there are.
fn tell(findings: &[Finding]) -> usize {
    let mut unread = Vec::new();
    let mut problems = 0;
    for finding in findings {
        let line = report::finding_line(finding);
        let next = finding.next_step.as_deref().unwrap_or_default();
        match finding.verdict {
            Verdict::Problem => {
                problems += 1;
                tracing::error!("{line}; {next}");
            }
            _ if !finding.is_known => unread.push(finding.check),
            Verdict::Warning => tracing::warn!("{line}; {next}"),
            Verdict::Ok => {}
        }
    }
    unread.dedup();
    if !unread.is_empty() {
        tracing::info!(
            "not looked at, because it cannot be read: {} (the command preflight tells why)",
            unread.join(", ")
        );
    }
    problems
}
