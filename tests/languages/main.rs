// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library as the programs and tools of other languages meet it; the Rust of these tests only starts them.

mod c_programs;
mod copies;
mod cpp;
mod echo;
mod examples;
mod handover;
#[cfg(unix)]
mod haxe;
#[cfg(unix)]
mod haxe_bindings;
#[cfg(unix)]
mod haxe_hxcpp;
#[cfg(unix)]
mod haxe_openfl;
#[cfg(unix)]
mod haxe_secure;
mod hosts;
mod http_files;
mod parsers;
mod tls_examples;
mod unwinding;
mod valgrind;
