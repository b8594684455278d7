//! Every channel, judged by programs that others wrote: `e2e/assets/python/channel_sink.py` says which.

use std::process::Stdio;

use serde_json::{Value, json};
use todo_common::testing::with_database;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::{call, receiver::Service};
use crate::{
    senders::{
        address::{Outbound, Reach},
        vapid::Vapid,
    },
    settings::{Settings, Smtp, SmtpTls, WebPush},
};

const PUBLIC: &str = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
const PRIVATE: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";

pub(super) struct Sink {
    pub(super) about: Value,
    _process: Option<Child>,
}

impl Sink {
    /// One that another process has started.
    pub(super) fn of(about: Value) -> Self {
        Self { about, _process: None }
    }

    pub(super) async fn start() -> Self {
        let python = std::env::var("TEST_PYTHON").expect(
            "this test needs a Python with the packages of the sink: run `cargo xtask test unit`, which sets TEST_PYTHON",
        );
        let script = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/e2e/assets/python/channel_sink.py");
        let mut command = Command::new(python);
        command.args([script, "127.0.0.1"]).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
        Self { about: serde_json::from_str(&line).unwrap(), _process: Some(process) }
    }

    pub(super) fn port(&self, which: &str) -> u16 {
        u16::try_from(self.about[which].as_u64().unwrap()).unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port("http"))
    }

    pub(super) async fn received(&self) -> Vec<Value> {
        reqwest::Client::new().get(self.url("/received")).send().await.unwrap().json().await.unwrap()
    }

    pub(super) fn settings(&self) -> Settings {
        let ports = ["http", "https"].map(|which| self.port(which)).to_vec();
        let outbound = Outbound { reach: Reach::Loopback, ports };
        let vapid = Vapid::new("mailto:owner@example.org".to_owned(), PUBLIC, PRIVATE).unwrap();
        Settings {
            web_push: Some(WebPush { vapid, outbound: outbound.clone() }),
            webhooks: Some(outbound),
            smtp: Some(Smtp {
                host: "127.0.0.1".to_owned(),
                port: self.port("smtp"),
                tls: SmtpTls::None,
                from: "Todo <todo@example.org>".parse().unwrap(),
                credentials: None,
            }),
            ntfy: Some(self.url("/").parse().unwrap()),
        }
    }

    fn subscription(&self, name: &str) -> Value {
        let keys = json!({"p256dh": self.about["p256dh"], "auth": self.about["auth"]});
        json!({"kind": "web_push", "endpoint": self.url(&format!("/push/{name}")), "keys": keys})
    }
}

/// Adds an address and confirms it by the code in the mail that came.
pub(super) async fn confirmed(service: &Service, sink: &Sink, address: &str) {
    let channel = service.add(json!({"kind": "email", "address": address})).await;
    service.deliver().await;
    let mail = sink.received().await.into_iter().rfind(|one| one["name"] == address).unwrap();
    let text = mail["message"]["message"].as_str().unwrap();
    let code: String = text.chars().filter(char::is_ascii_digit).collect();
    let path = format!("/api/notifications/channels/{}/confirm?user_id=ada", channel["id"].as_str().unwrap());
    let (status, answer) = call(&service.app, "POST", &path, json!({"code": code})).await;
    assert_eq!(status, 200, "{answer} {text}");
}

#[tokio::test]
async fn independent_programs_read_and_verify_what_every_channel_sends() {
    with_database(|pool| async move {
        let sink = Sink::start().await;
        let service = Service::new(&pool, sink.settings());
        service.add(sink.subscription("browser")).await;
        service.add(json!({"kind": "webhook", "url": sink.url("/hook/home"), "secret": sink.about["secret"]})).await;
        service.add(json!({"kind": "ntfy", "topic": "todo-ada", "token": "tk_secret"})).await;
        confirmed(&service, &sink, "ada@example.org").await;

        let body = json!({"user_id": "ada", "title": "Größe 🥛", "message": "zwei Liter\nöäü \"…\""});
        let (_, sent) = call(&service.app, "POST", "/send-notification", body).await;
        service.deliver().await;
        let received = sink.received().await;
        assert_eq!(received.len(), 5, "{received:?}");
        for (kind, name) in [("push", "browser"), ("hook", "home"), ("ntfy", "todo-ada"), ("email", "ada@example.org")]
        {
            let one = received.iter().rfind(|one| one["kind"] == kind).unwrap();
            assert_eq!(one["name"], name, "{one}");
            for part in ["title", "message"] {
                assert_eq!(one["message"][part], sent[part], "{one}");
            }
        }
        let of = |kind: &str| received.iter().rfind(|one| one["kind"] == kind).unwrap();
        assert_eq!(
            (&of("push")["subject"], &of("push")["public_key"]),
            (&json!("mailto:owner@example.org"), &json!(PUBLIC))
        );
        assert_eq!(of("ntfy")["token"], "Bearer tk_secret");
        assert_eq!(of("email")["from"], "Todo <todo@example.org>");
        assert!(service.deliveries().await.iter().all(|delivery| delivery["state"] == "sent"));
    })
    .await;
}

#[tokio::test]
async fn every_channel_is_tried_again_when_the_other_side_is_busy_and_ends_when_it_is_gone() {
    with_database(|pool| async move {
        let sink = Sink::start().await;
        let service = Service::new(&pool, sink.settings());
        confirmed(&service, &sink, "ada@example.org").await;
        for (address, name) in [("busy@example.org", "busy"), ("unknown@example.org", "unknown")] {
            // Their owner has shown nothing; this is about what the server says later.
            service.add(json!({"kind": "email", "address": address, "name": name})).await;
        }
        sqlx::query("DELETE FROM deliveries").execute(&pool).await.unwrap();
        sqlx::query("UPDATE channels SET confirmed = true").execute(&pool).await.unwrap();
        for name in ["busy", "unknown", "gone"] {
            let mut subscription = sink.subscription(name);
            subscription["name"] = json!(name);
            service.add(subscription).await;
        }
        service.add(json!({"kind": "ntfy", "topic": "busy", "name": "busy"})).await;
        service.notify("push").await;
        service.deliver().await;
        let states = async || {
            let mut states: Vec<String> = Vec::new();
            for one in service.deliveries().await {
                let text = |field: &str| one[field].as_str().unwrap_or_default().to_owned();
                states.push(format!(
                    "{} {}: {} {}",
                    text("kind"),
                    text("channel_name"),
                    text("state"),
                    text("last_error")
                ));
            }
            states.sort();
            states
        };
        let ended = [
            "email unknown: failed the mail server answered 550",
            "web_push gone: failed it answered HTTP 410",
            "web_push unknown: failed it answered HTTP 404",
        ];
        let first = states().await;
        for expected in ended.iter().chain(&[
            "email busy: waiting the mail server answered 451",
            "email email: sent ",
            "ntfy busy: waiting it answered HTTP 503",
            "web_push busy: waiting it answered HTTP 503",
        ]) {
            assert!(first.iter().any(|state| state == expected), "{expected}: {first:?}");
        }
        let enabled: Vec<String> =
            sqlx::query_scalar("SELECT name FROM channels WHERE kind = 'web_push' AND enabled ORDER BY name")
                .fetch_all(&pool)
                .await
                .unwrap();
        assert_eq!(enabled, ["busy"]);

        service.let_time_pass().await;
        service.deliver().await;
        let second = states().await;
        for expected in ended.iter().chain(&["email busy: sent ", "ntfy busy: sent ", "web_push busy: sent "]) {
            assert!(second.iter().any(|state| state == expected), "{expected}: {second:?}");
        }
    })
    .await;
}
