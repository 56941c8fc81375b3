//! What is fuzzed: each function takes any bytes and panics if a promise is broken. libFuzzer calls
//! them (`run.sh`), and so does `cargo test` with the corpus and mutations of it (`tests/fuzz_targets.rs`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    unreachable_pub,
    reason = "to panic is how a target fails"
)]

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::panic;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Parser as _;
use shuffle_aws_vaults::cli::args::Cli;
use shuffle_aws_vaults::domain::selection::ValueList;
use shuffle_aws_vaults::domain::{
    AccountId, BackupVaultArn, BackupVaultName, CopyJobId, IamRoleArn, IdempotencyToken, RecoveryPointArn,
    ResourceArn, arn,
};
use shuffle_aws_vaults::metadata::{Keep, MetadataError, MetadataTable};
use shuffle_aws_vaults::sim::{Options, SeedVault, Server};
use shuffle_aws_vaults::state::{
    self, Counts, Item, ItemState, Items, JournalLine, JournalRecord, journal_path,
};

/// A target: any bytes.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const ALL: [(&str, Target); 7] = [
    ("journal", journal),
    ("state", state_document),
    ("csv", csv),
    ("arn", arns),
    ("command_line", command_line),
    ("simulator", simulator),
    ("resume", resume),
];

/// A journal: what is read is whole lines, all bytes are accounted for, and it reads the same again. Once
/// as it is, and once with right checksums, or nothing would get past them.
pub fn journal(bytes: &[u8]) {
    read_journal(bytes);
    read_journal(&checksummed(bytes));
}

fn checksummed(lines: &[u8]) -> Vec<u8> {
    let mut journal = Vec::new();
    for json in lines.split_inclusive(|b| *b == b'\n') {
        let (text, end) = json.strip_suffix(b"\n").map_or((json, ""), |text| (text, "\n"));
        write!(journal, "{:08x} ", crc32fast::hash(text)).unwrap();
        journal.extend_from_slice(text);
        journal.extend_from_slice(end.as_bytes());
    }
    journal
}

fn read_journal(bytes: &[u8]) {
    match state::decode(bytes) {
        Ok(decoded) => {
            assert_eq!(decoded.good_bytes + decoded.torn_bytes, bytes.len());
            let (good, torn) = bytes.split_at(decoded.good_bytes);
            assert!(!torn.contains(&b'\n') && (good.is_empty() || good.ends_with(b"\n")));
            let mut written = Vec::new();
            for line in &decoded.lines {
                state::encode(line, &mut written).unwrap();
            }
            assert_eq!(state::decode(&written).unwrap().lines, decoded.lines);
        }
        Err(bad) => {
            // Everything before the bad line is good.
            let before = state::decode(&bytes[..bad.offset]).unwrap();
            assert_eq!((before.lines.len() + 1, before.torn_bytes), (bad.line, 0));
        }
    }
}

/// The first line is a state file, the rest its journal without checksums.
pub fn state_document(bytes: &[u8]) {
    thread_local! {
        static HOME: tempfile::TempDir = tempfile::tempdir().unwrap();
    }
    HOME.with(|home| {
        let path = home.path().join("state.json");
        let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
        let (document, journal) = bytes.split_at(end);
        std::fs::write(&path, document).unwrap();
        let journal = checksummed(journal.get(1..).unwrap_or_default());
        std::fs::write(journal_path(&path), journal).unwrap();
        match state::load(&path) {
            Ok(loaded) => assert_sums(&loaded.items),
            Err(error) => {
                assert!(error.to_string().len() < 2000 + 8 * bytes.len());
                let _ = error.hint();
            }
        }
    });
}

fn assert_sums(items: &Items) {
    let Counts {
        total,
        pending,
        starting,
        in_flight,
        completed,
        failed,
        skipped,
        ..
    } = items.counts();
    assert_eq!(total, items.iter().count());
    assert_eq!(
        total,
        pending + starting + in_flight + completed + failed + skipped
    );
}

