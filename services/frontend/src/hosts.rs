//! By which names the page may be called. To a browser, a page elsewhere whose name is made to lead here (DNS rebinding) is of one
//! origin with this one: only the name in `host` gives it away. Addresses are nobody's to rebind.

use std::{collections::HashSet, net::IpAddr, str::FromStr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header::HOST, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use todo_common::problem::Problem;

/// Stands for every name in `ALLOWED_HOSTS`.
const ANY: &str = "*";

/// `ALLOWED_HOSTS`, separated by commas: names beside those that are known anyway, or [`ANY`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowed(Vec<String>);

/// Something else than names.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no host; write names without a scheme and with commas between them, or `*` for any")]
pub(crate) struct NoHost(String);

impl FromStr for Allowed {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let read = |entry| if entry == ANY { Some(ANY.to_owned()) } else { name_of(entry) };
        entries.map(|entry| read(entry).ok_or_else(|| NoHost(entry.to_owned()))).collect::<Result<_, _>>().map(Self)
    }
}

/// The names. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    /// None takes any.
    names: Option<Arc<HashSet<String>>>,
}

impl Hosts {
    /// Those of this Service in its namespace, and these.
    pub(crate) fn new(service: &str, namespace: &str, Allowed(names): Allowed) -> Self {
        if names.iter().any(|name| name == ANY) {
            return Self { names: None };
        }
        let within = ["", ".svc", ".svc.cluster.local"].map(|domain| format!("{service}.{namespace}{domain}"));
        let own = ["localhost", service].map(str::to_owned).into_iter().chain(within);
        Self { names: Some(Arc::new(own.chain(names).collect())) }
    }

    /// Whether a request to this host, which may have a port, is meant for us.
    fn takes(&self, host: &str) -> bool {
        let Some(names) = &self.names else { return true };
        name_of(host).is_some_and(|name| {
            name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
                || name.ends_with(".localhost")
                || names.contains(&name)
        })
    }
}

/// The host without its port, in small letters.
fn name_of(host: &str) -> Option<String> {
    let authority = host.parse::<Authority>().ok()?;
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    Some(name).filter(|name| !name.is_empty() && !name.contains('*'))
}

/// Refuses what was sent to another host. Without one it was no browser that sent it.
pub(crate) async fn known_only(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let host = match request.headers().get(HOST) {
        Some(host) => Some(host.to_str().unwrap_or_default()),
        None => request.uri().authority().map(Authority::as_str),
    };
    let Some(unknown) = host.filter(|host| !hosts.takes(host)) else { return next.run(request).await };
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", "The page has another name")
        .detail(format!(
            "{unknown} is no host that frontend-service knows; if it is yours, add it to ALLOWED_HOSTS in spec.services.frontend.env"
        ))
        .into_response()
}

#[cfg(test)]
mod tests {
    use todo_common::apps;

    use super::*;

    fn hosts(allowed: &str) -> Hosts {
        Hosts::new(apps::FRONTEND, "todo", allowed.parse().unwrap())
    }

    #[test]
    fn addresses_and_the_names_that_lead_here_are_taken() {
        let hosts = hosts("Todo.Example.com, other.example:8443");
        for host in [
            "127.0.0.1:8088",
            "10.244.0.7",
            "[::1]:8080",
            "localhost:3000",
            "LOCALHOST",
            "todo.localhost:8080",
            "frontend-service",
            "frontend-service.todo:80",
            "frontend-service.todo.svc",
            "frontend-service.todo.svc.cluster.local.",
            "todo.example.com",
            "other.example",
        ] {
            assert!(hosts.takes(host), "{host}");
        }
    }

    #[test]
    fn names_of_others_are_not() {
        let hosts = hosts("todo.example.com");
        for host in [
            "evil.example:8088",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "frontend-service.other.svc",
            "frontend-service.todo.svc.evil.example",
            "x.todo.example.com",
            "",
            ":8088",
            "a b",
        ] {
            assert!(!hosts.takes(host), "{host}");
        }
    }

    #[test]
    fn a_star_takes_all_and_what_is_no_name_is_a_mistake() {
        assert!(hosts("todo.example.com,*").takes("evil.example"));
        for wrong in ["https://todo.example.com", "todo.example.com/x", "*.example.com"] {
            assert_eq!(wrong.parse::<Allowed>(), Err(NoHost(wrong.to_owned())));
        }
    }
}
