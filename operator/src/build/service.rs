//! Services within the cluster.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::owned;
use crate::{labels, resolve::Resolved};

/// One port of a Service.
pub(super) struct Port {
    pub(super) name: &'static str,
    pub(super) number: u16,
    pub(super) target: u16,
}

/// Service to the pods of `component`, and of its name.
pub(super) fn build(platform: &Resolved, component: &str, port: &Port) -> Service {
    Service {
        metadata: owned(platform, component, Some(component)),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(labels::selector(component)),
            ports: Some(vec![ServicePort {
                name: Some(port.name.to_owned()),
                protocol: Some("TCP".to_owned()),
                port: i32::from(port.number),
                target_port: Some(IntOrString::Int(i32::from(port.target))),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
