// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Unix domain: servers at paths, and connections to them.

use std::ffi::CString;

use super::*;

/// Paths that no server can have and nobody connect to, with what is said to that.
fn refused(choice: usize) -> Option<(Option<CString>, ss_status)> {
    match choice & 7 {
        0 => Some((None, SS_ERR_TYPE)),
        1 => Some((Some(c"".into()), SS_ERR_ARGUMENT)),
        2 => Some((Some(CString::new(vec![b'a'; 200]).expect("no NUL")), SS_ERR_ARGUMENT)),
        _ => None,
    }
}

fn text(path: &Option<CString>) -> *const c_char {
    path.as_ref().map_or(null(), |path| path.as_ptr())
}

pub fn bind_path() {
    let choice = byte();
    // SAFETY: texts, or NULL, which is refused.
    let id = good!(Wanted::Server, |handle| unsafe { ss_bind_path(handle, c"@nobody".as_ptr()) });
    let Id::Server(index) = id else { unreachable!() };
    let call = |path: &Option<CString>| unsafe { ss_bind_path(pointer(id), text(path)) };
    if let Some((path, status)) = refused(choice) {
        assert_eq!(call(&path), status);
        return check_server(index);
    }
    let taken = with(|trial| {
        let mut others = trial.model.servers.iter().filter(|server| server.life.alive && server.is_bound());
        others.find_map(|server| server.path.clone()).filter(|_| choice & 8 == 8)
    });
    let is_taken = taken.is_some();
    let path = taken.unwrap_or_else(|| {
        let name = ends::name();
        let path = match choice & 16 {
            0 => format!("@{name}"),
            _ => ends::folder().join(name).to_str().expect("plain text").to_owned(),
        };
        CString::new(path).expect("no NUL")
    });
    let is_fresh = with(|trial| trial.model.servers[index].state == ServerState::Fresh);
    let expected = if is_fresh && !is_taken { SS_OK } else { SS_ERR_IO };
    assert_eq!(call(&Some(path.clone())), expected);
    if expected == SS_OK {
        with(|trial| {
            let server = &mut trial.model.servers[index];
            (server.state, server.path) = (ServerState::Bound, Some(path));
        });
    }
    check_server(index);
}

pub fn connect_path() {
    let choice = byte();
    // SAFETY: texts, or NULL, which is refused.
    let id = good!(Wanted::Socket, |handle| unsafe { ss_socket_connect_path(handle, c"@nobody".as_ptr()) });
    let Id::Socket(index) = id else { unreachable!() };
    let call = |path: &Option<CString>| unsafe { ss_socket_connect_path(pointer(id), text(path)) };
    if let Some((path, status)) = refused(choice) {
        assert_eq!(call(&path), status);
        return check_socket(index);
    }
    if with(|trial| trial.peers >= 40) {
        return;
    }
    let name = ends::name();
    let (path, target) = match choice >> 3 & 7 {
        0 => (format!("@{name}"), Target::Nobody(libc::ECONNREFUSED)),
        1 => (format!("{}/{name}", ends::folder().display()), Target::Nobody(libc::ENOENT)),
        _ => (format!("@{name}"), Target::Unix(ends::listener_at(&name))),
    };
    with(|trial| {
        trial.peers += 1;
        let number = trial.peers;
        trial.model.leave(index);
        let socket = &mut trial.model.sockets[index];
        socket.begin(State::Connecting(target), number);
        (socket.server, socket.ends) = (None, None);
    });
    assert_eq!(call(&Some(CString::new(path).expect("no NUL"))), SS_OK);
    check_socket(index);
}

/// Who the peer is: this process.
pub fn credentials() {
    let (mut uid, mut gid, mut pid) = (77, 77, 77);
    // SAFETY: the places are ours.
    let mut call = |handle| unsafe {
        let status = ss_socket_peer_credentials(handle, &mut uid, &mut gid, &mut pid);
        (status, uid, gid, pid)
    };
    let Id::Socket(index) = good!(Wanted::Socket, |handle| call(handle).0) else { unreachable!() };
    let found = call(pointer(Id::Socket(index)));
    let (connected, unix) = with(|trial| {
        let socket = &trial.model.sockets[index];
        (socket.is_connected(), socket.unix)
    });
    // SAFETY: they cannot fail.
    let ours = unsafe { (SS_OK, libc::getuid(), libc::getgid(), libc::getpid()) };
    let expected = match (connected, unix) {
        (true, true) => ours,
        (true, false) => (SS_ERR_UNSUPPORTED, 77, 77, 77),
        (false, _) => (SS_ERR_IO, 77, 77, 77),
    };
    assert_eq!(found, expected);
}
