//! What users do with channels.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use todo_common::testing::with_database;
use tower::ServiceExt;

use super::{
    call,
    receiver::{Receiver, Service},
};
use crate::{
    senders::{
        address::{Outbound, Reach},
        vapid::Vapid,
    },
    settings::{Settings, Smtp, SmtpTls, WebPush},
};

const CHANNELS: &str = "/api/notifications/channels?user_id=ada";
const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";

fn path(channel: &Value, rest: &str) -> String {
    format!("/api/notifications/channels/{}{rest}?user_id=ada", channel["id"].as_str().unwrap())
}

/// All kinds, to public addresses only.
pub(super) fn everything() -> Settings {
    // The application server's keys in appendix A of RFC 8291, which are no secret.
    let public = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
    let vapid = Vapid::new("mailto:a@example.org".to_owned(), public, "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
    let outbound = Outbound { reach: Reach::Public, ports: vec![443] };
    Settings {
        web_push: Some(WebPush { vapid: vapid.unwrap(), outbound: outbound.clone() }),
        webhooks: Some(outbound),
        smtp: Some(Smtp {
            host: "localhost".to_owned(),
            port: 25,
            tls: SmtpTls::None,
            from: "todo@example.org".parse().unwrap(),
            credentials: None,
        }),
        ntfy: Some("https://ntfy.example.org/".parse().unwrap()),
    }
}

#[tokio::test]
async fn a_channel_is_added_listed_changed_and_deleted_by_its_user_alone() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        let added = service.add_webhook(&receiver.url("/a")).await;
        assert_eq!(
            (&added["kind"], &added["name"], &added["enabled"]),
            (&json!("webhook"), &json!("webhook"), &json!(true))
        );

        let stranger = format!("/api/notifications/channels/{}?user_id=bob", added["id"].as_str().unwrap());
        for method in ["GET", "DELETE"] {
            assert_eq!(call(&service.app, method, &stranger, Value::Null).await.0, 404);
        }
        assert_eq!(call(&service.app, "PATCH", &stranger, json!({"enabled": false})).await.0, 404);

        let change = json!({"name": "Home", "enabled": false});
        let (status, changed) = call(&service.app, "PATCH", &path(&added, ""), change).await;
        assert_eq!((status.as_u16(), &changed["name"], &changed["enabled"]), (200, &json!("Home"), &json!(false)));
        assert_eq!(call(&service.app, "POST", &path(&added, "/test"), Value::Null).await.0, 409);
        let (_, listed) = call(&service.app, "GET", CHANNELS, Value::Null).await;
        assert_eq!(listed["items"], json!([changed]));

        assert_eq!(call(&service.app, "DELETE", &path(&added, ""), Value::Null).await.0, 204);
        assert_eq!(call(&service.app, "GET", &path(&added, ""), Value::Null).await.0, 404);
    })
    .await;
}

#[tokio::test]
async fn a_secret_that_was_made_is_shown_once_and_one_that_was_given_never() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        let made = service.add_webhook(&receiver.url("/a")).await;
        let secret = made["secret"].as_str().unwrap();
        assert!(secret.starts_with("whsec_"));
        let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let given = service.add(json!({"kind": "webhook", "url": receiver.url("/b"), "secret": own})).await;
        assert!(given.get("secret").is_none());
        let (_, changed) = call(&service.app, "PATCH", &path(&given, ""), json!({"secret": own})).await;
        let (_, listed) = call(&service.app, "GET", CHANNELS, Value::Null).await;
        for shown in [changed, listed, service.channel(&made).await] {
            assert!(!shown.to_string().contains("whsec_"), "{shown}");
        }
    })
    .await;
}

#[tokio::test]
async fn wrong_channels_are_refused_with_the_field_that_is_wrong() {
    with_database(|pool| async move {
        let service = Service::new(&pool, everything());
        for (channel, field) in [
            (json!({"kind": "webhook", "url": "https://10.0.0.1/"}), "url"),
            (json!({"kind": "webhook", "url": "http://example.com/"}), "url"),
            (json!({"kind": "webhook", "url": "https://example.com/", "secret": "short"}), "secret"),
            (json!({"kind": "email", "address": "nobody"}), "address"),
            (json!({"kind": "email", "address": "a@b.example\r\nBcc: c@d.example"}), "address"),
            (json!({"kind": "ntfy", "topic": "a b"}), "topic"),
            (json!({"kind": "ntfy", "topic": "todo", "token": "a\nb"}), "token"),
            (json!({"kind": "web_push", "endpoint": "https://169.254.169.254/", "keys": {"p256dh": P256DH, "auth": "BTBZMqHH6r4Tts7J_aSIgg"}}), "endpoint"),
            (json!({"kind": "web_push", "endpoint": "https://push.example.org/", "keys": {"p256dh": "AAAA", "auth": "AAAA"}}), "keys"),
            (json!({"kind": "web_push", "endpoint": "https://push.example.org/", "keys": {"p256dh": 7, "auth": "AAAA"}}), "keys.p256dh"),
            (json!({"kind": "webhook", "url": 7}), "url"),
            (json!({"kind": "webhook", "url": "https://example.com/", "name": 7}), "name"),
            (json!({"kind": "email"}), "address"),
            (json!({"kind": "pigeon"}), "kind"),
            (json!({}), "kind"),
            (json!({"kind": "ntfy", "topic": "todo", "name": ""}), "name"),
        ] {
            let (status, problem) = call(&service.app, "POST", CHANNELS, channel.clone()).await;
            assert_eq!((status.as_u16(), &problem["errors"][0]["field"]), (422, &json!(field)), "{channel}: {problem}");
        }
        let (status, _) = call(&service.app, "POST", CHANNELS, json!({"kind": "pigeon"})).await;
        assert_eq!(status, 422);
    })
    .await;
}

