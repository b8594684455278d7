//! The table `channels`: where users want to be told, beside the list on the page.

pub(crate) mod api;
mod codes;
mod input;
mod limits;
mod routes;
pub(crate) mod tries;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection};
use todo_common::{problem::Problem, tasks::UserId};
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) use input::{Changes, New};
pub(crate) use routes::router;

/// Channels of one user.
pub(crate) const MOST: i64 = 20;
/// Wrong codes after which an address cannot be confirmed any more.
const MOST_WRONG_CODES: i16 = 5;

/// How a channel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum Kind {
    /// By the push service of a browser's vendor.
    WebPush,
    /// By a signed HTTP request.
    Webhook,
    /// By e-mail.
    Email,
    /// By a topic of an ntfy server.
    Ntfy,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::WebPush, Self::Webhook, Self::Email, Self::Ntfy];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::WebPush => "web_push",
            Self::Webhook => "webhook",
            Self::Email => "email",
            Self::Ntfy => "ntfy",
        }
    }

    /// Which kinds a notification of this method goes to. `push`, the specification's word, means all that push; a word
    /// that is no kind means the list on the page alone.
    pub(crate) fn of_method(method: &str) -> Vec<&'static str> {
        let all = [Self::WebPush, Self::Webhook, Self::Email, Self::Ntfy].map(Self::as_str);
        all.into_iter().filter(|kind| method == "push" || method == *kind).collect()
    }
}

/// A channel as the API shows it. Its secret is not here.
#[derive(Clone, Debug, PartialEq, Serialize, FromRow, ToSchema)]
pub(crate) struct Channel {
    pub(crate) id: Uuid,
    pub(crate) user_id: UserId,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// Endpoint, URL, address or topic.
    pub(crate) target: String,
    pub(crate) enabled: bool,
    /// Why the service switched it off.
    pub(crate) disabled_reason: Option<String>,
    /// False while an e-mail address waits for its code.
    pub(crate) confirmed: bool,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// All channels of a user, the oldest first.
pub(crate) async fn list(connection: &mut PgConnection, user: &UserId) -> Result<Vec<Channel>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM channels WHERE user_id = $1 ORDER BY created_at, id")
        .bind(user)
        .fetch_all(connection)
        .await
}

/// Those of a user that a notification of this method goes to.
pub(crate) async fn of_method(
    connection: &mut PgConnection,
    user: &UserId,
    method: &str,
) -> Result<Vec<Channel>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM channels WHERE user_id = $1 AND kind = ANY ($2) AND enabled AND confirmed")
        .bind(user)
        .bind(Kind::of_method(method))
        .fetch_all(connection)
        .await
}

/// One of them.
pub(crate) async fn get(connection: &mut PgConnection, user: &UserId, id: Uuid) -> Result<Channel, Problem> {
    sqlx::query_as("SELECT * FROM channels WHERE user_id = $1 AND id = $2")
        .bind(user)
        .bind(id)
        .fetch_optional(connection)
        .await?
        .ok_or_else(not_found)
}

/// Stores a new one. A browser gives its subscription again and again: the same endpoint is the same channel, with the
/// newest keys, and belongs to whoever uses that browser now. What its user has switched off stays so; what the service has because the
/// endpoint was gone is on again.
pub(crate) async fn create(connection: &mut PgConnection, user: &UserId, new: &New) -> Result<Channel, Problem> {
    // Two at once must not both find room.
    one_at_a_time(&mut *connection, &format!("channels/{user}")).await?;
    let others: i64 =
        sqlx::query_scalar("SELECT count(*) FROM channels WHERE user_id = $1 AND (kind, target) <> ($2, $3)")
            .bind(user)
            .bind(new.kind)
            .bind(&new.target)
            .fetch_one(&mut *connection)
            .await?;
    if others >= MOST {
        return Err(Problem::conflict(format!("a user has at most {MOST} channels; delete one first")));
    }
    if new.kind == Kind::WebPush {
        // Nor must two users at once have the same browser.
        one_at_a_time(&mut *connection, &format!("browsers/{}", new.target)).await?;
        sqlx::query("DELETE FROM channels WHERE kind = 'web_push' AND target = $1 AND user_id <> $2")
            .bind(&new.target)
            .bind(user)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query_as(
        "INSERT INTO channels (id, user_id, kind, name, target, secret, confirmed) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (user_id, kind, target) DO UPDATE
             SET secret = excluded.secret, enabled = channels.enabled OR channels.disabled_reason IS NOT NULL,
                 disabled_reason = NULL, updated_at = now()
             WHERE channels.kind = 'web_push'
         RETURNING *",
    )
    .bind(Uuid::now_v7())
    .bind(user)
    .bind(new.kind)
    .bind(&new.name)
    .bind(&new.target)
    .bind(&new.secret)
    .bind(new.kind != Kind::Email)
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| Problem::conflict("this user has such a channel already"))
}

