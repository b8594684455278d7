//! What the sidecars do when a component fails.
//!
//! There is nothing here for calls between apps: Dapr counts every 4xx as a failure, so a retry would repeat POSTs, a
//! breaker would close a service because of one user's typing errors, and a timeout would cut event streams. What Dapr
//! does by itself, trying again when the connection fails, stays.

use std::collections::BTreeMap;

use todo_crds::dapr::{
    CircuitBreaker, ComponentTargets, Policies, PolicyNames, Resiliency, ResiliencySpec, Retry, RetryPolicy, Targets,
};

use super::backed_apps;
use crate::{build::owned, names, resolve::Resolved};

/// Resiliency `todo-platform`.
pub fn build(platform: &Resolved) -> Resiliency {
    let mut resiliency = Resiliency::new(names::DAPR_CONFIG, spec());
    resiliency.metadata = owned(platform, names::DAPR_CONFIG, None);
    resiliency.scopes = backed_apps();
    resiliency
}

/// The policies; the same with and without Kubernetes.
pub fn spec() -> ResiliencySpec {
    ResiliencySpec { policies: policies(), targets: Targets { components: targets() } }
}

fn policies() -> Policies {
    let text = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Policies {
        timeouts: text(&[("broker", "10s"), ("database", "5s"), ("delivery", "30s"), ("secrets", "5s")]),
        retries: BTreeMap::from([
            // Nearly a minute of trying, enough for a database to fail over; below the minute that Kafka gives a
            // consumer before it hands its partitions to another. After it an event goes to its dead-letter topic.
            ("delivery".to_owned(), exponential("15s", 10)),
            // Both are retried by their callers too, so a short try here is enough.
            ("publish".to_owned(), exponential("2s", 2)),
            ("state".to_owned(), exponential("2s", 3)),
            // A tick that comes to nothing is made good by the next one.
            ("tick".to_owned(), exponential("5s", 3)),
        ]),
        circuit_breakers: BTreeMap::from([(
            // Publishing only. On the state store it would count conflicts, which one impatient client can make many
            // of, as failures and shut all others out.
            "broker".to_owned(),
            CircuitBreaker { max_requests: 1, timeout: "5s".to_owned(), trip: "consecutiveFailures > 5".to_owned() },
        )]),
    }
}

fn exponential(max_interval: &str, max_retries: i32) -> Retry {
    Retry { policy: RetryPolicy::Exponential, duration: None, max_interval: Some(max_interval.to_owned()), max_retries }
}

fn targets() -> BTreeMap<String, ComponentTargets> {
    let names = |timeout: &str, retry: Option<&str>, circuit_breaker: Option<&str>| {
        Some(PolicyNames {
            timeout: Some(timeout.to_owned()),
            retry: retry.map(str::to_owned),
            circuit_breaker: circuit_breaker.map(str::to_owned),
        })
    };
    BTreeMap::from([
        (
            names::PUBSUB.to_owned(),
            ComponentTargets {
                // Without a retry here the first failure sends an event to its dead-letter topic.
                inbound: names("delivery", Some("delivery"), None),
                outbound: names("broker", Some("publish"), Some("broker")),
            },
        ),
        (
            names::REMINDER_CRON.to_owned(),
            ComponentTargets { inbound: names("delivery", Some("tick"), None), outbound: None },
        ),
        (
            // No retry: a Secret that may not be read is as much a failure to Dapr as one that cannot be.
            names::SECRET_STORE.to_owned(),
            ComponentTargets { inbound: None, outbound: names("secrets", None, None) },
        ),
        (
            names::STATE_STORE.to_owned(),
            ComponentTargets { inbound: None, outbound: names("database", Some("state"), None) },
        ),
    ])
}
