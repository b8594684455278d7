//! `GET /api/events`: changes of the user's tasks, and notifications when they are to be seen, as server-sent events, whichever replica
//! or service made them.
//!
//! Each open stream holds one of the sidecar's ten places for calls of the app until it ends, so a pod has few of them, and they end
//! after some minutes; a browser comes back by itself.

use std::{convert::Infallible, iter, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, StreamExt, future, stream};
use serde::Deserialize;
use serde_json::json;
use sqlx::PgConnection;
use todo_common::{
    auth,
    events::TASK_EVENTS,
    notifications::Notification,
    outbox::{Change, Position, Told},
    problem::{Problem, Query},
    tasks::UserId,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, broadcast},
    time::sleep,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

/// Streams of one pod; the other six places are for requests, ticks and tools.
pub(crate) const MOST_STREAMS: usize = 4;
/// A stream ends after this.
const LONGEST: Duration = Duration::from_mins(5);
/// A comment is sent in a silent stream, so that both sides notice when the other is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Pause that a browser makes before it comes back.
const COME_BACK: Duration = Duration::from_secs(2);
/// A stream of one event ends after this without one: sooner than whoever passes it on expects an answer.
const LONGEST_ONCE: Duration = Duration::from_secs(20);
/// The same pause after a stream of one event: the next begins before what this one told of has been read.
const COME_BACK_ONCE: Duration = Duration::from_millis(100);

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events))
}

/// An event of the stream.
#[derive(ToSchema)]
#[schema(as = ServerSentEvent)]
#[expect(dead_code, reason = "it describes what `Event` writes")]
struct Message {
    /// `ready`, `task`, `notification` or `resync`.
    #[schema(value_type = String)]
    event: &'static str,
    /// Where the stream has got to, for `Last-Event-ID`.
    id: String,
    /// JSON: of a `task`, the event as other services get it; of a `notification`, what the list shows.
    data: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wish {
    #[param(ignore)]
    user_id: Option<String>,
    /// With `true` the stream ends with the first event after `ready`, after 20 seconds at the latest: for whoever gets an answer only
    /// when it has ended, as through Dapr before 1.17.
    #[serde(default)]
    once: bool,
}

/// Changes of the user's tasks, as they happen, and notifications, when they are to be seen.
///
/// Server-sent events: `ready` at first, `task` for each change, `notification` for each of those, within a second or so, and `resync` where
/// some were missed, also between two streams if the second is asked for with `Last-Event-ID`, as browsers do. The stream ends after five
/// minutes; come back then.
#[utoipa::path(
    get,
    path = "/api/events",
    tag = "tasks",
    params(Wish),
    responses(
        (status = 200, description = "The stream", body = Message, content_type = "text/event-stream"),
    )
)]
async fn events(State(app): State<App>, Query(wish): Query<Wish>, headers: HeaderMap) -> Result<Response, Problem> {
    let user = auth::user(None, wish.user_id.as_deref(), &headers)?;
    app.database.pool()?;
    let place = app.streams.clone().try_acquire_owned().map_err(|_| too_many())?;
    let (longest, come_back, most) =
        if wish.once { (LONGEST_ONCE, COME_BACK_ONCE, 2) } else { (LONGEST, COME_BACK, usize::MAX) };
    let end = future::select(Box::pin(app.stop.clone().cancelled_owned()), Box::pin(sleep(longest)));
    // What is committed after the look is told by the feed.
    let feed = app.feed.subscribe();
    let (position, missed) = look(&app, &user, &headers).await?;
    let ready = message("ready", &position).retry(come_back).data(json!({"once": wish.once}).to_string());
    let first = iter::once(ready).chain(missed.then(|| resync(&position)));
    let changes = changes(feed, user, place, position);
    let events = stream::iter(first).chain(changes).take(most).take_until(end).map(Ok::<_, Infallible>);
    let alive = KeepAlive::new().interval(HEARTBEAT);
    Ok(([("cache-control", "no-store"), ("x-accel-buffering", "no")], Sse::new(events).keep_alive(alive))
        .into_response())
}

/// Places for streams.
pub(crate) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MOST_STREAMS))
}

fn too_many() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", "There are too many open streams").detail(
        format!("this pod serves {MOST_STREAMS} streams at once; read the list now and then instead, or try again"),
    )
}

