// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library as the programs and tools of other languages meet it; the Rust of these tests only starts them.

mod c_programs;
mod copies;
mod cpp;
mod echo;
mod examples;
mod handover;
mod haxe;
mod haxe_bindings;
mod haxe_hxcpp;
mod haxe_openfl;
mod haxe_secure;
mod hosts;
mod http_files;
mod parsers;
mod tls_examples;
mod unwinding;
mod valgrind;
