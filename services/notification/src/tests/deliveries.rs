//! What becomes of deliveries.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use serde_json::{Value, json};
use todo_common::{
    database::Database,
    tasks::{self, TaskPatch, UserId},
    testing::{Line, with_database},
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    app, call, event, minutes,
    receiver::{Receiver, Service},
    task,
};
use crate::{
    deliveries::dispatcher,
    senders::address::{Outbound, Reach},
    settings::Settings,
};

#[tokio::test]
async fn what_was_accepted_is_sent_and_never_sent_again() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        service.add_webhook(&receiver.url("/a")).await;
        let notification = service.notify("push").await;
        service.deliver().await;
        service.let_time_pass().await;
        service.deliver().await;
        let came = receiver.received.lock().unwrap().clone();
        let [(_, id, body)] = &came[..] else { panic!("{came:?}") };
        assert_eq!((&body["type"], &body["data"]["id"]), (&json!("notification.created"), &notification["id"]));
        assert_eq!((&body["data"]["title"], &body["data"]["message"]), (&json!("Milk"), &json!("Buy it")));
        let [delivery] = &service.deliveries().await[..] else { panic!() };
        assert_eq!(
            (&delivery["state"], &delivery["attempts"], delivery["id"].as_str()),
            (&json!("sent"), &json!(1), Some(&id[..]))
        );
        assert!(delivery["sent_at"].is_string() && delivery["last_error"].is_null());
    })
    .await;
}

#[tokio::test]
async fn several_dispatchers_at_once_send_everything_once() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        for number in 0..5 {
            service.add_webhook(&receiver.url(&format!("/{number}/x"))).await;
        }
        for _ in 0..4 {
            service.notify("webhook").await;
        }
        futures::future::join_all((0..4).map(|_| service.deliver())).await;
        service.deliver().await;
        let mut ids = receiver.ids();
        assert_eq!(ids.len(), 20);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 20);
    })
    .await;
}

#[tokio::test]
async fn what_was_refused_is_tried_again_under_the_same_id_and_given_up_in_the_end() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        service.add_webhook(&receiver.url("/503")).await;
        service.notify("push").await;
        service.deliver().await;
        let [delivery] = &service.deliveries().await[..] else { panic!() };
        assert_eq!((&delivery["state"], &delivery["last_error"]), (&json!("waiting"), &json!("it answered HTTP 503")));
        let next: chrono::DateTime<Utc> = delivery["next_attempt_at"].as_str().unwrap().parse().unwrap();
        assert!(next > Utc::now(), "{next}");
        for _ in 0..20 {
            service.let_time_pass().await;
            service.deliver().await;
        }
        let ids = receiver.ids();
        assert_eq!(ids.len(), 9);
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert_eq!(service.deliveries().await[0]["state"], "failed");
    })
    .await;
}

