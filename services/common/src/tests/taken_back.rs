//! Occurrences that were taken back, because the completion that made them was undone.

use chrono::Days;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    ada,
    occurrences::{completed, created, daily, follow, open},
};
use crate::{
    tasks::{self, NewTask, Recurrence, Reminder, Successor, Task, TaskPatch},
    testing::with_database,
};

async fn change(c: &mut PgConnection, task: &Task, patch: TaskPatch) {
    tasks::update(c, &ada(), task.id, None, patch).await.unwrap();
}

/// Moves an occurrence to so many days after `task` is due.
async fn move_to(c: &mut PgConnection, id: Uuid, task: &Task, days: u64) {
    let patch = TaskPatch { due_date: Some(task.due_date.map(|day| day + Days::new(days))), ..TaskPatch::default() };
    tasks::update(c, &ada(), id, None, patch).await.unwrap();
}

#[tokio::test]
async fn reopening_takes_the_successor_back_and_completing_again_brings_it() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let task = completed(&mut c, daily()).await;
        let next = created(&mut c, task.id).await;
        tasks::reopen(&mut c, &ada(), task.id, None).await.unwrap();
        let left: Vec<_> = open(&mut c).await.into_iter().map(|task| task.id).collect();
        assert_eq!(left, [task.id]);
        assert_eq!(tasks::create_successor(&mut c, task.id).await.unwrap(), Successor::NotCompleted);
        tasks::complete(&mut c, &ada(), task.id, None).await.unwrap();
        assert_eq!(created(&mut c, task.id).await.id, next.id);
        assert_eq!(open(&mut c).await.len(), 1);
        tasks::reopen(&mut c, &ada(), task.id, None).await.unwrap();
        let left: Vec<_> = open(&mut c).await.into_iter().map(|task| task.id).collect();
        assert_eq!(left, [task.id], "what came back and was not touched goes again");
    })
    .await;
}

#[tokio::test]
async fn what_was_taken_back_and_comes_again_is_reminded_of_as_if_it_came_first() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        // Two days before what is due tomorrow.
        let reminders = vec![Reminder::BeforeMinutes(2 * 24 * 60)];
        let task = completed(&mut c, NewTask { reminders, ..daily() }).await;
        for round in 0..2 {
            let next = created(&mut c, task.id).await;
            let waits: Vec<bool> =
                sqlx::query_scalar("SELECT claimed_at IS NULL FROM task_reminders WHERE task_id = $1")
                    .bind(next.id)
                    .fetch_all(&mut *c)
                    .await
                    .unwrap();
            assert_eq!(waits, [true], "{round}");
            tasks::reopen(&mut c, &ada(), task.id, None).await.unwrap();
            tasks::complete(&mut c, &ada(), task.id, None).await.unwrap();
        }
        let next = created(&mut c, task.id).await;
        let told = "UPDATE task_reminders SET claimed_at = now() WHERE task_id = $1";
        sqlx::query(told).bind(next.id).execute(&mut *c).await.unwrap();
        tasks::reopen(&mut c, &ada(), task.id, None).await.unwrap();
        tasks::complete(&mut c, &ada(), task.id, None).await.unwrap();
        created(&mut c, task.id).await;
        let waiting = "SELECT count(*) FROM task_reminders WHERE task_id = $1 AND claimed_at IS NULL";
        let waiting: i64 = sqlx::query_scalar(waiting).bind(next.id).fetch_one(&mut *c).await.unwrap();
        assert_eq!(waiting, 0, "what was told is not told again");
    })
    .await;
}

#[tokio::test]
async fn a_successor_that_somebody_changed_stays() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let task = completed(&mut c, daily()).await;
        let next = created(&mut c, task.id).await;
        let patch = TaskPatch { title: Some("Water only the roses".to_owned()), ..TaskPatch::default() };
        tasks::update(&mut c, &ada(), next.id, None, patch).await.unwrap();
        tasks::reopen(&mut c, &ada(), task.id, None).await.unwrap();
        assert_eq!(open(&mut c).await.len(), 2);
        tasks::complete(&mut c, &ada(), task.id, None).await.unwrap();
        assert!(matches!(tasks::create_successor(&mut c, task.id).await.unwrap(), Successor::AlreadyCreated(Some(_))));
    })
    .await;
}

