//! `render --local`. That the result really runs is shown by the scenario `local` of the e2e tests.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_yaml::Value;
use todo_operator::cli::render_local::render_local;

use crate::support::{DEFAULT, settings};

/// A rendered folder that goes with the test.
struct Rendered(PathBuf);

impl Rendered {
    fn new(name: &str) -> Self {
        Self::of(name, DEFAULT)
    }

    fn of(name: &str, platform: &str) -> Self {
        let rendered = Self(std::env::temp_dir().join(format!("todo-local-{name}-{}", std::process::id())));
        fs::create_dir_all(&rendered.0).unwrap();
        fs::write(rendered.0.join("platform.yaml"), platform).unwrap();
        rendered.again();
        rendered
    }

    fn again(&self) {
        let page = PathBuf::from("/somewhere/page");
        render_local(&self.0.join("platform.yaml"), &self.0.join("local"), &page, &settings()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join("local").join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn yaml(&self, name: &str) -> Value {
        serde_yaml::from_str(&self.text(name)).unwrap()
    }
}

impl Drop for Rendered {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn secrets_are_made_once_for_their_owner_alone_and_are_in_no_other_file() {
    let rendered = Rendered::new("secrets");
    let token = rendered.text("app.env");
    let value = token.trim().strip_prefix("APP_API_TOKEN=").unwrap();
    assert_eq!(value.len(), 32);
    for name in ["app.env", "secrets.json"] {
        assert_eq!(fs::metadata(rendered.path(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    for name in ["dapr.yaml", "config.yaml", "README.md"] {
        assert!(!rendered.text(name).contains(value), "{name}");
    }

    fs::write(rendered.path("secrets.json"), "mine").unwrap();
    rendered.again();
    assert_eq!((rendered.text("app.env"), rendered.text("secrets.json")), (token, "mine".to_owned()));
    assert_ne!(Rendered::new("others").text("app.env"), rendered.text("app.env"));
}

#[test]
fn sidecars_find_the_secrets_wherever_they_run() {
    let rendered = Rendered::new("paths");
    let folder = fs::canonicalize(rendered.path("")).unwrap();
    let store = rendered.yaml("components/kubernetes-secrets.yaml");
    assert_eq!(store["spec"]["metadata"][0]["value"], folder.join("secrets.json").to_str().unwrap());
}

#[test]
fn the_frontend_is_told_where_the_page_is_and_every_service_how_to_know_users() {
    let run = Rendered::new("page").yaml("dapr.yaml");
    let frontend = run["apps"].as_sequence().unwrap().iter().find(|app| app["appID"] == "frontend-service").unwrap();
    assert_eq!(frontend["env"]["WEB_ROOT"], "/somewhere/page");
    assert_eq!(run["common"]["env"]["AUTH_MODE"], "disabled");
}

/// Of Linux, <https://docs.kernel.org/networking/ip-sysctl.html> (`ip_local_port_range`).
const FIRST_EPHEMERAL_PORT: u64 = 32_768;

#[test]
fn no_port_is_given_twice_or_can_be_that_of_an_outgoing_connection() {
    let run = Rendered::new("ports").yaml("dapr.yaml");
    let mut ports = Vec::new();
    for app in run["apps"].as_sequence().unwrap() {
        for name in ["appPort", "daprHTTPPort", "daprGRPCPort", "metricsPort"] {
            ports.push(app[name].as_u64().unwrap());
        }
        ports.push(app["env"]["MANAGEMENT_PORT"].as_str().unwrap().parse().unwrap());
    }
    let count = ports.len();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!((ports.len(), count), (20, 20));
    assert!(ports.iter().all(|port| *port < FIRST_EPHEMERAL_PORT), "{ports:?}");
}

#[test]
fn what_other_operators_would_run_is_expected_on_this_machine_as_what_is_embedded() {
    let managed = DEFAULT.replace("spec: {}", "spec: {kafka: {strimzi: {}}, postgres: {cloudNativePg: {}}}");
    assert_ne!(managed, DEFAULT);
    let (embedded, managed) = (Rendered::new("embedded"), Rendered::of("managed", &managed));
    for name in ["components/kafka-pubsub.yaml", "README.md"] {
        assert_eq!(managed.text(name), embedded.text(name), "{name}");
    }
    let secrets =
        |rendered: &Rendered| serde_json::from_str::<serde_json::Value>(&rendered.text("secrets.json")).unwrap();
    assert_eq!(
        secrets(&managed)["postgres-app"]["uri"],
        secrets(&embedded)["postgres-connection"]["connection-string"]
    );
    assert_eq!(secrets(&managed).as_object().unwrap().len(), 1, "nothing is left to fill in");
}
