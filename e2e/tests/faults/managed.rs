//! Kafka and PostgreSQL that other operators run. Their kinds are the real ones; their operators are not here, so that what
//! they would write is written by the test.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Secret},
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use todo_crds::{cloud_native_pg, platform::TodoPlatform, strimzi};
use todo_e2e::{
    faults::{APPS, Ground, SETTLED},
    harness::until,
    proxy::Proxy,
};

use crate::support::{Granted, beside_others, copy_as_stranger};

/// Every object that is asked of another operator.
const ASKED: [(&str, &str); 9] = [
    ("Kafka", "kafka"),
    ("KafkaNodePool", "broker"),
    ("KafkaNodePool", "controller"),
    ("KafkaUser", "kafka-client"),
    ("KafkaTopic", "reminders"),
    ("KafkaTopic", "reminders-dead"),
    ("KafkaTopic", "task-events"),
    ("KafkaTopic", "task-events-dead"),
    ("Cluster", "postgres"),
];

/// A namespace with a platform whose Kafka and PostgreSQL others run.
struct Scene<'a> {
    client: &'a Client,
    namespace: &'a str,
}

impl Scene<'_> {
    fn objects(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), self.namespace, &resource(kind))
    }

    async fn make(&self) -> anyhow::Result<()> {
        let spec = json!({"kafka": {"strimzi": {}}, "postgres": {"cloudNativePg": {"instances": 2}}});
        Ground::make_platform_of(self.client, self.namespace, &spec).await
    }

    /// Waits until `InfrastructureReady` has this reason, and says in which words.
    async fn told(&self, reason: &str) -> anyhow::Result<String> {
        let api: Api<TodoPlatform> = Api::namespaced(self.client.clone(), self.namespace);
        let find = async |type_: &str| -> anyhow::Result<Option<Condition>> {
            let conditions = api.get("todo").await?.status.map(|status| status.conditions).unwrap_or_default();
            Ok(conditions.into_iter().find(|condition| condition.type_ == type_))
        };
        until(&format!("InfrastructureReady has the reason {reason}"), SETTLED, || async {
            let condition = find("InfrastructureReady").await?;
            anyhow::ensure!(condition.as_ref().is_some_and(|one| one.reason == reason), "it is {condition:?}");
            Ok(condition.map(|condition| condition.message))
        })
        .await
    }

    /// Writes what an operator says about an object.
    async fn say(&self, kind: &str, name: &str, status: &Value) -> anyhow::Result<()> {
        let patch = json!({"status": status});
        self.objects(kind).patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Writes a condition as Strimzi does, for the object as it is now.
    async fn say_of_strimzi(&self, kind: &str, name: &str, condition: &Value) -> anyhow::Result<()> {
        let generation = self.objects(kind).get(name).await?.metadata.generation;
        self.say(kind, name, &json!({"observedGeneration": generation, "conditions": [condition]})).await
    }

    async fn secret(&self, name: &str, data: &Value) -> anyhow::Result<()> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace);
        let secret = json!({"metadata": {"name": name}, "stringData": data});
        api.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        Ok(())
    }

    async fn uids(&self) -> anyhow::Result<BTreeMap<String, Option<String>>> {
        let mut uids = BTreeMap::new();
        for (kind, name) in ASKED {
            uids.insert(format!("{kind}/{name}"), self.objects(kind).get(name).await?.metadata.uid);
        }
        Ok(uids)
    }

    async fn services(&self) -> anyhow::Result<()> {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), self.namespace);
        until("every service is made", SETTLED, || async {
            for app in APPS {
                api.get(app).await?;
            }
            Ok(Some(()))
        })
        .await
    }
}

