//! The Dapr kinds that the operator writes, as Rust types.
//!
//! Dapr's own CRDs define far more than is here; a field is added when the operator writes it. None of these kinds has a
//! status, so what Dapr made of an object is asked of the sidecars instead. Empty fields are never serialised: with
//! server-side apply an empty list or text would be a claim of ownership, and the API server would drop some of them,
//! so that the next comparison finds a difference that is none.
//!
//! There is no `Subscription` here on purpose: the services answer `GET /dapr/subscribe` themselves.

mod component;
mod configuration;
mod resiliency;

pub use component::{Auth, Component, ComponentSpec, MetadataItem, SecretKeyRef};
pub use configuration::{
    AccessControl, Action, ApiLogging, AppPolicy, Configuration, ConfigurationSpec, HttpMetric, Logging, Metric,
    Operation, Otel, OtelProtocol, SecretScope, Secrets, Tracing,
};
pub use resiliency::{
    CircuitBreaker, ComponentTargets, Policies, PolicyNames, Resiliency, ResiliencySpec, Retry, RetryPolicy, Targets,
};

/// Implements [`kube::Resource`] for a struct with `types` and `metadata` fields.
///
/// kube's derive cannot be used: it knows only `spec` and `status` at the top level, and Dapr puts `scopes` and `auth`
/// there.
macro_rules! dapr_resource {
    ($kind:ident, $plural:literal) => {
        impl kube::Resource for $kind {
            type DynamicType = ();
            type Scope = k8s_openapi::NamespaceResourceScope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                stringify!($kind).into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                "dapr.io".into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                "v1alpha1".into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
use dapr_resource;

#[cfg(test)]
mod tests {
    use kube::Resource;

    use super::*;

    #[test]
    fn every_kind_has_the_names_that_daprs_crds_give_it() {
        assert_eq!(Component::url_path(&(), Some("todo")), "/apis/dapr.io/v1alpha1/namespaces/todo/components");
        assert_eq!(Configuration::url_path(&(), Some("todo")), "/apis/dapr.io/v1alpha1/namespaces/todo/configurations");
        assert_eq!(Resiliency::url_path(&(), Some("todo")), "/apis/dapr.io/v1alpha1/namespaces/todo/resiliencies");
    }

    #[test]
    fn a_component_is_written_with_its_kind_and_without_empty_fields() {
        let component = Component::new(
            "statestore",
            ComponentSpec::new("state.postgresql", "v1", vec![MetadataItem::secret("connectionString", "pg", "url")]),
        );
        assert_eq!(
            serde_json::to_value(&component).unwrap(),
            serde_json::json!({
                "apiVersion": "dapr.io/v1alpha1",
                "kind": "Component",
                "metadata": {"name": "statestore"},
                "spec": {
                    "type": "state.postgresql",
                    "version": "v1",
                    "metadata": [{"name": "connectionString", "secretKeyRef": {"name": "pg", "key": "url"}}],
                },
            })
        );
    }

    #[test]
    fn what_a_user_writes_with_fields_that_we_do_not_know_is_read() {
        let yaml = "
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: x}
spec:
  type: pubsub.kafka
  version: v1
  metadata: [{name: brokers, value: 'kafka:9092'}, {name: limit, value: 5}]
  somethingNewer: true
scopes: [backend-service]
";
        let component: Component = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(component.scopes, ["backend-service"]);
        assert_eq!(component.spec.metadata.len(), 2);
    }
}
