// SPDX-License-Identifier: MIT OR Apache-2.0
//! What servers and sockets share with the host's handle: identities, trust, protocols, tickets, and the configurations that
//! are made of them when a handshake wants one.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring::Ticketer;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, Error, ServerConfig, SupportedProtocolVersion};

use super::identity::{self, Identities};
use super::provider;
use super::ticket::{self, Secret, Tickets};
use super::verify::{Added, OfClients, OfServers};
use crate::error::{Failure, Result};
use crate::inject;
use crate::options::Options;

/// The longest name of a protocol.
const LONGEST_PROTOCOL: usize = 255;
/// How much early data is passed over: several times the 16 KiB that clients send.
const PASSED_OVER: u32 = 128 * 1024;
/// How many servers a client remembers sessions of.
const SESSIONS: usize = 256;

#[derive(Default)]
pub(crate) struct Context(RefCell<Inner>);

#[derive(Default)]
struct Inner {
    identities: Identities,
    added: Added,
    protocols: Vec<Vec<u8>>,
    tickets: TicketSource,
    /// By the oldest version, and by whether clients are asked for a certificate.
    servers: [[Option<Arc<ServerConfig>>; 3]; 2],
    clients: [Option<Arc<ClientConfig>>; 2],
}

enum TicketSource {
    /// Secrets by chance, one for each of the ways to ask clients for a certificate. They are changed every few hours.
    Own([Option<Arc<dyn ProducesTickets>>; 3]),
    /// The host's, the one before it behind it.
    Given(Vec<Secret>),
}

impl Default for TicketSource {
    fn default() -> Self {
        TicketSource::Own(Default::default())
    }
}

impl Inner {
    /// Handshakes that begin from now on look at everything anew.
    fn changed(&mut self) {
        (self.servers, self.clients) = Default::default();
    }
}

static ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];
static BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

fn versions(options: &Options) -> &'static [&'static SupportedProtocolVersion] {
    match options.tls_min_version {
        13 => ONLY_13,
        _ => BOTH,
    }
}

impl Context {
    pub(super) fn set_identity(&self, name: Option<&str>, chain: &[u8], key: &[u8]) -> Result<()> {
        let name = identity::server_name(name)?;
        let identity = identity::certified_key(chain, key)?;
        let mut inner = self.0.borrow_mut();
        inner.identities.set(name, identity);
        inner.changed();
        Ok(())
    }

    pub(super) fn remove_identity(&self, name: Option<&str>) -> Result<()> {
        let name = identity::server_name(name)?;
        let mut inner = self.0.borrow_mut();
        if !inner.identities.remove(&name) {
            return Err(Failure::invalid_parameter().because("no identity is set for that name"));
        }
        inner.changed();
        Ok(())
    }

    pub(super) fn add_certificates(&self, certificates: &[u8], trusted: bool) -> Result<()> {
        let mut found = identity::certificates(certificates)?;
        let mut inner = self.0.borrow_mut();
        let list = if trusted { &mut inner.added.trusted } else { &mut inner.added.links };
        found.retain(|certificate| !list.contains(certificate));
        list.extend(found);
        inner.changed();
        Ok(())
    }

    pub(super) fn set_protocols(&self, protocols: &str) -> Result<()> {
        let names: Vec<Vec<u8>> = match protocols {
            "" => Vec::new(),
            names => names.split(',').map(|name| name.trim().as_bytes().to_vec()).collect(),
        };
        if names.iter().any(|name| name.is_empty() || name.len() > LONGEST_PROTOCOL) {
            return Err(Failure::invalid_parameter()
                .because("the name of a protocol is empty, or longer than 255 bytes: give them as \"h2,http/1.1\""));
        }
        let mut inner = self.0.borrow_mut();
        inner.protocols = names;
        inner.changed();
        Ok(())
    }

    pub(super) fn set_ticket_secret(&self, secret: Option<&[u8]>) -> Result<()> {
        if secret.is_some_and(|secret| secret.len() < ticket::SHORTEST) {
            return Err(Failure::invalid_parameter()
                .because(format!("the secret is shorter than {} bytes, which could be guessed", ticket::SHORTEST)));
        }
        let mut inner = self.0.borrow_mut();
        let before = match &inner.tickets {
            TicketSource::Given(secrets) => secrets.first().cloned(),
            TicketSource::Own(_) => None,
        };
        let secrets = secret.map(Secret::new).into_iter().flat_map(|new| std::iter::once(new).chain(before.clone()));
        inner.tickets = TicketSource::Given(secrets.collect());
        inner.changed();
        Ok(())
    }

    pub(super) fn server(&self, options: &Options) -> std::result::Result<Arc<ServerConfig>, Error> {
        let mut inner = self.0.borrow_mut();
        inject::point();
        let inner = &mut *inner;
        let policy = options.client_certificate;
        let place = (usize::from(options.tls_min_version == 13), usize::from(policy.min(2)));
        if let Some(config) = &inner.servers[place.0][place.1] {
            return Ok(config.clone());
        }
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions(options))?;
        let builder = match policy {
            0 => builder.with_no_client_auth(),
            asked => builder.with_client_cert_verifier(OfClients::new(inner.added.clone(), asked == 2)?),
        };
        let mut config = builder.with_cert_resolver(Arc::new(inner.identities.clone()));
        config.alpn_protocols.clone_from(&inner.protocols);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = match &mut inner.tickets {
            TicketSource::Given(secrets) => Tickets::shared(secrets, &inner.added.policy(policy)),
            TicketSource::Own(own) => match &mut own[place.1] {
                Some(ticketer) => ticketer.clone(),
                none => none.insert(Ticketer::new()?).clone(),
            },
        };
        // None is taken, and no ticket allows it. Of a client whose ticket is another server's so much is passed over, each time that rustls looks at it.
        config.max_early_data_size = PASSED_OVER;
        if !config.ticketer.enabled() {
            config.send_tls13_tickets = 0;
        }
        Ok(inner.servers[place.0][place.1].insert(Arc::new(config)).clone())
    }

    pub(super) fn client(&self, options: &Options) -> std::result::Result<Arc<ClientConfig>, Error> {
        let mut inner = self.0.borrow_mut();
        inject::point();
        let place = usize::from(options.tls_min_version == 13);
        if let Some(config) = &inner.clients[place] {
            return Ok(config.clone());
        }
        let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions(options))?;
        let verifier = OfServers::new(inner.added.clone())?;
        // "Dangerous" is that somebody else than webpki verifies: see there, it is webpki still.
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match inner.identities.for_clients() {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&inner.protocols);
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(inner.clients[place].insert(Arc::new(config)).clone())
    }
}
