//! Labels and selectors. A selector cannot be changed on an existing Deployment, so these never change once released;
//! a golden test holds them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::names::{App, platform_label};

/// Value of `app.kubernetes.io/managed-by` on all that the operator makes; also its field manager.
pub const MANAGED_BY: &str = "todo-operator";

/// What selects all that the operator makes.
pub fn managed_selector() -> String {
    format!("app.kubernetes.io/managed-by={MANAGED_BY}")
}

/// Labels of an object: `component` is what it serves (an app id, `kafka`, `postgres`), or the platform as a whole.
///
/// `app.kubernetes.io/version` is left to the callers that want it: on a pod template it would restart pods whose image
/// did not change.
pub fn object(platform: &str, component: Option<&str>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        ("app.kubernetes.io/instance".to_owned(), platform.to_owned()),
        ("app.kubernetes.io/managed-by".to_owned(), MANAGED_BY.to_owned()),
        ("app.kubernetes.io/name".to_owned(), component.unwrap_or("todo-platform").to_owned()),
        ("app.kubernetes.io/part-of".to_owned(), "todo-platform".to_owned()),
        (platform_label(), platform.to_owned()),
    ]);
    if let Some(component) = component {
        labels.insert("app".to_owned(), component.to_owned());
        labels.insert("app.kubernetes.io/component".to_owned(), role(component).to_owned());
    }
    labels
}

/// Labels of the pods of `component`: the same for each release, so that an upgrade alone restarts nothing.
pub fn pod(platform: &str, component: &str) -> BTreeMap<String, String> {
    object(platform, Some(component))
}

/// What selects the pods of `component`. It is the specification's, and enough: a namespace holds one platform.
pub fn selector(component: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("app".to_owned(), component.to_owned())])
}

/// [`selector`] in the form that most kinds want.
pub fn label_selector(component: &str) -> LabelSelector {
    LabelSelector { match_labels: Some(selector(component)), ..LabelSelector::default() }
}

fn role(component: &str) -> &str {
    match component {
        "kafka" => "broker",
        "postgres" => "database",
        other if other == App::Frontend.id() => "web",
        _ => "service",
    }
}
