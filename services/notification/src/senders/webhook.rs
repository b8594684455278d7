//! Webhooks that their receiver can check: <https://www.standardwebhooks.com>.

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::Utc;
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde_json::json;
use todo_common::problem::Problem;

use super::{Failure, Parcel, address::Outbound, http::Client, spoilt};

const PREFIX: &str = "whsec_";
/// Bytes of a secret that is made here.
const MADE: usize = 32;

/// What a receiver checks signatures with.
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    /// A fresh one.
    pub(crate) fn make() -> Result<Self, Problem> {
        let mut bytes = [0; MADE];
        SystemRandom::new().fill(&mut bytes).map_err(|_| Problem::internal())?;
        Ok(Self(bytes.to_vec()))
    }

    /// From `whsec_` and 24 to 64 bytes in base64.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        (24..=64).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// As receivers take it.
    pub(crate) fn to_text(&self) -> String {
        format!("{PREFIX}{}", BASE64_STANDARD.encode(&self.0))
    }

    fn sign(&self, text: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(&key, text.as_bytes())))
    }
}

pub(super) async fn send(client: &Client, outbound: &Outbound, parcel: &Parcel) -> Result<(), Failure> {
    let url = outbound.check(&parcel.target).map_err(|wrong| Failure::never(format!("its URL {wrong}")))?;
    let secret = parcel.secret.as_deref().and_then(Secret::parse).ok_or_else(spoilt)?;
    let content = &parcel.content;
    let body = json!({"type": "notification.created", "timestamp": content.created_at, "data": content}).to_string();
    let (id, timestamp) = (parcel.delivery_id.to_string(), Utc::now().timestamp().to_string());
    let signature = secret.sign(&format!("{id}.{timestamp}.{body}"));
    let headers = [
        ("content-type", "application/json"),
        ("webhook-id", &id),
        ("webhook-timestamp", &timestamp),
        ("webhook-signature", &signature),
    ];
    client.post(&url, &headers, body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_of_the_standards_example() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = r#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#;
        assert_eq!(secret.sign(signed), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(Secret::parse(&secret.to_text()).unwrap().0, secret.0);
    }

    #[test]
    fn a_secret_is_neither_short_nor_without_its_prefix() {
        for text in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA", "whsec_!", ""] {
            assert!(Secret::parse(text).is_none(), "{text}");
        }
    }
}
