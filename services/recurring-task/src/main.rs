//! Creates the next occurrence of a completed recurring task, and tells the canary that it has arrived.

mod completion;
mod router;
mod task_events;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use todo_common::{
    apps, auth, config::Settings, dapr, database::Database, dead_letters, events::PUBSUB, exit, health, server,
    telemetry,
};

#[tokio::main]
async fn main() -> ExitCode {
    exit::code(run().await)
}

async fn run() -> anyhow::Result<()> {
    let service = apps::RECURRING_TASK;
    telemetry::init(service)?;
    let settings = Settings::with_database_from_env(service)?;
    auth::announce(&settings);
    let dapr = dapr::Client::new(&settings.dapr_http)?;
    let database = Database::new();
    let background = server::Background::default();
    background.spawn("database", database.clone().run(settings.clone(), dapr.clone(), background.stop.clone()));
    let app = router::router(&settings, &database, &dapr);
    let management = health::router(&settings, Some(database.clone()), dapr, &[PUBSUB], None)
        .merge(dead_letters::management::<task_events::TaskEvents>(database));
    Ok(server::run(&settings, app, management, background).await?)
}
