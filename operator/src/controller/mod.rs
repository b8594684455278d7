//! The controller: what sets a pass off, and the loop around it.

mod backoff;
pub mod cache;
mod kinds;
mod memory;
mod notices;
mod pace;
mod reconcile;
mod scope;
pub mod watches;

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, future, stream};
use kube::{Api, Client, Resource, core::DeserializeGuard};
use kube_runtime::{
    Config, Controller, WatchStreamExt,
    controller::Error as ControllerError,
    predicates,
    reflector::{self, ObjectRef, Store},
    utils::{Predicate, PredicateConfig},
    watcher,
};
use todo_crds::platform::TodoPlatform;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::{
    class::Class,
    observe::Http,
    resolve::Settings,
    runtime::{events::Events, lease::Leadership, metrics},
};
use memory::Memories;
pub use scope::Scope;
use watches::Watches;

/// A platform, or what is left of one that cannot be read.
pub type Guarded = DeserializeGuard<TodoPlatform>;

/// Passes at the same time.
const CONCURRENCY: u16 = 16;
/// Changes that come together set off one pass.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Changes that may wait for the controller.
const TRIGGERS: usize = 1024;

/// All that a pass needs.
pub struct Context {
    client: Client,
    settings: Settings,
    http: Http,
    watches: Arc<Watches>,
    platforms: Store<Guarded>,
    leadership: Leadership,
    events: Events,
    memories: Memories,
}

/// What a controller is made of.
pub struct Parts {
    /// For the API server.
    pub client: Client,
    /// For pods.
    pub http: Http,
    /// What the operator was started with.
    pub settings: Settings,
    /// Where to work.
    pub scope: Scope,
    /// Whether this replica may write.
    pub leadership: Leadership,
    /// Where events go.
    pub events: Events,
}

/// A controller whose watches run already, so that one that does not lead is warm when it begins to.
pub struct Operator {
    context: Arc<Context>,
    scope: Scope,
    writer: reflector::store::Writer<Guarded>,
    triggers: mpsc::Receiver<ObjectRef<Guarded>>,
}

impl Operator {
    /// Begins to watch.
    pub fn start(parts: Parts, stop: &CancellationToken) -> Self {
        let (sender, triggers) = mpsc::channel(TRIGGERS);
        let (platforms, writer) = reflector::store();
        let dapr_namespace = parts.settings.dapr_namespace.clone();
        let watches =
            Watches::start(parts.client.clone(), parts.scope.clone(), dapr_namespace, sender, stop.child_token());
        let context = Arc::new(Context {
            client: parts.client,
            settings: parts.settings,
            http: parts.http,
            watches,
            platforms,
            leadership: parts.leadership,
            events: parts.events,
            memories: Memories::default(),
        });
        Self { context, scope: parts.scope, writer, triggers }
    }

    /// The watches, for the readiness of this process.
    pub fn watches(&self) -> Arc<Watches> {
        Arc::clone(&self.context.watches)
    }

    /// Works until `stop`, then ends the passes that are under way.
    pub async fn run(self, stop: CancellationToken) {
        let context = self.context;
        let platforms = platforms(&context, &self.scope, self.writer);
        let controller = Controller::for_stream(platforms, context.platforms.clone())
            .with_config(Config::default().debounce(DEBOUNCE).concurrency(CONCURRENCY))
            .reconcile_on(received(self.triggers))
            .reconcile_all_on(leads(context.leadership.clone()))
            .reconcile_all_on(changes(context.watches.cluster()))
            .graceful_shutdown_on(stop.cancelled_owned());
        let passes = controller.run(
            |platform, context| async move { Ok::<_, Infallible>(reconcile::reconcile(platform, context).await) },
            |_, never, _| match *never {},
            Arc::clone(&context),
        );
        passes
            .for_each(|result| {
                note(&result);
                future::ready(())
            })
            .await;
    }
}

fn note<T>(result: &Result<T, ControllerError<Infallible, watcher::Error>>) {
    match result {
        Ok(_) => {}
        // Its children are still going while it is gone already.
        Err(ControllerError::ObjectNotFound(platform)) => debug!(%platform, "gone"),
        Err(error) => {
            metrics::error(Class::Bug);
            error!(%error, "the controller failed");
        }
    }
}

/// Platforms that are new or changed. Not those whose status alone did: each pass would set off the next.
fn platforms(
    context: &Arc<Context>,
    scope: &Scope,
    writer: reflector::store::Writer<Guarded>,
) -> impl Stream<Item = watcher::Result<Guarded>> + Send + 'static {
    let api: Api<Guarded> =
        scope.api(|| Api::all(context.client.clone()), |namespace| Api::namespaced(context.client.clone(), namespace));
    let watches = Arc::clone(&context.watches);
    watcher(api, scope.narrow(watcher::Config::default()))
        .default_backoff()
        .modify(|platform| platform.meta_mut().managed_fields = None)
        .reflect(writer)
        .applied_objects()
        .predicate_filter(
            predicates::generation.combine(predicates::annotations).combine(predicates::labels),
            PredicateConfig::default(),
        )
        // The controller would hold up all its streams for an error in one of them.
        .filter_map(move |result| {
            watches.note("TodoPlatform", result.as_ref().err());
            future::ready(result.ok().map(Ok))
        })
}

fn received<T: Send + 'static>(receiver: mpsc::Receiver<T>) -> impl Stream<Item = T> + Send + 'static {
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) })
}

fn leads(leadership: Leadership) -> impl Stream<Item = ()> + Send + 'static {
    stream::unfold(leadership, |mut leadership| async move {
        leadership.gained().await;
        Some(((), leadership))
    })
}

fn changes<T: Send + Sync + 'static>(receiver: watch::Receiver<T>) -> impl Stream<Item = ()> + Send + 'static {
    stream::unfold(receiver, |mut receiver| async move {
        receiver.changed().await.ok()?;
        Some(((), receiver))
    })
}
