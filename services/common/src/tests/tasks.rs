use serde_json::{Value, json};
use uuid::Uuid;

use super::{ada, count, event_types, events};
use crate::{
    events::EventType::{Completed, Created, Deleted, Updated},
    tasks::{self, NewTask, Status, TaskError, TaskPatch, UserId},
    testing::with_database,
};

fn titled(title: &str) -> TaskPatch {
    TaskPatch { title: Some(title.to_owned()), ..TaskPatch::default() }
}

#[tokio::test]
async fn a_task_and_its_event_are_written_together() {
    with_database(|pool| async move {
        let mut transaction = pool.begin().await.unwrap();
        let task = tasks::create(&mut transaction, &ada(), NewTask::titled("Buy groceries")).await.unwrap();
        assert_eq!((count(&pool, "tasks").await, count(&pool, "outbox").await), (0, 0), "nothing before the commit");
        transaction.commit().await.unwrap();
        let event = events(&pool).await.pop().unwrap();
        assert_eq!((event.event_type, event.task_id, event.user_id), (Created, task.id, ada()));
        assert_eq!(event.task_data, serde_json::to_value(&task).unwrap());
        let mut connection = pool.acquire().await.unwrap();
        assert_eq!(
            tasks::get(&mut connection, &ada(), task.id).await.unwrap(),
            task,
            "what is answered is what is stored"
        );
    })
    .await;
}

#[tokio::test]
async fn a_task_that_is_not_committed_leaves_no_event() {
    with_database(|pool| async move {
        let mut transaction = pool.begin().await.unwrap();
        tasks::create(&mut transaction, &ada(), NewTask::titled("Buy groceries")).await.unwrap();
        transaction.rollback().await.unwrap();
        assert_eq!((count(&pool, "tasks").await, count(&pool, "outbox").await), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn everything_of_a_task_comes_back() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let new = json!({
            "title": " Water the plants ", "description": "the big ones twice", "priority": "high", "tags": ["home", "home", "green"],
            "due_at": "2026-03-28T09:00:00+01:00", "time_zone": "Europe/Berlin", "recurrence": {"rrule": "FREQ=DAILY"},
            "reminders": [{"before_minutes": 10}, {"at": "2026-03-28T07:00:00Z"}],
        });
        let task = tasks::create(&mut c, &ada(), serde_json::from_value(new).unwrap()).await.unwrap();
        let stored = serde_json::to_value(tasks::get(&mut c, &ada(), task.id).await.unwrap()).unwrap();
        for (field, value) in [
            ("title", json!("Water the plants")),
            ("notes", json!("the big ones twice")),
            ("status", json!("open")),
            ("priority", json!("high")),
            ("tags", json!(["home", "green"])),
            ("due_at", json!("2026-03-28T08:00:00Z")),
            ("due_date", Value::Null),
            ("time_zone", json!("Europe/Berlin")),
            ("recurrence", json!({"rrule": "FREQ=DAILY"})),
            ("reminders", json!([{"before_minutes": 10}, {"at": "2026-03-28T07:00:00Z"}])),
            ("series_id", json!(task.id)),
            ("version", json!(1)),
        ] {
            assert_eq!(stored[field], value, "{field}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_stale_version_is_a_conflict() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let task = tasks::create(&mut c, &ada(), NewTask::titled("a")).await.unwrap();
        let changed = tasks::update(&mut c, &ada(), task.id, Some(1), titled("b")).await.unwrap();
        assert_eq!((changed.version, changed.title.as_str()), (2, "b"));
        let stale = tasks::update(&mut c, &ada(), task.id, Some(1), titled("c")).await;
        assert!(matches!(stale, Err(TaskError::Conflict { current: 2 })), "{stale:?}");
        assert!(matches!(tasks::complete(&mut c, &ada(), task.id, Some(1)).await, Err(TaskError::Conflict { .. })));
        assert_eq!(event_types(&pool).await, [Created, Updated]);
    })
    .await;
}

#[tokio::test]
async fn what_changes_nothing_makes_no_event() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let task = tasks::create(&mut c, &ada(), NewTask::titled("a")).await.unwrap();
        assert_eq!(tasks::update(&mut c, &ada(), task.id, None, titled("a")).await.unwrap().version, 1);
        assert_eq!(tasks::reopen(&mut c, &ada(), task.id, None).await.unwrap().version, 1);
        let done = tasks::complete(&mut c, &ada(), task.id, None).await.unwrap();
        assert_eq!(tasks::complete(&mut c, &ada(), task.id, None).await.unwrap(), done);
        assert_eq!(event_types(&pool).await, [Created, Completed]);
    })
    .await;
}

#[tokio::test]
async fn a_task_goes_through_its_life_and_back() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let id = tasks::create(&mut c, &ada(), NewTask::titled("a")).await.unwrap().id;
        let done = tasks::complete(&mut c, &ada(), id, None).await.unwrap();
        assert_eq!((done.status, done.completed_at.is_some()), (Status::Completed, true));
        assert_eq!(tasks::reopen(&mut c, &ada(), id, None).await.unwrap().status, Status::Open);
        assert!(tasks::delete(&mut c, &ada(), id, None).await.unwrap().deleted_at.is_some());
        assert!(matches!(tasks::get(&mut c, &ada(), id).await, Err(TaskError::NotFound)));
        assert!(matches!(tasks::delete(&mut c, &ada(), id, None).await, Err(TaskError::NotFound)));
        assert_eq!(tasks::restore(&mut c, &ada(), id).await.unwrap().version, 5);
        assert_eq!(event_types(&pool).await, [Created, Completed, Updated, Deleted, Updated]);
    })
    .await;
}

#[tokio::test]
async fn another_user_finds_nothing() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let id = tasks::create(&mut c, &ada(), NewTask::titled("a")).await.unwrap().id;
        let bob = UserId::new("bob").unwrap();
        assert!(matches!(tasks::get(&mut c, &bob, id).await, Err(TaskError::NotFound)));
        assert!(matches!(tasks::update(&mut c, &bob, id, None, titled("b")).await, Err(TaskError::NotFound)));
        assert!(matches!(tasks::delete(&mut c, &bob, id, None).await, Err(TaskError::NotFound)));
        assert!(matches!(tasks::get(&mut c, &ada(), Uuid::now_v7()).await, Err(TaskError::NotFound)));
    })
    .await;
}
