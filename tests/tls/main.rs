// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS: secure servers and clients of the library's, with each other and with OpenSSL, curl, GnuTLS and Python.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "all of it is C's side of the interface, with the test's own pointers"
)]

#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "tls")]
mod fixture;
#[cfg(feature = "tls")]
mod flights;
#[cfg(feature = "tls")]
mod listeners;
#[cfg(feature = "tls")]
mod strangers;
#[cfg(feature = "tls")]
mod secure_life;
#[cfg(feature = "tls")]
mod implementations;
#[cfg(feature = "tls")]
mod policy;
#[cfg(feature = "tls")]
mod trust;
#[cfg(not(feature = "tls"))]
mod without;
