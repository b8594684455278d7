//! Two sides under the same load by turns, by each way that requests can take.

use std::path::Path;

use todo_e2e::harness::{LocalPlatform, http::Http};

use super::{
    load::{self, Figures, Request},
    process,
};

/// Head of the table of [`Comparison::row`]s.
pub(super) const HEAD: &str = "| what | way | requests/s | peer | ratio | CPU ms/request | peer | ratio \
    | with its sidecar | peer | ratio | p99 ms | peer |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|";

/// What is between a client and an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing.
    Direct,
    /// The app's sidecar.
    OwnSidecar,
    /// The sidecar of the page, as of any caller in a platform, and the app's.
    TwoSidecars,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Direct, Self::OwnSidecar, Self::TwoSidecars];
    /// Whose sidecar is the caller's.
    const CALLER: &str = "frontend-service";

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Direct => "no sidecar",
            Self::OwnSidecar => "its own sidecar",
            Self::TwoSidecars => "the frontend's sidecar and its own",
        }
    }

    /// Where a path of an app is by this way.
    pub(super) fn url(self, platform: &LocalPlatform, app: &App, path: &str) -> anyhow::Result<String> {
        let sidecar = match self {
            Self::Direct => return Ok(Http::local(app.port)?.url(path)),
            Self::OwnSidecar => app.id,
            Self::TwoSidecars => Self::CALLER,
        };
        Ok(platform.sidecar(sidecar)?.url(&invoked(app.id, path)))
    }
}

/// A path of an app, as its callers' sidecars have it.
fn invoked(app: &str, path: &str) -> String {
    format!("/v1.0/invoke/{app}/method{path}")
}

/// What is on one side.
pub(super) struct App {
    /// Its Dapr app id.
    pub(super) id: &'static str,
    /// Its own port.
    pub(super) port: u16,
}

/// One side.
pub(super) struct Side {
    request: Request,
    app: u32,
    sidecar: u32,
    turns: Vec<Turn>,
}

/// What one turn came to.
#[derive(Clone, Copy)]
struct Turn {
    figures: Figures,
    /// Milliseconds of CPU time for a request: the app's, and with its sidecar's.
    cpu: f64,
    cpu_with_sidecar: f64,
}

impl Side {
    pub(super) fn new(platform: &LocalPlatform, app: &App, request: Request) -> anyhow::Result<Self> {
        let sidecar = platform.process(&format!("{}-daprd", app.id))?;
        Ok(Self { request, app: platform.process(app.id)?, sidecar, turns: Vec::new() })
    }

    /// Takes a turn; what it has left to do in the background afterwards, until `settled`, counts as CPU time of its requests.
    pub(super) async fn turn(
        &mut self,
        oha: &Path,
        length: std::time::Duration,
        settled: impl AsyncFnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let used = || anyhow::Ok((process::cpu(self.app)?, process::cpu(self.sidecar)?));
        let before = used()?;
        let figures = load::run(oha, &self.request, None, length).await?;
        settled().await?;
        let after = used()?;
        let requests = figures.rate * length.as_secs_f64();
        let of_request = |seconds: f64| seconds * 1000.0 / requests;
        let (app, sidecar) = (after.0 - before.0, after.1 - before.1);
        self.turns.push(Turn { figures, cpu: of_request(app), cpu_with_sidecar: of_request(app + sidecar) });
        Ok(())
    }

    fn median(&self, figure: fn(&Turn) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.turns.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// How many times the peer's rate ours is.
pub(super) fn ratio(ours: &Side, theirs: &Side) -> f64 {
    ours.median(|turn| turn.figures.rate) / theirs.median(|turn| turn.figures.rate)
}

/// A row of the table: rates are better the higher they are, CPU time the lower it is, and so are the ratios.
pub(super) fn row(what: &str, way: Way, ours: &Side, theirs: &Side) -> String {
    let of = |figure: fn(&Turn) -> f64| (ours.median(figure), theirs.median(figure));
    let (rate, peer_rate) = of(|turn| turn.figures.rate);
    let cost = |figure: fn(&Turn) -> f64| {
        let (cost, peer_cost) = of(figure);
        format!("{cost:.3} | {peer_cost:.3} | {:.1}", peer_cost / cost)
    };
    let (p99, peer_p99) = of(|turn| turn.figures.p99);
    format!(
        "| {what} | {} | {rate:.0} | {peer_rate:.0} | {:.1} | {} | {} | {p99:.1} | {peer_p99:.1} |",
        way.words(),
        ratio(ours, theirs),
        cost(|turn| turn.cpu),
        cost(|turn| turn.cpu_with_sidecar),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(turns: &[(f64, f64)]) -> Side {
        let turn = |&(rate, cpu): &(f64, f64)| Turn {
            figures: Figures { rate, p50: 1.0, p99: 2.0 },
            cpu,
            cpu_with_sidecar: cpu * 2.0,
        };
        let request = Request { url: String::new(), body: None };
        Side { request, app: 0, sidecar: 0, turns: turns.iter().map(turn).collect() }
    }

    #[test]
    fn a_ratio_is_of_medians_and_says_how_many_times_better_it_is() {
        let ours = side(&[(900.0, 0.5), (3000.0, 0.1), (1000.0, 0.2)]);
        let theirs = side(&[(200.0, 1.0), (100.0, 1.0), (250.0, 1.0)]);
        let row = row("read", Way::OwnSidecar, &ours, &theirs);
        assert_eq!(
            row,
            "| read | its own sidecar | 1000 | 200 | 5.0 | 0.200 | 1.000 | 5.0 | 0.400 | 2.000 | 5.0 | 2.0 | 2.0 |"
        );
        let columns = |line: &str| line.matches('|').count();
        assert!(HEAD.lines().all(|line| columns(line) == columns(&row)), "{HEAD}");
    }

    #[test]
    fn a_callers_sidecar_is_told_which_app_is_meant() {
        assert_eq!(invoked("peer-service", "/api/tasks?a=b"), "/v1.0/invoke/peer-service/method/api/tasks?a=b");
    }
}
