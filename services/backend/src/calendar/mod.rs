//! `GET /api/tasks/feed.ics`: what is due, for a calendar to subscribe to (RFC 5545).

mod text;
mod zone;

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::{
        HeaderMap,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use todo_common::{
    auth,
    problem::{Problem, Query},
    tasks::{self, Due, DueTask, Priority},
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    text::{escaped, push},
    zone::push_zone,
};
use crate::app::App;

/// Entries of a feed: the soonest ones.
const MOST: u32 = 1000;
const INSTANT: &str = "%Y%m%dT%H%M%SZ";
const CIVIL: &str = "%Y%m%dT%H%M%S";
const DAY: &str = "%Y%m%d";

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(feed))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FeedQuery {
    #[param(ignore)]
    user_id: Option<String>,
    /// `event` if absent, which every calendar shows; some show `todo` as tasks.
    #[serde(default)]
    #[param(inline, required = false)]
    kind: Kind,
}

/// What a task is in the calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Event,
    Todo,
}

/// Open tasks with a due time or day, as a calendar to subscribe to.
///
/// The 1000 that are due soonest. Reminders are not in it: the platform tells them.
#[utoipa::path(
    get,
    path = "/api/tasks/feed.ics",
    tag = "tasks",
    params(FeedQuery),
    responses((status = 200, description = "The calendar", body = String, content_type = "text/calendar"))
)]
async fn feed(State(app): State<App>, Query(query): Query<FeedQuery>, headers: HeaderMap) -> Result<Response, Problem> {
    let user = auth::user(None, query.user_id.as_deref(), &headers)?;
    let mut connection = app.database.pool()?.acquire().await?;
    let tasks = tasks::list_due(&mut connection, &user, MOST).await?;
    let headers = [(CONTENT_TYPE, "text/calendar; charset=utf-8"), (CACHE_CONTROL, "private, max-age=60")];
    Ok((headers, calendar(&tasks, query.kind, Utc::now())).into_response())
}

fn calendar(tasks: &[DueTask], kind: Kind, now: DateTime<Utc>) -> String {
    let mut calendar = String::new();
    push(&mut calendar, "BEGIN", "VCALENDAR");
    push(&mut calendar, "VERSION", "2.0");
    push(&mut calendar, "PRODID", "-//TodoPlatform//Tasks//EN");
    push(&mut calendar, "X-WR-CALNAME", "Tasks");
    // Instants need no zone; a rule at a time of the day does.
    let mut zones = BTreeMap::<&str, (Tz, DateTime<Utc>)>::new();
    for entry in tasks {
        if let Some((zone, first)) = entry_zone(entry, kind) {
            let known = zones.entry(zone.name()).or_insert((zone, first));
            known.1 = known.1.min(first);
        }
    }
    for (zone, first) in zones.into_values() {
        push_zone(&mut calendar, zone, first, now);
    }
    for entry in tasks {
        push_task(&mut calendar, entry, kind);
    }
    push(&mut calendar, "END", "VCALENDAR");
    calendar
}

/// The zone that an entry names, and the time from which on it has to be known.
fn entry_zone(entry: &DueTask, kind: Kind) -> Option<(Tz, DateTime<Utc>)> {
    match entry.due {
        Due::At(at) if kind == Kind::Event && entry.rule.is_some() && entry.zone != Tz::UTC => Some((entry.zone, at)),
        _ => None,
    }
}

fn push_task(calendar: &mut String, entry: &DueTask, kind: Kind) {
    let task = &entry.task;
    let (component, when) = match kind {
        Kind::Event => ("VEVENT", "DTSTART"),
        Kind::Todo => ("VTODO", "DUE"),
    };
    let mut line = |name: &str, value: &str| push(calendar, name, value);
    let instant = |at: DateTime<Utc>| at.format(INSTANT).to_string();
    line("BEGIN", component);
    line("UID", &task.id.to_string());
    line("DTSTAMP", &instant(task.updated_at));
    line("CREATED", &instant(task.created_at));
    line("LAST-MODIFIED", &instant(task.updated_at));
    line("SEQUENCE", &task.version.min(i64::from(i32::MAX)).to_string());
    match (entry.due, entry_zone(entry, kind)) {
        (Due::On(day), _) => line(&format!("{when};VALUE=DATE"), &day.format(DAY).to_string()),
        (Due::At(at), None) => line(when, &instant(at)),
        (due @ Due::At(_), Some((zone, _))) => {
            line(&format!("{when};TZID={}", zone.name()), &due.civil(zone).format(CIVIL).to_string());
        }
    }
    match kind {
        // A to-do of today is one; its next occurrence is another, which comes when this one is done.
        Kind::Todo => line("STATUS", "NEEDS-ACTION"),
        Kind::Event => {
            line("TRANSP", "TRANSPARENT");
            if let Some(rule) = &entry.rule {
                line("RRULE", rule);
            }
        }
    }
    line("SUMMARY", &escaped(&task.title));
    if let Some(notes) = &task.notes {
        line("DESCRIPTION", &escaped(notes));
    }
    if !task.tags.is_empty() {
        line("CATEGORIES", &task.tags.iter().map(|tag| escaped(tag)).collect::<Vec<_>>().join(","));
    }
    if let Some(number) = priority(task.priority) {
        line("PRIORITY", number);
    }
    line("END", component);
}

/// 1 is the most urgent.
const fn priority(priority: Priority) -> Option<&'static str> {
    match priority {
        Priority::None => None,
        Priority::Low => Some("9"),
        Priority::Medium => Some("5"),
        Priority::High => Some("3"),
        Priority::Urgent => Some("1"),
    }
}
