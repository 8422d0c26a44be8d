// SPDX-License-Identifier: MIT OR Apache-2.0
//! A library that was built without TLS: every function is there, and says so.

use server_socket::*;
use std::ptr::{null, null_mut};
use support::*;

#[test]
fn without_tls_every_function_says_so_and_sockets_are_plain() {
    assert!(!ss_tls_is_supported());
    assert!(ss_tls_new().is_null());
    assert_eq!(last_error().status, SS_ERR_UNSUPPORTED);
    let tls: *mut ss_tls = std::ptr::without_provenance_mut(8);
    for handle in [tls, null_mut()] {
        let refused = unsafe {
            [
                ss_tls_set_identity(handle, null(), b"x".as_ptr().cast(), 1, b"x".as_ptr().cast(), 1),
                ss_tls_add_certificate(handle, b"x".as_ptr().cast(), 1, true),
                ss_tls_set_protocols(handle, null()),
                ss_tls_set_ticket_secret(handle, null(), 0),
            ]
        };
        assert_eq!(refused, [SS_ERR_UNSUPPORTED; 4]);
    }
    let pair = Pair::new();
    let (server, socket) = (&pair.server, *pair.socket);
    assert_eq!(unsafe { ss_set_tls(server.object(), tls, null()) }, SS_ERR_UNSUPPORTED);
    assert_eq!(unsafe { ss_set_tls(socket.object(), tls, null()) }, SS_ERR_UNSUPPORTED);
    ok(unsafe { ss_set_tls(server.object(), null_mut(), null()) });
    assert_eq!(ss_socket_tls_version(socket.0), 0);
    assert!(ss_socket_server_name(socket.0).is_null() && ss_socket_protocol(socket.0).is_null());
    assert_eq!(text(ss_socket_certificate_status(socket.0)).as_deref(), Some("unknown"));
    ok(socket.write(b"plain"));
    assert_eq!(pair.events.receive(&pair.peer, 5), b"plain");
}