#[tokio::test]
async fn receivers_that_take_nothing_hold_up_what_is_for_others_once_and_not_with_all_that_waits_for_them() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        service.add_webhook(&receiver.url("/1/503")).await;
        let others = "INSERT INTO channels (id, user_id, kind, name, target, secret, confirmed)
            SELECT gen_random_uuid(), user_id, kind, name || n, replace(target, '/1/503', '/' || n || '/503'), secret, true
            FROM channels CROSS JOIN generate_series(2, 64) AS n";
        sqlx::query(others).execute(&pool).await.unwrap();
        for _ in 0..3 {
            service.notify("webhook").await;
        }
        let order = "SELECT id FROM deliveries WHERE channel_id = (SELECT id FROM channels WHERE target LIKE '%/1/503')
            ORDER BY next_attempt_at, id";
        let order = async || sqlx::query_scalar::<_, uuid::Uuid>(order).fetch_all(&pool).await.unwrap();
        let before = order().await;
        let body = json!({"user_id": "bob", "kind": "webhook", "url": receiver.url("/good/200")});
        let (status, _) = call(&service.app, "POST", "/api/notifications/channels?user_id=bob", body).await;
        assert_eq!(status, 201);
        let body = json!({"user_id": "bob", "title": "Milk", "message": "Buy it", "method": "webhook"});
        call(&service.app, "POST", "/send-notification", body).await;
        // Each takes 32.
        for _ in 0..3 {
            dispatcher::round(&pool, &service.senders).await;
        }
        let paths: Vec<_> = receiver.received.lock().unwrap().iter().map(|(path, ..)| path.clone()).collect();
        assert!(paths.iter().any(|path| path == "/good/200"), "{} came", paths.len());
        assert_eq!(order().await, before);
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_asks_for_patience_has_it_from_all_that_waits_for_it() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        service.add_webhook(&receiver.url("/429")).await;
        service.notify("push").await;
        service.notify("push").await;
        service.deliver().await;
        assert_eq!(receiver.ids().len(), 1);
        for delivery in service.deliveries().await {
            let next: chrono::DateTime<Utc> = delivery["next_attempt_at"].as_str().unwrap().parse().unwrap();
            assert!(next > minutes(29) && next < minutes(31), "{delivery}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_target_that_is_gone_switches_its_channel_off() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        let channel = service.add_webhook(&receiver.url("/410")).await;
        service.notify("push").await;
        service.notify("push").await;
        service.deliver().await;
        assert_eq!(receiver.ids().len(), 1);
        let shown = service.channel(&channel).await;
        assert_eq!((&shown["enabled"], &shown["disabled_reason"]), (&json!(false), &json!("it answered HTTP 410")));
        let states: Vec<_> = service.deliveries().await.into_iter().map(|delivery| delivery["state"].clone()).collect();
        assert!(states.contains(&json!("failed")) && states.contains(&json!("cancelled")), "{states:?}");
        service.notify("push").await;
        assert_eq!(service.deliveries().await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        service.add_webhook(&receiver.url("/307")).await;
        service.notify("push").await;
        service.deliver().await;
        assert_eq!(receiver.ids().len(), 1);
        assert_eq!(service.deliveries().await[0]["last_error"], "it answered HTTP 307");
    })
    .await;
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_not_called() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let outbound = Outbound { reach: Reach::Private, ports: vec![receiver.address.port()] };
        let service = Service::new(&pool, Settings { webhooks: Some(outbound), ..Settings::default() });
        let channel = service.add_webhook(&format!("http://localhost:{}/a", receiver.address.port())).await;
        service.notify("push").await;
        service.deliver().await;
        assert_eq!(receiver.ids(), [""; 0]);
        assert_eq!(service.deliveries().await[0]["last_error"], "the name leads to an address of a private network");

        // Neither is an address that was allowed when the channel was added.
        let point = "UPDATE channels SET target = $1";
        sqlx::query(point).bind(receiver.url("/a")).execute(&pool).await.unwrap();
        service.let_time_pass().await;
        service.deliver().await;
        assert_eq!(receiver.ids(), [""; 0]);
        assert_eq!(service.deliveries().await[0]["channel_id"], channel["id"]);
        assert_eq!(service.deliveries().await[0]["state"], "failed");
    })
    .await;
}

#[tokio::test]
async fn a_method_goes_to_the_channels_that_it_means() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        service.add_webhook(&receiver.url("/a")).await;
        for (method, expected) in [("email", 0), ("in_app", 0), ("webhook", 1), ("push", 2)] {
            service.notify(method).await;
            assert_eq!(service.deliveries().await.len(), expected, "{method}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_test_goes_to_its_channel_alone() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        service.add_webhook(&receiver.url("/a")).await;
        let tested = service.add_webhook(&receiver.url("/b")).await;
        let path = format!("/api/notifications/channels/{}/test?user_id=ada", tested["id"].as_str().unwrap());
        let (status, delivery) = call(&service.app, "POST", &path, Value::Null).await;
        assert_eq!((status.as_u16(), &delivery["state"]), (202, &json!("waiting")));
        service.deliver().await;
        let paths: Vec<_> = receiver.received.lock().unwrap().iter().map(|(path, ..)| path.clone()).collect();
        assert_eq!(paths, ["/b"]);
    })
    .await;
}

#[tokio::test]
async fn a_reminder_is_delivered_at_its_time_and_not_when_its_task_is_done_or_moved_by_then() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        service.add_webhook(&receiver.url("/a")).await;
        let reminders = app(&Database::ready(pool.clone()));
        let (later, reminder) = task(&pool, minutes(5)).await;
        call(&reminders, "POST", "/reminders", event("e1", &later, reminder)).await;
        let (done, reminder) = task(&pool, minutes(-1)).await;
        call(&reminders, "POST", "/reminders", event("e2", &done, reminder)).await;
        let (moved, reminder) = task(&pool, minutes(-1)).await;
        call(&reminders, "POST", "/reminders", event("e3", &moved, reminder)).await;
        let ada = UserId::new("ada").unwrap();
        let mut connection = pool.acquire().await.unwrap();
        tasks::complete(&mut connection, &ada, done.id, None).await.unwrap();
        let patch = TaskPatch { due_at: Some(Some(minutes(60))), ..TaskPatch::default() };
        tasks::update(&mut connection, &ada, moved.id, None, patch).await.unwrap();
        service.deliver().await;
        assert_eq!(receiver.ids(), [""; 0]);
        let states = async || service.deliveries().await.into_iter().map(|d| d["state"].clone()).collect::<Vec<_>>();
        assert_eq!(states().await, ["cancelled", "cancelled", "waiting"]);
        service.let_time_pass().await;
        service.deliver().await;
        assert_eq!(states().await, ["cancelled", "cancelled", "sent"]);
        assert_eq!(receiver.received.lock().unwrap()[0].2["data"]["task_id"], json!(later.id));
    })
    .await;
}

