//! The HTTP side: connections, who calls, faults, and where a request goes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Response, http};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::options::Options;
use super::reply::Refusal;
use super::request::Request;
use super::seed::{self, SeedError};
use super::world::{Caller, World};
use super::{backup_api, sts_api};

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

/// The answer is withheld and the connection closed.
#[derive(Debug, Error)]
#[error("the connection is cut off")]
struct CutOff;

type HttpResponse = Response<Full<Bytes>>;

async fn answer(world: Arc<Mutex<World>>, request: http::Request<Incoming>) -> Result<HttpResponse, CutOff> {
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
    if delay > 0.0 {
        tokio::time::sleep(Duration::from_secs_f64(delay / 1000.0)).await;
    }
    let mut world = lock(&world);
    world.advance();
    if request.method == "GET" && request.path.first().is_some_and(|p| p == "_ledger") {
        return Ok(respond(
            200,
            "application/json",
            world.ledger().to_string(),
            "-",
            None,
        ));
    }
    dispatch(&mut world, &request)
}

fn dispatch(world: &mut World, request: &Request) -> Result<HttpResponse, CutOff> {
    let id = world.uuid().to_lowercase();
    let is_sts = request.method == "POST" && request.path.is_empty();
    let operation = if is_sts {
        sts_api::operation(request)
    } else {
        backup_api::operation(request)
    };
    let caller = authenticate(world, request);
    let account = caller
        .as_ref()
        .map_or_else(|_| String::new(), |c| c.account.clone());
    let lost = operation == "StartCopyJob" && {
        let share = world.options.lost_answer_share;
        world.chance(share)
    };
    let result = caller.and_then(|caller| {
        if is_sts {
            sts_api::handle(world, &caller, request, &id)
        } else {
            fault(world, &caller, operation)?;
            backup_api::handle(world, &caller, request).map(|mut value| {
                drop_nulls(&mut value);
                value.to_string()
            })
        }
    });
    let (status, code) = match &result {
        Ok(_) => (200, None),
        Err(refusal) => (refusal.status, Some(refusal.code.as_str())),
    };
    let at = world.clock.now();
    world.calls.add(at, operation, &account, status, code);
    if lost && result.is_ok() {
        return Err(CutOff);
    }
    Ok(match (result, is_sts) {
        (Ok(body), true) => respond(200, "text/xml", body, &id, None),
        (Ok(body), false) => respond(200, "application/json", body, &id, None),
        (Err(refusal), true) => respond(
            refusal.status,
            "text/xml",
            sts_api::error(&refusal, &id),
            &id,
            None,
        ),
        (Err(refusal), false) => {
            let body = refusal.body().to_string();
            respond(refusal.status, "application/json", body, &id, Some(&refusal.code))
        }
    })
}

fn authenticate(world: &World, request: &Request) -> Result<Caller, Refusal> {
    let Some(key) = &request.access_key else {
        return Err(Refusal::new(
            403,
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        ));
    };
    world
        .caller(key, request.session_token.as_deref())
        .map_err(|code| {
            let text = match code {
                "ExpiredTokenException" => "The security token included in the request is expired",
                _ => "The security token included in the request is invalid.",
            };
            Refusal::new(403, code, text)
        })
}

/// A fault that the options want for this call.
fn fault(world: &mut World, caller: &Caller, operation: &str) -> Result<(), Refusal> {
    if world.options.deny.iter().any(|denied| denied == operation) {
        let message = format!(
            "User: {} is not authorized to perform: backup:{operation}",
            caller.arn
        );
        return Err(Refusal::new(403, "AccessDeniedException", message));
    }
    let at = world.clock.real_seconds();
    let share = world.options.throttle_share;
    if !world.rate.takes(at) || world.chance(share) {
        return Err(Refusal::new(400, "ThrottlingException", "Rate exceeded"));
    }
    let share = world.options.error_share;
    if world.chance(share) {
        return Err(if world.chance(0.5) {
            Refusal::new(500, "InternalFailure", "An internal error occurred.")
        } else {
            Refusal::new(503, "ServiceUnavailableException", "Service unavailable")
        });
    }
    Ok(())
}

/// AWS leaves out members that have no value.
fn drop_nulls(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        serde_json::Value::Array(members) => members.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn respond(status: u16, kind: &str, body: String, id: &str, error: Option<&str>) -> HttpResponse {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    let headers = [
        ("content-type", Some(kind)),
        ("x-amzn-requestid", Some(id)),
        ("x-amzn-errortype", error),
    ];
    for (name, value) in headers {
        if let Some(value) = value.and_then(|v| hyper::header::HeaderValue::from_str(v).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
