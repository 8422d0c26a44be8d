// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is decoded of a private key is wiped before its memory is given back: the program's own allocator looks for it there.

#![cfg(all(unix, feature = "tls"))]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "all of it is C's side of the interface, with the test's own pointers"
)]

#[path = "tls/certificates.rs"]
#[expect(dead_code, reason = "the room of TLS has more cases")]
mod certificates;

use certificates::{Identity, self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use server_socket::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null;
use support::*;

/// The number that makes the key, on P-256.
const LENGTH: usize = 32;

struct Looking;

thread_local! {
    static SECRET: Cell<Option<[u8; LENGTH]>> = const { Cell::new(None) };
    static FOUND: Cell<usize> = const { Cell::new(0) };
}

fn look(pointer: *const u8, length: usize) {
    if let Some(secret) = SECRET.get() {
        let place = unsafe { libc::memmem(pointer.cast(), length, secret.as_ptr().cast(), LENGTH) };
        FOUND.set(FOUND.get() + usize::from(!place.is_null()));
    }
}

unsafe impl GlobalAlloc for Looking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        look(pointer, layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // It may move, and leave the bytes where they are.
        look(pointer, layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Looking = Looking;

/// PKCS#8 of a key on P-256 has its number behind these: a version, and the head of a string of 32 bytes.
const BEFORE: [u8; 5] = [2, 1, 1, 4, 32];

fn secret_of(der: &[u8]) -> [u8; LENGTH] {
    let place = der.windows(BEFORE.len()).position(|bytes| bytes == BEFORE).expect("such a key") + BEFORE.len();
    der[place..].first_chunk().copied().expect("32 bytes")
}

/// How often the number lies in memory that is given back while the identity is set.
fn copies_left(chain: &str, key: &[u8], secret: [u8; LENGTH], expected: ss_status) -> usize {
    let tls = ss_tls_new();
    FOUND.set(0);
    SECRET.set(Some(secret));
    let (chain_start, key_start) = (chain.as_ptr().cast(), key.as_ptr().cast());
    let status = unsafe { ss_tls_set_identity(tls, null(), chain_start, chain.len(), key_start, key.len()) };
    SECRET.set(None);
    assert_eq!(status, expected, "{}", last_detail());
    ok(ss_release(tls.cast()));
    FOUND.get()
}

#[test]
fn the_copy_of_a_private_key_is_wiped() {
    let (Identity { chain, key, .. }, other) = (self_signed(&["localhost"], false), self_signed(&["other"], false));
    let der = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let der = der.secret_der();
    let secret = secret_of(der);
    assert_eq!(copies_left(&chain, key.as_bytes(), secret, SS_OK), 0, "PEM");
    assert_eq!(copies_left(&chain, der, secret, SS_OK), 0, "DER");
    assert_eq!(copies_left(&other.chain, key.as_bytes(), secret, SS_ERR_ARGUMENT), 0, "of another certificate");
    let cut = &der[..der.len() - 1];
    assert_eq!(copies_left(&chain, cut, secret, SS_ERR_ARGUMENT), 0, "malformed");
}
