//! From the resource to [`Resolved`]. Pure: nothing is asked of the cluster here.
//!
//! Most of what is refused here is refused by the resource's schema too. It is checked again because `render` has no API
//! server before it, and because a resource may be older than its schema.

use std::{collections::BTreeMap, time::Duration};

use kube::{Resource, ResourceExt};
use todo_crds::platform::{
    self as api, AuthMode, DeletionPolicy, ReminderMode, StateStoreVersion, TodoPlatform, TodoPlatformSpec,
};

use super::{
    Ai, Dapr, Exposure, Found, NetworkPolicy, Reminders, Resolved, Settings, StateStore, Tracing, Violation, check,
    checks::Checks, container, defaults, kafka, monitoring::monitoring, notifications::notifications, postgres,
    schedule, services,
};
use crate::build;

/// Longest value of a label, which a platform's name becomes.
const LABEL_LENGTH: usize = 63;
/// UID of a resource that is in no cluster.
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";

/// Checks a resource and fills in what it does not say, or says all that is wrong with it.
pub fn validate(platform: &TodoPlatform, settings: &Settings, found: &Found) -> Result<Resolved, Vec<Violation>> {
    let mut checks = Checks::default();
    let name = platform.name_any();
    if name.len() > LABEL_LENGTH {
        checks.refuse("metadata.name", format!("is longer than {LABEL_LENGTH} characters, and becomes a label"));
    }
    let spec = &platform.spec;
    let version = spec.version.clone().unwrap_or_else(|| settings.operator_version.clone());
    checks.test("spec.version", check::image_tag(&version));
    refuse_unsupported(&mut checks, spec);
    let resolved = Resolved {
        name,
        namespace: platform.namespace().unwrap_or_default(),
        uid: platform.uid().unwrap_or_else(|| NO_UID.to_owned()),
        owner: platform.controller_owner_ref(&()),
        kafka: kafka::kafka(&mut checks, spec.kafka.as_ref(), settings),
        postgres: postgres::postgres(&mut checks, spec.postgres.as_ref(), settings, found),
        state_store: state_store(&mut checks, spec.state_store.as_ref()),
        reminders: reminders(&mut checks, spec.reminders.as_ref()),
        ai: spec.ai.as_ref().map(|ai| self::ai(&mut checks, ai)),
        notifications: notifications(&mut checks, spec.notifications.as_ref()),
        dapr: dapr(&mut checks, spec.dapr.as_ref()),
        services: services::all(&mut checks, spec.services.as_ref(), settings, &version),
        version,
        image_pull_secrets: image_pull_secrets(&mut checks, spec),
        exposure: spec.ingress.as_ref().map(|ingress| exposure(&mut checks, ingress)),
        monitoring: monitoring(&mut checks, spec.monitoring.as_ref()),
        network_policy: network_policy(spec, settings),
        retain_data: spec.deletion_policy.unwrap_or_default() == DeletionPolicy::Retain,
        digests: BTreeMap::new(),
        generated: found.generated.clone(),
    };
    let mut resolved = checks.done(resolved)?;
    // What is in the cluster counts; what is not there yet will be what the operator makes.
    resolved.digests = build::secrets::made_digests(&resolved);
    resolved.digests.extend(found.digests.clone());
    Ok(resolved)
}

fn refuse_unsupported(checks: &mut Checks, spec: &TodoPlatformSpec) {
    if let Some(mode) = spec.auth.as_ref().and_then(|auth| auth.mode)
        && mode != AuthMode::Disabled
    {
        checks.unsupported("spec.auth.mode", "write disabled, and let nobody reach the page whom you do not trust");
    }
}

fn state_store(checks: &mut Checks, spec: Option<&api::StateStoreSpec>) -> StateStore {
    let version = match spec.and_then(|spec| spec.version) {
        None => defaults::STATE_STORE_VERSION,
        Some(StateStoreVersion::V1) => "v1",
        Some(StateStoreVersion::V2) => "v2",
    };
    let key_prefix = spec.and_then(|spec| spec.key_prefix.clone()).unwrap_or_else(|| defaults::KEY_PREFIX.to_owned());
    checks.test("spec.stateStore.keyPrefix", check::key_prefix(&key_prefix));
    StateStore { version: version.to_owned(), key_prefix }
}

