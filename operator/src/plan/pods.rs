//! Whether a plan has pods begin, which read Secrets then. Pure.

use super::{Action, Live, Plan, keep::config_hash};

impl Plan {
    /// Whether it has pods begin, or begin anew, with other Secrets or settings than those of `live`.
    pub fn begins_pods(&self, live: &Live) -> bool {
        let path = config_hash();
        self.steps.iter().any(|step| {
            let Action::Apply { body, .. } = &step.action else { return false };
            let running = live.objects.get(&step.key).and_then(|current| current.data.pointer(&path));
            body.data.pointer(&path).is_some_and(|wanted| Some(wanted) != running)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kube::core::{ApiResource, DynamicObject};
    use serde_json::json;

    use super::*;
    use crate::{
        build::Wave,
        names::config_hash_annotation,
        plan::{Key, Step},
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

    fn plan(body: DynamicObject) -> Plan {
        let body = Box::new(body);
        let action = Action::Apply { body, uid: None, version: None, hand_over: None, takes_over: false };
        let step = Step { wave: Wave::Workload, key: key(), resource: resource(), action };
        Plan { steps: vec![step], ..Plan::default() }
    }

    #[test]
    fn pods_begin_where_none_are_and_where_those_that_are_have_read_something_else() {
        let none = Live::default();
        let some = Live { objects: [(key(), Arc::new(deployment("one", 1)))].into(), ..Live::default() };
        assert!(plan(deployment("one", 1)).begins_pods(&none));
        assert!(plan(deployment("another", 1)).begins_pods(&some));
        assert!(!plan(deployment("one", 2)).begins_pods(&some), "more of the same need nothing that is new");
        assert!(!plan(DynamicObject::new("app", &resource())).begins_pods(&none), "it has no pods");
        assert!(!Plan::default().begins_pods(&none));
    }
}
