// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS: the objects that make servers and sockets secure, and what lies between a connection and its socket then.
//!
//! ```text
//! policy     the host's handle
//! context    what it is made of, which servers and sockets share: identities, trust, protocols, tickets
//! identity   certificates and keys, and which of them a client gets to see
//! verify     whom we trust; `validity`: from when to when a certificate is valid
//! ticket     sessions that are resumed, with a secret of the host's
//! session    one connection's TLS: sealed bytes in, plain bytes out, and the other way round
//! secured    what its handshake has found; `seen`: who tells of it; `fault`: why it has failed
//! absent     all of that where the library was built without it
//! ```
//!
//! The protocol is rustls's, the cryptography ring's. Nothing of this reads or writes: `core/connection/secure` does.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod context;
#[cfg(feature = "tls")]
mod fault;
#[cfg(feature = "tls")]
mod identity;
#[cfg(feature = "tls")]
mod policy;
#[cfg(feature = "tls")]
mod secured;
#[cfg(feature = "tls")]
mod seen;
#[cfg(feature = "tls")]
mod session;
#[cfg(feature = "tls")]
mod ticket;
#[cfg(feature = "tls")]
mod validity;
#[cfg(feature = "tls")]
mod verify;

use std::ffi::CStr;

#[cfg(not(feature = "tls"))]
pub(crate) use absent::{Context, Fault, IS_SUPPORTED, Secured, Session, Tls};
#[cfg(feature = "tls")]
pub(crate) use context::Context;
#[cfg(feature = "tls")]
pub(crate) use fault::Fault;
#[cfg(feature = "tls")]
pub(crate) use policy::{IS_SUPPORTED, Tls};
#[cfg(feature = "tls")]
pub(crate) use secured::Secured;
#[cfg(feature = "tls")]
pub(crate) use session::Session;

use crate::handle::{Kind, Object};

/// The status of a certificate that nobody has looked at.
pub(crate) const UNKNOWN: &CStr = c"unknown";

impl Object for Tls {
    const KIND: Kind = Kind::Tls;
}

/// The cryptography, of which no process-wide default is set or looked at.
#[cfg(feature = "tls")]
fn provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::ring::default_provider())
}
