use chrono::{DateTime, Days, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{ada, count, event_types};
use crate::{
    events::EventType,
    tasks::{self, NewTask, Recurrence, Status, StatusFilter, Successor, Task, TaskFilter, TaskPatch},
    testing::{statements, with_database},
};

pub(super) fn daily() -> NewTask {
    NewTask {
        due_date: Some(Utc::now().date_naive()),
        recurrence: Some(Recurrence::Rrule("FREQ=DAILY".to_owned())),
        ..NewTask::titled("Water the plants")
    }
}

pub(super) async fn completed(c: &mut PgConnection, new: NewTask) -> Task {
    let id = tasks::create(&mut *c, &ada(), new).await.unwrap().id;
    tasks::complete(c, &ada(), id, None).await.unwrap()
}

pub(super) async fn created(c: &mut PgConnection, id: Uuid) -> Task {
    match tasks::create_successor(c, id).await.unwrap() {
        Successor::Created(task) => *task,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn open(c: &mut PgConnection) -> Vec<Task> {
    tasks::list(c, &ada(), &TaskFilter { status: StatusFilter::Open, ..TaskFilter::default() }).await.unwrap().items
}

#[tokio::test]
async fn completing_a_daily_task_twice_creates_one_successor() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let task = completed(&mut c, daily()).await;
        let next = created(&mut c, task.id).await;
        assert_eq!(next.due_date, task.due_date.and_then(|day| day.checked_add_days(Days::new(1))));
        assert_eq!((next.series_id, next.status, next.title), (task.series_id, Status::Open, task.title));
        let again = tasks::create_successor(&mut c, task.id).await.unwrap();
        assert!(matches!(again, Successor::AlreadyCreated(Some(found)) if found.id == next.id));
        assert_eq!(count(&pool, "tasks").await, 2);
    })
    .await;
}

#[tokio::test]
async fn two_consumers_at_once_create_one_successor() {
    with_database(|pool| async move {
        let task = completed(&mut pool.acquire().await.unwrap(), daily()).await;
        let consume = async || {
            let mut transaction = pool.begin().await.unwrap();
            let successor = tasks::create_successor(&mut transaction, task.id).await.unwrap();
            transaction.commit().await.unwrap();
            matches!(successor, Successor::Created(_))
        };
        let made = tokio::join!(consume(), consume(), consume());
        assert_eq!([made.0, made.1, made.2].into_iter().filter(|made| *made).count(), 1);
        assert_eq!(count(&pool, "tasks").await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_consumer_that_waits_for_another_finds_what_that_has_made() {
    with_database(|pool| async move {
        let task = completed(&mut pool.acquire().await.unwrap(), daily()).await;
        let (mut first, mut second) = (pool.begin().await.unwrap(), pool.begin().await.unwrap());
        let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *first).await.unwrap();
        created(&mut first, task.id).await;
        let commit = async {
            let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid)))";
            while !sqlx::query_scalar::<_, bool>(waits).bind(pid).fetch_one(&pool).await.unwrap() {}
            first.commit().await.unwrap();
        };
        let (found, ()) = tokio::join!(tasks::create_successor(&mut second, task.id), commit);
        assert!(matches!(found.unwrap(), Successor::AlreadyCreated(Some(_))));
    })
    .await;
}

#[tokio::test]
async fn a_chain_of_completions_goes_on() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let mut task = completed(&mut c, daily()).await;
        for _ in 0..3 {
            let next = created(&mut c, task.id).await;
            assert!(next.due_date > task.due_date);
            task = tasks::complete(&mut c, &ada(), next.id, None).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn an_occurrence_that_was_moved_back_beside_another_one_is_followed_by_the_next_date() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let task = completed(&mut c, daily()).await;
        let next = created(&mut c, task.id).await;
        let patch = TaskPatch { due_date: Some(task.due_date), ..TaskPatch::default() };
        tasks::update(&mut c, &ada(), next.id, None, patch).await.unwrap();
        tasks::complete(&mut c, &ada(), next.id, None).await.unwrap();
        // The day before has its own occurrence already, and tomorrow has none any more.
        assert_eq!(
            created(&mut c, next.id).await.due_date,
            task.due_date.and_then(|day| day.checked_add_days(Days::new(1)))
        );
    })
    .await;
}

