//! How many codes are sent to e-mail addresses. Whoever adds an address may not be its owner, and deletes and adds it again as
//! often as they like.

use std::time::Duration;

use sqlx::PgConnection;
use todo_common::{problem::Problem, tasks::UserId};
use uuid::Uuid;

use super::limits::{Exceeded, Limit};

const DAY: Duration = Duration::from_hours(24);
/// Codes that one user has sent to addresses.
const OF_USER: Limit = Limit { table: "confirmation_codes", column: "user_id", most: 10, within: DAY };
/// Codes that come to one address, whoever asks for them.
const TO_ADDRESS: Limit = Limit { table: "confirmation_codes", column: "address", most: 3, within: DAY };

/// Counts a code that is to be sent to this address, in the transaction that plans to send it.
///
/// # Errors
/// 429 if there were too many in the last 24 hours.
pub(super) async fn count(connection: &mut PgConnection, user: &UserId, address: &str) -> Result<(), Problem> {
    let mailbox = mailbox(address);
    super::one_at_a_time(&mut *connection, &format!("codes/{mailbox}")).await?;
    let too_many = |exceeded: Exceeded| {
        let title = "There were too many codes to confirm addresses";
        let detail = format!(
            "in 24 hours at most {} codes are sent for a user, and {} to an address",
            OF_USER.most, TO_ADDRESS.most
        );
        exceeded.problem("too-many-codes", title, detail)
    };
    OF_USER.check(&mut *connection, user.as_str(), 1).await.map_err(too_many)?;
    TO_ADDRESS.check(&mut *connection, &mailbox, 1).await.map_err(too_many)?;
    sqlx::query("INSERT INTO confirmation_codes (id, user_id, address) VALUES ($1, $2, $3)")
        .bind(Uuid::now_v7())
        .bind(user)
        .bind(mailbox)
        .execute(connection)
        .await?;
    Ok(())
}

/// Where mail to this address arrives, as most servers have it: letters are small, and what stands after a plus is a label.
pub(super) fn mailbox(address: &str) -> String {
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
