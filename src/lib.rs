// SPDX-License-Identifier: MIT OR Apache-2.0
//! Adobe AIR's ServerSocket and Socket as a library with a C ABI.
//!
//! The interface is `include/server_socket.h`; its source is the module `ffi`. This page is the map of what
//! lies behind it. Imports point one way, down:
//!
//! ```text
//! ffi          the C border: one file per C noun, in the order of the header; border.rs makes statuses of failures
//! driver       the only caller of the host's functions
//! guard        no panic gets out
//! fork         nothing is half made in a child process
//! core/        what a thread owns: its event loops, and on them servers, sockets, connections; its events and values
//! reactor/     readiness, timers, buffers, calls from other threads, name look-ups
//! amf/         readObject and writeObject: values, and their encodings
//! data         IDataInput and IDataOutput: numbers in either byte order, text in many charsets
//! handle       keys and the tables they open
//! address  options  log  error  memory
//! sys/         what differs between operating systems
//! ```

#![deny(missing_docs, clippy::undocumented_unsafe_blocks)]

mod address;
mod amf;
mod core;
mod data;
mod driver;
mod error;
mod ffi;
mod fork;
mod guard;
mod handle;
#[cfg(feature = "inject-panic")]
#[doc(hidden)]
pub mod inject;
#[cfg(not(feature = "inject-panic"))]
mod inject;
mod log;
mod memory;
mod options;
mod reactor;
#[cfg(feature = "simulate")]
#[doc(hidden)]
pub mod simulate;
mod sys;

pub use ffi::*;
