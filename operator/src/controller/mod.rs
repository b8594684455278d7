//! The controller: what sets a pass off, and the loop around it.

mod isolation;
mod kinds;
mod memory;
mod notices;
mod pace;
#[cfg(test)]
mod panic_tests;
mod pass;
mod queue;
mod reconcile;
mod report;
mod unreadable;
pub mod watches;
mod write;

use std::{
    convert::Infallible,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt, TryStreamExt, future, stream};
use kube::{Api, Client, Resource};
use kube_runtime::{
    Config, Controller, WatchStreamExt,
    controller::{Action as ControllerAction, Error as ControllerError},
    predicates,
    reflector::{self, ObjectRef, Store},
    utils::{Predicate, PredicateConfig},
    watcher,
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::{
    apply,
    class::Class,
    observe::Http,
    resolve::Settings,
    runtime::{events::Events, lease::Leadership, metrics},
};
use memory::{Memories, holders::Holders};
pub use queue::Queue;
use queue::{Action, name};
pub use unreadable::{Guarded, Unreadable};
pub use watches::Scope;
use watches::{Watches, relist};

/// What became of a pass.
type Passed = Result<(ObjectRef<Guarded>, ControllerAction), ControllerError<Infallible, watcher::Error>>;

/// Passes at the same time, most of which wait: for a place to work in, or for pods that do not answer.
const CONCURRENCY: u16 = 256;
/// How long a pass may take with all that belongs to it. It has shorter limits of its own.
const PASS: Duration = Duration::from_mins(3);
/// Changes that come together set off one pass. Those that come during a pass set off the next one anyway, so this is only
/// for what comes at one moment.
const DEBOUNCE: Duration = Duration::from_millis(5);
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
    lanes: apply::Lanes,
    places: isolation::Places,
    events: Events,
    memories: Memories,
    holders: Holders,
    queue: Queue,
    triggers: mpsc::Sender<ObjectRef<Guarded>>,
}

impl Context {
    /// Sets off a pass, when awaited.
    fn set_off(&self, platform: ObjectRef<Guarded>) -> impl Future<Output = ()> + Send + 'static + use<> {
        let triggers = self.triggers.clone();
        async move {
            // Fails only when the controller is gone.
            let _ = triggers.send(platform).await;
        }
    }

    fn note_due(&self, platform: &ObjectRef<Guarded>) {
        let name = (platform.namespace.clone().unwrap_or_default(), platform.name.clone());
        self.queue.schedule(name, Instant::now() + DEBOUNCE);
    }

    fn note_all_due(&self) {
        for platform in self.platforms.state() {
            self.note_due(&ObjectRef::from_obj(&*platform));
        }
    }
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
    /// How often what is watched is listed anew.
    pub relist: Duration,
    /// Whether this replica may write.
    pub leadership: Leadership,
    /// Where events go.
    pub events: Events,
}

/// A controller whose watches run already, so that one that does not lead is warm when it begins to.
pub struct Operator {
    context: Arc<Context>,
    scope: Scope,
    relist: Duration,
    writer: reflector::store::Writer<Guarded>,
    triggers: mpsc::Receiver<ObjectRef<Guarded>>,
}

impl Operator {
    /// Begins to watch.
    pub fn start(parts: Parts, stop: &CancellationToken) -> Self {
        let (sender, triggers) = mpsc::channel(TRIGGERS);
        let (platforms, writer) = reflector::store();
        let dapr_namespace = parts.settings.dapr_namespace.clone();
        let config = watches::WatchConfig { scope: parts.scope.clone(), dapr_namespace, relist: parts.relist };
        let watches = Watches::start(parts.client.clone(), config, sender.clone(), stop.child_token());
        let context = Arc::new(Context {
            client: parts.client,
            settings: parts.settings,
            http: parts.http,
            watches,
            platforms,
            leadership: parts.leadership,
            lanes: apply::Lanes::default(),
            places: isolation::Places::default(),
            events: parts.events,
            memories: Memories::default(),
            holders: Holders::default(),
            queue: Queue::default(),
            triggers: sender,
        });
        Self { context, scope: parts.scope, relist: parts.relist, writer, triggers }
    }

    /// The watches, for the readiness of this process.
    pub fn watches(&self) -> Arc<Watches> {
        Arc::clone(&self.context.watches)
    }

    /// The platforms that wait for a pass, for the metrics of this process.
    pub fn queue(&self) -> Queue {
        self.context.queue.clone()
    }

    /// Works until `stop`, then ends the passes that are under way.
    pub async fn run(self, stop: CancellationToken) {
        let context = self.context;
        let platforms = platforms(&context, &self.scope, self.relist, self.writer);
        let (one, all) = (Arc::clone(&context), Arc::clone(&context));
        let for_all = stream::select(leads(context.leadership.clone()), changes(context.watches.cluster()));
        let controller = Controller::for_stream(platforms, context.platforms.clone())
            .with_config(Config::default().debounce(DEBOUNCE).concurrency(CONCURRENCY))
            .reconcile_on(received(self.triggers).inspect(move |platform| one.note_due(platform)))
            .reconcile_all_on(for_all.inspect(move |()| all.note_all_due()))
            .graceful_shutdown_on(stop.cancelled_owned());
        let queue = context.queue.clone();
        passes(controller, context, queue.clone(), reconcile::reconcile)
            .for_each(|result| {
                note(&result, &queue);
                future::ready(())
            })
            .await;
    }
}

