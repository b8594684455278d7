//! The images that a platform runs on, put on the nodes of a cluster of ours: the project's own, always built from this
//! checkout, and Kafka's and PostgreSQL's, which nodes pull where they can and which are built here where they cannot.

mod page;
mod programs;
mod project;
mod stand_in;

use std::path::PathBuf;

use crate::{
    cluster::{Cluster, Error, Settings, Source, Tool},
    progress::Progress,
};

/// Where the project's images are, as far as their names say.
pub const REGISTRY: &str = "ghcr.io/todoplatform";
/// Their tag.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How many steps [`ensure`] may show, for [`Progress::expect`].
pub const STEPS: usize = 5;

/// Builds what is not built yet and puts it on the nodes. Says which operator image it was, by its content.
pub async fn ensure(cluster: &Cluster, progress: &Progress) -> Result<String, Error> {
    if cluster.source() == Source::Build {
        cluster.tools().ensure(&[Tool::Kafka], progress).await?;
        stand_in::ensure(cluster, &stand_in::KAFKA, progress).await?;
        stand_in::ensure(cluster, &stand_in::POSTGRES, progress).await?;
    }
    project::ensure(cluster, progress).await
}

/// Builds the operator's and the services' programs as they are in the images, and returns their folder.
pub async fn build_programs(settings: &Settings, progress: &Progress) -> Result<PathBuf, Error> {
    let step = progress.step("only-programs", "building the operator and the services");
    let programs = programs::build(settings, step.tail()).await?;
    step.done();
    Ok(programs)
}

/// The folder of the operator's and the services' programs as they were built last.
pub fn programs(settings: &Settings) -> PathBuf {
    programs::built(settings)
}

/// The folder of the web page as [`ensure`] built it last.
pub fn page() -> PathBuf {
    page::built()
}

/// The image of PostgreSQL, in the cluster's engine too, and its name.
pub(crate) async fn postgres(cluster: &Cluster, progress: &Progress) -> Result<&'static str, Error> {
    if cluster.source() == Source::Build {
        stand_in::ensure(cluster, &stand_in::POSTGRES, progress).await?;
    }
    Ok(stand_in::POSTGRES.reference)
}

/// Runs `docker build` for a cluster's engine, by the builder that every engine has.
async fn docker_build(cluster: &Cluster, arguments: impl IntoIterator<Item = String>, log: &str) -> Result<(), Error> {
    let engine = engine(cluster)?;
    let build = engine.command().env("DOCKER_BUILDKIT", "0").arg("build").args(arguments);
    let build = build.limit(std::time::Duration::from_mins(30)).log(cluster.settings().log(log));
    build.run().await.map(drop).map_err(Error::step(format!("building image {log}")))
}

pub(crate) fn engine(cluster: &Cluster) -> Result<&crate::cluster::Docker, Error> {
    cluster.docker().ok_or_else(|| {
        Error::NoCluster("no container engine answers to build images with: start Docker, or install it".to_owned())
    })
}
