//! Small checks of texts. Each says what is wrong and what to write.

use std::{net::IpAddr, time::Duration as StdDuration};

use k8s_openapi::api::core::v1::Toleration;
use kube::core::Duration;
use todo_crds::platform::{RESERVED_ENV, RESERVED_ENV_LATER};

use super::quantity;

/// A duration between two others.
pub(super) fn duration(duration: Duration, least: StdDuration, most: StdDuration) -> Result<StdDuration, String> {
    let value = StdDuration::from(duration);
    if duration.is_negative() || value < least || value > most {
        return Err(format!("must be between {least:?} and {most:?}"));
    }
    Ok(value)
}

/// `host:port`, without a scheme and without blanks, which Dapr does not cut off.
pub(super) fn broker(text: &str) -> Result<(), String> {
    let valid = text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && !host.contains("//")
            && !host.contains(|c: char| c.is_whitespace() || c == ',')
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if valid { Ok(()) } else { Err(format!("{text:?} is not host:port; write for example kafka:9092")) }
}

/// An `http` or `https` URL with a host.
pub(super) fn http_url(text: &str) -> Result<(), String> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.starts_with(['/', ':']) && !text.contains(char::is_whitespace) => {
            Ok(())
        }
        _ => Err(format!("{text:?} is no http:// or https:// URL")),
    }
}

/// URL of a collector. Dapr is told its host and port, and knows none by itself.
pub(super) fn collector(text: &str) -> Result<(), String> {
    http_url(text)?;
    let address = text.split_once("://").map_or(text, |(_, rest)| rest.trim_end_matches('/'));
    if broker(address).is_ok() && !address.contains(['/', '?', '#', '@']) {
        Ok(())
    } else {
        Err(format!(
            "{text:?} is not a scheme, a host and a port alone; write for example http://otel-collector.observability:4318"
        ))
    }
}

/// A tag of an image.
pub(super) fn image_tag(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.len() <= 128 && text.starts_with(first) && text.chars().all(allowed) {
        Ok(())
    } else {
        Err(format!("{text:?} cannot be the tag of an image; write for example 0.1.0"))
    }
}

/// Name of an environment variable that is a user's to set.
pub(super) fn env_name(name: &str) -> Result<(), String> {
    if RESERVED_ENV.contains(&name) || RESERVED_ENV_LATER.contains(&name) {
        return Err(format!("{name} is set by the operator"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(allowed) {
        return Err(format!("{name:?} is no name of an environment variable"));
    }
    Ok(())
}

/// Names by which the page may be called, as the frontend reads them: with what is refused here it does not start.
pub(super) fn allowed_hosts(text: &str) -> Result<(), String> {
    let mut entries = text.split(',').map(|entry| entry.trim_matches([' ', '\t', '\r', '\n']));
    let wrong = entries.find(|entry| !entry.is_empty() && !is_allowed_host(entry));
    wrong.map_or(Ok(()), |wrong| {
        Err(format!("{wrong:?} is no host; write names without a scheme and with commas between them, or `*` for any"))
    })
}

fn is_allowed_host(entry: &str) -> bool {
    let is_sign = |c: char| c.is_ascii_alphanumeric() || "!$&'()+;=_~-.".contains(c);
    // Users, and addresses in brackets, are for the frontend to read.
    if entry.contains(['@', '[', ']']) {
        return entry.chars().all(|c| is_sign(c) || "*%:@[]".contains(c));
    }
    let (name, port) = entry.split_once(':').unwrap_or((entry, ""));
    let is_name = name.chars().all(is_sign) && name.chars().any(|c| c != '.');
    entry == "*" || is_name && port.chars().all(|c| is_sign(c) || c == '*')
}

/// Key of a label or an annotation.
pub(super) fn key(text: &str) -> Result<(), String> {
    let (prefix, name) = text.rsplit_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let inner = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let outer = |c: char| c.is_ascii_alphanumeric();
    let valid = name.len() <= 63 && name.starts_with(outer) && name.ends_with(outer) && name.chars().all(inner);
    if valid && prefix.is_none_or(|prefix| object_name(prefix).is_ok()) {
        Ok(())
    } else {
        Err(format!("{text:?} is no key; write at most 63 letters, digits, -, _ and ., for example example.com/team"))
    }
}

/// Name of a resource that a container may have.
pub(super) fn resource_name(text: &str) -> Result<(), String> {
    let is_native = ["cpu", "memory", "ephemeral-storage"].contains(&text) || text.starts_with("hugepages-");
    if is_native || text.contains('/') && key(text).is_ok() {
        Ok(())
    } else {
        Err("is no resource of a container; write cpu, memory, ephemeral-storage or a name such as nvidia.com/gpu"
            .to_owned())
    }
}

/// A toleration, as a pod may have it.
pub(super) fn toleration(toleration: &Toleration) -> Result<(), String> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (name, operator, effect) = (text(&toleration.key), text(&toleration.operator), text(&toleration.effect));
    if !["", "Exists", "Equal"].contains(&operator.as_str()) {
        return Err(format!("has the operator {operator:?}; write Exists or Equal"));
    }
    if !["", "NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect.as_str()) {
        return Err(format!("has the effect {effect:?}; write NoSchedule, PreferNoSchedule or NoExecute"));
    }
    match (name.as_str(), operator.as_str()) {
        ("", "Exists") => {}
        ("", _) => return Err("has no key; write one, or operator: Exists for all taints".to_owned()),
        (name, _) => key(name)?,
    }
    if operator == "Exists" && !text(&toleration.value).is_empty() {
        return Err("has a value, which is compared with operator Equal only; leave it out".to_owned());
    }
    if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
        return Err("has tolerationSeconds, which is for the effect NoExecute only; leave it out".to_owned());
    }
    Ok(())
}

/// Annotation of a pod that is a user's to set.
pub(super) fn pod_annotation(name: &str) -> Result<(), String> {
    key(name)?;
    if name.starts_with("dapr.io/") || name.starts_with("todoplatform.dev/") {
        return Err(format!("{name} is set by the operator; see spec.dapr for what can be chosen"));
    }
    Ok(())
}

/// Label of a pod that is a user's to set.
pub(super) fn pod_label(name: &str) -> Result<(), String> {
    key(name)?;
    let ours = ["app.kubernetes.io/", "dapr.io/", "todoplatform.dev/"];
    if name == "app" || ours.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(format!("{name} is set by the operator; write other labels"));
    }
    Ok(())
}

