use serde_json::json;

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
