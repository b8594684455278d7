//! The environment of a service, read once at start. `operator/src/build/app/env.rs` is the other side of it.

use std::{env, fmt, str::FromStr};

use reqwest::Url;
use todo_traces::{Collector, Endpoint};

use crate::{
    Sensitive, apps,
    database::{ConnectError, options},
};

/// What every service is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Dapr app id, one of [`apps`].
    pub service: &'static str,
    /// `PORT`: what the sidecar and the Service call.
    pub port: u16,
    /// `MANAGEMENT_PORT`: probes and metrics.
    pub management_port: u16,
    /// `DAPR_HTTP_ENDPOINT`, else `DAPR_HTTP_PORT` on this host, else port 3500. Without a trailing slash.
    pub dapr_http: String,
    /// `APP_API_TOKEN`: what the sidecar shows with each of its calls. Without it nobody may call the routes for Dapr.
    pub app_token: Option<Sensitive>,
    /// `NAMESPACE` of the platform.
    pub namespace: String,
    /// `PLATFORM_NAME`.
    pub platform_name: String,
    /// `PLATFORM_UID`.
    pub platform_uid: String,
    /// `POD_NAME`.
    pub pod_name: String,
    /// `DATABASE_SECRET_NAME` and `DATABASE_SECRET_KEY`: the Secret that holds the connection string.
    pub database_secret: Option<DatabaseSecret>,
    /// `DATABASE_URL`: the connection string itself, for a laptop without a secret store.
    pub database_url: Option<Sensitive>,
    /// `AUTH_MODE`.
    pub auth_mode: AuthMode,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_PROTOCOL` and `OTEL_TRACES_SAMPLER_ARG`.
    pub spans: Spans,
}

/// Where spans go.
#[derive(Clone, Debug, PartialEq)]
pub enum Spans {
    /// Nobody wants any.
    None,
    /// To a collector.
    To(Collector),
    /// Sidecars can reach the collector and services cannot: why.
    Unsent(String),
}

/// Where the connection string is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseSecret {
    /// Name of the Secret.
    pub name: String,
    /// Key in it.
    pub key: String,
}

/// How the services know who is calling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// The `user_id` of a request is believed.
    Disabled,
}

/// Everything that is wrong with the environment, all at once.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub struct ConfigError(
    /// One sentence for each mistake; each names its variable.
    pub Vec<String>,
);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment is wrong: {}", self.0.join("; "))
    }
}

impl Settings {
    /// Reads the process environment for the service with this Dapr app id.
    pub fn from_env(service: &'static str) -> Result<Self, ConfigError> {
        Self::read(service, &of_process).unless_any_mistake()
    }

    /// The same for one that has a database: without a way to it, it cannot start.
    pub fn with_database_from_env(service: &'static str) -> Result<Self, ConfigError> {
        Self::read(service, &of_process).with_database().unless_any_mistake()
    }

    fn read<'a>(service: &'static str, lookup: &'a dyn Fn(&str) -> Option<String>) -> Read<'a> {
        let mut variables = Variables { lookup, mistakes: Vec::new() };
        let settings = Self {
            service,
            port: variables.parsed("PORT", default_port(service)),
            management_port: variables.parsed("MANAGEMENT_PORT", 8081),
            dapr_http: variables.dapr_http(),
            app_token: variables.text("APP_API_TOKEN").map(Sensitive::new),
            namespace: variables.text("NAMESPACE").unwrap_or_else(|| "default".to_owned()),
            platform_name: variables.text("PLATFORM_NAME").unwrap_or_else(|| "local".to_owned()),
            platform_uid: variables.text("PLATFORM_UID").unwrap_or_default(),
            pod_name: variables.text("POD_NAME").unwrap_or_else(|| service.to_owned()),
            database_secret: variables.database_secret(),
            database_url: variables.text("DATABASE_URL").map(Sensitive::new),
            auth_mode: variables.auth_mode(),
            spans: variables.spans(),
        };
        Read { settings, variables }
    }
}

fn of_process(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// Settings, and what was wrong with them.
struct Read<'a> {
    settings: Settings,
    variables: Variables<'a>,
}

impl Read<'_> {
    /// Looks at what says where the database is, beside what [`Variables::database_secret`] has noted.
    fn with_database(mut self) -> Self {
        let is_named =
            ["DATABASE_SECRET_NAME", "DATABASE_SECRET_KEY"].iter().any(|name| self.variables.text(name).is_some());
        let mistake = match &self.settings.database_url {
            Some(url) => {
                options::parse(url.expose()).err().map(|error| format!("DATABASE_URL cannot be read: {error}"))
            }
            None if is_named => None,
            None => Some(ConnectError::NotConfigured.to_string()),
        };
        self.variables.mistakes.extend(mistake);
        self
    }

    fn unless_any_mistake(self) -> Result<Settings, ConfigError> {
        let Self { settings, variables: Variables { mistakes, .. } } = self;
        if mistakes.is_empty() { Ok(settings) } else { Err(ConfigError(mistakes)) }
    }
}

/// What is wrong, while one reads on.
#[derive(Debug, Default)]
pub struct Mistakes(Vec<String>);

impl Mistakes {
    /// What was read; a mistake is noted.
    pub fn note<T>(&mut self, read: Result<T, ConfigError>) -> Option<T> {
        read.map_err(|ConfigError(more)| self.0.extend(more)).ok()
    }

    /// Notes one sentence, which names its variable.
    pub fn add(&mut self, mistake: impl Into<String>) {
        self.0.push(mistake.into());
    }

    /// What was read in all, unless something was wrong.
    pub fn unless_any<T>(self, read: T) -> Result<T, ConfigError> {
        if self.0.is_empty() { Ok(read) } else { Err(ConfigError(self.0)) }
    }
}

/// Both parts of an environment, or what is wrong with either.
pub fn both<A, B>(common: Result<A, ConfigError>, own: Result<B, ConfigError>) -> Result<(A, B), ConfigError> {
    match (common, own) {
        (Ok(common), Ok(own)) => Ok((common, own)),
        (common, own) => {
            let mistakes = common.err().into_iter().chain(own.err());
            Err(ConfigError(mistakes.flat_map(|ConfigError(mistakes)| mistakes).collect()))
        }
    }
}

/// A variable of one service that may be missing or empty.
pub fn optional<T: FromStr<Err: fmt::Display>>(name: &str) -> Result<Option<T>, ConfigError> {
    parse(name, env::var(name).ok())
}

/// A variable that a service cannot do without.
pub fn required<T: FromStr<Err: fmt::Display>>(name: &str) -> Result<T, ConfigError> {
    optional(name)?.ok_or_else(|| ConfigError(vec![format!("{name} is missing")]))
}

fn parse<T: FromStr<Err: fmt::Display>>(name: &str, text: Option<String>) -> Result<Option<T>, ConfigError> {
    text.filter(|text| !text.trim().is_empty())
        .map(|text| text.trim().parse().map_err(|error| ConfigError(vec![format!("{name} cannot be read: {error}")])))
        .transpose()
}

fn default_port(service: &str) -> u16 {
    match service {
        apps::NOTIFICATION => 8001,
        apps::RECURRING_TASK => 8002,
        apps::FRONTEND => 8080,
        _ => 8000,
    }
}

struct Variables<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    mistakes: Vec<String>,
}

impl Variables<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, name: &str, default: T) -> T {
        match parse(name, self.text(name)) {
            Ok(value) => value.unwrap_or(default),
            Err(ConfigError(mistakes)) => {
                self.mistakes.extend(mistakes);
                default
            }
        }
    }

    fn dapr_http(&mut self) -> String {
        let Some(endpoint) = self.text("DAPR_HTTP_ENDPOINT") else {
            return format!("http://127.0.0.1:{}", self.parsed::<u16>("DAPR_HTTP_PORT", 3500));
        };
        if !Url::parse(&endpoint).is_ok_and(|url| url.scheme() == "http") {
            self.mistakes.push("DAPR_HTTP_ENDPOINT must be a URL such as http://localhost:3500".to_owned());
        }
        endpoint.trim_end_matches('/').to_owned()
    }

    fn database_secret(&mut self) -> Option<DatabaseSecret> {
        match (self.text("DATABASE_SECRET_NAME"), self.text("DATABASE_SECRET_KEY")) {
            (Some(name), Some(key)) => Some(DatabaseSecret { name, key }),
            (None, None) => None,
            _ => {
                self.mistakes.push("DATABASE_SECRET_NAME and DATABASE_SECRET_KEY belong together".to_owned());
                None
            }
        }
    }

    fn auth_mode(&mut self) -> AuthMode {
        if self.text("AUTH_MODE").as_deref() != Some("disabled") {
            self.mistakes.push("AUTH_MODE must be `disabled`, the only mode of this release".to_owned());
        }
        AuthMode::Disabled
    }

    fn spans(&mut self) -> Spans {
        let sampling_rate = self.parsed("OTEL_TRACES_SAMPLER_ARG", 1.0);
        let Some(endpoint) = self.text("OTEL_EXPORTER_OTLP_ENDPOINT") else { return Spans::None };
        if self.text("OTEL_EXPORTER_OTLP_PROTOCOL").is_some_and(|protocol| protocol != "http/protobuf") {
            return Spans::Unsent("services send OTLP over HTTP only, to port 4318 of a collector".to_owned());
        }
        match endpoint.parse::<Endpoint>() {
            Ok(endpoint) => Spans::To(Collector { endpoint, sampling_rate }),
            Err(error) => Spans::Unsent(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        Settings::read(apps::NOTIFICATION, &lookup(variables)).unless_any_mistake()
    }

    fn lookup(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn a_laptop_needs_to_say_next_to_nothing() {
        let settings = read(&[("AUTH_MODE", "disabled")]).unwrap();
        assert_eq!((settings.port, settings.management_port), (8001, 8081));
        assert_eq!(settings.dapr_http, "http://127.0.0.1:3500");
        assert!(settings.app_token.is_none());
    }

    #[test]
    fn an_endpoint_goes_before_a_port() {
        let both =
            [("AUTH_MODE", "disabled"), ("DAPR_HTTP_ENDPOINT", "http://localhost:3501/"), ("DAPR_HTTP_PORT", "3600")];
        assert_eq!(read(&both).unwrap().dapr_http, "http://localhost:3501");
        assert_eq!(read(&[both[0], both[2]]).unwrap().dapr_http, "http://127.0.0.1:3600");
    }

    #[test]
    fn spans_go_to_a_collector_that_takes_them_and_no_other_one_keeps_a_service_from_starting() {
        let spans =
            |variables: &[(&str, &str)]| read(&[&[("AUTH_MODE", "disabled")], variables].concat()).unwrap().spans;
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let protocol = |name| ("OTEL_EXPORTER_OTLP_PROTOCOL", name);
        assert_eq!(spans(&[]), Spans::None);
        let to = |sampling_rate| Spans::To(Collector { endpoint: endpoint.1.parse().unwrap(), sampling_rate });
        assert_eq!(spans(&[endpoint]), to(1.0));
        assert_eq!(spans(&[endpoint, protocol("http/protobuf"), ("OTEL_TRACES_SAMPLER_ARG", ".5")]), to(0.5));
        let unsent = |variables: &[(&str, &str)]| matches!(spans(variables), Spans::Unsent(_));
        assert!(unsent(&[endpoint, protocol("grpc")]));
        assert!(unsent(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318")]));
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let wrong = [("PORT", "eighty"), ("DAPR_HTTP_ENDPOINT", "localhost"), ("DATABASE_SECRET_NAME", "x")];
        let ConfigError(mistakes) = read(&wrong).unwrap_err();
        for (mistake, variable) in mistakes.iter().zip(["PORT", "DAPR_HTTP_ENDPOINT", "DATABASE_SECRET", "AUTH_MODE"]) {
            assert!(mistake.starts_with(variable), "{mistake}");
        }
        assert_eq!(mistakes.len(), 4);
        let own = || Err::<(), _>(ConfigError(vec!["WEB_ROOT is missing".to_owned()]));
        let ConfigError(mistakes) = both(read(&wrong), own()).unwrap_err();
        assert_eq!((mistakes.len(), mistakes[4].as_str()), (5, "WEB_ROOT is missing"));
        assert!(both(Ok(()), own()).is_err() && both(own(), Ok(())).is_err() && both(Ok(()), Ok(())).is_ok());
    }

    #[test]
    fn a_service_with_a_database_is_told_where_it_is_before_it_starts() {
        let with_database = |variables: &[(&str, &str)]| {
            let variables = [&[("AUTH_MODE", "disabled")], variables].concat();
            let read = Settings::read(apps::NOTIFICATION, &lookup(&variables)).with_database().unless_any_mistake();
            read.map(|settings| settings.database_url.is_some()).map_err(|ConfigError(mistakes)| mistakes)
        };
        let (name, key) = (("DATABASE_SECRET_NAME", "postgres-credentials"), ("DATABASE_SECRET_KEY", "uri"));
        assert_eq!(with_database(&[name, key]), Ok(false));
        assert_eq!(with_database(&[("DATABASE_URL", "postgres://todo@localhost/todo")]), Ok(true));
        let nowhere = with_database(&[]).unwrap_err();
        assert!(
            nowhere.len() == 1 && nowhere[0].contains("DATABASE_SECRET_NAME") && nowhere[0].contains("DATABASE_URL")
        );
        assert_eq!(with_database(&[name]).unwrap_err().len(), 1, "one mistake is told once");
        for url in ["localhost:5432 hunter2", "postgres://todo:hunter2@:bad/"] {
            let mistakes = with_database(&[("DATABASE_URL", url)]).unwrap_err();
            assert!(mistakes[0].starts_with("DATABASE_URL cannot be read") && !mistakes[0].contains("hunter2"));
        }
        let mistakes = with_database(&[("PORT", "eighty")]).unwrap_err();
        assert_eq!(mistakes.len(), 2, "with all others: {mistakes:?}");
    }

    #[test]
    fn a_token_is_not_in_the_debug_form() {
        let settings = read(&[("AUTH_MODE", "disabled"), ("APP_API_TOKEN", "hunter2")]).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
