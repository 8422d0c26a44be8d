// SPDX-License-Identifier: MIT OR Apache-2.0
//! The core: everything that one thread owns, without a single call of the host's functions.
//!
//! ```text
//! thread        what a thread owns: loops, events, values, event types, and what is due to the host
//! event_loop/   a loop: it owns its servers, sockets and connections; its turn says what is to be called next
//! server/       ServerSocket: bind, listen, accept, close
//! socket/       Socket: state, unread input, connecting, typed data, closing
//! connection/   the transport under a socket: its phases, sending, receiving, its way to an end
//! adoption      descriptors that the host hands over
//! tls/          what makes servers and sockets secure
//! timer         tasks of the host's that run when their time has come
//! known         descriptors of ours that the host knows
//! events/       events, their types, listener lists, and the dispatch of one event
//! values        values of readObject and writeObject
//! host          functions of the host that we hold, and what is due to it
//! ```
//!
//! Calls go down this list, never up. A handle leads to its loop once, in `thread`; from there on each function has what
//! it works on in hand.

pub(crate) mod adoption;
pub(crate) mod connection;
pub(crate) mod event_loop;
pub(crate) mod events;
pub(crate) mod host;
pub(crate) mod known;
pub(crate) mod server;
pub(crate) mod socket;
pub(crate) mod thread;
pub(crate) mod timer;
pub(crate) mod tls;
pub(crate) mod values;
