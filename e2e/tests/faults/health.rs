//! What the operator says of itself.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;
use todo_e2e::{
    faults::{Ground, Options, SETTLED},
    harness::{until, wait},
    proxy::{Fault, Rule, Target},
};

use crate::{
    scene::Scene,
    support::{beside_others, free_port, only_missing, readiness, ready},
};

/// Longer than a first look takes, and shorter than a list is waited for.
const LOOKED: Duration = Duration::from_secs(15);

fn platforms(verb: &'static str) -> Target {
    Target { verb, resource: "todoplatforms".to_owned(), ..Target::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_the_kind_that_cannot_be_watched_and_why_until_it_can() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let of_ingresses = |verb| Target { verb, resource: "ingresses".to_owned(), ..Target::default() };
    let refused = ["list", "watch"].map(|verb| Rule::always(of_ingresses(verb), Fault::Refuse(403))).to_vec();
    let port = free_port()?;
    let scene = Scene::with(&ground, Options { management: Some(port), ..Options::default() }, refused).await?;

    only_missing(port, "cannot watch Ingress").await?;
    wait::throughout("a list that is begun and refused makes it ready for no moment", LOOKED, || async {
        Ok(readiness(port).await?.0 == 503)
    })
    .await?;
    scene.proxy.set(Vec::new());
    ready(port).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_whose_first_list_of_platforms_is_never_answered_is_not_ready_and_asks_again() -> anyhow::Result<()>
{
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let refuse = Fault::Refuse(500);
    let wrong = vec![
        Rule::once(platforms("list"), Fault::HangAfter),
        Rule::always(platforms("list"), refuse),
        // Without its answer no change of a Deployment would be seen.
        Rule::once(Target { verb: "watch", resource: "deployments".to_owned(), ..Target::default() }, Fault::HangAfter),
    ];
    let port = free_port()?;
    let scene = Scene::with(&ground, Options { management: Some(port), ..Options::default() }, wrong).await?;
    let proxy = &scene.proxy;
    Ground::make_platform(scene.client, &scene.namespace).await?;
    until("the list hangs", SETTLED, || async {
        Ok(proxy.happened().iter().any(|(target, _)| target.verb == "list").then_some(()))
    })
    .await?;
    wait::throughout("it is not ready before it has seen its platforms", LOOKED, || async {
        let answer = readiness(port).await;
        // It listens a moment after it begins to list.
        Ok(answer.is_err() || answer?.0 == 503)
    })
    .await?;
    until("they are asked for again", SETTLED, || async {
        Ok(proxy.happened().iter().any(|(_, fault)| *fault == refuse).then_some(()))
    })
    .await?;
    until("it says that it cannot", SETTLED, || async {
        let (status, body) = readiness(port).await?;
        let named = body["missing"].to_string().contains("cannot watch TodoPlatform: ");
        anyhow::ensure!(status == 503 && named, "{status} {body}");
        Ok(Some(()))
    })
    .await?;
    proxy.lift(refuse);
    scene.created().await?;
    ready(port).await?;
    until("the watch is asked for again, too", SETTLED, || async {
        let ledger = proxy.ledger();
        let mut watches = ledger.all().filter(|one| one.target.verb == "watch" && one.target.resource == "deployments");
        Ok(watches.any(|one| one.status == Some(200)).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_is_followed_although_a_later_list_of_platforms_is_never_answered() -> anyhow::Result<()> {
    const APP: &str = "frontend-service";
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let options = Options { relist: Some(5), ..Options::default() };
    let scene = Scene::with(&ground, options, Vec::new()).await?;
    let (proxy, deployments) = (&scene.proxy, scene.all::<Deployment>());
    Ground::make_platform(scene.client, &scene.namespace).await?;
    until("the service is made", SETTLED, || async { Ok(deployments.get_opt(APP).await?.map(|_| ())) }).await?;

    proxy.set(vec![Rule::once(platforms("list"), Fault::HangAfter)]);
    until("the list hangs", SETTLED, || async { Ok((!proxy.happened().is_empty()).then_some(())) }).await?;
    scene.change_spec(&json!({"services": {"frontend": {"replicas": 3}}})).await?;
    until("the new spec is followed", SETTLED, || async {
        let replicas = deployments.get(APP).await?.spec.and_then(|spec| spec.replicas);
        Ok((replicas == Some(3)).then_some(()))
    })
    .await
}
