//! Stands between an operator and the API server, writes down what is asked, and lets go wrong what a test wants.
//!
//! It speaks plain HTTP on loopback to the operator and has the rights of its own client.

mod fault;
mod ledger;
mod watch;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use kube::{Client, client::Body};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
};

use fault::Rules;
pub use fault::{Fault, Rule};
pub use ledger::{Entry, Ledger, Target};

/// Asks whoever started the client to kill it, and is answered when it is dead.
pub type Kill = oneshot::Sender<()>;

type Answer = Response<BoxBody<Bytes, std::io::Error>>;

/// A proxy for one client; it ends when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    kills: Option<mpsc::Receiver<Kill>>,
    _listener: JoinSet<Infallible>,
}

/// Why a connection is cut.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("as a test wants it")]
    Wanted,
    #[error("the client went away: {0}")]
    Client(#[from] hyper::Error),
    #[error("the API server is away: {0}")]
    ApiServer(#[from] kube::Error),
    #[error("a request that cannot be passed on: {0}")]
    Request(#[from] http::Error),
}

impl Proxy {
    /// A proxy before the API server that `upstream` talks to.
    pub async fn start(upstream: Client) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, kills) = mpsc::channel(1);
        let (ledger, rules, kept) = (Mutex::default(), Mutex::default(), Mutex::default());
        let state = Arc::new(State { upstream, ledger, rules, lifted: Notify::new(), kept, kills: sender });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, kills: Some(kills), _listener: tasks })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked until now.
    pub fn ledger(&self) -> Ledger {
        lock(&self.state.ledger).clone()
    }

    /// How much has been written since this moment.
    pub fn written_since(&self, moment: Instant) -> usize {
        lock(&self.state.ledger).work().filter(|entry| entry.at > moment).count()
    }

    /// From now on these things go wrong, and no others.
    pub fn set(&self, rules: Vec<Rule>) {
        lock(&self.state.rules).set(rules);
        self.state.lifted.notify_waiters();
    }

    /// From now on this goes wrong no more.
    pub fn lift(&self, fault: Fault) {
        lock(&self.state.rules).lift(fault);
        self.state.lifted.notify_waiters();
    }

    /// What has gone wrong since the rules were set.
    pub fn happened(&self) -> Vec<(Target, Fault)> {
        lock(&self.state.rules).happened()
    }

    /// Passes on once more what was kept, in the order in which it came. Says what was answered, which nobody has asked for.
    pub async fn replay(&self) -> anyhow::Result<Vec<(Target, u16)>> {
        let kept = std::mem::take(&mut *lock(&self.state.kept));
        let mut answers = Vec::new();
        for (target, request) in kept {
            answers.push((target, self.state.upstream.send(request).await?.status().as_u16()));
        }
        Ok(answers)
    }

    /// The requests to kill the client; for whoever started it.
    pub(crate) fn take_kills(&mut self) -> Option<mpsc::Receiver<Kill>> {
        self.kills.take()
    }
}

