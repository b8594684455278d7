//! When to stop writing. Somebody who takes a field again and again is another controller, and two that write over each
//! other for ever load the API server and serve nobody. The same holds for whoever deletes an object each time it is made,
//! and for a webhook that changes it on its way in.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    plan::{Key, ownership::FieldConflict},
    resource_version,
};

/// So many times within [`WINDOW`] is a fight.
const ROUNDS: usize = 3;
/// See [`ROUNDS`].
const WINDOW: Duration = Duration::from_mins(1);
/// So many writes of the same content to one object within [`WINDOW`] are a fight, too. More than [`ROUNDS`], as nobody
/// is known to claim anything.
const WRITES: usize = 6;
/// How long an object is left to the other one after a fight.
const TRUCE: Duration = Duration::from_mins(5);
/// How long a conflict is shown after it happened.
const SHOWN: Duration = Duration::from_mins(5);
/// How long what somebody else made is taken to be there still.
const FOREIGN: Duration = Duration::from_secs(15);
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
    written: BTreeMap<Key, Written>,
    foreign: BTreeMap<Key, (Instant, String)>,
}

/// What was last written to an object.
#[derive(Debug, Default)]
struct Written {
    /// Hash of what was applied.
    hash: String,
    /// Resource version that this left.
    version: Option<String>,
    /// When the same was written.
    at: VecDeque<Instant>,
    /// Whether it was seen to have stayed so.
    stayed: bool,
}

impl Fights {
    /// Notes that others claim fields of an object. Returns whether they may be taken back.
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

    /// Notes that content with this hash was written, and the resource version that the object has since.
    pub fn wrote(&mut self, key: &Key, hash: &str, version: Option<String>, now: Instant) {
        self.forget(now);
        let written = self.written.entry(key.clone()).or_default();
        if written.hash != hash {
            *written = Written { hash: hash.to_owned(), ..Written::default() };
        }
        (written.version, written.stayed) = (version, false);
        written.at.push_back(now);
        if written.at.len() >= WRITES {
            self.truces.insert(key.clone(), now + TRUCE);
        }
    }

    /// Notes that objects were seen just as they were written. Of those nothing is remembered after a while.
    pub fn note_unchanged<'a>(&mut self, keys: impl IntoIterator<Item = &'a Key>, now: Instant) {
        for key in keys {
            if let Some(written) = self.written.get_mut(key) {
                written.stayed = true;
            }
        }
        self.forget(now);
    }

    /// The resource version that the last write left.
    pub fn version(&self, key: &Key) -> Option<u64> {
        resource_version::number(self.written.get(key)?.version.as_deref())
    }

    /// Whether an object, seen in this version, is just as the last write of the same content left it, or was seen before
    /// that write. Then another one changes nothing either: a webhook takes out what is asked for, or the watch has not
    /// brought that write yet.
    pub fn is_as_written(&self, key: &Key, hash: &str, version: Option<&str>) -> bool {
        let same = self.written.get(key).is_some_and(|written| written.hash == hash);
        let written = self.version(key).filter(|_| same);
        resource_version::number(version).zip(written).is_some_and(|(seen, written)| seen <= written)
    }

    /// Whether an object is left alone for now.
    pub fn is_truce(&self, key: &Key, now: Instant) -> bool {
        self.truces.get(key).is_some_and(|until| now < *until)
    }

    /// Notes that an object of one of our names is somebody else's, as `message` says. Watches do not show it.
    pub fn note_foreign(&mut self, key: &Key, message: &str, now: Instant) {
        self.foreign.retain(|_, (until, _)| now < *until);
        self.foreign.entry(key.clone()).or_insert_with(|| (now + FOREIGN, message.to_owned()));
    }

    /// What was said of an object that was somebody else's only just now, so that it need not be asked for again.
    pub fn foreign(&self, key: &Key, now: Instant) -> Option<&str> {
        self.foreign.get(key).filter(|(until, _)| now < *until).map(|(_, message)| message.as_str())
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
        for written in self.written.values_mut() {
            written.at.retain(|at| now.duration_since(*at) < WINDOW);
        }
        self.written.retain(|_, written| !(written.stayed && written.at.is_empty()));
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
    fn what_was_written_and_did_not_stay_so_is_not_written_again_until_somebody_changes_it() {
        let (mut fights, now) = (Fights::default(), Instant::now());
        assert!(!fights.is_as_written(&key(), "a", Some("1")));
        fights.wrote(&key(), "a", Some("10".to_owned()), now);
        assert!(fights.is_as_written(&key(), "a", Some("10")));
        assert!(fights.is_as_written(&key(), "a", Some("9")), "seen before the write");
        for (hash, version) in [("b", Some("10")), ("a", Some("11")), ("a", None)] {
            assert!(!fights.is_as_written(&key(), hash, version), "{hash} {version:?}");
        }
    }

    #[test]
    fn what_stayed_as_it_was_written_is_forgotten_after_a_minute() {
        let (mut fights, now) = (Fights::default(), Instant::now());
        let other = Key { name: "frontend-service".to_owned(), ..key() };
        for key in [&key(), &other] {
            fights.wrote(key, "a", Some("10".to_owned()), now);
        }
        fights.note_unchanged([&key()], now);
        assert_eq!(fights.version(&key()), Some(10));
        fights.note_unchanged([], now + WINDOW);
        assert_eq!((fights.version(&key()), fights.version(&other)), (None, Some(10)));
    }

    #[test]
    fn what_is_deleted_each_time_it_is_made_is_made_six_times_a_minute_at_most() {
        let (mut fights, start) = (Fights::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..5 {
            fights.wrote(&key(), "a", None, at(second));
        }
        assert!(!fights.is_truce(&key(), at(5)));
        fights.wrote(&key(), "a", None, at(5));
        assert!(fights.is_truce(&key(), at(5 + 299)) && !fights.is_truce(&key(), at(5 + 300)));
    }

    #[test]
    fn what_somebody_else_made_is_asked_for_again_after_a_while() {
        let (mut fights, start) = (Fights::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        fights.note_foreign(&key(), "theirs", at(0));
        fights.note_foreign(&key(), "theirs", at(10));
        assert_eq!(fights.foreign(&key(), at(14)), Some("theirs"));
        assert_eq!(fights.foreign(&key(), at(15)), None, "only a look counts, not what was remembered of one");
    }

    #[test]
    fn other_content_and_long_pauses_are_no_fight() {
        let (mut fights, start) = (Fights::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for n in 0..20 {
            fights.wrote(&key(), &n.to_string(), None, at(n));
        }
        for n in 0..20 {
            fights.wrote(&key(), "a", None, at(20 + n * 13));
        }
        assert!(!fights.is_truce(&key(), at(300)));
    }

    #[test]
    fn a_conflict_is_shown_for_five_minutes() {
        let (mut fights, now) = (Fights::default(), Instant::now());
        fights.may_force(&key(), &conflict("kubectl-edit"), now);
        assert_eq!(fights.disputes(now + Duration::from_secs(299)).len(), 1);
        assert!(fights.disputes(now + Duration::from_secs(301)).is_empty());
    }
}
