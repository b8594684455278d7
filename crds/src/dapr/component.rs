use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::TypeMeta;
use serde::{Deserialize, Serialize};

use super::dapr_resource;

/// A building block that sidecars load: a broker, a store, a binding.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// `apiVersion` and `kind`.
    #[serde(flatten)]
    pub types: TypeMeta,
    /// Name, namespace, labels.
    pub metadata: ObjectMeta,
    /// What it is and how it is set up.
    pub spec: ComponentSpec,
    /// Where `secretKeyRef` is looked up; absent means Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// App ids whose sidecars load it. **Empty means every Dapr app of the namespace**, so one is always set here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}
dapr_resource!(Component, "components");

impl Component {
    /// A component that every app would load until `scopes` is set.
    pub fn new(name: &str, spec: ComponentSpec) -> Self {
        Self {
            types: TypeMeta::resource::<Self>(),
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            spec,
            auth: None,
            scopes: Vec::new(),
        }
    }
}

/// What a [`Component`] is and how it is set up.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentSpec {
    /// For example `pubsub.kafka`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Version of the component's implementation, not of what it talks to.
    pub version: String,
    /// Settings. Dapr's schema requires the list, empty or not.
    #[serde(default)]
    pub metadata: Vec<MetadataItem>,
    /// How long a sidecar tries before it gives up; Dapr's own default is 5 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_timeout: Option<String>,
}

impl ComponentSpec {
    /// A component with Dapr's default for everything else.
    pub fn new(type_: &str, version: &str, metadata: Vec<MetadataItem>) -> Self {
        Self { type_: type_.to_owned(), version: version.to_owned(), metadata, init_timeout: None }
    }
}

/// One setting of a component.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetadataItem {
    /// Name as the component's implementation knows it; unknown ones are ignored without a word.
    pub name: String,
    /// The value; the operator writes text only, as Dapr turns all others into text anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// Where the value is kept instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
}

impl MetadataItem {
    /// A setting whose value everybody may read.
    pub fn value(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: Some(serde_json::Value::String(value.into())), secret_key_ref: None }
    }

    /// A setting whose value is in a Secret.
    pub fn secret(name: &str, secret: &str, key: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: None,
            secret_key_ref: Some(SecretKeyRef { name: secret.to_owned(), key: key.to_owned() }),
        }
    }
}

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct SecretKeyRef {
    /// Name of the Secret in the component's namespace.
    pub name: String,
    /// Key in its data.
    pub key: String,
}

/// Which secret store a component's references are looked up in.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// Name of a secret store component.
    pub secret_store: String,
}