#[tokio::test]
async fn no_date_is_passed_over_when_an_occurrence_was_moved_before_its_place() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let weekly = |days| NewTask {
            due_date: Some(Utc::now().date_naive() + Days::new(days)),
            recurrence: Some(Recurrence::Rrule("FREQ=WEEKLY".to_owned())),
            ..daily()
        };
        let first = tasks::create(&mut c, &ada(), weekly(14)).await.unwrap();
        let second = follow(&mut c, first.id).await.unwrap();
        // The first of its series, and one that another has made.
        for task in [tasks::create(&mut c, &ada(), weekly(14)).await.unwrap(), second] {
            let was = task.due_date.unwrap();
            let earlier = Some(was - Days::new(7));
            let patch = TaskPatch { due_date: Some(earlier), ..TaskPatch::default() };
            tasks::update(&mut c, &ada(), task.id, None, patch).await.unwrap();
            let next = follow(&mut c, task.id).await.unwrap();
            assert_eq!(next.due_date, Some(was), "the rule counts from where it was moved to");
            assert_eq!(follow(&mut c, next.id).await.unwrap().due_date, Some(was + Days::new(7)));
        }
    })
    .await;
}

#[tokio::test]
async fn the_place_that_an_occurrence_is_moved_to_is_its_own() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let task = tasks::create(&mut c, &ada(), daily()).await.unwrap();
        let today = task.due_date.unwrap();
        let move_to = async |c: &mut PgConnection, id: Uuid, days: u64| {
            let patch = TaskPatch { due_date: Some(Some(today + Days::new(days))), ..TaskPatch::default() };
            tasks::update(c, &ada(), id, None, patch).await.unwrap();
        };
        let next = follow(&mut c, task.id).await.unwrap();
        move_to(&mut c, next.id, 2).await;
        // Opened again and completed as one due tomorrow, it would be followed by the day to which the other was moved.
        tasks::reopen(&mut c, &ada(), task.id, None).await.unwrap();
        sqlx::query("UPDATE tasks SET spawned_by = NULL WHERE id = $1").bind(next.id).execute(&mut *c).await.unwrap();
        move_to(&mut c, task.id, 1).await;
        assert_eq!(follow(&mut c, task.id).await.unwrap().due_date, Some(today + Days::new(3)));
    })
    .await;
}

#[tokio::test]
async fn a_task_that_does_not_repeat_or_has_ended_has_no_successor() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let once = completed(&mut c, NewTask::titled("a")).await;
        assert_eq!(tasks::create_successor(&mut c, once.id).await.unwrap(), Successor::NotRecurring);
        let ended = NewTask { recurrence: Some(Recurrence::Rrule("FREQ=DAILY;COUNT=1".to_owned())), ..daily() };
        let ended = completed(&mut c, ended).await;
        assert_eq!(tasks::create_successor(&mut c, ended.id).await.unwrap(), Successor::NotRecurring);
    })
    .await;
}

#[tokio::test]
async fn reminders_keep_their_distance_to_the_due_time() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let due: DateTime<Utc> = "2026-03-28T08:00:00Z".parse().unwrap();
        let reminders = vec![tasks::Reminder::At(due - TimeDelta::minutes(30)), tasks::Reminder::BeforeMinutes(10)];
        let new = NewTask { due_date: None, due_at: Some(due), reminders, ..daily() };
        let task = completed(&mut c, new).await;
        let next = created(&mut c, task.id).await;
        let next_due = next.due_at.unwrap();
        assert_eq!(next.reminders[0], tasks::Reminder::At(next_due - TimeDelta::minutes(30)));
        assert_eq!(next.reminders[1], tasks::Reminder::BeforeMinutes(10));
    })
    .await;
}

#[tokio::test]
async fn completions_that_come_together_are_followed_as_if_each_came_alone() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let (one, two) = (completed(&mut c, daily()).await, completed(&mut c, daily()).await);
        let single = completed(&mut c, NewTask::titled("a")).await;
        let reopened = completed(&mut c, daily()).await;
        tasks::reopen(&mut c, &ada(), reopened.id, None).await.unwrap();
        let followed = completed(&mut c, daily()).await;
        let earlier = created(&mut c, followed.id).await;
        let undone = completed(&mut c, daily()).await;
        let taken_back = created(&mut c, undone.id).await;
        tasks::reopen(&mut c, &ada(), undone.id, None).await.unwrap();
        tasks::complete(&mut c, &ada(), undone.id, None).await.unwrap();
        let unknown = Uuid::now_v7();

        let ids = [two.id, one.id, single.id, reopened.id, followed.id, undone.id, unknown, one.id];
        let successors = tasks::create_successors(&mut c, &ids.map(|id| (id, None))).await.unwrap();
        assert_eq!(successors.len(), 6);
        for task in [&one, &two] {
            let Successor::Created(next) = &successors[&task.id] else { panic!("{:?}", successors[&task.id]) };
            assert_eq!(next.due_date, task.due_date.and_then(|day| day.checked_add_days(Days::new(1))));
            assert_eq!(tasks::get(&mut c, &ada(), next.id).await.unwrap(), **next);
        }
        assert_eq!(successors[&single.id], Successor::NotRecurring);
        assert_eq!(successors[&reopened.id], Successor::NotCompleted);
        assert!(matches!(&successors[&followed.id], Successor::AlreadyCreated(Some(task)) if task.id == earlier.id));
        assert!(matches!(&successors[&undone.id], Successor::Created(task) if task.id == taken_back.id));
        assert_eq!(event_types(&pool).await.split_off(18), [EventType::Created; 3]);
    })
    .await;
}

