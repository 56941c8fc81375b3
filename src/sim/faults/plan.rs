//! Which call is hit by which fault.

use std::collections::BTreeMap;

use rand::Rng;

use super::spec::{FaultKind, FaultSpec};
use crate::sim::options::Options;

/// All faults that are wanted, and how often each came.
#[derive(Debug)]
pub(in crate::sim) struct FaultPlan {
    faults: Vec<FaultSpec>,
    counts: BTreeMap<String, u64>,
}

impl FaultPlan {
    /// `--fault`, and the options that are short for one.
    pub(in crate::sim) fn new(options: &Options) -> Self {
        let code = |code: &str, share| FaultSpec::always(FaultKind::Code(code.to_owned()), share);
        let half = options.error_share / 2.0;
        let mut faults = vec![
            code("ThrottlingException", options.throttle_share),
            code("InternalFailure", half),
            // Of the calls that the one before left over.
            code("ServiceUnavailableException", half / (1.0 - half)),
            FaultSpec {
                operation: Some("StartCopyJob"),
                ..FaultSpec::always(FaultKind::Lost, options.lost_answer_share)
            },
        ];
        faults.extend(options.faults.iter().cloned());
        faults.retain(|fault| fault.share > 0.0);
        Self {
            faults,
            counts: BTreeMap::new(),
        }
    }

    /// The fault of a call at this moment (real seconds): each that concerns it has its chance, and
    /// the first one counts. A page that was asked for without a token cannot refuse it.
    pub(in crate::sim) fn pick(
        &mut self,
        rng: &mut impl Rng,
        operation: &str,
        has_token: bool,
        at: f64,
    ) -> Option<FaultKind> {
        let fault = self.faults.iter().find(|fault| {
            fault.concerns(operation, at)
                && (has_token || fault.kind != FaultKind::ExpiredToken)
                && rng.random::<f64>() < fault.share
        })?;
        *self.counts.entry(fault.kind.to_string()).or_default() += 1;
        Some(fault.kind.clone())
    }

    /// How often each kind came.
    pub(in crate::sim) fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn plan(specs: &[&str]) -> FaultPlan {
        FaultPlan::new(&Options {
            faults: specs.iter().map(|s| s.parse().unwrap()).collect(),
            ..Options::default()
        })
    }

    #[test]
    fn shares_windows_and_operations_hold() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut plan = plan(&["reset:StartCopyJob=0.25@10-20"]);
        let mut hits = |operation, at| {
            (0..1000)
                .filter(|_| plan.pick(&mut rng, operation, false, at).is_some())
                .count()
        };
        assert_eq!(
            hits("StartCopyJob", 9.9) + hits("StartCopyJob", 20.0) + hits("ListCopyJobs", 15.0),
            0
        );
        let n = hits("StartCopyJob", 15.0);
        assert!((200..300).contains(&n), "{n}");
        assert_eq!(plan.counts().get("reset").copied(), Some(n as u64));
    }

    #[test]
    fn a_first_page_has_no_token_to_refuse() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut plan = plan(&["expired-token=1"]);
        assert_eq!(plan.pick(&mut rng, "ListCopyJobs", false, 0.0), None);
        assert_eq!(
            plan.pick(&mut rng, "ListCopyJobs", true, 0.0),
            Some(FaultKind::ExpiredToken)
        );
    }
}
