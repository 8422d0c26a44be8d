// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS: the objects that make servers and sockets secure, and what lies between a connection and its socket then.

mod absent;

use std::ffi::CStr;

pub(crate) use absent::{IS_SUPPORTED, Secured, Tls};

use crate::handle::{Kind, Object};

/// The status of a certificate that nobody has looked at.
pub(crate) const UNKNOWN: &CStr = c"unknown";

impl Object for Tls {
    const KIND: Kind = Kind::Tls;
}