#[tokio::test]
async fn two_completions_of_one_series_that_come_together_take_different_dates() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let (one, two) = (completed(&mut c, daily()).await, completed(&mut c, daily()).await);
        let same_series = "UPDATE tasks SET series_id = $1, occurrence_key = 'elsewhere' WHERE id = $2";
        sqlx::query(same_series).bind(one.id).bind(two.id).execute(&mut *c).await.unwrap();
        let completions = [one.id, two.id].map(|id| (id, None));
        assert_eq!(tasks::create_successors(&mut c, &completions).await.unwrap().len(), 2);
        let mut days: Vec<_> = open(&mut c).await.into_iter().map(|task| task.due_date).collect();
        days.sort_unstable();
        let after = |count| one.due_date.and_then(|day| day.checked_add_days(Days::new(count)));
        assert_eq!(days, [after(1), after(2)]);
    })
    .await;
}

#[tokio::test]
async fn many_completions_take_no_more_statements_than_one() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        // With a reminder.
        let daily = NewTask { due_date: None, due_at: Some(Utc::now()), ..daily() };
        let mut counts = Vec::new();
        for number in [1, 20] {
            let mut completions = Vec::new();
            for _ in 0..number {
                completions.push((completed(&mut c, daily.clone()).await.id, None));
            }
            let follow = async {
                assert_eq!(tasks::create_successors(&mut c, &completions).await.unwrap().len(), number);
            };
            counts.push(statements(follow).await);
        }
        // Two that lock, and one for each of tasks, reminders and events.
        assert_eq!(counts, [5, 5]);
    })
    .await;
}

/// Completes an occurrence, and gives the next one's due time, if there is one.
pub(super) async fn follow(c: &mut PgConnection, id: Uuid) -> Option<Task> {
    tasks::complete(&mut *c, &ada(), id, None).await.unwrap();
    match tasks::create_successor(c, id).await.unwrap() {
        Successor::Created(task) => Some(*task),
        Successor::NotRecurring => None,
        other => panic!("{other:?}"),
    }
}

async fn moved(c: &mut PgConnection, task: &Task, by: TimeDelta) -> Task {
    let patch = TaskPatch { due_at: Some(task.due_at.map(|due| due + by)), ..TaskPatch::default() };
    tasks::update(c, &ada(), task.id, None, patch).await.unwrap()
}

#[tokio::test]
async fn a_rule_that_counts_ends_after_its_dates_however_they_are_moved() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let rule = Some(Recurrence::Rrule("FREQ=DAILY;COUNT=3".to_owned()));
        let due = Utc::now() + TimeDelta::hours(1);
        let new = NewTask { due_date: None, due_at: Some(due), recurrence: rule.clone(), ..daily() };
        for (first, second, third) in [(0, 0, 1), (1, 0, 0), (0, 30, 1), (2, -1, 2)] {
            let task = tasks::create(&mut c, &ada(), new.clone()).await.unwrap();
            let task = moved(&mut c, &task, TimeDelta::hours(first)).await;
            let next = follow(&mut c, task.id).await.unwrap();
            let next = moved(&mut c, &next, TimeDelta::hours(second)).await;
            let last = follow(&mut c, next.id).await.unwrap();
            let last = moved(&mut c, &last, TimeDelta::hours(third)).await;
            assert_eq!(follow(&mut c, last.id).await, None, "moved by {first}, {second} and {third} hours");
        }
        // Only a new rule is counted anew.
        let task = tasks::create(&mut c, &ada(), new).await.unwrap();
        let next = follow(&mut c, task.id).await.unwrap();
        let patch = TaskPatch {
            recurrence: Some(Some(Recurrence::Rrule("FREQ=DAILY;COUNT=2".to_owned()))),
            ..TaskPatch::default()
        };
        tasks::update(&mut c, &ada(), next.id, None, patch).await.unwrap();
        let last = follow(&mut c, next.id).await.unwrap();
        assert_eq!(follow(&mut c, last.id).await, None);
    })
    .await;
}

