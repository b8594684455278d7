//! Whose an object is, and who else writes to it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::core::Status;

use crate::{
    labels::MANAGED_BY,
    names::{GROUP, platform_label},
};

/// Which platform we act for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Namespace of the platform.
    pub namespace: String,
    /// Name of the platform.
    pub name: String,
    /// UID of the platform.
    pub uid: String,
}

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Ours: it may be changed.
    Ours,
    /// Being deleted, perhaps with an earlier platform of the same name: waited for.
    Leaving(String),
    /// Somebody else's: left alone.
    Foreign(String),
}

/// Whose the object with this metadata is.
pub fn standing(identity: &Identity, metadata: &ObjectMeta) -> Standing {
    if metadata.deletion_timestamp.is_some() {
        return Standing::Leaving("an object of this name is still being deleted".to_owned());
    }
    let controller = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) if owner.uid == identity.uid => Standing::Ours,
        Some(owner) if is_platform(&owner.api_version, &owner.kind) => {
            Standing::Leaving(format!("it still belongs to an earlier TodoPlatform {}", owner.name))
        }
        Some(owner) => Standing::Foreign(format!("it is controlled by {} {}", owner.kind, owner.name)),
        None if is_labelled(identity, metadata) => Standing::Ours,
        None => Standing::Foreign(match metadata.labels.as_ref().and_then(|labels| labels.get(&platform_label())) {
            Some(other) => format!("it was made for TodoPlatform {other}; delete it, or name this platform so"),
            None => "somebody else made it; delete or rename it, and the operator will make its own".to_owned(),
        }),
    }
}

/// Whether an object carries the label of this platform.
pub fn is_labelled(identity: &Identity, metadata: &ObjectMeta) -> bool {
    metadata.labels.as_ref().and_then(|labels| labels.get(&platform_label())) == Some(&identity.name)
}

/// Whether an owner reference names one of our resources.
pub fn is_platform(api_version: &str, kind: &str) -> bool {
    kind == "TodoPlatform" && api_version.split('/').next() == Some(GROUP)
}

/// Whether an object goes with a platform.
pub fn is_owned(metadata: &ObjectMeta) -> bool {
    metadata.owner_references.iter().flatten().any(|owner| is_platform(&owner.api_version, &owner.kind))
}

/// Whether this very platform is the controller of an object.
pub fn is_controlled(identity: &Identity, metadata: &ObjectMeta) -> bool {
    let owners = metadata.owner_references.iter().flatten();
    owners.into_iter().any(|owner| owner.controller == Some(true) && owner.uid == identity.uid)
}

/// A field that somebody else claims.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldConflict {
    /// The field, for example `.spec.replicas`.
    pub field: String,
    /// Who claims it.
    pub manager: String,
}

/// The fields that a refused apply names. Empty if it was refused for another reason.
pub fn field_conflicts(status: &Status) -> Vec<FieldConflict> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut conflicts: Vec<_> = causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| FieldConflict { field: cause.field.clone(), manager: manager(&cause.message) })
        .collect();
    conflicts.sort();
    conflicts.dedup();
    conflicts
}

/// From `conflict with "kubectl-edit" using apps/v1` to `kubectl-edit`.
fn manager(message: &str) -> String {
    message.split('"').nth(1).unwrap_or("unknown").to_owned()
}

