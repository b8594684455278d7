//! Notifications outside of the page, by every channel, to programs that others wrote.

mod page;

use std::time::Duration;

use serde_json::{Value, json};
use todo_e2e::harness::{ChannelSink, Metrics, Namespace, Platform, http::Http, until, wait};

use crate::shared::add_task;

const USER: &str = "ada";
const LIMIT: Duration = Duration::from_mins(1);
/// How the sink names what came by each channel.
const WAYS: [&str; 4] = ["push", "hook", "ntfy", "email"];

/// With every kind of channel.
pub(crate) fn spec(sink: &ChannelSink) -> Value {
    let port = sink.about("http");
    json!({
        "services": {"backend": {"replicas": 1}, "notification": {"replicas": 2}},
        "notifications": {
            "email": {"smtp": {"host": sink.address, "port": sink.about("smtp"), "tls": "none", "from": "Todo <todo@example.org>"}},
            "webPush": {"subject": "mailto:owner@example.org", "allowPrivateAddresses": true, "ports": [port]},
            "webhooks": {"allowPrivateAddresses": true, "ports": [port, 3500]},
            "ntfy": {"baseUrl": sink.url("")},
        },
    })
}

async fn add(page: &Http, channel: &Value) -> anyhow::Result<Value> {
    let path = format!("/api/notifications/channels?user_id={USER}");
    Ok(page.post(&path, channel).await?.expect(201)?.json())
}

/// Adds all channels; the address is confirmed by the code in the mail.
async fn add_all(page: &Http, sink: &ChannelSink) -> anyhow::Result<()> {
    let keys = json!({"p256dh": sink.about("p256dh"), "auth": sink.about("auth")});
    add(page, &json!({"kind": "web_push", "endpoint": sink.url("/push/browser"), "keys": keys})).await?;
    add(page, &json!({"kind": "web_push", "endpoint": sink.url("/push/gone"), "keys": keys, "name": "gone"})).await?;
    add(page, &json!({"kind": "webhook", "url": sink.url("/hook/busy"), "secret": sink.about("secret")})).await?;
    add(page, &json!({"kind": "ntfy", "topic": "todo-ada", "token": "tk_secret"})).await?;
    let address = add(page, &json!({"kind": "email", "address": "ada@example.org"})).await?;
    let mail = until("the mail with the code is there", LIMIT, async || {
        Ok(sink.received().await?.into_iter().find(|one| one["kind"] == "email"))
    })
    .await?;
    let text = mail["message"]["message"].as_str().unwrap_or_default();
    let code: String = text.chars().filter(char::is_ascii_digit).collect();
    let confirm = format!("/api/notifications/channels/{}/confirm?user_id={USER}", address["id"].as_str().unwrap());
    page.post(&confirm, &json!({"code": code})).await?.expect(200)?;
    Ok(())
}

/// What came of this title, by the way that it came.
async fn came(sink: &ChannelSink, title: &str) -> anyhow::Result<Vec<String>> {
    let received = sink.received().await?;
    let refused: Vec<_> = received.iter().filter(|one| one.get("refused").is_some()).collect();
    anyhow::ensure!(refused.is_empty(), "could not be verified: {refused:?}");
    let of_title = received.iter().filter(|one| one["message"]["title"] == title);
    let mut ways: Vec<String> = of_title.map(|one| one["kind"].as_str().unwrap_or_default().to_owned()).collect();
    ways.sort_by_key(|way| WAYS.iter().position(|known| known == way));
    Ok(ways)
}

#[tokio::test]
async fn a_reminder_comes_once_by_every_channel_and_whoever_receives_it_can_verify_it() {
    Namespace::with("channels", async |namespace| {
        let sink = ChannelSink::start(&namespace.env.cluster).await?;
        let platform = Platform::apply(&namespace, "todo", spec(&sink)).await?;
        platform.ready().await?;
        let page = platform.page().await?;

        // The keys that the operator made are the ones that browsers get.
        let kinds = page.get(&format!("/api/notifications/channel-kinds?user_id={USER}")).await?.expect(200)?.json();
        let public = platform.secret("web-push-keys", "public-key").await?;
        assert_eq!(kinds["web_push"]["public_key"], public.as_str(), "{kinds}");
        // Private addresses are allowed here, the pod's own sidecar is not.
        let channels = format!("/api/notifications/channels?user_id={USER}");
        let own = json!({"kind": "webhook", "url": "http://127.0.0.1:3500/v1.0/metadata"});
        page.post(&channels, &own).await?.expect(422)?;

        add_all(&page, &sink).await?;
        let due = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(5);
        let task = json!({"user_id": USER, "title": "water the plants", "due_at": due.to_string()});
        add_task(&page, task).await?;
        // The webhook's receiver is busy the first time.
        until("the reminder came by every channel", LIMIT, async || {
            Ok((came(&sink, "water the plants").await? == WAYS).then_some(()))
        })
        .await?;
        let once = async || Ok(came(&sink, "water the plants").await? == WAYS);
        wait::throughout("it came once by each", Duration::from_secs(15), once).await?;
        let push = sink.received().await?.into_iter().find(|one| one["kind"] == "push").unwrap();
        assert_eq!((&push["public_key"], &push["subject"]), (&json!(public), &json!("mailto:owner@example.org")));

        // The subscription that was gone is off, and everything else was accepted.
        let deliveries = page.get(&format!("/api/notifications/deliveries?user_id={USER}")).await?.expect(200)?.json();
        for one in deliveries["items"].as_array().unwrap() {
            let expected = if one["channel_name"] == "gone" { "failed" } else { "sent" };
            assert_eq!(one["state"], expected, "{deliveries}");
        }
        let listed = page.get(&channels).await?.expect(200)?;
        let off: Vec<_> = listed.json()["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["enabled"] == false)
            .map(|one| one["name"].clone())
            .collect();
        assert_eq!(off, ["gone"]);
        assert!(!listed.text.contains("whsec_") && !listed.text.contains("tk_secret"), "{}", listed.text);
        every_replica_has_counted(&platform).await?;
        page::lists_and_adds_channels(&page, &sink).await?;
        page::keeps_where_the_keyboard_is(&page).await?;
        page::leaves_a_browser_as_it_was_switched(&page, &sink).await
    })
    .await;
}

/// The deliveries are in the metrics of the two replicas together, each once: four and the code by mail were accepted.
async fn every_replica_has_counted(platform: &Platform) -> anyhow::Result<()> {
    let metrics = Metrics::of(platform, "notification-service").await?;
    let sent = metrics.values("notification_deliveries_total", r#"outcome="sent""#).collect::<Vec<_>>();
    assert!((sent.iter().sum::<f64>() - 5.0).abs() < f64::EPSILON, "{sent:?}");
    Ok(())
}
