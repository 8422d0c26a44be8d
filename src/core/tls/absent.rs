// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS where the library was built without it: there are no such objects, and no socket is ever secure.
#![allow(dead_code, clippy::unused_self, reason = "the interface is that of what is there otherwise")]

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::rc::Rc;

use crate::core::events::Life;
use crate::core::host::UserData;
use crate::error::{Failure, Result};
use crate::options::Options;
use crate::reactor::Scratch;

/// Whether the library was built with it.
pub(crate) const IS_SUPPORTED: bool = false;

/// There is none.
pub(crate) struct Tls {
    pub life: Life,
    pub user: UserData,
    pub context: Rc<Context>,
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

/// There is none.
pub(crate) struct Context(Infallible);

/// There is none.
pub(crate) struct Fault {
    pub why: String,
    pub os_error: i32,
}

impl Fault {
    pub(crate) fn new(why: impl Into<String>, os_error: i32) -> Self {
        Fault { why: why.into(), os_error }
    }

    pub(crate) fn of_memory() -> Self {
        Fault::new(String::new(), crate::sys::NO_MEMORY)
    }
}

/// There is none.
pub(crate) struct Session {
    none: Infallible,
    pub held: Vec<u8>,
    pub opened: Vec<u8>,
    pub written: Vec<u8>,
    pub peer_ended: bool,
    pub truncated: bool,
    pub fault: Option<Fault>,
}

impl Session {
    pub(crate) fn server(context: &Context, _options: &Options) -> std::result::Result<Self, Fault> {
        match context.0 {}
    }

    pub(crate) fn client(context: &Context, _name: &str, _options: &Options) -> std::result::Result<Self, Fault> {
        match context.0 {}
    }

    pub(crate) fn takes_name(_name: &str) -> bool {
        false
    }

    pub(crate) fn is_done(&self) -> bool {
        match self.none {}
    }

    pub(crate) fn open(&mut self, _sealed: &mut [u8], _plain: &mut dyn FnMut(&[u8]), _out: &mut Scratch) -> bool {
        match self.none {}
    }

    pub(crate) fn ends_with_tickets(&self) -> bool {
        match self.none {}
    }

    pub(crate) fn seal(&mut self, _plain: &[u8], _out: &mut Scratch) -> std::result::Result<usize, Fault> {
        match self.none {}
    }

    pub(crate) fn say_goodbye(&mut self, _out: &mut Scratch) {
        match self.none {}
    }

    pub(crate) fn secured(&self) -> Secured {
        match self.none {}
    }
}
