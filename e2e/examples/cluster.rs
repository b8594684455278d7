//! Brings the cluster up or down without anything of the project on it: `cargo run --example cluster -- up|down`.

use todo_e2e::{
    cluster::{Cluster, Options, Settings, Tool, Tools},
    progress::Progress,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::from_env()?;
    let progress = Progress::new(settings.cache());
    match std::env::args().nth(1).as_deref() {
        Some("up") => {
            progress.expect(Cluster::UP_STEPS);
            let cluster = Cluster::up(&settings, Options::default(), &progress).await?;
            for (name, value) in cluster.env() {
                println!("export {name}='{value}'");
            }
        }
        Some("kafka") => {
            let tools = Tools::new(&settings);
            tools.ensure(&[Tool::Kafka], &progress).await?;
            println!("{}", tools.kafka_jars().display());
        }
        Some("down") => {
            progress.expect(1);
            Cluster::down(&settings, &progress).await?;
        }
        _ => anyhow::bail!("say `up` or `down`"),
    }
    Ok(())
}
