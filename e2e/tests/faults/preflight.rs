//! `todo-operator preflight` before a cluster that has everything, and before one that lacks a right.

use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use todo_e2e::{
    command::{Command, Ended},
    faults::{Ground, SETTLED, program},
    harness::until,
};

use crate::support::{Granted, RELEASE, beside_others};

async fn preflight(ground: &Ground) -> anyhow::Result<Ended> {
    let account = format!("system:serviceaccount:{RELEASE}:{RELEASE}");
    let command = Command::new(program()?).args(["preflight", "--as", &account]);
    Ok(command.env("KUBECONFIG", ground.plane.kubeconfig()).end().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_a_verb_is_told_which_and_what_to_do_about_it() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let _granted = Granted::install(&ground).await?;
    // The API server's own view of the rights is a moment old.
    let all = until("the account has all rights", SETTLED, || async {
        let ended = preflight(&ground).await?;
        anyhow::ensure!(ended.status.code() == Some(0), "{}\n{}", ended.status, ended.output);
        Ok(Some(ended.output))
    })
    .await?;
    anyhow::ensure!(!all.contains('✘') && all.contains("things that the operator does"), "{all}");

    let roles: Api<ClusterRole> = Api::all(ground.client.clone());
    let mut role = roles.get(RELEASE).await?;
    for rule in role
        .rules
        .iter_mut()
        .flatten()
        .filter(|rule| rule.resources.iter().flatten().any(|resource| resource == "ingresses"))
    {
        rule.verbs.retain(|verb| verb != "delete");
    }
    let patch = serde_json::json!({"rules": role.rules});
    roles.patch(RELEASE, &PatchParams::default(), &Patch::Merge(patch)).await?;
    let said = until("the verb is missed", SETTLED, || async {
        let ended = preflight(&ground).await?;
        Ok((ended.status.code() == Some(1)).then_some(ended.output))
    })
    .await?;
    let lacks = format!(
        "✘ system:serviceaccount:{RELEASE}:{RELEASE} may not delete ingresses.networking.k8s.io in any namespace\n"
    );
    anyhow::ensure!(said.contains(&lacks) && said.contains("  → upgrade the chart"), "{said}");
    Ok(())
}
