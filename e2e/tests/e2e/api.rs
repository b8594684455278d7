//! The API as a person or a program finds it behind the page's address: what describes it, all tasks out and in again,
//! and the calendar.

use serde_json::{Value, json};
use todo_e2e::harness::{Python, http::Http};

use crate::shared;

#[tokio::test]
async fn the_documents_and_their_pages_are_where_the_page_is() {
    shared::with("docs", async |platform, _| {
        let page = platform.page().await?;
        for (prefix, operations) in [
            ("/api", &["/api/tasks", "/api/tasks/export", "/api/tasks/import", "/api/tasks/feed.ics", "/api/chat"][..]),
            ("/api/notifications", &["/api/notifications"][..]),
        ] {
            let document = page.get(&format!("{prefix}/openapi.json")).await?.expect(200)?.json();
            assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{document}");
            let shown = page.get(&format!("{prefix}/docs")).await?.expect(200)?;
            assert_eq!(shown.headers["content-type"], "text/html; charset=utf-8");
            for path in operations {
                assert!(document["paths"][*path].is_object(), "{prefix} says nothing of {path}");
                assert!(shown.text.contains(path), "the page of {prefix} says nothing of {path}");
            }
            let style = page.get(&format!("{prefix}/docs.css")).await?.expect(200)?;
            assert_eq!(style.headers["content-type"], "text/css; charset=utf-8");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn all_tasks_go_out_and_come_in_again_for_somebody_else() {
    shared::with("transfer", async |platform, user| {
        let page = platform.page().await?;
        fill(&page, &user).await?;
        let original = content(&page, &user).await?;
        assert_eq!(original.len(), 3);
        for (format, content_type) in [("json", "application/json"), ("csv", "text/csv; charset=utf-8")] {
            let exported = page.get(&format!("/api/tasks/export?user_id={user}&format={format}")).await?.expect(200)?;
            assert_eq!(exported.headers["content-type"], content_type);
            let disposition = format!("attachment; filename=\"tasks.{format}\"");
            assert_eq!(exported.headers["content-disposition"], disposition.as_str());
            let path = format!("/api/tasks/import?user_id={user}-{format}");
            let dry = page.upload(&format!("{path}&dry_run=true"), content_type, exported.text.clone()).await?;
            assert_eq!(dry.expect(200)?.json(), json!({"count": 3, "ids": [], "dry_run": true}));
            assert_eq!(content(&page, &format!("{user}-{format}")).await?, Vec::<Value>::new());
            let done = page.upload(&path, content_type, exported.text).await?.expect(201)?.json();
            assert_eq!(done["count"], 3, "{done}");
            assert_eq!(content(&page, &format!("{user}-{format}")).await?, original, "{format}");
        }
        let wrong = page
            .upload(&format!("/api/tasks/import?user_id={user}"), "text/csv", "title,priority\na,huge\n".into())
            .await?;
        let told = wrong.expect(422)?;
        assert_eq!(told.headers["content-type"], "application/problem+json", "{}", told.text);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_calendar_that_others_wrote_reads_what_is_due() {
    shared::with("calendar", async |platform, user| {
        let page = platform.page().await?;
        fill(&page, &user).await?;
        let feed = page.get(&format!("/api/tasks/feed.ics?user_id={user}")).await?.expect(200)?;
        assert_eq!(feed.headers["content-type"], "text/calendar; charset=utf-8");
        let python = Python::judges(platform.namespace.env.cluster.settings()).await?;
        let read: Value = serde_json::from_str(&python.script("calendar_reader.py").input(feed.text).run().await?)?;
        assert_eq!((&read["errors"], &read["wrong_offsets"]), (&json!([]), &json!([])), "{read}");
        let [stretch] = read["entries"].as_array().map_or(&[][..], Vec::as_slice) else {
            anyhow::bail!("one task is open and due: {read}");
        };
        assert_eq!((&stretch["component"], &stretch["summary"]), (&json!("VEVENT"), &json!("=stretch; \"slowly\"")));
        assert_eq!(stretch["description"], "arms, legs\nand the rest 🧘");
        assert_eq!(stretch["categories"], json!(["health;body", "home"]));
        // 09:00 in Berlin, before and after its clocks change.
        let days = ["26T08", "27T08", "28T08", "29T07", "30T07"].map(|day| format!("2099-03-{day}:00:00+00:00"));
        assert_eq!(stretch["dates"], json!(days));
        Ok(())
    })
    .await;
}

/// Three tasks: one with all that a task can have, one for whenever and one that is done.
async fn fill(page: &Http, user: &str) -> anyhow::Result<()> {
    let everything = json!({
        "user_id": user, "title": "=stretch; \"slowly\"", "notes": "arms, legs\nand the rest 🧘", "priority": "urgent",
        "tags": ["health;body", "home"], "due_at": "2099-03-26T08:00:00Z", "time_zone": "Europe/Berlin",
        "recurrence": {"rrule": "FREQ=DAILY"}, "reminders": [{"before_minutes": 10}],
    });
    shared::add_task(page, everything).await?;
    shared::add_task(page, json!({"user_id": user, "title": "read"})).await?;
    let done = shared::add_task(page, json!({"user_id": user, "title": "rest", "due_date": "2099-03-01"})).await?;
    let complete = format!("/api/tasks/{}/complete?user_id={user}", done["id"].as_str().unwrap_or_default());
    page.post(&complete, &json!({})).await?.expect(200)?;
    Ok(())
}

/// What an import takes over of each task, in order.
async fn content(page: &Http, user: &str) -> anyhow::Result<Vec<Value>> {
    let exported = page.get(&format!("/api/tasks/export?user_id={user}")).await?.expect(200)?;
    let mut items = exported.json()["items"].as_array().cloned().unwrap_or_default();
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        for own in ["id", "user_id", "series_id", "version", "created_at", "updated_at"] {
            item.remove(own);
        }
    }
    Ok(items)
}
