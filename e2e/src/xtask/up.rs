//! `cargo xtask up`: from a fresh machine to a platform that is Ready.

use todo_e2e::{
    cluster::{
        Cluster, Images, Options, Requirements, Settings, Source,
        requirements::{CURL, From},
        settings,
    },
    images,
    progress::Progress,
};

use super::{Which, ask, operator, sample};

/// How long what is built takes on a machine with two cores that has nothing yet.
const FIRST_TIME: &str = "about 30 minutes, once";

#[derive(Debug, Default, clap::Args)]
pub(super) struct Arguments {
    /// Which cluster to use.
    #[arg(long, value_enum, default_value_t)]
    cluster: Which,
    /// Where images come from.
    #[arg(long, value_enum, default_value_t)]
    images: super::From,
    /// Answers every question with yes.
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(arguments: &Arguments, settings: &Settings, progress: &Progress) -> anyhow::Result<()> {
    let cluster = match arguments.cluster {
        Which::Kind => own(arguments.images.into(), arguments.yes, settings, progress).await?,
        Which::Existing => existing(arguments.yes, settings, progress).await?,
    };
    progress.expect(2);
    operator::ensure(&cluster, progress).await?;
    sample::ensure(&cluster, progress).await
}

/// A kind cluster of ours with the images on its nodes, after asking for whatever has to be installed for it.
pub(super) async fn own(
    images: Images,
    yes: bool,
    settings: &Settings,
    progress: &Progress,
) -> anyhow::Result<Cluster> {
    let source = choose(images, yes, settings, progress).await?;
    require(Requirements::of_cluster(source).await.and(&PROGRAMS), yes, progress).await?;
    if images == Images::Auto && source == Source::Build && !settings.state().exists() {
        progress.note("images are built here, as a registry does not answer");
    }
    if !settings.tools().exists() {
        eprintln!("Nothing is in the cache {} yet: this takes {FIRST_TIME}.", settings.cache().display());
    }
    progress.expect(Cluster::UP_STEPS + images::STEPS);
    let options = Options { images: source.into(), ..Options::default() };
    Ok(Cluster::up(settings, options, progress).await?)
}

/// Where images come from, after asking for what it takes to find that out.
pub(super) async fn choose(
    images: Images,
    yes: bool,
    settings: &Settings,
    progress: &Progress,
) -> anyhow::Result<Source> {
    if images == Images::Auto && !settings.state().exists() {
        require(Requirements::none().and(&[CURL]), yes, progress).await?;
    }
    Ok(Cluster::choose(settings, images).await)
}

/// What the project's own images are built with.
pub(super) const PROGRAMS: [(&str, &str, From); 1] =
    [("npm", "builds the web page", From::Person("version 20 or later, https://nodejs.org"))];

/// Installs what is missing, after a yes.
pub(super) async fn require(requirements: Requirements, yes: bool, progress: &Progress) -> anyhow::Result<()> {
    let missing = requirements.missing();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("Missing on this machine:");
    for one in &missing {
        eprintln!("  {one}");
    }
    let by_hand: Vec<_> = missing.iter().filter(|one| matches!(one.from, From::Person(_))).collect();
    let names = by_hand.iter().map(|one| one.program).collect::<Vec<_>>().join(", ");
    anyhow::ensure!(by_hand.is_empty(), "this is to be had by hand first, and then the rest can be installed: {names}");
    anyhow::ensure!(ask::agrees("Install the Debian packages?", yes)?, "nothing was installed");
    Ok(requirements.install(progress).await?)
}

async fn existing(yes: bool, settings: &Settings, progress: &Progress) -> anyhow::Result<Cluster> {
    let cluster = Cluster::existing(settings, progress).await?;
    let context = cluster.context().await?;
    let question = format!("Install the operator and a sample platform on the cluster of context {context}?");
    anyhow::ensure!(ask::agrees(&question, yes)?, "nothing was changed");
    let dapr = cluster.kubectl().args(["get", "crd", "components.dapr.io"]).succeeds().await;
    let values = Settings::config().join("dapr/values.yaml");
    anyhow::ensure!(
        dapr,
        "Dapr is not on this cluster: helm install dapr dapr --repo {} --version {} -n {} --create-namespace -f {}",
        settings::DAPR_CHARTS,
        settings::DAPR_PUBLISHED,
        settings::DAPR_NAMESPACE,
        values.display(),
    );
    Ok(cluster)
}
