//! Dapr's control plane by its own chart, with mTLS.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Error, Settings, Source, archive::Image, kind::Kind, settings, state::State, tools::Tools};
use crate::{command::Command, progress::Progress};

const PROGRAMS: [&str; 6] = ["daprd", "operator", "injector", "placement", "sentry", "scheduler"];
const REGISTRY: &str = "ghcr.io/dapr";
const LIMIT: Duration = Duration::from_mins(6);

pub(super) struct Dapr<'a> {
    pub(super) settings: &'a Settings,
    pub(super) tools: &'a Tools,
    pub(super) kind: &'a Kind,
}

impl Dapr<'_> {
    /// Installs the control plane unless this very one runs.
    pub(super) async fn ensure(&self, state: &mut State, progress: &Progress) -> Result<(), Error> {
        let wanted = self.fingerprint(state.source)?;
        if state.dapr.as_ref() == Some(&wanted) && self.runs().await {
            progress.skip(&format!("Dapr {}: running", version(state.source)));
            return Ok(());
        }
        if state.source == Source::Build {
            self.load_images(progress).await?;
        }
        self.install(state.source, progress).await?;
        state.dapr = Some(wanted);
        state.write(self.settings)
    }

    /// Changes whenever what would be installed does.
    fn fingerprint(&self, source: Source) -> Result<String, Error> {
        let values = values();
        let mut hash = Sha256::new();
        hash.update(std::fs::read(&values).map_err(Error::file(&values))?);
        hash.update(version(source));
        if source == Source::Build {
            let built_from = self.tools.dapr(".inputs");
            hash.update(std::fs::read(&built_from).map_err(Error::file(&built_from))?);
        }
        Ok(hex::encode(hash.finalize()))
    }

    fn kubectl(&self) -> Command {
        let kubectl = Command::new(self.tools.kubectl()).arg("--kubeconfig").arg(self.settings.kubeconfig());
        kubectl.args(["-n", settings::DAPR_NAMESPACE])
    }

    fn helm(&self) -> Command {
        let helm = Command::new(self.tools.helm()).arg("--kubeconfig").arg(self.settings.kubeconfig());
        helm.args(["-n", settings::DAPR_NAMESPACE]).log(self.settings.log("dapr-install"))
    }

    async fn runs(&self) -> bool {
        let ready = self.kubectl().args(["wait", "--for=condition=Ready", "pod", "--all", "--timeout=90s"]);
        ready.limit(Duration::from_secs(100)).succeeds().await
    }

    /// The images bear their published names, so nothing that refers to them has to know where they came from.
    async fn load_images(&self, progress: &Progress) -> Result<(), Error> {
        let step = progress.step("dapr-images", "putting Dapr's images on the nodes");
        let work = self.settings.work("dapr-images");
        super::tools::make_empty(&work)?;
        for program in PROGRAMS {
            step.tail().set(program);
            let archive = work.join(format!("{program}.tar"));
            let image = Image::new(format!("{REGISTRY}/{program}:{}", settings::DAPR)).nonroot();
            image.program(self.tools.dapr(program), program).entrypoint(format!("/{program}")).write(&archive)?;
            let loaded = self.kind.load_archive(&archive).await;
            loaded.map_err(Error::step(format!("loading Dapr's {program}")))?;
            std::fs::remove_file(&archive).map_err(Error::file(&archive))?;
        }
        super::tools::remove_if_there(&work)?;
        step.done();
        Ok(())
    }

    async fn install(&self, source: Source, progress: &Progress) -> Result<(), Error> {
        let step = progress.step("dapr-install", format!("installing Dapr {}", version(source)));
        // A run that was interrupted leaves the release locked, and helm would refuse to go on.
        let status = self.helm().args(["list", "--pending", "--short"]).run().await.unwrap_or_default();
        if status.lines().any(|release| release == "dapr") {
            let remove = self.helm().args(["uninstall", "dapr", "--wait"]).limit(LIMIT);
            remove.run().await.map_err(Error::step("removing a half-made Dapr"))?;
        }
        let install = self.helm().args(["upgrade", "--install", "dapr"]);
        let install = match source {
            Source::Build => install.arg(self.tools.dapr_chart()),
            Source::Pull => install.args(["dapr", "--repo", settings::DAPR_CHARTS, "--version", version(source)]),
        };
        let install = install.args(["--create-namespace", "--wait", "--timeout", "5m", "--values"]).arg(values());
        let install = install.arg("--set-string").arg(format!("global.tag={}", version(source)));
        if let Err(error) = install.limit(LIMIT).tail(step.tail()).run().await {
            let pods = self.kubectl().args(["get", "pods", "-o", "wide"]).run().await.unwrap_or_default();
            let events = self.kubectl().args(["get", "events", "--sort-by=.lastTimestamp"]).run().await;
            progress.note(&format!("Dapr's pods:\n{pods}\nevents:\n{}", events.unwrap_or_default()));
            return Err(Error::step("installing Dapr")(error));
        }
        step.done();
        Ok(())
    }
}

fn version(source: Source) -> &'static str {
    match source {
        Source::Build => settings::DAPR,
        Source::Pull => settings::DAPR_PUBLISHED,
    }
}

fn values() -> std::path::PathBuf {
    Settings::config().join("dapr/values.yaml")
}
