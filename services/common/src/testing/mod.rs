//! Tests with a real database, each in a schema of its own.

mod bulk;
mod contract;
mod dice;
mod line;
mod start;
mod statements;

use std::{future::Future, panic::AssertUnwindSafe};

use futures::FutureExt;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

pub use bulk::{bulk, statuses};
pub use contract::keeps_its_contract;
pub use dice::Dice;
pub use line::Line;
pub use start::mistakes_at_start;
pub use statements::statements;

use crate::{
    config::{AuthMode, Settings, Spans},
    dapr, database,
};

/// Runs `test` with all tables, and removes them whatever comes of it.
pub async fn with_database<F: Future<Output = ()>>(test: impl FnOnce(PgPool) -> F) {
    let url = std::env::var("TEST_DATABASE_URL").expect(
        "this test needs a PostgreSQL: run `cargo xtask test unit`, which starts one and sets TEST_DATABASE_URL",
    );
    statements::listen();
    let options: PgConnectOptions = url.parse().expect("TEST_DATABASE_URL must be a postgres:// URL");
    let schema = format!("test_{}", Uuid::new_v4().simple());
    let mut administrator = options.connect().await.expect("the database of TEST_DATABASE_URL must be reachable");
    let create = AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
    administrator.execute(create).await.expect("tests must be allowed to create schemas");

    let own = options.options([("search_path", schema.as_str())]);
    let pool = PgPoolOptions::new().max_connections(8).connect_with(own).await.expect("it was reachable just now");
    database::migrate(&pool).await.expect("the migrations must work on an empty schema");
    let outcome = AssertUnwindSafe(test(pool.clone())).catch_unwind().await;

    pool.close().await;
    let drop_schema = AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"));
    administrator.execute(drop_schema).await.expect("it was created just now");
    let _ = administrator.close().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Settings with the app token `token`, for tests of routers.
pub fn settings() -> Settings {
    Settings {
        service: "test-service",
        port: 0,
        management_port: 0,
        dapr_http: "http://127.0.0.1:9".to_owned(),
        app_token: Some(crate::Sensitive::new("token")),
        namespace: "default".to_owned(),
        platform_name: "todo".to_owned(),
        platform_uid: "uid-1".to_owned(),
        pod_name: "test".to_owned(),
        database_secret: None,
        database_url: None,
        auth_mode: AuthMode::Disabled,
        spans: Spans::None,
    }
}

/// A way to a sidecar that is not there.
pub fn no_sidecar() -> dapr::Client {
    dapr::Client::new(&settings().dapr_http).expect("the settings have a URL")
}
