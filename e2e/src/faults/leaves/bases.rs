//! The specs that fields are changed in. Of Kafka and of PostgreSQL there is one of several, and some fields need others beside
//! them.

use serde_json::{Value, json};

/// The spec in which a field can be set, by the field's name.
pub(super) fn of(leaf: &str) -> Value {
    let is_under = |part: &str| leaf.starts_with(part);
    let mut spec = json!({"kafka": kafka(leaf), "postgres": postgres(leaf), "deletionPolicy": "Delete"});
    if is_under("spec.dapr.tracing.") {
        spec["dapr"] = json!({"tracing": {"endpoint": "http://collector.example:4318"}});
    } else if is_under("spec.notifications.email.") {
        let (username, password) = (secret("username"), secret("password"));
        let smtp =
            json!({"host": "smtp.example.com", "from": "todo@example.com", "username": username, "password": password});
        spec["notifications"] = json!({"email": {"smtp": smtp}});
    } else if is_under("spec.notifications.webPush.") {
        spec["notifications"] = json!({"webPush": {"subject": "mailto:admin@example.com"}});
    } else if let Some((service, _)) =
        leaf.strip_prefix("spec.services.").and_then(|field| field.split_once(".tolerations[]."))
    {
        spec["services"] = json!({service: {"tolerations": [{"key": "leaf.example/taint", "effect": "NoExecute"}]}});
    } else if let Some((service, affinity)) =
        leaf.strip_prefix("spec.services.").and_then(|field| field.split_once(".affinity."))
        && let Some(affinity) = compared(affinity)
    {
        spec["services"] = json!({service: {"affinity": affinity}});
    }
    spec
}

/// An affinity in which a part of a comparison can be set: its operator and its values have to go together.
fn compared(leaf: &str) -> Option<Value> {
    let (list, field) = leaf.rsplit_once("[].")?;
    let (above, list) = list.rsplit_once('.')?;
    let one = match (list, field) {
        ("matchFields", _) => json!({"key": "metadata.name", "operator": "In", "values": ["node"]}),
        ("matchExpressions", "values[]") => json!({"key": "leaf.example/label", "operator": "In", "values": ["x"]}),
        ("matchExpressions", _) => json!({"key": "leaf.example/label", "operator": "Exists"}),
        _ => return None,
    };
    let within = |inner: Value, step: &str| {
        let mut fields = match step {
            "preference" | "podAffinityTerm" => json!({"weight": 1}),
            "labelSelector" | "namespaceSelector" => json!({"topologyKey": "leaf.example/zone"}),
            _ => json!({}),
        };
        match step.strip_suffix("[]") {
            Some(list) => fields[list] = json!([inner]),
            None => fields[step] = inner,
        }
        fields
    };
    Some(above.rsplit('.').fold(json!({list: [one]}), within))
}

fn kafka(leaf: &str) -> Value {
    // Nobody listens there. The services are made all the same.
    let brokers = json!(["127.0.0.1:9"]);
    match leaf {
        _ if leaf.starts_with("spec.kafka.embedded.") => json!({"embedded": {}}),
        _ if leaf.starts_with("spec.kafka.strimzi.") => json!({"strimzi": {}}),
        _ if leaf.starts_with("spec.kafka.external.auth.mtls.") => {
            let mtls = json!({"certificate": secret("certificate"), "key": secret("key")});
            json!({"external": {"brokers": brokers, "tls": {"caCertificate": secret("authority")}, "auth": {"mtls": mtls}}})
        }
        _ => json!({"external": {"brokers": brokers}}),
    }
}

fn postgres(leaf: &str) -> Value {
    match leaf {
        _ if leaf.starts_with("spec.postgres.cloudNativePg.") => json!({"cloudNativePg": {}}),
        _ if leaf.starts_with("spec.postgres.external.") => json!({"external": {"connectionString": secret("uri")}}),
        _ => json!({"embedded": {}}),
    }
}

/// One that is not there.
fn secret(key: &str) -> Value {
    json!({"secretKeyRef": {"name": "absent", "key": key}})
}

/// Whether the services of a platform of this spec are made where nothing runs.
pub(super) fn makes_services(spec: &Value) -> bool {
    *spec == of("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_set_where_it_can_be() {
        assert!(makes_services(&of("spec.version")));
        let spec = of("spec.kafka.strimzi.replicas");
        assert!(
            spec["kafka"]["strimzi"].is_object() && spec["postgres"]["embedded"].is_object() && !makes_services(&spec)
        );
        let tolerations = &of("spec.services.backend.tolerations[].value")["services"]["backend"]["tolerations"];
        assert_eq!(tolerations[0]["effect"], "NoExecute");
        for (leaf, affinity) in [
            (
                "nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[].preference.matchFields[].operator",
                json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference":
                    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node"]}]}}]}}),
            ),
            (
                "podAffinity.requiredDuringSchedulingIgnoredDuringExecution[].labelSelector.matchExpressions[].values[]",
                json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "leaf.example/zone",
                    "labelSelector": {"matchExpressions":
                        [{"key": "leaf.example/label", "operator": "In", "values": ["x"]}]}}]}}),
            ),
        ] {
            let of_leaf = of(&format!("spec.services.backend.affinity.{leaf}"));
            assert_eq!(of_leaf["services"]["backend"]["affinity"], affinity, "{leaf}");
        }
        let weight = "nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight";
        assert!(makes_services(&of(&format!("spec.services.backend.affinity.{weight}"))));
        assert!(of("spec.postgres.external.connectionString.secretKeyRef.name")["postgres"]["external"].is_object());
    }
}
