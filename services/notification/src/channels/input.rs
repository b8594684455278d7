//! What users write about channels, checked.

use lettre::Address;
use rand::Rng;
use serde::Deserialize;
use todo_common::problem::{FieldError, Fields, Problem};
use utoipa::ToSchema;

use super::Kind;
use crate::{
    senders::{Keys, WebhookSecret},
    settings::Settings,
};

const NAME: usize = 100;
const TOKEN: usize = 200;

/// A channel to be added.
#[derive(ToSchema)]
#[schema(as = NewChannel)]
pub(crate) struct Request {
    /// The user, where neither the query nor the header says it.
    #[schema(min_length = 1, max_length = 128)]
    pub(crate) user_id: Option<String>,
    /// What to call it; its kind if absent.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    #[serde(flatten)]
    target: Target,
}

/// Where it goes, by kind.
#[derive(ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Target {
    /// As `PushSubscription.toJSON()` gives it.
    WebPush {
        endpoint: String,
        keys: SubscriptionKeys,
    },
    /// Without a secret one is made, and shown this one time.
    Webhook {
        url: String,
        secret: Option<String>,
    },
    Email {
        address: String,
    },
    Ntfy {
        topic: String,
        token: Option<String>,
    },
}

/// Keys of a browser's push subscription, in base64url.
#[derive(Deserialize, ToSchema)]
struct SubscriptionKeys {
    p256dh: String,
    auth: String,
}

/// A channel to be stored.
#[derive(Debug)]
pub(crate) struct New {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) secret: Option<String>,
    /// A secret that was made here and that its user has to be told.
    pub(crate) made_secret: Option<String>,
}

/// A change of a channel; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = ChannelChanges)]
pub(crate) struct Changes {
    /// The user, where neither the query nor the header says it.
    #[schema(min_length = 1, max_length = 128)]
    pub(crate) user_id: Option<String>,
    /// What to call it.
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) name: Option<String>,
    /// Whether it is used.
    pub(crate) enabled: Option<bool>,
    /// A new signing secret, of a webhook.
    secret: Option<String>,
    /// A new access token, of a topic of ntfy.
    token: Option<String>,
}

impl Request {
    /// Reads a body.
    pub(crate) fn read(mut fields: Fields) -> Result<Self, FieldError> {
        Ok(Self {
            user_id: fields.optional("user_id")?,
            name: fields.optional("name")?,
            target: match fields.required("kind")? {
                Kind::WebPush => {
                    Target::WebPush { endpoint: fields.required("endpoint")?, keys: fields.required("keys")? }
                }
                Kind::Webhook => Target::Webhook { url: fields.required("url")?, secret: fields.optional("secret")? },
                Kind::Email => Target::Email { address: fields.required("address")? },
                Kind::Ntfy => Target::Ntfy { topic: fields.required("topic")?, token: fields.optional("token")? },
            },
        })
    }

    /// Checks everything that can be checked without asking the target.
    pub(crate) fn check(self, settings: &Settings) -> Result<New, Problem> {
        let wrong = |field: &str, message: &str| Problem::invalid(vec![FieldError::new(field, message)]);
        let mut made_secret = None;
        let (kind, target, secret) = match self.target {
            Target::WebPush { endpoint, keys } => {
                let push = offered(settings.web_push.as_ref(), Kind::WebPush)?;
                let url = push.outbound.check(&endpoint).map_err(|message| wrong("endpoint", &message))?;
                let keys = Keys::new(&keys.p256dh, &keys.auth)
                    .ok_or_else(|| wrong("keys", "must be p256dh and auth of a push subscription, in base64url"))?;
                (Kind::WebPush, url.into(), Some(keys.to_text()))
            }
            Target::Webhook { url, secret } => {
                let outbound = offered(settings.webhooks.as_ref(), Kind::Webhook)?;
                let url = outbound.check(&url).map_err(|message| wrong("url", &message))?;
                let secret = match secret {
                    Some(text) => webhook_secret(&text).map_err(|mistake| Problem::invalid(vec![mistake]))?,
                    None => made_secret.insert(WebhookSecret::make()?.to_text()).clone(),
                };
                (Kind::Webhook, url.into(), Some(secret))
            }
            Target::Email { address } => {
                offered(settings.smtp.as_ref(), Kind::Email)?;
                let address: Address =
                    address.trim().parse().map_err(|_| wrong("address", "must be an e-mail address"))?;
                let code = rand::rng().random_range(0..100_000_000);
                (Kind::Email, address.to_string(), Some(format!("{code:08}")))
            }
            Target::Ntfy { topic, token } => {
                offered(settings.ntfy.as_ref(), Kind::Ntfy)?;
                let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                if !(1..=64).contains(&topic.len()) || !topic.chars().all(allowed) {
                    return Err(wrong("topic", "must have 1 to 64 letters, digits, - and _"));
                }
                let token = token.as_deref().map(ntfy_token).transpose();
                (Kind::Ntfy, topic, token.map_err(|mistake| Problem::invalid(vec![mistake]))?)
            }
        };
        let name = match self.name {
            Some(name) => self::name(name).map_err(|mistake| Problem::invalid(vec![mistake]))?,
            None => kind.as_str().to_owned(),
        };
        Ok(New { kind, name, target, secret, made_secret })
    }
}

impl Changes {
    /// Checks what does not depend on the kind.
    pub(crate) fn check(self) -> Result<Self, Problem> {
        match self.name.clone().map(name).transpose() {
            Ok(_) => Ok(self),
            Err(mistake) => Err(Problem::invalid(vec![mistake])),
        }
    }

    /// The new secret of a channel of this kind, if there is to be one.
    pub(super) fn secret_for(&self, kind: Kind) -> Result<Option<String>, FieldError> {
        if let Some(secret) = &self.secret {
            return match kind {
                Kind::Webhook => webhook_secret(secret).map(Some),
                _ => Err(FieldError::new("secret", "is for webhooks only")),
            };
        }
        match &self.token {
            Some(token) if kind == Kind::Ntfy => ntfy_token(token).map(Some),
            Some(_) => Err(FieldError::new("token", "is for ntfy only")),
            None => Ok(None),
        }
    }
}

/// The settings of a kind, if the platform has them.
fn offered<T>(settings: Option<&T>, kind: Kind) -> Result<&T, Problem> {
    let message = format!("the platform does not offer {} channels; its owner sets them up", kind.as_str());
    settings.ok_or_else(|| Problem::invalid(vec![FieldError::new("kind", message)]))
}

fn name(text: String) -> Result<String, FieldError> {
    if text.trim().is_empty() || text.chars().count() > NAME || text.chars().any(char::is_control) {
        let message = format!("must have 1 to {NAME} characters, without control characters");
        return Err(FieldError::new("name", message));
    }
    Ok(text)
}

fn webhook_secret(text: &str) -> Result<String, FieldError> {
    let secret = WebhookSecret::parse(text)
        .ok_or_else(|| FieldError::new("secret", "must be whsec_ and 24 to 64 bytes in base64"))?;
    Ok(secret.to_text())
}

fn ntfy_token(text: &str) -> Result<String, FieldError> {
    if (1..=TOKEN).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(FieldError::new("token", format!("must have 1 to {TOKEN} letters, digits and signs")))
    }
}
