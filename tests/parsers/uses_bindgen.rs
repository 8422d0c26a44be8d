// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bindgen's bindings, used: bound, listening, and an error as it should be.
#![allow(non_camel_case_types, non_upper_case_globals, dead_code)]

include!(concat!(env!("BINDINGS"), ".rs"));

fn main() {
    unsafe {
        let server = ss_new(std::ptr::null_mut());
        assert_eq!(ss_bind(server, 65_536, std::ptr::null()), SS_ERR_RANGE as ss_status);
        assert_eq!(ss_bind(server, 0, std::ptr::null()), SS_OK as ss_status);
        let mut stats: ss_stats = std::mem::zeroed();
        stats.size = std::mem::size_of::<ss_stats>() as _;
        assert_eq!(ss_server_stats(server, &mut stats), SS_OK as ss_status);
        assert!(ss_bound(server) && ss_local_port(server) != 0);
        assert_eq!(ss_version(), SS_VERSION_MAJOR << 16 | SS_VERSION_MINOR << 8 | SS_VERSION_PATCH);
        assert_eq!(&SS_EVENT_CLOSE[..], b"close\0");
        assert_eq!(ss_release(server.cast()), SS_OK as ss_status);
    }
}
