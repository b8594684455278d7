//! Channels by which users may be told.

use todo_crds::platform::{self as api, DEFAULT_OUTBOUND_PORT};

use super::{SecretRef, check, checks::Checks};
use crate::names;

/// What is offered.
#[derive(Clone, Debug, Default)]
pub struct Notifications {
    /// The server that takes mails.
    pub smtp: Option<Smtp>,
    /// Web Push.
    pub web_push: Option<WebPush>,
    /// Where webhooks may lead.
    pub webhooks: Option<Outbound>,
    /// URL of the ntfy server.
    pub ntfy: Option<String>,
}

/// A server that takes mails.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted, as it is written in the resource.
    pub tls: &'static str,
    /// Whom mails are from.
    pub from: String,
    /// User name and password.
    pub credentials: Option<(SecretRef, SecretRef)>,
}

/// Web Push.
#[derive(Clone, Debug)]
pub struct WebPush {
    /// Whom a push service writes to.
    pub subject: String,
    /// Where subscriptions may lead.
    pub outbound: Outbound,
}

/// Where addresses of users may lead.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// To private networks, too.
    pub private: bool,
    /// With one of these ports.
    pub ports: Vec<u16>,
}

impl Notifications {
    /// Secrets that the notification service needs, and whether the operator makes them.
    pub fn secrets(&self) -> Vec<(SecretRef, bool)> {
        let mut secrets = Vec::new();
        if let Some((username, password)) = self.smtp.as_ref().and_then(|smtp| smtp.credentials.clone()) {
            secrets.extend([(username, false), (password, false)]);
        }
        if self.web_push.is_some() {
            for key in [names::PRIVATE_KEY, names::PUBLIC_KEY] {
                secrets.push((SecretRef::new(names::WEB_PUSH_SECRET, key), true));
            }
        }
        secrets
    }
}

/// From the resource.
pub(super) fn notifications(checks: &mut Checks, spec: Option<&api::NotificationsSpec>) -> Notifications {
    let Some(spec) = spec else { return Notifications::default() };
    Notifications {
        smtp: spec.email.as_ref().map(|email| smtp(checks, &email.smtp)),
        web_push: spec.web_push.as_ref().map(|push| {
            let path = "spec.notifications.webPush";
            checks.test(&format!("{path}.subject"), subject(&push.subject));
            let outbound = outbound(checks, path, push.allow_private_addresses, &push.ports);
            WebPush { subject: push.subject.clone(), outbound }
        }),
        webhooks: spec
            .webhooks
            .as_ref()
            .map(|hooks| outbound(checks, "spec.notifications.webhooks", hooks.allow_private_addresses, &hooks.ports)),
        ntfy: spec.ntfy.as_ref().map(|ntfy| {
            checks.test("spec.notifications.ntfy.baseUrl", check::http_url(&ntfy.base_url));
            ntfy.base_url.clone()
        }),
    }
}

fn smtp(checks: &mut Checks, spec: &api::SmtpSpec) -> Smtp {
    let path = "spec.notifications.email.smtp";
    let tls = spec.tls.unwrap_or_default();
    let mut secret = |field: &str, value: &api::SecretValue| checks.secret(&format!("{path}.{field}"), value);
    let username = spec.username.as_ref().map(|value| secret("username", value));
    let password = spec.password.as_ref().map(|value| secret("password", value));
    if username.is_some() != password.is_some() {
        checks.refuse(path, "has only one of username and password; write both or neither");
    }
    if password.is_some() && tls == api::SmtpTls::None {
        let message = "would send the password as it is; write startTls or tls";
        checks.refuse(format!("{path}.tls"), message);
    }
    if spec.host.is_empty() || spec.host.contains(|c: char| c.is_whitespace() || "/:@".contains(c)) {
        checks.refuse(
            format!("{path}.host"),
            format!("{:?} is no host name; write for example smtp.example.com", spec.host),
        );
    }
    if !spec.from.contains('@') || spec.from.contains(char::is_control) {
        checks.refuse(
            format!("{path}.from"),
            format!("{:?} is no address; write for example todo@example.com", spec.from),
        );
    }
    let port = spec.port.and_then(|port| checks.take(&format!("{path}.port"), self::port(port)));
    Smtp {
        host: spec.host.clone(),
        port: port.unwrap_or_else(|| tls.port()),
        tls: tls.as_str(),
        from: spec.from.clone(),
        credentials: username.zip(password),
    }
}

fn outbound(checks: &mut Checks, path: &str, private: Option<bool>, ports: &[i32]) -> Outbound {
    let given = if ports.is_empty() { &[DEFAULT_OUTBOUND_PORT] } else { ports };
    let ports = given.iter().enumerate();
    let ports = ports.filter_map(|(index, port)| checks.take(&format!("{path}.ports[{index}]"), self::port(*port)));
    Outbound { ports: ports.collect(), private: private.unwrap_or(false) }
}

fn port(number: i32) -> Result<u16, String> {
    u16::try_from(number).ok().filter(|port| *port > 0).ok_or_else(|| "must be between 1 and 65535".to_owned())
}

/// RFC 8292 takes these two.
fn subject(text: &str) -> Result<(), String> {
    let address = text.strip_prefix("mailto:").is_some_and(|address| address.contains('@'));
    if (address || text.starts_with("https://")) && !text.contains(char::is_whitespace) {
        Ok(())
    } else {
        Err(format!("{text:?} is neither mailto: and an address nor an https:// URL"))
    }
}
