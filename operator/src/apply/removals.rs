//! What is no longer wanted, and when it may go.

use std::collections::BTreeSet;

use tracing::debug;

use super::{Applied, Failure, Writer, order::Onward};
use crate::plan::{Key, Removal};

/// Whether an object may go now. All else may be in use by what could not be written; of an autoscaler nothing is, and the
/// number of pods that the spec says waits for it to go.
pub(super) fn is_due(key: &Key, onward: Onward, unwritten: &BTreeSet<Key>) -> bool {
    let deployment = || Key { kind: "Deployment".to_owned(), name: key.name.clone() };
    onward < Onward::Nothing || key.kind == "HorizontalPodAutoscaler" && !unwritten.contains(&deployment())
}

/// Removes what is due, as far as its replacement is there.
pub(super) async fn remove(writer: &Writer, due: Vec<&Removal>, failed: &[Failure], applied: &mut Applied) {
    let due: Vec<_> = due.into_iter().filter(|removal| applied.replaces(&removal.key)).collect();
    for removal in due {
        if let Some(failure) = failed.iter().find(|failure| failure.key == removal.key) {
            applied.failures.push(failure.clone());
            continue;
        }
        match writer.delete(&removal.resource, &removal.key.name, &removal.uid).await {
            Ok(is_gone) => {
                debug!(object = %removal.key, is_gone, "removed");
                applied.gone.extend(is_gone.then(|| (removal.key.clone(), removal.uid.clone())));
                applied.removed.push(removal.key.clone());
            }
            Err(error) => applied.fail(&removal.key, &error),
        }
    }
}

impl Applied {
    /// Whether all is there that takes the place of an object that is no longer wanted. Of the two ways to the page, the old
    /// one stays until the new one is open.
    fn replaces(&self, old: &Key) -> bool {
        const WAYS: [&str; 2] = ["Ingress", "HTTPRoute"];
        let is_way = |key: &Key| WAYS.contains(&key.kind.as_str());
        let missing = self.held.iter().map(|held| &held.key).chain(self.foreign.iter().map(|foreign| &foreign.key));
        !(is_way(old) && missing.into_iter().any(is_way))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{held, tests::step},
        *,
    };
    use crate::{
        build::Wave,
        plan::{Foreign, Hold},
    };

    #[test]
    fn the_old_way_to_the_page_stays_until_the_new_one_is_open() {
        let key = |kind: &str| Key { kind: kind.to_owned(), name: "x".to_owned() };
        let held = |kind| Applied {
            held: vec![held(&step(Wave::Workload, kind, None), Hold::Unwatched, "")],
            ..Applied::default()
        };
        let foreign = Foreign { key: key("Ingress"), wave: Wave::Workload, message: String::new() };
        let foreign = Applied { foreign: vec![foreign], ..Applied::default() };
        for (applied, old, expected) in [
            (Applied::default(), "Ingress", true),
            (held("HTTPRoute"), "Ingress", false),
            (held("HTTPRoute"), "HorizontalPodAutoscaler", true),
            (held("PodMonitor"), "Ingress", true),
            (foreign, "HTTPRoute", false),
        ] {
            assert_eq!(applied.replaces(&key(old)), expected, "{old} with {applied:?}");
        }
    }

    #[test]
    fn an_autoscaler_waits_for_its_deployment_and_for_nothing_else() {
        let key = |kind: &str| Key { kind: kind.to_owned(), name: "x".to_owned() };
        let (scaler, nothing) = ("HorizontalPodAutoscaler", BTreeSet::new());
        let unwritten = BTreeSet::from([key("Deployment"), key("Ingress")]);
        for (kind, onward, unwritten, expected) in [
            (scaler, Onward::Nothing, &nothing, true),
            (scaler, Onward::Nothing, &unwritten, false),
            (scaler, Onward::Changes, &unwritten, true),
            ("Ingress", Onward::Nothing, &nothing, false),
            ("Ingress", Onward::All, &unwritten, true),
        ] {
            assert_eq!(is_due(&key(kind), onward, unwritten), expected, "{kind} {onward:?} {unwritten:?}");
        }
    }
}
