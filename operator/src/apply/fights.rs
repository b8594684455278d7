//! When to stop taking a field back. Somebody who takes it again and again is another controller, and two that write
//! over each other for ever load the API server and serve nobody.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use crate::plan::{Key, ownership::FieldConflict};

/// So many times within [`WINDOW`] is a fight.
const ROUNDS: usize = 3;
/// See [`ROUNDS`].
const WINDOW: Duration = Duration::from_mins(1);
/// How long an object is left to the other one after a fight.
const TRUCE: Duration = Duration::from_mins(5);
/// How long a conflict is shown after it happened.
const SHOWN: Duration = Duration::from_mins(5);
/// Conflicts that are shown at most.
const LIMIT: usize = 20;

/// A field of ours that somebody else claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// The object.
    pub key: Key,
    /// The field, and who claimed it.
    pub conflict: FieldConflict,
    /// Whether the object is left alone for now.
    pub truce: bool,
}

/// What is known of conflicts over one platform's objects.
#[derive(Debug, Default)]
pub struct Fights {
    rounds: BTreeMap<(Key, String), VecDeque<Instant>>,
    truces: BTreeMap<Key, Instant>,
    shown: BTreeMap<(Key, FieldConflict), Instant>,
}

impl Fights {
    /// Notes that others claim fields of an object. Answers whether they may be taken back.
    pub fn may_force(&mut self, key: &Key, conflicts: &[FieldConflict], now: Instant) -> bool {
        self.forget(now);
        let mut managers: Vec<&str> = conflicts.iter().map(|conflict| conflict.manager.as_str()).collect();
        managers.sort_unstable();
        managers.dedup();
        for conflict in conflicts {
            self.shown.insert((key.clone(), conflict.clone()), now);
        }
        if self.truces.contains_key(key) {
            return false;
        }
        for manager in managers {
            let rounds = self.rounds.entry((key.clone(), manager.to_owned())).or_default();
            rounds.push_back(now);
            if rounds.len() >= ROUNDS {
                self.truces.insert(key.clone(), now + TRUCE);
            }
        }
        !self.truces.contains_key(key)
    }

    /// Whether an object is left alone for now.
    pub fn is_truce(&self, key: &Key, now: Instant) -> bool {
        self.truces.get(key).is_some_and(|until| now < *until)
    }

    /// What is to be shown, the latest [`LIMIT`] at most.
    pub fn disputes(&mut self, now: Instant) -> Vec<Dispute> {
        self.forget(now);
        let mut shown: Vec<_> = self.shown.iter().collect();
        shown.sort_by_key(|(_, at)| std::cmp::Reverse(**at));
        shown.truncate(LIMIT);
        let mut disputes: Vec<Dispute> = shown
            .into_iter()
            .map(|((key, conflict), _)| Dispute {
                key: key.clone(),
                conflict: conflict.clone(),
                truce: self.truces.contains_key(key),
            })
            .collect();
        disputes.sort_by(|a, b| (&a.key, &a.conflict).cmp(&(&b.key, &b.conflict)));
        disputes
    }

    fn forget(&mut self, now: Instant) {
        for rounds in self.rounds.values_mut() {
            rounds.retain(|at| now.duration_since(*at) < WINDOW);
        }
        self.rounds.retain(|_, rounds| !rounds.is_empty());
        self.truces.retain(|_, until| now < *until);
        let truces = &self.truces;
        self.shown.retain(|(key, _), at| now.duration_since(*at) < SHOWN || truces.contains_key(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key { kind: "Deployment".to_owned(), name: "backend-service".to_owned() }
    }

    fn conflict(manager: &str) -> Vec<FieldConflict> {
        vec![FieldConflict { field: ".spec.replicas".to_owned(), manager: manager.to_owned() }]
    }

    #[test]
    fn a_field_is_taken_back_twice_and_the_third_time_within_a_minute_is_a_fight() {
        let (mut fights, start) = (Fights::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(fights.may_force(&key(), &conflict("argocd"), at(0)));
        assert!(fights.may_force(&key(), &conflict("argocd"), at(10)));
        assert!(!fights.may_force(&key(), &conflict("argocd"), at(20)));
        assert!(!fights.may_force(&key(), &conflict("argocd"), at(200)), "left alone for five minutes");
        assert!(fights.disputes(at(200))[0].truce);
        assert!(fights.may_force(&key(), &conflict("argocd"), at(20 + 301)));
    }

    #[test]
    fn different_people_and_long_pauses_are_no_fight() {
        let (mut fights, start) = (Fights::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for (second, manager) in [(0, "kubectl-edit"), (5, "helm"), (10, "argocd"), (70, "argocd"), (140, "argocd")] {
            assert!(fights.may_force(&key(), &conflict(manager), at(second)), "{manager} at {second}");
        }
    }

    #[test]
    fn a_conflict_is_shown_for_five_minutes() {
        let (mut fights, now) = (Fights::default(), Instant::now());
        fights.may_force(&key(), &conflict("kubectl-edit"), now);
        assert_eq!(fights.disputes(now + Duration::from_secs(299)).len(), 1);
        assert!(fights.disputes(now + Duration::from_secs(301)).is_empty());
    }
}
