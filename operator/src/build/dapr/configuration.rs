//! The one Configuration of all services.
//!
//! Access control is read by the sidecar of the app that is *called*, and this list is the same for all four. That is
//! safe because each caller's routes exist at one callee only: `/send-notification` at the notification service,
//! `/process-completion` at the recurring-task service, `/mcp` at the backend; `/api/**` at the backend and, for
//! `/api/notifications`, at the notification service, and the frontend is meant to reach both. Asked of any other
//! service they are 404. The routes that Dapr itself calls (ticks, events, `/dapr/*`) are in nobody's list, so no app
//! can invoke them at another.
//!
//! Secret scopes are shared in the same way; what one service may read and another may not is told apart by their
//! Roles, as every sidecar reads with its own pod's account.

use std::collections::BTreeSet;

use todo_crds::dapr::{
    AccessControl, Action, ApiLogging, AppPolicy, Configuration, ConfigurationSpec, HttpMetric, Logging, Metric,
    Operation, Otel, OtelProtocol, SecretScope, Secrets, Tracing,
};

use crate::{
    build::{owned, secrets},
    names::{self, App},
    resolve::{self, Resolved},
};

/// The trust domain that Dapr gives to apps.
const TRUST_DOMAIN: &str = "public";

/// Configuration `todo-platform`.
pub fn build(platform: &Resolved) -> Configuration {
    let mut configuration = Configuration::new(
        names::DAPR_CONFIG,
        ConfigurationSpec {
            secrets: Some(secret_scopes(platform)),
            access_control: Some(access_control(&platform.namespace)),
            ..observability(&platform.dapr)
        },
    );
    configuration.metadata = owned(platform, names::DAPR_CONFIG, None);
    configuration
}

/// Tracing, metrics and logging: the part that makes sense without Kubernetes too.
pub fn observability(dapr: &resolve::Dapr) -> ConfigurationSpec {
    ConfigurationSpec {
        tracing: dapr.tracing.as_ref().map(tracing),
        metric: Some(Metric {
            enabled: true,
            record_error_codes: true,
            http: HttpMetric { increased_cardinality: false },
        }),
        logging: Some(Logging {
            api_logging: ApiLogging { enabled: dapr.api_logging, obfuscate_urls: true, omit_health_checks: true },
        }),
        secrets: None,
        access_control: None,
    }
}

/// Dapr wants `host:port` and the rest apart, where OpenTelemetry has one URL.
fn tracing(tracing: &resolve::Tracing) -> Tracing {
    let (scheme, rest) = tracing.endpoint.split_once("://").unwrap_or(("http", &tracing.endpoint));
    let address = rest.trim_end_matches('/');
    let protocol = if tracing.takes_http() { OtelProtocol::Http } else { OtelProtocol::Grpc };
    Tracing {
        sampling_rate: tracing.sampling_rate.clone(),
        otel: Some(Otel { endpoint_address: address.to_owned(), is_secure: scheme == "https", protocol }),
    }
}

fn secret_scopes(platform: &Resolved) -> Secrets {
    let readable: BTreeSet<String> = App::ALL.iter().flat_map(|app| secrets::readable_by(platform, *app)).collect();
    Secrets {
        scopes: vec![
            SecretScope {
                store_name: names::SECRET_STORE.to_owned(),
                default_access: Action::Deny,
                allowed_secrets: readable.into_iter().collect(),
            },
            // Switched off by annotation as well; this holds if somebody takes the annotation away.
            SecretScope {
                store_name: names::BUILTIN_SECRET_STORE.to_owned(),
                default_access: Action::Deny,
                allowed_secrets: Vec::new(),
            },
        ],
    }
}

fn access_control(namespace: &str) -> AccessControl {
    let policy = |app: App, operations: &[(&str, &str)]| AppPolicy {
        app_id: app.to_string(),
        default_action: Action::Deny,
        trust_domain: TRUST_DOMAIN.to_owned(),
        namespace: namespace.to_owned(),
        operations: operations
            .iter()
            .map(|(path, verb)| Operation {
                name: (*path).to_owned(),
                http_verb: vec![(*verb).to_owned()],
                action: Action::Allow,
            })
            .collect(),
    };
    AccessControl {
        default_action: Action::Deny,
        trust_domain: TRUST_DOMAIN.to_owned(),
        policies: vec![
            policy(App::Backend, &[("/process-completion", "POST"), ("/send-notification", "POST")]),
            policy(App::Frontend, &[("/api/**", "*"), ("/mcp", "*")]),
        ],
    }
}
