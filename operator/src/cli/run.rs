//! `todo-operator run`: the operator itself.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use kube::{Client, Config};
use todo_traces::{Collector, Endpoint, Traces, TracesError};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::client;
use crate::{
    controller::{Operator, Parts, Scope, watches::Watches},
    observe::Http,
    resolve::{Cidr, Settings},
    runtime::{
        events::Events,
        health::{self, Health},
        lease::{self, Candidate},
        metrics,
        telemetry::{self, LogFormat},
        traces,
    },
};

/// How long passes that are under way may take to end.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// How long a connection to the API server may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How often samples of metrics are put into their buckets.
const FOLDING: Duration = Duration::from_secs(5);
/// How long it may take until the API server begins to answer. It gives up by itself after a minute.
const ANSWER: Duration = Duration::from_secs(65);

/// What the operator is started with.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// The one namespace to work in; all if absent.
    #[arg(long, env = "WATCH_NAMESPACE")]
    watch_namespace: Option<String>,
    /// Namespaces that other operators work in, with commas between them.
    #[arg(long, env = "EXCLUDED_NAMESPACES", value_delimiter = ',', conflicts_with = "watch_namespace")]
    excluded_namespaces: Vec<String>,
    /// Seconds after which everything that is watched is listed anew. It makes up for events that got lost on their way,
    /// and costs the API server one list of each kind.
    #[arg(long, env = "RELIST_SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u32).range(5..))]
    relist_seconds: u32,
    /// Where health and metrics are served.
    #[arg(long, env = "MANAGEMENT_ADDRESS", default_value = "0.0.0.0:8080")]
    management_address: SocketAddr,
    /// Name of the Lease by which replicas elect a leader.
    #[arg(long, env = "LEASE_NAME", default_value = "todo-operator")]
    lease_name: String,
    /// Namespace of the Lease; the operator's own if absent.
    #[arg(long, env = "LEASE_NAMESPACE")]
    lease_namespace: Option<String>,
    /// Name of this replica; that of its pod.
    #[arg(long, env = "POD_NAME")]
    identity: Option<String>,
    /// How logs are written.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
    /// URL of a collector that spans are sent to by OTLP over HTTP, for example <http://collector.observability:4318>; none
    /// are made if absent.
    #[arg(long, env = "TRACING_ENDPOINT")]
    tracing_endpoint: Option<Endpoint>,
    /// Share of passes whose spans are sent, from 0 to 1.
    #[arg(long, env = "TRACING_SAMPLING_RATE", default_value_t = 1.0, value_parser = share)]
    tracing_sampling_rate: f64,
}

/// What the operator puts into the objects that it makes.
#[derive(Args, Clone, Debug)]
pub struct SettingsArgs {
    /// Where the services' images are.
    #[arg(long, env = "IMAGE_REGISTRY", default_value_t = Settings::default().image_registry)]
    image_registry: String,
    /// Tag of the services' images where a platform names none.
    #[arg(long, env = "OPERATOR_VERSION", default_value_t = Settings::default().operator_version)]
    operator_version: String,
    /// Image of embedded Kafka.
    #[arg(long, env = "KAFKA_IMAGE", default_value_t = Settings::default().kafka_image)]
    kafka_image: String,
    /// Image of embedded PostgreSQL.
    #[arg(long, env = "POSTGRES_IMAGE", default_value_t = Settings::default().postgres_image)]
    postgres_image: String,
    /// Namespace of the operator's own pods.
    #[arg(long, env = "OPERATOR_NAMESPACE", default_value_t = Settings::default().operator_namespace)]
    operator_namespace: String,
    /// Namespace of Dapr's control plane.
    #[arg(long, env = "DAPR_NAMESPACE", default_value_t = Settings::default().dapr_namespace)]
    dapr_namespace: String,
    /// Namespace of what scrapes metrics.
    #[arg(long, env = "MONITORING_NAMESPACE", default_value_t = Settings::default().monitoring_namespace)]
    monitoring_namespace: String,
    /// Ranges of addresses at which pods reach the API server, with commas between them. Network policies let sidecars reach
    /// these alone for it; every address if absent.
    #[arg(long, env = "API_SERVER_CIDRS", value_delimiter = ',')]
    api_server_cidrs: Vec<Cidr>,
}

impl From<SettingsArgs> for Settings {
    fn from(args: SettingsArgs) -> Self {
        Self {
            image_registry: args.image_registry.trim_end_matches('/').to_owned(),
            operator_version: args.operator_version,
            kafka_image: args.kafka_image,
            postgres_image: args.postgres_image,
            operator_namespace: args.operator_namespace,
            dapr_namespace: args.dapr_namespace,
            monitoring_namespace: args.monitoring_namespace,
            api_server: args.api_server_cidrs,
        }
    }
}

