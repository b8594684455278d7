//! The specs that fields are changed in. Of Kafka and of PostgreSQL there is one of several, and what belongs to another cannot
//! be set beside it.

use serde_json::{Value, json};

/// The spec in which a field can be set, by the field's name.
pub(super) fn of(leaf: &str) -> Value {
    let is_under = |part: &str| leaf.starts_with(part);
    let connection = json!({"secretKeyRef": {"name": "postgres-connection", "key": "connection-string"}});
    let kafka = match leaf {
        _ if is_under("spec.kafka.embedded.") => json!({"embedded": {}}),
        _ if is_under("spec.kafka.strimzi.") => json!({"strimzi": {}}),
        // Nobody listens there. The services are made all the same.
        _ => json!({"external": {"brokers": ["127.0.0.1:9"]}}),
    };
    let postgres = match leaf {
        _ if is_under("spec.postgres.cloudNativePg.") => json!({"cloudNativePg": {}}),
        _ if is_under("spec.postgres.external.") => json!({"external": {"connectionString": connection}}),
        _ => json!({"embedded": {}}),
    };
    json!({"kafka": kafka, "postgres": postgres, "deletionPolicy": "Delete"})
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
        assert!(of("spec.postgres.external.caSecretRef.name")["postgres"]["external"].is_object());
    }
}