/// Whether a manager is one of our own names.
pub fn is_own_manager(manager: &str) -> bool {
    manager.strip_prefix(MANAGED_BY).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Whether a claim is that of a merge of ours. A field that we apply no more goes only when nobody else claims it, and a merge
/// of ours is somebody else to the API server.
pub fn is_own_merge(claim: &ManagedFieldsEntry) -> bool {
    claim.manager.as_deref() == Some(MANAGED_BY)
        && claim.operation.as_deref() == Some("Update")
        && claim.subresource.is_none()
}

/// Whether a claim was made by the way of `scale`, as autoscalers and `kubectl scale` do. It can be on nothing but the number
/// of pods.
pub fn is_of_scale(claim: &ManagedFieldsEntry) -> bool {
    claim.subresource.as_deref() == Some("scale")
}

/// The claims of an object without those that are given up, if there are any of these. The API server takes no list without
/// any claim.
pub fn without(
    metadata: &ObjectMeta,
    is_given_up: impl Fn(&ManagedFieldsEntry) -> bool,
) -> Option<Vec<ManagedFieldsEntry>> {
    let claims = metadata.managed_fields.as_ref()?;
    let others: Vec<_> = claims.iter().filter(|claim| !is_given_up(claim)).cloned().collect();
    (!others.is_empty() && others.len() < claims.len()).then_some(others)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
    use kube::core::response::{StatusCause, StatusDetails};

    use super::*;

    fn identity() -> Identity {
        Identity { namespace: "todo".to_owned(), name: "todo".to_owned(), uid: "new".to_owned() }
    }

    fn metadata(platform: Option<&str>, owner: Option<(&str, &str)>) -> ObjectMeta {
        ObjectMeta {
            labels: platform.map(|name| [(platform_label(), name.to_owned())].into()),
            owner_references: owner.map(|(kind, uid)| {
                let api_version = if kind == "TodoPlatform" { "todoplatform.dev/v1alpha1" } else { "apps/v1" };
                vec![OwnerReference {
                    api_version: api_version.to_owned(),
                    kind: kind.to_owned(),
                    name: "x".to_owned(),
                    uid: uid.to_owned(),
                    controller: Some(true),
                    block_owner_deletion: None,
                }]
            }),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn what_we_own_stays_ours_even_when_somebody_strips_its_labels() {
        assert_eq!(standing(&identity(), &metadata(None, Some(("TodoPlatform", "new")))), Standing::Ours);
    }

    #[test]
    fn retained_data_of_the_same_name_is_taken_over_and_of_another_is_not() {
        assert_eq!(standing(&identity(), &metadata(Some("todo"), None)), Standing::Ours);
        assert!(matches!(standing(&identity(), &metadata(Some("other"), None)), Standing::Foreign(_)));
    }

    #[test]
    fn what_an_earlier_platform_of_the_same_name_owns_is_waited_for() {
        let old = metadata(Some("todo"), Some(("TodoPlatform", "old")));
        assert!(matches!(standing(&identity(), &old), Standing::Leaving(_)));
    }

    #[test]
    fn objects_of_others_are_foreign() {
        assert!(matches!(standing(&identity(), &metadata(None, None)), Standing::Foreign(_)));
        let copied = metadata(Some("todo"), Some(("ReplicaSet", "rs")));
        assert!(matches!(standing(&identity(), &copied), Standing::Foreign(_)));
    }

    #[test]
    fn what_is_being_deleted_is_waited_for() {
        let mut leaving = metadata(Some("todo"), Some(("TodoPlatform", "new")));
        leaving.deletion_timestamp = Some(Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH));
        assert!(matches!(standing(&identity(), &leaving), Standing::Leaving(_)));
    }

    #[test]
    fn a_refused_apply_names_field_and_manager() {
        let cause = |field: &str| StatusCause {
            reason: "FieldManagerConflict".to_owned(),
            message: "conflict with \"kubectl-edit\" using apps/v1".to_owned(),
            field: field.to_owned(),
        };
        let mut status = Status::failure("Apply failed with 1 conflict", "Conflict");
        status.details = Some(StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: vec![cause(".spec.replicas"), cause(".spec.replicas")],
            retry_after_seconds: 0,
        });
        let expected = FieldConflict { field: ".spec.replicas".to_owned(), manager: "kubectl-edit".to_owned() };
        assert_eq!(field_conflicts(&status), [expected]);
        assert!(field_conflicts(&Status::failure("the object has been modified", "Conflict")).is_empty());
    }

    #[test]
    fn only_our_own_field_managers_are_own() {
        assert!(is_own_manager("todo-operator") && is_own_manager("todo-operator-replicas"));
        assert!(!is_own_manager("todo-operators") && !is_own_manager("helm"));
    }

    #[test]
    fn only_claims_of_our_own_merges_or_of_scale_are_given_up() {
        let entry = |manager: &str, operation: &str, subresource: Option<&str>| ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            operation: Some(operation.to_owned()),
            subresource: subresource.map(str::to_owned),
            ..ManagedFieldsEntry::default()
        };
        let others = vec![
            entry("todo-operator", "Apply", None),
            entry("todo-operator", "Update", Some("status")),
            entry("kubectl-edit", "Update", None),
            entry("kube-controller-manager", "Update", Some("status")),
        ];
        let metadata = |fields: Vec<_>| ObjectMeta { managed_fields: Some(fields), ..ObjectMeta::default() };
        let merge = entry("todo-operator", "Update", None);
        let scale = entry("kube-controller-manager", "Update", Some("scale"));
        for (given_up, claim) in [(is_own_merge as fn(&_) -> _, merge), (is_of_scale, scale)] {
            assert_eq!(without(&metadata(others.clone()), given_up), None);
            assert_eq!(without(&metadata(vec![claim.clone()]), given_up), None);
            let with_claim = [others.clone(), vec![claim]].concat();
            assert_eq!(without(&metadata(with_claim), given_up), Some(others.clone()));
        }
    }
}
