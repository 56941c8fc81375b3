//! `preflight`, and the same looks in short at the beginning of `copy`.

mod ask;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::Utc;

use super::prepare::{self, Clients, Preparation, PreparedVault};
use crate::aws::{Side, custom_endpoint};
use crate::cli::Session;
use crate::cli::args::{CopyArgs, PreflightArgs};
use crate::cli::output::to_stdout;
use crate::cli::selection::Selection;
use crate::copy::eligibility::SkipReason;
use crate::copy::forecast::{Bounds, Forecast};
use crate::copy::plan::PlanTally;
use crate::domain::IamRoleArn;
use crate::error::{AppError, Outcome};
use crate::preflight::{self, DestinationFacts, Finding, RoleFacts, Space, Verdict};
use crate::report;
use crate::state::{directory, space};
use crate::vault_policy::Copier;
use ask::Answers;

/// What is looked at.
pub(super) struct Look<'a> {
    pub(super) args: &'a CopyArgs,
    pub(super) clients: &'a Clients,
    pub(super) vaults: &'a [PreparedVault],
    pub(super) forecast: &'a Forecast,
    /// Whether it is only for a plan (`copy --dry-run`).
    pub(super) is_plan: bool,
}

/// The command.
pub(in crate::cli) async fn run(args: PreflightArgs, session: &Session) -> Result<Outcome, AppError> {
    let copy = args.copy()?;
    super::check(&copy)?;
    let selection = Selection::new(&copy.filter).await?;
    let connections = session.connections(&copy.connection, &copy.source).await;
    let preparation = Preparation {
        args: &copy,
        connections: &connections,
        selection: &selection,
        run_id: "preflight",
        now: Utc::now(),
        only_looks: true,
    };
    let (source, destination) = (connections.region(), connections.dest_region(&copy.dest));
    let mut findings = vec![
        preflight::endpoint(custom_endpoint().as_ref()),
        preflight::partition(source, &destination),
    ];
    if let Some(clients) = connect(&preparation, &mut findings).await {
        let mut vaults = Vec::new();
        for name in &copy.vault {
            match Box::pin(preparation.vault(&clients, name)).await {
                Ok(vault) => vaults.push(vault),
                Err(error) => {
                    let finding = preflight::unusable_source_vault(name, error.to_string(), error.hint());
                    findings.push(finding);
                }
            }
        }
        selection.report_unmatched();
        // Known from the answers of AWS Backup.
        findings.push(preflight::clock(clients.source.clock_ahead()));
        let forecast = prepare::forecast(&vaults, &bounds(&copy));
        let look = Look {
            args: &copy,
            clients: &clients,
            vaults: &vaults,
            forecast: &forecast,
            is_plan: false,
        };
        findings.extend(Box::pin(look.all()).await);
        findings.push(preflight::state_directory(&look.space()));
    }
    to_stdout(|out| report::preflight(&findings, args.form.output, out))?;
    let is_problem = |finding: &Finding| finding.verdict == Verdict::Problem;
    Ok(if findings.iter().any(is_problem) {
        Outcome::WithErrors
    } else {
        Outcome::Done
    })
}

/// Both identities, each of which is a finding.
async fn connect(preparation: &Preparation<'_>, findings: &mut Vec<Finding>) -> Option<Clients> {
    let args = preparation.args;
    match preparation.connect().await {
        Ok(clients) => {
            let source = &clients.source;
            findings.push(preflight::identity(
                Side::Source,
                source.account(),
                source.identity(),
            ));
            if let Some(client) = &clients.destination {
                findings.push(preflight::identity(
                    Side::Destination,
                    client.account(),
                    client.identity(),
                ));
            }
            Some(clients)
        }
        Err(error) => {
            let side = if preparation.connections.source(&args.source).await.is_err() {
                Side::Source
            } else {
                Side::Destination
            };
            let next = error
                .hint()
                .unwrap_or_else(|| "check the AWS configuration".to_owned());
            findings.push(preflight::no_identity(side, error.to_string(), next));
            None
        }
    }
}

fn bounds(args: &CopyArgs) -> Bounds {
    Bounds {
        limits: args.limits(),
        poll_interval: Duration::from_secs_f64(args.poll_interval),
    }
}