fn resource(kind: &str) -> ApiResource {
    let group_version =
        if kind == cloud_native_pg::KIND { cloud_native_pg::GROUP_VERSION } else { strimzi::GROUP_VERSION };
    let (group, version) = group_version.split_once('/').unwrap();
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// Plurals of their kinds with their groups, as rights have them.
const RESOURCES: [&str; 5] = [
    "kafkas.kafka.strimzi.io",
    "kafkanodepools.kafka.strimzi.io",
    "kafkausers.kafka.strimzi.io",
    "kafkatopics.kafka.strimzi.io",
    "clusters.postgresql.cnpg.io",
];

/// Writes of each object of other operators, by the operator.
fn writes(proxy: &Proxy, namespace: &str) -> BTreeMap<String, usize> {
    let theirs = RESOURCES.map(|resource| resource.split('.').next().unwrap_or_default());
    let (ledger, mut writes) = (proxy.ledger().in_namespace(namespace), BTreeMap::new());
    for entry in ledger.work().filter(|entry| theirs.contains(&entry.target.resource.as_str())) {
        *writes.entry(entry.target.to_string()).or_default() += 1;
    }
    writes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_run_is_asked_for_when_their_kinds_come_followed_in_their_words_and_kept() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (client, walk, other) = (&ground.client, ground.walk(0).await?, ground.walk(1).await?);
    let scene = Scene { client, namespace: &walk.namespace };
    let granted = Granted::install(&ground).await?;
    let (proxy, operator) = granted.operator(&ground).await?;
    scene.make().await?;

    let message = scene.told("StrimziMissing").await?;
    anyhow::ensure!(message.contains("Kafka, KafkaNodePool, KafkaTopic and KafkaUser"), "{message}");
    ground.plane.install_kinds("strimzi").await?;
    let message = scene.told("CloudNativePgMissing").await?;
    anyhow::ensure!(message.contains("Cluster of postgresql.cnpg.io/v1"), "{message}");
    ground.plane.install_kinds("cloud-native-pg").await?;
    let message = scene.told("Starting").await?;
    anyhow::ensure!(message.contains("Strimzi has not taken it up yet"), "{message}");
    let asked = until("everything is asked for", SETTLED, || async { scene.uids().await.map(Some) }).await?;

    // The reason that Strimzi gives is passed on, with the object.
    let failed = json!({"type": "NotReady", "status": "True", "reason": "InvalidResourceException", "message": "no storage class"});
    scene.say_of_strimzi("Kafka", "kafka", &failed).await?;
    let message = scene.told("InvalidResourceException").await?;
    anyhow::ensure!(message.contains("Kafka/kafka: no storage class"), "{message}");

    let ready = json!({"type": "Ready", "status": "True"});
    for (kind, name) in ASKED.into_iter().filter(|(kind, _)| *kind != "Cluster") {
        scene.say_of_strimzi(kind, name, &ready).await?;
    }
    scene.secret("kafka-client", &json!({"password": "one"})).await?;
    scene.secret("kafka-cluster-ca-cert", &json!({"ca.crt": "certificate"})).await?;
    let setting_up = json!({"phase": "Setting up primary"});
    scene.say("Cluster", "postgres", &setting_up).await?;
    let message = until("the cluster's phase is told", SETTLED, || async {
        let message = scene.told("Starting").await?;
        Ok(message.contains("Setting up primary").then_some(message))
    })
    .await?;
    anyhow::ensure!(message.contains("Cluster/postgres: Setting up primary; 0 of 2 are ready"), "{message}");
    let healthy = json!({"phase": "Cluster in healthy state", "readyInstances": 2, "currentPrimary": "postgres-1"});
    scene.say("Cluster", "postgres", &healthy).await?;
    scene.secret("postgres-app", &json!({"uri": "postgresql://todo:one@postgres-rw.ns:5432/todo"})).await?;
    scene.told("Ready").await?;
    scene.services().await?;

    // The API server took every field as it was written: what it had dropped would be written again.
    let written = writes(&proxy, scene.namespace);
    anyhow::ensure!(written.len() == ASKED.len() && written.values().all(|times| *times == 1), "{written:?}");

    // What they run goes on without the platform, and is the next one's.
    let platforms: Api<TodoPlatform> = Api::namespaced(client.clone(), scene.namespace);
    platforms.delete("todo", &DeleteParams::foreground()).await?;
    until("the platform and its services are gone", SETTLED, || async {
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), scene.namespace);
        let gone = platforms.get_opt("todo").await?.is_none() && deployments.get_opt(APPS[0]).await?.is_none();
        Ok(gone.then_some(()))
    })
    .await?;
    scene.make().await?;
    scene.services().await?;
    anyhow::ensure!(scene.uids().await? == asked, "they were made anew");
    let again = writes(&proxy, scene.namespace);
    anyhow::ensure!(again == written, "they were written again: {again:?}");

    // Those that somebody else made are looked at, and nothing is made of what needs them.
    for (kind, name) in ASKED {
        copy_as_stranger(client, &resource(kind), name, scene.namespace, &other.namespace).await?;
    }
    Scene { client, namespace: &other.namespace }.make().await?;
    until("all of them are looked at", SETTLED, || async {
        let ledger = proxy.ledger().in_namespace(&other.namespace);
        let looked =
            |plural: &str| ledger.all().any(|entry| entry.target.verb == "get" && entry.target.resource == plural);
        Ok(ASKED.iter().all(|(kind, _)| looked(&resource(kind).plural)).then_some(()))
    })
    .await?;
    for (kind, name) in ASKED {
        let theirs = Scene { client, namespace: &other.namespace }.objects(kind).get(name).await?.metadata;
        anyhow::ensure!(theirs.labels.is_none() && theirs.generation == Some(1), "{kind}/{name}: {theirs:?}");
    }
    anyhow::ensure!(operator.restarts() == 0, "it was started anew:\n{}", operator.last_words(10));
    granted.check(&ground, &RESOURCES)
}
