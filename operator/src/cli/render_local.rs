//! `todo-operator render --local`: the same platform for a laptop without Kubernetes, as files for `dapr run -f`.
//!
//! There is no access control: sidecars outside of Kubernetes have no identity to tell callers by. The components are
//! the cluster's but for three things: Kafka and PostgreSQL that would be embedded, or run by other operators for this platform,
//! are expected on localhost, without and with the simplest of passwords; the secret store reads a file; and what refers to a Secret asks that store.
//!
//! What is secret is in two files that are made once and never overwritten: `secrets.json` for the secret store, and
//! `app.env` with the token between services and sidecars. The token cannot be in the run file: `dapr run` gives the
//! variables in there to the services and not to their sidecars, and both have to know it. Both inherit what `dapr run`
//! itself is started with.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use todo_crds::dapr::{Auth, Component, ComponentSpec, Configuration, MetadataItem, Resiliency};

use super::render::{RenderError, resolve_file};
use crate::{
    build::{dapr, required_secrets},
    dereference::password,
    names::{self, App},
    resolve::{KafkaAuth, KafkaMode, PostgresMode, Resolved, SecretRef, Settings},
};

/// First of the management ports, which must differ where all services share one machine.
const FIRST_MANAGEMENT_PORT: usize = 8181;
/// First of the ports of the sidecars' HTTP APIs; 3501 is left to the sidecars' public port.
const FIRST_HTTP_PORT: usize = 3510;
/// First of the ports of the sidecars' gRPC APIs. As all of these, below those that the system gives to outgoing connections (from
/// 32768 on with Linux), any of which may be taken at the moment when a sidecar begins to listen.
const FIRST_GRPC_PORT: usize = 3_520;
/// First of the ports of the sidecars' metrics.
const FIRST_METRICS_PORT: usize = 9_190;

/// Writes the platform in `file` to `dir`; its page is in `web_root`. Files with secrets that are already there are left
/// alone.
pub fn render_local(file: &Path, dir: &Path, web_root: &Path, settings: &Settings) -> Result<(), RenderError> {
    let platform = localhost(resolve_file(file, None, settings)?);
    let components = dir.join("components");
    fs::create_dir_all(&components).map_err(|source| write_error(&components, source))?;
    // Neither sidecars nor services run in this folder with every release of `dapr run`, so what they are told must not
    // be relative.
    let secrets_file = dir.canonicalize().map_err(|source| write_error(dir, source))?.join("secrets.json");
    let web_root = std::path::absolute(web_root).map_err(|source| write_error(web_root, source))?;

    for component in local_components(&platform, &secrets_file) {
        let name = component.metadata.name.clone().unwrap_or_default();
        write_yaml(&components.join(format!("{name}.yaml")), &component)?;
    }
    let mut resiliency = Resiliency::new(names::DAPR_CONFIG, dapr::resiliency::spec());
    resiliency.scopes = dapr::resiliency::build(&platform).scopes;
    write_yaml(&components.join("resiliency.yaml"), &resiliency)?;
    let configuration = Configuration::new(names::DAPR_CONFIG, dapr::configuration::observability(&platform.dapr));
    write_yaml(&dir.join("config.yaml"), &configuration)?;
    write_yaml(&dir.join("dapr.yaml"), &run_file(&platform, &web_root))?;
    write(&dir.join("README.md"), &readme(&platform, &web_root, settings))?;
    write_once(&secrets_file, &secrets(&platform))?;
    write_once(&dir.join("app.env"), &format!("APP_API_TOKEN={}\n", password().reveal()))
}

/// What would run for this platform alone is expected on this machine.
fn localhost(mut platform: Resolved) -> Resolved {
    if !matches!(platform.kafka.mode, KafkaMode::External(_)) {
        platform.kafka.mode = KafkaMode::External(crate::resolve::ExternalKafka {
            brokers: vec![local_broker()],
            auth: KafkaAuth::None,
            tls: None,
        });
    }
    platform
}

fn has_local_database(platform: &Resolved) -> bool {
    !matches!(platform.postgres.mode, PostgresMode::External { .. })
}

fn local_broker() -> String {
    format!("localhost:{}", names::KAFKA_PORT)
}

