// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values and sockets: they are read, and written, and what they are in bytes is known from another connection.

use super::*;

/// What comes to sockets is no object, or one by chance: it is taken whole, or nothing is.
pub fn read_object() {
    let id = good!(Wanted::Socket, |handle| try_read_object(handle).err().unwrap_or(SS_OK));
    let Id::Socket(index) = id else { unreachable!() };
    let handle = pointer(id);
    let outcome = try_read_object(handle);
    let available = ss_socket_bytes_available(handle);
    with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let is_there = socket.is_connected() || socket.unread() > 0;
        match &outcome {
            Ok(_) => assert!(is_there && available < socket.unread()),
            Err(SS_ERR_IO) => assert!(!is_there),
            Err(SS_ERR_EOF | SS_ERR_ARGUMENT | SS_ERR_RANGE | SS_ERR_UNSUPPORTED) => {
                assert!(is_there && available == socket.unread())
            }
            Err(other) => panic!("{other:?}"),
        }
        socket.read += socket.unread() - available;
    });
    if let Ok(value) = outcome {
        value.describe();
    }
    check_socket(index);
}

thread_local! {
    /// A connection of its own, which tells what a value is in bytes, and what comes of them. It is there to the end of
    /// the process, at which the library may be gone from this thread before it.
    static SCRIBE: RefCell<Option<&'static mut Connection>> = const { RefCell::new(None) };
    /// Its objects, which are not the model's.
    static HANDLES: Cell<[Handle; 3]> = const { Cell::new([0; 3]) };
}

/// Before the first program: it has descriptors, and its connect event must not lie within other dispatches.
pub fn prepare() {
    SCRIBE.with_borrow_mut(|scribe| {
        scribe.get_or_insert_with(|| {
            let side = Side::new();
            let connection = side.connect();
            HANDLES.set([side.events.addr(), side.server.addr(), connection.socket.addr()]);
            Box::leak(Box::new(connection))
        });
    });
}

/// What is no garbage, though the model does not know it.
pub fn is_scribes(handle: Handle) -> bool {
    HANDLES.get().contains(&handle)
}

pub fn write_object() {
    let id = good!(Wanted::Socket, |handle| ss_socket_write_object(handle, null_mut()));
    let Id::Socket(index) = id else { unreachable!() };
    let socket = pointer(id);
    if !with(|trial| trial.model.sockets[index].is_connected()) {
        assert_eq!(ss_socket_write_object(socket, null_mut()), SS_ERR_IO);
        return;
    }
    let Id::Value(whole) = good!(Wanted::Value, |handle| ss_socket_write_object(socket, handle)) else {
        unreachable!()
    };
    let Chosen { place, handle } = choose(whole);
    let (amf0, is_plain) = with(|trial| (trial.model.sockets[index].amf0, trial.model.parts.is_plain(place)));
    let bytes = match in_bytes(handle, amf0, is_plain) {
        Ok(bytes) => bytes,
        Err(failure) => {
            assert!(!is_plain, "{failure:?} for a plain value");
            let status = ss_socket_write_object(socket, handle);
            // Nothing can be written, or it is too long for this socket besides.
            let expected = match with(|trial| trial.model.sockets[index].write_status(0, 0)) {
                SS_OK => [failure, SS_ERR_RANGE],
                refused => [refused; 2],
            };
            return assert!(expected.contains(&status), "{status:?} instead of {expected:?}");
        }
    };
    if !may_send(bytes.len()) {
        return;
    }
    let pending = ss_socket_bytes_pending(socket);
    let expected = with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let status = socket.write_status(bytes.len(), pending);
        if status == SS_OK {
            socket.written.extend_from_slice(&bytes);
        }
        status
    });
    assert_eq!(ss_socket_write_object(socket, handle), expected);
    check_part(place, handle);
}

/// A value as bytes, or why there are none. What is plain must be the same when it has been read again.
fn in_bytes(value: *mut ss_value, amf0: bool, is_plain: bool) -> Result<Vec<u8>, ss_status> {
    SCRIBE.with_borrow_mut(|scribe| {
        let scribe = scribe.as_mut().expect("it was prepared");
        let encoding = if amf0 { SS_AMF0 } else { SS_AMF3 };
        assert_eq!(ss_socket_set_object_encoding(scribe.socket, encoding), SS_OK);
        let status = ss_socket_write_object(scribe.socket, value);
        if status != SS_OK {
            return Err(status);
        }
        let bytes = scribe.sent();
        if is_plain {
            scribe.receive(&bytes);
            let again = try_read_object(scribe.socket);
            assert_eq!(again.err(), None, "{}: {}", bytes.escape_ascii(), socket_error());
            assert_eq!(ss_socket_bytes_available(scribe.socket), 0);
        }
        Ok(bytes)
    })
}
