use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{rules, schema};

/// How the page is reached from outside: by an Ingress, or with `gateway` by an `HTTPRoute`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "!has(self.gateway) || !(has(self.className) || has(self.annotations) || has(self.tlsSecretName))"
).message("className, annotations and tlsSecretName are an Ingress's; leave them out with gateway, whose Gateway has the certificate"))]
pub struct IngressSpec {
    /// Host name.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = rules::text(
            r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
            "write a host name in small letters, for example todo.example.com"
        ),
        validation = rules::no_address()
    )]
    pub host: String,
    /// Class of the Ingress; the cluster's default if absent.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name("an IngressClass"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// Annotations of the Ingress, for its controller.
    #[schemars(schema_with = "schema::annotations")]
    #[x_kube(validation = rules::keys())]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Secret of type `kubernetes.io/tls` for the host; plain HTTP if absent.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name("a Secret"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_secret_name: Option<String>,
    /// A Gateway in the platform's namespace, in place of an Ingress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewaySpec>,
}

/// A Gateway in the platform's namespace.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// Name of the Gateway.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name("a Gateway"))]
    pub name: String,
    /// One of its listeners; all if absent.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name("a listener"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}
