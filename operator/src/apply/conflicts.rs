//! What is done about fields that others claim: it is told, then they are taken back.

use std::time::Instant;

use kube::core::DynamicObject;
use tracing::warn;

use super::{Applied, Fights, Outcome, TRUCE, Writer};
use crate::{
    labels::MANAGED_BY,
    plan::{
        Hold, Scaling, Step,
        ownership::{FieldConflict, is_own_manager},
    },
};

/// Records who claims what, then takes it back unless that has become a fight.
pub(super) async fn take_back(
    writer: &Writer,
    step: &Step,
    conflicts: Vec<FieldConflict>,
    body: &DynamicObject,
    fights: &mut Fights,
    applied: &mut Applied,
) -> Outcome {
    if conflicts.iter().any(|conflict| conflict.manager == MANAGED_BY)
        && let Err(error) = writer.give_up_merges(&step.resource, &step.key.name).await
    {
        return Outcome::Failed(error);
    }
    let others = of_others(step, conflicts);
    let allowed = others.is_empty() || fights.may_force(&step.key, &others, Instant::now());
    for conflict in others {
        warn!(object = %step.key, field = %conflict.field, manager = %conflict.manager, allowed, "somebody else claims a field");
        applied.conflicts.push((step.key.clone(), conflict));
    }
    if !allowed {
        return Outcome::Held(Hold::Truce, TRUCE.to_owned());
    }
    match writer.apply(&step.resource, body, true).await {
        Ok(version) => Outcome::Written(version),
        Err(error) => Outcome::Failed(error),
    }
}

/// Those of the conflicts that somebody is to be told of: not our own, nor the number of pods that was an autoscaler's to
/// choose until now.
fn of_others(step: &Step, conflicts: Vec<FieldConflict>) -> Vec<FieldConflict> {
    let is_due = |conflict: &FieldConflict| step.scaling() == Scaling::TakenOver && conflict.field == ".spec.replicas";
    conflicts.into_iter().filter(|conflict| !is_own_manager(&conflict.manager) && !is_due(conflict)).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use kube::core::ApiResource;

    use super::*;
    use crate::{
        build::Wave,
        plan::{Action, Key, Present},
    };

    #[test]
    fn an_autoscaler_that_is_taken_away_is_not_accused_of_its_number_of_pods() {
        let resource = ApiResource::erase::<Deployment>(&());
        let accused = |scaling| {
            let body = Box::new(DynamicObject::new("x", &resource));
            let present = Some(Present { scaling, ..Present::default() });
            let action = Action::Apply { body, present, reads_anew: false };
            let key = Key { kind: "Deployment".to_owned(), name: "x".to_owned() };
            let step = Step { wave: Wave::Workload, key, resource: resource.clone(), action };
            let conflict =
                |field: &str, manager: &str| FieldConflict { field: field.to_owned(), manager: manager.to_owned() };
            let conflicts = vec![
                conflict(".spec.replicas", "kube-controller-manager"),
                conflict(".spec.replicas", &format!("{MANAGED_BY}-replicas")),
                conflict(".spec.paused", "x"),
            ];
            of_others(&step, conflicts).into_iter().map(|conflict| conflict.manager).collect::<Vec<_>>()
        };
        assert_eq!(accused(Scaling::TakenOver), ["x"]);
        assert_eq!(accused(Scaling::Kept), ["kube-controller-manager", "x"]);
    }
}
