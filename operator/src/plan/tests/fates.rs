//! Data, and whether it goes with the platform.

use super::*;

/// A platform with all kinds of data but for those of others' operators, or with those.
fn platform(policy: &str, managed: bool) -> Desired {
    let mut spec = json!({"auth": {"mode": "disabled"}, "deletionPolicy": policy});
    if managed {
        spec["kafka"] = json!({"strimzi": {}});
        spec["postgres"] = json!({"cloudNativePg": {}});
    }
    desired(&spec)
}

fn kinds(fates: &[Fate]) -> BTreeSet<&str> {
    fates.iter().map(|fate| fate.key.kind.as_str()).collect()
}

#[test]
fn all_data_gets_the_fate_that_the_deletion_policy_says_when_it_changes_and_nothing_else_does() {
    for (managed, data) in [
        (false, BTreeSet::from(["PersistentVolumeClaim", "Secret"])),
        (true, BTreeSet::from(["Cluster", "Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser"])),
    ] {
        for (before, after, goes) in [("Delete", "Retain", true), ("Retain", "Delete", false)] {
            let (live, after) = (settled(&platform(before, managed)), platform(after, managed));
            let plan = plan(&after, &live, &identity(), &open());
            assert_eq!(kinds(&plan.fates), data, "{before}");
            assert!(plan.fates.iter().all(|fate| fate.goes == goes), "{:?}", plan.fates);
            let all: Vec<_> = after.objects.iter().filter(|object| object.is_data()).map(Key::of).collect();
            let told: Vec<_> = plan.fates.into_iter().map(|fate| fate.key).collect();
            assert_eq!(told, all);
        }
    }
}

#[test]
fn what_is_new_or_changes_in_another_way_keeps_its_fate() {
    for policy in ["Delete", "Retain"] {
        let desired = platform(policy, false);
        assert_eq!(plan(&desired, &empty(&desired), &identity(), &open()).fates, []);
        let mut live = settled(&desired);
        change(&mut live, "PersistentVolumeClaim", "data-kafka-0", |claim| claim.metadata.annotations = None);
        change(&mut live, "ConfigMap", "kafka-config", |config| config.metadata.owner_references = None);
        let token = live.secrets.get_mut(names::APP_TOKEN_SECRET).unwrap();
        token.metadata.owner_references = None;
        let plan = plan(&desired, &live, &identity(), &open());
        assert_eq!((plan.steps.len(), plan.fates), (3, Vec::new()), "{policy}");
    }
}