fn local_components(platform: &Resolved, secrets_file: &Path) -> Vec<Component> {
    dapr::component::all(platform)
        .into_iter()
        .map(|mut component| {
            component.metadata = ObjectMeta { name: component.metadata.name, ..ObjectMeta::default() };
            if component.metadata.name.as_deref() == Some(names::SECRET_STORE) {
                component.spec = ComponentSpec::new(
                    "secretstores.local.file",
                    "v1",
                    vec![
                        MetadataItem::value("secretsFile", secrets_file.display().to_string()),
                        // Several keys below each name, as in a Kubernetes Secret.
                        MetadataItem::value("multiValued", "true"),
                    ],
                );
            } else if component.spec.metadata.iter().any(|item| item.secret_key_ref.is_some()) {
                component.auth = Some(Auth { secret_store: names::SECRET_STORE.to_owned() });
            }
            component
        })
        .collect()
}

/// A `dapr run -f` file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunFile {
    version: u8,
    common: Common,
    apps: Vec<RunApp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Common {
    resources_paths: Vec<String>,
    config_file_path: String,
    app_protocol: String,
    enable_api_logging: bool,
    log_level: String,
    env: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunApp {
    #[serde(rename = "appID")]
    app_id: String,
    app_dir_path: String,
    app_port: u16,
    #[serde(rename = "daprHTTPPort")]
    dapr_http_port: usize,
    #[serde(rename = "daprGRPCPort")]
    dapr_grpc_port: usize,
    metrics_port: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_max_concurrency: Option<u8>,
    command: Vec<String>,
    env: BTreeMap<String, String>,
}

fn run_file(platform: &Resolved, web_root: &Path) -> RunFile {
    let text = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    RunFile {
        version: 1,
        common: Common {
            resources_paths: vec!["./components".to_owned()],
            config_file_path: "./config.yaml".to_owned(),
            app_protocol: "http".to_owned(),
            enable_api_logging: platform.dapr.api_logging,
            log_level: platform.dapr.log_level.clone(),
            env: text(&[
                ("AUTH_MODE", "disabled"),
                ("NAMESPACE", &platform.namespace),
                ("PLATFORM_NAME", &platform.name),
                ("PLATFORM_UID", &platform.uid),
                ("RUST_LOG", "info"),
            ]),
        },
        apps: App::ALL.iter().enumerate().map(|(index, app)| run_app(platform, *app, index, web_root)).collect(),
    }
}

fn run_app(platform: &Resolved, app: App, index: usize, web_root: &Path) -> RunApp {
    let mut env = BTreeMap::from([
        ("MANAGEMENT_PORT".to_owned(), (FIRST_MANAGEMENT_PORT + index).to_string()),
        ("PORT".to_owned(), app.port().to_string()),
    ]);
    if app.has_backing_services() {
        let connection = &platform.postgres.connection_string;
        env.insert("DATABASE_SECRET_NAME".to_owned(), connection.name.clone());
        env.insert("DATABASE_SECRET_KEY".to_owned(), connection.key.clone());
    }
    if app == App::Frontend {
        env.insert("WEB_ROOT".to_owned(), web_root.display().to_string());
    }
    if app == App::Backend {
        env.insert("REMINDER_WINDOW_SECONDS".to_owned(), platform.reminders.window_seconds.to_string());
        if platform.reminders.precise {
            env.insert("REMINDER_MODE".to_owned(), "Precise".to_owned());
        }
        if let Some(ai) = &platform.ai {
            env.insert("AI_SECRET_NAME".to_owned(), ai.api_key.name.clone());
            env.insert("AI_SECRET_KEY".to_owned(), ai.api_key.key.clone());
            env.extend(ai.base_url.iter().map(|url| ("AI_BASE_URL".to_owned(), url.clone())));
            env.extend(ai.model.iter().map(|model| ("AI_MODEL".to_owned(), model.clone())));
        }
    }
    env.extend(platform.service(app).env.clone());
    RunApp {
        app_id: app.id().to_owned(),
        app_dir_path: ".".to_owned(),
        app_port: app.port(),
        dapr_http_port: FIRST_HTTP_PORT + index,
        dapr_grpc_port: FIRST_GRPC_PORT + index,
        metrics_port: FIRST_METRICS_PORT + index,
        app_max_concurrency: (app == App::Backend).then_some(10),
        command: vec![app.image().to_owned()],
        env,
    }
}

/// The secrets that the components and services ask for: a value where the README says what runs on this machine,
/// nothing where only the user knows.
fn secrets(platform: &Resolved) -> String {
    let mut file: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let local_database = has_local_database(platform);
    for secret in local_secrets(platform) {
        let value = if local_database && secret == platform.postgres.connection_string {
            format!("postgres://todo:todo@localhost:{}/todo?sslmode=disable", names::POSTGRES_PORT)
        } else {
            String::new()
        };
        file.entry(secret.name).or_default().insert(secret.key, value);
    }
    // A map of maps of texts is always JSON.
    let json = serde_json::to_string_pretty(&file).unwrap_or_default();
    format!("{json}\n")
}

/// Without what only the operator's own parts need, the sidecars' token and the database server's own settings, and without
/// those of channels, which have no other way into a service than Kubernetes'.
fn local_secrets(platform: &Resolved) -> BTreeSet<SecretRef> {
    let channels: BTreeSet<_> = platform.notifications.secrets().into_iter().map(|(secret, _)| secret).collect();
    required_secrets(platform)
        .into_iter()
        .map(|secret| SecretRef::new(secret.name, secret.key))
        .filter(|secret| !channels.contains(secret))
        .filter(|secret| !secret.name.eq(names::APP_TOKEN_SECRET))
        .filter(|secret| secret.name != names::POSTGRES_SECRET || *secret == platform.postgres.connection_string)
        .collect()
}

fn readme(platform: &Resolved, web_root: &Path, settings: &Settings) -> String {
    let kafka = matches!(&platform.kafka.mode, KafkaMode::External(kafka) if kafka.brokers == [local_broker()]);
    let postgres = has_local_database(platform);
    let mut commands = Vec::new();
    if kafka {
        let (port, image) = (names::KAFKA_PORT, &settings.kafka_image);
        commands.push(format!("docker run -d --name todo-kafka -p 127.0.0.1:{port}:{port} {image}"));
    }
    if postgres {
        let (port, image) = (names::POSTGRES_PORT, &settings.postgres_image);
        commands.push(format!(
            "docker run -d --name todo-postgres -p 127.0.0.1:{port}:{port} -e POSTGRES_USER=todo -e POSTGRES_PASSWORD=todo {image}"
        ));
    }
    // A sidecar that cannot connect ends, and `dapr run` does not start it again.
    if kafka {
        commands.push(format!(
            "until docker exec todo-kafka /opt/kafka/bin/kafka-topics.sh --bootstrap-server localhost:{} --list; do sleep 1; done",
            names::KAFKA_PORT
        ));
    }
    if postgres {
        // Not by its socket, where it answers while it still makes the database.
        commands.push("until docker exec todo-postgres pg_isready -h 127.0.0.1; do sleep 1; done".to_owned());
    }
    commands.push("env $(cat app.env) dapr run -f .".to_owned());
    let started: Vec<_> = [(kafka, "todo-kafka"), (postgres, "todo-postgres")]
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, name)| *name)
        .collect();

    let mut text = format!(
        "# {name} without Kubernetes\n\n\
         Made by `todo-operator render --local`. Once:\n\n\
         - `dapr init`\n\
         - build the services, and put `todo-backend`, `todo-notification`, `todo-recurring-task` and `todo-frontend` in\n  \
           the PATH\n\
         - build the web page, in `{web_root}`\n\n\
         Start, in this folder:\n\n",
        name = platform.name,
        web_root = web_root.display(),
    );
    for command in commands {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {command}");
    }
    let _ = write!(text, "\nThen open http://localhost:{}. Ctrl-C stops the services", App::Frontend.port());
    if !started.is_empty() {
        let _ = write!(text, ", and `docker rm -f -v {}` the rest", started.join(" "));
    }
    text + ".\n\n\
        Secrets are in `secrets.json`; fill in what is empty there. `app.env` has the token by which services know their\n\
        own sidecars. Both are made once and kept when this folder is rendered again. There is no access control between\n\
        the services here: sidecars outside of Kubernetes have no identity.\n"
}

fn write_yaml(path: &Path, value: &impl Serialize) -> Result<(), RenderError> {
    let yaml = serde_yaml::to_string(value)
        .map_err(|source| RenderError::Serialise { object: path.display().to_string(), source })?;
    write(path, &yaml)
}

fn write(path: &Path, content: &str) -> Result<(), RenderError> {
    fs::write(path, content).map_err(|source| write_error(path, source))
}

/// Writes a file for its owner's eyes, unless it is there.
fn write_once(path: &Path, content: &str) -> Result<(), RenderError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        opened => {
            opened.and_then(|mut file| file.write_all(content.as_bytes())).map_err(|source| write_error(path, source))
        }
    }
}

fn write_error(path: &Path, source: io::Error) -> RenderError {
    RenderError::Write { target: path.display().to_string(), source }
}
