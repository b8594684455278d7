//! Whether a plan has pods begin, which read Secrets then. Pure.

use super::{Action, Plan, gate::unread};

impl Plan {
    /// Whether it has pods begin, or begin anew, with other Secrets or settings than those that run, now and not only when
    /// what they read is written.
    pub fn begins_pods(&self) -> bool {
        self.steps.iter().any(|step| {
            matches!(step.action, Action::Apply { reads_anew: true, .. }) && unread(&self.held, step.wave).is_none()
        })
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{ApiResource, DynamicObject};
    use serde_json::json;

    use super::*;
    use crate::{
        build::Wave,
        names::config_hash_annotation,
        plan::{Held, Hold, Key, Step, keep::reads_anew},
    };

    fn deployment(hash: &str, replicas: i32) -> DynamicObject {
        let mut object = DynamicObject::new("app", &resource());
        let template = json!({"metadata": {"annotations": {config_hash_annotation(): hash}}});
        object.data = json!({"spec": {"replicas": replicas, "template": template}});
        object
    }

    fn resource() -> ApiResource {
        ApiResource::erase::<k8s_openapi::api::apps::v1::Deployment>(&())
    }

    fn key() -> Key {
        Key { kind: "Deployment".to_owned(), name: "app".to_owned() }
    }

    fn plan(body: DynamicObject, current: Option<&DynamicObject>) -> Plan {
        let reads_anew = reads_anew(&body, current);
        let body = Box::new(body);
        let action = Action::Apply { body, present: None, reads_anew };
        let step = Step { wave: Wave::Workload, key: key(), resource: resource(), action };
        Plan { steps: vec![step], ..Plan::default() }
    }

    #[test]
    fn pods_begin_where_none_are_and_where_those_that_are_have_read_something_else() {
        let some = deployment("one", 1);
        assert!(plan(deployment("one", 1), None).begins_pods());
        assert!(plan(deployment("another", 1), Some(&some)).begins_pods());
        assert!(!plan(deployment("one", 2), Some(&some)).begins_pods(), "more of the same need nothing that is new");
        assert!(!plan(DynamicObject::new("app", &resource()), None).begins_pods(), "it has no pods");
        assert!(!Plan::default().begins_pods());
    }

    #[test]
    fn no_pods_begin_while_what_they_read_is_not_written() {
        let key = Key { kind: "Component".to_owned(), name: "statestore".to_owned() };
        let held = vec![Held { key, wave: Wave::Dapr, hold: Hold::Leaving, reason: String::new() }];
        assert!(!Plan { held, ..plan(deployment("one", 1), None) }.begins_pods());
    }
}
