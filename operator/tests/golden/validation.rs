//! What is refused, and in which words.

use std::{fs, path::Path};

use todo_crds::platform::{RESERVED_ENV, RESERVED_ENV_LATER};
use todo_operator::{
    cli::{render::render, render_local::render_local},
    names::App,
    resolve::{KafkaMode, Scale},
};

use crate::support::{DEFAULT, objects, resolve, settings, violations};

/// A spec, and the one field and message that it gets.
pub(crate) const WRONG: &[(&str, &str, &str)] = &[
    ("{version: 'a:b'}", "spec.version", "cannot be the tag of an image"),
    (
        "{kafka: {embedded: {}, external: {brokers: ['a:1']}}}",
        "spec.kafka",
        "has embedded and external; give at most one",
    ),
    ("{kafka: {strimzi: {replicas: 0}}}", "spec.kafka.strimzi.replicas", "must be between 1 and 9"),
    ("{kafka: {strimzi: {storage: {size: much}}}}", "spec.kafka.strimzi.storage.size", "write for example 5Gi"),
    ("{kafka: {external: {brokers: []}}}", "spec.kafka.external.brokers", "has 0; write between 1 and 16"),
    (
        "{kafka: {external: {brokers: ['a:1', kafka]}}}",
        "spec.kafka.external.brokers[1]",
        "write for example kafka:9092",
    ),
    ("{kafka: {external: {brokers: ['http://a:1']}}}", "spec.kafka.external.brokers[0]", "is not host:port"),
    (
        "{kafka: {external: {brokers: ['a:1'], auth: {mtls: {certificate: {secretKeyRef: {name: c, key: k}}, \
         key: {secretKeyRef: {name: c, key: p}}}}}}}",
        "spec.kafka.external.auth.mtls",
        "write tls with caCertificate",
    ),
    (
        "{kafka: {external: {brokers: ['a:1'], tls: {}, auth: {mtls: {certificate: {secretKeyRef: {name: c, key: k}}, \
         key: {secretKeyRef: {name: c, key: p}}}}}}}",
        "spec.kafka.external.auth.mtls",
        "write tls with caCertificate",
    ),
    ("{kafka: {consumerGroup: '{namespace}'}}", "spec.kafka.consumerGroup", "without blanks and braces"),
    ("{kafka: {maxMessageBytes: 10}}", "spec.kafka.maxMessageBytes", "must be between 1024 and 104857600"),
    ("{kafka: {consumeRetryInterval: 1ns}}", "spec.kafka.consumeRetryInterval", "must be between 10ms and 60s"),
    ("{kafka: {topics: {partitions: 0}}}", "spec.kafka.topics.partitions", "must be between 1 and 100"),
    ("{kafka: {embedded: {storage: {size: 5}}}}", "spec.kafka.embedded.storage.size", "write for example 5Gi"),
    ("{postgres: {embedded: {storage: {size: 1Mi}}}}", "spec.postgres.embedded.storage.size", "at least 1Gi"),
    (
        "{postgres: {cloudNativePg: {instances: 10}}}",
        "spec.postgres.cloudNativePg.instances",
        "must be between 1 and 9",
    ),
    ("{postgres: {cloudNativePg: {storage: {size: 1Mi}}}}", "spec.postgres.cloudNativePg.storage.size", "at least 1Gi"),
    (
        "{postgres: {external: {connectionString: {secretKeyRef: {name: other/db, key: url}}}}}",
        "spec.postgres.external.connectionString.secretKeyRef.name",
        "is no name of an object",
    ),
    ("{stateStore: {keyPrefix: 'a||b'}}", "spec.stateStore.keyPrefix", "cannot be a prefix of keys"),
    ("{reminders: {schedule: '61 * * * *'}}", "spec.reminders.schedule", "\"61\" is not between 0 and 59"),
    ("{reminders: {schedule: '30-10 * * * *'}}", "spec.reminders.schedule", "30-10"),
    ("{reminders: {window: -5m}}", "spec.reminders.window", "must be between 1s and 86400s"),
    (
        "{ai: {apiKey: {secretKeyRef: {name: a, key: 'b c'}}}}",
        "spec.ai.apiKey.secretKeyRef.key",
        "is no key of a Secret",
    ),
    (
        "{ai: {apiKey: {secretKeyRef: {name: a, key: b}}, baseUrl: llm}}",
        "spec.ai.baseUrl",
        "is no http:// or https:// URL",
    ),
    (
        "{notifications: {email: {smtp: {host: 'smtp://mail', from: a@b.c}}}}",
        "spec.notifications.email.smtp.host",
        "is no host name",
    ),
    (
        "{notifications: {email: {smtp: {host: mail, from: nobody}}}}",
        "spec.notifications.email.smtp.from",
        "is no address",
    ),
    (
        "{notifications: {email: {smtp: {host: mail, port: 0, from: a@b.c}}}}",
        "spec.notifications.email.smtp.port",
        "must be between 1 and 65535",
    ),
    (
        "{notifications: {email: {smtp: {host: mail, from: a@b.c, username: {secretKeyRef: {name: a, key: b}}}}}}",
        "spec.notifications.email.smtp",
        "write both or neither",
    ),
    (
        "{notifications: {email: {smtp: {host: mail, tls: none, from: a@b.c, \
         username: {secretKeyRef: {name: a, key: b}}, password: {secretKeyRef: {name: a, key: c}}}}}}",
        "spec.notifications.email.smtp.tls",
        "write startTls or tls",
    ),
    ("{notifications: {webPush: {subject: me}}}", "spec.notifications.webPush.subject", "is neither mailto:"),
    ("{notifications: {webhooks: {ports: [443, 0]}}}", "spec.notifications.webhooks.ports[1]", "between 1 and 65535"),
    ("{notifications: {ntfy: {baseUrl: ntfy}}}", "spec.notifications.ntfy.baseUrl", "is no http:// or https:// URL"),
    ("{auth: {mode: oidc}}", "spec.auth.mode", "not supported by this version of the operator; write disabled"),
    ("{auth: {mode: builtin}}", "spec.auth.mode", "not supported by this version of the operator; write disabled"),
    ("{dapr: {tracing: {endpoint: 'collector:4317'}}}", "spec.dapr.tracing.endpoint", "is no http:// or https:// URL"),
    (
        "{dapr: {tracing: {endpoint: 'http://c:4317', samplingRate: '2'}}}",
        "spec.dapr.tracing.samplingRate",
        "is not between 0 and 1",
    ),
    ("{dapr: {tracing: {endpoint: 'http://c:4318/v1/traces'}}}", "spec.dapr.tracing.endpoint", "a port alone"),
    ("{dapr: {tracing: {endpoint: 'http://u:p@c:4317'}}}", "spec.dapr.tracing.endpoint", "a port alone"),
    (
        "{dapr: {tracing: {endpoint: 'https://collector'}}}",
        "spec.dapr.tracing.endpoint",
        "write for example http://otel",
    ),
    ("{dapr: {sidecarResources: {limits: {gpu: 1}}}}", "spec.dapr.sidecarResources", "write cpu and memory only"),
    (
        "{services: {frontend: {podAnnotations: {'a b': x}}}}",
        "spec.services.frontend.podAnnotations",
        "\"a b\" is no key; write at most 63 letters",
    ),
    ("{services: {frontend: {podAnnotations: {a..b/c: x}}}}", "spec.services.frontend.podAnnotations", "is no key"),
    ("{services: {frontend: {nodeSelector: {/disk: ssd}}}}", "spec.services.frontend.nodeSelector", "is no key"),
    ("{ingress: {host: a.example.com, annotations: {a/b/c: x}}}", "spec.ingress.annotations", "is no key"),
    ("{services: {frontend: {replicas: 0}}}", "spec.services.frontend.replicas", "must be between 1 and 100"),
    (
        "{services: {backend: {replicas: 2, autoscaling: {maxReplicas: 5}}}}",
        "spec.services.backend",
        "has replicas and autoscaling; give at most one",
    ),
    (
        "{services: {backend: {autoscaling: {minReplicas: 6, maxReplicas: 5}}}}",
        "spec.services.backend.autoscaling",
        "has a minReplicas above maxReplicas",
    ),
    (
        "{services: {backend: {autoscaling: {maxReplicas: 5}, resources: {limits: {memory: 1Gi}}}}}",
        "spec.services.backend.resources",
        "write requests: {cpu: 100m}",
    ),
    (
        "{services: {backend: {resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}}}}",
        "spec.services.backend.resources.limits.memory",
        "is below the request",
    ),
    (
        "{services: {backend: {resources: {requests: {cpu: much}}}}}",
        "spec.services.backend.resources.requests.cpu",
        "is no quantity",
    ),
    (
        "{services: {backend: {resources: {requests: \
         {cpu: '0000000000000000000000000000000000000000000000000000000000000000100m'}}}}}",
        "spec.services.backend.resources.requests.cpu",
        "is no quantity",
    ),
    (
        "{services: {backend: {resources: {limits: {gpu: 1}}}}}",
        "spec.services.backend.resources.limits.gpu",
        "write cpu, memory, ephemeral-storage or a name such as nvidia.com/gpu",
    ),
    (
        "{kafka: {embedded: {resources: {requests: {a..b/gpu: 1}}}}}",
        "spec.kafka.embedded.resources.requests.a..b/gpu",
        "is no resource of a container",
    ),
    (
        "{services: {backend: {tolerations: [{key: a, operator: exists}]}}}",
        "spec.services.backend.tolerations[0]",
        "write Exists or Equal",
    ),
    (
        "{services: {backend: {tolerations: [{key: a, operator: Exists}, {key: a, effect: NoRun}]}}}",
        "spec.services.backend.tolerations[1]",
        "write NoSchedule, PreferNoSchedule or NoExecute",
    ),
    (
        "{services: {backend: {tolerations: [{value: a}]}}}",
        "spec.services.backend.tolerations[0]",
        "has no key; write one",
    ),
    (
        "{services: {backend: {tolerations: [{key: a, operator: Exists, value: b}]}}}",
        "spec.services.backend.tolerations[0]",
        "has a value",
    ),
    (
        "{services: {backend: {tolerations: [{key: a, effect: NoSchedule, tolerationSeconds: 5}]}}}",
        "spec.services.backend.tolerations[0]",
        "has tolerationSeconds",
    ),
    (
        "{services: {recurringTask: {env: [{name: PORT, value: '1'}]}}}",
        "spec.services.recurringTask.env[0].name",
        "PORT is set by the operator",
    ),
    (
        "{services: {backend: {env: [{name: REMINDER_MODE, value: x}]}}}",
        "spec.services.backend.env[0].name",
        "REMINDER_MODE is set by the operator",
    ),
    (
        "{services: {backend: {env: [{name: A, value: x}, {name: A, value: y}]}}}",
        "spec.services.backend.env[1].name",
        "A is there twice",
    ),
    (
        "{services: {frontend: {env: [{name: ALLOWED_HOSTS, value: 'a.example,https://b.example'}]}}}",
        "spec.services.frontend.env[0].value",
        "\"https://b.example\" is no host; write names without a scheme",
    ),
    (
        "{services: {backend: {podAnnotations: {dapr.io/app-id: x}}}}",
        "spec.services.backend.podAnnotations",
        "see spec.dapr for what can be chosen",
    ),
    (
        "{services: {frontend: {podLabels: {app.kubernetes.io/name: x}}}}",
        "spec.services.frontend.podLabels",
        "is set by the operator; write other labels",
    ),
    ("{kafka: {embedded: {podLabels: {app: x}}}}", "spec.kafka.embedded.podLabels", "app is set by the operator"),
    (
        "{postgres: {embedded: {podAnnotations: {todoplatform.dev/config-hash: x}}}}",
        "spec.postgres.embedded.podAnnotations",
        "is set by the operator",
    ),
    ("{services: {backend: {image: ''}}}", "spec.services.backend.image", "is no image"),
    ("{imagePullSecrets: [{name: 'A B'}]}", "spec.imagePullSecrets[0].name", "is no name of an object"),
    ("{ingress: {host: 10.0.0.1}}", "spec.ingress.host", "is an address"),
    ("{ingress: {host: 'todo..example'}}", "spec.ingress.host", "write for example todo.example.com"),
    (
        "{ingress: {host: todo.example.com, className: nginx, gateway: {name: main}}}",
        "spec.ingress.gateway",
        "has settings of an Ingress too",
    ),
    (
        "{monitoring: {serviceMonitor: {interval: 1s}}}",
        "spec.monitoring.serviceMonitor.interval",
        "between 5s and 600s",
    ),
    ("{monitoring: {dashboard: {labels: {'a b': x}}}}", "spec.monitoring.dashboard.labels", "is no key"),
];

