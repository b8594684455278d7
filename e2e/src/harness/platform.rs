//! A platform as its user sees it.

use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use todo_crds::platform::TodoPlatform;

use super::{Forward, Namespace, http::Http, until};

/// A platform in a namespace.
#[derive(Clone)]
pub struct Platform {
    /// Where it is.
    pub namespace: Namespace,
    /// Its name.
    pub name: String,
}

impl Platform {
    /// How long a platform may take from nothing to Ready: images are on the nodes, so most of it is Kafka and
    /// PostgreSQL making their data.
    pub const READY: Duration = Duration::from_mins(5);

    /// How soon a broker or a database that hangs is told, as the documents promise.
    pub const NOTICED: Duration = Duration::from_secs(15);

    /// Applies a platform of this name and spec, as `kubectl apply --server-side` does.
    pub async fn apply(namespace: &Namespace, name: &str, spec: Value) -> anyhow::Result<Self> {
        let platform = json!({
            "apiVersion": "todoplatform.dev/v1alpha1",
            "kind": "TodoPlatform",
            "metadata": {"name": name},
            "spec": spec,
        });
        let parameters = PatchParams::apply("e2e").force();
        namespace.api::<TodoPlatform>().patch(name, &parameters, &Patch::Apply(platform)).await?;
        Ok(Self { namespace: namespace.clone(), name: name.to_owned() })
    }

    /// As it is now.
    pub async fn get(&self) -> anyhow::Result<TodoPlatform> {
        Ok(self.namespace.api::<TodoPlatform>().get(&self.name).await?)
    }

    /// One of its conditions, if it is about the present spec.
    pub async fn condition(&self, kind: &str) -> anyhow::Result<Option<Condition>> {
        let platform = self.get().await?;
        let generation = platform.metadata.generation;
        let conditions = platform.status.map(|status| status.conditions).unwrap_or_default();
        Ok(conditions.into_iter().find(|one| one.type_ == kind && one.observed_generation == generation))
    }

    /// Waits for a condition to have this status, and returns it.
    pub async fn wait(&self, kind: &str, status: &str, limit: Duration) -> anyhow::Result<Condition> {
        let what = format!("{kind}={status} of platform {} in {}", self.name, self.namespace.name);
        until(&what, limit, async || Ok(self.condition(kind).await?.filter(|one| one.status == status))).await
    }

    /// Waits until it is Ready.
    pub async fn ready(&self) -> anyhow::Result<Condition> {
        self.wait("Ready", "True", Self::READY).await
    }

    /// Waits until it is told not to be ready, and fails if that was later than `NOTICED` after `since`: by the condition's own
    /// time, so that it does not count how long it takes to be seen here.
    pub async fn unready_soon_after(&self, since: Timestamp) -> anyhow::Result<Condition> {
        let unready = self.wait("Ready", "False", Self::NOTICED * 2).await?;
        let after = unready.last_transition_time.0.duration_since(since);
        anyhow::ensure!(after <= Self::NOTICED.try_into()?, "told after {after:#}: {unready:?}");
        Ok(unready)
    }

    /// Deletes it and waits until it has gone.
    pub async fn delete(&self) -> anyhow::Result<()> {
        let api = self.namespace.api::<TodoPlatform>();
        api.delete(&self.name, &DeleteParams::default()).await?;
        until("the platform has gone", Duration::from_mins(1), async || {
            Ok(api.get_opt(&self.name).await?.is_none().then_some(()))
        })
        .await
    }

    /// A client of a port of one of its apps.
    pub async fn http(&self, app: &str, port: u16) -> anyhow::Result<Http> {
        Http::new(Forward::to_app(&self.namespace.env.client, &self.namespace.name, app, port).await?)
    }

    /// The page and the API behind it, as a person reaches them.
    pub async fn page(&self) -> anyhow::Result<Http> {
        self.http("frontend-service", 8080).await
    }

    /// The same by connections that are kept, for many calls while the page's pod stays.
    pub async fn busy_page(&self) -> anyhow::Result<Http> {
        Http::keeping(
            Forward::to_app(&self.namespace.env.client, &self.namespace.name, "frontend-service", 8080).await?,
        )
    }

    /// The sidecar of one of its apps, as the app reaches it.
    pub async fn sidecar(&self, app: &str) -> anyhow::Result<Http> {
        self.http(app, 3500).await
    }

    /// A value of one of its Secrets.
    pub async fn secret(&self, name: &str, key: &str) -> anyhow::Result<String> {
        let secret = self.namespace.api::<Secret>().get(name).await?;
        let value = secret.data.as_ref().and_then(|data| data.get(key));
        let value = value.ok_or_else(|| anyhow::anyhow!("Secret {} has no key {key}", secret.name_any()))?;
        Ok(String::from_utf8(value.0.clone())?)
    }

    /// A connection to its embedded database, by a way that is open as long as the second is kept.
    pub async fn database(&self) -> anyhow::Result<(PgConnection, Forward)> {
        let url = self.secret("postgres-connection", "connection-string").await?;
        let mut url: reqwest::Url = url.parse().context("the connection string is no URL")?;
        let forward = Forward::to_pod(&self.namespace.env.client, &self.namespace.name, "postgres-0", 5432).await?;
        url.set_host(Some("127.0.0.1"))?;
        url.set_port(Some(forward.address().port())).ok().context("a URL without port")?;
        Ok((PgConnection::connect(url.as_str()).await?, forward))
    }
}