#[tokio::test]
async fn the_last_occurrence_can_be_moved_beyond_the_end_of_its_rule_and_nothing_follows_it() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let due = Utc::now() + TimeDelta::hours(1);
        let until =
            |due: DateTime<Utc>| Recurrence::Rrule(format!("FREQ=DAILY;UNTIL={}", due.format("%Y%m%dT%H%M%SZ")));
        let rule = Some(until(due + TimeDelta::days(1)));
        let new = NewTask { due_date: None, due_at: Some(due), recurrence: rule.clone(), ..daily() };
        let task = tasks::create(&mut c, &ada(), new).await.unwrap();
        let last = follow(&mut c, task.id).await.unwrap();
        let last = moved(&mut c, &last, TimeDelta::hours(30)).await;
        assert_eq!(last.recurrence, rule);
        // It is a task like any other, only that a rule which is written now has to have a date.
        let patch = TaskPatch { title: Some("later".to_owned()), recurrence: Some(rule), ..TaskPatch::default() };
        let last = tasks::update(&mut c, &ada(), last.id, None, patch).await.unwrap();
        let patch = TaskPatch { recurrence: Some(Some(until(due))), ..TaskPatch::default() };
        let refused = tasks::update(&mut c, &ada(), last.id, None, patch).await;
        assert!(matches!(refused, Err(tasks::TaskError::Invalid(_))), "{refused:?}");
        // Who takes it over would refuse such a rule, and a calendar would not know what it means.
        let mut listed = [last.clone()];
        tasks::count_from_here(&mut c, &mut listed).await.unwrap();
        assert_eq!(listed[0].recurrence, None);
        assert_eq!(tasks::list_due(&mut c, &ada(), 10).await.unwrap()[0].rule, None);
        assert_eq!(follow(&mut c, last.id).await, None);
    })
    .await;
}

#[tokio::test]
async fn who_takes_over_tasks_counts_what_is_left() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let counted = |count| Some(Recurrence::Rrule(format!("FREQ=DAILY;COUNT={count}")));
        let task = tasks::create(&mut c, &ada(), NewTask { recurrence: counted(3), ..daily() }).await.unwrap();
        tasks::create(&mut c, &ada(), daily()).await.unwrap();
        let next = follow(&mut c, task.id).await.unwrap();
        let filter = TaskFilter { status: StatusFilter::All, ..TaskFilter::default() };
        let mut listed = tasks::list(&mut c, &ada(), &filter).await.unwrap().items;
        tasks::count_from_here(&mut c, &mut listed).await.unwrap();
        let rule_of = |id: Uuid| listed.iter().find(|task| task.id == id).unwrap().recurrence.clone();
        assert_eq!((rule_of(task.id), rule_of(next.id)), (counted(3), counted(2)));
        assert!(listed.iter().any(|task| task.recurrence == daily().recurrence));
    })
    .await;
}

#[tokio::test]
async fn a_series_of_which_it_cannot_be_told_where_it_goes_on_is_not_said_to_have_ended() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let task = completed(&mut c, daily()).await;
        let rule = "UPDATE tasks SET recurrence = '{\"rrule\": \"FREQ=FORTNIGHTLY\"}' WHERE id = $1";
        sqlx::query(rule).bind(task.id).execute(&mut *c).await.unwrap();
        let told = tasks::create_successor(&mut c, task.id).await;
        assert!(matches!(told, Err(tasks::TaskError::Series(_))), "{told:?}");
    })
    .await;
}

#[tokio::test]
async fn many_imported_tasks_take_no_more_statements_than_one() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let mut counts = Vec::new();
        for number in [1, 50] {
            let task = tasks::ImportedTask {
                task: NewTask { due_date: None, due_at: Some(Utc::now()), ..daily() },
                ..tasks::ImportedTask::default()
            };
            let new: Vec<_> = (0..number).map(|_| task.clone().check().unwrap()).collect();
            let import = async {
                let ids: Vec<Uuid> =
                    tasks::import(&mut c, &ada(), new).await.unwrap().into_iter().map(|task| task.id).collect();
                assert!(ids.len() == number && ids.is_sorted());
            };
            counts.push(statements(import).await);
        }
        // One for each of tasks, reminders and events.
        assert_eq!(counts, [3, 3]);
        assert_eq!(count(&pool, "tasks").await, 51);
        assert_eq!(event_types(&pool).await, [EventType::Created; 51]);
    })
    .await;
}
