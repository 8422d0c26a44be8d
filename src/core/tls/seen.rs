// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a handshake has met, told by those that rustls asks in the middle of it: which name, which certificates.
//!
//! They are asked on the thread that works on the connection, and whoever works on it takes what they have noted.

use std::cell::RefCell;
use std::ffi::CStr;

use rustls::pki_types::CertificateDer;

use crate::error::Result;
use crate::memory;

#[derive(Default)]
pub(super) struct Seen {
    /// The name that the client asks for.
    pub name: Option<String>,
    /// The peer's own certificate, and what it sent with it.
    pub chain: Vec<CertificateDer<'static>>,
    /// What is thought of it.
    pub status: Option<&'static CStr>,
}

thread_local! {
    static SEEN: RefCell<Seen> = RefCell::default();
}

pub(super) fn note_name(name: Option<String>) {
    SEEN.with_borrow_mut(|seen| seen.name = name);
}

pub(super) fn note_chain(own: &CertificateDer<'_>, others: &[CertificateDer<'_>], status: &'static CStr) {
    let copy = |certificate: &CertificateDer<'_>| memory::bytes(certificate).map(CertificateDer::from);
    // Without memory for it the host sees no certificate.
    let chain = std::iter::once(own).chain(others).map(copy).collect::<Result<_>>().unwrap_or_default();
    SEEN.with_borrow_mut(|seen| (seen.chain, seen.status) = (chain, Some(status)));
}

/// What was noted since the last time.
pub(super) fn take() -> Seen {
    SEEN.take()
}
