// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of a secure connection.

use super::SocketRef;
use crate::core::tls::Secured;

impl SocketRef<'_> {
    /// What its handshake has found; `None` while it is plain.
    pub(crate) fn secured(&mut self) -> Option<&Secured> {
        None
    }
}
