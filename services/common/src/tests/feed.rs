//! What live views are told.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::outbox::enqueue;
use crate::{
    database::Database,
    outbox::{
        self, Feed, Told,
        feed::{Reader, Tail},
    },
    testing::{statements, with_database},
};

#[tokio::test]
async fn a_feed_tells_each_committed_event_once_whatever_the_order_of_commits() {
    with_database(|pool| async move {
        enqueue(&pool, "a", 0).await;
        let mut tail = Tail::default();
        assert!(tail.read(&pool).await.unwrap().is_empty(), "what was there before is not news");
        let mut early = pool.begin().await.unwrap();
        let first = outbox::enqueue(&mut early, "task-events", "a", None, &json!({"n": 1})).await.unwrap();
        enqueue(&pool, "b", 2).await;
        let ids = async |tail: &mut Tail| -> Vec<Uuid> {
            tail.read(&pool).await.unwrap().into_iter().map(|change| change.id).collect()
        };
        assert_eq!(ids(&mut tail).await.len(), 1, "the later one is committed first");
        assert!(ids(&mut tail).await.is_empty());
        early.commit().await.unwrap();
        assert_eq!(ids(&mut tail).await, [first]);
        assert!(ids(&mut tail).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_view_that_begins_before_the_feed_is_told_to_read_anew() {
    with_database(|pool| async move {
        let (feed, mut reader) = (Feed::default(), Reader::default());
        let mut view = feed.subscribe();
        enqueue(&pool, "a", 1).await;
        feed.follow(&pool, &mut reader).await;
        assert_eq!(view.recv().await.unwrap(), Told::Resync);
        enqueue(&pool, "a", 2).await;
        feed.follow(&pool, &mut reader).await;
        let Told::Change(change) = view.recv().await.unwrap() else { panic!("a change") };
        assert_eq!(change.payload, json!({"n": 2}));
    })
    .await;
}

#[tokio::test]
async fn a_feed_tells_a_crowd_in_parts_and_each_once() {
    with_database(|pool| async move {
        let mut tail = Tail::default();
        tail.read(&pool).await.unwrap();
        let mut early = pool.begin().await.unwrap();
        outbox::enqueue(&mut early, "task-events", "a", None, &json!({})).await.unwrap();
        let crowd = "INSERT INTO outbox (id, topic, partition_key, payload)
                     SELECT gen_random_uuid(), 'task-events', n::text, '{}' FROM generate_series(1, 1500) AS n";
        sqlx::query(crowd).execute(&pool).await.unwrap();
        let mut parts = Vec::new();
        for _ in 0..3 {
            parts.push(tail.read(&pool).await.unwrap().len());
        }
        assert_eq!(parts, [1000, 500, 0]);
        early.commit().await.unwrap();
        assert_eq!(tail.read(&pool).await.unwrap().len(), 1);
        assert!(tail.read(&pool).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn while_a_transaction_stays_open_nothing_that_was_there_is_news_and_what_was_told_is_not_read_again() {
    with_database(|pool| async move {
        let crowd = async || {
            // As they come: of many transactions.
            let crowd = "DO $$ BEGIN FOR part IN 1..1000 LOOP
                INSERT INTO outbox (id, topic, partition_key, payload)
                SELECT gen_random_uuid(), 'task-events', n::text, '{}' FROM generate_series(1, 20) AS n;
                COMMIT; SET LOCAL synchronous_commit = off; END LOOP; END $$";
            sqlx::raw_sql(crowd).execute(&pool).await.unwrap();
            sqlx::query("ANALYZE outbox").execute(&pool).await.unwrap();
        };
        let mut early = pool.begin().await.unwrap();
        outbox::enqueue(&mut early, "task-events", "a", None, &json!({})).await.unwrap();
        crowd().await;
        let mut tail = Tail::default();
        assert!(tail.read(&pool).await.unwrap().is_empty());
        assert!(tail.read(&pool).await.unwrap().is_empty(), "what was there before is not news");
        crowd().await;
        let mut told = std::collections::HashSet::new();
        loop {
            let part = tail.read(&pool).await.unwrap();
            if part.is_empty() {
                break;
            }
            let count = told.len() + part.len();
            told.extend(part.into_iter().map(|change| change.id));
            assert_eq!(told.len(), count, "each once");
        }
        assert_eq!(told.len(), 20_000);
        let pages = tail.pages(&pool).await;
        assert!(pages < 30, "{pages} pages for nothing");
        early.commit().await.unwrap();
        assert_eq!(tail.read(&pool).await.unwrap().len(), 1);
        assert!(tail.read(&pool).await.unwrap().is_empty());
    })
    .await;
}

/// A notification that is to be seen so many seconds from now.
async fn notify(pool: &PgPool, id: u128, seconds: f64) {
    sqlx::query(
        "INSERT INTO notifications (id, user_id, title, message, method, visible_at)
         VALUES ($1, 'ada', 'water the plants', 'Reminder', 'push', now() + make_interval(secs => $2))",
    )
    .bind(Uuid::from_u128(id))
    .bind(seconds)
    .execute(pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_notification_is_told_once_when_it_is_to_be_seen_and_one_that_was_seen_before_is_not() {
    with_database(|pool| async move {
        let mut shown = crate::notifications::Shown::default();
        notify(&pool, 1, -1.0).await;
        assert!(shown.read(&pool).await.unwrap().is_empty(), "what was there before is not news");
        let mut late = pool.begin().await.unwrap();
        let insert = "INSERT INTO notifications (id, user_id, title, message, method, visible_at)
                      VALUES (gen_random_uuid(), 'bob', 'late', 'Reminder', 'push', now())";
        sqlx::query(insert).execute(&mut *late).await.unwrap();
        notify(&pool, 2, 0.0).await;
        notify(&pool, 3, 3600.0).await;
        let told = shown.read(&pool).await.unwrap();
        assert_eq!(told.iter().map(|told| told.id).collect::<Vec<_>>(), [Uuid::from_u128(2)]);
        late.commit().await.unwrap();
        let told = shown.read(&pool).await.unwrap();
        assert_eq!(told.iter().map(|told| told.title.as_str()).collect::<Vec<_>>(), ["late"], "its time is earlier");
        assert!(shown.read(&pool).await.unwrap().is_empty());
        let its_time_comes = "UPDATE notifications SET visible_at = now() WHERE id = $1";
        sqlx::query(its_time_comes).bind(Uuid::from_u128(3)).execute(&pool).await.unwrap();
        let told = shown.read(&pool).await.unwrap();
        assert_eq!(told.iter().map(|told| told.id).collect::<Vec<_>>(), [Uuid::from_u128(3)]);
    })
    .await;
}

#[tokio::test]
async fn while_nobody_looks_the_database_is_not_asked() {
    with_database(|pool| async move {
        let (feed, stop) = (Feed::default(), CancellationToken::new());
        let database = Database::ready(pool.clone());
        let run = feed.run(database.clone(), stop.clone());
        let commits = async {
            for n in 0..20 {
                enqueue(&pool, "a", n).await;
                database.commit(database.begin().await.unwrap()).await.unwrap();
            }
            stop.cancel();
        };
        let (asked, ()) = tokio::join!(statements(run), commits);
        assert_eq!(asked, 0);
    })
    .await;
}

#[tokio::test]
async fn the_first_who_looks_is_told_to_read_anew_and_then_of_notifications_whose_time_has_come() {
    with_database(|pool| async move {
        let (feed, stop) = (Feed::default(), CancellationToken::new());
        let limit = Duration::from_secs(30);
        let run = feed.clone().run(Database::ready(pool.clone()), stop.clone());
        let look = async {
            let mut view = feed.subscribe();
            assert_eq!(timeout(limit, view.recv()).await.unwrap().unwrap(), Told::Resync);
            notify(&pool, 1, 0.2).await;
            let told = timeout(limit, view.recv()).await.unwrap().unwrap();
            assert!(matches!(&told, Told::Notification(shown) if shown.id == Uuid::from_u128(1)), "{told:?}");
            stop.cancel();
        };
        tokio::join!(run, look);
    })
    .await;
}
