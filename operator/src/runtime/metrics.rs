//! Metrics. Their labels are few and fixed; none carries a name that a user chose, except the platform's own in the
//! gauges of its conditions and of its data path.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;
use tokio::time::sleep;

use crate::class::Class;

const RECONCILES: &str = "todo_operator_reconciles_total";
const DURATION: &str = "todo_operator_reconcile_duration_seconds";
const QUEUE: &str = "todo_operator_queue_depth";
const WAITED: &str = "todo_operator_queue_duration_seconds";
const ERRORS: &str = "todo_operator_errors_total";
const WATCH_FAILURES: &str = "todo_operator_watch_failures_total";
const APPLY: &str = "todo_operator_apply_duration_seconds";
const WRITES: &str = "todo_operator_writes_total";
const CONFLICTS: &str = "todo_operator_ownership_conflicts_total";
const REPAIRS: &str = "todo_operator_sidecar_repairs_total";
const EVENTS_LOST: &str = "todo_operator_events_lost_total";
const CONDITION: &str = "todo_operator_condition";
const LATENCY: &str = "todo_operator_data_path_latency_seconds";
const AGE: &str = "todo_operator_data_path_age_seconds";
const LEADER: &str = "todo_operator_leader";

/// A gauge that nobody has set for so long is dropped.
const IDLE: Duration = Duration::from_mins(5);
const BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];

/// Why metrics cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up metrics: {0}")]
pub struct MetricsError(#[from] metrics_exporter_prometheus::BuildError);

/// Sets up the recorder of this process; returns what renders it.
pub fn install() -> Result<PrometheusHandle, MetricsError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("duration_seconds".to_owned()), &BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(LATENCY.to_owned()), &BUCKETS)?
        // So that the conditions of a platform that is gone go, too.
        .idle_timeout(MetricKindMask::GAUGE, Some(IDLE))
        .install_recorder()?;
    describe_counter!(RECONCILES, "Passes over a platform, by result.");
    describe_histogram!(DURATION, "Duration of a pass.");
    describe_gauge!(QUEUE, "Platforms whose pass is due and has not begun.");
    describe_histogram!(WAITED, "Time from when a pass is due until it begins.");
    describe_counter!(ERRORS, "Failures, by class.");
    describe_counter!(WATCH_FAILURES, "Failures of watches, by kind and class.");
    describe_histogram!(APPLY, "Duration of a write to the API server.");
    describe_counter!(WRITES, "Objects written, removed, and statuses written.");
    describe_counter!(CONFLICTS, "Fields of the operator that somebody else claimed.");
    describe_counter!(REPAIRS, "Pods deleted because they had no sidecar.");
    describe_counter!(EVENTS_LOST, "Events that could not be published.");
    describe_gauge!(CONDITION, "Conditions of platforms: 1 true, 0 false, -1 unknown.");
    describe_histogram!(LATENCY, "Time that a test event takes the whole way.");
    describe_gauge!(AGE, "Time since a test event last came the whole way.");
    describe_gauge!(LEADER, "Whether this replica leads.");
    count_from_zero();
    Ok(handle)
}

/// Puts samples into their buckets after each of these times. The recorder keeps each by itself until then: where nobody
/// reads `/metrics`, every pass would take memory for good.
pub async fn fold_samples(handle: PrometheusHandle, every: Duration) {
    loop {
        sleep(every).await;
        handle.run_upkeep();
    }
}

/// Prometheus sees no increase in a series that begins with its first event.
fn count_from_zero() {
    for class in Class::ALL {
        counter!(ERRORS, "class" => class.reason()).increment(0);
    }
    counter!(CONFLICTS).increment(0);
    counter!(REPAIRS).increment(0);
    counter!(EVENTS_LOST).increment(0);
}

/// A pass is over.
pub fn reconciled(result: &'static str, duration: Duration) {
    counter!(RECONCILES, "result" => result).increment(1);
    histogram!(DURATION).record(duration);
}

/// So many platforms wait for a pass.
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 platforms")]
pub fn waiting(platforms: usize) {
    gauge!(QUEUE).set(platforms as f64);
}

/// A pass begins that was due so long ago.
pub fn waited(time: Duration) {
    histogram!(WAITED).record(time);
}

/// Something failed.
pub fn error(class: Class) {
    counter!(ERRORS, "class" => class.reason()).increment(1);
}

/// A watch begins.
pub fn watch_begins(kind: &str) {
    counter!(WATCH_FAILURES, "kind" => kind.to_owned(), "class" => Class::Transient.reason()).increment(0);
}

/// A watch failed.
pub fn watch_failed(kind: &str, class: Class) {
    counter!(WATCH_FAILURES, "kind" => kind.to_owned(), "class" => class.reason()).increment(1);
}

/// A write was answered.
pub fn applied(duration: Duration) {
    histogram!(APPLY).record(duration);
}

/// So many objects were written, removed, or a status was.
pub fn written(what: &'static str, count: usize) {
    counter!(WRITES, "what" => what).increment(count as u64);
}

/// So many fields were claimed by others.
pub fn conflicts(count: usize) {
    counter!(CONFLICTS).increment(count as u64);
}

/// A pod without a sidecar was deleted.
pub fn repaired() {
    counter!(REPAIRS).increment(1);
}

/// An event could not be published.
pub fn event_lost() {
    counter!(EVENTS_LOST).increment(1);
}

/// A condition of a platform.
pub fn condition(namespace: &str, name: &str, type_: &str, status: &str) {
    let value = match status {
        "True" => 1.0,
        "False" => 0.0,
        _ => -1.0,
    };
    let labels = [("namespace", namespace.to_owned()), ("name", name.to_owned()), ("type", type_.to_owned())];
    gauge!(CONDITION, &labels).set(value);
}

/// An event took so long for the whole way.
pub fn data_path_latency(milliseconds: f64) {
    histogram!(LATENCY).record(milliseconds / 1000.0);
}

/// So long ago an event last came the whole way through a platform.
pub fn data_path_age(namespace: &str, name: &str, age: Duration) {
    gauge!(AGE, "namespace" => namespace.to_owned(), "name" => name.to_owned()).set(age);
}

/// Whether this replica leads.
pub fn leader(leads: bool) {
    gauge!(LEADER).set(if leads { 1.0 } else { 0.0 });
}
