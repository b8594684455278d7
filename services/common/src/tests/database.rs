use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use sqlx::PgConnection;
use tokio::time::{sleep, timeout};

use crate::{
    database::{self, ClaimError, Database},
    dead_letters,
    problem::Problem,
    testing::{Line, settings, with_database},
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

#[tokio::test]
async fn connections_that_died_without_a_word_hold_up_nothing() {
    with_database(|pool| async move {
        let line = Line::to(&pool).await;
        let pool = line.pool();
        let database = Database::ready(pool.clone());
        let most = pool.options().get_max_connections();
        database.read(process).await.unwrap();
        let mut transactions = Vec::new();
        for _ in 1..most {
            transactions.push(pool.begin().await.unwrap());
        }
        line.die();
        let hang = transactions.into_iter().map(async |mut transaction| {
            timeout(Duration::from_millis(200), process(&mut transaction)).await.unwrap_err();
        });
        join_all(hang).await;
        let again = async {
            let mut all = Vec::new();
            while all.len() < most as usize {
                if let Ok(transaction) = pool.begin().await {
                    all.push(transaction);
                }
            }
        };
        timeout(Duration::from_mins(1), again).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_that_died_without_a_word_is_replaced_while_a_request_waits() {
    with_database(|pool| async move {
        let line = Line::to(&pool).await;
        let pool = line.pool();
        drop(pool.acquire().await.unwrap());
        sleep(Duration::from_millis(1200)).await;
        line.die();
        Database::ready(pool).begin().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn after_a_server_took_no_writes_its_connections_are_not_used_again() {
    with_database(|pool| async move {
        let pool = Line::to(&pool).await.pool();
        let database = Database::ready(pool.clone());
        // As a standby does, or a primary that has become one.
        sqlx::query("SET default_transaction_read_only = on").execute(&pool).await.unwrap();
        while pool.num_idle() == 0 {
            sleep(Duration::from_millis(10)).await;
        }
        let write = async || -> Result<(), Problem> {
            let mut transaction = database.begin().await?;
            sqlx::query("DELETE FROM inbox").execute(&mut *transaction).await?;
            database.commit(transaction).await
        };
        assert_eq!(write().await.unwrap_err().status().as_u16(), 503);
        write().await.unwrap();
        // Nor does a read have the connection of the one before.
        let first = database.read(process).await.unwrap();
        let another = async {
            while database.read(process).await.unwrap() == first {
                database::note_read_only();
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_mins(1), another).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_a_server_says_of_itself_is_away_and_what_it_says_of_a_statement_is_not() {
    with_database(|pool| async move {
        let told = async |code: &str| -> Problem {
            let statement = format!("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$");
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap_err().into()
        };
        for code in [
            "08006", "25P03", "28P01", "40001", "40P01", "53100", "53200", "53300", "55P03", "57014", "57P01", "57P02",
            "57P03", "57P04", "57P05",
        ] {
            assert!(told(code).await.is_away(), "{code}");
        }
        for code in ["22021", "23505", "25001", "42601"] {
            assert!(!told(code).await.is_away(), "{code}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_begin_that_is_given_up_leaves_no_transaction_open() {
    with_database(|pool| async move {
        let line = Line::to(&pool).await;
        let narrow = line.pool();
        let idle = async || {
            while narrow.num_idle() == 0 || narrow.num_idle() < narrow.size() as usize {
                sleep(Duration::from_millis(10)).await;
            }
        };
        drop(narrow.acquire().await.unwrap());
        timeout(Duration::from_secs(10), idle()).await.unwrap();
        line.hold(true);
        let given_up = timeout(Duration::from_millis(300), Database::ready(narrow.clone()).begin()).await;
        assert!(given_up.is_err(), "the answer was held back");
        line.hold(false);
        timeout(Duration::from_secs(10), idle()).await.unwrap();
        let mut connection = narrow.acquire().await.unwrap();
        dead_letters::store(&mut connection, "e1", "reminders", &json!({"a": 1}), None).await.unwrap();
        assert_eq!(super::count(&pool, "dead_letters").await, 1);
    })
    .await;
}
