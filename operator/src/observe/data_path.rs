//! Reads from the backend whether its canary goes the whole way: API, outbox, Kafka, consumer, database.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;

use super::http::{CONCURRENCY, Look};
use crate::{names::MANAGEMENT_PORT, text::bounded};

/// Age of the last success at which the backend calls it stale, in seconds.
const STALE_SECONDS: f64 = 12.0;
/// A little more, so that the backend has noticed when it is asked.
const MARGIN: Duration = Duration::from_millis(250);
/// Characters of a message that are kept.
const MESSAGE: usize = 512;

/// Whether events really flow.
#[derive(Clone, Debug, PartialEq)]
pub enum DataPath {
    /// No backend is ready, so there is nobody to ask.
    Unknown(String),
    /// They do.
    Verified {
        /// Seconds since the oldest of the backends' last successes.
        age_seconds: f64,
        /// Milliseconds that the slowest of them took.
        latency_ms: f64,
    },
    /// They do not.
    Broken {
        /// The backend's reason.
        reason: String,
        /// In words, with the pod.
        message: String,
    },
}

impl DataPath {
    /// When an event last came the whole way, as far as this look can tell.
    pub fn last_success(&self, now: Instant) -> Option<Instant> {
        let Self::Verified { age_seconds, .. } = self else { return None };
        now.checked_sub(Duration::try_from_secs_f64(*age_seconds).ok()?)
    }

    /// When the last success will be too old.
    pub(super) fn stale_in(&self) -> Option<Duration> {
        let Self::Verified { age_seconds, .. } = self else { return None };
        Duration::try_from_secs_f64((STALE_SECONDS - age_seconds).max(0.0)).ok().map(|left| left + MARGIN)
    }
}

/// What a backend answers.
#[derive(Clone, Debug, Deserialize)]
struct Report {
    verified: bool,
    #[serde(default)]
    latency_ms: Option<f64>,
    #[serde(default)]
    age_seconds: Option<f64>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

/// What backends said last, by pod.
#[derive(Debug, Default)]
pub struct DataPathMemory(HashMap<String, Said>);

/// What a backend said, and when.
#[derive(Debug)]
struct Said {
    at: Instant,
    report: Report,
}

impl DataPathMemory {
    /// Reports in which one that did not come is taken for what the same backend said before, as long as that is proof: a
    /// single answer that is late is no outage.
    fn complete(&mut self, mut reports: Reports, now: Instant) -> Reports {
        self.0.retain(|pod, _| reports.iter().any(|(name, _)| name == pod));
        for (pod, report) in &mut reports {
            if let Ok(report) = report {
                self.0.insert(pod.clone(), Said { at: now, report: report.clone() });
            } else if let Some(said) = self.0.get(pod).filter(|said| said.report.verified) {
                let age = said.report.age_seconds.unwrap_or_default() + now.duration_since(said.at).as_secs_f64();
                if age < STALE_SECONDS {
                    *report = Ok(Report { age_seconds: Some(age), ..said.report.clone() });
                }
            }
        }
        reports
    }
}

/// What each backend answers, or why it does not.
type Reports = Vec<(String, Result<Report, String>)>;

/// Asks every backend that is ready.
pub(super) async fn read(look: Look<'_>, backends: &[&Pod], memory: &mut DataPathMemory, now: Instant) -> DataPath {
    let questions: Vec<_> = backends
        .iter()
        .filter(|pod| is_running(pod))
        .map(|pod| async move { (pod.metadata.name.clone().unwrap_or_default(), ask(look, pod).await) })
        .collect();
    sum_up(memory.complete(stream::iter(questions).buffered(CONCURRENCY).collect().await, now))
}

async fn ask(look: Look<'_>, pod: &Pod) -> Result<Report, String> {
    let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref());
    let address: IpAddr = ip.and_then(|ip| ip.parse().ok()).ok_or_else(|| "has no address".to_owned())?;
    look.get(address, MANAGEMENT_PORT, "/data-path").await
}