/// The passes of a controller. One that panics, even where it says what went wrong, ends no other.
fn passes<C, F>(
    controller: Controller<Guarded>,
    context: Arc<C>,
    queue: Queue,
    pass: impl Fn(Arc<Guarded>, Arc<C>) -> F + Clone + Send + Sync + 'static,
) -> impl Stream<Item = Passed>
where
    C: Send + Sync + 'static,
    F: Future<Output = Action> + Send + 'static,
{
    let contained = move |platform: Arc<Guarded>, context: Arc<C>| {
        let (pass, queue, waited_for) = (pass.clone(), queue.clone(), name(platform.meta()));
        async move {
            metrics::waited(queue.begin(&waited_for, Instant::now()));
            let name = ObjectRef::from_obj(&*platform);
            let action = isolation::contained(PASS, async { pass(platform, context).await }).await;
            let action = action.unwrap_or_else(|why| {
                metrics::error(Class::Bug);
                error!(platform = %name, ?why, "a mistake in the operator ended a pass");
                Action::requeue(pace::FOR_A_PERSON)
            });
            queue.end(waited_for, action, Instant::now());
            Ok::<_, Infallible>(action.into())
        }
    };
    controller.run(contained, |_, never, _| match *never {}, context)
}

fn note(result: &Passed, queue: &Queue) {
    match result {
        Ok(_) => {}
        // Its children are still going while it is gone already.
        Err(ControllerError::ObjectNotFound(platform)) => {
            queue.forget(&(platform.namespace.clone().unwrap_or_default(), platform.name.clone()));
            debug!(%platform, "gone");
        }
        Err(error) => {
            metrics::error(Class::Bug);
            error!(%error, "the controller failed");
        }
    }
}

/// Platforms that are new or changed.
fn platforms(
    context: &Arc<Context>,
    scope: &Scope,
    period: Duration,
    writer: reflector::store::Writer<Guarded>,
) -> impl Stream<Item = watcher::Result<Guarded>> + Send + 'static {
    let api: Api<Guarded> =
        scope.api(|| Api::all(context.client.clone()), |namespace| Api::namespaced(context.client.clone(), namespace));
    let (context, watches) = (Arc::clone(context), Arc::clone(&context.watches));
    let events = relist::watch(api, scope.narrow(watcher::Config::default()), period)
        .modify(|platform| platform.meta_mut().managed_fields = None)
        .inspect(move |event| watches.note_platforms(event));
    news(events, writer).inspect_ok(move |platform| context.note_due(&ObjectRef::from_obj(platform)))
}

/// Platforms that are new or changed, once the store of `writer` has them. Not those whose status alone did: each pass would
/// set off the next.
fn news(
    events: impl Stream<Item = watcher::Result<watcher::Event<Guarded>>> + Send + 'static,
    writer: reflector::store::Writer<Guarded>,
) -> impl Stream<Item = watcher::Result<Guarded>> + Send + 'static {
    let mut listed = Vec::new();
    let stored = move |event| {
        let stored = match event {
            Ok(watcher::Event::Init) => {
                // Of a list that failed nothing is stored.
                listed.clear();
                Vec::new()
            }
            Ok(watcher::Event::InitApply(platform)) => {
                listed.push(platform);
                Vec::new()
            }
            Ok(watcher::Event::InitDone) => std::mem::take(&mut listed),
            Ok(watcher::Event::Apply(platform)) => vec![platform],
            // The controller would hold up all its streams for an error in one of them.
            Ok(watcher::Event::Delete(_)) | Err(_) => Vec::new(),
        };
        stream::iter(stored.into_iter().map(Ok))
    };
    events.reflect(writer).flat_map(stored).predicate_filter(
        predicates::generation.combine(predicates::annotations).combine(predicates::labels),
        PredicateConfig::default(),
    )
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn platform(name: &str) -> Guarded {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "ns"}, "spec": {}})).unwrap()
    }

    #[tokio::test]
    async fn a_pass_that_panics_ends_no_other() {
        let (store, mut writer) = reflector::store();
        let all = ["poisoned", "well"].map(platform);
        writer.apply_watcher_event(&watcher::Event::Init);
        for platform in &all {
            writer.apply_watcher_event(&watcher::Event::InitApply(platform.clone()));
        }
        writer.apply_watcher_event(&watcher::Event::InitDone);
        let controller = Controller::for_stream(stream::iter(all.map(Ok)).chain(stream::pending()), store);
        let passes = passes(controller, Arc::new(()), Queue::default(), |platform, _: Arc<()>| async move {
            assert_eq!(platform.meta().name.as_deref(), Some("well"), "as a test wants it");
            Action::await_change()
        });
        let mut names: Vec<_> = passes.take(2).map(|passed| passed.unwrap().0.name).collect().await;
        names.sort();
        assert_eq!(names, ["poisoned", "well"]);
    }

    #[tokio::test]
    async fn a_platform_that_was_made_while_nobody_watched_has_its_pass_however_long_the_list_takes() {
        use watcher::Event::{Init, InitApply, InitDone};
        let (store, writer) = reflector::store();
        let before = [Init, InitApply(platform("old")), InitDone];
        let first_pages = [Init, InitApply(platform("old")), InitApply(platform("new"))];
        let failed = stream::iter([Err(watcher::Error::NoResourceVersion)]);
        let last_page = stream::once(async {
            tokio::time::sleep(10 * DEBOUNCE).await;
            Ok(InitDone)
        });
        let events = stream::iter(before.map(Ok))
            .chain(stream::iter(first_pages.clone().map(Ok)))
            .chain(failed)
            .chain(stream::iter(first_pages.map(Ok)))
            .chain(last_page)
            .chain(stream::pending());
        let controller =
            Controller::for_stream(news(events, writer), store).with_config(Config::default().debounce(DEBOUNCE));
        let passes =
            passes(controller, Arc::new(()), Queue::default(), |_, _: Arc<()>| async { Action::await_change() });
        let names: Vec<_> = passes.take(2).map(|passed| passed.unwrap().0.name).collect().await;
        assert_eq!(names, ["old", "new"]);
    }
}
