//! Pod templates and selectors. **Do not accept a new snapshot lightly**: a changed template restarts every pod of
//! everybody who upgrades the operator, and a changed selector makes every upgrade fail.

use serde_json::Value;

use crate::support::{DEFAULT, objects, pod_templates, resolve};

#[test]
fn selectors_never_change() {
    let made = objects(&resolve(DEFAULT, "{}"));
    for app in ["backend-service", "notification-service", "recurring-task-service", "frontend-service"] {
        let selector = &made[&format!("Deployment/{app}")]["spec"]["selector"];
        assert_eq!(selector, &serde_json::json!({"matchLabels": {"app": app}}));
    }
    for embedded in ["kafka", "postgres"] {
        let selector = &made[&format!("StatefulSet/{embedded}")]["spec"]["selector"];
        assert_eq!(selector, &serde_json::json!({"matchLabels": {"app": embedded}}));
    }
}

#[test]
fn pod_templates_never_change_for_the_same_spec_and_images() {
    let templates = pod_templates(&resolve(DEFAULT, "{}"));
    let yaml = serde_yaml::to_string(&templates).unwrap();
    insta::assert_snapshot!(yaml);
}

#[test]
fn a_new_release_of_the_operator_changes_no_template_of_a_pinned_version() {
    use crate::support::{found, platform, settings};
    use todo_operator::resolve::{Settings, validate};

    let pinned = platform(DEFAULT, "{version: 0.1.0}");
    let now = validate(&pinned, &settings(), &found()).unwrap();
    let later = Settings { operator_version: "9.9.9".to_owned(), ..settings() };
    let later = validate(&pinned, &later, &found()).unwrap();
    assert_eq!(pod_templates(&now), pod_templates(&later));
}

#[test]
fn the_app_is_the_first_container() {
    for (key, template) in pod_templates(&resolve(DEFAULT, "{}")) {
        let first: &Value = &template["spec"]["containers"][0]["name"];
        let name = key.split('/').nth(1).unwrap().trim_end_matches("-service").to_owned();
        assert_eq!(first.as_str(), Some(name.as_str()), "{key}");
    }
}
