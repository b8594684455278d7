//! Which platform holds a namespace: the oldest one in it. Times of creation are whole seconds, so of those that were made in
//! the same one it is the one that this process took up first, else the one that has objects there.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use k8s_openapi::jiff::Timestamp;
use kube::core::ObjectMeta;

use crate::plan::Live;

/// Of each namespace, the UID of the platform that was last found to have it. It may be lost: objects tell it, too, only
/// later.
#[derive(Debug, Default)]
pub(in crate::controller) struct Holders(Mutex<HashMap<String, String>>);

/// A platform that could have the namespace in which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Claim {
    /// Its name.
    pub(in crate::controller) name: String,
    /// Its UID.
    pub(in crate::controller) uid: String,
    created: Option<Timestamp>,
    has_objects: bool,
}

impl Claim {
    /// Of the platform with this metadata, in a namespace that has these objects.
    pub(in crate::controller) fn of(platform: &ObjectMeta, live: &Live) -> Self {
        let uid = platform.uid.clone().unwrap_or_default();
        let mut owners = live.objects.values().flat_map(|object| object.metadata.owner_references.iter().flatten());
        Self {
            name: platform.name.clone().unwrap_or_default(),
            created: platform.creation_timestamp.as_ref().map(|time| time.0),
            has_objects: owners.any(|owner| owner.controller == Some(true) && owner.uid == uid),
            uid,
        }
    }
}

impl Holders {
    /// Which of the platforms of a namespace has it; `known` are the UIDs of all that exist, for forgetting others.
    pub(in crate::controller) fn holder(
        &self,
        namespace: &str,
        claims: Vec<Claim>,
        known: impl FnOnce() -> HashSet<String>,
    ) -> Option<Claim> {
        let mut holders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = holders.get(namespace).cloned();
        let rank =
            |claim: &Claim| (claim.created, before.as_ref() != Some(&claim.uid), !claim.has_objects, claim.uid.clone());
        let holder = claims.into_iter().min_by_key(rank)?;
        if before.as_ref() != Some(&holder.uid) {
            let known = known();
            holders.retain(|_, uid| known.contains(uid));
            holders.insert(namespace.to_owned(), holder.uid.clone());
        }
        Some(holder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(uid: &str, second: i64, has_objects: bool) -> Claim {
        let created = Timestamp::from_second(second).ok();
        Claim { name: format!("name of {uid}"), uid: uid.to_owned(), created, has_objects }
    }

    fn holder(holders: &Holders, claims: &[Claim]) -> String {
        holders.holder("ns", claims.to_vec(), HashSet::new).unwrap().uid
    }

    #[test]
    fn of_two_platforms_made_in_one_second_the_one_that_was_taken_up_first_keeps_the_namespace() {
        let holders = Holders::default();
        assert_eq!(holder(&holders, &[claim("b", 1, false)]), "b");
        assert_eq!(
            holder(&holders, &[claim("a", 1, false), claim("b", 1, false)]),
            "b",
            "its objects are not seen yet"
        );
        assert_eq!(holder(&holders, &[claim("a", 1, false)]), "a", "the other one is gone");
    }

    #[test]
    fn after_a_restart_the_one_with_objects_keeps_the_namespace_and_without_any_all_replicas_choose_the_same() {
        let both = |has_objects| [claim("a", 1, false), claim("b", 1, has_objects)];
        assert_eq!(holder(&Holders::default(), &both(true)), "b");
        assert_eq!(holder(&Holders::default(), &both(false)), "a");
    }

    #[test]
    fn an_older_platform_has_the_namespace_whatever_came_before() {
        let holders = Holders::default();
        assert_eq!(holder(&holders, &[claim("b", 2, true)]), "b");
        assert_eq!(holder(&holders, &[claim("a", 1, false), claim("b", 2, true)]), "a");
    }

    #[test]
    fn namespaces_whose_platforms_are_gone_are_forgotten() {
        let holders = Holders::default();
        let known = || HashSet::from(["b".to_owned()]);
        for (namespace, uid) in [("one", "a"), ("two", "b")] {
            holders.holder(namespace, vec![claim(uid, 1, false)], known);
        }
        let left: Vec<_> = holders.0.into_inner().unwrap().into_keys().collect();
        assert_eq!(left, ["two"]);
    }
}