/// Problems that are known without a question, and that stop a copy whatever its options say of preflights.
pub(super) fn required(args: &CopyArgs, vaults: &[PreparedVault]) -> Vec<Finding> {
    let of_vault = |vault: &PreparedVault| {
        let own_key = preflight::types_with_own_key(&PlanTally::of(vault.items()), |_| false);
        let key = missing_key(args, vault, &own_key, args.dry_run);
        let lock = (!args.try_all).then(|| lock(args, vault)).flatten();
        let lock = lock.filter(|finding| finding.verdict == Verdict::Problem);
        [key, lock].into_iter().flatten()
    };
    vaults.iter().flat_map(of_vault).collect()
}

/// `is_plan`: a plan may be made before there is a key.
fn missing_key(args: &CopyArgs, vault: &PreparedVault, own_key: &[String], is_plan: bool) -> Option<Finding> {
    let is_new = vault.setup.as_ref().is_some_and(|setup| setup.create);
    let lacks = is_new && args.dest_kms_key_arn.is_none();
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
        prepare::outside_of_lock(args, dest, vault.items())
    } else {
        0
    };
    Some(preflight::vault_lock(dest, outside))
}

impl Look<'_> {
    /// Everything that a copy depends on, but for what has been looked at to get here.
    async fn all(&self) -> Vec<Finding> {
        let role = self.args.role(self.clients.source.region());
        let tallies: Vec<PlanTally> = self
            .vaults
            .iter()
            .map(|vault| PlanTally::of(vault.items()))
            .collect();
        let answers = Answers::ask(
            self,
            self.role_facts(&role).is_role().then_some(&role),
            self.keys(&tallies),
        )
        .await;
        let mut findings = self.of_accounts(&answers, &role, &tallies).await;
        for (vault, tally) in self.vaults.iter().zip(&tallies) {
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
            tallies.iter().map(managed).sum(),
            unknown.as_ref(),
        ));
        findings.extend(preflight::unusable_keys(&self.clients.keys.unusable().await));
        findings
    }

    /// The same for a copy that is about to begin: only what is in its way. Nothing is asked if there is nothing
    /// to copy.
    pub(super) async fn in_short(&self) -> Vec<Finding> {
        let is_work = self.forecast.bound.is_some();
        if !is_work {
            return Vec::new();
        }
        let mut findings = Box::pin(self.all()).await;
        findings.push(preflight::room_for_state(&self.space()));
        findings.retain(|finding| finding.verdict != Verdict::Ok);
        findings
    }

    fn role_facts<'r>(&'r self, role: &'r IamRoleArn) -> RoleFacts<'r> {
        RoleFacts {
            role,
            account: self.clients.source.account(),
            region: self.clients.source.region(),
        }
    }

    async fn of_accounts(&self, answers: &Answers, role: &IamRoleArn, tallies: &[PlanTally]) -> Vec<Finding> {
        let source = &self.clients.source;
        let mut total = PlanTally::default();
        for tally in tallies {
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
            is_left_alone: self.args.skip_dest_setup,
            new_key: self.args.dest_kms_key_arn.as_deref(),
        };
        findings.push(preflight::destination_vault(facts));
        let header = &vault.header;
        let copier = Copier {
            account: &header.source_account,
            partition: header.dest_region.partition(),
            role: &self.args.role(&header.region),
            vault: &header.destination_vault_arn,
        };
        if dest.vault.is_some() || !self.args.skip_dest_setup {
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
            None => self.args.dest_kms_key_arn.as_deref(),
        }
    }

    /// The keys to ask for: those of vaults for points that depend on them.
    fn keys(&self, tallies: &[PlanTally]) -> Vec<String> {
        let depends = |tally: &PlanTally| !preflight::types_with_own_key(tally, |_| false).is_empty();
        let keys: BTreeSet<&str> = self
            .vaults
            .iter()
            .zip(tallies)
            .filter(|(_, tally)| depends(tally))
            .filter_map(|(vault, _)| self.key_of(vault))
            .collect();
        keys.into_iter().map(str::to_owned).collect()
    }

    fn space(&self) -> Space {
        let given = self.args.state_file.as_deref().and_then(std::path::Path::parent);
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
pub(super) fn tell(findings: &[Finding]) -> usize {
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
