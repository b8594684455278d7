//! Services of the services.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use crate::{build::owned, labels, names::App, resolve::Resolved};

/// Service of one app: port 80 to the app's port.
///
/// Dapr makes another one, `<app id>-dapr`, by which sidecars find each other; it is not ours.
pub(super) fn build(platform: &Resolved, app: App) -> Service {
    Service {
        metadata: owned(platform, app.id(), Some(app.id())),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(labels::selector(app.id())),
            ports: Some(vec![ServicePort {
                name: Some("http".to_owned()),
                protocol: Some("TCP".to_owned()),
                port: 80,
                target_port: Some(IntOrString::Int(i32::from(app.port()))),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
