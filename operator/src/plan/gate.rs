//! What is not made before something else is there. Only for what does not exist yet: what runs is never taken down
//! because something that it once needed has vanished.

use super::{Foreign, Gates, Held, Key, Plan};
use crate::{
    build::{Object, Wave},
    dereference::cluster::DAPR_KINDS,
    names,
};

/// Whether nothing of later waves is made while an object is not there: a pod must not start with a Secret that goes, without
/// what it or its sidecar reads then, nor without the policies and accounts that bound what it may do.
pub fn bounds(wave: Wave, key: &Key) -> bool {
    match wave {
        Wave::Foundation => key.kind != "PersistentVolumeClaim" && is_needed(key),
        Wave::Dapr => true,
        Wave::Infrastructure | Wave::Workload => false,
    }
}

/// Whether something else needs an object: what is made after it, or what may go only when it is there. Nothing needs those
/// that say how many pods there are or may be evicted at the same time, nor what is measured of them and how it is shown.
pub fn is_needed(key: &Key) -> bool {
    match key.kind.as_str() {
        "HorizontalPodAutoscaler" | "PodDisruptionBudget" | "PodMonitor" | "PrometheusRule" => false,
        "ConfigMap" => key.name != names::DASHBOARD,
        _ => true,
    }
}

impl Foreign {
    /// Whether later waves need the operator's own in its place.
    pub fn hinders(&self) -> bool {
        is_needed(&self.key)
    }
}

/// What is not as the pods of a wave should read it, which they do when they start and never again.
pub fn unread(held: &[Held], wave: Wave) -> Option<&Held> {
    let is_read = |kind: &str| kind == "ConfigMap" || DAPR_KINDS.contains(&kind);
    held.iter().find(|held| held.wave < wave && is_read(&held.key.kind))
}

/// Why an object may not be made yet.
pub(super) fn closed(object: &Object, gates: &Gates, plan: &Plan) -> Option<String> {
    if let Some(foreign) = plan.foreign.iter().find(|foreign| foreign.hinders() && foreign.wave < object.wave) {
        return Some(format!("{} is not the operator's", foreign.key));
    }
    let mut first = plan.held.iter().filter(|held| held.wave == Wave::Foundation && object.wave > Wave::Foundation);
    if let Some(held) = first.find(|held| bounds(held.wave, &held.key) || is_volume_of(object, held)) {
        return Some(held.to_string());
    }
    match object.resource.kind.as_str() {
        // One missing Secret stops every sidecar that has the component in scope.
        "Component" | "StatefulSet" => missing(object.name(), gates),
        // Its sidecars would only crash.
        "Deployment" if object.wave == Wave::Workload => services_closed(gates, plan),
        _ => None,
    }
}

/// Whether the pod of an object would have this volume, which goes only once no pod has it.
fn is_volume_of(object: &Object, held: &Held) -> bool {
    object.resource.kind == "StatefulSet"
        && held.key.kind == "PersistentVolumeClaim"
        && held.key.name == format!("data-{}-0", object.name())
}

fn missing(user: &str, gates: &Gates) -> Option<String> {
    let secret = gates.missing_secrets.iter().find(|secret| secret.used_by.contains(user))?;
    Some(format!("Secret {} key {} is missing", secret.name, secret.key))
}

fn services_closed(gates: &Gates, plan: &Plan) -> Option<String> {
    if let Some(secret) = gates.missing_secrets.first() {
        return Some(format!("Secret {} key {} is missing", secret.name, secret.key));
    }
    if !gates.dapr_ready {
        return Some("Dapr is not ready".to_owned());
    }
    // A sidecar reads them when it starts, and some of them never again.
    if let Some(held) = plan.held.iter().find(|held| DAPR_KINDS.contains(&held.key.kind.as_str())) {
        return Some(held.to_string());
    }
    (!gates.infrastructure_ready).then(|| "Kafka and PostgreSQL are not ready".to_owned())
}
