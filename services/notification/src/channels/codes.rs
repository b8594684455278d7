//! How many codes are sent to e-mail addresses. Whoever adds an address may not be its owner, and deletes and adds it again as
//! often as they like.

use std::time::Duration;

use axum::http::StatusCode;
use sqlx::PgConnection;
use todo_common::{problem::Problem, tasks::UserId};
use uuid::Uuid;

/// Codes in a day that one user has sent to addresses.
const MOST_OF_USER: i64 = 10;
/// Codes in a day that come to one address, whoever asks for them.
const MOST_TO_ADDRESS: i64 = 3;

/// Counts a code that is to be sent to this address, in the transaction that plans to send it.
///
/// # Errors
/// 429 if there were too many in the last 24 hours.
pub(super) async fn count(connection: &mut PgConnection, user: &UserId, address: &str) -> Result<(), Problem> {
    let mailbox = mailbox(address);
    super::one_at_a_time(&mut *connection, &format!("codes/{mailbox}")).await?;
    let (of_user, to_address, seconds): (i64, i64, f64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE user_id = $1), count(*) FILTER (WHERE address = $2),
             coalesce(extract(epoch FROM min(sent_at) + interval '24 hours' - now()), 0)::float8
         FROM confirmation_codes WHERE (user_id = $1 OR address = $2) AND sent_at > now() - interval '24 hours'",
    )
    .bind(user)
    .bind(&mailbox)
    .fetch_one(&mut *connection)
    .await?;
    if of_user >= MOST_OF_USER || to_address >= MOST_TO_ADDRESS {
        let detail = format!(
            "in 24 hours at most {MOST_OF_USER} codes are sent for a user, and {MOST_TO_ADDRESS} to an address"
        );
        let title = "There were too many codes to confirm addresses";
        let wait = Duration::from_secs_f64(seconds.max(1.0));
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-codes", title)
            .detail(detail)
            .retry_after(wait));
    }
    sqlx::query("INSERT INTO confirmation_codes (id, user_id, address) VALUES ($1, $2, $3)")
        .bind(Uuid::now_v7())
        .bind(user)
        .bind(mailbox)
        .execute(connection)
        .await?;
    Ok(())
}

/// Where mail to this address arrives, as most servers have it: letters are small, and what stands after a plus is a label.
fn mailbox(address: &str) -> String {
    let address = address.to_lowercase();
    match address.rsplit_once('@') {
        Some((name, host)) => format!("{}@{host}", name.split('+').next().unwrap_or(name)),
        None => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mailbox_is_one_address() {
        for address in ["ada@example.org", "Ada@Example.org", "ada+todo@example.org", "ada+a+b@example.org"] {
            assert_eq!(mailbox(address), "ada@example.org");
        }
        assert_eq!(mailbox("\"a@b\"@example.org"), "\"a@b\"@example.org");
    }
}
