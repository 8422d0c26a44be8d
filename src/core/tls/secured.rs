// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a handshake has found, as a socket tells it: also one that has failed, and when the connection is over.

use std::ffi::{CStr, CString};

use rustls::pki_types::CertificateDer;
use rustls::{CommonState, ProtocolVersion};

use super::UNKNOWN;
use super::seen::Seen;

#[derive(Default)]
pub(crate) struct Secured {
    version: i32,
    server_name: Option<CString>,
    protocol: Option<CString>,
    chain: Box<[CertificateDer<'static>]>,
    status: Option<&'static CStr>,
}

impl Secured {
    pub(super) fn new(common: &CommonState, name: Option<&str>, seen: &Seen) -> Self {
        let version = match common.protocol_version() {
            _ if common.is_handshaking() => 0,
            Some(ProtocolVersion::TLSv1_2) => 12,
            Some(ProtocolVersion::TLSv1_3) => 13,
            _ => 0,
        };
        // In a session that is resumed nobody is asked to verify: whose it is was verified when it began.
        let (chain, status) = match common.peer_certificates() {
            Some(chain) if seen.status.is_none() && version > 0 => (chain.to_vec(), Some(c"trusted")),
            _ => (seen.chain.clone(), seen.status),
        };
        Secured {
            version,
            server_name: name.and_then(|name| CString::new(name).ok()),
            protocol: common.alpn_protocol().and_then(|name| CString::new(name).ok()),
            chain: chain.into_boxed_slice(),
            status,
        }
    }

    pub(crate) fn version(&self) -> i32 {
        self.version
    }

    pub(crate) fn server_name(&self) -> Option<&CString> {
        self.server_name.as_ref()
    }

    pub(crate) fn protocol(&self) -> Option<&CString> {
        self.protocol.as_ref()
    }

    pub(crate) fn certificate(&self, index: usize) -> Option<&[u8]> {
        self.chain.get(index).map(|certificate| &**certificate)
    }

    pub(crate) fn certificate_status(&self) -> &'static CStr {
        self.status.unwrap_or(UNKNOWN)
    }
}
