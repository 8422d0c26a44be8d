// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets: connected, closed, and looked at.

use super::*;

pub fn connect() {
    let choice = byte();
    // SAFETY: constants.
    let call = |handle, host: *const c_char, port: i32| unsafe { ss_socket_connect(handle, host, port) };
    let id = good!(Wanted::Socket, |handle| call(handle, c"127.0.0.1".as_ptr(), 1));
    let Id::Socket(index) = id else { unreachable!() };
    let handle = pointer(id);
    match choice % 16 {
        0 => return assert_eq!(call(handle, c"127.0.0.1".as_ptr(), -1), SS_ERR_SECURITY),
        1 => return assert_eq!(call(handle, c"127.0.0.1".as_ptr(), 65_536), SS_ERR_SECURITY),
        2 => return assert_eq!(call(handle, null(), 1), SS_ERR_IO),
        3 => return assert_eq!(call(handle, c"".as_ptr(), 1), SS_ERR_IO),
        _ => {}
    }
    if with(|trial| trial.peers >= 40) {
        return;
    }
    if with(|trial| trial.model.sockets[index].local_end == Some(None)) {
        // It is bound to an address of IPv6.
        return assert_eq!(call(handle, c"127.0.0.1".as_ptr(), 1), SS_ERR_ARGUMENT);
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let target = match choice % 16 < 6 {
        true => {
            drop(listener);
            Target::Nobody(libc::ECONNREFUSED)
        }
        false => Target::Tcp(listener),
    };
    with(|trial| {
        trial.peers += 1;
        let number = trial.peers;
        trial.model.leave(index);
        let socket = &mut trial.model.sockets[index];
        socket.begin(State::Connecting(target), number);
        // From now on it is nobody's, and its addresses are gone.
        (socket.server, socket.ends) = (None, None);
    });
    assert_eq!(call(handle, c"127.0.0.1".as_ptr(), port.into()), SS_OK);
    check_socket(index);
}

/// Where connections are to come from.
pub fn choose_end() {
    const ADDRESSES: [(&CStr, bool, Option<&CStr>); 6] = [
        (c"127.0.0.1", true, Some(c"127.0.0.1")),
        (c"127.0.0.2", true, Some(c"127.0.0.2")),
        (c"0.0.0.0", true, Some(c"127.0.0.1")),
        (c"", true, Some(c"127.0.0.1")),
        (c"::1", true, None),
        (c"localhost", false, None),
    ];
    let choice = byte();
    let (address, well_formed, local) = ADDRESSES[choice % ADDRESSES.len()];
    let port = [0, 0, 0, -1, 65_536, 0, 0, 0][choice >> 5];
    // SAFETY: constants.
    let call = |handle| unsafe { ss_socket_bind(handle, port, address.as_ptr()) };
    let id = good!(Wanted::Socket, |handle| unsafe { ss_socket_bind(handle, 0, null()) });
    let Id::Socket(index) = id else { unreachable!() };
    let free = with(|trial| trial.model.sockets[index].state.is_free());
    let status = call(pointer(id));
    match (port, well_formed, free) {
        (-1 | 65_536, _, _) => assert_eq!(status, SS_ERR_RANGE),
        (_, false, _) => assert_eq!(status, SS_ERR_ARGUMENT),
        (_, _, Some(false)) => assert_eq!(status, SS_ERR_IO),
        // Not every machine has IPv6.
        (_, _, Some(true)) if local.is_some() => assert_eq!(status, SS_OK),
        _ => assert!([SS_OK, SS_ERR_IO].contains(&status)),
    }
    if status == SS_OK {
        with(|trial| trial.model.sockets[index].local_end = Some(local));
    }
}

pub fn keep() {
    let id = good!(Wanted::Socket, |handle| ss_socket_keep(handle));
    let Id::Socket(index) = id else { unreachable!() };
    // In use or not, where nobody may have heard of its end that is not known.
    let is_known = with(|trial| {
        let socket = &trial.model.sockets[index];
        socket.state.is_free().is_some() && !socket.owes_close
    });
    if !is_known {
        return;
    }
    with(|trial| {
        let socket = &mut trial.model.sockets[index];
        socket.keep = if socket.is_in_use() { Keep::Now } else { Keep::FromConnect };
    });
    assert_eq!(ss_socket_keep(pointer(id)), SS_OK);
}

pub fn shut_down() {
    let id = good!(Wanted::Socket, |handle| ss_socket_shutdown(handle));
    let Id::Socket(index) = id else { unreachable!() };
    let expected = with(|trial| {
        let socket = &mut trial.model.sockets[index];
        socket.shut |= socket.is_connected();
        socket.connected_status()
    });
    assert_eq!(ss_socket_shutdown(pointer(id)), expected);
    check_socket(index);
}

/// The host ends a connection or an attempt. If it is known what that comes to, the model goes first: what is kept may die of it.
pub fn leave(id: Id, end: extern "C-unwind" fn(*mut ss_socket) -> ss_status, aborts: bool) {
    let Id::Socket(index) = id else { unreachable!() };
    let handle = pointer(id);
    let leave = |trial: &mut Trial| {
        // What the peer has not got by now is lost.
        trial.model.sockets[index].reset |= aborts;
        let socket = &trial.model.sockets[index];
        let (is_connected, ended) = (socket.is_connected(), socket.shut || socket.unix);
        trial.model.leave(index);
        if let (true, true, Some(farewell)) = (aborts, is_connected, trial.model.farewells.last_mut()) {
            farewell.reset = if ended { Reset::Maybe } else { Reset::Yes };
        }
        trial.model.let_go(index);
    };
    let free = with(|trial| {
        let socket = &trial.model.sockets[index];
        let had_unread = !aborts && socket.unread() > 0;
        let free = socket.state.is_free().map(|free| free && !had_unread);
        if free == Some(false) {
            leave(trial);
        }
        free
    });
    let status = end(handle);
    match free {
        Some(free) => assert_eq!(status, if free { SS_ERR_IO } else { SS_OK }),
        // Whether it has failed by now nobody may have heard.
        None => assert!([SS_OK, SS_ERR_IO].contains(&status)),
    }
    if free.is_none() && status == SS_OK {
        with(leave);
    }
    if with(|trial| trial.model.sockets[index].life.alive) {
        check_socket(index);
    }
}

pub fn close_socket() {
    let id = good!(Wanted::Socket, |handle| ss_socket_close(handle));
    leave(id, ss_socket_close, false);
}

pub fn abort() {
    let id = good!(Wanted::Socket, |handle| ss_socket_abort(handle));
    leave(id, ss_socket_abort, true);
}

pub fn flush() {
    let id = good!(Wanted::Socket, |handle| ss_socket_flush(handle));
    let Id::Socket(index) = id else { unreachable!() };
    let expected = with(|trial| trial.model.sockets[index].connected_status());
    assert_eq!(ss_socket_flush(pointer(id)), expected);
}

pub fn pause_socket() {
    let paused = byte() & 1 == 0;
    let call = |handle| if paused { ss_socket_pause(handle) } else { ss_socket_resume(handle) };
    let id = good!(Wanted::Socket, |handle| call(handle));
    let Id::Socket(index) = id else { unreachable!() };
    let expected = with(|trial| {
        let socket = &mut trial.model.sockets[index];
        if socket.is_connected() {
            socket.paused = paused;
        }
        socket.connected_status()
    });
    assert_eq!(call(pointer(id)), expected);
}

pub fn look_at_socket() {
    let id = good!(Wanted::Socket, |handle| {
        let mut length = 77;
        assert!(!ss_socket_connected(handle) && ss_socket_bytes_pending(handle) == 0);
        assert!(ss_socket_local_address(handle).is_null() && ss_socket_remote_address(handle).is_null());
        assert!(ss_socket_local_port(handle) == 0 && ss_socket_remote_port(handle) == 0);
        assert!(ss_socket_endian(handle) == SS_BIG_ENDIAN && ss_socket_timeout(handle) == 0);
        // SAFETY: `length` is ours.
        assert!(unsafe { ss_socket_peek(handle, &mut length) }.is_null() && length == 0);
        nothing(ss_socket_bytes_available(handle) == 0)
    });
    let Id::Socket(index) = id else { unreachable!() };
    check_socket(index);
}

/// Everything that can be asked about a socket is as the model has it.
pub fn check_socket(index: usize) {
    let handle: *mut ss_socket = pointer(Id::Socket(index));
    let (connected, ends, local) = with(|trial| {
        let socket = &trial.model.sockets[index];
        (socket.is_connected(), socket.ends, socket.local)
    });
    assert_eq!(ss_socket_connected(handle), connected);
    assert_eq!((ss_socket_local_port(handle), ss_socket_remote_port(handle)), ends.unwrap_or_default());
    for (address, expected) in
        [(ss_socket_local_address(handle), local), (ss_socket_remote_address(handle), c"127.0.0.1")]
    {
        // SAFETY: if it is not NULL it is valid as long as the socket is.
        let address = (!address.is_null()).then(|| unsafe { CStr::from_ptr(address) });
        assert_eq!(address, ends.map(|_| expected));
    }
    assert!(connected || ss_socket_bytes_pending(handle) == 0);
    check_descriptor(handle.cast(), connected);
    assert_eq!(ss_object_kind(handle.cast()), SS_KIND_SOCKET);
    let mut length = usize::MAX;
    // SAFETY: `length` is ours; the bytes are looked at before the next call.
    let bytes = unsafe { ss_socket_peek(handle, &mut length) };
    let available = ss_socket_bytes_available(handle);
    with(|trial| {
        let socket = &trial.model.sockets[index];
        assert_eq!((length, available), (socket.unread(), socket.unread()));
        assert_eq!(bytes.is_null(), length == 0);
        if length > 0 {
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(bytes, length) };
            assert!(bytes == socket.unread_bytes(), "unread bytes are not what the peer sent");
        }
        assert_eq!(ss_socket_endian(handle) == SS_LITTLE_ENDIAN, socket.little_endian);
        assert_eq!(ss_socket_object_encoding(handle) == SS_AMF0, socket.amf0);
        assert_eq!(ss_socket_timeout(handle), socket.timeout);
    });
}

pub fn settings() {
    let choice = byte();
    let id = good!(Wanted::Socket, |handle| ss_socket_set_endian(handle, 0));
    let Id::Socket(index) = id else { unreachable!() };
    let handle = pointer(id);
    let flag = choice & 1 == 1;
    match choice >> 1 & 3 {
        0 => assert_eq!(ss_socket_set_endian(handle, i32::from(flag)), SS_OK),
        1 => assert_eq!(ss_socket_set_object_encoding(handle, if flag { SS_AMF0 } else { SS_AMF3 }), SS_OK),
        2 => assert_eq!(ss_socket_set_timeout(handle, 1_000_000 + choice as u32), SS_OK),
        _ => {
            assert_eq!(ss_socket_set_endian(handle, 2 + choice as i32), SS_ERR_ARGUMENT);
            assert_eq!(ss_socket_set_object_encoding(handle, 4 + choice as i32), SS_ERR_ARGUMENT);
        }
    }
    with(|trial| {
        let socket = &mut trial.model.sockets[index];
        match choice >> 1 & 3 {
            0 => socket.little_endian = flag,
            1 => socket.amf0 = flag,
            2 => socket.timeout = 1_000_000 + choice as u32,
            _ => {}
        }
    });
    check_socket(index);
}
