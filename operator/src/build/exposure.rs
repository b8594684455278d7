//! How the page is reached from outside the cluster.

use k8s_openapi::{
    api::networking::v1::{
        HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
        IngressSpec, IngressTLS, ServiceBackendPort,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::json;

use super::{Object, Policy, Wave, owned, pod::some_map};
use crate::{
    names::App,
    resolve::{Exposure, Resolved},
};

/// The Ingress or `HTTPRoute`, if one is asked for.
pub(super) fn object(platform: &Resolved) -> Option<Object> {
    Some(match platform.exposure.as_ref()? {
        Exposure::Ingress { host, class, annotations, tls_secret } => {
            let mut metadata = owned(platform, App::Frontend.id(), Some(App::Frontend.id()));
            metadata.annotations = some_map(annotations.clone());
            let ingress = ingress(metadata, host, class.as_ref(), tls_secret.as_ref());
            Object::of(Wave::Workload, Policy::Apply, &ingress)
        }
        Exposure::HttpRoute { host, gateway, section } => http_route(platform, host, gateway, section.as_deref()),
    })
}

fn ingress(metadata: ObjectMeta, host: &str, class: Option<&String>, tls_secret: Option<&String>) -> Ingress {
    let path = HTTPIngressPath {
        path: Some("/".to_owned()),
        path_type: "Prefix".to_owned(),
        backend: IngressBackend {
            service: Some(IngressServiceBackend {
                name: App::Frontend.id().to_owned(),
                port: Some(ServiceBackendPort { name: Some("http".to_owned()), number: None }),
            }),
            resource: None,
        },
    };
    Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: class.cloned(),
            rules: Some(vec![IngressRule {
                host: Some(host.to_owned()),
                http: Some(HTTPIngressRuleValue { paths: vec![path] }),
            }]),
            tls: tls_secret.map(|secret| {
                vec![IngressTLS { hosts: Some(vec![host.to_owned()]), secret_name: Some(secret.clone()) }]
            }),
            default_backend: None,
        }),
        status: None,
    }
}

fn http_route(platform: &Resolved, host: &str, gateway: &str, section: Option<&str>) -> Object {
    let resource = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute"),
        "httproutes",
    );
    let mut parent = json!({"name": gateway});
    if let Some(section) = section {
        parent["sectionName"] = json!(section);
    }
    let mut body = DynamicObject::new(App::Frontend.id(), &resource).data(json!({
        "spec": {
            "parentRefs": [parent],
            "hostnames": [host],
            "rules": [{"backendRefs": [{"name": App::Frontend.id(), "port": 80}]}],
        },
    }));
    body.metadata = owned(platform, App::Frontend.id(), Some(App::Frontend.id()));
    Object { wave: Wave::Workload, policy: Policy::Apply, body, resource }
}
