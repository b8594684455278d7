//! A service's two listeners and its end.

use std::{
    any::Any,
    future::IntoFuture,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::{
    catch_panic::CatchPanicLayer,
    trace::{DefaultOnFailure, TraceLayer},
};

use crate::{
    config::Settings,
    problem::Problem,
    telemetry::{self, spans},
    unread,
};

/// Largest body that is taken.
pub const BODY_LIMIT: usize = 1024 * 1024;
/// Longest time until an answer begins. How long a stream then goes on is not limited here.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The same for routes behind which a language model may think.
pub const SLOW_REQUEST_TIMEOUT: Duration = Duration::from_mins(3);
/// Routes with [`SLOW_REQUEST_TIMEOUT`], wherever they are served or passed on.
const SLOW_ROUTES: [&str; 2] = ["/api/chat", "/mcp"];
/// How often samples of metrics are put into their buckets.
const FOLDING: Duration = Duration::from_secs(5);
/// Longest time between SIGTERM and the end; Kubernetes kills 25 s after it.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(20);

/// What runs beside the listeners, and how it is told to stop. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Background {
    /// Everything that has to end before the process does.
    pub tracker: TaskTracker,
    /// Cancelled on SIGTERM. Streams end by it, too: the listeners wait for them.
    pub stop: CancellationToken,
}

impl Background {
    /// Runs `work` until it sees that `stop` is cancelled. If it ends before that, the service ends, so that Kubernetes
    /// starts it anew: a service without its background work looks healthy and is not.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            let ended = tokio::spawn(work).await;
            if !stop.is_cancelled() {
                tracing::error!(name, panicked = ended.is_err(), "background work has ended; the service stops");
                stop.cancel();
            }
        });
    }
}

/// Serves and sends spans until SIGTERM or ctrl-c, then drains both listeners and the background work, 20 s at most.
/// `app` gets the limits, problems for unknown routes, metrics and the trace layer here.
pub async fn run(settings: &Settings, app: Router, management: Router, background: Background) -> io::Result<()> {
    let stop = background.stop.clone();
    spans::start(settings);
    let until_stopped = stop.clone();
    background.spawn("metrics", async move {
        until_stopped.run_until_cancelled(telemetry::fold_samples(FOLDING)).await;
    });
    let (app_listener, management_listener) = (bind(settings.port).await?, bind(settings.management_port).await?);
    tracing::info!(port = settings.port, management_port = settings.management_port, "listening");
    let serve = |listener, router: Router| {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned()).into_future()
    };
    let mut servers = tokio::task::JoinSet::new();
    servers.spawn(serve(app_listener, layered(app)));
    servers.spawn(serve(management_listener, management));
    tokio::select! {
        result = wait_for_signal() => result?,
        () = stop.cancelled() => {}
    }
    tracing::info!("stopping");
    stop.cancel();
    background.tracker.close();
    let drained = async {
        while servers.join_next().await.is_some() {}
        background.tracker.wait().await;
    };
    if timeout(SHUTDOWN_DEADLINE, drained).await.is_err() {
        tracing::warn!("not everything has ended in time; stopping anyway");
    }
    spans::end().await;
    Ok(())
}

/// `::` takes IPv4 as well and is what a cluster with IPv6 only needs; some kernels have no IPv6 at all.
async fn bind(port: u16) -> io::Result<TcpListener> {
    let bound = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
        }
        other => other,
    };
    bound.map_err(|error| io::Error::new(error.kind(), format!("listening on port {port}: {error}")))
}

/// The limits and manners that every service's routes have; [`run`] applies it, tests may.
pub fn layered(app: Router) -> Router {
    app.fallback(|| async { Problem::not_found("there is no such route") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "The route has no such method")
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(limit_time))
        .layer(middleware::from_fn(unread::read))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(
            TraceLayer::new_for_http()
                // The usual one has the URL, and with that a user's id and what is searched for.
                .make_span_with(|request: &Request| tracing::debug_span!("request", method = %request.method()))
                .on_failure(DefaultOnFailure::new().level(tracing::Level::DEBUG)),
        )
        .layer(middleware::from_fn(telemetry::track))
}

async fn limit_time(request: Request, next: Next) -> Response {
    let limit = time_limit(request.uri().path());
    timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "It took too long")
            .detail(format!("no answer within {} s", limit.as_secs()))
            .into_response()
    })
}

fn time_limit(path: &str) -> Duration {
    let slow = SLOW_ROUTES
        .iter()
        .any(|route| path.strip_prefix(route).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    if slow { SLOW_REQUEST_TIMEOUT } else { REQUEST_TIMEOUT }
}

fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    // What it says may quote the request; where it was is in the log already.
    drop(cause);
    Problem::internal().into_response()
}

async fn wait_for_signal() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_wait_for_a_model_has_more_time() {
        for slow in ["/api/chat", "/mcp", "/mcp/"] {
            assert_eq!(time_limit(slow), SLOW_REQUEST_TIMEOUT, "{slow}");
        }
        for quick in ["/", "/api/chats", "/api/tasks", "/mcpx", "/reminders"] {
            assert_eq!(time_limit(quick), REQUEST_TIMEOUT, "{quick}");
        }
    }
}
