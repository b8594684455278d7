//! Passes that ended early, platforms that are suspended or one too many, and when times change.

use super::*;

#[test]
fn what_a_pass_that_ended_early_did_not_look_at_is_unknown() {
    let failed = Stop::Failed { reason: "TransientError".to_owned(), message: "cut off".to_owned() };
    let verdicts = of(&Assessment::Stopped(failed));
    assert_eq!(find(&verdicts, condition::READY).0, None);
    assert_eq!(find(&verdicts, condition::DATA_PATH_VERIFIED).0, None);
    assert_eq!(find(&verdicts, condition::DEGRADED).0, Some(true));
    let invalid = of(&Assessment::Stopped(Stop::Invalid("spec.x: is wrong".to_owned())));
    assert_eq!(find(&invalid, condition::READY).0, Some(false));
    assert_eq!(find(&invalid, condition::DATA_PATH_VERIFIED).0, None);
}

#[test]
fn a_spec_that_a_pass_could_not_carry_out_is_not_called_observed() {
    let unplanned = Observed { is_planned: false, ..working() };
    let failed = Stop::Failed { reason: "TransientError".to_owned(), message: "cut off".to_owned() };
    for (assessment, observed) in [
        (Assessment::Observed(Box::new(working())), Some(2)),
        (Assessment::Observed(Box::new(unplanned)), Some(1)),
        (Assessment::Stopped(failed), Some(1)),
        (Assessment::Stopped(Stop::Invalid("spec.x: is wrong".to_owned())), Some(2)),
    ] {
        let before = TodoPlatformStatus { observed_generation: Some(1), ..TodoPlatformStatus::default() };
        let after = assess(&assessment, &before, Some(2), Timestamp::UNIX_EPOCH);
        assert_eq!(after.observed_generation, observed, "{assessment:?}");
    }
}

#[test]
fn topics_that_a_suspended_platform_lacks_are_not_for_a_person_to_make() {
    let verdicts = of_platform(|o| o.infrastructure.topics = Topics::Missing(vec!["reminders".to_owned()]));
    let (_, _, message) = find(&verdicts, condition::INFRASTRUCTURE_READY);
    assert!(message.contains("spec.suspend"), "{message}");
}

#[test]
fn a_suspended_platform_says_so_and_is_still_looked_at() {
    let verdicts = of(&Assessment::Suspended(Box::new(working())));
    assert_eq!(find(&verdicts, condition::PROGRESSING).1, "Suspended");
    assert_eq!(find(&verdicts, condition::READY).0, Some(true));
}

#[test]
fn a_suspended_platform_names_the_data_whose_fate_is_not_what_its_deletion_policy_says() {
    let fate = |name: &str, goes| Fate { key: key("PersistentVolumeClaim", name), goes };
    for (fates, words) in [
        (
            vec![fate("a", true), fate("b", true)],
            "deleted with the platform: PersistentVolumeClaim/a and PersistentVolumeClaim/b",
        ),
        (vec![fate("a", false)], "stay without the platform: PersistentVolumeClaim/a"),
        (vec![fate("a", false), fate("b", true)], "deleted with the platform: PersistentVolumeClaim/b"),
    ] {
        let mut observed = working();
        observed.applied.fates = fates;
        let verdicts = of(&Assessment::Suspended(Box::new(observed)));
        let (status, reason, message) = find(&verdicts, condition::DEGRADED);
        assert_eq!((status, reason.as_str()), (Some(true), "DeletionPolicyNotApplied"));
        assert!(message.contains("spec.suspend: false") && message.ends_with(words), "{message}");
        assert_eq!(find(&verdicts, condition::READY).0, Some(true));
    }
}

#[test]
fn times_change_only_with_the_status_and_what_nothing_is_said_about_stays() {
    let (early, late) = (Timestamp::UNIX_EPOCH, Timestamp::now());
    let first = merge(&[], of_platform(|_| {}), Some(1), early);
    assert_eq!(merge(&first, of_platform(|_| {}), Some(1), late), first, "the same again is no change");
    let broken = of_platform(|observed| {
        observed.data_path = DataPath::Broken { reason: "Stale".to_owned(), message: "x".to_owned() };
    });
    for condition in merge(&first, broken, Some(1), late) {
        let changed = [condition::READY, condition::DATA_PATH_VERIFIED].contains(&condition.type_.as_str());
        assert_eq!(condition.last_transition_time.0, if changed { late } else { early }, "{}", condition.type_);
    }
    let stop = of(&Assessment::Stopped(Stop::Invalid("spec.x: is wrong".to_owned())));
    let after = merge(&first, stop, Some(2), late);
    let types: Vec<_> = after.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, condition::ALL);
    assert_eq!((after[0].status.as_str(), after[0].reason.as_str()), ("False", "SpecInvalid"));
    assert_eq!(after[2].observed_generation, Some(1), "nothing new is known about it");
}

#[test]
fn the_second_platform_of_a_namespace_is_told_which_one_has_it() {
    let verdicts = of(&Assessment::Stopped(Stop::Conflict { other: "first".to_owned() }));
    let (status, reason, message) = find(&verdicts, condition::READY);
    assert_eq!((status, reason.as_str(), verdicts.len()), (Some(false), "Conflict", 1));
    assert!(message.contains("TodoPlatform first"), "{message}");
}