#[tokio::test]
async fn a_kind_that_is_not_set_up_is_not_offered() {
    with_database(|pool| async move {
        let none = Service::new(&pool, Settings::default());
        let kinds = "/api/notifications/channel-kinds?user_id=ada";
        assert_eq!(call(&none.app, "GET", kinds, Value::Null).await.1, json!({}));
        let (status, problem) = call(&none.app, "POST", CHANNELS, json!({"kind": "ntfy", "topic": "todo"})).await;
        assert_eq!((status.as_u16(), &problem["errors"][0]["field"]), (422, &json!("kind")));
        let (_, offered) = call(&Service::new(&pool, everything()).app, "GET", kinds, Value::Null).await;
        assert_eq!(offered["ntfy"]["base_url"], "https://ntfy.example.org/");
        assert_eq!(offered["web_push"]["public_key"].as_str().unwrap().len(), 87);
        assert!(offered["webhook"].is_object() && offered["email"].is_object());
    })
    .await;
}

#[tokio::test]
async fn a_browser_is_one_channel_of_whoever_uses_it_now() {
    with_database(|pool| async move {
        let service = Service::new(&pool, everything());
        let keys = |auth: &str| json!({"p256dh": P256DH, "auth": auth});
        let subscription =
            |auth| json!({"kind": "web_push", "endpoint": "https://push.example.org/x", "keys": keys(auth)});
        let first = service.add(subscription("BTBZMqHH6r4Tts7J_aSIgg")).await;
        sqlx::query("UPDATE channels SET enabled = false, disabled_reason = 'x'").execute(&pool).await.unwrap();
        let again = service.add(subscription("AAAAAAAAAAAAAAAAAAAAAA")).await;
        assert_eq!((&again["id"], &again["enabled"]), (&first["id"], &json!(true)));

        call(&service.app, "PATCH", &path(&first, ""), json!({"enabled": false})).await;
        let off = service.add(subscription("AAAAAAAAAAAAAAAAAAAAAA")).await;
        assert_eq!((&off["id"], &off["enabled"]), (&first["id"], &json!(false)), "its user has switched it off");

        let bob = "/api/notifications/channels?user_id=bob";
        assert_eq!(call(&service.app, "POST", bob, subscription("AAAAAAAAAAAAAAAAAAAAAA")).await.0, 201);
        let (_, listed) = call(&service.app, "GET", CHANNELS, Value::Null).await;
        assert_eq!(listed["items"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn the_same_target_is_one_channel_and_there_are_at_most_twenty() {
    with_database(|pool| async move {
        let service = Service::new(&pool, everything());
        for number in 0..20 {
            service.add(json!({"kind": "ntfy", "topic": format!("t{number}")})).await;
        }
        for topic in ["t0", "t20"] {
            let (status, _) = call(&service.app, "POST", CHANNELS, json!({"kind": "ntfy", "topic": topic})).await;
            assert_eq!(status, 409, "{topic}");
        }
    })
    .await;
}

/// A code that is not this one.
fn other_than(code: &str) -> String {
    format!("{:08}", (code.parse::<u32>().unwrap() + 1) % 100_000_000)
}

#[tokio::test]
async fn an_address_is_used_only_after_its_code_and_codes_cannot_be_guessed() {
    with_database(|pool| async move {
        let service = Service::new(&pool, everything());
        let channel = service.add(json!({"kind": "email", "address": "ada@example.org"})).await;
        assert_eq!(channel["confirmed"], false);
        // The one with the code, and nothing of the notification.
        service.notify("push").await;
        assert_eq!(service.deliveries().await.len(), 1);
        assert_eq!(call(&service.app, "POST", &path(&channel, "/test"), Value::Null).await.0, 409);

        let code: String = sqlx::query_scalar("SELECT secret FROM channels").fetch_one(&pool).await.unwrap();
        let confirm =
            async |code: &str| call(&service.app, "POST", &path(&channel, "/confirm"), json!({"code": code})).await;
        // What cannot be a code is not counted as a try.
        for none in ["wrong", "\u{0}", "1234567", "１２３４５６７８"] {
            assert_eq!(confirm(none).await.0, 422, "{none}");
        }
        assert_eq!(confirm(&other_than(&code)).await.0, 422);
        let (status, confirmed) = confirm(&code).await;
        assert_eq!((status.as_u16(), &confirmed["confirmed"]), (200, &json!(true)));
        service.notify("push").await;
        assert_eq!(service.deliveries().await.len(), 2);

        let other = service.add(json!({"kind": "email", "address": "other@example.org"})).await;
        let code: String =
            sqlx::query_scalar("SELECT secret FROM channels WHERE NOT confirmed").fetch_one(&pool).await.unwrap();
        for _ in 0..5 {
            call(&service.app, "POST", &path(&other, "/confirm"), json!({"code": other_than(&code)})).await;
        }
        assert_eq!(call(&service.app, "POST", &path(&other, "/confirm"), json!({"code": code})).await.0, 409);
    })
    .await;
}

#[tokio::test]
async fn mail_to_strangers_has_a_limit_for_each_user_and_each_address() {
    with_database(|pool| async move {
        let service = Service::new(&pool, everything());
        let add = async |user: &str, address: &str| {
            let path = format!("/api/notifications/channels?user_id={user}");
            let (status, channel) =
                call(&service.app, "POST", &path, json!({"kind": "email", "address": address})).await;
            if status == 201 {
                let path = format!("/api/notifications/channels/{}?user_id={user}", channel["id"].as_str().unwrap());
                assert_eq!(call(&service.app, "DELETE", &path, Value::Null).await.0, 204);
            }
            status.as_u16()
        };
        for address in ["ada@example.org", "Ada@example.org", "ada+1@example.org"] {
            assert_eq!(add("ada", address).await, 201, "{address}");
        }
        assert_eq!(add("bob", "ada+2@example.org").await, 429);
        for number in 0..7 {
            assert_eq!(add("ada", &format!("a{number}@example.org")).await, 201, "{number}");
        }
        assert_eq!(add("ada", "a7@example.org").await, 429);
        assert_eq!(add("bob", "a7@example.org").await, 201);
        sqlx::query("UPDATE confirmation_codes SET sent_at = sent_at - interval '25 hours'")
            .execute(&pool)
            .await
            .unwrap();
        assert_eq!(add("ada", "ada@example.org").await, 201);
    })
    .await;
}

#[tokio::test]
async fn a_code_may_be_sent_again_when_the_limit_that_was_hit_allows_it() {
    with_database(|pool| async move {
        let service = Service::new(&pool, everything());
        for hours in [20, 2, 1] {
            let codes =
                "INSERT INTO confirmation_codes VALUES (gen_random_uuid(), $2, $3, now() - make_interval(hours => $1))";
            let (user, address) = if hours == 20 { ("carl", "x@example.org") } else { ("bob", "eve@example.org") };
            sqlx::query(codes).bind(hours).bind(user).bind(address).execute(&pool).await.unwrap();
        }
        let body = json!({"kind": "email", "address": "eve@example.org"});
        assert_eq!(call_for_wait(&service.app, CHANNELS, "k1", body.clone()).await, (201, 0));
        let path = "/api/notifications/channels?user_id=carl";
        let (status, wait) = call_for_wait(&service.app, path, "k2", body).await;
        assert_eq!((status, wait.div_ceil(3600)), (429, 22), "of the oldest one to this address");
    })
    .await;
}

/// Sends it with a key; gives the status and the seconds that are to be waited.
async fn call_for_wait(app: &axum::Router, path: &str, key: &str, body: Value) -> (u16, u64) {
    let request = Request::post(path).header("content-type", "application/json").header("idempotency-key", key);
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let answer = app.clone().oneshot(request.body(body).unwrap()).await.unwrap();
    let wait = answer.headers().get("retry-after").map_or(0, |wait| wait.to_str().unwrap().parse().unwrap());
    (answer.status().as_u16(), wait)
}

#[tokio::test]
async fn tests_have_a_limit_for_each_target_whoever_asks_and_a_replay_does_not_count() {
    with_database(|pool| async move {
        let service = Service::new(&pool, everything());
        let webhook = json!({"kind": "webhook", "url": "https://example.com/hook"});
        let mut channel = service.add(webhook.clone()).await;
        for _ in 0..7 {
            assert_eq!(call_for_wait(&service.app, &path(&channel, "/test"), "once", Value::Null).await, (202, 0));
        }
        for _ in 0..4 {
            assert_eq!(call(&service.app, "POST", &path(&channel, "/test"), Value::Null).await.0, 202);
        }
        let (status, wait) = call_for_wait(&service.app, &path(&channel, "/test"), "k", Value::Null).await;
        assert!(status == 429 && (590..=600).contains(&wait), "{status} {wait}");

        call(&service.app, "DELETE", &path(&channel, ""), Value::Null).await;
        channel = service.add(webhook.clone()).await;
        let (status, problem) = call(&service.app, "POST", &path(&channel, "/test"), Value::Null).await;
        assert_eq!((status.as_u16(), &problem["type"]), (429, &json!("urn:todoplatform:problem:too-many-tests")));

        let (_, of_bob) = call(&service.app, "POST", "/api/notifications/channels?user_id=bob", webhook).await;
        let of_bob = format!("/api/notifications/channels/{}/test?user_id=bob", of_bob["id"].as_str().unwrap());
        assert_eq!(call(&service.app, "POST", &of_bob, Value::Null).await.0, 429);
        let later = "UPDATE channel_tests SET sent_at = sent_at - interval '10 minutes'";
        sqlx::query(later).execute(&pool).await.unwrap();
        assert_eq!(call(&service.app, "POST", &of_bob, Value::Null).await.0, 202);
    })
    .await;
}

#[tokio::test]
async fn tests_have_a_limit_for_each_user_and_each_host_of_webhooks() {
    with_database(|pool| async move {
        let service = Service::new(&pool, everything());
        let before = "INSERT INTO channel_tests (id, user_id, target, host, sent_at)
            SELECT gen_random_uuid(), $1, 'x' || n, $2, now() - interval '50 minutes' FROM generate_series(1, $3) AS n";
        let before = async |user: &str, host: Option<&str>, count: i32| {
            sqlx::query(before).bind(user).bind(host).bind(count).execute(&pool).await.unwrap();
        };
        let test = async |channel: &Value| call_for_wait(&service.app, &path(channel, "/test"), "k", Value::Null).await;
        let topic = service.add(json!({"kind": "ntfy", "topic": "t"})).await;
        let webhook = service.add(json!({"kind": "webhook", "url": "https://Example.com/hook"})).await;
        before("bob", Some("example.com"), 60).await;
        let (status, wait) = test(&webhook).await;
        assert!(status == 429 && (590..=600).contains(&wait), "{status} {wait}");
        before("ada", None, 29).await;
        assert_eq!(test(&topic).await, (202, 0));
        let (status, wait) = call_for_wait(&service.app, &path(&topic, "/test"), "k2", Value::Null).await;
        assert!(status == 429 && (590..=600).contains(&wait), "{status} {wait}");
    })
    .await;
}

#[tokio::test]
async fn a_test_of_all_channels_counts_for_each_and_is_sent_to_none_where_one_has_too_many() {
    with_database(|pool| async move {
        let service = Service::new(&pool, everything());
        for topic in ["a", "b"] {
            service.add(json!({"kind": "ntfy", "topic": topic})).await;
        }
        let send = async |test: bool| {
            let body = json!({"user_id": "ada", "message": "This is a test.", "test": test});
            call(&service.app, "POST", "/send-notification", body).await.0.as_u16()
        };
        for _ in 0..5 {
            assert_eq!(send(true).await, 200);
        }
        assert_eq!(send(true).await, 429);
        assert_eq!(service.deliveries().await.len(), 10);
        assert_eq!(send(false).await, 200);
        let counted: i64 = sqlx::query_scalar("SELECT count(*) FROM channel_tests").fetch_one(&pool).await.unwrap();
        assert_eq!(counted, 10);
    })
    .await;
}

#[tokio::test]
async fn two_users_who_subscribe_one_browser_at_once_are_both_answered() {
    with_database(|pool| async move {
        let service = Service::new(&pool, everything());
        for number in 0..10 {
            let subscribe = async |user: &str| {
                let subscription = json!({"kind": "web_push", "endpoint": format!("https://push.example.org/{number}"),
                    "keys": {"p256dh": P256DH, "auth": "BTBZMqHH6r4Tts7J_aSIgg"}});
                call(&service.app, "POST", &format!("/api/notifications/channels?user_id={user}"), subscription).await
            };
            let answers = tokio::join!(subscribe("ada"), subscribe("bob"), subscribe("eve"));
            for (status, answer) in [answers.0, answers.1, answers.2] {
                assert_eq!(status, 201, "{answer}");
            }
        }
        let browsers: i64 = sqlx::query_scalar("SELECT count(*) FROM channels").fetch_one(&pool).await.unwrap();
        assert_eq!(browsers, 10);
    })
    .await;
}
