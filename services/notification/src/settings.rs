//! Which channels the platform offers, from the environment. `operator/src/build/app/channels.rs` is the other side of it.

use std::{num::ParseIntError, str::FromStr};

use lettre::message::Mailbox;
use todo_common::{
    Sensitive,
    config::{ConfigError, Mistakes, optional, required},
};
use url::Url;

use crate::senders::{
    address::{Outbound, Reach},
    vapid::Vapid,
};

/// What users may choose from, and how it is reached. What is none is not offered.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// `WEB_PUSH_SUBJECT`, `WEB_PUSH_PUBLIC_KEY` and `WEB_PUSH_PRIVATE_KEY`.
    pub(crate) web_push: Option<WebPush>,
    /// `WEBHOOK_ADDRESSES` and `WEBHOOK_PORTS`.
    pub(crate) webhooks: Option<Outbound>,
    /// `SMTP_HOST`, `SMTP_PORT`, `SMTP_TLS`, `SMTP_FROM`, `SMTP_USERNAME` and `SMTP_PASSWORD`.
    pub(crate) smtp: Option<Smtp>,
    /// `NTFY_BASE_URL`.
    pub(crate) ntfy: Option<Url>,
}

/// Web Push.
#[derive(Debug)]
pub(crate) struct WebPush {
    pub(crate) vapid: Vapid,
    /// `WEB_PUSH_ADDRESSES` and `WEB_PUSH_PORTS`.
    pub(crate) outbound: Outbound,
}

/// A server that takes mails.
#[derive(Debug)]
pub(crate) struct Smtp {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: SmtpTls,
    pub(crate) from: Mailbox,
    pub(crate) credentials: Option<(Sensitive, Sensitive)>,
}

/// How the way to the mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SmtpTls {
    /// From the first byte.
    Tls,
    /// After a greeting; without it nothing is sent.
    StartTls,
    /// Not at all.
    None,
}

impl FromStr for SmtpTls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tls" => Ok(Self::Tls),
            "startTls" => Ok(Self::StartTls),
            "none" => Ok(Self::None),
            _ => Err("write tls, startTls or none".to_owned()),
        }
    }
}

impl Settings {
    /// Reads the process environment.
    pub(crate) fn from_env() -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let settings = Self {
            web_push: web_push(&mut mistakes),
            webhooks: outbound(&mut mistakes, "WEBHOOK"),
            smtp: smtp(&mut mistakes),
            ntfy: mistakes.note(optional("NTFY_BASE_URL").and_then(ntfy)).flatten(),
        };
        mistakes.unless_any(settings)
    }
}

fn web_push(mistakes: &mut Mistakes) -> Option<WebPush> {
    let subject: String = mistakes.note(optional("WEB_PUSH_SUBJECT")).flatten()?;
    let public = mistakes.note(required::<String>("WEB_PUSH_PUBLIC_KEY"));
    let private = mistakes.note(required::<String>("WEB_PUSH_PRIVATE_KEY"));
    let wrong = |error| ConfigError(vec![format!("WEB_PUSH_PUBLIC_KEY and WEB_PUSH_PRIVATE_KEY: {error}")]);
    let vapid = public
        .zip(private)
        .and_then(|(public, private)| mistakes.note(Vapid::new(subject, &public, &private).map_err(wrong)));
    // Webhooks do without it, and so are not offered then.
    mistakes.note(required::<String>("WEB_PUSH_ADDRESSES"))?;
    let outbound = outbound(mistakes, "WEB_PUSH");
    Some(WebPush { vapid: vapid?, outbound: outbound? })
}

fn smtp(mistakes: &mut Mistakes) -> Option<Smtp> {
    let host = mistakes.note(optional("SMTP_HOST")).flatten()?;
    let mut secret = |name| mistakes.note(optional::<String>(name)).flatten().map(Sensitive::new);
    let (username, password) = (secret("SMTP_USERNAME"), secret("SMTP_PASSWORD"));
    let credentials = mistakes.note(credentials(username, password)).flatten();
    let (port, tls) = (mistakes.note(required("SMTP_PORT")), mistakes.note(required("SMTP_TLS")));
    let from = mistakes.note(required("SMTP_FROM"));
    Some(Smtp { host, port: port?, tls: tls?, from: from?, credentials })
}

/// One without the other would be no login at all, and the server would say so with the first mail only.
fn credentials(
    username: Option<Sensitive>,
    password: Option<Sensitive>,
) -> Result<Option<(Sensitive, Sensitive)>, ConfigError> {
    match (username, password) {
        (Some(username), Some(password)) => Ok(Some((username, password))),
        (None, None) => Ok(None),
        _ => Err(ConfigError(vec!["SMTP_USERNAME and SMTP_PASSWORD belong together".to_owned()])),
    }
}

fn ntfy(url: Option<Url>) -> Result<Option<Url>, ConfigError> {
    let is_http = url.as_ref().is_none_or(|url| matches!(url.scheme(), "http" | "https"));
    let mistake = || ConfigError(vec!["NTFY_BASE_URL must be a URL such as https://ntfy.example.com".to_owned()]);
    is_http.then_some(url).ok_or_else(mistake)
}

/// Where addresses of users may lead; none if nothing is said of it.
fn outbound(mistakes: &mut Mistakes, prefix: &str) -> Option<Outbound> {
    let reach = match mistakes.note(optional::<Reach>(&format!("{prefix}_ADDRESSES"))) {
        Some(None) => return None,
        reach => reach.flatten(),
    };
    let variable = format!("{prefix}_PORTS");
    let text: String = mistakes.note(required(&variable))?;
    let wrong = |error| ConfigError(vec![format!("{variable} cannot be read: {error}")]);
    let ports = text.split(',').map(|port| port.trim().parse().map_err(|error: ParseIntError| wrong(error)));
    let ports = mistakes.note(ports.collect::<Result<_, _>>());
    Some(Outbound { reach: reach?, ports: ports? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_a_password_is_a_mistake_and_so_is_a_password_without_a_user() {
        let secret = |is_there: bool| is_there.then(|| Sensitive::new("hunter2"));
        for (username, password, expected) in
            [(false, false, Ok(false)), (true, true, Ok(true)), (true, false, Err(())), (false, true, Err(()))]
        {
            let read = credentials(secret(username), secret(password));
            assert_eq!(read.as_ref().map(Option::is_some).map_err(|_| ()), expected, "{username} {password}");
            assert!(
                read.err()
                    .is_none_or(|ConfigError(mistakes)| mistakes[0].starts_with("SMTP_USERNAME and SMTP_PASSWORD"))
            );
        }
    }

    #[test]
    fn an_ntfy_server_is_reached_by_http() {
        assert_eq!(ntfy(None), Ok(None));
        for right in ["https://ntfy.sh", "http://10.0.0.1:8080/base"] {
            let url: Option<Url> = right.parse().ok();
            assert_eq!(ntfy(url.clone()), Ok(url), "{right}");
        }
        for wrong in ["ftp://ntfy.sh", "ntfy.sh:443", "file:///etc/passwd", "mailto:owner@example.org"] {
            let ConfigError(mistakes) = ntfy(Some(wrong.parse().unwrap())).unwrap_err();
            assert!(mistakes[0].starts_with("NTFY_BASE_URL must be"), "{mistakes:?}");
        }
    }
}
