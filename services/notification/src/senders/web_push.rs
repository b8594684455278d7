//! Web Push: a message that only the browser can read (RFC 8291), by its vendor's push service (RFC 8030).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::Utc;
use ring::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral},
    error::Unspecified,
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
    rand::{SecureRandom, SystemRandom},
};

use super::{Content, Failure, Parcel, Verdict, http::Client, spoilt};
use crate::settings::WebPush;

/// How long a push service keeps a message for a browser that is off, in seconds.
const TTL: u32 = 24 * 60 * 60;
/// Push services take 4096 bytes; the rest of these is the header, the padding's end and the tag.
const RECORD: u32 = 4096;
const PLAINTEXT: usize = 4096 - 86 - 17;

const PUBLIC_KEY: usize = 65;
const AUTH_SECRET: usize = 16;

/// What a browser gives with its subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    public: Vec<u8>,
    auth: Vec<u8>,
}

impl Keys {
    /// From `p256dh` and `auth` as `PushSubscription.toJSON()` has them.
    pub(crate) fn new(p256dh: &str, auth: &str) -> Option<Self> {
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
        let keys = Self { public: decode(p256dh)?, auth: decode(auth)? };
        let fits = keys.public.len() == PUBLIC_KEY && keys.public[0] == 4 && keys.auth.len() == AUTH_SECRET;
        // A point that is not on the curve is found here and not at the first message.
        (fits && encrypt(&keys, b"").is_ok()).then_some(keys)
    }

    /// For the database.
    pub(crate) fn to_text(&self) -> String {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        format!("{}.{}", encode(&self.public), encode(&self.auth))
    }

    fn from_text(text: &str) -> Option<Self> {
        let (public, auth) = text.split_once('.')?;
        Self::new(public, auth)
    }
}

pub(super) async fn send(client: &Client, push: &WebPush, parcel: &Parcel) -> Result<(), Failure> {
    let endpoint =
        push.outbound.check(&parcel.target).map_err(|wrong| Failure::never(format!("its endpoint {wrong}")))?;
    let keys = parcel.secret.as_deref().and_then(Keys::from_text).ok_or_else(spoilt)?;
    let body = encrypt(&keys, &plaintext(&parcel.content)).map_err(|_| spoilt())?;
    let authorization =
        push.vapid.authorization(&endpoint, Utc::now()).ok_or_else(|| Failure::again("signing failed"))?;
    // 32 characters, the most there may be. A second try replaces the first where that still waits.
    let (ttl, topic) = (TTL.to_string(), parcel.delivery_id.simple().to_string());
    let headers = [
        ("authorization", &authorization[..]),
        ("content-encoding", "aes128gcm"),
        ("content-type", "application/octet-stream"),
        ("ttl", &ttl),
        ("urgency", "high"),
        ("topic", &topic),
    ];
    client.post(&endpoint, &headers, body).await.map_err(judge)
}

/// What an answer means where it is not the same for all of HTTP. The platform's key (RFC 8292) can be mended by its owner.
fn judge(failure: Failure) -> Failure {
    match failure.status.map(|status| status.as_u16()) {
        Some(404) => Failure { verdict: Verdict::Gone, ..failure },
        Some(400 | 413) => Failure { verdict: Verdict::Never, ..failure },
        Some(status @ (401 | 403)) => {
            Failure { words: format!("it refused the platform's key: HTTP {status}"), ..failure }
        }
        _ => failure,
    }
}

/// What the service worker shows, short enough for one record.
fn plaintext(content: &Content) -> Vec<u8> {
    let mut shortened = content.clone();
    loop {
        // Texts, ids and a time always become JSON.
        let json = serde_json::to_vec(&shortened).unwrap_or_default();
        let Some(excess) = json.len().checked_sub(PLAINTEXT).filter(|excess| *excess > 0) else { return json };
        let keep = shortened.message.len().saturating_sub(excess + '…'.len_utf8());
        let keep = shortened.message.floor_char_boundary(keep);
        if keep == 0 {
            shortened.message.clear();
            return serde_json::to_vec(&shortened).unwrap_or_default();
        }
        shortened.message.truncate(keep);
        shortened.message.push('…');
    }
}

