//! What the notification service is told of channels. `services/notification/src/settings.rs` is the other side of it.

use k8s_openapi::api::core::v1::EnvVar;

use crate::{
    build::pod::{env, env_secret},
    names,
    resolve::{Outbound, Resolved, SecretRef},
};

/// Variables of the channels that are offered; none for what is not.
pub(super) fn variables(platform: &Resolved) -> Vec<EnvVar> {
    let notifications = &platform.notifications;
    let mut variables = Vec::new();
    if let Some(push) = &notifications.web_push {
        let key = |name: &str, key: &str| env_secret(name, &SecretRef::new(names::WEB_PUSH_SECRET, key));
        variables.push(env("WEB_PUSH_SUBJECT", &push.subject));
        variables.push(key("WEB_PUSH_PUBLIC_KEY", names::PUBLIC_KEY));
        variables.push(key("WEB_PUSH_PRIVATE_KEY", names::PRIVATE_KEY));
        variables.extend(outbound("WEB_PUSH", &push.outbound));
    }
    if let Some(webhooks) = &notifications.webhooks {
        variables.extend(outbound("WEBHOOK", webhooks));
    }
    if let Some(smtp) = &notifications.smtp {
        variables.push(env("SMTP_HOST", &smtp.host));
        variables.push(env("SMTP_PORT", smtp.port.to_string()));
        variables.push(env("SMTP_TLS", smtp.tls));
        variables.push(env("SMTP_FROM", &smtp.from));
        if let Some((username, password)) = &smtp.credentials {
            variables.push(env_secret("SMTP_USERNAME", username));
            variables.push(env_secret("SMTP_PASSWORD", password));
        }
    }
    variables.extend(notifications.ntfy.as_ref().map(|url| env("NTFY_BASE_URL", url)));
    variables
}

fn outbound(prefix: &str, outbound: &Outbound) -> [EnvVar; 2] {
    let ports: Vec<String> = outbound.ports.iter().map(ToString::to_string).collect();
    [
        env(&format!("{prefix}_ADDRESSES"), if outbound.private { "private" } else { "public" }),
        env(&format!("{prefix}_PORTS"), ports.join(",")),
    ]
}
