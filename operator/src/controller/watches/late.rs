//! Kinds that come and go while the operator runs.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use kube::core::DynamicObject;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::{Watches, cache::Cache, late_kinds};
use crate::{
    dereference::cluster::{self, Cluster, Injector},
    plan::slim::Slim,
};

/// How soon the cluster is asked again for what it has never answered. At first all passes wait for that.
const ASK_UNTIL_KNOWN: Duration = Duration::from_secs(3);
/// How soon the cluster is asked again for parts that are not there yet.
const ASK_WHILE_MISSING: Duration = Duration::from_secs(15);
/// How soon the cluster is asked again when all parts are there.
const ASK_WHEN_COMPLETE: Duration = Duration::from_mins(1);
/// How long a kind may take for its first list before it is told that the cluster has it.
const FIRST_LIST: Duration = Duration::from_secs(10);
/// Between two looks at whether it is complete.
const LOOK: Duration = Duration::from_millis(20);

impl Watches {
    /// A platform waits for a kind that may come late: the cluster is asked as often as if Dapr's were missing.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    async fn hurried(&self) {
        self.hurry.notified().await;
        sleep(ASK_WHILE_MISSING).await;
    }

    /// Begins to watch a kind when its CRD appears and ends when it goes.
    pub(super) async fn look_for_late_kinds(&self) {
        loop {
            let before = self.cluster.borrow().clone();
            let now = tokio::select! {
                now = cluster::read(&self.client, &self.config.dapr_namespace, &before) => now,
                () = self.stop.cancelled() => return,
            };
            let complete = now.missing_dapr_kinds().is_empty()
                && matches!(now.injector, Injector::Ready { .. } | Injector::Unknown);
            let wait = match (now.is_known(), complete) {
                (false, _) => ASK_UNTIL_KNOWN,
                (true, false) => ASK_WHILE_MISSING,
                (true, true) => ASK_WHEN_COMPLETE,
            };
            self.take_in(&before, now).await;
            tokio::select! {
                () = sleep(wait) => {}
                () = self.hurried() => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Publishes what the cluster serves now. A new kind is published only after its first list, or it would look
    /// unwatchable.
    async fn take_in(&self, before: &Cluster, now: Cluster) {
        let (begun, is_known) = (self.follow(&before.served, &now.served), now.is_known());
        let listed = async {
            while !begun.iter().all(|cache| cache.is_complete()) {
                sleep(LOOK).await;
            }
        };
        // What cannot be listed is told of then.
        let _ = timeout(FIRST_LIST, listed).await;
        self.cluster.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed
        });
        // Once known, it stays so.
        self.asked.fetch_or(is_known, Ordering::Release);
    }

    /// Begins to watch what has come, and ends to watch what has gone. Returns what will be known of the former.
    fn follow(&self, before: &BTreeSet<String>, now: &BTreeSet<String>) -> Vec<Arc<Cache<DynamicObject, Slim>>> {
        let mut begun = Vec::new();
        for resource in late_kinds().into_iter().filter(|resource| now.contains(&resource.kind)) {
            if !self.kinds().contains_key(&resource.kind) {
                info!(kind = %resource.kind, "the cluster has this kind now; watching it");
                begun.push(self.add(resource));
            }
        }
        for kind in before.difference(now) {
            let mut kinds = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(watched) = kinds.remove(kind) {
                warn!(%kind, "the cluster has lost this kind");
                watched.stop.cancel();
                self.failing.note_success(kind);
            }
        }
        begun
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::http::{Request, Response, StatusCode};
    use kube::{Client, client::Body};
    use serde_json::json;
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::controller::{Scope, watches::WatchConfig};

    /// How long the lists of kinds take that come late.
    const SLOW: Duration = Duration::from_millis(200);

    /// Has no object, and lists those of other kinds than Kubernetes' own slowly.
    async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        if query.contains("watch=") {
            std::future::pending::<()>().await;
        }
        if path.contains("strimzi") {
            sleep(SLOW).await;
        }
        let (status, body) = if query.is_empty() {
            let missing =
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404});
            (StatusCode::NOT_FOUND, missing)
        } else {
            (
                StatusCode::OK,
                json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "2"}, "items": []}),
            )
        };
        let mut response = Response::new(Body::from(body.to_string().into_bytes()));
        *response.status_mut() = status;
        Ok(response)
    }

    fn watch<S>(server: S) -> Arc<Watches>
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send + 'static,
        S::Future: Send,
    {
        let config = WatchConfig {
            scope: Scope::default(),
            dapr_namespace: "dapr-system".to_owned(),
            relist: Duration::from_mins(30),
        };
        Watches::start(Client::new(server, "default"), config, mpsc::channel(1).0, CancellationToken::new())
    }

    #[tokio::test]
    async fn the_cluster_is_not_known_before_each_question_has_an_answer() {
        let watches = watch(tower::service_fn(|request: Request<Body>| async {
            let is_of_strimzi = request.uri().path().contains("strimzi");
            let mut response = answer(request).await?;
            if is_of_strimzi {
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                *response.body_mut() = Body::empty();
            }
            Ok(response)
        }));
        let before = watches.cluster().borrow().clone();
        watches.take_in(&before, cluster::read(&watches.client, "dapr-system", &before).await).await;
        assert!(!watches.asked.load(Ordering::Acquire));
    }

    #[tokio::test]
    async fn a_kind_that_comes_is_told_of_when_its_objects_are_known() {
        let watches = watch(tower::service_fn(answer));
        while !watches.asked.load(Ordering::Acquire) {
            sleep(LOOK).await;
        }
        let before = watches.cluster().borrow().clone();
        let served = todo_crds::strimzi::KINDS.map(str::to_owned).into();
        watches.take_in(&before, Cluster { served, ..before.clone() }).await;
        let known = watches.live("ns").resources;
        assert!(watches.cluster().borrow().served.contains("Kafka"));
        assert!(todo_crds::strimzi::KINDS.iter().all(|kind| known.contains_key(*kind)), "{:?}", known.keys());
    }
}
