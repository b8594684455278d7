//! Reminders as the sidecar posts them, several at once.

use serde_json::{Value, json};
use todo_common::{
    database::Database,
    tasks::{self, UserId},
    testing::{statements, with_database},
};

use super::{app, call, event, minutes, shown, task};

fn batch(events: &[Value]) -> Value {
    let entries = events.iter().enumerate().map(|(number, event)| {
        json!({"entryId": number.to_string(), "event": event, "metadata": {"__key": event["data"]["task_id"]}})
    });
    json!({"id": "b1", "type": "com.dapr.event.sent.bulk", "entries": entries.collect::<Vec<_>>()})
}

/// What was answered to each event.
fn words(answer: &Value) -> Vec<&str> {
    answer["statuses"].as_array().unwrap().iter().map(|status| status["status"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn of_a_batch_each_reminder_is_stored_once_and_only_where_its_task_still_has_it() {
    with_database(|pool| async move {
        let app = app(&Database::ready(pool.clone()));
        let mut events = Vec::new();
        for number in 0..4 {
            let (task, reminder) = task(&pool, minutes(-60)).await;
            events.push(event(&format!("e{number}"), &task, reminder));
            if number == 3 {
                let ada = UserId::new("ada").unwrap();
                tasks::complete(&mut pool.acquire().await.unwrap(), &ada, task.id, None).await.unwrap();
            }
        }
        call(&app, "POST", "/reminders", events[0].clone()).await;
        let mut published_again = events[1].clone();
        published_again["id"] = json!("e5");
        let mut moved = events[2].clone();
        (moved["id"], moved["data"]["remind_at"]) = (json!("e6"), json!(minutes(-30)));
        let mut of_another = events[2].clone();
        (of_another["id"], of_another["data"]["user_id"]) = (json!("e7"), json!("bob"));
        events.extend([published_again, moved, of_another, events[1].clone()]);
        let (_, answer) = call(&app, "POST", "/reminders", batch(&events)).await;
        assert_eq!(words(&answer), ["SUCCESS"; 8]);
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
        let mut events = Vec::new();
        for number in 0..4 {
            let (task, reminder) = task(&pool, minutes(-60)).await;
            events.push(event(&format!("e{number}"), &task, reminder));
        }
        events[1]["data"]["notification_method"] = json!("");
        sqlx::query("ALTER TABLE notifications ADD CHECK (method <> 'bad')").execute(&pool).await.unwrap();
        events[2]["data"]["notification_method"] = json!("bad");
        let (_, answer) = call(&app, "POST", "/reminders", batch(&events)).await;
        // There is no sidecar that would take the dead letters.
        assert_eq!(words(&answer), ["SUCCESS", "RETRY", "RETRY", "SUCCESS"]);
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
            let mut events = Vec::new();
            for place in 0..number {
                let (task, reminder) = task(&pool, minutes(-60)).await;
                events.push(event(&format!("{number}-{place}"), &task, reminder));
            }
            let handled = async {
                let (_, answer) = call(&app, "POST", "/reminders", batch(&events)).await;
                assert_eq!(words(&answer), vec!["SUCCESS"; number]);
            };
            counts.push(statements(handled).await);
        }
        // Marks, tasks, their reminders, notifications, deliveries and the commit.
        assert_eq!(counts, [6, 6]);
    })
    .await;
}
