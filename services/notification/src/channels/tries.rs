//! How many tests are sent. A channel's target may be a stranger's, and a test is sent whenever its user likes.

use std::{collections::BTreeMap, time::Duration};

use sqlx::PgConnection;
use todo_common::{problem::Problem, tasks::UserId};
use url::Url;
use uuid::Uuid;

use super::{
    Channel, Kind, codes,
    limits::{Exceeded, Limit},
};

const TABLE: &str = "channel_tests";
const HOUR: Duration = Duration::from_hours(1);
/// Tests that one user has sent.
const OF_USER: Limit = Limit { table: TABLE, column: "user_id", most: 30, within: HOUR };
/// Tests that come to one host by webhooks, whoever asks for them: one server has as many URLs as somebody makes up.
const TO_HOST: Limit = Limit { table: TABLE, column: "host", most: 60, within: HOUR };
/// Tests that come to one target, whoever asks for them.
const TO_TARGET: Limit = Limit { table: TABLE, column: "target", most: 5, within: Duration::from_mins(10) };

/// Counts tests of these channels of a user, in the transaction that plans to send them.
///
/// # Errors
/// 429 if there were too many.
pub(crate) async fn count(connection: &mut PgConnection, user: &UserId, channels: &[Channel]) -> Result<(), Problem> {
    if channels.is_empty() {
        return Ok(());
    }
    let mut hosts: BTreeMap<String, usize> = BTreeMap::new();
    let mut targets: BTreeMap<String, usize> = BTreeMap::new();
    let counted: Vec<(String, Option<String>)> =
        channels.iter().map(|channel| (target(channel), host(channel))).collect();
    for (target, host) in &counted {
        *targets.entry(target.clone()).or_default() += 1;
        if let Some(host) = host {
            *hosts.entry(host.clone()).or_default() += 1;
        }
    }
    // In the same order wherever it is done: who waits for another does not have what that one waits for.
    super::one_at_a_time(&mut *connection, &format!("tests/user/{user}")).await?;
    for host in hosts.keys() {
        super::one_at_a_time(&mut *connection, &format!("tests/host/{host}")).await?;
    }
    for target in targets.keys() {
        super::one_at_a_time(&mut *connection, &format!("tests/target/{target}")).await?;
    }
    OF_USER.check(&mut *connection, user.as_str(), channels.len()).await.map_err(too_many)?;
    for (host, many) in &hosts {
        TO_HOST.check(&mut *connection, host, *many).await.map_err(too_many)?;
    }
    for (target, many) in &targets {
        TO_TARGET.check(&mut *connection, target, *many).await.map_err(too_many)?;
    }
    let (targets, hosts): (Vec<String>, Vec<Option<String>>) = counted.into_iter().unzip();
    sqlx::query(
        "INSERT INTO channel_tests (id, user_id, target, host)
         SELECT id, $2, target, host FROM unnest($1::uuid[], $3::text[], $4::text[]) AS new (id, target, host)",
    )
    .bind(targets.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
    .bind(user)
    .bind(targets)
    .bind(hosts)
    .execute(connection)
    .await?;
    Ok(())
}

fn too_many(exceeded: Exceeded) -> Problem {
    let detail = format!(
        "at most {} tests are sent to a target in 10 minutes, and in an hour {} to the host of webhooks and {} for a user",
        TO_TARGET.most, TO_HOST.most, OF_USER.most
    );
    exceeded.problem("too-many-tests", "There were too many tests of channels", detail)
}

fn target(channel: &Channel) -> String {
    if channel.kind == Kind::Email { codes::mailbox(&channel.target) } else { channel.target.clone() }
}

/// Only of webhooks: all browsers of a vendor have one push service.
fn host(channel: &Channel) -> Option<String> {
    let url = (channel.kind == Kind::Webhook).then(|| Url::parse(&channel.target).ok()).flatten()?;
    url.host_str().map(str::to_owned)
}
