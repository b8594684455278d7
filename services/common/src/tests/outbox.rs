use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use sqlx::PgPool;
use tokio::{
    sync::{Barrier, Notify},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    database::Database,
    inbox,
    outbox::{
        self, OutboxEvent,
        relay::{self, BATCH, Publish, Round, round},
    },
    testing::with_database,
};

/// A broker that remembers what it got.
#[derive(Default)]
struct Broker {
    events: Mutex<Vec<OutboxEvent>>,
    is_away: AtomicBool,
}

impl Publish for &Broker {
    async fn publish_events(&self, _: &str, events: &[&OutboxEvent]) -> Result<HashMap<Uuid, String>, String> {
        tokio::task::yield_now().await;
        if self.is_away.load(Ordering::Relaxed) {
            return Err("no broker".to_owned());
        }
        self.events.lock().unwrap().extend(events.iter().copied().cloned());
        Ok(HashMap::new())
    }
}

/// A broker that refuses one key.
struct Picky;

impl Publish for Picky {
    async fn publish_events(&self, _: &str, events: &[&OutboxEvent]) -> Result<HashMap<Uuid, String>, String> {
        let bad = events.iter().filter(|event| event.partition_key == "bad");
        Ok(bad.map(|event| (event.id, "too large".to_owned())).collect())
    }
}

/// A broker that writes down how many events each call has.
struct Counting<'a>(&'a Mutex<Vec<usize>>);

impl Publish for Counting<'_> {
    async fn publish_events(&self, _: &str, events: &[&OutboxEvent]) -> Result<HashMap<Uuid, String>, String> {
        self.0.lock().unwrap().push(events.len());
        Ok(HashMap::new())
    }
}

/// A broker that takes its time: a call is answered when there is a second one.
struct Slow {
    has_begun: Notify,
    together: Barrier,
}

impl Publish for &Slow {
    async fn publish_events(&self, _: &str, _: &[&OutboxEvent]) -> Result<HashMap<Uuid, String>, String> {
        self.has_begun.notify_one();
        self.together.wait().await;
        Ok(HashMap::new())
    }
}

pub(super) async fn enqueue(pool: &PgPool, key: &str, payload: i32) {
    outbox::enqueue(&mut pool.acquire().await.unwrap(), "task-events", key, None, &json!({"n": payload}))
        .await
        .unwrap();
}

