use sqlx::PgConnection;

use crate::config::Settings;

/// Why a platform may not use a database.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another platform has it.
    #[error("the database belongs to the platform {by}")]
    InUse {
        /// Its namespace and name.
        by: String,
    },
    /// The claim could not be read or written.
    #[error("claiming the database: {0}")]
    Database(#[from] sqlx::Error),
}

/// Takes the database for this platform. A later platform of the same namespace and name takes over what an earlier one left.
pub async fn claim(connection: &mut PgConnection, settings: &Settings) -> Result<(), ClaimError> {
    sqlx::query(
        "INSERT INTO platform_claim (namespace, name, uid) VALUES ($1, $2, $3)
         ON CONFLICT (only_row) DO UPDATE SET uid = excluded.uid, claimed_at = now()
         WHERE platform_claim.namespace = excluded.namespace AND platform_claim.name = excluded.name
           AND platform_claim.uid <> excluded.uid",
    )
    .bind(&settings.namespace)
    .bind(&settings.platform_name)
    .bind(&settings.platform_uid)
    .execute(&mut *connection)
    .await?;
    check(connection, settings).await
}

/// Whether another platform has the database already. Asked before migrating, so that its schema is not touched.
pub(super) async fn check_before_migrating(
    connection: &mut PgConnection,
    settings: &Settings,
) -> Result<(), ClaimError> {
    let exists: bool =
        sqlx::query_scalar("SELECT to_regclass('platform_claim') IS NOT NULL").fetch_one(&mut *connection).await?;
    if exists { check(connection, settings).await } else { Ok(()) }
}

async fn check(connection: &mut PgConnection, settings: &Settings) -> Result<(), ClaimError> {
    let owner: Option<(String, String)> =
        sqlx::query_as("SELECT namespace, name FROM platform_claim").fetch_optional(connection).await?;
    match owner {
        Some((namespace, name)) if (&namespace, &name) != (&settings.namespace, &settings.platform_name) => {
            Err(ClaimError::InUse { by: format!("{namespace}/{name}") })
        }
        _ => Ok(()),
    }
}
