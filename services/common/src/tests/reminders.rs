use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use sqlx::PgPool;

use super::{ada, occurrences::follow};
use crate::{
    tasks::{self, NewTask, Recurrence, Reminder, TaskPatch},
    testing::with_database,
};

async fn rows(pool: &PgPool) -> Vec<DateTime<Utc>> {
    sqlx::query_scalar("SELECT remind_at FROM task_reminders ORDER BY remind_at").fetch_all(pool).await.unwrap()
}

async fn claim_all(pool: &PgPool) {
    sqlx::query("UPDATE task_reminders SET claimed_at = now()").execute(pool).await.unwrap();
}

async fn waiting(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM task_reminders WHERE claimed_at IS NULL").fetch_one(pool).await.unwrap()
}

fn tomorrow() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(0) + TimeDelta::days(1)
}

fn due(due_at: DateTime<Utc>) -> NewTask {
    NewTask { due_at: Some(due_at), ..NewTask::titled("a") }
}

#[tokio::test]
async fn a_changed_due_time_moves_the_reminder() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let task = tasks::create(&mut c, &ada(), due(tomorrow())).await.unwrap();
        claim_all(&pool).await;
        let later = tomorrow() + TimeDelta::hours(1);
        let patch = TaskPatch { due_at: Some(Some(later)), ..TaskPatch::default() };
        tasks::update(&mut c, &ada(), task.id, None, patch).await.unwrap();
        assert_eq!(rows(&pool).await, [later]);
        assert_eq!(waiting(&pool).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_reminder_that_stays_is_not_told_again() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let task = tasks::create(&mut c, &ada(), due(tomorrow())).await.unwrap();
        claim_all(&pool).await;
        let reminders = Some(vec![Reminder::At(tomorrow()), Reminder::BeforeMinutes(5)]);
        let patch =
            TaskPatch { title: Some("b".to_owned()), due_at: Some(task.due_at), reminders, ..TaskPatch::default() };
        tasks::update(&mut c, &ada(), task.id, None, patch).await.unwrap();
        assert_eq!(waiting(&pool).await, 1, "only the new one");
    })
    .await;
}

#[tokio::test]
async fn completing_takes_reminders_back_and_reopening_brings_those_that_are_still_to_come() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let past = Utc::now().trunc_subsecs(0) - TimeDelta::hours(1);
        let new = NewTask { reminders: vec![Reminder::At(past), Reminder::BeforeMinutes(0)], ..due(tomorrow()) };
        let task = tasks::create(&mut c, &ada(), new).await.unwrap();
        assert_eq!(waiting(&pool).await, 2, "an overdue reminder is told at once");
        tasks::complete(&mut c, &ada(), task.id, None).await.unwrap();
        assert!(rows(&pool).await.is_empty());
        tasks::reopen(&mut c, &ada(), task.id, None).await.unwrap();
        assert_eq!(waiting(&pool).await, 1);
        let patch = TaskPatch { title: Some("b".to_owned()), ..TaskPatch::default() };
        tasks::update(&mut c, &ada(), task.id, None, patch).await.unwrap();
        assert_eq!(waiting(&pool).await, 1, "what has passed is not told by a later change either");
    })
    .await;
}

#[tokio::test]
async fn a_notification_that_waits_for_its_time_goes_with_its_reminder() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let task = tasks::create(&mut c, &ada(), due(tomorrow())).await.unwrap();
        sqlx::query(
            "INSERT INTO notifications (id, user_id, task_id, reminder_id, title, message, method, visible_at)
             SELECT gen_random_uuid(), 'ada', task_id, id, 'a', 'b', 'push', remind_at FROM task_reminders",
        )
        .execute(&pool)
        .await
        .unwrap();
        claim_all(&pool).await;
        tasks::complete(&mut c, &ada(), task.id, None).await.unwrap();
        assert_eq!(super::count(&pool, "notifications").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_reminder_of_what_repeats_keeps_its_time_of_day_over_changes_of_the_clock() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let daily = |reminders: &[Reminder]| NewTask {
            time_zone: Some("Europe/Berlin".to_owned()),
            recurrence: Some(Recurrence::Rrule("FREQ=DAILY".to_owned())),
            reminders: reminders.to_vec(),
            ..NewTask::titled("a")
        };
        // The clock is put forward on 26 March and back on 29 October.
        for (day, on_the_day, evening_before) in [
            (
                "2090-03-25",
                ["2090-03-25T08:00:00Z", "2090-03-26T07:00:00Z"],
                ["2090-03-24T19:00:00Z", "2090-03-25T19:00:00Z"],
            ),
            (
                "2090-03-26",
                ["2090-03-26T07:00:00Z", "2090-03-27T07:00:00Z"],
                ["2090-03-25T19:00:00Z", "2090-03-26T18:00:00Z"],
            ),
            (
                "2090-10-28",
                ["2090-10-28T07:00:00Z", "2090-10-29T08:00:00Z"],
                ["2090-10-27T18:00:00Z", "2090-10-28T18:00:00Z"],
            ),
            (
                "2090-10-29",
                ["2090-10-29T08:00:00Z", "2090-10-30T08:00:00Z"],
                ["2090-10-28T18:00:00Z", "2090-10-29T19:00:00Z"],
            ),
        ] {
            let reminders = [on_the_day, evening_before].map(|[first, _]| Reminder::At(at(first)));
            let next = [on_the_day, evening_before].map(|[_, next]| Reminder::At(at(next)));
            let of_a_day = NewTask { due_date: Some(day.parse().unwrap()), ..daily(&reminders) };
            // At 09:00.
            let of_a_time = NewTask { due_at: Some(at(on_the_day[0])), ..daily(&reminders) };
            for task in [of_a_day, of_a_time] {
                let task = tasks::create(&mut c, &ada(), task).await.unwrap();
                assert_eq!(follow(&mut c, task.id).await.unwrap().reminders, next, "{day} {:?}", task.due_at);
            }
        }
        // 02:45 is skipped, and 03:45 would be after it is due.
        let before_three = [Reminder::At(at("2090-03-25T01:45:00Z")), Reminder::BeforeMinutes(15)];
        let task = NewTask { due_at: Some(at("2090-03-25T02:00:00Z")), ..daily(&before_three) };
        let task = tasks::create(&mut c, &ada(), task).await.unwrap();
        let next = follow(&mut c, task.id).await.unwrap();
        assert_eq!(next.due_at, Some(at("2090-03-26T01:00:00Z")));
        assert_eq!(next.reminders, [Reminder::At(at("2090-03-26T01:00:00Z")), Reminder::BeforeMinutes(15)]);
    })
    .await;
}
