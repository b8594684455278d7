//! Every pod is admitted under Pod Security `restricted`, and can write nowhere but into its volumes.

use serde_json::{Value, json};

use crate::support::{DEFAULT, EXTERNAL, pod_templates, resolve};

#[test]
fn every_pod_is_restricted() {
    for source in [DEFAULT, EXTERNAL] {
        for (key, template) in pod_templates(&resolve(source, "{}")) {
            check_pod(&key, &template["spec"]);
        }
    }
}

fn check_pod(key: &str, pod: &Value) {
    for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"] {
        assert!(pod.get(field).is_none(), "{key} sets {field}");
    }
    let security = &pod["securityContext"];
    assert_eq!(security["runAsNonRoot"], true, "{key}");
    assert!(security["runAsUser"].as_i64().unwrap() > 0, "{key}");
    assert_eq!(security["seccompProfile"], json!({"type": "RuntimeDefault"}), "{key}");
    assert!(security.get("sysctls").is_none() && security.get("seLinuxOptions").is_none(), "{key}");
    for volume in pod["volumes"].as_array().unwrap() {
        let kinds: Vec<_> = volume.as_object().unwrap().keys().filter(|field| *field != "name").collect();
        assert_eq!(kinds.len(), 1, "{key}: {volume}");
        // Of the kinds that `restricted` allows, those that we use.
        assert!(["configMap", "emptyDir", "persistentVolumeClaim"].contains(&kinds[0].as_str()), "{key}: {volume}");
    }
    let containers = pod["containers"].as_array().unwrap();
    for container in containers.iter().chain(pod["initContainers"].as_array().into_iter().flatten()) {
        check_container(key, container);
    }
}

fn check_container(key: &str, container: &Value) {
    assert_eq!(
        container["securityContext"],
        json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        }),
        "{key}"
    );
    for port in container["ports"].as_array().into_iter().flatten() {
        assert!(port.get("hostPort").is_none(), "{key}");
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        assert!(container[probe]["httpGet"].get("host").is_none(), "{key}");
    }
}

#[test]
fn only_services_that_read_secrets_get_a_token_of_their_account() {
    for (key, template) in pod_templates(&resolve(DEFAULT, "{}")) {
        let reads = ["backend", "notification", "recurring"].iter().any(|name| key.contains(name));
        assert_eq!(template["spec"]["automountServiceAccountToken"], reads, "{key}");
    }
}
