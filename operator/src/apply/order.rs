//! What is done before what. Pure.

use super::Outcome;
use crate::{
    build::Wave,
    plan::{
        Action, Held, Step,
        gate::{bounds, is_needed},
    },
};

/// What a new object waits for.
const WAITS: &str = "what comes before it is not there yet";

/// What may be done after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Onward {
    /// Everything.
    All,
    /// What changes an object that exists. Nothing new is begun.
    Changes,
    /// Nothing, as it needs what could not be written.
    Nothing,
}

/// When a step is done. The API server refuses a `RoleBinding` to a Role that is not there yet.
pub(super) fn turn(step: &Step) -> (Wave, bool) {
    (step.wave, step.key.kind == "RoleBinding")
}

/// Why a step is left to another pass, if it is. Pods that start while something that they read only then is not as it should
/// be would bear the digest of how it should be, and never be restarted for it.
pub(super) fn waits(step: &Step, onward: Onward, unread: Option<&Held>) -> Option<String> {
    match unread {
        Some(unread) if matches!(step.action, Action::Apply { reads_anew: true, .. }) => Some(unread.to_string()),
        _ => (onward != Onward::All && !exists(step)).then(|| WAITS.to_owned()),
    }
}

/// What a step leaves to the waves after it.
pub(super) fn after(step: &Step, outcome: &Outcome) -> Onward {
    match outcome {
        Outcome::Failed(_) | Outcome::TooSoon(_) if !is_needed(&step.key) => Onward::All,
        // A volume serves as it is, even if it cannot grow, and so does a Secret with the labels that it has. All else has to
        // be as later waves expect it: a pod that started with an old setting would bear the hash of the new one, and never
        // be restarted for it.
        Outcome::Failed(_) | Outcome::TooSoon(_)
            if matches!(step.key.kind.as_str(), "PersistentVolumeClaim" | "Secret") && exists(step) =>
        {
            Onward::All
        }
        Outcome::Failed(_) | Outcome::TooSoon(_) => Onward::Nothing,
        Outcome::Held(..) if bounds(step.wave, &step.key) && !exists(step) => Onward::Changes,
        Outcome::Held(..) | Outcome::Written(_) | Outcome::InOrder | Outcome::Foreign(_) | Outcome::Conflict(..) => {
            Onward::All
        }
    }
}

/// Whether a step changes what is there already.
const fn exists(step: &Step) -> bool {
    match &step.action {
        Action::Apply { present, .. } => present.is_some(),
        Action::Create(_) => false,
        Action::Relabel(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        apply::{WriteError, tests::step},
        names,
        plan::{Hold, Key},
    };

    #[test]
    fn later_waves_wait_for_what_they_need_and_for_nothing_else() {
        const CLAIM: &str = "PersistentVolumeClaim";
        let failed = || Outcome::Failed(WriteError::Deadline);
        let held = || Outcome::Held(Hold::Truce, String::new());
        for (wave, kind, uid, outcome, expected) in [
            (Wave::Foundation, CLAIM, Some("uid"), failed(), Onward::All),
            (Wave::Foundation, CLAIM, None, failed(), Onward::Nothing),
            (Wave::Foundation, "ConfigMap", Some("uid"), failed(), Onward::Nothing),
            (Wave::Foundation, "PodDisruptionBudget", None, failed(), Onward::All),
            (Wave::Foundation, "PodDisruptionBudget", Some("uid"), failed(), Onward::All),
            (Wave::Foundation, "NetworkPolicy", Some("uid"), failed(), Onward::Nothing),
            (Wave::Workload, "HorizontalPodAutoscaler", None, failed(), Onward::All),
            (Wave::Workload, "PodMonitor", Some("uid"), failed(), Onward::All),
            (Wave::Workload, "PrometheusRule", None, failed(), Onward::All),
            // The way to the page that it is to take the place of stays.
            (Wave::Workload, "Ingress", None, failed(), Onward::Nothing),
            (Wave::Dapr, "Component", None, held(), Onward::Changes),
            (Wave::Dapr, "Component", Some("uid"), held(), Onward::All),
            (Wave::Infrastructure, "Service", None, held(), Onward::All),
            (Wave::Foundation, "NetworkPolicy", None, held(), Onward::Changes),
            (Wave::Foundation, "ServiceAccount", None, held(), Onward::Changes),
            (Wave::Foundation, "NetworkPolicy", Some("uid"), held(), Onward::All),
            (Wave::Foundation, "PodDisruptionBudget", None, held(), Onward::All),
            (Wave::Foundation, CLAIM, None, held(), Onward::All),
            (Wave::Dapr, "Component", None, Outcome::Written(None), Onward::All),
        ] {
            assert_eq!(after(&step(wave, kind, uid), &outcome), expected, "{kind} {uid:?}");
        }
        let mut dashboard = step(Wave::Workload, "ConfigMap", Some("uid"));
        names::DASHBOARD.clone_into(&mut dashboard.key.name);
        assert_eq!(after(&dashboard, &failed()), Onward::All);
    }

    #[test]
    fn pods_do_not_start_with_a_digest_of_what_is_not_written_yet() {
        let of = |uid, anew| {
            let mut step = step(Wave::Workload, "Deployment", uid);
            if let Action::Apply { reads_anew, .. } = &mut step.action {
                *reads_anew = anew;
            }
            step
        };
        let key = Key { kind: "Component".to_owned(), name: "kafka-pubsub".to_owned() };
        let held = Held { key, wave: Wave::Dapr, hold: Hold::Leaving, reason: "it goes".to_owned() };
        let unread = Some("Component/kafka-pubsub: it goes");
        for (step, onward, held, expected) in [
            (of(Some("uid"), true), Onward::All, Some(&held), unread),
            (of(None, true), Onward::All, Some(&held), unread),
            (of(Some("uid"), false), Onward::All, Some(&held), None),
            (of(Some("uid"), true), Onward::All, None, None),
            (of(Some("uid"), true), Onward::Changes, None, None),
            (of(None, true), Onward::Changes, None, Some(WAITS)),
        ] {
            assert_eq!(waits(&step, onward, held).as_deref(), expected, "{step:?} {onward:?}");
        }
    }
}
