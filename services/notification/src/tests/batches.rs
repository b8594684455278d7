//! Reminders as the sidecar posts them, several at once.

use serde_json::{Value, json};
use sqlx::PgPool;
use todo_common::{
    database::Database,
    tasks::{self, UserId},
    testing::{bulk, statements, statuses, with_database},
};

use super::{app, call, event, minutes, shown, task};

/// Events of so many reminders that are due, each of a task of its own.
async fn due(pool: &PgPool, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    for number in 0..count {
        let (task, reminder) = task(pool, minutes(-60)).await;
        events.push(event(&format!("{count}-{number}"), &task, reminder));
    }
    events
}

#[tokio::test]
async fn of_a_batch_each_reminder_is_stored_once_and_only_where_its_task_still_has_it() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let mut events = due(&pool, 4).await;
        let (ada, last) = (UserId::new("ada").unwrap(), events[3]["data"]["task_id"].as_str().unwrap());
        tasks::complete(&mut pool.acquire().await.unwrap(), &ada, last.parse().unwrap(), None).await.unwrap();
        call(&app, "POST", "/reminders", events[0].clone()).await;
        let mut published_again = events[1].clone();
        published_again["id"] = json!("e5");
        let mut moved = events[2].clone();
        (moved["id"], moved["data"]["remind_at"]) = (json!("e6"), json!(minutes(-30)));
        let mut of_another = events[2].clone();
        (of_another["id"], of_another["data"]["user_id"]) = (json!("e7"), json!("bob"));
        events.extend([published_again, moved, of_another, events[1].clone()]);
        let (_, answer) = call(&app, "POST", "/reminders", bulk(&events)).await;
        assert_eq!(statuses(&answer), ["SUCCESS"; 8]);
        let shown = shown(&app).await;
        let mut tasks: Vec<&str> = shown.iter().map(|one| one["task_id"].as_str().unwrap()).collect();
        tasks.sort_unstable();
        let expected: Vec<&str> = events[..3].iter().map(|event| event["data"]["task_id"].as_str().unwrap()).collect();
        assert_eq!(tasks, expected);
    })
    .await;
}

#[tokio::test]
async fn a_reminder_that_the_database_refuses_does_not_hold_the_others_of_its_batch() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let mut events = due(&pool, 4).await;
        events[1]["data"]["notification_method"] = json!("");
        sqlx::query("ALTER TABLE notifications ADD CHECK (method <> 'bad')").execute(&pool).await.unwrap();
        events[2]["data"]["notification_method"] = json!("bad");
        let (_, answer) = call(&app, "POST", "/reminders", bulk(&events)).await;
        // There is no sidecar that would take the dead letters.
        assert_eq!(statuses(&answer), ["SUCCESS", "RETRY", "RETRY", "SUCCESS"]);
        assert_eq!(shown(&app).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn many_reminders_take_no_more_statements_than_one() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let mut counts = Vec::new();
        for number in [1, 7] {
            let events = due(&pool, number).await;
            let handled = async {
                let (_, answer) = call(&app, "POST", "/reminders", bulk(&events)).await;
                assert_eq!(statuses(&answer), vec!["SUCCESS"; number]);
            };
            counts.push(statements(handled).await);
        }
        // Marks, tasks, their reminders, notifications, deliveries and the commit.
        assert_eq!(counts, [6, 6]);
    })
    .await;
}