/// RFC 8291: one record of `aes128gcm` (RFC 8188), with a fresh key pair and salt.
fn encrypt(keys: &Keys, plaintext: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let random = SystemRandom::new();
    let mut salt = [0; 16];
    random.fill(&mut salt)?;
    let own = EphemeralPrivateKey::generate(&ECDH_P256, &random)?;
    let own_public = own.compute_public_key()?;
    let peer = UnparsedPublicKey::new(&ECDH_P256, &keys.public);
    let (key, nonce) = agree_ephemeral(own, &peer, |shared| derive(keys, own_public.as_ref(), &salt, shared))??;

    let mut sealed = plaintext.to_vec();
    // The delimiter of the last record.
    sealed.push(2);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key)?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)?;

    let mut body = salt.to_vec();
    body.extend(RECORD.to_be_bytes());
    body.push(65);
    body.extend(own_public.as_ref());
    body.extend(sealed);
    Ok(body)
}

fn derive(keys: &Keys, own: &[u8], salt: &[u8], shared: &[u8]) -> Result<([u8; 16], [u8; 12]), Unspecified> {
    let combined = Salt::new(HKDF_SHA256, &keys.auth).extract(shared);
    let input: [u8; 32] = expand(&combined, &[b"WebPush: info\0", &keys.public, own])?;
    let prk = Salt::new(HKDF_SHA256, salt).extract(&input);
    Ok((expand(&prk, &[b"Content-Encoding: aes128gcm\0"])?, expand(&prk, &[b"Content-Encoding: nonce\0"])?))
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(prk: &Prk, info: &[&[u8]]) -> Result<[u8; N], Unspecified> {
    let mut out = [0; N];
    prk.expand(info, Length(N))?.fill(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// The browser's keys in appendix A of RFC 8291.
    const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    #[test]
    fn keys_are_a_point_and_sixteen_bytes() {
        let keys = Keys::new(P256DH, AUTH).unwrap();
        assert_eq!(Keys::from_text(&keys.to_text()), Some(keys));
        // As some browsers write it, and what is no point of the curve.
        assert!(Keys::new(P256DH, &format!("{AUTH}==")).is_some());
        let off_curve = BASE64_URL_SAFE_NO_PAD.encode([4; PUBLIC_KEY]);
        for (p256dh, auth) in [(&off_curve[..], AUTH), ("", AUTH), (P256DH, "AAAA"), ("!", AUTH)] {
            assert_eq!(Keys::new(p256dh, auth), None, "{p256dh} {auth}");
        }
    }

    #[test]
    fn the_rfcs_own_message_has_its_own_keys() {
        // Appendix A again: the secret that both sides agree on, and what follows from it.
        let decode = |text| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
        let keys = Keys::new(P256DH, AUTH).unwrap();
        let own = decode("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8");
        let shared = decode("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
        let (key, nonce) = derive(&keys, &own, &decode("DGv6ra1nlYgDCS1FRnbzlw"), &shared).unwrap();
        assert_eq!(key.to_vec(), decode("oIhVW04MRdy2XN9CiKLxTg"));
        assert_eq!(nonce.to_vec(), decode("4h_95klXJ5E_qnoN"));
    }

    #[test]
    fn a_key_that_is_refused_says_nothing_of_a_browser() {
        let verdict = |status: u16| {
            let status = axum::http::StatusCode::from_u16(status).ok();
            judge(Failure { status, ..Failure::again("it answered") })
        };
        for refused in [401, 403] {
            let failure = verdict(refused);
            assert_eq!(failure.verdict, Verdict::Again);
            assert_eq!(failure.words, format!("it refused the platform's key: HTTP {refused}"));
        }
        assert_eq!(
            [400, 413, 404, 503].map(|status| verdict(status).verdict),
            [Verdict::Never, Verdict::Never, Verdict::Gone, Verdict::Again]
        );
    }

    #[test]
    fn a_long_message_is_cut_to_one_record() {
        let content = |text: String| Content {
            id: Uuid::nil(),
            user_id: "ada".to_owned(),
            task_id: None,
            title: "ä".repeat(200),
            message: text,
            created_at: Utc::now(),
        };
        for text in ["short".to_owned(), "ö".repeat(4000), "\"".repeat(4000), "\u{1}".repeat(4000)] {
            let json = plaintext(&content(text));
            assert!(json.len() <= PLAINTEXT && serde_json::from_slice::<serde_json::Value>(&json).is_ok());
            assert!(encrypt(&Keys::new(P256DH, AUTH).unwrap(), &json).unwrap().len() <= 4096);
        }
    }
}
