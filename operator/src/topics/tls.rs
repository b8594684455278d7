//! TLS towards a broker that somebody else runs.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::resolve::SecretRef;

/// What a Secret has, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Pem<'a> {
    pub(super) text: &'a str,
    pub(super) reference: &'a SecretRef,
}

/// A configuration that trusts `authority`, or else the authorities of the image, and shows `identity` (certificate and
/// key) if there is one.
pub(super) fn client(
    authority: Option<Pem<'_>>,
    identity: Option<(Pem<'_>, Pem<'_>)>,
) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match authority {
        Some(pem) => {
            for certificate in certificates(pem)? {
                roots.add(certificate).map_err(|error| format!("{} is unusable: {error}", pem.reference))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let secret = PrivateKeyDer::from_pem_slice(key.text.as_bytes())
                .map_err(|_| format!("{} is no private key in PEM", key.reference))?;
            builder.with_client_auth_cert(chain, secret).map_err(|error| {
                format!(
                    "the certificate in {} and {} are unusable together: {error}",
                    certificate.reference, key.reference
                )
            })?
        }
    };
    Ok(Arc::new(config))
}

fn certificates(pem: Pem<'_>) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.text.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!("{} has no certificate in PEM", pem.reference)),
    }
}
