//! The kinds of objects that a platform is made of.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use kube::core::{ApiResource, GroupVersionKind};
use todo_crds::{
    cloud_native_pg::Cluster,
    dapr::{Component, Configuration, Resiliency},
    strimzi::{Kafka, KafkaNodePool, KafkaTopic, KafkaUser},
};

use crate::build::monitoring;

/// Kinds of objects that every cluster has.
pub(crate) fn base_kinds() -> Vec<ApiResource> {
    vec![
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<HorizontalPodAutoscaler>(&()),
        ApiResource::erase::<Ingress>(&()),
        ApiResource::erase::<NetworkPolicy>(&()),
        ApiResource::erase::<PersistentVolumeClaim>(&()),
        ApiResource::erase::<PodDisruptionBudget>(&()),
        ApiResource::erase::<Role>(&()),
        ApiResource::erase::<RoleBinding>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<ServiceAccount>(&()),
        ApiResource::erase::<StatefulSet>(&()),
    ]
}

/// Kinds of objects whose CRDs may come later.
pub(crate) fn late_kinds() -> Vec<ApiResource> {
    let http_route = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute");
    vec![
        ApiResource::erase::<Component>(&()),
        ApiResource::erase::<Configuration>(&()),
        ApiResource::erase::<Resiliency>(&()),
        ApiResource::from_gvk_with_plural(&http_route, "httproutes"),
        ApiResource::erase::<Kafka>(&()),
        ApiResource::erase::<KafkaNodePool>(&()),
        ApiResource::erase::<KafkaTopic>(&()),
        ApiResource::erase::<KafkaUser>(&()),
        ApiResource::erase::<Cluster>(&()),
        monitoring::resource("PodMonitor"),
        monitoring::resource("PrometheusRule"),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use k8s_openapi::api::core::v1::Pod;

    use super::*;
    use crate::{build::DATA_KINDS, dereference::cluster::LATE_KINDS};

    #[test]
    fn what_is_asked_for_is_what_is_watched_once_it_is_there() {
        let watched: BTreeSet<_> =
            late_kinds().into_iter().map(|resource| (resource.api_version, resource.kind)).collect();
        let all = LATE_KINDS.iter().flat_map(|(group, kinds)| kinds.iter().map(move |kind| (*group, *kind)));
        let asked = all.map(|(group, kind)| (group.to_owned(), kind.to_owned())).collect();
        assert_eq!(watched, asked);
    }

    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Rule {
        api_groups: Vec<String>,
        resources: Vec<String>,
        verbs: Vec<String>,
    }

    fn verbs(rules: &[Rule], resource: &ApiResource) -> BTreeSet<String> {
        let of = |rule: &&Rule| rule.api_groups.contains(&resource.group) && rule.resources.contains(&resource.plural);
        rules.iter().filter(of).flat_map(|rule| rule.verbs.clone()).collect()
    }

    #[test]
    fn the_chart_grants_what_is_done_with_each_kind_and_no_more() {
        let rules: Vec<Rule> =
            serde_yaml::from_str(include_str!("../../../helm/todo-operator/files/rules.yaml")).unwrap();
        let set = |verbs: &[&str]| verbs.iter().map(|verb| (*verb).to_owned()).collect::<BTreeSet<_>>();
        let whole = ["create", "delete", "get", "list", "patch", "watch"];
        for resource in base_kinds().into_iter().chain(late_kinds()) {
            let data = DATA_KINDS.contains(&resource.kind.as_str());
            let expected = whole.into_iter().filter(|verb| !(data && *verb == "delete")).collect::<Vec<_>>();
            assert_eq!(verbs(&rules, &resource), set(&expected), "{}", resource.kind);
        }
        let secrets = ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&());
        assert_eq!(verbs(&rules, &secrets), set(&["create", "get", "patch"]), "Secrets are neither listed nor watched");
        assert_eq!(verbs(&rules, &ApiResource::erase::<Pod>(&())), set(&["delete", "list", "watch"]));
        let granted: usize = rules.iter().map(|rule| rule.resources.len()).sum();
        // Secrets, pods and their logs, events, and the three of our own resource.
        assert_eq!(granted, base_kinds().len() + late_kinds().len() + 7);
        assert!(rules.iter().all(|rule| !format!("{:?}{:?}", rule.resources, rule.verbs).contains('*')));
    }
}
