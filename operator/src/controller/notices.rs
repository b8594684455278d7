//! What is worth an event: transitions, and what a person should know although it is no condition. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::Value;
use todo_crds::platform::condition;

use crate::{
    build::{DATA_KINDS, Desired, Policy},
    names,
    plan::{
        Identity, Key, Live,
        ownership::{FieldConflict, is_labelled},
        slim,
    },
    runtime::events::Notice,
    status::conditions::ON_THE_WAY,
};

/// Conditions that changed from `before` to `after`. `Ready` and `Degraded` carry the reasons of all others.
pub(super) fn of_conditions(before: &[Condition], after: &[Condition]) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (type_, good) in [(condition::READY, "True"), (condition::DEGRADED, "False")] {
        let find = |conditions: &[Condition]| conditions.iter().find(|condition| condition.type_ == type_).cloned();
        let Some(new) = find(after) else { continue };
        let old = find(before);
        let is_good = new.status == good;
        let is_news = match &old {
            None => !is_good || type_ == condition::READY,
            Some(old) => old.status != new.status || (!is_good && old.reason != new.reason),
        };
        if is_news {
            let reason = if is_good && type_ == condition::DEGRADED { "Recovered".to_owned() } else { new.reason };
            let warning = !is_good && !ON_THE_WAY.contains(&reason.as_str());
            notices.push(Notice { warning, reason, action: "Reconcile", about: None, note: new.message });
        }
    }
    notices
}

/// Fields that somebody else claimed.
pub(super) fn of_conflicts(conflicts: &[(Key, FieldConflict)]) -> Vec<Notice> {
    conflicts
        .iter()
        .map(|(key, conflict)| Notice {
            warning: true,
            reason: "OwnershipConflict".to_owned(),
            action: "Apply",
            about: Some(key.clone()),
            note: format!("{} claimed {} of {key}", conflict.manager, conflict.field),
        })
        .collect()
}

/// Data of an earlier platform of this name that is taken over. What is not older than the platform was made for it by a
/// pass before this one.
pub(super) fn of_takeover(
    desired: &Desired,
    live: &Live,
    identity: &Identity,
    created: Option<&Time>,
) -> Option<Notice> {
    let created = created?;
    let mut taken: Vec<String> = desired
        .objects
        .iter()
        .filter(|object| object.policy == Policy::CreateOnce || DATA_KINDS.contains(&object.resource.kind.as_str()))
        .map(Key::of)
        .filter(|key| {
            let metadata = match key.kind.as_str() {
                "Secret" => live.secrets.get(&key.name).map(|secret| &secret.metadata),
                _ => live.objects.get(key).map(|object| &object.metadata),
            };
            metadata.is_some_and(|metadata| {
                let is_older = metadata.creation_timestamp.as_ref().is_some_and(|data| data.0 < created.0);
                is_older && is_labelled(identity, metadata) && metadata.owner_references.is_none()
            })
        })
        .map(|key| key.to_string())
        .collect();
    taken.sort();
    (!taken.is_empty()).then(|| Notice {
        warning: false,
        reason: "DataTakenOver".to_owned(),
        action: "Adopt",
        about: None,
        note: format!("an earlier TodoPlatform {} left {}; they are used again", identity.name, taken.join(", ")),
    })
}

/// A change of the consumer group: a new group begins with the oldest event.
pub(super) fn of_consumer_group(desired: &Desired, live: &Live) -> Option<Notice> {
    let wanted =
        desired.objects.iter().find(|object| object.resource.kind == "Component" && object.name() == names::PUBSUB)?;
    let (wanted, present) = (group(&wanted.body.data)?, group(&live.get("Component", names::PUBSUB)?.data)?);
    (wanted != present).then(|| Notice {
        warning: true,
        reason: "EventsReplayed".to_owned(),
        action: "Apply",
        about: None,
        note: format!(
            "the consumer group changes from {present} to {wanted}, which reads all events from the oldest on; \
                       what was handled already is recognised and not done twice"
        ),
    })
}

