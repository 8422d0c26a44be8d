// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who we are: certificates and keys as the host gives them, and which of them a client gets to see.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys};
use zeroize::Zeroizing;

use super::seen;
use crate::error::{Failure, Result};

/// The identities of a server, by the names that clients ask for; "" is for all others.
#[derive(Clone, Debug, Default)]
pub(super) struct Identities(BTreeMap<String, Arc<CertifiedKey>>);

/// The first byte of everything in DER that is taken here: a SEQUENCE.
const SEQUENCE: u8 = 0x30;

/// The certificates of a text in PEM, or the one in DER. There is at least one, and each of them can be read.
pub(super) fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<CertificateDer<'static>> = match bytes.first() {
        Some(&SEQUENCE) => vec![CertificateDer::from(bytes.to_vec())],
        _ => CertificateDer::pem_slice_iter(bytes)
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| malformed(format!("the certificates are no good PEM: {error}")))?,
    };
    if found.is_empty() {
        return Err(malformed("there is no certificate in it, neither in PEM nor in DER".into()));
    }
    for certificate in &found {
        ParsedCertificate::try_from(certificate).map_err(|error| malformed(format!("a certificate: {error}")))?;
    }
    Ok(found)
}

/// A private key, ready to sign. DER is read where it lies; what PEM is decoded to is wiped.
fn signing_key(bytes: &[u8]) -> Result<Arc<dyn SigningKey>> {
    let signing = if bytes.first() == Some(&SEQUENCE) {
        let key = PrivateKeyDer::try_from(bytes).map_err(|error| malformed(format!("the private key: {error}")))?;
        any_supported_type(&key)
    } else {
        // What an error of PEM's says is about lines, and never the lines themselves.
        let key = PrivateKeyDer::from_pem_slice(bytes)
            .map_err(|_| malformed("there is no private key in it, or one that is encrypted".into()))?;
        any_supported_type(&Zeroizing::new(key))
    };
    signing.map_err(|error| malformed(format!("the private key: {error}")))
}

/// A chain and its key, which fits.
pub(super) fn certified_key(chain: &[u8], key: &[u8]) -> Result<Arc<CertifiedKey>> {
    let certified = CertifiedKey::new(certificates(chain)?, signing_key(key)?);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Arc::new(certified)),
        Err(Error::InconsistentKeys(_)) => Err(malformed("the private key is not that of the certificate".into())),
        Err(error) => Err(malformed(format!("the private key: {error}"))),
    }
}

fn malformed(why: String) -> Failure {
    Failure::invalid_parameter().because(why)
}

/// A name of a host, or "*." and one, in small letters; `None`: all others.
pub(super) fn server_name(name: Option<&str>) -> Result<String> {
    let Some(name) = name else { return Ok(String::new()) };
    let host = name.strip_prefix("*.").unwrap_or(name);
    match DnsName::try_from(host) {
        Ok(_) => Ok(name.to_ascii_lowercase()),
        Err(_) => Err(malformed(format!("\"{name:.100}\" is no name of a host, nor \"*.\" and one"))),
    }
}

impl Identities {
    pub(super) fn set(&mut self, name: String, identity: Arc<CertifiedKey>) {
        self.0.insert(name, identity);
    }

    /// Returns whether there was one.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// What a client shows if it is asked.
    pub(super) fn for_clients(&self) -> Option<Arc<CertifiedKey>> {
        self.0.get("").cloned()
    }

    fn find(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            let above = name.split_once('.').map(|(_, above)| format!("*.{above}"));
            self.0.get(name).or_else(|| self.0.get(&above?))
        });
        named.or_else(|| self.0.get(""))
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let found = self.find(name.as_deref()).cloned();
        seen::note_name(name);
        found
    }
}
