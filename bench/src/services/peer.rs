//! The `FastAPI` peer: its packages, and its place in the local platform's run file, so that it has a sidecar as ours have.

use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};
use todo_e2e::{cluster::Settings, harness::Python};

/// Its identity.
pub(super) const ID: &str = "peer-service";
/// Its port.
pub(super) const PORT: u16 = 8100;
/// Ports of a sidecar. Each app has those after the ones of the app before.
const SIDECAR_PORTS: [&str; 3] = ["daprHTTPPort", "daprGRPCPort", "metricsPort"];
/// As many calls at the same time as a sidecar lets through to the backend.
const CONCURRENCY: &str = "appMaxConcurrency";

const FOLDER: &str = concat!(env!("TODO_PLATFORM_CHECKOUT"), "/bench/peers/fastapi");

/// Puts it in the run file in `folder`, with its packages installed.
pub(super) async fn add(folder: &Path, settings: &Settings, database: &str) -> anyhow::Result<()> {
    let requirements = Path::new(FOLDER).join("requirements.txt");
    let python = Python::with_requirements(settings, "fastapi-peer", &requirements).await?;
    // One process, as one container has; the CPU time that a request costs is compared beside the rate.
    let mut command = vec![python.program().display().to_string()];
    command.extend(["-m", "uvicorn", "main:app", "--app-dir", FOLDER, "--no-access-log"].map(str::to_owned));
    command.extend(["--port".to_owned(), PORT.to_string(), "--log-level".to_owned(), "warning".to_owned()]);
    edit(&folder.join("dapr.yaml"), |run| add_app(run, &command, database))?;
    edit(&folder.join("components/kafka-pubsub.yaml"), |component| {
        component["scopes"].as_array_mut().context("a component without scopes")?.push(json!(ID));
        Ok(())
    })
}

/// Its place in a run file: what a sidecar costs and lets through is the same for both sides.
fn add_app(run: &mut Value, command: &[String], database: &str) -> anyhow::Result<()> {
    let apps = run["apps"].as_array_mut().context("a run file without apps")?;
    let backend = apps.iter().find(|app| app["appID"] == super::BACKEND).context("a run file without the backend")?;
    let last = apps.last().context("a run file without an app")?;
    let mut app = json!({
        "appID": ID,
        "appDirPath": ".",
        "appPort": PORT,
        CONCURRENCY: backend[CONCURRENCY],
        "command": command,
    });
    for name in SIDECAR_PORTS {
        app[name] = json!(last[name].as_u64().with_context(|| format!("an app without {name}"))? + 1);
    }
    let sidecar = format!("http://127.0.0.1:{}", app["daprHTTPPort"]);
    app["env"] = json!({"DATABASE_URL": database, "DAPR_HTTP_ENDPOINT": sidecar});
    apps.push(app);
    Ok(())
}

fn edit(file: &Path, change: impl FnOnce(&mut Value) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut value: Value = serde_yaml::from_str(&std::fs::read_to_string(file)?)?;
    change(&mut value)?;
    Ok(std::fs::write(file, serde_yaml::to_string(&value)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_sidecar_is_as_the_backends_with_ports_that_no_other_has() {
        let app = |id: &str, index: u64| {
            let [http, grpc, metrics] = [3510, 3520, 9190].map(|first| first + index);
            json!({"appID": id, "daprHTTPPort": http, "daprGRPCPort": grpc, "metricsPort": metrics})
        };
        let mut backend = app("backend-service", 0);
        backend["appMaxConcurrency"] = json!(10);
        let mut run = json!({"apps": [backend, app("frontend-service", 3)]});
        add_app(&mut run, &["python".to_owned()], "postgres://").unwrap();
        let peer = &run["apps"][2];
        assert_eq!(SIDECAR_PORTS.map(|name| peer[name].as_u64().unwrap()), [3514, 3524, 9194]);
        assert_eq!(peer["appMaxConcurrency"], 10);
        assert_eq!(peer["env"]["DAPR_HTTP_ENDPOINT"], "http://127.0.0.1:3514");
    }
}
