//! An API server that checks who may say to whom an object belongs.

use k8s_openapi::{
    api::{
        core::v1::{PersistentVolumeClaim, Secret},
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, api::PostParams};
use serde_json::json;
use todo_e2e::{
    faults::{Ground, SETTLED},
    harness::until,
};

use crate::support::{Granted, RELEASE, beside_others, change_spec, condition};

const PLUGIN: &str = "OwnerReferencesPermissionEnforcement";
/// Embedded data.
const CLAIM: &str = "data-postgres-0";
const SECRET: &str = "postgres-connection";

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_is_made_where_owners_are_checked_and_its_data_gets_another_fate_once_that_is_granted()
-> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start_with(&[PLUGIN]).await?);
    let (client, walk) = (&ground.client, ground.walk(0).await?);
    let namespace = walk.namespace.as_str();
    let granted = Granted::install(&ground).await?;
    let (proxy, operator) = granted.operator(&ground).await?;
    let spec = json!({"kafka": {"external": {"brokers": ["127.0.0.1:9"]}}, "postgres": {"embedded": {}}});
    Ground::make_platform_of(client, namespace, &spec).await?;
    ground.created(&proxy, namespace).await?;
    let degraded = async || condition(client, namespace, "Degraded").await;
    let nothing_is_wrong = async || {
        let told = degraded().await?;
        anyhow::ensure!(told.as_ref().is_some_and(|one| one.status == "False"), "{told:?}");
        Ok(Some(()))
    };
    until("nothing is wrong", SETTLED, nothing_is_wrong).await?;

    change_spec(client, namespace, &json!({"deletionPolicy": "Delete"})).await?;
    until("what has an owner that cannot be changed is named", SETTLED, || async {
        let told = degraded().await?;
        let is_named = |message: &str| [CLAIM, SECRET].iter().any(|name| message.contains(name));
        anyhow::ensure!(
            told.as_ref().is_some_and(|one| one.reason == "Forbidden" && is_named(&one.message)),
            "{told:?}"
        );
        Ok(Some(()))
    })
    .await?;

    // As the documents say.
    let role = json!({"metadata": {"name": "fates"}, "rules": [
        {"apiGroups": [""], "resources": ["persistentvolumeclaims", "secrets"], "verbs": ["delete"]},
    ]});
    let binding = json!({
        "metadata": {"name": "fates"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "fates"},
        "subjects": [{"kind": "ServiceAccount", "name": RELEASE, "namespace": RELEASE}],
    });
    let roles: Api<Role> = Api::namespaced(client.clone(), namespace);
    roles.create(&PostParams::default(), &serde_json::from_value(role)?).await?;
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
    bindings.create(&PostParams::default(), &serde_json::from_value(binding)?).await?;

    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let goes = |metadata: &ObjectMeta| metadata.owner_references.iter().flatten().any(|one| one.kind == "TodoPlatform");
    until("the data goes with the platform", SETTLED, || async {
        let fates = [goes(&claims.get(CLAIM).await?.metadata), goes(&secrets.get(SECRET).await?.metadata)];
        anyhow::ensure!(fates == [true, true], "{fates:?}");
        Ok(Some(()))
    })
    .await?;
    until("nothing is wrong any more", SETTLED, nothing_is_wrong).await?;
    anyhow::ensure!(operator.restarts() == 0, "it was started anew:\n{}", operator.last_words(10));
    Ok(())
}
