//! The command `preflight`.

use chrono::Utc;
use futures_util::stream::{self, StreamExt as _};

use super::Look;
use crate::aws::{Side, custom_endpoint};
use crate::cli::Session;
use crate::cli::args::PreflightArgs;
use crate::cli::copy::prepare::{Clients, Preparation};
use crate::cli::copy::prepared_vault::{self, PreparedVault};
use crate::cli::output::to_stdout;
use crate::cli::selection::Selection;
use crate::cli::vault_choice::{self, VAULTS_AT_ONCE};
use crate::copy::plan::PlanTally;
use crate::domain::BackupVaultName;
use crate::error::{AppError, Outcome};
use crate::preflight::{self, Finding, Verdict};
use crate::report;

/// The command.
pub(in crate::cli) async fn run(args: PreflightArgs, session: &Session) -> Result<Outcome, AppError> {
    let copy = args.copy()?;
    crate::cli::copy::check(&copy)?;
    let selection = Selection::new(&copy.terms.filter).await?;
    let connections = session.connections(&copy.connection, &copy.terms.source).await;
    let preparation = Preparation {
        args: &copy,
        connections: &connections,
        selection: &selection,
        plan: None,
        run_id: "preflight",
        now: Utc::now(),
        only_looks: true,
    };
    let (source, destination) = (connections.region(), connections.dest_region(&copy.terms.dest));
    let mut findings = vec![
        preflight::endpoint(custom_endpoint().as_ref()),
        preflight::partition(source, &destination),
    ];
    if let Some(clients) = connect(&preparation, &mut findings).await {
        let vaults = vaults(&preparation, &clients, &mut findings).await;
        selection.report_unmatched();
        // Known from the answers of AWS Backup.
        findings.push(preflight::clock(clients.source.clock_ahead()));
        let forecast = prepared_vault::forecast(&vaults, &copy.bounds());
        let look = Look {
            args: &copy,
            clients: &clients,
            vaults: &vaults,
            tallies: vaults.iter().map(|vault| PlanTally::of(vault.items())).collect(),
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

/// The vaults that can be planned; of each of the others there is a finding.
async fn vaults(
    preparation: &Preparation<'_>,
    clients: &Clients,
    findings: &mut Vec<Finding>,
) -> Vec<PreparedVault> {
    let copy = preparation.args;
    let mut unusable = |name: &str, error: &AppError| {
        let is_of_dest = match error {
            AppError::Api(error) => error.side() == Some(Side::Destination),
            _ => false,
        };
        let (text, hint) = (error.to_string(), error.hint());
        findings.push(match error {
            AppError::VaultSetup(_) => preflight::unusable_policy(name, text, hint),
            _ if is_of_dest => preflight::unusable_destination_vault(name, text, hint),
            _ => preflight::unusable_source_vault(name, text, hint),
        });
    };
    let choose = async {
        let choice = vault_choice::choose_each(&copy.terms.vaults, &copy.terms.dest, &clients.source).await?;
        // What is wrong with the metadata file is one finding, however many vaults there are.
        preparation.selection.load().await?;
        Ok::<_, AppError>(choice)
    };
    let choice = match choose.await {
        Ok(choice) => choice,
        Err(error) => {
            let names = copy.terms.vaults.vault.iter().map(BackupVaultName::as_str);
            let names = names.collect::<Vec<_>>().join(", ");
            unusable(if names.is_empty() { "all" } else { &names }, &error);
            return Vec::new();
        }
    };
    for unusable_one in &choice.unusable {
        let (name, error) = &**unusable_one;
        unusable(name.as_str(), error);
    }
    let prepared = stream::iter(choice.chosen).map(|chosen| async move {
        let name = chosen.source.name.clone();
        (name, Box::pin(preparation.vault(clients, chosen)).await)
    });
    let mut prepared = prepared.buffered(VAULTS_AT_ONCE);
    let mut vaults = Vec::new();
    while let Some((name, vault)) = prepared.next().await {
        match vault {
            Ok(vault) => vaults.push(vault),
            Err(error) => unusable(name.as_str(), &error),
        }
    }
    vaults
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
            let side = if preparation.connections.source(&args.terms.source).await.is_err() {
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
