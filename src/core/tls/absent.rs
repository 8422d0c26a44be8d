// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS where the library was built without it: there are no such objects, and no socket is ever secure.
#![allow(clippy::unused_self, reason = "the interface is that of what is there otherwise")]

use std::convert::Infallible;
use std::ffi::{CStr, CString};

use crate::core::events::Life;
use crate::core::host::UserData;
use crate::error::{Failure, Result};

/// Whether the library was built with it.
pub(crate) const IS_SUPPORTED: bool = false;

/// There is none.
pub(crate) struct Tls {
    pub life: Life,
    pub user: UserData,
    none: Infallible,
}

impl Tls {
    pub(crate) fn new() -> Result<Self> {
        Err(Failure::without_tls())
    }

    pub(crate) fn set_identity(&mut self, _name: Option<&str>, _chain: &[u8], _private_key: &[u8]) -> Result<()> {
        match self.none {}
    }

    pub(crate) fn remove_identity(&mut self, _name: Option<&str>) -> Result<()> {
        match self.none {}
    }

    pub(crate) fn add_certificate(&mut self, _certificates: &[u8], _trusted: bool) -> Result<()> {
        match self.none {}
    }

    pub(crate) fn set_protocols(&mut self, _protocols: &str) -> Result<()> {
        match self.none {}
    }

    pub(crate) fn set_ticket_secret(&mut self, _secret: Option<&[u8]>) -> Result<()> {
        match self.none {}
    }
}

/// There is none.
pub(crate) struct Secured(Infallible);

impl Secured {
    pub(crate) fn version(&self) -> i32 {
        match self.0 {}
    }

    pub(crate) fn server_name(&self) -> Option<&CString> {
        match self.0 {}
    }

    pub(crate) fn protocol(&self) -> Option<&CString> {
        match self.0 {}
    }

    pub(crate) fn certificate(&self, _index: usize) -> Option<&[u8]> {
        match self.0 {}
    }

    pub(crate) fn certificate_status(&self) -> &'static CStr {
        match self.0 {}
    }
}
