//! Who a service is, and what it may read.

use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
};

use crate::{
    build::{owned, pod::texts, secrets},
    names::App,
    resolve::Resolved,
};

/// Account of one service.
pub(super) fn service_account(platform: &Resolved, app: App) -> ServiceAccount {
    ServiceAccount {
        metadata: owned(platform, app.id(), Some(app.id())),
        // Other pods that name this account get no token without asking for one.
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// Leave to get exactly the Secrets that the service reads through its sidecar; none for one that reads none.
pub(super) fn role_and_binding(platform: &Resolved, app: App) -> Option<(Role, RoleBinding)> {
    let secrets: Vec<String> = secrets::readable_by(platform, app).into_iter().collect();
    if secrets.is_empty() {
        return None;
    }
    let role = Role {
        metadata: owned(platform, app.id(), Some(app.id())),
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(texts(&["secrets"])),
            resource_names: Some(secrets),
            verbs: texts(&["get"]),
            ..PolicyRule::default()
        }]),
    };
    let binding = RoleBinding {
        metadata: owned(platform, app.id(), Some(app.id())),
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "Role".to_owned(),
            name: app.id().to_owned(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: app.id().to_owned(),
            namespace: Some(platform.namespace.clone()),
            ..Subject::default()
        }]),
    };
    Some((role, binding))
}