async fn drain(pool: &PgPool, broker: &Broker) {
    loop {
        let waiting: i64 =
            sqlx::query_scalar("SELECT count(*) FROM outbox WHERE published_at IS NULL").fetch_one(pool).await.unwrap();
        if waiting == 0 {
            break;
        }
        round(pool, &broker, BATCH).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_relays_publish_each_event_once_and_in_order_per_key() {
    with_database(|pool| async move {
        for n in 0..60 {
            enqueue(&pool, ["a", "b", "c", "d"][n % 4], i32::try_from(n).unwrap()).await;
        }
        let broker = Broker::default();
        tokio::join!(drain(&pool, &broker), drain(&pool, &broker));
        let events = broker.events.into_inner().unwrap();
        assert_eq!(events.len(), 60);
        assert_eq!(events.iter().map(|event| event.id).collect::<HashSet<_>>().len(), 60);
        let mut by_key: HashMap<&str, Vec<i64>> = HashMap::new();
        for event in &events {
            by_key.entry(&event.partition_key).or_default().push(event.seq);
        }
        assert!(by_key.values().all(|order| order.is_sorted()), "{by_key:?}");
    })
    .await;
}

#[tokio::test]
async fn what_is_committed_while_the_broker_takes_its_time_does_not_wait_for_it() {
    with_database(|pool| async move {
        let database = Database::ready(pool.clone());
        let slow = Slow { has_begun: Notify::new(), together: Barrier::new(2) };
        enqueue(&pool, "a", 1).await;
        let later = async {
            slow.has_begun.notified().await;
            enqueue(&pool, "b", 1).await;
            database.commit(database.begin().await.unwrap()).await.unwrap();
            let published = "SELECT count(*) FROM outbox WHERE published_at IS NOT NULL";
            while sqlx::query_scalar::<_, i64>(published).fetch_one(&pool).await.unwrap() < 2 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            () = relay::run(database.clone(), &slow, CancellationToken::new()) => panic!("it goes on"),
            done = timeout(Duration::from_secs(20), later) => done.unwrap(),
        }
    })
    .await;
}

#[tokio::test]
async fn a_round_that_has_begun_when_the_service_stops_is_finished() {
    with_database(|pool| async move {
        let slow = Slow { has_begun: Notify::new(), together: Barrier::new(2) };
        enqueue(&pool, "a", 1).await;
        let stop = CancellationToken::new();
        let answer = async {
            slow.has_begun.notified().await;
            stop.cancel();
            // It sees the stop before the answer.
            sleep(Duration::from_millis(100)).await;
            slow.together.wait().await;
        };
        let relay = relay::run(Database::ready(pool.clone()), &slow, stop.clone());
        timeout(Duration::from_secs(20), async { tokio::join!(relay, answer) }).await.unwrap();
        let published = "SELECT published_at IS NOT NULL FROM outbox";
        assert!(sqlx::query_scalar::<_, bool>(published).fetch_one(&pool).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn events_wait_while_the_broker_is_away_and_keep_their_order() {
    with_database(|pool| async move {
        enqueue(&pool, "a", 1).await;
        enqueue(&pool, "a", 2).await;
        let broker = Broker::default();
        broker.is_away.store(true, Ordering::Relaxed);
        assert_eq!(round(&pool, &&broker, BATCH).await.unwrap(), Round { published: 0, failed: 1 });
        assert_eq!(round(&pool, &&broker, BATCH).await.unwrap(), Round::default(), "it waits before it tries again");
        let (attempts, error): (i32, String) =
            sqlx::query_as("SELECT attempts, last_error FROM outbox ORDER BY seq LIMIT 1")
                .fetch_one(&pool)
                .await
                .unwrap();
        assert_eq!((attempts, error.as_str()), (1, "no broker"));
        broker.is_away.store(false, Ordering::Relaxed);
        sqlx::query("UPDATE outbox SET retry_at = now()").execute(&pool).await.unwrap();
        drain(&pool, &broker).await;
        let order: Vec<_> =
            broker.events.into_inner().unwrap().into_iter().map(|event| event.payload["n"].clone()).collect();
        assert_eq!(order, [json!(1), json!(2)]);
    })
    .await;
}

#[tokio::test]
async fn an_event_that_fails_does_not_hold_up_other_keys() {
    with_database(|pool| async move {
        for key in ["bad", "good"] {
            enqueue(&pool, key, 1).await;
        }
        assert_eq!(round(&pool, &Picky, BATCH).await.unwrap(), Round { published: 1, failed: 1 });
    })
    .await;
}

#[tokio::test]
async fn any_number_of_events_that_wait_for_another_try_does_not_hold_up_the_rest() {
    with_database(|pool| async move {
        let waiting = "INSERT INTO outbox (id, topic, partition_key, payload, retry_at)
                       SELECT gen_random_uuid(), 'task-events', 'bad-' || n, '{}', now() + interval '1 hour'
                       FROM generate_series(1, 1500) AS n";
        sqlx::query(waiting).execute(&pool).await.unwrap();
        enqueue(&pool, "bad-1", 1).await;
        enqueue(&pool, "good", 1).await;
        assert_eq!(round(&pool, &Picky, BATCH).await.unwrap(), Round { published: 1, failed: 0 });
        let published: Vec<String> =
            sqlx::query_scalar("SELECT partition_key FROM outbox WHERE published_at IS NOT NULL")
                .fetch_all(&pool)
                .await
                .unwrap();
        assert_eq!(published, ["good"], "what comes after an event that waits, waits as well");
    })
    .await;
}

#[tokio::test]
async fn large_events_are_published_in_several_calls_and_each_once() {
    with_database(|pool| async move {
        let large = "x".repeat(400 * 1024);
        let mut c = pool.acquire().await.unwrap();
        for key in ["a", "b", "c", "d", "e"] {
            outbox::enqueue(&mut c, "task-events", key, None, &json!({"notes": large})).await.unwrap();
        }
        let calls = Mutex::new(Vec::new());
        assert_eq!(round(&pool, &Counting(&calls), BATCH).await.unwrap(), Round { published: 5, failed: 0 });
        assert_eq!(calls.into_inner().unwrap(), [2, 2, 1]);
    })
    .await;
}

#[tokio::test]
async fn the_topics_do_not_wait_for_each_other() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        for topic in ["task-events", "reminders"] {
            outbox::enqueue(&mut c, topic, "a", None, &json!({})).await.unwrap();
        }
        assert_eq!(round(&pool, &Picky, BATCH).await.unwrap(), Round { published: 2, failed: 0 });
    })
    .await;
}

#[tokio::test]
async fn the_inbox_lets_an_event_through_once_and_only_with_its_effect() {
    with_database(|pool| async move {
        let mut transaction = pool.begin().await.unwrap();
        let only = |id: &str| HashSet::from([id.to_owned()]);
        assert_eq!(inbox::mark(&mut transaction, "one", vec!["e1"]).await.unwrap(), only("e1"));
        transaction.rollback().await.unwrap();
        let mut c = pool.acquire().await.unwrap();
        let again = inbox::mark(&mut c, "one", vec!["e1", "e1"]).await.unwrap();
        assert_eq!(again, only("e1"), "the effect did not happen");
        assert_eq!(inbox::mark(&mut c, "one", vec!["e2", "e1"]).await.unwrap(), only("e2"));
        assert_eq!(inbox::mark(&mut c, "two", vec!["e1"]).await.unwrap(), only("e1"), "another consumer");
        assert!(inbox::mark(&mut c, "one", Vec::new()).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_commit_of_another_process_is_heard() {
    with_database(|pool| async move {
        let (here, there) = (Database::ready(pool.clone()), Database::ready(pool.clone()));
        let limit = Duration::from_secs(30);
        let mut news = here.news();
        let stop = CancellationToken::new();
        let heard = async {
            assert!(news.wait(limit).await, "it listens");
            there.commit(there.begin().await.unwrap()).await.unwrap();
            assert!(news.wait(limit).await, "it hears");
        };
        tokio::select! {
            () = heard => {}
            () = here.clone().listen(stop) => {}
            () = there.pass_on_commits(&pool) => {}
        }
    })
    .await;
}