#[tokio::test]
async fn a_successor_that_the_user_deleted_does_not_come_back() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let task = completed(&mut c, daily()).await;
        let next = created(&mut c, task.id).await;
        tasks::delete(&mut c, &ada(), next.id, None).await.unwrap();
        assert_eq!(tasks::create_successor(&mut c, task.id).await.unwrap(), Successor::AlreadyCreated(None));
    })
    .await;
}

#[tokio::test]
async fn what_was_taken_back_keeps_no_date_from_a_later_rule() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let rule = |rule: &str| Some(Recurrence::Rrule(rule.to_owned()));
        let task = completed(&mut c, NewTask { recurrence: rule("FREQ=WEEKLY"), ..daily() }).await;
        created(&mut c, task.id).await;
        tasks::reopen(&mut c, &ada(), task.id, None).await.unwrap();
        change(&mut c, &task, TaskPatch { recurrence: Some(rule("FREQ=DAILY")), ..TaskPatch::default() }).await;
        let mut last = task.clone();
        for days in 1..=8 {
            last = follow(&mut c, last.id).await.unwrap();
            assert_eq!(last.due_date, task.due_date.map(|day| day + Days::new(days)));
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_taken_back_keeps_no_date_from_occurrences_that_were_moved() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let start = daily().due_date.map(|day| day + Days::new(7));
        let task = completed(&mut c, NewTask { due_date: start, ..daily() }).await;
        created(&mut c, task.id).await;
        tasks::reopen(&mut c, &ada(), task.id, None).await.unwrap();
        let patch = TaskPatch { due_date: Some(start.map(|day| day - Days::new(1))), ..TaskPatch::default() };
        change(&mut c, &task, patch).await;
        let next = follow(&mut c, task.id).await.unwrap();
        assert_eq!(next.due_date, start);
        let next = follow(&mut c, next.id).await.unwrap();
        assert_eq!(next.due_date, start.map(|day| day + Days::new(1)));
    })
    .await;
}

#[tokio::test]
async fn what_was_taken_back_does_not_come_again_to_where_another_one_stands_by_now() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let first = tasks::create(&mut c, &ada(), daily()).await.unwrap();
        let second = follow(&mut c, first.id).await.unwrap();
        let third = follow(&mut c, second.id).await.unwrap();
        tasks::reopen(&mut c, &ada(), second.id, None).await.unwrap();
        move_to(&mut c, first.id, &first, 2).await;
        let next = follow(&mut c, second.id).await.unwrap();
        assert_ne!(next.id, third.id);
        assert_eq!(next.due_date, first.due_date.map(|day| day + Days::new(3)));
    })
    .await;
}

#[tokio::test]
async fn what_was_taken_back_may_be_restored_in_its_place_or_beside_who_stands_there_by_now() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        for is_taken in [false, true] {
            let task = tasks::create(&mut c, &ada(), daily()).await.unwrap();
            let next = follow(&mut c, task.id).await.unwrap();
            tasks::reopen(&mut c, &ada(), task.id, None).await.unwrap();
            if is_taken {
                move_to(&mut c, task.id, &task, 1).await;
            }
            let restored = tasks::restore(&mut c, &ada(), next.id).await.unwrap();
            assert_eq!((restored.due_date, restored.deleted_at), (next.due_date, None));
            let key: String = sqlx::query_scalar("SELECT occurrence_key FROM tasks WHERE id = $1")
                .bind(next.id)
                .fetch_one(&mut *c)
                .await
                .unwrap();
            assert_eq!(key.contains('+'), is_taken, "{key}");
        }
    })
    .await;
}
