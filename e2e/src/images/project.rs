//! The project's own images, by `Dockerfile.operator` and `Dockerfile.services`.

use std::path::{Path, PathBuf};

use super::{REGISTRY, VERSION, docker_build, engine, page, programs};
use crate::{
    cluster::{Cluster, Error, tools},
    progress::Progress,
};

const OPERATOR: &str = "todo-operator";
/// Where most machines keep the certificates of the world's authorities.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Builds all of them and puts them on the nodes. Says which operator image it was, by its content.
pub(super) async fn ensure(cluster: &Cluster, progress: &Progress) -> Result<String, Error> {
    let step = progress.step("programs", "building the operator and the services");
    let programs = programs::build(cluster.settings(), step.tail()).await?;
    let page = page::build(cluster.settings(), step.tail()).await?;
    step.done();

    let step = progress.step("project-images", "building the project's images and putting them on the nodes");
    for program in programs::ALL {
        step.tail().set(program);
        let context = context(cluster, program, &programs, &page)?;
        build(cluster, program, &context).await?;
        cluster.load_image(&reference(program)).await?;
    }
    step.done();
    let inspect = engine(cluster)?.command().args(["image", "inspect", "--format", "{{.Id}}"]);
    inspect.arg(reference(OPERATOR)).run().await.map_err(Error::step("reading the operator image's id"))
}

fn reference(program: &str) -> String {
    format!("{REGISTRY}/{program}:{VERSION}")
}

/// A folder with the image's whole content, and nothing else that `docker build` would have to read.
fn context(cluster: &Cluster, program: &str, programs: &Path, page: &Path) -> Result<PathBuf, Error> {
    let context = cluster.settings().work("image").join(program);
    tools::make_empty(&context)?;
    let root = context.join("root");
    // The services share a Dockerfile, so their program has one name in all images.
    let name = if program == OPERATOR { OPERATOR } else { "service" };
    copy(&programs.join(program), &root.join(name))?;
    write(&root.join("etc/passwd"), "nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")?;
    write(&root.join("etc/group"), "nonroot:x:65532:\n")?;
    let authorities = Path::new(AUTHORITIES);
    if authorities.exists() {
        copy(authorities, &root.join("etc/ssl/certs/ca-certificates.crt"))?;
    }
    if program == "todo-frontend" {
        for file in std::fs::read_dir(page).map_err(Error::file(page))? {
            let file = file.map_err(Error::file(page))?;
            copy(&file.path(), &root.join("web").join(file.file_name()))?;
        }
    }
    Ok(context)
}

async fn build(cluster: &Cluster, program: &str, context: &Path) -> Result<(), Error> {
    let file = if program == OPERATOR { "Dockerfile.operator" } else { "Dockerfile.services" };
    let file = Path::new(env!("TODO_PLATFORM_CHECKOUT")).join(file);
    let arguments = [
        "--file".to_owned(),
        file.display().to_string(),
        "--target".to_owned(),
        "prebuilt".to_owned(),
        "--tag".to_owned(),
        reference(program),
        context.display().to_string(),
    ];
    docker_build(cluster, arguments, program).await
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    make_folder(to)?;
    std::fs::copy(from, to).map(drop).map_err(Error::file(from))
}

fn write(to: &Path, text: &str) -> Result<(), Error> {
    make_folder(to)?;
    std::fs::write(to, text).map_err(Error::file(to))
}

fn make_folder(of: &Path) -> Result<(), Error> {
    of.parent().map_or(Ok(()), |folder| std::fs::create_dir_all(folder).map_err(Error::file(folder)))
}