/// What Dapr may put before each key of the state store.
pub(super) fn key_prefix(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains("||") || text.contains(char::is_whitespace) {
        return Err(format!(
            "{text:?} cannot be a prefix of keys; write none, appid, name, namespace or a text without ||"
        ));
    }
    Ok(())
}

/// A consumer group. Braces would be one of Dapr's templates, and `{namespace}` renames all topics as well.
pub(super) fn consumer_group(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains(['{', '}']) || text.contains(char::is_whitespace) {
        return Err(format!("{text:?} cannot be a consumer group; write a text without blanks and braces"));
    }
    Ok(())
}

/// A number between two others.
pub(super) fn number(value: i64, least: i64, most: i64) -> Result<i64, String> {
    if (least..=most).contains(&value) { Ok(value) } else { Err(format!("must be between {least} and {most}")) }
}

/// Size of a volume, at least 1Gi.
pub(super) fn volume_size(text: &str) -> Result<(), String> {
    const LEAST: f64 = 1_073_741_824.0;
    match quantity::value(text) {
        Some(size) if size >= LEAST => Ok(()),
        _ => Err(format!("{text:?} is no size of at least 1Gi; write for example 5Gi")),
    }
}

/// Name of an object in Kubernetes.
pub(super) fn object_name(text: &str) -> Result<(), String> {
    if text.len() <= 253 && text.split('.').all(is_label) {
        Ok(())
    } else {
        Err(format!("{text:?} is no name of an object; write small letters, digits, - and ."))
    }
}

/// Key of a Secret's data.
pub(super) fn secret_key(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if !text.is_empty() && text.len() <= 253 && text.chars().all(allowed) {
        Ok(())
    } else {
        Err(format!("{text:?} is no key of a Secret; write letters, digits, -, _ and ."))
    }
}

/// Host name for the page.
pub(super) fn host(text: &str) -> Result<(), String> {
    let mut octets = text.split('.');
    let is_address = octets.clone().count() == 4 && octets.all(|octet| octet.parse::<u8>().is_ok());
    if is_address || text.parse::<IpAddr>().is_ok() {
        return Err(format!(
            "{text:?} is an address, which no route takes; write a name, for example todo.example.com"
        ));
    }
    if text.len() <= 253 && text.split('.').all(|label| label.len() <= 63 && is_label(label)) {
        Ok(())
    } else {
        Err(format!("{text:?} is no host name in small letters; write for example todo.example.com"))
    }
}

/// What stands between the dots of a name.
fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Full reference of an image.
pub(super) fn image(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err(format!("{text:?} is no image; write for example registry.example.com/todo-backend:0.1.0"));
    }
    Ok(())
}

/// A share of requests.
pub(super) fn sampling_rate(text: &str) -> Result<(), String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(()),
        _ => Err(format!("{text:?} is not between 0 and 1; write for example \"0.1\"")),
    }
}