/// A metadata file: every value is found by its resource, a byte order mark changes nothing, and where
/// less is kept, that is the same.
pub fn csv(bytes: &[u8]) {
    let columns = |bytes: &[u8], keep| MetadataTable::read(bytes, Path::new("m.csv"), &keep);
    let read = |bytes: &[u8]| columns(bytes, Keep::All);
    let outcome = |read: &Result<MetadataTable, _>| match read {
        Ok(table) => format!("{} {:?}", table.len(), table.warnings()),
        Err(error) => error_text(error),
    };
    let table = read(bytes);
    let foreign = matches!(table, Err(MetadataError::Foreign { .. }));
    if !foreign
        && std::str::from_utf8(bytes).is_ok()
        && !bytes.starts_with(b"\xef\xbb\xbf")
        && !bytes.contains(&0)
    {
        let marked = [b"\xef\xbb\xbf", bytes].concat();
        assert_eq!(outcome(&table), outcome(&read(&marked)));
    }
    if let Ok(table) = table {
        assert!(
            table
                .columns()
                .iter()
                .any(|c| c.eq_ignore_ascii_case("resourceArn"))
        );
        let part =
            columns(bytes, Keep::Only(vec!["APMID".to_owned()])).expect("what is taken is taken in part");
        assert_eq!((part.len(), part.columns().len() <= 2), (table.len(), true));
        let text = String::from_utf8(bytes.to_vec()).expect("what is taken is UTF-8");
        let values: Vec<&str> = text.split([',', '\n', '\r', '"']).map(str::trim).collect();
        let resources: Vec<ResourceArn> = values.iter().copied().map(ResourceArn::from_aws).collect();
        let (whole, in_part) = (table.rows(resources.iter()), part.rows(resources.iter()));
        for ((value, row), in_part) in values.into_iter().zip(whole).zip(in_part) {
            assert_eq!(in_part.is_some(), row.is_some());
            if let Some(row) = row {
                assert_eq!(row.get("APMID"), in_part.and_then(|part| part.get("APMID")));
                assert!(row.iter().any(|(_, v)| v == value));
                assert!(row.iter().all(|(name, v)| row.get(name) == Some(v)));
            }
        }
    }
}

fn error_text(error: &MetadataError) -> String {
    assert!(error.hint().is_some_and(|hint| !hint.is_empty()));
    error.to_string()
}

/// An ARN: its parts put together are the text; identifiers keep the text that they were parsed of.
pub fn arns(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(p) = arn::split(&text) {
        let again = ["arn", p.partition, p.service, p.region, p.account, p.resource].join(":");
        assert_eq!(again, text);
        assert!(!text.contains(['\n', '\r', '\0', '\u{1b}', ' ']));
    }
    if let Ok(role) = text.parse::<IamRoleArn>() {
        assert_eq!(role.as_str(), text);
        assert_eq!(role.parts().unwrap().service, "iam");
    }
    if let Ok(account) = text.parse::<AccountId>() {
        assert!(account.as_str().len() == 12 && account.as_str().bytes().all(|b| b.is_ascii_digit()));
    }
    if let Ok(name) = text.parse::<BackupVaultName>() {
        assert!((2..=50).contains(&name.as_str().len()) && !name.as_str().contains(['/', '.', '\0']));
    }
    if let Ok(list) = ValueList::parse(&text) {
        assert!(
            list.iter()
                .all(|value| !value.is_empty() && value == value.trim() && list.contains(value))
        );
    }
}

/// A command line, an argument a line: it is understood, or refused with a message.
pub fn command_line(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let arguments = std::iter::once("shuffle-aws-vaults").chain(text.lines());
    match Cli::try_parse_from(arguments) {
        Ok(cli) => assert!(!format!("{cli:?}").is_empty()),
        Err(error) => assert!(!error.render().to_string().is_empty()),
    }
}

