use kube::{KubeSchema, core::Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{rules, schema, secret::SecretValue};

/// Ports that users' own addresses may have if `ports` is absent.
pub const DEFAULT_OUTBOUND_PORT: i32 = 443;

/// By what users may be told beside the list on the page. What is absent is not offered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationsSpec {
    /// E-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailSpec>,
    /// Web Push, by the push services of browsers' vendors. The operator makes its keys, once, in the Secret `web-push-keys`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_push: Option<WebPushSpec>,
    /// Signed HTTP requests to addresses that users name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<WebhooksSpec>,
    /// Topics of an ntfy server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ntfy: Option<NtfySpec>,
}

/// E-mail.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmailSpec {
    /// The server that takes mails.
    pub smtp: SmtpSpec,
}

/// A server that takes mails.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = credentials_come_together(), validation = credentials_are_encrypted())]
pub struct SmtpSpec {
    /// Its name or address.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::text("[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?", "write a host name, for example smtp.example.com"))]
    pub host: String,
    /// Its port; if absent 587 with `startTls`, 465 with `tls` and 25 with `none`.
    #[schemars(range(min = 1, max = 65535))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// How the connection is encrypted; `startTls` if absent.
    #[schemars(schema_with = "schema::choice::<SmtpTls>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SmtpTls>,
    /// Whom mails are from.
    #[schemars(length(min = 3, max = 320))]
    #[x_kube(validation = rules::text(
        r"[^\s@<>]+@[^\s@<>]+|[^@<>\r\n]+ <[^\s@<>]+@[^\s@<>]+>",
        "write an address, for example todo@example.com or Todo <todo@example.com>"
    ))]
    pub from: String,
    /// User name, if the server wants one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<SecretValue>,
    /// Password of that user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretValue>,
}

/// How the connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SmtpTls {
    /// After a greeting; a server that does not offer it gets no mail.
    #[default]
    StartTls,
    /// From the first byte.
    Tls,
    /// Not at all: for a server in the same cluster.
    None,
}

impl SmtpTls {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartTls => "startTls",
            Self::Tls => "tls",
            Self::None => "none",
        }
    }

    /// Port that is usual with it.
    pub const fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// Web Push.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebPushSpec {
    /// Whom a push service writes to when something goes wrong. Some refuse messages without a real one.
    #[schemars(length(min = 8, max = 256))]
    #[x_kube(validation = rules::text(
        r"mailto:[^\s@]+@[^\s@]+|https://[^\s/:][^\s]*",
        "write mailto: and an address, or an https:// URL; for example mailto:admin@example.com"
    ))]
    pub subject: String,
    /// Whether subscriptions may lead to private networks, as for a push service of one's own; not if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_private_addresses: Option<bool>,
    /// Ports that subscriptions may have; 443 if absent.
    #[schemars(length(min = 1, max = 8), inner(range(min = 1, max = 65535)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<i32>,
}

/// Signed HTTP requests to addresses that users name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhooksSpec {
    /// Whether users may name addresses of private networks; not if absent. Loopback and link-local ones never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_private_addresses: Option<bool>,
    /// Ports that users may name; 443 if absent.
    #[schemars(length(min = 1, max = 8), inner(range(min = 1, max = 65535)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<i32>,
}

/// Topics of an ntfy server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NtfySpec {
    /// Where the server is.
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::http_url("https://ntfy.example.com"))]
    pub base_url: String,
}

fn credentials_come_together() -> Rule {
    Rule::new("has(self.username) == has(self.password)").message("write both username and password, or neither")
}

fn credentials_are_encrypted() -> Rule {
    Rule::new("!has(self.password) || !has(self.tls) || self.tls != 'none'")
        .message("write tls: startTls or tls: tls, as the password would be sent as it is")
}
