//! Network policies: one per service and per embedded part, each the whole list of what may reach it and what it may
//! reach. Policies add up, so a cluster with needs of its own adds one beside these.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use todo_crds::{cloud_native_pg, strimzi};

use super::{Object, Policy, Wave, owned, pod::texts};
use crate::{
    labels::{self, MANAGED_BY},
    names::{self, App},
    resolve::{self, KafkaMode, PostgresMode, Resolved},
};

/// Pod ports of Dapr's sentry, operator, placement and scheduler.
const DAPR_CONTROL_PLANE: [u16; 4] = [6500, 50001, 50005, 50006];
/// Ports of API servers. They run outside of the pods' network, so there is nothing but addresses to select them by.
const API_SERVER: [u16; 2] = [443, 6443];
/// Where NodeLocal DNSCache listens, which is on the node and no pod.
const NODE_LOCAL_DNS: &str = "169.254.20.10/32";

/// All network policies, or none if they are not wanted.
pub(super) fn objects(platform: &Resolved) -> Vec<Object> {
    let Some(cluster) = &platform.network_policy else { return Vec::new() };
    let mut policies: Vec<NetworkPolicy> = App::ALL.iter().map(|app| of_app(platform, cluster, *app)).collect();
    if matches!(platform.kafka.mode, KafkaMode::Embedded(_)) {
        // The operator makes the topics.
        let clients = backed().into_iter().chain([operator(cluster)]).collect();
        policies.push(policy(platform, names::KAFKA, vec![allow_from(clients, &[names::KAFKA_PORT])], Vec::new()));
    }
    if matches!(platform.postgres.mode, PostgresMode::Embedded(_)) {
        let rules = vec![allow_from(backed(), &[names::POSTGRES_PORT])];
        policies.push(policy(platform, names::POSTGRES, rules, Vec::new()));
    }
    policies.iter().map(|policy| Object::of(Wave::Foundation, Policy::Apply, policy)).collect()
}

/// The pods that speak to Kafka and PostgreSQL.
pub(super) fn backed() -> Vec<NetworkPolicyPeer> {
    App::ALL.into_iter().filter(|app| app.has_backing_services()).map(|app| pods(app.id())).collect()
}

fn of_app(platform: &Resolved, cluster: &resolve::NetworkPolicy, app: App) -> NetworkPolicy {
    policy(platform, app.id(), let_in(cluster, app), let_out(platform, cluster, app))
}

fn let_in(cluster: &resolve::NetworkPolicy, app: App) -> Vec<NetworkPolicyIngressRule> {
    let mut rules = vec![
        allow_from(vec![operator(cluster)], &[names::DAPR_PUBLIC_PORT, names::MANAGEMENT_PORT]),
        allow_from(vec![namespace(&cluster.monitoring_namespace)], &[names::MANAGEMENT_PORT, names::DAPR_METRICS_PORT]),
    ];
    if !app.callers().is_empty() {
        let callers = app.callers().iter().map(|caller| pods(caller.id())).collect();
        rules.push(allow_from(callers, &[names::DAPR_INTERNAL_PORT]));
    }
    if app == App::Frontend {
        rules.push(NetworkPolicyIngressRule { from: None, ports: Some(tcp(&[app.port()])) });
    }
    rules
}

fn let_out(platform: &Resolved, cluster: &resolve::NetworkPolicy, app: App) -> Vec<NetworkPolicyEgressRule> {
    let mut rules = vec![dns(), allow_to(vec![namespace(&cluster.dapr_namespace)], &DAPR_CONTROL_PLANE)];
    let callees = App::ALL.into_iter().filter(|callee| callee.callers().contains(&app));
    let callees: Vec<_> = callees.map(|callee| pods(callee.id())).collect();
    if !callees.is_empty() {
        rules.push(allow_to(callees, &[names::DAPR_INTERNAL_PORT]));
    }
    let mut outside = outside(platform, app);
    if app.has_backing_services() {
        let backing = backing(platform, cluster);
        rules.extend(backing.rules);
        outside.extend(backing.outside);
    }
    if !outside.is_empty() {
        let ports: Vec<u16> = outside.into_iter().collect();
        rules.push(NetworkPolicyEgressRule { to: None, ports: Some(tcp(&ports)) });
    }
    rules
}

/// The way to what stands behind services.
struct Backing {
    rules: Vec<NetworkPolicyEgressRule>,
    /// Ports of every address. Names cannot be written into a policy.
    outside: BTreeSet<u16>,
}

/// The way to Kafka, PostgreSQL and the API server, where the sidecars read Secrets.
fn backing(platform: &Resolved, cluster: &resolve::NetworkPolicy) -> Backing {
    let (mut rules, mut outside) = (Vec::new(), BTreeSet::new());
    match &platform.kafka.mode {
        KafkaMode::Embedded(_) => rules.push(allow_to(vec![pods(names::KAFKA)], &[names::KAFKA_PORT])),
        KafkaMode::External(external) => outside.extend(external.brokers.iter().filter_map(|b| broker_port(b))),
        KafkaMode::Strimzi(_) => rules.push(allow_to(vec![strimzi_nodes()], &[names::KAFKA_TLS_PORT])),
    }
    match &platform.postgres.mode {
        PostgresMode::Embedded(_) => rules.push(allow_to(vec![pods(names::POSTGRES)], &[names::POSTGRES_PORT])),
        PostgresMode::External { port } => {
            outside.insert(*port);
        }
        PostgresMode::CloudNativePg(_) => {
            let servers = labelled(&[(cloud_native_pg::CLUSTER_LABEL, names::POSTGRES)]);
            rules.push(allow_to(vec![servers], &[names::POSTGRES_PORT]));
        }
    }
    if cluster.api_server.is_empty() {
        outside.extend(API_SERVER);
    } else {
        rules.push(allow_to(cluster.api_server.iter().map(addresses).collect(), &API_SERVER));
    }
    Backing { rules, outside }
}

