//! The ways out: each takes one message to one target and says whether the other side accepted it.

pub(crate) mod address;
mod email;
mod http;
mod ntfy;
pub(crate) mod vapid;
mod web_push;
mod webhook;

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

pub(crate) use web_push::Keys;
pub(crate) use webhook::Secret as WebhookSecret;

use self::address::Outbound;
use crate::{channels::Kind, settings::Settings};

/// What is told, to any channel.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Content {
    /// Id of the notification.
    pub(crate) id: Uuid,
    pub(crate) user_id: String,
    pub(crate) task_id: Option<Uuid>,
    pub(crate) title: String,
    pub(crate) message: String,
    pub(crate) created_at: DateTime<Utc>,
}

/// One message on its way to one target.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    /// The same for every attempt: by it the other side knows what it has already.
    pub(crate) delivery_id: Uuid,
    pub(crate) kind: Kind,
    pub(crate) target: String,
    pub(crate) secret: Option<String>,
    pub(crate) content: Content,
}

/// Why the other side has not accepted it, in words that its user may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) words: String,
    pub(crate) verdict: Verdict,
    /// How long the other side asks us to wait.
    pub(crate) patience: Option<Duration>,
    /// Its answer, if it was one of HTTP.
    pub(crate) status: Option<StatusCode>,
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may work later.
    Again,
    /// It will not work later.
    Never,
    /// The target is there no more: neither this nor anything else will work.
    Gone,
}

impl Failure {
    pub(crate) fn again(words: impl Into<String>) -> Self {
        Self { words: words.into(), verdict: Verdict::Again, patience: None, status: None }
    }

    pub(crate) fn never(words: impl Into<String>) -> Self {
        Self { verdict: Verdict::Never, ..Self::again(words) }
    }

    pub(crate) fn gone(words: impl Into<String>) -> Self {
        Self { verdict: Verdict::Gone, ..Self::again(words) }
    }
}

/// The ways out could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetUpError {
    /// TLS for HTTP.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The mail server's name, or TLS for it.
    #[error("the way to the mail server cannot be set up: {0}")]
    Smtp(#[from] lettre::transport::smtp::Error),
}

/// All ways out that the platform offers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Senders {
    settings: Arc<Settings>,
    push: Option<http::Client>,
    webhook: Option<http::Client>,
    /// For what the platform's owner names, and not its users.
    ntfy: Option<http::Client>,
    mail: Option<email::Transport>,
}

impl Senders {
    pub(crate) fn new(settings: Arc<Settings>) -> Result<Self, SetUpError> {
        let tls = http::tls()?;
        let guarded = |outbound: &Outbound| http::Client::new(Some(outbound.reach), tls.clone());
        Ok(Self {
            push: settings.web_push.as_ref().map(|push| guarded(&push.outbound)),
            webhook: settings.webhooks.as_ref().map(guarded),
            ntfy: settings.ntfy.as_ref().map(|_| http::Client::new(None, tls.clone())),
            mail: settings.smtp.as_ref().map(email::transport).transpose()?,
            settings,
        })
    }

    /// Gives a parcel to the other side; fine means that it was accepted.
    pub(crate) async fn send(&self, parcel: &Parcel) -> Result<(), Failure> {
        match parcel.kind {
            Kind::WebPush => {
                let (client, push) = self.push.as_ref().zip(self.settings.web_push.as_ref()).ok_or_else(not_offered)?;
                web_push::send(client, push, parcel).await
            }
            Kind::Webhook => {
                let hook = self.webhook.as_ref().zip(self.settings.webhooks.as_ref());
                let (client, outbound) = hook.ok_or_else(not_offered)?;
                webhook::send(client, outbound, parcel).await
            }
            Kind::Email => self.mail.as_ref().ok_or_else(not_offered)?.send(parcel).await,
            Kind::Ntfy => {
                let (client, server) = self.ntfy.as_ref().zip(self.settings.ntfy.as_ref()).ok_or_else(not_offered)?;
                ntfy::send(client, server, parcel).await
            }
        }
    }
}

fn not_offered() -> Failure {
    Failure::never("the platform does not offer this kind of channel any more")
}

/// A kept value that does not have the form in which it was stored.
fn spoilt() -> Failure {
    Failure::never("what is stored of this channel cannot be read; delete it and add it anew")
}
