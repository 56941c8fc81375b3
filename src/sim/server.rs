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
