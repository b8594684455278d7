//! Load by `oha`, which keeps a fixed rate without hiding waits (coordinated omission) and prints its figures as JSON.

use std::{path::Path, time::Duration};

use anyhow::Context;
use serde::Deserialize;
use todo_e2e::command::Command;

/// Connections at the same time.
const CONNECTIONS: &str = "16";

/// What is asked for, again and again.
#[derive(Clone)]
pub(super) struct Request {
    /// Where it goes.
    pub(super) url: String,
    /// `POST` with this body, or `GET`.
    pub(super) body: Option<String>,
}

/// How it went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// Answers per second.
    pub(super) rate: f64,
    /// Median time to an answer, in milliseconds.
    pub(super) p50: f64,
    /// The time that 99 of 100 answers took at most, in milliseconds.
    pub(super) p99: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    summary: Summary,
    latency_percentiles: Percentiles,
    status_code_distribution: std::collections::BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    success_rate: f64,
    requests_per_sec: f64,
}

#[derive(Deserialize)]
struct Percentiles {
    p50: f64,
    p99: f64,
}

/// As many requests as get answers within `length`, or `per_second` of them.
pub(super) async fn run(
    oha: &Path,
    request: &Request,
    per_second: Option<u32>,
    length: Duration,
) -> anyhow::Result<Figures> {
    let mut command = Command::new(oha).args(["--no-tui", "--output-format", "json", "-c", CONNECTIONS]);
    command = command.arg("-z").arg(format!("{}s", length.as_secs()));
    if let Some(per_second) = per_second {
        command = command.arg("-q").arg(per_second.to_string()).arg("--latency-correction");
    }
    if let Some(body) = &request.body {
        command = command.args(["-m", "POST", "-T", "application/json", "-d", body]);
    }
    let text = command.arg(&request.url).limit(length + Duration::from_secs(30)).run().await?;
    let report: Report = serde_json::from_str(&text).context("oha prints other figures than expected")?;
    let refused: Vec<_> = report.status_code_distribution.iter().filter(|(code, _)| !code.starts_with('2')).collect();
    anyhow::ensure!(refused.is_empty(), "{} was refused: {refused:?}", request.url);
    anyhow::ensure!(report.summary.success_rate > 0.99, "{} had no answer too often", request.url);
    let Percentiles { p50, p99 } = report.latency_percentiles;
    Ok(Figures { rate: report.summary.requests_per_sec, p50: p50 * 1000.0, p99: p99 * 1000.0 })
}
