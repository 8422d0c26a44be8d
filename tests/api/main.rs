// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the library means, through its exported functions: AIR's classes, and what goes beyond them.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "all of it is C's side of the interface, with the test's own pointers"
)]

mod data;
mod descriptors;
mod details;
mod drain;
mod event_dispatcher;
mod event_loop;
mod half_open;
mod handles;
mod hints;
mod hosting;
mod life;
mod model;
mod objects;
mod options;
mod outbound;
mod pollable;
mod server_socket;
mod signals;
mod sockets;
mod table;
mod taking;
mod timers;
mod transfers;
mod troubleshooting;
mod unread;
mod vectors;
mod windows;

use support::{Accepted, Loop, Server};

/// A loop, and a server on it that listens at 127.0.0.1.
#[track_caller]
fn listening() -> (Loop, Server) {
    let events = Loop::new();
    let server = Server::listening(&events);
    (events, server)
}

/// The same, with whom it accepts, who are kept.
#[track_caller]
fn serving() -> (Loop, Server, Accepted) {
    let (events, server) = listening();
    let accepted = server.keep_accepted();
    (events, server, accepted)
}