fn reminders(checks: &mut Checks, spec: Option<&api::RemindersSpec>) -> Reminders {
    let schedule = spec.and_then(|spec| spec.schedule.clone()).unwrap_or_else(|| defaults::SCHEDULE.to_owned());
    checks.test("spec.reminders.schedule", schedule::check(&schedule));
    let window_seconds = spec.and_then(|spec| spec.window).and_then(|window| {
        let most = Duration::from_hours(24);
        checks.take("spec.reminders.window", check::duration(window, Duration::from_secs(1), most))
    });
    Reminders {
        schedule,
        window_seconds: window_seconds.map_or(defaults::REMINDER_WINDOW_SECONDS, |window| window.as_secs()),
        precise: spec.and_then(|spec| spec.mode) == Some(ReminderMode::Precise),
    }
}

fn ai(checks: &mut Checks, spec: &api::AiSpec) -> Ai {
    if let Some(url) = &spec.base_url {
        checks.test("spec.ai.baseUrl", check::http_url(url));
    }
    Ai {
        api_key: checks.secret("spec.ai.apiKey", &spec.api_key),
        base_url: spec.base_url.clone(),
        model: spec.model.clone(),
    }
}

fn dapr(checks: &mut Checks, spec: Option<&api::DaprSpec>) -> Dapr {
    let spec = spec.cloned().unwrap_or_default();
    let path = "spec.dapr.sidecarResources";
    let sidecar_resources =
        container::amounts(checks, path, spec.sidecar_resources.as_ref(), defaults::sidecar_resources());
    for name in sidecar_resources.requests.iter().chain(&sidecar_resources.limits).flat_map(BTreeMap::keys) {
        if !["cpu", "memory"].contains(&name.as_str()) {
            checks.refuse(path, format!("has {name}; write cpu and memory only, Dapr sets nothing else on a sidecar"));
        }
    }
    Dapr {
        api_logging: spec.api_logging.unwrap_or(true),
        log_level: spec.log_level.map_or(defaults::LOG_LEVEL, api::LogLevel::as_str).to_owned(),
        tracing: spec.tracing.as_ref().map(|tracing| self::tracing(checks, tracing)),
        sidecar_resources,
    }
}

fn tracing(checks: &mut Checks, spec: &api::TracingSpec) -> Tracing {
    let sampling_rate = spec.sampling_rate.clone().unwrap_or_else(|| defaults::SAMPLING_RATE.to_owned());
    checks.test("spec.dapr.tracing.endpoint", check::collector(&spec.endpoint));
    checks.test("spec.dapr.tracing.samplingRate", check::sampling_rate(&sampling_rate));
    Tracing { endpoint: spec.endpoint.clone(), sampling_rate }
}

fn image_pull_secrets(checks: &mut Checks, spec: &TodoPlatformSpec) -> Vec<String> {
    for (index, secret) in spec.image_pull_secrets.iter().enumerate() {
        checks.test(&format!("spec.imagePullSecrets[{index}].name"), check::object_name(&secret.name));
    }
    spec.image_pull_secrets.iter().map(|secret| secret.name.clone()).collect()
}

fn exposure(checks: &mut Checks, spec: &api::IngressSpec) -> Exposure {
    checks.test("spec.ingress.host", check::host(&spec.host));
    for key in spec.annotations.keys() {
        checks.test("spec.ingress.annotations", check::key(key));
    }
    let host = spec.host.clone();
    let Some(gateway) = &spec.gateway else {
        return Exposure::Ingress {
            host,
            class: spec.class_name.clone(),
            annotations: spec.annotations.clone(),
            tls_secret: spec.tls_secret_name.clone(),
        };
    };
    if spec.class_name.is_some() || spec.tls_secret_name.is_some() || !spec.annotations.is_empty() {
        let message = "has settings of an Ingress too; leave out className, annotations and tlsSecretName, \
                       as the Gateway has the certificate";
        checks.refuse("spec.ingress.gateway", message);
    }
    Exposure::HttpRoute { host, gateway: gateway.name.clone(), section: gateway.section_name.clone() }
}

fn network_policy(spec: &TodoPlatformSpec, settings: &Settings) -> Option<NetworkPolicy> {
    let enabled = spec.network_policy.as_ref().and_then(|policy| policy.enabled).unwrap_or(true);
    enabled.then(|| NetworkPolicy {
        operator_namespace: settings.operator_namespace.clone(),
        dapr_namespace: settings.dapr_namespace.clone(),
        monitoring_namespace: settings.monitoring_namespace.clone(),
        api_server: settings.api_server.clone(),
    })
}
