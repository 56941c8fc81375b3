//! The plan of a run: made, kept, shown, agreed to.

use std::io::{self, BufRead as _, IsTerminal as _};

use super::prepare::Preparation;
use super::prepared_vault::{self, PreparedVault};
use super::{CopyCommand, plan_file, planned};
use crate::cli::resume_command;
use crate::copy::cost::Cost;
use crate::error::AppError;
use crate::report::{self, OutputFormat, Plan, PlannedVault, WholeFile, bytes};

/// Vaults up to which the plan is shown in full before a copy.
const FEW_VAULTS: usize = 4;

impl CopyCommand {
    /// What is to be done, and how long that may take.
    pub(super) fn plan(&self, vaults: &[PreparedVault]) -> Plan {
        let bounds = self.args.bounds();
        let planned: Vec<PlannedVault> = vaults.iter().map(|vault| vault.planned(&bounds)).collect();
        let forecast = match &planned[..] {
            [one] => one.forecast.clone(),
            _ => prepared_vault::forecast(vaults, &bounds),
        };
        let plan = Plan {
            vaults: planned,
            forecast,
            selection: "all".to_owned(),
            cost: None,
        };
        let between_regions = vaults.iter().any(|v| v.header.region != v.header.dest_region);
        let cost = |prices| Cost::of(&plan.total().to_copy, prices, between_regions);
        Plan {
            cost: self.prices.as_ref().map(cost),
            ..plan
        }
    }

    /// `--plan-out`.
    pub(super) fn write_plan(
        &self,
        preparation: &Preparation<'_>,
        plan: &Plan,
        vaults: &[PreparedVault],
    ) -> Result<(), AppError> {
        let Some(path) = &self.args.planning.plan_out else {
            return Ok(());
        };
        let header = preparation.plan_header(plan, vaults);
        let write = || {
            let mut file = WholeFile::begin(path)?;
            let points = vaults
                .iter()
                .flat_map(|vault| planned::points(vault, self.args.terms.retention));
            plan_file::write(&header, points, &mut file)?;
            file.finish()
        };
        write().map_err(|error| AppError::io(format!("write the plan {}", path.display()), error))?;
        let command = resume_command::carry_out(std::env::args_os(), path);
        tracing::info!(
            "the plan is in {}. To do exactly that, run: {command}",
            path.display()
        );
        Ok(())
    }

    /// Shows the plan in short and, on a terminal, asks.
    pub(super) async fn confirm(&self, plan: &Plan) -> Result<bool, AppError> {
        let to_copy = plan.total().to_copy_total();
        let console = &self.session.console;
        if !self.session.global.quiet {
            let mut text = Vec::new();
            let shown = if plan.vaults.len() > FEW_VAULTS {
                report::brief_plan(plan, &mut text)
            } else {
                report::plan(plan, OutputFormat::Table, &mut text)
            };
            shown.map_err(|error| AppError::io("show the plan", error))?;
            console.line(String::from_utf8_lossy(&text).trim_end());
        }
        let set_up = plan.vaults.iter().any(|vault| !vault.setup.is_empty());
        let is_work = to_copy.points > 0 || set_up;
        if self.args.yes || !is_work || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(true);
        }
        let account = &self.args.terms.dest.dest_account;
        let question = format!(
            "{}opy {} recovery points ({}) to account {account}? [y/N] ",
            if set_up {
                "Set the destination up as shown, and c"
            } else {
                "C"
            },
            to_copy.points,
            bytes(to_copy.bytes)
        );
        console.text(&question);
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line)?;
            Ok::<_, io::Error>(line)
        });
        let line = answer.await.map_err(io::Error::other).and_then(|line| line);
        let line = line.map_err(|error| AppError::io("read the answer", error))?;
        Ok(["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str()))
    }
}
