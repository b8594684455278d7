//! A platform that is looked at and not touched.

use todo_crds::platform::TodoPlatform;
use todo_e2e::{
    faults::{Ground, Operator, SETTLED},
    harness::until,
    proxy::{Fault, Rule, Target},
};

use kube::Api;
use serde_json::json;

use crate::support::{beside_others, change_spec};

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_written_is_no_longer_told_while_nobody_tries_it() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (client, walk, mut proxy) = (&ground.client, ground.walk(0).await?, ground.proxy().await?);
    let namespace = walk.namespace.as_str();
    let platforms: Api<TodoPlatform> = Api::namespaced(client.clone(), namespace);
    let degraded = async |reason: &str| {
        until(&format!("Degraded is {reason}"), SETTLED, || async {
            let platform = platforms.get("todo").await?;
            let generation = platform.metadata.generation;
            let conditions = platform.status.map(|status| status.conditions).unwrap_or_default();
            let condition = conditions.into_iter().find(|one| one.type_ == "Degraded");
            Ok(condition.filter(|one| one.reason == reason && one.observed_generation == generation).map(|_| ()))
        })
        .await
    };
    let services = Target { verb: "patch", resource: "services".to_owned(), ..Target::default() };
    proxy.set(vec![Rule::always(services, Fault::Refuse(403))]);
    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(namespace), "operator")?;
    Ground::make_platform(client, namespace).await?;
    degraded("Forbidden").await?;
    change_spec(client, namespace, &json!({"suspend": true})).await?;
    degraded("AsExpected").await?;
    change_spec(client, namespace, &json!({"suspend": null})).await?;
    degraded("Forbidden").await?;
    proxy.set(Vec::new());
    degraded("AsExpected").await?;
    ground.created(&proxy, namespace).await.map(drop)
}
