//! Service of embedded PostgreSQL.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use crate::{build::owned, labels, names, resolve::Resolved};

/// Service of the server.
pub(super) fn build(platform: &Resolved) -> Service {
    Service {
        metadata: owned(platform, names::POSTGRES, Some(names::POSTGRES)),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(labels::selector(names::POSTGRES)),
            ports: Some(vec![ServicePort {
                name: Some("postgres".to_owned()),
                protocol: Some("TCP".to_owned()),
                port: i32::from(names::POSTGRES_PORT),
                target_port: Some(IntOrString::Int(i32::from(names::POSTGRES_PORT))),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