/// Where the stream begins, and whether something was missed since the one that the caller had before.
async fn look(app: &App, user: &UserId, headers: &HeaderMap) -> Result<(Position, bool), Problem> {
    let before = headers.get("last-event-id").filter(|id| !id.is_empty());
    let since: Option<Position> = before.and_then(|id| id.to_str().ok()?.parse().ok());
    let look = async |connection: &mut PgConnection| Position::now(connection, user, since.as_ref()).await;
    let (position, missed) = app.database.read(look).await?;
    Ok((position, missed || (before.is_some() && since.is_none())))
}

/// What the user is told. The place is free again when the stream is dropped.
fn changes(
    feed: broadcast::Receiver<Told>,
    user: UserId,
    place: OwnedSemaphorePermit,
    position: Position,
) -> impl Stream<Item = Event> {
    stream::unfold((feed, user, place, position), |(mut feed, user, place, mut position)| async move {
        loop {
            let event = match feed.recv().await {
                Ok(Told::Change(change)) if concerns(&change, &user) => {
                    position = position.told(change.id);
                    task(&change, &position)
                }
                Ok(Told::Notification(shown)) if shown.user_id == user => {
                    position = position.told(shown.id);
                    notification(&shown, &position)
                }
                Ok(Told::Change(_) | Told::Notification(_)) => continue,
                Ok(Told::Resync) | Err(broadcast::error::RecvError::Lagged(_)) => resync(&position),
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            return Some((event, (feed, user, place, position)));
        }
    })
}

/// An event after which a stream has got to `position`.
fn message(name: &str, position: &Position) -> Event {
    Event::default().event(name).id(position.to_string())
}

fn resync(position: &Position) -> Event {
    message("resync", position).data("{}")
}

fn concerns(change: &Change, user: &UserId) -> bool {
    change.topic == TASK_EVENTS && change.payload["user_id"] == json!(user.as_str())
}

fn task(change: &Change, position: &Position) -> Event {
    // JSON of `serde_json` has no line breaks, which an event's data could not hold.
    message("task", position).data(change.payload.to_string())
}

fn notification(shown: &Notification, position: &Position) -> Event {
    message("notification", position).data(json!(shown).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;

    fn change(topic: &str, user: &str) -> Told {
        let payload: Value = json!({"user_id": user, "event_type": "created"});
        Told::Change(Arc::new(Change { id: Uuid::from_u128(1), topic: topic.to_owned(), payload }))
    }

    fn notification(user: &str) -> Told {
        let at = chrono::DateTime::UNIX_EPOCH;
        Told::Notification(Arc::new(Notification {
            id: Uuid::from_u128(2),
            user_id: UserId::new(user).unwrap(),
            task_id: None,
            title: "water the plants".to_owned(),
            message: "Reminder".to_owned(),
            method: "push".to_owned(),
            created_at: at,
            read_at: None,
            visible_at: at,
        }))
    }

    fn position() -> Position {
        "1.3:5:.".parse().unwrap()
    }

    fn shown(event: &Event) -> String {
        format!("{event:?}")
    }

    #[tokio::test]
    async fn a_stream_shows_the_users_changes_and_nobody_elses() {
        let (sender, receiver) = broadcast::channel(8);
        let places = places();
        let place = places.clone().try_acquire_owned().unwrap();
        let stream = changes(receiver, UserId::new("ada").unwrap(), place, position());
        sender.send(change(TASK_EVENTS, "bob")).unwrap();
        sender.send(change("reminders", "ada")).unwrap();
        sender.send(notification("bob")).unwrap();
        sender.send(change(TASK_EVENTS, "ada")).unwrap();
        sender.send(notification("ada")).unwrap();
        drop(sender);
        let events: Vec<_> = stream.collect().await;
        assert_eq!(events.len(), 2);
        assert!(shown(&events[0]).contains("ada"));
        assert!(shown(&events[1]).contains("water the plants") && !shown(&events[1]).contains("bob"));
        assert_eq!(places.available_permits(), MOST_STREAMS);
    }

    #[tokio::test]
    async fn a_stream_that_missed_changes_is_told_to_read_anew() {
        let (sender, receiver) = broadcast::channel(1);
        let place = places().try_acquire_owned().unwrap();
        sender.send(change(TASK_EVENTS, "ada")).unwrap();
        sender.send(change(TASK_EVENTS, "ada")).unwrap();
        let mut stream = Box::pin(changes(receiver, UserId::new("ada").unwrap(), place, position()));
        assert!(shown(&stream.next().await.unwrap()).contains("resync"));
    }
}
