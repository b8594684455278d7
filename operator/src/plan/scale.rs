//! Who chooses the number of pods of a Deployment: the spec, or an autoscaler.

use kube::core::DynamicObject;

use super::{Identity, Live, Scaling, autoscaled_annotation, ownership::is_controlled};
use crate::build::Desired;

const AUTOSCALER: &str = "HorizontalPodAutoscaler";

/// Who chooses the number of pods of a Deployment from now on.
pub(super) fn scaling(desired: &Desired, body: &DynamicObject, current: &DynamicObject) -> Scaling {
    match hand_over(desired, body, current) {
        Some(replicas) => Scaling::HandedOver(replicas),
        None if is_autoscaled(current) && !is_autoscaled(body) => Scaling::TakenOver,
        None => Scaling::Kept,
    }
}

/// Replicas to set by a field manager of their own before an autoscaler takes over: the present number, at least
/// `minReplicas`. Without it the API server would reset the field to 1 when we stop applying it. `None` if there is nothing to
/// set.
fn hand_over(desired: &Desired, body: &DynamicObject, current: &DynamicObject) -> Option<i32> {
    if !is_autoscaled(body) {
        return None;
    }
    let present: i32 = current.data.pointer("/spec/replicas")?.as_i64()?.try_into().ok()?;
    let least = least(desired, body.metadata.name.as_deref()?)?;
    // An autoscaler leaves a Deployment of no pods as it is.
    (present == 0 || !is_autoscaled(current)).then(|| present.max(least))
}

/// The fewest pods that the autoscaler of this name may choose.
fn least(desired: &Desired, name: &str) -> Option<i32> {
    let is_meant = |kind: &str, named: &str| kind == AUTOSCALER && named == name;
    let scaler = desired.objects.iter().find(|object| is_meant(&object.resource.kind, object.name()))?;
    scaler.body.data.pointer("/spec/minReplicas")?.as_i64()?.try_into().ok()
}

/// Whether the number is left to the autoscaler that has chosen it, whatever the spec says: it acts until it is known to be
/// gone, and what it chose once the number is ours would be drift. After that nothing of it comes any more, as it changes no
/// Deployment that has been written since it looked.
pub(super) fn is_left(current: &DynamicObject, live: &Live, identity: &Identity) -> bool {
    let name = current.metadata.name.as_deref().unwrap_or_default();
    let may_act = || match live.get(AUTOSCALER, name) {
        Some(scaler) => is_controlled(identity, &scaler.metadata),
        None => !live.resources.contains_key(AUTOSCALER),
    };
    is_autoscaled(current) && may_act()
}

/// Whether the number is an autoscaler's to choose.
fn is_autoscaled(object: &DynamicObject) -> bool {
    object.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(&autoscaled_annotation()))
}
