//! The `FastAPI` peer: its packages, and its place in the local platform's run file, so that it has a sidecar as ours have.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context;
use serde_json::{Value, json};
use todo_e2e::{cluster::Settings, harness::Python};

/// Its identity.
pub(super) const ID: &str = "peer-service";
/// Its port.
pub(super) const PORT: u16 = 8100;
/// Its sidecar's port.
pub(super) const SIDECAR_PORT: u16 = 3520;

const FOLDER: &str = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/bench/peers/fastapi");

/// Puts it in the run file in `folder`, with its packages installed.
pub(super) async fn add(folder: &Path, settings: &Settings, database: &str) -> anyhow::Result<()> {
    let requirements = Path::new(FOLDER).join("requirements.txt");
    let python = Python::with_requirements(settings, "fastapi-peer", &requirements).await?;
    // One process, as one container has; the CPU time that a request costs is compared beside the rate.
    let mut command = vec![python.program().display().to_string()];
    command.extend(["-m", "uvicorn", "main:app", "--app-dir", FOLDER, "--no-access-log"].map(str::to_owned));
    command.extend(["--port".to_owned(), PORT.to_string(), "--log-level".to_owned(), "warning".to_owned()]);
    edit(&folder.join("dapr.yaml"), |run| {
        let apps = run["apps"].as_array_mut().context("a run file without apps")?;
        apps.push(json!({
            "appID": ID,
            "appDirPath": ".",
            "appPort": PORT,
            "daprHTTPPort": SIDECAR_PORT,
            "daprGRPCPort": 50_120,
            "metricsPort": 9_290,
            "appMaxConcurrency": 10,
            "command": command,
            "env": BTreeMap::from([("DATABASE_URL", database), ("DAPR_HTTP_ENDPOINT", &format!("http://127.0.0.1:{SIDECAR_PORT}"))]),
        }));
        Ok(())
    })?;
    edit(&folder.join("components/kafka-pubsub.yaml"), |component| {
        component["scopes"].as_array_mut().context("a component without scopes")?.push(json!(ID));
        Ok(())
    })
}

fn edit(file: &Path, change: impl FnOnce(&mut Value) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut value: Value = serde_yaml::from_str(&std::fs::read_to_string(file)?)?;
    change(&mut value)?;
    Ok(std::fs::write(file, serde_yaml::to_string(&value)?)?)
}