/// A backend that only starts is no sign of trouble while another one has proof. Any other one without proof is: a part
/// of the users speaks to it.
fn sum_up(reports: Reports) -> DataPath {
    let (mut age, mut latency, mut verified) = (0.0_f64, 0.0_f64, false);
    let (mut starting, mut broken) = (None, None);
    for (pod, report) in reports {
        match report {
            Ok(report) if report.verified => {
                verified = true;
                age = age.max(report.age_seconds.unwrap_or_default());
                latency = latency.max(report.latency_ms.unwrap_or_default());
            }
            Ok(report) => {
                let message = bounded(&format!("pod {pod}: {}", report.message), MESSAGE);
                let slot = if report.reason == "Starting" { &mut starting } else { &mut broken };
                slot.get_or_insert((reason(&report.reason), message));
            }
            Err(why) => {
                let message = format!("pod {pod} {why} on its management port");
                broken.get_or_insert_with(|| ("BackendSilent".to_owned(), message));
            }
        }
    }
    match (broken, verified, starting) {
        (Some((reason, message)), ..) | (None, false, Some((reason, message))) => DataPath::Broken { reason, message },
        (None, true, _) => DataPath::Verified { age_seconds: age, latency_ms: latency },
        (None, false, None) => DataPath::Unknown("no backend runs that could be asked".to_owned()),
    }
}

/// A reason of a condition is one word of letters and digits.
fn reason(text: &str) -> String {
    let word: String = text.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    if word.starts_with(|c: char| c.is_ascii_alphabetic()) { word } else { "NotVerified".to_owned() }
}

/// Whether the backend's container runs; readiness is no condition, as a backend may well say why it is not ready.
fn is_running(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let mut apps = statuses.filter(|container| container.name == crate::names::App::Backend.container());
    apps.any(|container| container.state.as_ref().is_some_and(|state| state.running.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verified: bool, reason: &str) -> Report {
        Report {
            verified,
            latency_ms: Some(20.0),
            age_seconds: Some(3.0),
            reason: reason.to_owned(),
            message: "words".to_owned(),
        }
    }

    fn of(reports: &[Result<Report, String>]) -> DataPath {
        sum_up(reports.iter().enumerate().map(|(n, report)| (format!("p{n}"), report.clone())).collect())
    }

    #[test]
    fn a_backend_that_starts_does_no_harm_beside_one_with_proof_and_a_broken_one_does() {
        let verified = DataPath::Verified { age_seconds: 3.0, latency_ms: 20.0 };
        assert_eq!(of(&[Ok(report(true, "Verified")), Ok(report(false, "Starting"))]), verified);
        let broken = DataPath::Broken { reason: "Stale".to_owned(), message: "pod p1: words".to_owned() };
        assert_eq!(of(&[Ok(report(true, "Verified")), Ok(report(false, "Stale"))]), broken);
        assert!(matches!(
            of(&[Ok(report(true, "Verified")), Err("cannot be reached".to_owned())]),
            DataPath::Broken { .. }
        ));
        assert!(matches!(of(&[Ok(report(false, "Starting"))]), DataPath::Broken { .. }));
        assert!(matches!(of(&[]), DataPath::Unknown(_)));
    }

    #[test]
    fn a_backend_that_misses_a_question_is_believed_as_long_as_what_it_said_is_proof() {
        let (mut memory, start) = (DataPathMemory::default(), Instant::now());
        let mut after = |seconds, report: Result<Report, String>| {
            let reports = vec![("p".to_owned(), report)];
            sum_up(memory.complete(reports, start + Duration::from_secs(seconds)))
        };
        let verified = |age_seconds| DataPath::Verified { age_seconds, latency_ms: 20.0 };
        let silent = || Err("no answer".to_owned());
        assert!(matches!(after(0, silent()), DataPath::Broken { .. }), "it never had proof");
        assert_eq!(after(1, Ok(report(true, "Verified"))), verified(3.0));
        assert_eq!(after(5, silent()), verified(7.0));
        assert!(matches!(after(10, silent()), DataPath::Broken { .. }));
        after(11, Ok(report(false, "Stale")));
        assert!(matches!(after(12, silent()), DataPath::Broken { .. }), "what it said last counts");
    }

    #[test]
    fn only_a_verified_data_path_tells_when_it_last_worked() {
        let now = Instant::now();
        let verified = DataPath::Verified { age_seconds: 3.0, latency_ms: 20.0 };
        assert_eq!(verified.last_success(now), now.checked_sub(Duration::from_secs(3)));
        let nonsense = DataPath::Verified { age_seconds: -1.0, latency_ms: 20.0 };
        assert_eq!(nonsense.last_success(now), None);
        assert_eq!(DataPath::Unknown(String::new()).last_success(now), None);
    }

    #[test]
    fn the_next_look_comes_right_after_the_proof_goes_stale() {
        let verified = |age_seconds| DataPath::Verified { age_seconds, latency_ms: 0.0 };
        assert_eq!(verified(9.0).stale_in(), Some(Duration::from_millis(3250)));
        assert_eq!(verified(20.0).stale_in(), Some(MARGIN));
        assert_eq!(DataPath::Unknown(String::new()).stale_in(), None);
    }
}
