// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes wrong around the library: a system that has no more, peers that mean it ill, networks that fail.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "all of it is C's side of the interface, with the test's own pointers"
)]

mod faults;
mod forks;
mod haxe_peers;
mod names;
mod network;
mod peers;
mod quiet;
mod sandbox;
mod soak;
mod strace;
