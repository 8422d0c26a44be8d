// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's handle.

use std::rc::Rc;

use super::context::Context;
use crate::core::events::Life;
use crate::core::host::UserData;
use crate::error::Result;
use crate::memory;

/// Whether the library was built with TLS.
pub(crate) const IS_SUPPORTED: bool = true;

pub(crate) struct Tls {
    pub life: Life,
    pub user: UserData,
    /// Servers and sockets go on with it when the handle is released.
    pub context: Rc<Context>,
}

impl Tls {
    pub(crate) fn new() -> Result<Self> {
        Ok(Tls { life: Life::OWNED, user: UserData::NONE, context: memory::shared(Context::default())? })
    }

    pub(crate) fn set_identity(&mut self, name: Option<&str>, chain: &[u8], private_key: &[u8]) -> Result<()> {
        self.context.set_identity(name, chain, private_key)
    }

    pub(crate) fn remove_identity(&mut self, name: Option<&str>) -> Result<()> {
        self.context.remove_identity(name)
    }

    pub(crate) fn add_certificate(&mut self, certificates: &[u8], trusted: bool) -> Result<()> {
        self.context.add_certificates(certificates, trusted)
    }

    pub(crate) fn set_protocols(&mut self, protocols: &str) -> Result<()> {
        self.context.set_protocols(protocols)
    }

    pub(crate) fn set_ticket_secret(&mut self, secret: Option<&[u8]>) -> Result<()> {
        self.context.set_ticket_secret(secret)
    }
}
