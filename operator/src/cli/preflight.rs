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
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use todo_crds::platform;

use super::{
    client,
    findings::{self, Finding, Right},
    releases::Release,
    tree::{Mark, Paint},
};
use crate::{class::Class, dereference::cluster, labels::MANAGED_BY, resolve::Settings};

/// Questions at the same time.
const CONCURRENCY: usize = 8;

#[derive(Args, Debug)]
pub(super) struct PreflightArgs {
    /// Namespace that the operator runs in, or is going to.
    #[arg(short, long, env = "OPERATOR_NAMESPACE", default_value_t = Settings::default().operator_namespace)]
    namespace: String,
    /// Namespace of Dapr's control plane.
    #[arg(long, env = "DAPR_NAMESPACE", default_value_t = Settings::default().dapr_namespace)]
    dapr_namespace: String,
    /// The one namespace that the operator works in; all if absent.
    #[arg(long, env = "WATCH_NAMESPACE")]
    watch_namespace: Option<String>,
    /// Name of the operator's Lease.
    #[arg(long, env = "LEASE_NAME", default_value = "todo-operator")]
    lease_name: String,
    /// Whose rights to look at, for example `system:serviceaccount:todo-operator:todo-operator`; your own if absent.
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,
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

    let namespaces = findings::Namespaces {
        operator: &args.namespace,
        lease: &args.lease_name,
        dapr: &args.dapr_namespace,
        watched: args.watch_namespace.as_deref(),
    };
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
    let labels = ListParams::default().labels(&format!("app.kubernetes.io/name={MANAGED_BY}"));
    match Api::<Deployment>::all(client.clone()).list(&labels).await {
        Ok(list) => Ok(findings::operators(&list.items.iter().map(Release::of).collect::<Vec<_>>())),
        Err(error) if Class::of(&error) == Class::Forbidden => Ok(vec![findings::hidden_operators()]),
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

/// Answers the right if it is not given.
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
