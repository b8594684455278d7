//! Shows reminders and what other services send, from the table `notifications`.

mod api;
mod notification;
mod reminders;
mod router;
mod send;
#[cfg(test)]
mod tests;

use todo_common::{auth, config::Settings, dapr, database::Database, health, server, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let service = "notification-service";
    telemetry::init(service)?;
    let settings = Settings::from_env(service)?;
    auth::announce(&settings);
    let dapr = dapr::Client::new(&settings.dapr_http)?;
    let database = Database::new();
    let background = server::Background::default();
    background.spawn("database", database.clone().run(settings.clone(), dapr.clone(), background.stop.clone()));
    let app = router::router(&settings, &database);
    let management = health::router(Some(database), dapr);
    Ok(server::run(&settings, app, management, background).await?)
}
