//! How a simulated AWS is to behave.

use std::collections::HashMap;
use std::path::PathBuf;

use super::faults::FaultSpec;
use crate::domain::{AccountId, Region};

/// A range of seconds or milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

/// A vault to make, and how many points to put into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedVault {
    /// Its name.
    pub name: String,
    /// Recovery points in it.
    pub points: usize,
}

/// What accounts may lack for copies from one to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Lack {
    /// An organization that both are in.
    Organization,
    /// Cross-account backup, switched on in it.
    CrossAccountBackup,
    /// `iam:PassRole`.
    PassRole,
}

/// A number of unfinished jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaxJobs {
    /// Of these types together; of all if there are none.
    pub types: Vec<String>,
    /// So many; 0 is no limit.
    pub jobs: usize,
}

/// Settings of a simulated AWS. Seconds are of simulated time.
#[derive(Debug, Clone)]
pub struct Options {
    /// The account that the seed's vaults are in.
    pub source_account: AccountId,
    /// The account to copy to.
    pub dest_account: AccountId,
    /// The Region that the seed's vaults are in.
    pub region: Region,
    /// Vaults of the source account.
    pub vaults: Vec<SeedVault>,
    /// Distinct resources in each vault; half the points if not given.
    pub resources: Option<usize>,
    /// Resource types, in turn.
    pub types: Vec<String>,
    /// Share of the points of types that are not fully managed that are under an AWS managed key.
    pub managed_key_share: f64,
    /// What the accounts lack.
    pub without: Vec<Lack>,
    /// Resource types that are not opted in, in all Regions of both accounts.
    pub opted_out: Vec<String>,
    /// Names of roles that do not exist.
    pub absent_roles: Vec<String>,
    /// Share of copies that get no retention, whatever they were to get.
    pub lost_lifecycle_share: f64,
    /// Whether each vault also gets one point of each kind that cannot be copied.
    pub include_uncopyable: bool,
    /// A JSON file of vaults and points, beside or instead of generated ones.
    pub seed_file: Option<PathBuf>,
    /// How long copy jobs run.
    pub job_seconds: Range,
    /// Simulated seconds to a real one.
    pub time_scale: f64,
    /// Time before an answer, in real milliseconds.
    pub latency_ms: Range,
    /// How long new jobs and points are missing from lists.
    pub list_lag_seconds: f64,
    /// Unfinished jobs above which StartCopyJob answers `LimitExceededException`.
    pub max_jobs: Vec<MaxJobs>,
    /// Running jobs of a type above which further ones wait in CREATED.
    pub type_limits: HashMap<String, usize>,
    /// Running jobs of a resource above which further ones wait in CREATED.
    pub per_resource: usize,
    /// Calls a (real) second above which calls are throttled; 0 is no limit.
    pub calls_per_second: f64,
    /// Calls that may come at once.
    pub burst: f64,
    /// Share of calls that are throttled whatever their rate.
    pub throttle_share: f64,
    /// Share of calls that fail inside AWS.
    pub error_share: f64,
    /// Share of StartCopyJob calls whose work is done and whose answer is cut off.
    pub lost_answer_share: f64,
    /// What else goes wrong with calls.
    pub faults: Vec<FaultSpec>,
    /// Real seconds after which an answer comes that is late.
    pub late_seconds: f64,
    /// Seconds that AWS's clock is ahead of ours; behind it if negative.
    pub clock_skew_seconds: f64,
    /// Share of jobs that are in a state that no client knows for half of their time, and of answers
    /// that have members that no client knows.
    pub unknown_share: f64,
    /// Share of jobs that stay in CREATED.
    pub stuck_share: f64,
    /// And how long they do.
    pub stuck_seconds: f64,
    /// Share of jobs that no list shows.
    pub unlisted_share: f64,
    /// Share of jobs that neither lists nor DescribeCopyJob show, although they copy.
    pub forget_jobs_share: f64,
    /// Share of jobs that fail.
    pub fail_share: f64,
    /// Share of jobs that end in PARTIAL.
    pub partial_share: f64,
    /// Messages of failing jobs, in turn; some of AWS's own if none is given.
    pub fail_messages: Vec<String>,
    /// Real seconds after which credentials expire; 0 is never.
    pub credential_lifetime_seconds: f64,
    /// Whether an idempotency token is honoured.
    pub token_replay: bool,
    /// Bytes that a vault's access policy may have.
    pub policy_limit: usize,
    /// Operations that are denied.
    pub deny: Vec<String>,
    /// Seed of everything random.
    pub random_seed: u64,
    /// Port on loopback; 0 takes a free one.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "constants")]
        let account = |text: &str| text.parse().expect("an account id");
        Self {
            source_account: account("123456789012"),
            dest_account: account("987654321098"),
            region: Region::us_east_1(),
            vaults: Vec::new(),
            resources: None,
            types: ["EFS", "S3", "DynamoDB"].map(str::to_owned).to_vec(),
            managed_key_share: 0.0,
            without: Vec::new(),
            opted_out: Vec::new(),
            absent_roles: Vec::new(),
            lost_lifecycle_share: 0.0,
            include_uncopyable: false,
            seed_file: None,
            job_seconds: Range { min: 1.0, max: 3.0 },
            time_scale: 1.0,
            latency_ms: Range { min: 0.0, max: 0.0 },
            list_lag_seconds: 0.0,
            max_jobs: Vec::new(),
            type_limits: HashMap::new(),
            per_resource: 1,
            calls_per_second: 0.0,
            burst: 50.0,
            throttle_share: 0.0,
            error_share: 0.0,
            lost_answer_share: 0.0,
            faults: Vec::new(),
            late_seconds: 5.0,
            clock_skew_seconds: 0.0,
            unknown_share: 0.0,
            stuck_share: 0.0,
            stuck_seconds: 60.0,
            unlisted_share: 0.0,
            forget_jobs_share: 0.0,
            fail_share: 0.0,
            partial_share: 0.0,
            fail_messages: Vec::new(),
            credential_lifetime_seconds: 0.0,
            token_replay: true,
            policy_limit: 20_480,
            deny: Vec::new(),
            random_seed: 1,
            port: 0,
        }
    }
}
