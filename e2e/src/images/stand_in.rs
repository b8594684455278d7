//! Images with the names and the contract (users, paths, variables) of published ones, from Debian packages and Maven,
//! for machines that can pull none.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{docker_build, engine};
use crate::{
    cluster::{Cluster, Error, Settings, debian::Debian, tools},
    progress::Progress,
};

/// An image that stands in for a published one.
pub(super) struct StandIn {
    /// The published image.
    pub(super) reference: &'static str,
    base: Debian,
    /// Whether Kafka's jars are in it.
    jars: bool,
}

/// The broker.
pub(super) const KAFKA: StandIn = StandIn {
    reference: "apache/kafka:4.0.0",
    base: Debian { name: "kafka", variant: "essential", packages: "openjdk-17-jre-headless,passwd" },
    jars: true,
};

/// The database.
pub(super) const POSTGRES: StandIn = StandIn {
    reference: "postgres:15-bookworm",
    base: Debian { name: "postgres", variant: "essential", packages: "postgresql-15,passwd" },
    jars: false,
};

/// Builds the image unless the engine has this very one, and puts it on the nodes, if there are any.
pub(super) async fn ensure(cluster: &Cluster, image: &StandIn, progress: &Progress) -> Result<(), Error> {
    let name = image.base.name;
    let recipe = recipe(cluster, image)?;
    let engine = engine(cluster)?;
    let label = engine.command().args(["image", "inspect", "--format", "{{index .Config.Labels \"recipe\"}}"]);
    if label.arg(image.reference).run().await.is_ok_and(|found| found == recipe) {
        progress.skip(&format!("image {}: already built", image.reference));
        return put_on_nodes(cluster, image).await;
    }
    let step = progress.step(&format!("image-{name}"), format!("building image {}", image.reference));
    let archive = image.base.archive(cluster.settings(), step.tail()).await?;
    let base = format!("local/todo-platform-{name}-base");
    let import = engine.command().arg("import").arg(&archive).arg(&base).limit(std::time::Duration::from_mins(5));
    import.run().await.map_err(Error::step(format!("importing Debian for {}", image.reference)))?;
    let context = context(cluster, image)?;
    let arguments = [
        "--build-arg".to_owned(),
        format!("BASE={base}"),
        "--label".to_owned(),
        format!("recipe={recipe}"),
        "--tag".to_owned(),
        image.reference.to_owned(),
        context.display().to_string(),
    ];
    docker_build(cluster, arguments, name).await?;
    tools::remove_if_there(&context)?;
    put_on_nodes(cluster, image).await?;
    step.done();
    Ok(())
}

async fn put_on_nodes(cluster: &Cluster, image: &StandIn) -> Result<(), Error> {
    if cluster.takes_images() { cluster.load_image(image.reference).await } else { Ok(()) }
}

fn assets(image: &StandIn) -> PathBuf {
    Settings::assets().join("images").join(image.base.name)
}

/// Changes whenever what would be built does.
fn recipe(cluster: &Cluster, image: &StandIn) -> Result<String, Error> {
    let mut hash = Sha256::new();
    hash.update(image.base.recipe());
    if image.jars {
        hash.update(cluster.tools().kafka_built_from()?);
    }
    let mut files = Vec::new();
    tools::files_below(&assets(image), &mut files)?;
    files.sort();
    for file in files {
        hash.update(std::fs::read(&file).map_err(Error::file(&file))?);
    }
    Ok(hex::encode(&hash.finalize()[..8]))
}

fn context(cluster: &Cluster, image: &StandIn) -> Result<PathBuf, Error> {
    let context = cluster.settings().work("image").join(image.base.name);
    tools::make_empty(&context)?;
    copy_folder(&assets(image), &context)?;
    if image.jars {
        copy_folder(&cluster.tools().kafka_jars(), &context.join("libs"))?;
    }
    Ok(context)
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Error> {
    let mut files = Vec::new();
    tools::files_below(from, &mut files)?;
    for file in files {
        let target = to.join(file.strip_prefix(from).unwrap_or(&file));
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        }
        std::fs::copy(&file, &target).map_err(Error::file(&file))?;
    }
    Ok(())
}
