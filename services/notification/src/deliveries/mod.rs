//! The table `deliveries`: one row for each notification and channel, and what became of it.

pub(crate) mod api;
mod attempt;
mod backoff;
mod claim;
pub(crate) mod dispatcher;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    channels::{Channel, Kind},
    notification::Notification,
};

/// How far one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = DeliveryState)]
pub(crate) enum State {
    /// It will be tried, perhaps again.
    Waiting,
    /// The other side has accepted it.
    Sent,
    /// It will not be tried again.
    Failed,
    /// There was no reason to send it any more.
    Cancelled,
}

/// A delivery as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, FromRow, ToSchema)]
pub(crate) struct Delivery {
    pub(crate) id: Uuid,
    pub(crate) notification_id: Option<Uuid>,
    pub(crate) channel_id: Uuid,
    pub(crate) kind: Kind,
    pub(crate) channel_name: String,
    pub(crate) state: State,
    pub(crate) attempts: i32,
    pub(crate) last_error: Option<String>,
    /// When it is tried next, while it waits.
    pub(crate) next_attempt_at: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
}

/// Plans notifications for the channels that their methods mean, none before it is shown. In the transaction that stores
/// the notifications: both or neither.
pub(crate) async fn plan(connection: &mut PgConnection, notifications: &[Notification]) -> Result<(), sqlx::Error> {
    let of_kinds: Vec<(&Notification, &str)> = notifications
        .iter()
        .flat_map(|notification| {
            Kind::of_method(&notification.method).into_iter().map(move |kind| (notification, kind))
        })
        .collect();
    if of_kinds.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO deliveries (id, user_id, channel_id, notification_id, next_attempt_at)
         SELECT gen_random_uuid(), channels.user_id, channels.id, stored.id, stored.visible_at
         FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::text[]) AS stored (user_id, id, visible_at, kind)
         JOIN channels ON channels.user_id = stored.user_id AND channels.kind = stored.kind
         WHERE enabled AND confirmed",
    )
    .bind(of_kinds.iter().map(|(notification, _)| notification.user_id.as_str()).collect::<Vec<_>>())
    .bind(of_kinds.iter().map(|(notification, _)| notification.id).collect::<Vec<_>>())
    .bind(of_kinds.iter().map(|(notification, _)| notification.visible_at).collect::<Vec<_>>())
    .bind(of_kinds.iter().map(|(_, kind)| *kind).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
}

/// Plans one for one channel, at once; without a notification it is the code that confirms the address.
pub(crate) async fn add(
    connection: &mut PgConnection,
    channel: &Channel,
    notification: Option<Uuid>,
) -> Result<Delivery, sqlx::Error> {
    sqlx::query_as(
        "INSERT INTO deliveries (id, user_id, channel_id, notification_id, next_attempt_at)
         VALUES (gen_random_uuid(), $1, $2, $3, now())
         RETURNING *, $4::text AS kind, $5::text AS channel_name",
    )
    .bind(&channel.user_id)
    .bind(channel.id)
    .bind(notification)
    .bind(channel.kind)
    .bind(&channel.name)
    .fetch_one(connection)
    .await
}
