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

use crate::{app::App, data_path::DataPath, routes::reminder_cron, settings::Own};

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
    background.spawn("relay", publish_events(app.clone()));
    background.spawn("feed", follow_changes(app.clone()));
    background.spawn("reminders", reminder_cron::run(app.clone()));
    background.spawn("canary", data_path.clone().run(database.clone(), stop));

    let management = health::router(Some(database.clone()), dapr).merge(data_path.router(database));
    let routes = routes::router(app, &settings, &own.mcp_allowed_hosts);
    server::run(&settings, routes, management, background).await?;
    Ok(())
}

/// The outbox relay, in every replica: claims keep them out of each other's way.
async fn publish_events(app: App) {
    if let Some(pool) = app.stop.run_until_cancelled(app.database.until_ready()).await {
        relay::run(pool, app.dapr, app.stop).await;
    }
}

/// What the live views of this replica show.
async fn follow_changes(app: App) {
    if let Some(pool) = app.stop.run_until_cancelled(app.database.until_ready()).await {
        app.feed.run(pool, app.stop).await;
    }
}
