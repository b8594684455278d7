//! Shows reminders and what other services send, from the table `notifications`, and delivers them by the channels that
//! users set up: Web Push, webhooks, e-mail and ntfy.

mod api;
mod channels;
mod deliveries;
mod notification;
mod reminders;
mod router;
mod send;
mod senders;
mod settings;
#[cfg(test)]
mod tests;

use std::{process::ExitCode, sync::Arc};

use todo_common::{
    apps, auth,
    config::{self, Settings},
    dapr,
    database::Database,
    dead_letters,
    events::PUBSUB,
    exit, health, server, telemetry,
};

#[tokio::main]
async fn main() -> ExitCode {
    exit::code(run().await)
}

async fn run() -> anyhow::Result<()> {
    let service = apps::NOTIFICATION;
    telemetry::init(service)?;
    let (settings, channels) = config::both(Settings::with_database_from_env(service), settings::Settings::from_env())?;
    let channels = Arc::new(channels);
    auth::announce(&settings);
    let dapr = dapr::Client::new(&settings.dapr_http)?;
    let database = Database::new();
    let background = server::Background::default();
    background.spawn("database", database.clone().run(settings.clone(), dapr.clone(), background.stop.clone()));
    let senders = senders::Senders::new(channels.clone())?;
    background.spawn("deliveries", deliveries::dispatcher::run(database.clone(), senders, background.stop.clone()));
    let app =
        router::router(&settings, &router::App { database: database.clone(), dapr: dapr.clone(), settings: channels });
    let management = health::router(&settings, Some(database.clone()), dapr, &[PUBSUB], None)
        .merge(dead_letters::management::<reminders::Reminders>(database));
    Ok(server::run(&settings, app, management, background).await?)
}