#[tokio::test]
async fn a_claim_that_ran_out_is_taken_over_and_the_former_owner_marks_nothing() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        service.add_webhook(&receiver.url("/a")).await;
        service.notify("push").await;
        let claimed = "UPDATE deliveries SET attempts = 1, claimed_until = now() + interval '1 minute'";
        sqlx::query(claimed).execute(&pool).await.unwrap();
        dispatcher::round(&pool, &service.senders).await;
        assert_eq!(receiver.ids(), [""; 0]);
        let ran_out = "UPDATE deliveries SET claimed_until = now() - interval '1 second'";
        sqlx::query(ran_out).execute(&pool).await.unwrap();
        dispatcher::round(&pool, &service.senders).await;
        assert_eq!(receiver.ids().len(), 1);
        let [delivery] = &service.deliveries().await[..] else { panic!() };
        assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("sent"), &json!(2)));
    })
    .await;
}

#[tokio::test]
async fn what_is_old_is_removed_and_what_waits_is_not() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        service.add_webhook(&receiver.url("/a")).await;
        service.notify("push").await;
        service.deliver().await;
        service.notify("push").await;
        sqlx::query("UPDATE deliveries SET created_at = now() - interval '31 days'").execute(&pool).await.unwrap();
        assert_eq!(dispatcher::purge(&pool).await.unwrap(), 1);
        assert_eq!(service.deliveries().await[0]["state"], "waiting");
        sqlx::query("UPDATE notifications SET visible_at = now() - interval '91 days'").execute(&pool).await.unwrap();
        assert_eq!(dispatcher::purge(&pool).await.unwrap(), 2);
        assert_eq!(service.deliveries().await, [Value::Null; 0]);
        assert_eq!(dispatcher::purge(&pool).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn what_is_on_its_way_when_the_service_stops_is_sent_to_its_end() {
    with_database(|pool| async move {
        let (begun, answered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let receiver = Receiver::holding(begun.clone(), answered.clone()).await;
        let service = Service::with_webhooks(&pool, &receiver);
        service.add_webhook(&receiver.url("/a")).await;
        service.notify("push").await;
        let stop = CancellationToken::new();
        let dispatcher = dispatcher::run(Database::ready(pool.clone()), service.senders.clone(), stop.clone());
        let answer = async {
            begun.notified().await;
            stop.cancel();
            // It sees the stop before the answer.
            sleep(Duration::from_millis(100)).await;
            answered.notify_one();
        };
        timeout(Duration::from_secs(20), async { tokio::join!(dispatcher, answer) }).await.unwrap();
        let [delivery] = &service.deliveries().await[..] else { panic!() };
        assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("sent"), &json!(1)));
        assert_eq!(receiver.ids().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_database_whose_host_is_gone_without_a_word_holds_up_deliveries_for_half_a_minute_and_not_for_ever() {
    with_database(|pool| async move {
        let receiver = Receiver::start().await;
        let service = Service::with_webhooks(&pool, &receiver);
        service.add_webhook(&receiver.url("/a")).await;
        let line = Line::to(&pool).await;
        let database = Database::ready(line.pool());
        let dispatcher = tokio::spawn(dispatcher::run(database, service.senders.clone(), CancellationToken::new()));
        // The line dies while the dispatcher waits for an answer.
        let mut others = pool.begin().await.unwrap();
        sqlx::query("LOCK TABLE deliveries").execute(&mut *others).await.unwrap();
        sleep(Duration::from_secs(3)).await;
        line.die();
        others.rollback().await.unwrap();
        sleep(Duration::from_millis(500)).await;
        service.notify("push").await;
        let comes = async {
            while receiver.ids().is_empty() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_secs(45), comes).await.unwrap();
        dispatcher.abort();
    })
    .await;
}
