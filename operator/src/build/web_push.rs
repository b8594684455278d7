//! The keys of Web Push: a pair of the curve P-256, written as tools for Web Push write it, so that a pair that somebody
//! has already can be used as it is.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use k8s_openapi::api::core::v1::Secret;
use p256::{SecretKey, elliptic_curve::sec1::ToEncodedPoint};

use super::data_metadata;
use crate::{
    names::{self, App},
    resolve::{Resolved, Sensitive},
};

/// The public key that belongs to it; none if it is no private key.
pub(crate) fn public_key(private: &Sensitive) -> Option<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(private.reveal()).ok()?;
    let point = SecretKey::from_slice(&bytes).ok()?.public_key().to_encoded_point(false);
    Some(BASE64_URL_SAFE_NO_PAD.encode(point.as_bytes()))
}

/// The Secret with both, if the platform offers Web Push. It is data: with other keys every browser has to subscribe anew.
pub(super) fn secret(platform: &Resolved) -> Option<Secret> {
    platform.notifications.web_push.as_ref()?;
    let private = &platform.generated.web_push_key;
    // Rendered without a cluster there are no values.
    let public = public_key(private).unwrap_or_default();
    let data = BTreeMap::from([
        (names::PRIVATE_KEY.to_owned(), private.reveal().to_owned()),
        (names::PUBLIC_KEY.to_owned(), public),
    ]);
    Some(Secret {
        metadata: data_metadata(platform, names::WEB_PUSH_SECRET, Some(App::Notification.id())),
        data: Some(data.into_iter().map(|(key, value)| (key, k8s_openapi::ByteString(value.into_bytes()))).collect()),
        ..Secret::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_key_is_the_one_of_the_private_key() {
        // The application server's pair in appendix A of RFC 8291.
        let private = Sensitive::new("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let public = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
        assert_eq!(public_key(&private).as_deref(), Some(public));
        assert_eq!(public_key(&Sensitive::default()), None);
    }
}