struct State {
    upstream: Client,
    ledger: Mutex<Ledger>,
    rules: Mutex<Rules>,
    /// Told when something goes wrong no more.
    lifted: Notify,
    /// What is to be passed on once more.
    kept: Mutex<Vec<(Target, Request<Body>)>>,
    kills: mpsc::Sender<Kill>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<State>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            // Small answers are not to wait for more.
            let _ = stream.set_nodelay(true);
            connections.spawn(serve(stream, Arc::clone(&state)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(|request| Arc::clone(&state).handle(request));
    // An error of the service cuts the connection, as it should.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl State {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, Cut> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let query = parts.uri.query().unwrap_or_default();
        let target = Target::of(&parts.method, parts.uri.path(), query, &body);
        let manager = query.split('&').find_map(|pair| pair.strip_prefix("fieldManager=")).unwrap_or_default();
        let entry = self.note(target.clone(), parts.uri.path(), manager, body.clone());
        let fault = lock(&self.rules).take(&target, false);
        match fault {
            Some(Fault::Refuse(code)) => {
                let answer = refusal(code)?;
                self.answered(entry, Some(code), None);
                return Ok(answer);
            }
            Some(Fault::CutBefore) => return Err(Cut::Wanted),
            Some(Fault::KillBefore) => return Err(self.kill().await),
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            Some(Fault::Hold) => self.is_lifted(&target).await,
            _ => {}
        }
        let forwarded = || -> Result<_, http::Error> {
            let mut forwarded = Request::builder().method(&parts.method).uri(&parts.uri);
            for (name, value) in &parts.headers {
                if !matches!(name.as_str(), "host" | "authorization" | "connection" | "content-length") {
                    forwarded = forwarded.header(name, value);
                }
            }
            forwarded.body(body.to_vec().into())
        };
        let answer = self.upstream.send(forwarded()?).await?;
        let status = answer.status().as_u16();
        self.answered(entry, None, Some(status));
        match fault {
            Some(Fault::CutAfter) => return Err(Cut::Wanted),
            Some(Fault::HangAfter) => std::future::pending().await,
            Some(Fault::KillAfter) => return Err(self.kill().await),
            Some(Fault::Replay(after)) => {
                let (upstream, again) = (self.upstream.clone(), forwarded()?);
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    // Whatever comes of it: nobody has asked.
                    let _ = upstream.send(again).await;
                });
            }
            Some(Fault::Keep) => lock(&self.kept).push((target.clone(), forwarded()?)),
            _ => {}
        }
        self.answered(entry, Some(status), Some(status));
        let (mut head, body) = answer.into_parts();
        // They say how this answer came here, not how it goes on.
        for name in [http::header::CONTENT_LENGTH, http::header::TRANSFER_ENCODING, http::header::CONNECTION] {
            head.headers.remove(name);
        }
        if target.verb == "watch" && head.status.is_success() {
            let events = watch::pump(Arc::clone(&self), target, body);
            return Ok(Response::from_parts(head, BodyExt::boxed(StreamBody::new(events.map(|event| event)))));
        }
        let whole = body.collect().await?.to_bytes();
        Ok(Response::from_parts(head, whole_body(whole)))
    }

    fn note(&self, target: Target, path: &str, manager: &str, body: Bytes) -> usize {
        let mut ledger = lock(&self.ledger);
        let (at, path, manager) = (Instant::now(), path.to_owned(), manager.to_owned());
        ledger.entries.push(Entry { at, target, path, manager, body, status: None, done: None });
        ledger.entries.len() - 1
    }

    fn answered(&self, entry: usize, status: Option<u16>, done: Option<u16>) {
        let entry = &mut lock(&self.ledger).entries[entry];
        (entry.status, entry.done) = (status, done);
    }

    /// Has the client killed, and cuts what is left of its connection.
    async fn kill(&self) -> Cut {
        let (dead, is_dead) = oneshot::channel();
        if self.kills.send(dead).await.is_ok() {
            // An error means that it ended by itself.
            let _ = is_dead.await;
        }
        Cut::Wanted
    }

    /// Waits until a request is held no more.
    async fn is_lifted(&self, held: &Target) {
        loop {
            let lifted = self.lifted.notified();
            if !lock(&self.rules).holds(held) {
                return;
            }
            lifted.await;
        }
    }

    fn fault_of_event(&self, target: &Target) -> Option<Fault> {
        lock(&self.rules).take(target, true)
    }
}

fn whole_body(bytes: Bytes) -> BoxBody<Bytes, std::io::Error> {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// An answer as the API server gives it when it refuses something.
fn refusal(code: u16) -> Result<Answer, Cut> {
    let reason = match code {
        403 => "Forbidden",
        409 => "Conflict",
        422 => "Invalid",
        _ => "InternalError",
    };
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": "refused as a test wants it", "reason": reason, "code": code,
    });
    let code = StatusCode::from_u16(code).map_err(http::Error::from)?;
    let answer = Response::builder().status(code).header("content-type", "application/json");
    Ok(answer.body(whole_body(Bytes::from(status.to_string())))?)
}
