//! TLS towards a broker that somebody else runs.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// A configuration that trusts `authority`, or else the authorities of the image, and shows `identity` (certificate and
/// key) if there is one. All are PEM.
pub(super) fn client(authority: Option<&str>, identity: Option<(&str, &str)>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match authority {
        Some(pem) => {
            for certificate in certificates(pem, "the certificate of the authority")? {
                roots
                    .add(certificate)
                    .map_err(|error| format!("the certificate of the authority is unusable: {error}"))?;
            }
            if roots.is_empty() {
                return Err("the certificate of the authority has no PEM block CERTIFICATE".to_owned());
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
            let chain = certificates(certificate, "the client's certificate")?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
                .map_err(|_| "the client's key is no PEM private key".to_owned())?;
            builder.with_client_auth_cert(chain, key).map_err(|error| format!("the client's certificate: {error}"))?
        }
    };
    Ok(Arc::new(config))
}

fn certificates(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|_| format!("{what} is not PEM"))
}
