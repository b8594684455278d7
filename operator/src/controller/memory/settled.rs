//! Whether all that a plan is made from is as it was when nothing was to be done. Then nothing is to be done now either, and
//! a pass over a platform at rest need not build and compare its objects again. Pure.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::{
    dereference::Dereferenced,
    plan::{Gates, Live, LiveSecret},
};

/// All that a plan of one platform is made from, besides what is the same as long as the operator runs.
pub(in crate::controller) struct Inputs<'a> {
    /// Of the platform's spec.
    pub(in crate::controller) generation: Option<i64>,
    /// The Secrets that it names.
    pub(in crate::controller) dereferenced: &'a Dereferenced,
    /// What exists in its namespace.
    pub(in crate::controller) live: &'a Live,
    /// What new objects wait for.
    pub(in crate::controller) gates: &'a Gates,
}

/// What a plan was made from that had nothing in it.
#[derive(Debug, Default)]
pub(in crate::controller) struct Settled(Option<u64>);

impl Settled {
    /// Whether a plan that is made from this would have nothing in it.
    pub(in crate::controller) fn is_as_before(&self, inputs: &Inputs<'_>) -> bool {
        self.0 == Some(inputs.fingerprint())
    }

    /// Notes whether the plan that was made from this has nothing in it.
    pub(in crate::controller) fn note(&mut self, inputs: &Inputs<'_>, is_empty: bool) {
        self.0 = is_empty.then(|| inputs.fingerprint());
    }
}

impl Inputs<'_> {
    /// Of objects, their resource versions say whether they have changed. Everything is named, so that what a plan may be made
    /// from one day cannot be forgotten here.
    fn fingerprint(&self) -> u64 {
        let Self { generation, dereferenced, live, gates } = self;
        // What is missing is among the gates; all else of the platform follows from its generation and from digests. No
        // object is made of what the broker is asked with.
        let Dereferenced { resolved, secrets, missing: _, broker: _ } = dereferenced;
        // An object that was found to be in order is so until its version changes, whether that is noted of it by now or
        // not. What is outdated has another version soon. The Secrets are those above.
        let Live { objects, verified: _, outdated: _, resources, secrets: _ } = live;
        let mut hasher = DefaultHasher::new();
        (generation, &resolved.digests, gates).hash(&mut hasher);
        for (name, LiveSecret { metadata, keys }) in secrets {
            (name, &metadata.resource_version, keys).hash(&mut hasher);
        }
        for (key, object) in objects {
            (key, &object.metadata.resource_version).hash(&mut hasher);
        }
        for kind in resources.keys() {
            kind.hash(&mut hasher);
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use k8s_openapi::api::core::v1::Service;
    use kube::core::{ApiResource, DynamicObject};
    use todo_crds::platform::{TodoPlatform, TodoPlatformSpec};

    use super::*;
    use crate::{
        plan::Key,
        resolve::{Found, SecretRef, Settings, validate},
    };

    type Change = fn(&mut World);

    /// Owned, so that tests can change one thing.
    #[derive(Clone)]
    struct World {
        generation: Option<i64>,
        dereferenced: Dereferenced,
        live: Live,
        gates: Gates,
    }

    impl World {
        fn inputs(&self) -> Inputs<'_> {
            let Self { generation, dereferenced, live, gates } = self;
            Inputs { generation: *generation, dereferenced, live, gates }
        }
    }

    fn world() -> World {
        let platform = TodoPlatform::new("todo", TodoPlatformSpec::default());
        let resolved = validate(&platform, &Settings::default(), &Found::default()).unwrap();
        let resource = ApiResource::erase::<Service>(&());
        let key = Key { kind: "Service".to_owned(), name: "backend".to_owned() };
        let live = Live {
            objects: BTreeMap::from([(key, Arc::new(DynamicObject::new("backend", &resource)))]),
            resources: BTreeMap::from([("Service".to_owned(), resource)]),
            ..Live::default()
        };
        let secrets = BTreeMap::from([("token".to_owned(), LiveSecret::default())]);
        let dereferenced = Dereferenced { resolved, secrets, missing: Vec::new(), broker: None };
        World { generation: Some(1), dereferenced, live, gates: Gates::default() }
    }

    #[test]
    fn a_plan_is_made_anew_once_anything_has_changed_that_it_is_made_from() {
        let before = world();
        let mut settled = Settled::default();
        assert!(!settled.is_as_before(&before.inputs()), "nothing is known yet");
        settled.note(&before.inputs(), true);
        assert!(settled.is_as_before(&world().inputs()));
        let changes: [(&str, Change); 8] = [
            ("spec", |world| world.generation = Some(2)),
            ("value of a Secret", |world| {
                world.dereferenced.resolved.digests.insert(SecretRef::new("token", "token"), "other".to_owned());
            }),
            ("labels of a Secret", |world| {
                let secret = world.dereferenced.secrets.get_mut("token").unwrap();
                secret.metadata.resource_version = Some("2".to_owned());
            }),
            ("Secret that is gone", |world| world.dereferenced.secrets.clear()),
            ("object", |world| {
                for object in world.live.objects.values_mut() {
                    Arc::make_mut(object).metadata.resource_version = Some("2".to_owned());
                }
            }),
            ("object that is gone", |world| world.live.objects.clear()),
            ("kind", |world| world.live.resources.clear()),
            ("gate", |world| world.gates.dapr_ready = true),
        ];
        for (what, change) in changes {
            let mut after = before.clone();
            change(&mut after);
            assert!(!settled.is_as_before(&after.inputs()), "{what}");
        }
        settled.note(&before.inputs(), false);
        assert!(!settled.is_as_before(&before.inputs()), "something was to be done");
    }
}
