//! The environment of the services: the contract between them and the operator. What is set here is in
//! [`todo_crds::platform::RESERVED_ENV`] or `RESERVED_ENV_LATER` too, so that a user cannot set it.

use k8s_openapi::api::core::v1::EnvVar;
use todo_crds::platform::ALLOWED_HOSTS;

use super::channels;
use crate::{
    build::pod::{env, env_field, env_secret},
    names::{self, App},
    resolve::{Resolved, SecretRef},
};

/// The environment of one service, sorted by name. A user's own variables come with it, and may replace `RUST_LOG` only. To the
/// user's [`ALLOWED_HOSTS`] the host from outside is added.
pub(super) fn build(platform: &Resolved, app: App) -> Vec<EnvVar> {
    let token = SecretRef::new(names::APP_TOKEN_SECRET, names::TOKEN_KEY);
    let mut variables = vec![
        env_secret("APP_API_TOKEN", &token),
        env("AUTH_MODE", "disabled"),
        // Dapr injects the ports only; these are what SDKs and the specification's services read.
        env("DAPR_GRPC_ENDPOINT", format!("http://localhost:{}", names::DAPR_GRPC_PORT)),
        env("DAPR_HTTP_ENDPOINT", format!("http://localhost:{}", names::DAPR_HTTP_PORT)),
        env("MANAGEMENT_PORT", names::MANAGEMENT_PORT.to_string()),
        env_field("NAMESPACE", "metadata.namespace"),
        env("PLATFORM_NAME", &platform.name),
        env("PLATFORM_UID", &platform.uid),
        env_field("POD_NAME", "metadata.name"),
        env("PORT", app.port().to_string()),
    ];
    if let Some(tracing) = &platform.dapr.tracing {
        variables.push(env("OTEL_EXPORTER_OTLP_ENDPOINT", &tracing.endpoint));
        let protocol = if tracing.takes_http() { "http/protobuf" } else { "grpc" };
        variables.push(env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol));
        variables.push(env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"));
        variables.push(env("OTEL_TRACES_SAMPLER_ARG", &tracing.sampling_rate));
    }
    if app.has_backing_services() {
        let connection = &platform.postgres.connection_string;
        variables.push(env("DATABASE_SECRET_KEY", &connection.key));
        variables.push(env("DATABASE_SECRET_NAME", &connection.name));
    }
    match app {
        App::Backend => {
            variables.push(env("REMINDER_WINDOW_SECONDS", platform.reminders.window_seconds.to_string()));
            if platform.reminders.precise {
                variables.push(env("REMINDER_MODE", "Precise"));
            }
            if let Some(ai) = &platform.ai {
                variables.push(env("AI_SECRET_NAME", &ai.api_key.name));
                variables.push(env("AI_SECRET_KEY", &ai.api_key.key));
                variables.extend(ai.base_url.as_ref().map(|url| env("AI_BASE_URL", url)));
                variables.extend(ai.model.as_ref().map(|model| env("AI_MODEL", model)));
            }
        }
        App::Frontend => variables.push(env("WEB_ROOT", "/web")),
        App::Notification => variables.extend(channels::variables(platform)),
        App::RecurringTask => {}
    }
    let mut own = platform.service(app).env.clone();
    if let (App::Frontend, Some(exposure)) = (app, &platform.exposure) {
        let hosts = own.entry(ALLOWED_HOSTS.to_owned()).or_default();
        *hosts = if hosts.is_empty() { exposure.host().to_owned() } else { format!("{hosts},{}", exposure.host()) };
    }
    if !own.contains_key("RUST_LOG") {
        variables.push(env("RUST_LOG", "info"));
    }
    variables.extend(own.into_iter().map(|(name, value)| env(&name, value)));
    variables.sort_by(|a, b| a.name.cmp(&b.name));
    variables
}
