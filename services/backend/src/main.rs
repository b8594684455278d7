//! The backend: REST, chat and MCP over tasks, the reminder tick, the outbox relay and the canary of the data path.

mod app;
mod calendar;
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
mod transfer;

use std::process::ExitCode;

use todo_common::{
    apps, auth,
    config::{self, Settings},
    dapr,
    database::Database,
    events::PUBSUB,
    exit, health,
    outbox::{Broker, relay},
    server::{self, Background},
    telemetry,
};

use crate::{
    app::App,
    data_path::DataPath,
    routes::{reminder_cron, reminder_job},
    settings::Own,
};

/// What it does not work without.
const COMPONENTS: [&str; 3] = [PUBSUB, conversation::STORE, reminder_cron::COMPONENT];

#[tokio::main]
async fn main() -> ExitCode {
    // On a worker's thread, which uses again what is freed on the way. What the main thread frees, only it can use again.
    exit::code(tokio::spawn(run()).await.unwrap_or_else(|panicked| Err(panicked.into())))
}

async fn run() -> anyhow::Result<()> {
    telemetry::init(apps::BACKEND)?;
    let (settings, own) = config::both(Settings::with_database_from_env(apps::BACKEND), Own::from_env())?;
    auth::announce(&settings);

    let database = Database::new();
    let dapr = dapr::Client::new(&settings.dapr_http)?;
    let background = Background::default();
    let stop = background.stop.clone();
    let app = App::new(database.clone(), dapr.clone(), own.reminder_window, stop.clone());
    let data_path = DataPath::default();
    let broker = Broker::default();

    background.spawn("database", database.clone().run(settings.clone(), dapr.clone(), stop.clone()));
    // In every replica: claims keep the relays out of each other's way.
    background.spawn("relay", relay::run(database.clone(), broker.watched(dapr.clone()), stop.clone()));
    background.spawn("feed", app.feed.clone().run(database.clone(), stop.clone()));
    background.spawn("news", database.clone().listen(stop.clone()));
    background.spawn("reminders", reminder_cron::run(app.clone()));
    if own.has_precise_reminders {
        background.spawn("precise reminders", reminder_job::run(app.clone()));
    }
    background.spawn("canary", data_path.clone().run(database.clone(), stop));

    let management = health::router(&settings, Some(database.clone()), dapr, &COMPONENTS, Some(broker))
        .merge(data_path.router(database));
    let routes = routes::router(app, &settings);
    server::run(&settings, routes, management, background).await?;
    Ok(())
}
