//! What becomes of `spec.notifications`.

use std::collections::BTreeMap;

use serde_json::Value;
use todo_operator::{build::required_secrets, resolve::Maker};

use crate::support::{DEFAULT, objects, resolve};

const ALL: &str = "
notifications:
  email:
    smtp:
      host: smtp.example.com
      from: todo@example.com
      username: {secretKeyRef: {name: smtp, key: user}}
      password: {secretKeyRef: {name: smtp, key: pass}}
  webPush: {subject: 'mailto:admin@example.com'}
  webhooks: {allowPrivateAddresses: true, ports: [8080, 8443]}
  ntfy: {baseUrl: 'http://ntfy.push:2586'}
";
const NAMES: [&str; 5] = ["NTFY_", "OUTBOUND_", "SMTP_", "WEBHOOK", "WEB_PUSH_"];

/// The variables of channels of an app, each with its value or where that is.
fn variables(spec: &str, app: &str) -> BTreeMap<String, String> {
    let made = objects(&resolve(DEFAULT, spec));
    let container = &made[&format!("Deployment/{app}")]["spec"]["template"]["spec"]["containers"][0];
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let variables = container["env"].as_array().unwrap().iter().filter_map(|variable| {
        let secret = &variable["valueFrom"]["secretKeyRef"];
        let place = || Some(format!("{}/{}", text(&secret["name"])?, text(&secret["key"])?));
        Some((text(&variable["name"])?, text(&variable["value"]).or_else(place)?))
    });
    variables.filter(|(name, _)| NAMES.iter().any(|start| name.starts_with(start))).collect()
}

#[test]
fn the_notification_service_alone_is_told_of_channels_and_secrets_by_reference_only() {
    let told: Vec<_> =
        variables(ALL, "notification-service").into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        told,
        [
            "NTFY_BASE_URL=http://ntfy.push:2586",
            "SMTP_FROM=todo@example.com",
            "SMTP_HOST=smtp.example.com",
            "SMTP_PASSWORD=smtp/pass",
            "SMTP_PORT=587",
            "SMTP_TLS=startTls",
            "SMTP_USERNAME=smtp/user",
            "WEBHOOK_ADDRESSES=private",
            "WEBHOOK_PORTS=8080,8443",
            "WEB_PUSH_ADDRESSES=public",
            "WEB_PUSH_PORTS=443",
            "WEB_PUSH_PRIVATE_KEY=web-push-keys/private-key",
            "WEB_PUSH_PUBLIC_KEY=web-push-keys/public-key",
            "WEB_PUSH_SUBJECT=mailto:admin@example.com",
        ]
    );
    for app in ["backend-service", "recurring-task-service", "frontend-service"] {
        assert!(variables(ALL, app).is_empty(), "{app}");
    }
    assert!(variables("{}", "notification-service").is_empty());
}

#[test]
fn the_port_of_a_mail_server_follows_its_encryption() {
    for (tls, port) in [("startTls", "587"), ("tls", "465"), ("none", "25")] {
        let spec = format!("{{notifications: {{email: {{smtp: {{host: mail, from: a@b.c, tls: {tls}}}}}}}}}");
        assert_eq!(variables(&spec, "notification-service")["SMTP_PORT"], port);
    }
}

#[test]
fn the_keys_of_web_push_are_made_once_kept_as_data_and_only_where_they_are_used() {
    let made = objects(&resolve(DEFAULT, ALL));
    let secret = &made["Secret/web-push-keys"];
    let keys: Vec<_> = secret["data"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["private-key", "public-key"]);
    assert!(secret["metadata"].get("ownerReferences").is_none());
    assert!(!objects(&resolve(DEFAULT, "{}")).contains_key("Secret/web-push-keys"));
    let owned = objects(&resolve(DEFAULT, &format!("{ALL}deletionPolicy: Delete")));
    assert!(owned["Secret/web-push-keys"]["metadata"]["ownerReferences"].is_array());
}

#[test]
fn what_channels_need_is_waited_for_by_name_and_key() {
    let required = required_secrets(&resolve(DEFAULT, ALL));
    let of = |name: &str| {
        let keys = required.iter().filter(|secret| secret.name == name);
        keys.map(|secret| (secret.key.clone(), secret.maker == Maker::Operator)).collect::<Vec<_>>()
    };
    assert_eq!(of("smtp"), [("pass".to_owned(), false), ("user".to_owned(), false)]);
    assert_eq!(of("web-push-keys"), [("private-key".to_owned(), true), ("public-key".to_owned(), true)]);
}
