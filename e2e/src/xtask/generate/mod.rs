//! Files that are generated from others, so that nothing has to be written twice: the resource's definition and its
//! reference from the types of `crds/`, the chart's values, their schema and their reference from [`chart::Values`], and its copies of
//! what is in `config/`.

mod chart;
mod markdown;
mod reference;
mod values;

use std::path::{Path, PathBuf};

const CRD: &str = "todoplatforms.todoplatform.dev.yaml";
const CHART: &str = "helm/todo-operator";

/// Writes them, or only says which are not current.
pub(super) async fn run(check: bool) -> anyhow::Result<()> {
    let root = Path::new(env!("TODO_PLATFORM_CHECKOUT"));
    let mut stale = Vec::new();
    for (path, content) in files(root)? {
        let path = root.join(path);
        if tokio::fs::read_to_string(&path).await.is_ok_and(|present| present == content) {
            continue;
        }
        if check {
            stale.push(path.display().to_string());
            continue;
        }
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        tokio::fs::write(&path, content).await?;
        println!("written: {}", path.display());
    }
    anyhow::ensure!(stale.is_empty(), "not current, run `cargo xtask generate`: {}", stale.join(", "));
    Ok(())
}

/// All of them, by their path in the repository.
fn files(root: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let monitoring = |file: &str| std::fs::read_to_string(root.join("config/monitoring").join(file));
    let crd = todo_crds::platform::crd();
    let definition = serde_yaml::to_string(&crd)?;
    let schema = chart::schema();
    let defaults = serde_json::to_value(chart::Values::default())?;
    let chart = Path::new(CHART);
    Ok(vec![
        (Path::new("crds/yaml").join(CRD), definition.clone()),
        (chart.join("files").join(CRD), definition),
        (chart.join("values.schema.json"), serde_json::to_string_pretty(&schema)? + "\n"),
        (chart.join("values.yaml"), values::yaml(&schema, &defaults)?),
        // A chart can read nothing but its own files.
        (chart.join("files/alerts.yaml"), monitoring("operator-alerts.yaml")?),
        (chart.join("files/dashboard.json"), monitoring("operator-dashboard.json")?),
        ("docs/reference/values.md".into(), values::reference(&schema, &defaults)),
        ("docs/reference/todoplatform.md".into(), reference::of(&serde_json::to_value(&crd)?)),
    ])
}
