//! tmp
use todo_e2e::{
    cluster::{Cluster, Options, Settings},
    images,
    progress::Progress,
};
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::from_env()?;
    let progress = Progress::new(settings.cache());
    let cluster = Cluster::up(&settings, Options::default(), &progress).await?;
    println!("{}", images::ensure(&cluster, &progress).await?);
    Ok(())
}
