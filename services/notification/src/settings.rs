//! Which channels the platform offers, from the environment. `operator/src/build/app/channels.rs` is the other side of it.

use std::{num::ParseIntError, str::FromStr};

use lettre::message::Mailbox;
use todo_common::{
    Sensitive,
    config::{ConfigError, optional, required},
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
        let mut mistakes = Vec::new();
        let settings = Self {
            web_push: noted(&mut mistakes, web_push()).flatten(),
            webhooks: noted(&mut mistakes, outbound("WEBHOOK")).flatten(),
            smtp: noted(&mut mistakes, smtp()).flatten(),
            ntfy: noted(&mut mistakes, optional("NTFY_BASE_URL")).flatten(),
        };
        if mistakes.is_empty() { Ok(settings) } else { Err(ConfigError(mistakes)) }
    }
}

fn noted<T>(mistakes: &mut Vec<String>, read: Result<T, ConfigError>) -> Option<T> {
    read.map_err(|ConfigError(more)| mistakes.extend(more)).ok()
}

fn web_push() -> Result<Option<WebPush>, ConfigError> {
    let Some(subject) = optional::<String>("WEB_PUSH_SUBJECT")? else { return Ok(None) };
    let (public, private): (String, String) = (required("WEB_PUSH_PUBLIC_KEY")?, required("WEB_PUSH_PRIVATE_KEY")?);
    let wrong = |error| ConfigError(vec![format!("WEB_PUSH_PUBLIC_KEY and WEB_PUSH_PRIVATE_KEY: {error}")]);
    let vapid = Vapid::new(subject, &public, &private).map_err(wrong)?;
    let outbound = outbound("WEB_PUSH")?;
    let missing = || ConfigError(vec!["WEB_PUSH_ADDRESSES is missing".to_owned()]);
    Ok(Some(WebPush { vapid, outbound: outbound.ok_or_else(missing)? }))
}

fn smtp() -> Result<Option<Smtp>, ConfigError> {
    let Some(host) = optional("SMTP_HOST")? else { return Ok(None) };
    let username = optional::<String>("SMTP_USERNAME")?.map(Sensitive::new);
    let password = optional::<String>("SMTP_PASSWORD")?.map(Sensitive::new);
    Ok(Some(Smtp {
        host,
        port: required("SMTP_PORT")?,
        tls: required("SMTP_TLS")?,
        from: required("SMTP_FROM")?,
        credentials: username.zip(password),
    }))
}

/// Where addresses of users may lead; none if nothing is said of it.
fn outbound(prefix: &str) -> Result<Option<Outbound>, ConfigError> {
    let Some(reach) = optional::<Reach>(&format!("{prefix}_ADDRESSES"))? else { return Ok(None) };
    let variable = format!("{prefix}_PORTS");
    let text: String = required(&variable)?;
    let wrong = |error| ConfigError(vec![format!("{variable} cannot be read: {error}")]);
    let ports = text.split(',').map(|port| port.trim().parse().map_err(|error: ParseIntError| wrong(error)));
    Ok(Some(Outbound { reach, ports: ports.collect::<Result<_, _>>()? }))
}
