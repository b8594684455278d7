//! Drives the environment without anything of the project on it, for work on the environment itself:
//! `cargo run -p todo-e2e --example cluster -- up|down|existing|kafka`.

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
        Some("existing") => {
            let cluster = Cluster::existing(&settings, &progress).await?;
            println!("{} by {}", cluster.context().await?, cluster.kubeconfig().display());
            if let Some(image) = std::env::args().nth(2) {
                cluster.load_image(&image).await?;
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
        _ => anyhow::bail!("say `up`, `down`, `existing [IMAGE]` or `kafka`"),
    }
    Ok(())
}
