//! Adobe AIR's ServerSocket and Socket as a library with a C ABI.
//!
//! The interface is `include/server_socket.h`; its source is the module `ffi`. This page is the map of what
//! lies behind it. Imports point one way, down:
//!
//! ```text
//! ffi          the C border: one file per C noun, in the order of the header; border.rs is the guard
//! turn         one turn of an event loop: wait, serve, accept, report
//! dispatch     the walk along a target's listeners
//! objects/     all that one thread owns, and how it hangs together: references, ends, what is due to the host
//! server       ServerSocket: bind, listen, accept, close
//! socket       Socket: its state and unread input
//! connection   the transport under a socket: its unsent output, and its way to a good end
//! dispatcher   EventDispatcher's list;  event  what each kind carries;  names  event types, interned
//! reactor/     readiness, timers, spare buffers, calls from other threads
//! foreign      functions of the host that we hold and call: the border's way out
//! data         IDataInput and IDataOutput: numbers in either byte order, text in many charsets
//! handle       keys and the tables they open
//! amf/         readObject and writeObject: values, and their encodings
//! origin       what the sockets of one server have in common
//! address  options  log  error  memory
//! sys/         what differs between operating systems
//! ```

#![deny(missing_docs, clippy::undocumented_unsafe_blocks)]

mod address;
mod amf;
mod connection;
mod data;
mod dispatch;
mod dispatcher;
mod error;
mod event;
mod ffi;
mod foreign;
mod handle;
#[cfg(feature = "inject-panic")]
#[doc(hidden)]
pub mod inject;
#[cfg(not(feature = "inject-panic"))]
mod inject;
mod log;
mod memory;
mod names;
mod objects;
mod options;
mod origin;
mod reactor;
mod server;
mod socket;
mod sys;
mod turn;

pub use ffi::*;
