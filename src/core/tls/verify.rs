// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whom we trust. The work is webpki's; what is added: certificates that the host trusts as they are, links of the chain that
//! the peer does not send, and a note of what was seen.

use std::ffi::CStr;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::{provider, seen, validity};

type Certificates = Vec<CertificateDer<'static>>;

/// What the host has added.
#[derive(Clone, Debug, Default)]
pub(super) struct Added {
    /// Trusted.
    pub trusted: Certificates,
    /// Links.
    pub links: Certificates,
}

impl Added {
    /// What is asked of clients, and who may sign them: the same for all that agree in both.
    pub(super) fn policy(&self, client_certificate: u8) -> Vec<u8> {
        let mut policy = vec![client_certificate];
        if client_certificate > 0 {
            let mut digests: Vec<_> = self.trusted.iter().map(|trusted| digest(&SHA256, trusted)).collect();
            digests.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
            digests.iter().for_each(|digest| policy.extend_from_slice(digest.as_ref()));
        }
        policy
    }

    fn with_links<'a>(&'a self, sent: &[CertificateDer<'a>]) -> Vec<CertificateDer<'a>> {
        sent.iter().chain(&self.links).cloned().collect()
    }

    /// What is to be thought of a peer in the end, and a note of it. `found`: by webpki. `accept`: one that is trusted as it is.
    fn judge<T>(
        &self,
        own: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        now: UnixTime,
        found: Result<T, Error>,
        accept: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let outcome = found.or_else(|error| match self.vouches_for(own, now) {
            Some(vouched) => vouched.and_then(|()| accept()),
            None if validity::is_self_issued(own) => Err(of_stranger(error)),
            None => Err(error),
        });
        seen::note_chain(own, sent, status_of(&outcome));
        outcome
    }

    /// Whether a certificate is one that is trusted as it is, and valid now.
    fn vouches_for(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Option<Result<(), Error>> {
        self.trusted.iter().any(|trusted| trusted == certificate).then(|| {
            let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            match validity::of(certificate) {
                None => Err(CertificateError::BadEncoding.into()),
                Some((first, _)) if now < first => Err(CertificateError::NotValidYet.into()),
                Some((_, last)) if now > last => Err(CertificateError::Expired.into()),
                Some(_) => Ok(()),
            }
        })
    }
}

/// What is wrong with a certificate that is its own issuer and is not trusted: that, and not what its issuer made it for.
fn of_stranger(error: Error) -> Error {
    match error {
        Error::InvalidCertificate(CertificateError::Other(_)) => CertificateError::UnknownIssuer.into(),
        error => error,
    }
}

/// The word of AIR's CertificateStatus.
fn status_of<T>(outcome: &Result<T, Error>) -> &'static CStr {
    use CertificateError as E;
    match outcome {
        Ok(_) => c"trusted",
        Err(Error::InvalidCertificate(error)) => match error {
            E::Expired | E::ExpiredContext { .. } => c"expired",
            E::NotValidYet | E::NotValidYetContext { .. } => c"notYetValid",
            E::NotValidForName | E::NotValidForNameContext { .. } => c"principalMismatch",
            E::UnknownIssuer => c"untrustedSigners",
            E::BadSignature => c"invalidChain",
            E::Revoked => c"revoked",
            _ => c"invalid",
        },
        Err(_) => c"invalid",
    }
}

/// Verifies servers.
#[derive(Debug)]
pub(super) struct OfServers {
    webpki: Arc<WebPkiServerVerifier>,
    added: Added,
}

impl OfServers {
    pub(super) fn new(added: Added) -> Result<Arc<Self>, Error> {
        let mut roots = RootCertStore::empty();
        let count = webpki_roots::TLS_SERVER_ROOTS.len() + added.trusted.len();
        roots.roots.try_reserve_exact(count).map_err(|_| Error::General("out of memory".into()))?;
        roots.roots.extend_from_slice(webpki_roots::TLS_SERVER_ROOTS);
        roots.add_parsable_certificates(added.trusted.iter().cloned());
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let webpki = webpki.map_err(|error| Error::General(error.to_string()))?;
        Ok(Arc::new(OfServers { webpki, added }))
    }
}

impl ServerCertVerifier for OfServers {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = self.webpki.verify_server_cert(own, &self.added.with_links(sent), name, ocsp, now);
        self.added.judge(own, sent, now, found, || {
            verify_server_name(&ParsedCertificate::try_from(own)?, name).map(|()| ServerCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, own, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, own, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Verifies clients. Only what the host trusts counts.
#[derive(Debug)]
pub(super) struct OfClients {
    webpki: Arc<dyn ClientCertVerifier>,
    added: Added,
}

impl OfClients {
    /// `must`: a client without a certificate is refused.
    pub(super) fn new(added: Added, must: bool) -> Result<Arc<Self>, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(added.trusted.iter().cloned());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let webpki = if must { builder.build() } else { builder.allow_unauthenticated().build() };
        let webpki = webpki.map_err(|_| {
            Error::General("clients are asked for a certificate, and nobody is trusted to sign one".into())
        })?;
        Ok(Arc::new(OfClients { webpki, added }))
    }
}

impl ClientCertVerifier for OfClients {
    fn client_auth_mandatory(&self) -> bool {
        self.webpki.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.webpki.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let found = self.webpki.verify_client_cert(own, &self.added.with_links(sent), now);
        self.added.judge(own, sent, now, found, || Ok(ClientCertVerified::assertion()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, own, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, own, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}
