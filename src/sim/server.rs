//! The HTTP side: connections, and what comes and leaves on them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Response, http};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::dispatch::dispatch;
use super::faults::{self, AnswerBody, CutOff};
use super::options::Options;
use super::request::Request;
use super::seed::{self, SeedError};
use super::world::World;

/// Largest request body that is read.
const MOST_BYTES: usize = 1 << 20;

/// Why a simulated AWS cannot be started.
#[derive(Debug, Error)]
pub enum SimError {
    /// The seed.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The port.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// A running simulated AWS. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    /// Makes the world of the seed and serves it on loopback.
    ///
    /// # Errors
    /// If the seed file cannot be used or the port is taken.
    pub async fn start(options: Options) -> Result<Self, SimError> {
        let port = options.port;
        let mut world = World::new(options);
        seed::fill(&mut world)?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = listener.map_err(|source| SimError::Listen { port, source })?;
        let address = listener
            .local_addr()
            .map_err(|source| SimError::Listen { port, source })?;
        let world = Arc::new(Mutex::new(world));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&world)));
        Ok(Self {
            address,
            world,
            accepting,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Every call and every copy so far, as `docs/simulator.md` describes it.
    pub fn ledger_json(&self) -> serde_json::Value {
        let mut world = lock(&self.world);
        world.advance();
        world.ledger()
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, world: Arc<Mutex<World>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        // Answers are small and wanted at once.
        let _ = stream.set_nodelay(true);
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&world), request));
            // A client that goes away, and an answer that is cut off on purpose, end here.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    world: Arc<Mutex<World>>,
    request: http::Request<Incoming>,
) -> Result<Response<AnswerBody>, CutOff> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MOST_BYTES)
        .collect()
        .await
        .map_err(|_| CutOff)?
        .to_bytes();
    let request = Request::new(&parts, body.to_vec());
    let delay = {
        let mut world = lock(&world);
        let range = world.options.latency_ms;
        world.within(range.min, range.max)
    };
    // What a script asks of the simulator itself is answered at once.
    let own = request.path.first().is_some_and(|p| p.starts_with('_'));
    if delay > 0.0 && !own {
        tokio::time::sleep(Duration::from_secs_f64(delay / 1000.0)).await;
    }
    let (answer, delivery) = {
        let mut world = lock(&world);
        world.advance();
        dispatch(&mut world, &request)
    };
    faults::send(answer, delivery).await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::sim::SeedVault;

    /// What a bare socket gets for one request within two seconds, and whether it was closed then.
    async fn ask(server: &Server, request: &str) -> (String, bool) {
        let mut stream = TcpStream::connect(server.addr()).await.unwrap();
        let head = format!(
            "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\nauthorization: AWS4-HMAC-SHA256 \
             Credential=AKIA123456789012SIMS/20260101/us-east-1/backup/aws4_request\r\n\r\n{{}}"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        let read = async {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                got.extend_from_slice(buffer.get(..n).unwrap_or_default());
            }
        };
        let closed = tokio::time::timeout(Duration::from_secs(2), read).await.is_ok();
        (String::from_utf8_lossy(&got).into_owned(), closed)
    }

    /// A vault is made under a fault: the answer, whether the connection was closed, whether it is there.
    async fn create(fault: &str) -> (String, bool, bool) {
        let server = Server::start(Options {
            vaults: vec![SeedVault {
                name: "seeded".to_owned(),
                points: 1,
            }],
            faults: vec![format!("{fault}:CreateBackupVault=1").parse().unwrap()],
            late_seconds: 1.0,
            ..Options::default()
        })
        .await
        .unwrap();
        let (answer, closed) = ask(&server, "PUT /backup-vaults/made").await;
        let (list, _) = ask(&server, "GET /backup-vaults/").await;
        assert_eq!(server.ledger_json()["faults"][fault], 1, "{fault}");
        (answer, closed, list.contains("backup-vault:made"))
    }

    fn body(answer: &str) -> &str {
        answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    fn promised(answer: &str) -> usize {
        let length = answer
            .split("content-length: ")
            .nth(1)
            .and_then(|t| t.split("\r\n").next());
        length.unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn faults_reach_a_caller_as_the_documents_say() {
        for (fault, is_closed, is_done) in [
            ("reset", true, false),
            ("lost", true, true),
            ("hang", false, false),
            ("hang-after", false, true),
        ] {
            let got = create(fault).await;
            assert_eq!(got, (String::new(), is_closed, is_done), "{fault}");
        }
        let (answer, _, done) = create("half").await;
        assert!(done && body(&answer).len() == promised(&answer) / 2, "{answer}");
        let (answer, closed, done) = create("slow").await;
        assert!(
            done && !closed && (1..5).contains(&body(&answer).len()),
            "{answer}"
        );
        let (answer, _, done) = create("late").await;
        assert!(done && body(&answer).contains("BackupVaultArn"), "{answer}");
        let (answer, _, done) = create("html").await;
        assert!(done && answer.starts_with("HTTP/1.1 200") && body(&answer).starts_with("<html>"));
        let (answer, _, done) = create("502").await;
        assert!(!done && answer.starts_with("HTTP/1.1 502") && body(&answer).starts_with("<html>"));
        let (answer, _, done) = create("RequestTimeout").await;
        assert!(
            !done && answer.contains("x-amzn-errortype: RequestTimeout\r\n") && answer.contains("date: ")
        );
        let (answer, _, done) = create("wrong-type").await;
        assert!(
            done && body(&answer).contains("\"BackupVaultArn\":12345"),
            "{answer}"
        );
        let (answer, _, done) = create("duplicate").await;
        assert!(done && answer.contains("AlreadyExistsException"), "{answer}");
    }

    #[tokio::test]
    async fn pages_of_lists_break_as_the_documents_say() {
        let server = Server::start(Options {
            vaults: vec![SeedVault {
                name: "seeded".to_owned(),
                points: 5,
            }],
            faults: vec![
                "repeat-token:ListBackupVaults=1".parse().unwrap(),
                "empty-page:ListRecoveryPointsByBackupVault=1".parse().unwrap(),
            ],
            ..Options::default()
        })
        .await
        .unwrap();
        let token = |answer: &str| {
            let page: serde_json::Value = serde_json::from_str(body(answer)).unwrap();
            page["NextToken"].as_str().unwrap().to_owned()
        };
        let (first, _) = ask(&server, "GET /backup-vaults/").await;
        let (again, _) = ask(
            &server,
            &format!("GET /backup-vaults/?nextToken={}", token(&first)),
        )
        .await;
        assert_eq!(token(&first), token(&again));
        let path = "GET /backup-vaults/seeded/recovery-points/";
        let (first, _) = ask(&server, path).await;
        let (next, _) = ask(&server, &format!("{path}?nextToken={}", token(&first))).await;
        assert!(first.contains("\"RecoveryPoints\":[]") && next.contains("\"RecoveryPoints\":[]"));
        assert_ne!(token(&first), token(&next));
    }
}
