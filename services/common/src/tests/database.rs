use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use sqlx::PgConnection;
use tokio::time::{sleep, timeout};

use crate::{
    database::{self, ClaimError, Database},
    dead_letters,
    problem::Problem,
    testing::{settings, with_database},
};

#[tokio::test]
async fn a_later_platform_of_the_same_name_takes_over_and_another_does_not() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let ours = settings();
        database::claim(&mut c, &ours).await.unwrap();
        database::claim(&mut c, &ours).await.unwrap();
        let later = crate::config::Settings { platform_uid: "uid-2".to_owned(), ..ours.clone() };
        database::claim(&mut c, &later).await.unwrap();
        let uid: String = sqlx::query_scalar("SELECT uid FROM platform_claim").fetch_one(&pool).await.unwrap();
        assert_eq!(uid, "uid-2");
        let other = crate::config::Settings { namespace: "other".to_owned(), ..ours };
        let refused = database::claim(&mut c, &other).await;
        assert!(matches!(&refused, Err(ClaimError::InUse { by }) if by == "default/todo"), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn without_a_database_handlers_say_that_the_service_is_starting() {
    let problem: Problem = Database::new().pool().unwrap_err();
    assert_eq!((problem.status().as_u16(), problem.kind()), (503, "starting"));
}

#[tokio::test]
async fn a_dead_letter_is_kept_once() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        for _ in 0..2 {
            dead_letters::store(&mut c, "e1", "reminders", &json!({"a": 1}), None).await.unwrap();
        }
        assert_eq!(super::count(&pool, "dead_letters").await, 1);
    })
    .await;
}

/// The process of PostgreSQL behind a connection.
async fn process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await
}

#[tokio::test]
async fn a_read_has_the_connection_of_the_one_before_and_the_pool_has_it_back_soon() {
    with_database(|pool| async move {
        let database = Database::ready(pool.clone());
        let first = database.read(process).await.unwrap();
        assert_eq!(database.read(process).await.unwrap(), first);
        let is_back = async {
            while pool.num_idle() < pool.size() as usize {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(10), is_back).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_write_finds_a_connection_however_many_reads_there_are() {
    with_database(|pool| async move {
        let database = Database::ready(pool);
        let read = || database.read(async |_| std::future::pending::<Result<(), sqlx::Error>>().await);
        let write = async { database.begin().await.unwrap().rollback().await.unwrap() };
        tokio::select! {
            _ = join_all((0..50).map(|_| read())) => {}
            written = timeout(Duration::from_secs(2), async { sleep(Duration::from_millis(200)).await; write.await }) => written.unwrap(),
        }
    })
    .await;
}

#[tokio::test]
async fn a_read_whose_connection_was_ended_says_that_the_database_is_away_and_the_next_one_works() {
    with_database(|pool| async move {
        let database = Database::ready(pool.clone());
        let ended = database.read(process).await.unwrap();
        sqlx::query("SELECT pg_terminate_backend($1, 5000)").bind(ended).execute(&pool).await.unwrap();
        assert_eq!(database.read(process).await.unwrap_err().status().as_u16(), 503);
        assert_ne!(database.read(process).await.unwrap(), ended);
    })
    .await;
}
