//! A PostgreSQL for tests that need no cluster: the very image that platforms run, in a container of its own.

use std::time::Duration;

use crate::{
    cluster::{Cluster, Docker, Error},
    images,
    progress::Progress,
};

const CONTAINER: &str = "todo-platform-test-postgres";
/// It listens on loopback only, and its data are gone with it.
const PASSWORD: &str = "test";
const READY_LIMIT: Duration = Duration::from_mins(1);

/// A running PostgreSQL.
pub struct Database {
    docker: Docker,
    url: String,
}

impl Database {
    /// Starts one, by the engine of the cluster, which needs no nodes.
    pub async fn start(cluster: &Cluster, progress: &Progress) -> anyhow::Result<Self> {
        let image = images::postgres(cluster, progress).await?;
        let docker = images::engine(cluster)?.clone();
        remove(&docker).await;
        let run = docker.command().args(["run", "--detach", "--name", CONTAINER, "--publish", "127.0.0.1::5432"]);
        // A folder of its own below the mount, which belongs to root.
        let run =
            run.args(["--tmpfs", "/var/lib/postgresql/data:mode=1777", "--env", "PGDATA=/var/lib/postgresql/data/pg"]);
        let run = run.arg("--env").arg(format!("POSTGRES_PASSWORD={PASSWORD}")).arg(image);
        run.arg("postgres").args(["-c", "fsync=off", "-c", "max_connections=300"]).run().await?;
        let port = docker.command().args(["port", CONTAINER, "5432/tcp"]).run().await?;
        let address = port.lines().next().unwrap_or_default();
        let url = format!("postgres://postgres:{PASSWORD}@{address}/postgres?sslmode=disable");
        super::until("PostgreSQL for tests answers", READY_LIMIT, async || {
            let ready = docker.command().args(["exec", CONTAINER, "pg_isready", "--quiet", "--host", "127.0.0.1"]);
            Ok(ready.succeeds().await.then_some(()))
        })
        .await?;
        Ok(Self { docker, url })
    }

    /// Its address, for `TEST_DATABASE_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Removes it.
    pub async fn stop(self) -> Result<(), Error> {
        remove(&self.docker).await;
        Ok(())
    }
}

async fn remove(docker: &Docker) {
    // None may be there.
    let _ = docker.command().args(["rm", "--force", "--volumes", CONTAINER]).run().await;
}
