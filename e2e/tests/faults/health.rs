//! What the operator says of itself.

use std::net::TcpListener;

use serde_json::Value;
use todo_e2e::{
    faults::{Ground, Operator, Options, SETTLED},
    harness::until,
    proxy::{Fault, Rule, Target},
};

use crate::support::beside_others;

/// Status and body of `/readyz`.
async fn readiness(port: u16) -> anyhow::Result<(u16, Value)> {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/readyz")).await?;
    Ok((answer.status().as_u16(), answer.json().await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_the_kind_that_cannot_be_watched_and_why_until_it_can() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (walk, mut proxy) = (ground.walk(0).await?, ground.proxy().await?);
    let of_ingresses = |verb| Target { verb, resource: "ingresses".to_owned(), ..Target::default() };
    proxy.set(["list", "watch"].map(|verb| Rule::always(of_ingresses(verb), Fault::Refuse(403))).to_vec());
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let options = Options { management: Some(port), ..Options::default() };
    let folder = ground.folder.path();
    let _operator = Operator::start_with(&mut proxy, folder, Some(&walk.namespace), "operator", options)?;

    until("readiness names nothing but the Ingress", SETTLED, || async {
        let (status, body) = readiness(port).await?;
        let missing: Vec<&str> = body["missing"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let [only] = missing.as_slice() else { anyhow::bail!("missing: {missing:?}") };
        anyhow::ensure!(status == 503 && body["ready"] == false, "{status} {body}");
        let (kind, why) = only.split_once(": ").unwrap_or_default();
        anyhow::ensure!(kind == "cannot watch Ingress" && !why.is_empty(), "{only}");
        Ok(Some(()))
    })
    .await?;

    proxy.set(Vec::new());
    until("it is ready", SETTLED, || async {
        let (status, body) = readiness(port).await?;
        anyhow::ensure!(status == 200 && body["ready"] == true && body["leader"] == true, "{status} {body}");
        Ok(Some(()))
    })
    .await
}