fn group(component: &Value) -> Option<&str> {
    slim::consumer_group(component)?.get("value")?.as_str()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::{
        apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
        jiff::Timestamp,
    };
    use serde_json::json;

    use super::*;
    use crate::{
        build,
        names::platform_label,
        plan::LiveSecret,
        resolve::{Found, Settings, validate},
    };

    fn condition(type_: &str, status: &str, reason: &str) -> Condition {
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: "words".to_owned(),
            observed_generation: None,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn only_transitions_are_worth_an_event() {
        let ready = |status, reason| vec![condition(condition::READY, status, reason)];
        let degraded = |status, reason| vec![condition(condition::DEGRADED, status, reason)];
        for (before, after, reasons) in [
            (vec![], ready("False", "Starting"), vec!["Starting"]),
            (ready("False", "Starting"), ready("False", "Starting"), vec![]),
            (ready("False", "Starting"), ready("True", "DataPathVerified"), vec!["DataPathVerified"]),
            (ready("True", "DataPathVerified"), ready("False", "Stale"), vec!["Stale"]),
            (ready("False", "Stale"), ready("False", "NotLoaded"), vec!["NotLoaded"]),
            (vec![], degraded("False", "AsExpected"), vec![]),
            (degraded("True", "RolloutStuck"), degraded("False", "AsExpected"), vec!["Recovered"]),
        ] {
            let found: Vec<_> = of_conditions(&before, &after).into_iter().map(|notice| notice.reason).collect();
            assert_eq!(found, reasons);
        }
    }

    #[test]
    fn only_data_that_is_older_than_the_platform_was_left_by_an_earlier_one() {
        let platform = json!({
            "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform",
            "metadata": {"name": "todo", "namespace": "ns", "uid": "uid"},
            "spec": {"auth": {"mode": "disabled"}},
        });
        let platform = serde_json::from_value(platform).unwrap();
        let desired = build::desired(&validate(&platform, &Settings::default(), &Found::default()).unwrap());
        let identity = Identity { namespace: "ns".to_owned(), name: "todo".to_owned(), uid: "uid".to_owned() };
        let at = |second| Time(Timestamp::from_second(second).unwrap());
        let secret = |second, owner_references| LiveSecret {
            metadata: ObjectMeta {
                labels: Some([(platform_label(), "todo".to_owned())].into()),
                creation_timestamp: Some(at(second)),
                owner_references,
                ..ObjectMeta::default()
            },
            ..LiveSecret::default()
        };
        let told = |secret| {
            let live = Live { secrets: [(names::KAFKA_PASSWORD_SECRET.to_owned(), secret)].into(), ..Live::default() };
            of_takeover(&desired, &live, &identity, Some(&at(100))).map(|notice| notice.note)
        };
        let left = "an earlier TodoPlatform todo left Secret/kafka-password; they are used again";
        assert_eq!(told(secret(99, None)).as_deref(), Some(left));
        assert_eq!(told(secret(100, None)), None, "made by the pass before");
        assert_eq!(told(secret(99, Some(vec![OwnerReference::default()]))), None, "it goes with its owner");
    }

    #[test]
    fn all_events_come_again_only_with_another_consumer_group() {
        let platform = json!({
            "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform",
            "metadata": {"name": "todo", "namespace": "ns", "uid": "uid"},
            "spec": {"auth": {"mode": "disabled"}},
        });
        let platform = serde_json::from_value(platform).unwrap();
        let desired = build::desired(&validate(&platform, &Settings::default(), &Found::default()).unwrap());
        let is_pubsub = |object: &&build::Object| object.resource.kind == "Component" && object.name() == names::PUBSUB;
        let wanted = &desired.objects.iter().find(is_pubsub).unwrap().body;
        let told = |name: &str, group: Option<&str>| {
            let mut live = wanted.clone();
            let settings = live.data["spec"]["metadata"].as_array_mut().unwrap();
            settings.retain(|setting| setting["name"] != "consumerGroup");
            settings.extend(group.map(|group| json!({"name": "consumerGroup", "value": group})));
            let key = Key { kind: "Component".to_owned(), name: name.to_owned() };
            let objects = [(key, Arc::new(slim::slim(&live).into()))].into();
            of_consumer_group(&desired, &Live { objects, ..Live::default() }).map(|notice| (notice.reason, notice.note))
        };
        let same = group(&wanted.data).unwrap();
        assert_eq!(told(names::PUBSUB, Some(same)), None);
        assert_eq!(told(names::PUBSUB, None), None, "none that events were read with");
        assert_eq!(told("another", Some("other")), None, "not there");
        let (reason, note) = told(names::PUBSUB, Some("other")).unwrap();
        assert_eq!(reason, "EventsReplayed");
        assert!(note.contains(&format!("from other to {same},")), "{note}");
    }
}
