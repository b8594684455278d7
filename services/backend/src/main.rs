//! The backend: REST, chat and MCP over tasks, the reminder tick, the outbox relay and the canary of the data path.

mod app;
mod chat;
mod conversation;
mod data_path;
mod mcp;
mod peers;
mod routes;
mod settings;
#[cfg(test)]
mod tests;
mod tools;

use todo_common::{
    auth,
    config::Settings,
    dapr,
    database::Database,
    health,
    outbox::relay,
    server::{self, Background},
    telemetry,
};

use crate::{app::App, data_path::DataPath, settings::Own};

/// Dapr app id.
const SERVICE: &str = "backend-service";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    telemetry::init(SERVICE)?;
    let settings = Settings::from_env(SERVICE)?;
    let own = Own::from_env()?;
    auth::announce(&settings);

    let database = Database::new();
    let dapr = dapr::Client::new(&settings.dapr_http)?;
    let background = Background::default();
    let stop = background.stop.clone();
    let app = App::new(database.clone(), dapr.clone(), own.reminder_window, stop.clone());
    let data_path = DataPath::default();

    background.spawn("database", database.clone().run(settings.clone(), dapr.clone(), stop.clone()));
    background.spawn(
        "relay",
        with_pool(database.clone(), stop.clone(), {
            let (dapr, stop) = (dapr.clone(), stop.clone());
            move |pool| relay::run(pool, dapr, stop)
        }),
    );
    background.spawn(
        "feed",
        with_pool(database.clone(), stop.clone(), {
            let (feed, stop) = (app.feed.clone(), stop.clone());
            move |pool| feed.run(pool, stop)
        }),
    );
    background.spawn("canary", data_path.clone().run(database.clone(), stop));

    let management = health::router(Some(database.clone()), dapr).merge(data_path.router(database));
    let routes = routes::router(app, &settings, &own.mcp_allowed_hosts);
    server::run(&settings, routes, management, background).await?;
    Ok(())
}

/// Runs `work` as soon as there is a database, unless `stop` comes first.
async fn with_pool<F: Future<Output = ()>>(
    database: Database,
    stop: tokio_util::sync::CancellationToken,
    work: impl FnOnce(sqlx::PgPool) -> F,
) {
    if let Some(pool) = stop.run_until_cancelled(database.until_ready()).await {
        work(pool).await;
    }
}