#[test]
fn a_wrong_value_is_refused_with_its_field_and_what_to_write() {
    for (spec, path, message) in WRONG {
        let found = violations(spec);
        assert_eq!(found.len(), 1, "{spec}: {found:?}");
        assert_eq!(found[0].path, *path, "{spec}");
        assert!(found[0].message.contains(message), "{spec}: {}", found[0].message);
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let found = violations("{version: 'a:b', auth: {mode: oidc}, reminders: {schedule: never}}");
    let paths: Vec<_> = found.iter().map(|violation| violation.path.as_str()).collect();
    assert_eq!(paths, ["spec.version", "spec.auth.mode", "spec.reminders.schedule"]);
}

#[test]
fn no_message_tells_the_value_of_a_secret() {
    let found = violations("{services: {backend: {env: [{name: PORT, value: hunter2}]}}}");
    assert!(!format!("{found:?}").contains("hunter2"));
}

#[test]
fn what_is_absent_is_the_specifications() {
    let platform = resolve(DEFAULT, "{}");
    assert_eq!(platform.version, "0.1.0");
    assert!(matches!(&platform.kafka.mode, KafkaMode::Embedded(storage) if storage.size.0 == "5Gi"));
    assert_eq!(platform.kafka.consumer_group, "todo-service-group");
    assert_eq!(platform.kafka.max_message_bytes, 1_048_576);
    assert_eq!(platform.kafka.consume_retry_interval, "100ms");
    assert_eq!(platform.kafka.partitions, 3);
    assert_eq!((platform.state_store.version.as_str(), platform.state_store.key_prefix.as_str()), ("v1", "none"));
    assert_eq!((platform.reminders.schedule.as_str(), platform.reminders.window_seconds), ("*/5 * * * *", 300));
    assert_eq!(platform.service(App::Backend).scale, Scale::Fixed(2));
    assert!(platform.retain_data && platform.ai.is_none() && platform.exposure.is_none());
}

#[test]
fn nothing_that_says_nothing_changes_anything() {
    let wordy =
        "{kafka: {embedded: {storage: {}, resources: {}}, topics: {}}, postgres: {embedded: {}}, stateStore: {},
        reminders: {}, auth: {}, dapr: {sidecarResources: {}}, services: {backend: {resources: {}}, frontend: {}},
        networkPolicy: {}, monitoring: {}, imagePullSecrets: []}";
    assert_eq!(objects(&resolve(DEFAULT, wordy)), objects(&resolve(DEFAULT, "{}")));
}

