// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C border: what `include/server_socket.h` declares, and nothing else. One file per C noun, in the order
//! of the header, which cbindgen takes from the order of these lines.

// The names are C's.
#![allow(non_camel_case_types)]
// The doc comments become the header, whose rules say what a C caller owes.
#![allow(clippy::missing_safety_doc)]

mod border;

mod status;
mod event_loop;
mod timer;
mod server;
mod object;
mod event;
mod parts;
mod socket;
mod data;
mod tls;
mod options;
mod figures;
mod value;

pub use data::*;
pub use event::*;
pub use event_loop::*;
pub use figures::*;
pub use object::*;
pub use options::*;
pub use parts::ss_bytes;
pub use server::*;
pub use socket::*;
pub use status::*;
pub use timer::*;
pub use tls::*;
pub use value::*;