/// What a client sends to the simulator, as raw bytes: afterwards it still answers others.
pub fn simulator(bytes: &[u8]) {
    static SERVER: OnceLock<(SocketAddr, tokio::runtime::Runtime, Server)> = OnceLock::new();
    // A panic in a task ends but its connection, and nobody would know.
    static PANICKED: AtomicBool = AtomicBool::new(false);
    let (address, ..) = SERVER.get_or_init(|| {
        let show = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() == Some("simulator") {
                PANICKED.store(true, Ordering::SeqCst);
            }
            show(info);
        }));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("simulator")
            .enable_all()
            .build()
            .unwrap();
        let vault = SeedVault {
            name: "v1".to_owned(),
            points: 5,
        };
        let options = Options {
            vaults: vec![vault],
            ..Options::default()
        };
        let server = runtime.block_on(Server::start(options)).unwrap();
        (server.addr(), runtime, server)
    });
    let _ = exchange(*address, bytes, Duration::from_millis(5));
    let answer = exchange(
        *address,
        b"GET /_ledger HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        Duration::from_mins(1),
    )
    .unwrap();
    assert!(!PANICKED.load(Ordering::SeqCst), "the simulator panicked");
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let ledger: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(ledger.get("calls").is_some(), "{ledger}");
}

/// Sends bytes and reads up to the end of what comes; waits so long for it, as half a request gets no answer.
fn exchange(address: SocketAddr, bytes: &[u8], patience: Duration) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// The states of an item, for [`Model`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Pending,
    Starting,
    InFlight,
    Completed,
    Failed,
    Skipped,
}

/// What docs/state-format.md says of items, in few words: the state and attempt of each.
#[derive(Debug, Default)]
struct Model(HashMap<u8, (Stands, u32)>);

impl Model {
    /// Whether a record is taken; if so, it is carried out.
    fn apply(&mut self, item: u8, record: &JournalRecord) -> bool {
        use JournalRecord as R;
        use Stands as S;
        if matches!(record, R::Planned { .. }) {
            self.0.entry(item).or_insert((S::Pending, 0));
            return true;
        }
        let Some((stands, attempt)) = self.0.get_mut(&item) else {
            return false;
        };
        let open = matches!(stands, S::Pending | S::Starting | S::InFlight);
        let next = match record {
            R::StartIntended { attempt: new, .. } if *stands == S::Pending && *new > *attempt => {
                *attempt = *new;
                S::Starting
            }
            // The same attempt, sent again.
            R::StartIntended { attempt: new, .. }
                if matches!(stands, S::Starting | S::InFlight) && new == attempt =>
            {
                S::Starting
            }
            R::Started { .. } if open => {
                *attempt = (*attempt).max(1);
                S::InFlight
            }
            // It is still to be made.
            R::NotTaken { .. } if *stands == S::Starting => {
                *attempt = attempt.saturating_sub(1);
                S::Pending
            }
            R::Requeued { .. } if open && *stands != S::Pending => S::Pending,
            R::Reopened { .. } if matches!(stands, S::Failed | S::Skipped) => S::Pending,
            R::Completed { .. } if *stands == S::InFlight => S::Completed,
            R::Failed { .. } if open => S::Failed,
            R::Skipped { .. } if *stands == S::Pending => S::Skipped,
            _ => return false,
        };
        *stands = next;
        true
    }

    fn stands(item: &Item) -> (Stands, u32) {
        let stands = match item.state {
            ItemState::Pending => Stands::Pending,
            ItemState::Starting { .. } => Stands::Starting,
            ItemState::InFlight { .. } => Stands::InFlight,
            ItemState::Completed { .. } => Stands::Completed,
            ItemState::Failed { .. } => Stands::Failed,
            ItemState::Skipped { .. } => Stands::Skipped,
        };
        (stands, item.attempt)
    }
}