#[test]
fn every_variable_that_the_operator_sets_is_reserved() {
    let rich = "{ai: {apiKey: {secretKeyRef: {name: a, key: b}}, baseUrl: 'http://llm', model: m},
        reminders: {mode: Precise}, dapr: {tracing: {endpoint: 'http://c:4317'}}}";
    let made = objects(&resolve(DEFAULT, rich));
    for app in App::ALL {
        let template = &made[&format!("Deployment/{app}")]["spec"]["template"];
        for variable in template["spec"]["containers"][0]["env"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            let mut reserved = RESERVED_ENV.iter().chain(&RESERVED_ENV_LATER);
            assert!(name == "RUST_LOG" || reserved.any(|reserved| *reserved == name), "{name}");
        }
    }
}

#[test]
fn every_sample_is_rendered() {
    let samples = Path::new(env!("TODO_PLATFORM_CHECKOUT")).join("config/samples");
    let dir = std::env::temp_dir().join(format!("todo-samples-{}", std::process::id()));
    let mut count = 0;
    for entry in fs::read_dir(samples).unwrap() {
        let file = entry.unwrap().path();
        let mut out = Vec::new();
        render(&file, None, &settings(), &mut out).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(String::from_utf8(out).unwrap().contains("name: backend-service"), "{}", file.display());
        render_local(&file, &dir, Path::new("page"), &settings())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        count += 1;
    }
    fs::remove_dir_all(&dir).unwrap();
    assert!(count >= 4, "only {count} samples");
}

#[test]
fn a_field_that_nobody_knows_is_refused_when_rendering() {
    let file = std::env::temp_dir().join(format!("todo-unknown-{}.yaml", std::process::id()));
    let text =
        DEFAULT.replace("spec: {}", "spec: {kafak: {embedded: {}}, services: {backend: {replica: 3}}, dapr: {}}");
    fs::write(&file, text).unwrap();
    let error = render(&file, None, &settings(), &mut Vec::new()).unwrap_err().to_string();
    fs::remove_file(&file).unwrap();
    assert!(error.contains("spec.kafak: is no field") && error.contains("spec.services.backend.replica:"), "{error}");
}
