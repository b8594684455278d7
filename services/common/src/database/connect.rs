use sqlx::{
    PgPool,
    migrate::{MigrateError, Migrator},
};

use super::{ClaimError, State, claim, options, pool};
use crate::{Sensitive, config::Settings, dapr};

/// Component by which a service reads Secrets.
pub(crate) const SECRET_STORE: &str = "kubernetes-secrets";

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Why there is no database yet. None of the texts holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The sidecar has not loaded its components.
    #[error("waiting for the sidecar to load its components")]
    Sidecar,
    /// Nobody says where the database is.
    #[error("neither DATABASE_SECRET_NAME and DATABASE_SECRET_KEY nor DATABASE_URL is set")]
    NotConfigured,
    /// The Secret could not be read.
    #[error("reading the Secret {name}: {source}")]
    Secret {
        /// Its name.
        name: String,
        /// The sidecar's words.
        source: dapr::Error,
    },
    /// The Secret is there, its key is not.
    #[error("the Secret {name} has no key {key}")]
    SecretKey {
        /// Its name.
        name: String,
        /// The missing key.
        key: String,
    },
    /// The connection string makes no sense.
    #[error("the connection string cannot be read: {0}")]
    ConnectionString(options::OptionsError),
    /// PostgreSQL cannot be reached or refused us.
    #[error("connecting to PostgreSQL: {0}")]
    Connect(sqlx::Error),
    /// The tables could not be made.
    #[error("preparing the tables: {0}")]
    Migrate(#[from] MigrateError),
    /// Another platform has the database.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

impl ConnectError {
    pub(super) fn into_state(self) -> State {
        match self {
            Self::Sidecar => State::Starting("waiting for the sidecar to load its components"),
            Self::Claim(ClaimError::InUse { by }) => State::InUse(by),
            other => State::Failed(other.to_string()),
        }
    }
}

/// One try: asks the sidecar where the database is, connects, makes the tables and claims it.
pub async fn connect(settings: &Settings, dapr: &dapr::Client) -> Result<PgPool, ConnectError> {
    let text = connection_string(settings, dapr).await?;
    let options = options::parse(text.expose()).map_err(ConnectError::ConnectionString)?;
    let pool = pool::options()
        .connect_with(options.application_name(settings.service))
        .await
        .map_err(ConnectError::Connect)?;
    let mut connection = pool.acquire().await.map_err(ConnectError::Connect)?;
    claim::check_before_migrating(&mut connection, settings).await?;
    migrate(&pool).await?;
    claim::claim(&mut connection, settings).await?;
    drop(connection);
    Ok(pool)
}

/// Makes the tables. Services that start at the same time wait for each other.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut migrator = Migrator { migrations: MIGRATOR.migrations.clone(), ..Migrator::DEFAULT };
    // During a roll-back an older service meets newer tables, which are made to be compatible.
    migrator.set_ignore_missing(true);
    migrator.run(pool).await
}

async fn connection_string(settings: &Settings, dapr: &dapr::Client) -> Result<Sensitive, ConnectError> {
    if let Some(url) = &settings.database_url {
        return Ok(url.clone());
    }
    let secret = settings.database_secret.as_ref().ok_or(ConnectError::NotConfigured)?;
    if !dapr.outbound_ready().await {
        return Err(ConnectError::Sidecar);
    }
    let name = secret.name.clone();
    let mut keys =
        dapr.secret(SECRET_STORE, &name).await.map_err(|source| ConnectError::Secret { name: name.clone(), source })?;
    keys.remove(&secret.key).ok_or_else(|| ConnectError::SecretKey { name, key: secret.key.clone() })
}