/// Ports of every address that a service reaches for what is configured.
fn outside(platform: &Resolved, app: App) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    if let (App::Backend, Some(ai)) = (app, &platform.ai) {
        ports.insert(ai.base_url.as_deref().and_then(url_port).unwrap_or(443));
    }
    if app == App::Notification {
        ports.extend(channel_ports(&platform.notifications));
    }
    if let Some(tracing) = &platform.dapr.tracing {
        ports.extend(url_port(&tracing.endpoint));
    }
    ports
}

/// Ports of mail, ntfy and push services and of users' webhooks.
fn channel_ports(notifications: &resolve::Notifications) -> BTreeSet<u16> {
    let mut ports: BTreeSet<u16> = notifications.smtp.iter().map(|smtp| smtp.port).collect();
    ports.extend(notifications.ntfy.as_deref().and_then(url_port));
    let push = notifications.web_push.as_ref().map(|push| &push.outbound);
    ports.extend(push.into_iter().chain(&notifications.webhooks).flat_map(|outbound| outbound.ports.iter().copied()));
    ports
}

fn policy(
    platform: &Resolved,
    component: &str,
    ingress: Vec<NetworkPolicyIngressRule>,
    egress: Vec<NetworkPolicyEgressRule>,
) -> NetworkPolicy {
    NetworkPolicy {
        metadata: owned(platform, component, Some(component)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labels::label_selector(component)),
            policy_types: Some(texts(&["Ingress", "Egress"])),
            ingress: Some(ingress),
            // Without a rule nothing may be reached. Said even so, as the rules are only then ours and nobody may add to them.
            egress: Some(egress),
        }),
    }
}

fn pods(component: &str) -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(labels::label_selector(component)), ..NetworkPolicyPeer::default() }
}

/// Pods that another operator makes.
fn labelled(labels: &[(&str, &str)]) -> NetworkPolicyPeer {
    let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
    let selector = LabelSelector { match_labels: Some(labels), ..LabelSelector::default() };
    NetworkPolicyPeer { pod_selector: Some(selector), ..NetworkPolicyPeer::default() }
}

fn strimzi_nodes() -> NetworkPolicyPeer {
    labelled(&[(strimzi::CLUSTER_LABEL, names::KAFKA), (strimzi::NAME_LABEL, names::KAFKA_NODES)])
}

fn namespace(name: &str) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(matching("kubernetes.io/metadata.name", name)),
        ..NetworkPolicyPeer::default()
    }
}

fn operator(cluster: &resolve::NetworkPolicy) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(matching("app.kubernetes.io/name", MANAGED_BY)),
        ..namespace(&cluster.operator_namespace)
    }
}

fn addresses(range: &impl ToString) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        ip_block: Some(IPBlock { cidr: range.to_string(), except: None }),
        ..NetworkPolicyPeer::default()
    }
}

fn dns() -> NetworkPolicyEgressRule {
    let cluster_dns =
        NetworkPolicyPeer { pod_selector: Some(matching("k8s-app", "kube-dns")), ..namespace("kube-system") };
    let node_local = addresses(&NODE_LOCAL_DNS);
    let ports = ["TCP", "UDP"].map(|protocol| NetworkPolicyPort {
        port: Some(IntOrString::Int(53)),
        protocol: Some(protocol.to_owned()),
        end_port: None,
    });
    NetworkPolicyEgressRule { to: Some(vec![cluster_dns, node_local]), ports: Some(ports.to_vec()) }
}

fn matching(label: &str, value: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(label.to_owned(), value.to_owned())])),
        ..LabelSelector::default()
    }
}

fn allow_from(peers: Vec<NetworkPolicyPeer>, ports: &[u16]) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule { from: Some(peers), ports: Some(tcp(ports)) }
}

fn allow_to(peers: Vec<NetworkPolicyPeer>, ports: &[u16]) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { to: Some(peers), ports: Some(tcp(ports)) }
}

fn tcp(ports: &[u16]) -> Vec<NetworkPolicyPort> {
    ports
        .iter()
        .map(|port| NetworkPolicyPort {
            port: Some(IntOrString::Int(i32::from(*port))),
            protocol: Some("TCP".to_owned()),
            end_port: None,
        })
        .collect()
}

fn broker_port(broker: &str) -> Option<u16> {
    broker.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
}

/// Port of a URL, by its scheme if it names none.
fn url_port(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    // Behind an IPv6 address in brackets, if it is one.
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, tail)| tail);
    match after_host.rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None if scheme == "http" => Some(80),
        None => Some(443),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_in_urls_with_and_without_them() {
        for (url, port) in [
            ("http://collector:4317", Some(4317)),
            ("https://api.example.com/v1", Some(443)),
            ("http://[fd00::1]:4318/v1", Some(4318)),
            ("http://[fd00::1]/v1", Some(80)),
            ("collector:4317", None),
        ] {
            assert_eq!(url_port(url), port, "{url}");
        }
    }
}