/// Waits until no other transaction is at the same. Who takes several takes that of its user first.
async fn one_at_a_time(connection: &mut PgConnection, what: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(what).execute(connection).await.map(drop)
}

/// Changes what can be changed. Switching on takes back why it was switched off.
pub(crate) async fn update(
    connection: &mut PgConnection,
    user: &UserId,
    id: Uuid,
    changes: &Changes,
) -> Result<Channel, Problem> {
    let channel = get(&mut *connection, user, id).await?;
    let secret = changes.secret_for(channel.kind).map_err(|mistake| Problem::invalid(vec![mistake]))?;
    sqlx::query_as(
        "UPDATE channels SET name = coalesce($3, name), enabled = coalesce($4, enabled), secret = coalesce($5, secret),
             disabled_reason = CASE WHEN $4 THEN NULL ELSE disabled_reason END, updated_at = now()
         WHERE user_id = $1 AND id = $2 RETURNING *",
    )
    .bind(user)
    .bind(id)
    .bind(changes.name.as_deref())
    .bind(changes.enabled)
    .bind(secret)
    .fetch_optional(connection)
    .await?
    .ok_or_else(not_found)
}

/// Removes it and what waits for it.
pub(crate) async fn delete(connection: &mut PgConnection, user: &UserId, id: Uuid) -> Result<(), Problem> {
    let deleted = sqlx::query("DELETE FROM channels WHERE user_id = $1 AND id = $2")
        .bind(user)
        .bind(id)
        .execute(connection)
        .await?
        .rows_affected();
    if deleted == 0 { Err(not_found()) } else { Ok(()) }
}

/// What became of a code.
pub(crate) enum Confirmation {
    /// The address is the user's, now or before.
    Confirmed(Channel),
    /// It is not the one that was sent.
    WrongCode,
    /// It is not looked at any more.
    TooManyWrongCodes,
}

/// Takes the code that was sent to an e-mail address. To be committed even where it is wrong: tries are counted.
pub(crate) async fn confirm(
    connection: &mut PgConnection,
    user: &UserId,
    id: Uuid,
    code: &str,
) -> Result<Confirmation, Problem> {
    let channel = get(&mut *connection, user, id).await?;
    if channel.confirmed {
        return Ok(Confirmation::Confirmed(channel));
    }
    let tried: Option<Channel> = sqlx::query_as(
        "UPDATE channels SET confirmed = secret = $3 AND wrong_codes < $4, updated_at = now(),
             wrong_codes = wrong_codes + CASE WHEN secret = $3 THEN 0 ELSE 1 END
         WHERE user_id = $1 AND id = $2 AND NOT confirmed AND wrong_codes < $4 RETURNING *",
    )
    .bind(user)
    .bind(id)
    .bind(code)
    .bind(MOST_WRONG_CODES)
    .fetch_optional(connection)
    .await?;
    Ok(match tried {
        Some(channel) if channel.confirmed => Confirmation::Confirmed(channel),
        Some(_) => Confirmation::WrongCode,
        None => Confirmation::TooManyWrongCodes,
    })
}

/// Switches one off whose target is there no more.
pub(crate) async fn disable(connection: &mut PgConnection, id: Uuid, reason: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE channels SET enabled = false, disabled_reason = $2, updated_at = now() WHERE id = $1")
        .bind(id)
        .bind(reason)
        .execute(connection)
        .await
        .map(drop)
}

fn not_found() -> Problem {
    Problem::not_found("this user has no such channel")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_word_means_every_channel_and_an_unknown_one_means_none() {
        assert_eq!(Kind::of_method("push"), ["web_push", "webhook", "email", "ntfy"]);
        assert_eq!(Kind::of_method("email"), ["email"]);
        assert!(Kind::of_method("pigeon").is_empty());
    }
}
