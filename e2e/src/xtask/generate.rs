//! Files that are generated from others, so that nothing has to be written twice.

use std::path::{Path, PathBuf};

const CRD: &str = "todoplatforms.todoplatform.dev.yaml";

/// Writes them, or only says which are not current.
pub(super) async fn run(check: bool) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crd = serde_yaml::to_string(&todo_crds::platform::crd())?;
    let files: [(PathBuf, &str); 2] =
        [(root.join("crds/yaml").join(CRD), &crd), (root.join("helm/todo-operator/files").join(CRD), &crd)];
    let mut stale = Vec::new();
    for (path, content) in files {
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