/// Works until it is told to stop.
pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    let identity = args.identity.clone().unwrap_or_else(|| format!("todo-operator-{:08x}", rand::random::<u32>()));
    let settings = Settings::from(args.settings.clone());
    let traces = args.traces(&identity, &settings.operator_version)?;
    telemetry::install(args.log_format, traces.as_ref());
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone()).context("cannot wait for signals")?;
    let metrics = metrics::install()?;
    tokio::spawn(metrics::fold_samples(metrics.clone(), FOLDING));

    let clients = Clients::infer().await?;
    let end_of_lease = CancellationToken::new();
    let candidate = args.candidate(&settings, &identity);
    let (leadership, campaign) = lease::campaign(clients.lease, candidate, end_of_lease.clone());
    let relist = Duration::from_secs(args.relist_seconds.into());
    let scope = Scope { namespace: args.watch_namespace, excluded: args.excluded_namespaces };
    let (namespace, excluded) = (&scope.namespace, &scope.excluded);
    info!(version = %settings.operator_version, %identity, ?namespace, ?excluded, "starting");
    let (events, publishing) = Events::start(clients.all.clone(), identity);
    let http = Http::new().context("cannot make an HTTP client")?;
    let parts = Parts { client: clients.all, http, settings, scope, relist, leadership: leadership.clone(), events };
    let operator = Operator::start(parts, &stop);
    let queue = operator.queue();
    let waiting: health::Waiting = Arc::new(move || queue.waiting(Instant::now()));
    let health = Health { missing: missing(operator.watches()), waiting, metrics, leadership };
    health::serve(args.management_address, health, stop.clone()).await?;

    if ends_in_time(operator.run(stop.clone()), stop).await {
        publishing.end().await;
        // Only then is the lease given back: until the last pass has ended and is told of, this replica may still write.
        end_of_lease.cancel();
        if let Err(error) = campaign.await {
            warn!(%error, "the election did not end well");
        }
    } else {
        warn!("passes did not end within {SHUTDOWN:?}; the lease runs out by itself");
    }
    if let Some(traces) = traces {
        traces.end().await;
    }
    info!("stopped");
    Ok(())
}

impl RunArgs {
    /// Begins to send spans, if somebody wants them.
    fn traces(&self, identity: &str, version: &str) -> Result<Option<Traces>, TracesError> {
        let Some(endpoint) = self.tracing_endpoint.clone() else { return Ok(None) };
        let collector = Collector { endpoint, sampling_rate: self.tracing_sampling_rate };
        traces::start(&collector, identity, version).map(Some)
    }

    /// What this replica takes part in the election as.
    fn candidate(&self, settings: &Settings, identity: &str) -> Candidate {
        Candidate {
            namespace: self.lease_namespace.clone().unwrap_or_else(|| settings.operator_namespace.clone()),
            lease: self.lease_name.clone(),
            identity: identity.to_owned(),
        }
    }
}

/// Clients of the API server.
struct Clients {
    /// For the Lease. What fails is not tried again by itself, as that could outlive the lease.
    lease: Client,
    /// For all else.
    all: Client,
}

impl Clients {
    /// By kubeconfig or, in a pod, by the pod's account.
    async fn infer() -> anyhow::Result<Self> {
        const NONE: &str = "cannot make a client of the API server";
        let mut config = Config::infer().await.context("cannot find out how to reach the API server")?;
        config.connect_timeout = Some(CONNECT);
        let all = client::answered_within(ANSWER, config.clone()).context(NONE)?;
        config.default_retry = false;
        Ok(Self { lease: Client::try_from(config).context(NONE)?, all })
    }
}

/// Goes through passes until `stop`, and returns whether those that were under way ended soon enough.
async fn ends_in_time(passes: impl Future<Output = ()>, stop: CancellationToken) -> bool {
    tokio::select! {
        () = passes => true,
        () = async { stop.cancelled().await; tokio::time::sleep(SHUTDOWN).await } => false,
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a number from 0 to 1".to_owned())
}

/// What keeps this replica from working: watches that fail, by kind and with the API server's words.
fn missing(watches: Arc<Watches>) -> health::Missing {
    Arc::new(move || {
        let failing = watches.failing();
        if failing.is_empty() && !watches.are_complete() {
            return vec!["the first look at the cluster is not complete".to_owned()];
        }
        failing.into_iter().map(|(kind, why)| format!("cannot watch {kind}: {why}")).collect()
    })
}

fn stop_on_signal(stop: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("stopping");
        stop.cancel();
    });
    Ok(())
}