/// A run and its end: pairs of bytes are an item and what happens to it, the first two where the journal
/// is cut off. The ledger does as the model does, and what is left of the journal leads to where the
/// run was when it was written.
pub fn resume(bytes: &[u8]) {
    let Some((cut, events)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let mut model = Model::default();
    let mut live = Items::new([]);
    let mut journal = Vec::new();
    let mut after_line = vec![live.clone()];
    for pair in events.chunks_exact(2).take(200) {
        let &[item, kind] = pair else { continue };
        let item = item % 8;
        let record = record(item, kind);
        let taken = live.apply(&record).is_ok();
        assert_eq!(taken, model.apply(item, &record), "{record:?}");
        assert_sums(&live);
        for item in live.iter() {
            let number = item.recovery_point_arn.as_str().bytes().last().unwrap() - b'0';
            assert_eq!(Model::stands(&item), model.0[&number]);
        }
        if taken {
            let sequence = u64::try_from(after_line.len()).unwrap();
            state::encode(&JournalLine { sequence, record }, &mut journal).unwrap();
            after_line.push(live.clone());
        }
    }
    let cut = usize::from(u16::from_be_bytes(*cut)) % (journal.len() + 1);
    let left = state::decode(&journal[..cut]).expect("a cut is no damage");
    let mut resumed = Items::new([]);
    for line in &left.lines {
        resumed
            .apply(&line.record)
            .expect("what was taken is taken again");
    }
    let was = &after_line[left.lines.len()];
    assert!(resumed.iter().eq(was.iter()));
    assert_eq!(resumed.counts(), was.counts());
}

fn record(item: u8, kind: u8) -> JournalRecord {
    let recovery_point_arn =
        RecoveryPointArn::from_aws(&format!("arn:aws:ec2:us-east-1::snapshot/snap-{item}"));
    let copy_job_id = CopyJobId::from_aws(&format!("job-{kind}"));
    let at: DateTime<Utc> = DateTime::UNIX_EPOCH;
    let attempt = u32::from(kind / 8 % 4);
    match kind % 8 {
        0 => JournalRecord::Planned {
            item: Item {
                recovery_point_arn,
                resource_arn: ResourceArn::from_aws("arn:aws:ec2:us-east-1:123456789012:volume/vol-1"),
                resource_type: "EBS".into(),
                creation_date: at,
                backup_size_bytes: Some(i64::from(kind) - 100),
                lifecycle: None,
                attempt: 0,
                state: ItemState::Pending,
            },
        },
        1 => JournalRecord::StartIntended {
            idempotency_token: token(&recovery_point_arn, attempt),
            recovery_point_arn,
            attempt,
            at: None,
        },
        2 => JournalRecord::Started {
            recovery_point_arn,
            copy_job_id,
            at,
        },
        3 if attempt.is_multiple_of(2) => JournalRecord::NotTaken {
            recovery_point_arn,
            reason: "throttled".to_owned(),
        },
        3 => JournalRecord::Requeued {
            recovery_point_arn,
            reason: "throttled".to_owned(),
        },
        4 => JournalRecord::Completed {
            recovery_point_arn,
            copy_job_id,
            destination_recovery_point_arn: None,
            at,
        },
        5 => JournalRecord::Failed {
            recovery_point_arn,
            error_code: "CopyJobFailed".to_owned(),
            message: "no\n".to_owned(),
            at,
        },
        6 => JournalRecord::Skipped {
            recovery_point_arn,
            reason: "cold".into(),
        },
        _ => JournalRecord::Reopened { recovery_point_arn },
    }
}

fn token(source: &RecoveryPointArn, attempt: u32) -> IdempotencyToken {
    let vault = BackupVaultArn::from_aws("arn:aws:backup:us-east-1:987654321098:backup-vault:v1");
    IdempotencyToken::for_attempt(source, &vault, attempt)
}
