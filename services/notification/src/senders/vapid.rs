//! VAPID (RFC 8292): by it a push service knows who sends.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::json;
use url::Url;

/// Push services refuse more than a day.
const VALIDITY: TimeDelta = TimeDelta::hours(12);

/// The platform's key pair and whom to write to when something goes wrong.
pub(crate) struct Vapid {
    subject: String,
    public: String,
    pair: EcdsaKeyPair,
}

impl fmt::Debug for Vapid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vapid").field("subject", &self.subject).field("public", &self.public).finish_non_exhaustive()
    }
}

impl Vapid {
    /// From the keys as tools for Web Push write them: base64url of 65 and of 32 bytes. The error tells nothing of them.
    pub(crate) fn new(subject: String, public: &str, private: &str) -> Result<Self, &'static str> {
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| "a key is not written in base64url");
        let (public_bytes, private_bytes) = (decode(public)?, decode(private)?);
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &private_bytes,
            &public_bytes,
            &SystemRandom::new(),
        )
        .map_err(|_| "they are no pair of keys of the curve P-256")?;
        Ok(Self { subject, public: public.to_owned(), pair })
    }

    /// What a browser needs to subscribe.
    pub(crate) fn public_key(&self) -> &str {
        &self.public
    }

    /// The header `Authorization` for a message to this endpoint.
    pub(super) fn authorization(&self, endpoint: &Url, now: DateTime<Utc>) -> Option<String> {
        let encode = |text: String| BASE64_URL_SAFE_NO_PAD.encode(text);
        let header = encode(json!({"typ": "JWT", "alg": "ES256"}).to_string());
        let claims = json!({
            "aud": endpoint.origin().ascii_serialization(),
            "exp": (now + VALIDITY).timestamp(),
            "sub": self.subject,
        });
        let signed = format!("{header}.{}", encode(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        Some(format!("vapid t={signed}.{}, k={}", BASE64_URL_SAFE_NO_PAD.encode(signature), self.public))
    }
}
