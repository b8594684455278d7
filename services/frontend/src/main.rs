//! The web page, and its way to the services: what a browser asks for under `/api` and `/mcp` goes to this pod's own
//! sidecar, which calls the service that answers. There is no other way in from outside of the platform.

mod answer;
mod forward;
mod headers;
mod hosts;
mod origin;
mod page;
mod path;
mod router;
mod streams;

#[cfg(test)]
mod tests;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use todo_common::{
    apps, auth,
    config::{self, Settings},
    dapr, exit, health,
    server::{self, Background},
    telemetry,
};

use crate::{forward::Forwarder, hosts::Hosts, page::Page};

#[tokio::main]
async fn main() -> ExitCode {
    exit::code(run().await)
}

async fn run() -> anyhow::Result<()> {
    telemetry::init(apps::FRONTEND)?;
    let own = config::both(config::required::<PathBuf>("WEB_ROOT"), config::optional("ALLOWED_HOSTS"));
    let (settings, (root, allowed)) = config::both(Settings::from_env(apps::FRONTEND), own)?;
    let page = Page::load(&root).with_context(|| format!("the page's files in {} cannot be read", root.display()))?;
    auth::announce(&settings);

    let sidecar = dapr::Client::new(&settings.dapr_http)?;
    let background = Background::default();
    let forwarder = Forwarder::new(&settings.dapr_http, sidecar.clone(), background.stop.clone())?;
    let hosts = Hosts::new(settings.service, &settings.namespace, allowed.unwrap_or_default());
    let app = router::build(&settings, hosts, page, forwarder);
    server::run(&settings, app, health::router(&settings, None, sidecar, &[], None), background).await?;
    Ok(())
}
