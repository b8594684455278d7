//! Pods start anew exactly when something changed that is read at start only.

use std::collections::BTreeMap;

use todo_operator::resolve::{Found, Resolved, SecretRef, short_hash, validate};

use crate::support::{DEFAULT, EXTERNAL, found, platform, pod_templates, resolve, settings};

const ALL: [&str; 6] = [
    "Deployment/backend-service",
    "Deployment/frontend-service",
    "Deployment/notification-service",
    "Deployment/recurring-task-service",
    "StatefulSet/kafka",
    "StatefulSet/postgres",
];
const BACKED: [&str; 3] =
    ["Deployment/backend-service", "Deployment/notification-service", "Deployment/recurring-task-service"];

fn hashes(platform: &Resolved) -> BTreeMap<String, String> {
    pod_templates(platform)
        .into_iter()
        .map(|(key, template)| {
            let hash = template["metadata"]["annotations"]["todoplatform.dev/config-hash"].as_str().unwrap();
            (key, hash.to_owned())
        })
        .collect()
}

fn changed(before: &Resolved, after: &Resolved) -> Vec<String> {
    let (before, after) = (hashes(before), hashes(after));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    before.iter().filter(|(key, hash)| after[*key] != **hash).map(|(key, _)| key.clone()).collect()
}

#[test]
fn a_changed_setting_restarts_those_whose_sidecar_reads_it() {
    let apps = &ALL[..4];
    for (spec, expected) in [
        ("{}", &[][..]),
        ("{services: {backend: {replicas: 3}}}", &[]),
        ("{deletionPolicy: Delete}", &[]),
        ("{networkPolicy: {enabled: false}}", &[]),
        ("{reminders: {schedule: '0 * * * *'}}", &["Deployment/backend-service"][..]),
        ("{stateStore: {keyPrefix: appid}}", &["Deployment/backend-service"]),
        ("{kafka: {consumerGroup: other}}", &BACKED),
        ("{notifications: {webPush: {subject: 'mailto:a@b.c'}}}", &["Deployment/notification-service"]),
        ("{dapr: {apiLogging: false}}", apps),
    ] {
        assert_eq!(changed(&resolve(DEFAULT, "{}"), &resolve(DEFAULT, spec)), expected, "{spec}");
    }
}

#[test]
fn a_changed_size_of_messages_restarts_the_broker_too() {
    let after = resolve(DEFAULT, "{kafka: {maxMessageBytes: 2097152}}");
    let mut expected: Vec<&str> = BACKED.to_vec();
    expected.push("StatefulSet/kafka");
    assert_eq!(changed(&resolve(DEFAULT, "{}"), &after), expected);
}

fn with_secret(source: &str, name: &str, key: &str, value: &str) -> Resolved {
    let digests = BTreeMap::from([(SecretRef::new(name, key), short_hash(value.as_bytes()))]);
    validate(&platform(source, "{}"), &settings(), &Found { digests, ..found() }).unwrap()
}

#[test]
fn a_changed_secret_restarts_those_who_use_it() {
    for (source, name, key, expected) in [
        (
            DEFAULT,
            "kafka-password",
            "password",
            &[
                "Deployment/backend-service",
                "Deployment/notification-service",
                "Deployment/recurring-task-service",
                "StatefulSet/kafka",
            ][..],
        ),
        (DEFAULT, "postgres-connection", "password", &["StatefulSet/postgres"]),
        (DEFAULT, "postgres-connection", "connection-string", &BACKED),
        (DEFAULT, "todo-app-token", "token", &ALL[..4]),
        (EXTERNAL, "openai-api-key", "api-key", &["Deployment/backend-service"]),
        (EXTERNAL, "kafka-ca", "ca.crt", &BACKED),
        (EXTERNAL, "somebody-elses", "key", &[]),
    ] {
        let before = with_secret(source, name, key, "one");
        assert_eq!(changed(&before, &with_secret(source, name, key, "one")), [""; 0], "{name}/{key}");
        assert_eq!(changed(&before, &with_secret(source, name, key, "two")), expected, "{name}/{key}");
    }
}

#[test]
fn a_changed_secret_of_a_channel_restarts_the_notification_service_alone() {
    let spec = "{notifications: {webPush: {subject: 'mailto:a@b.c'}, email: {smtp: {host: mail, from: a@b.c, \
                username: {secretKeyRef: {name: smtp, key: user}}, password: {secretKeyRef: {name: smtp, key: pass}}}}}}";
    let with = |name: &str, key: &str, value: &str| {
        let digests = BTreeMap::from([(SecretRef::new(name, key), short_hash(value.as_bytes()))]);
        validate(&platform(DEFAULT, spec), &settings(), &Found { digests, ..found() }).unwrap()
    };
    for (name, key) in [("web-push-keys", "private-key"), ("smtp", "pass")] {
        let before = with(name, key, "one");
        assert_eq!(changed(&before, &with(name, key, "two")), ["Deployment/notification-service"], "{name}/{key}");
    }
}

#[test]
fn making_a_secret_restarts_nothing_after_it_is_read_back() {
    let made = resolve(DEFAULT, "{}");
    let read_back = with_secret(DEFAULT, "kafka-password", "password", "kafka-pw");
    assert_eq!(changed(&made, &read_back), [""; 0]);
}
