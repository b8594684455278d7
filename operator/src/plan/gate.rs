//! What is not made before something else is there. Only for what does not exist yet: what runs is never taken down
//! because something that it once needed has vanished.

use super::{Gates, Plan};
use crate::{
    build::{Object, Wave},
    dereference::cluster::DAPR_KINDS,
};

/// Why an object may not be made yet.
pub(super) fn closed(object: &Object, gates: &Gates, plan: &Plan) -> Option<String> {
    if let Some(foreign) = plan.foreign.iter().find(|foreign| foreign.wave < object.wave) {
        return Some(format!("{} is not the operator's", foreign.key));
    }
    // A pod must not start with a Secret that goes, nor without the policies and accounts that bound what it may do.
    if let Some(held) = plan.held.iter().find(|held| held.wave == Wave::Identity && object.wave > Wave::Identity) {
        return Some(format!("{}: {}", held.key, held.reason));
    }
    match object.resource.kind.as_str() {
        // One missing Secret stops every sidecar that has the component in scope.
        "Component" | "StatefulSet" => missing(object.name(), gates),
        // Its sidecars would only crash.
        "Deployment" if object.wave == Wave::Workload => services_closed(gates, plan),
        _ => None,
    }
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
        return Some(format!("{}: {}", held.key, held.reason));
    }
    (!gates.infrastructure_ready).then(|| "Kafka and PostgreSQL are not ready".to_owned())
}
