//! `todo-operator preflight`: whether a cluster has what the operator needs, and what to do about what it lacks.

use std::{io, process::ExitCode};

use anyhow::Context;
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::version::Info,
};
use kube::{Api, Client, api::PostParams};
use todo_crds::platform;

use super::{
    client,
    findings::{self, Finding, Right},
    releases::Release,
    tree::{Mark, Paint},
};
use crate::{class::Class, dereference::cluster, resolve::Settings};

/// Questions at the same time.
const CONCURRENCY: usize = 8;
/// The Lease of an operator that is named no other.
const LEASE: &str = "todo-operator";

#[derive(Args, Debug)]
pub(super) struct PreflightArgs {
    /// Namespace that the operator runs in, or is going to.
    #[arg(short, long, env = "OPERATOR_NAMESPACE", default_value_t = Settings::default().operator_namespace)]
    namespace: String,
    /// Namespace of Dapr's control plane.
    #[arg(long, env = "DAPR_NAMESPACE", default_value_t = Settings::default().dapr_namespace)]
    dapr_namespace: String,
    /// The one namespace that the operator works in. If absent, that of the only operator in --namespace; all if there is
    /// none.
    #[arg(long, env = "WATCH_NAMESPACE")]
    watch_namespace: Option<String>,
    /// Name of the operator's Lease. If absent, that of the only operator in --namespace; todo-operator if there is none.
    #[arg(long, env = "LEASE_NAME")]
    lease_name: Option<String>,
    /// Whose rights to look at, for example `system:serviceaccount:todo-operator:todo-operator`; your own if absent.
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,
}

impl PreflightArgs {
    /// Names of the Lease and of the one namespace that is worked in: what is given, else what the only operator that is
    /// there already was started with.
    fn names<'a>(&'a self, releases: &'a [Release]) -> (&'a str, Option<&'a str>) {
        let only = releases.first().filter(|_| releases.len() == 1);
        let lease = self.lease_name.as_deref().or_else(|| only?.lease.as_deref());
        let watched = self.watch_namespace.as_deref().or_else(|| only?.scope.namespace.as_deref());
        (lease.unwrap_or(LEASE), watched)
    }
}

/// Prints what is there and what is not. The exit code is 1 if something is missing.
pub(super) async fn run(args: PreflightArgs, out: &mut impl io::Write) -> anyhow::Result<ExitCode> {
    let client = client::connect(None).await?;
    let version = client.apiserver_version().await;
    let version: Info = version.map_err(|error| client::cannot("ask the API server for its version", &error))?;
    let mut found = vec![findings::kubernetes(&version)];
    found.push(definition(&client).await?);
    let cluster = cluster::ask(&client, &args.dapr_namespace).await?;
    found.extend(findings::dapr(&cluster, &args.dapr_namespace));
    found.extend(findings::others(&cluster));
    found.extend(operators(&client).await?);

    let present = releases(Api::namespaced(client.clone(), &args.namespace)).await?.unwrap_or_default();
    let (lease, watched) = args.names(&present);
    let namespaces = findings::Namespaces { operator: &args.namespace, lease, dapr: &args.dapr_namespace, watched };
    let needed = findings::needed(&namespaces)?;
    let asker = match &args.user {
        Some(user) => client::connect(Some(user)).await?,
        None => client,
    };
    let who = args.user.as_deref().unwrap_or("you");
    found.extend(findings::rights(who, needed.len(), &lacking(&asker, needed).await?));

    let text = findings::report(&found, Paint::for_output());
    out.write_all(text.as_bytes()).context("cannot write to the output")?;
    let missing = found.iter().any(|finding| finding.mark == Mark::Bad);
    Ok(if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn definition(client: &Client) -> anyhow::Result<Finding> {
    let ours = platform::crd();
    let name = ours.metadata.name.clone().unwrap_or_default();
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    match api.get_opt(&name).await {
        Ok(Some(theirs)) => {
            Ok(findings::definition(&name, &serde_json::to_value(theirs)?, &serde_json::to_value(ours)?))
        }
        Ok(None) => Ok(findings::no_definition(&name)),
        Err(error) if Class::of(&error) == Class::Forbidden => Ok(findings::hidden_definition(&name)),
        Err(error) => Err(client::cannot(&format!("read CustomResourceDefinition {name}"), &error)),
    }
}

/// Whether the operators that there are leave each other alone.
async fn operators(client: &Client) -> anyhow::Result<Vec<Finding>> {
    let all = releases(Api::all(client.clone())).await?;
    Ok(all.map_or_else(|| vec![findings::hidden_operators()], |all| findings::operators(&all)))
}

/// The operators that there are; nothing if that may not be asked.
async fn releases(api: Api<Deployment>) -> anyhow::Result<Option<Vec<Release>>> {
    match client::operators(&api).await {
        Ok(deployments) => Ok(Some(deployments.iter().map(Release::of).collect())),
        Err(error) if Class::of(&error) == Class::Forbidden => Ok(None),
        Err(error) => Err(client::cannot("list Deployments", &error)),
    }
}

/// Those rights that the asking user does not have.
async fn lacking(client: &Client, needed: Vec<Right>) -> anyhow::Result<Vec<Right>> {
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    stream::iter(needed.into_iter().map(|right| ask(api.clone(), right)))
        .buffered(CONCURRENCY)
        .try_filter_map(|right| async { Ok(right) })
        .try_collect()
        .await
}

/// Returns the right if it is not given.
async fn ask(api: Api<SelfSubjectAccessReview>, right: Right) -> anyhow::Result<Option<Right>> {
    let attributes = ResourceAttributes {
        group: Some(right.group.clone()),
        resource: Some(right.resource.clone()),
        subresource: right.subresource.clone(),
        verb: Some(right.verb.clone()),
        namespace: right.namespace.clone(),
        name: right.name.clone(),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let answer = api.create(&PostParams::default(), &review).await;
    let answer = answer.map_err(|error| client::cannot("ask about rights", &error))?;
    Ok((!answer.status.is_some_and(|status| status.allowed)).then_some(right))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn release(name: &str, watched: Option<&str>) -> Release {
        let mut env = vec![json!({"name": "LEASE_NAME", "value": name})];
        env.extend(watched.map(|namespace| json!({"name": "WATCH_NAMESPACE", "value": namespace})));
        let pod = json!({"spec": {"containers": [{"name": "operator", "env": env}]}});
        let deployment = json!({"metadata": {"name": name}, "spec": {"selector": {}, "template": pod}});
        Release::of(&serde_json::from_value(deployment).unwrap())
    }

    #[test]
    fn the_rights_are_those_that_the_operator_needs_which_is_there_unless_another_is_meant() {
        let args = |lease: Option<&str>, watched: Option<&str>| PreflightArgs {
            namespace: "ops".to_owned(),
            dapr_namespace: "dapr-system".to_owned(),
            watch_namespace: watched.map(str::to_owned),
            lease_name: lease.map(str::to_owned),
            user: None,
        };
        let (team, whole) = (|| release("team-a", Some("a")), || release("whole", None));
        for (lease, watched, present, expected) in [
            (None, None, vec![], ("todo-operator", None)),
            (None, None, vec![whole()], ("whole", None)),
            (None, None, vec![team()], ("team-a", Some("a"))),
            (Some("mine"), None, vec![team()], ("mine", Some("a"))),
            (Some("mine"), Some("b"), vec![team()], ("mine", Some("b"))),
            (None, None, vec![team(), whole()], ("todo-operator", None)),
        ] {
            assert_eq!(args(lease, watched).names(&present), expected, "{lease:?} {watched:?} {present:?}");
        }
    }
}
