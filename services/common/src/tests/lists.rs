use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::ada;
use crate::{
    canary,
    tasks::{self, NewTask, Page, Priority, Sort, StatusFilter, Task, TaskError, TaskFilter, UserId},
    testing::with_database,
};

async fn create(pool: &PgPool, title: &str, change: impl FnOnce(&mut NewTask)) {
    let mut new = NewTask::titled(title);
    change(&mut new);
    tasks::create(&mut pool.acquire().await.unwrap(), &ada(), new).await.unwrap();
}

async fn titles(c: &mut PgConnection, filter: TaskFilter) -> Vec<String> {
    let page = tasks::list(c, &ada(), &filter).await.unwrap();
    page.items.into_iter().map(|task| task.title).collect()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn pages_of_every_order_show_each_task_once() {
    with_database(|pool| async move {
        for index in 0..7 {
            create(&pool, &format!("Task {}", index % 3), |new| {
                new.priority = [Priority::None, Priority::High][index % 2];
                new.due_at = (index % 2 == 0).then(|| at("2026-03-01T09:00:00.123456Z"));
            })
            .await;
        }
        let mut c = pool.acquire().await.unwrap();
        for sort in [Sort::Due, Sort::CreatedAt, Sort::UpdatedAt, Sort::Priority, Sort::Title] {
            for descending in [false, true] {
                let mut filter = TaskFilter { sort, descending, limit: Some(3), ..TaskFilter::default() };
                let mut seen = Vec::new();
                loop {
                    let page = tasks::list(&mut c, &ada(), &filter).await.unwrap();
                    seen.extend(page.items.into_iter().map(|task| task.id));
                    match page.next_cursor {
                        Some(cursor) => filter.cursor = Some(cursor),
                        None => break,
                    }
                }
                let all = TaskFilter { sort, descending, ..TaskFilter::default() };
                let all: Vec<_> =
                    tasks::list(&mut c, &ada(), &all).await.unwrap().items.into_iter().map(|task| task.id).collect();
                assert_eq!(seen, all, "{sort:?} {descending}");
                assert_eq!(seen.len(), 7);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn filters_narrow_the_list() {
    with_database(|pool| async move {
        create(&pool, "Buy 50% milk", |new| new.tags = vec!["home".to_owned(), "shop".to_owned()]).await;
        create(&pool, "Call Zoë", |new| {
            new.tags = vec!["home".to_owned()];
            new.priority = Priority::Urgent;
            new.notes = Some("about the MILK".to_owned());
        })
        .await;
        create(&pool, "File taxes", |new| new.due_date = Some("2026-03-31".parse().unwrap())).await;
        let mut c = pool.acquire().await.unwrap();
        let tags = |tags: &[&str], any_tag| TaskFilter {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            any_tag,
            sort: Sort::Title,
            ..TaskFilter::default()
        };
        let search = |q: &str| TaskFilter { q: Some(q.to_owned()), sort: Sort::Title, ..TaskFilter::default() };
        assert_eq!(titles(&mut c, search("milk")).await, ["Buy 50% milk", "Call Zoë"]);
        assert_eq!(titles(&mut c, search("50%")).await, ["Buy 50% milk"]);
        assert_eq!(titles(&mut c, search("buy mi")).await, ["Buy 50% milk"], "the last word is a beginning");
        assert!(titles(&mut c, search("mi buy")).await.is_empty(), "the others are whole");
        assert_eq!(titles(&mut c, search("MILK -buy")).await, ["Call Zoë"]);
        assert_eq!(titles(&mut c, search("taxes or buy")).await, ["Buy 50% milk", "File taxes"]);
        assert_eq!(titles(&mut c, search("\"50% milk\"")).await, ["Buy 50% milk"]);
        assert!(titles(&mut c, search("\"milk 50%\"")).await.is_empty(), "a phrase has an order");
        assert_eq!(titles(&mut c, search("%")).await, ["Buy 50% milk"], "a sign is searched as a part");
        assert!(titles(&mut c, search("m%k")).await.is_empty(), "no wildcards");
        assert_eq!(titles(&mut c, tags(&["home", "shop"], false)).await, ["Buy 50% milk"]);
        assert_eq!(titles(&mut c, tags(&["home", "shop"], true)).await, ["Buy 50% milk", "Call Zoë"]);
        let urgent = TaskFilter { priorities: vec![Priority::Urgent], ..TaskFilter::default() };
        assert_eq!(titles(&mut c, urgent).await, ["Call Zoë"]);
        let march = TaskFilter {
            due_after: Some(at("2026-03-01T00:00:00Z")),
            due_before: Some(at("2026-04-02T00:00:00Z")),
            ..TaskFilter::default()
        };
        assert_eq!(titles(&mut c, march).await, ["File taxes"]);
        let after = TaskFilter { due_after: Some(at("2026-03-01T00:00:00Z")), ..TaskFilter::default() };
        assert_eq!(titles(&mut c, after).await, ["File taxes"], "what is not due is not due after a time");
        let before = TaskFilter { due_before: Some(at("9999-01-01T00:00:00Z")), ..TaskFilter::default() };
        assert_eq!(titles(&mut c, before).await, ["File taxes"], "and not before one");
    })
    .await;
}

#[tokio::test]
async fn every_text_can_be_searched_for() {
    with_database(|pool| async move {
        let written =
            ["mail ada@example.org about v1.2", "half-done isn't done 2026-03-01", "牛奶を買う 🥛", r"a \ b ' c"];
        for title in written {
            create(&pool, title, |_| {}).await;
        }
        let mut c = pool.acquire().await.unwrap();
        for (q, found) in [
            ("ada@exam", 0),
            ("example.org", 9),
            ("ada@example.org", 0),
            ("v1.", 0),
            ("half-d", 1),
            ("half-done", 1),
            ("isn't", 1),
            ("2026-03-01", 1),
            ("牛奶", 2),
            ("買う", 2),
            ("🥛", 2),
            (r"\", 3),
            ("'", 3),
        ] {
            let filter = TaskFilter { q: Some(q.to_owned()), ..TaskFilter::default() };
            let titles = titles(&mut c, filter).await;
            let expected = written.get(found).copied();
            assert!(
                titles.iter().map(String::as_str).any(|title| Some(title) == expected) == expected.is_some(),
                "{q}: {titles:?}"
            );
        }
        for q in ["& | ! ( ) : *", "':* | 'a", "a & ", "!a", "or", "a or", "\"a", "-", "<->", "a:*b", r"\'", "((a"] {
            let filter = TaskFilter { q: Some(q.to_owned()), ..TaskFilter::default() };
            titles(&mut c, filter).await;
        }
    })
    .await;
}

/// How many tasks the database reads for this list, which may be more than it answers with.
async fn read_for(pool: &PgPool, filter: &TaskFilter) -> (i64, Page<Task>) {
    // Of this session, and not written down anywhere until the transaction ends.
    let read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'tasks'";
    let mut transaction = pool.begin().await.unwrap();
    let before: i64 = sqlx::query_scalar(read).fetch_one(&mut *transaction).await.unwrap();
    let page = tasks::list(&mut transaction, &ada(), filter).await.unwrap();
    let after: i64 = sqlx::query_scalar(read).fetch_one(&mut *transaction).await.unwrap();
    (after - before, page)
}

#[tokio::test]
async fn a_search_reads_what_it_finds_only() {
    with_database(|pool| async move {
        let many = "INSERT INTO tasks (id, user_id, title, due_sort, created_at, updated_at)
            SELECT gen_random_uuid(), 'ada', 'task ' || n || ' of many', now(), now(), now() FROM generate_series(1, 5000) AS n";
        sqlx::query(many).execute(&pool).await.unwrap();
        sqlx::query("ANALYZE tasks").execute(&pool).await.unwrap();
        for (q, found) in [("4711", 1), ("task 471", 11), ("\"4711 of\" -half", 1)] {
            let filter = TaskFilter { q: Some(q.to_owned()), ..TaskFilter::default() };
            let (read, page) = read_for(&pool, &filter).await;
            assert_eq!(page.items.len(), found, "{q}");
            assert!(read < 100, "{q}: {read} tasks were read");
        }
    })
    .await;
}

#[tokio::test]
async fn tasks_without_due_time_come_last() {
    with_database(|pool| async move {
        create(&pool, "whenever", |_| {}).await;
        create(&pool, "on the day", |new| new.due_date = Some("2026-03-01".parse().unwrap())).await;
        create(&pool, "in the morning", |new| new.due_at = Some(at("2026-03-01T08:00:00Z"))).await;
        let mut c = pool.acquire().await.unwrap();
        assert_eq!(titles(&mut c, TaskFilter::default()).await, ["in the morning", "on the day", "whenever"]);
        let latest_first = TaskFilter { descending: true, ..TaskFilter::default() };
        assert_eq!(titles(&mut c, latest_first).await, ["on the day", "in the morning", "whenever"]);
    })
    .await;
}

#[tokio::test]
async fn pages_from_the_last_due_time_on_go_over_to_what_is_not_due() {
    with_database(|pool| async move {
        for index in 0..4 {
            create(&pool, &format!("due {index}"), |new| new.due_at = Some(at("2026-03-01T08:00:00Z"))).await;
            create(&pool, &format!("whenever {index}"), |_| {}).await;
        }
        let mut c = pool.acquire().await.unwrap();
        // Pages that end before the change, with it and after it.
        for limit in 1..=9 {
            let mut filter = TaskFilter { descending: true, limit: Some(limit), ..TaskFilter::default() };
            let mut seen = Vec::new();
            loop {
                let page = tasks::list(&mut c, &ada(), &filter).await.unwrap();
                assert!(page.items.len() <= limit as usize);
                seen.extend(page.items.into_iter().map(|task| task.title));
                match page.next_cursor {
                    Some(cursor) => filter.cursor = Some(cursor),
                    None => break,
                }
            }
            let expected: Vec<_> = ["due", "whenever"]
                .into_iter()
                .flat_map(|kind| (0..4).rev().map(move |index| format!("{kind} {index}")))
                .collect();
            assert_eq!(seen, expected, "{limit} on a page");
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_from_the_last_due_time_on_reads_no_more_than_it_has_wherever_it_begins() {
    with_database(|pool| async move {
        let many = "INSERT INTO tasks (id, user_id, title, due_sort, created_at, updated_at)
             SELECT gen_random_uuid(), 'ada', 'a', CASE WHEN n % 20 = 0 THEN now() ELSE timestamptz '2969-05-03T00:00:00Z' END,
                now(), now()
             FROM generate_series(1, 2000) AS n";
        sqlx::query(many).execute(&pool).await.unwrap();
        sqlx::query("ANALYZE tasks").execute(&pool).await.unwrap();
        let mut filter = TaskFilter { descending: true, limit: Some(40), ..TaskFilter::default() };
        // 100 are due: the third page has some of both.
        for page in 1..=6 {
            let (read, found) = read_for(&pool, &filter).await;
            assert_eq!(found.items.len(), 40, "page {page}");
            assert!(read < 100, "page {page}: {read} tasks were read");
            filter.cursor = found.next_cursor;
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_completed_is_not_read_for_what_is_open_and_the_last_completed_are_found_at_once() {
    with_database(|pool| async move {
        let many = "INSERT INTO tasks (id, user_id, title, due_sort, created_at, updated_at, completed_at)
            SELECT gen_random_uuid(), 'ada', 'a', now() + n * interval '1 s', now() + n * interval '1 s', now() + n * interval '1 s',
                CASE WHEN n <= 20000 THEN now() END
            FROM generate_series(1, 20050) AS n";
        sqlx::query(many).execute(&pool).await.unwrap();
        sqlx::query("ANALYZE tasks").execute(&pool).await.unwrap();
        for (status, sort, descending) in [
            (StatusFilter::Open, Sort::Due, false),
            (StatusFilter::Open, Sort::CreatedAt, false),
            (StatusFilter::Open, Sort::CreatedAt, true),
            (StatusFilter::Completed, Sort::UpdatedAt, true),
        ] {
            let (read, page) = read_for(&pool, &TaskFilter { status, sort, descending, ..TaskFilter::default() }).await;
            assert_eq!(page.items.len(), 50, "{status:?} by {sort:?}");
            // The open ones were changed last: they are passed over on the way to the completed.
            assert!(read < 120, "{status:?} by {sort:?}: {read} tasks were read");
        }
    })
    .await;
}

#[tokio::test]
async fn a_cursor_of_another_order_is_a_wrong_value() {
    with_database(|pool| async move {
        create(&pool, "a", |_| {}).await;
        create(&pool, "b", |_| {}).await;
        let mut c = pool.acquire().await.unwrap();
        let by_title = TaskFilter { sort: Sort::Title, limit: Some(1), ..TaskFilter::default() };
        let cursor = tasks::list(&mut c, &ada(), &by_title).await.unwrap().next_cursor;
        assert!(cursor.is_some());
        let wrong = tasks::list(&mut c, &ada(), &TaskFilter { cursor, ..TaskFilter::default() }).await;
        assert!(matches!(wrong, Err(TaskError::Invalid(_))), "{wrong:?}");
    })
    .await;
}

#[tokio::test]
async fn deleted_tasks_are_listed_apart() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let id = tasks::create(&mut c, &ada(), NewTask::titled("a")).await.unwrap().id;
        tasks::delete(&mut c, &ada(), id, None).await.unwrap();
        assert!(titles(&mut c, TaskFilter { status: StatusFilter::All, ..TaskFilter::default() }).await.is_empty());
        assert_eq!(titles(&mut c, TaskFilter { deleted: true, ..TaskFilter::default() }).await, ["a"]);
    })
    .await;
}

#[tokio::test]
async fn the_canary_leaves_nothing_behind() {
    with_database(|pool| async move {
        let mut c = pool.acquire().await.unwrap();
        let id = canary::send(&mut c).await.unwrap();
        assert_eq!(canary::arrived_at(&pool, id).await.unwrap(), None);
        canary::mark_arrived(&mut c, &[id]).await.unwrap();
        assert!(canary::arrived_at(&pool, id).await.unwrap().is_some());
        canary::purge(&mut c, &[id]).await.unwrap();
        for table in ["tasks", "outbox", "canary"] {
            assert_eq!(super::count(&pool, table).await, 0, "{table}");
        }
        assert!(UserId::canary().is_canary());
    })
    .await;
}
