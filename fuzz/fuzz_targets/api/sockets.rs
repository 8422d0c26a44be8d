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
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let refused = choice % 16 < 6;
    let listener = (!refused).then_some(listener);
    with(|trial| {
        trial.peers += 1;
        let number = trial.peers;
        trial.model.leave(index);
        let socket = &mut trial.model.sockets[index];
        (socket.state, socket.number, socket.reset) = (State::Connecting(listener), number, false);
        // From now on it is nobody's, and its addresses are gone.
        (socket.server, socket.ends) = (None, None);
    });
    assert_eq!(call(handle, c"127.0.0.1".as_ptr(), port.into()), SS_OK);
    check_socket(index);
}

pub fn close_socket() {
    let id = good!(Wanted::Socket, |handle| ss_socket_close(handle));
    let Id::Socket(index) = id else { unreachable!() };
    let status = ss_socket_close(pointer(id));
    with(|trial| {
        let socket = &trial.model.sockets[index];
        match &socket.state {
            // Whether it has failed by now nobody may have heard.
            State::Connecting(None) => assert!([SS_OK, SS_ERR_IO].contains(&status)),
            State::Connecting(Some(_)) | State::Connected => assert_eq!(status, SS_OK),
            _ => assert_eq!(status, if socket.unread() > 0 { SS_OK } else { SS_ERR_IO }),
        }
        if status == SS_OK {
            trial.model.leave(index);
        }
    });
    check_socket(index);
}

pub fn abort() {
    let id = good!(Wanted::Socket, |handle| ss_socket_abort(handle));
    let Id::Socket(index) = id else { unreachable!() };
    let status = ss_socket_abort(pointer(id));
    with(|trial| {
        match &trial.model.sockets[index].state {
            State::Connecting(None) => assert!([SS_OK, SS_ERR_IO].contains(&status)),
            State::Connecting(Some(_)) | State::Connected => assert_eq!(status, SS_OK),
            _ => assert_eq!(status, SS_ERR_IO),
        }
        if status == SS_OK {
            // What the peer has not got by now is lost.
            trial.model.sockets[index].reset = true;
            let is_connected = trial.model.sockets[index].is_connected();
            trial.model.leave(index);
            if let (true, Some(farewell)) = (is_connected, trial.model.farewells.last_mut()) {
                farewell.reset = Reset::Yes;
            }
        }
    });
    check_socket(index);
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
    let (connected, ends) = with(|trial| {
        let socket = &trial.model.sockets[index];
        (socket.is_connected(), socket.ends)
    });
    assert_eq!(ss_socket_connected(handle), connected);
    assert_eq!((ss_socket_local_port(handle), ss_socket_remote_port(handle)), ends.unwrap_or_default());
    for address in [ss_socket_local_address(handle), ss_socket_remote_address(handle)] {
        // SAFETY: if it is not NULL it is valid as long as the socket is.
        let address = (!address.is_null()).then(|| unsafe { CStr::from_ptr(address) });
        assert_eq!(address, ends.map(|_| c"127.0.0.1"));
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
