// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the two targets share: connections that leave nothing behind, and values as text.

#![allow(dead_code)] // each target uses its part

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use server_socket::ss_status::{self, *};
use server_socket::*;

/// The input as a program: read from front to end, by whoever is at it.
pub struct Program {
    bytes: Vec<u8>,
    next: usize,
}

impl Program {
    pub fn new(bytes: &[u8]) -> Program {
        Program { bytes: bytes.to_vec(), next: 0 }
    }

    pub fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.next)?;
        self.next += 1;
        Some(byte)
    }

    pub fn pair(&mut self) -> Option<[u8; 2]> {
        Some([self.byte()?, self.byte()?])
    }
}

/// For messages: what the last failure of this thread was.
pub fn socket_error() -> String {
    // SAFETY: it is never NULL, and valid until the next failure.
    unsafe { CStr::from_ptr(ss_last_error_detail()) }.to_string_lossy().into_owned()
}

/// Ends the connection with RST, so that no port is left in TIME_WAIT: there would soon be none left.
pub fn reset(peer: &TcpStream) {
    let _ = socket2::SockRef::from(peer).set_linger(Some(Duration::ZERO));
}

/// Ends the connection with RST now. The descriptor stays: the stream is the owner's.
pub fn tear(peer: &TcpStream) {
    use std::os::fd::AsRawFd;
    // Connecting to "unspecified" dissolves the connection, and with this linger time it is torn.
    reset(peer);
    // SAFETY: all zeros but the family is such an address.
    let result = unsafe {
        let mut nowhere: libc::sockaddr = std::mem::zeroed();
        nowhere.sa_family = libc::AF_UNSPEC as libc::sa_family_t;
        libc::connect(peer.as_raw_fd(), &nowhere, size_of::<libc::sockaddr>() as libc::socklen_t)
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Whether [`tear`] was called.
pub fn is_reset(peer: &TcpStream) -> bool {
    peer.peer_addr().is_err()
}

/// Whether all that a peer has sent that has ended its side is at the other end.
pub fn has_arrived(peer: &TcpStream) -> bool {
    use std::os::fd::AsRawFd;
    let mut count: libc::c_int = 0;
    // SAFETY: an open socket, and room for the number.
    let result = unsafe { libc::ioctl(peer.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    // Its end counts as a byte, and is acknowledged late.
    result == 0 && count <= 1
}

/// A peer that has come to a port of this machine. `narrow`: its system takes little, as long as it does not read.
pub fn connect(port: u16, narrow: bool) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    if narrow {
        socket.set_recv_buffer_size(NARROW).expect("an option");
    }
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    socket.connect(&address.into()).expect("it listens");
    let peer = socket.into();
    reset(&peer);
    peer
}

/// The system takes little for the connection that has this descriptor.
pub fn narrow(descriptor: i64) {
    // SAFETY: the descriptor is an open socket's, and nothing else is done to it.
    let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor as i32) };
    socket2::SockRef::from(&socket).set_send_buffer_size(NARROW).expect("an option");
}

const NARROW: usize = 8192;

/// The port at the other end.
pub fn peer_port(peer: &TcpStream) -> u16 {
    peer.peer_addr().expect("it is connected").port()
}

/// How many descriptors this process has.
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// Only a failure waits that long.
const DEADLINE: Duration = Duration::from_secs(5);

/// Turns of the loop until `done`.
#[track_caller]
pub fn poll_until(events: *mut ss_loop, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    let mut patience = 0;
    while !done() {
        assert!(start.elapsed() < DEADLINE, "what must happen did not");
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { ss_loop_poll(events, patience, null_mut()) }, SS_OK);
        patience = 1;
    }
}

/// A loop with a server on it. They are used for all of a process' runs.
pub struct Side {
    pub events: *mut ss_loop,
    pub server: *mut ss_server,
}

/// An accepted socket and its peer.
pub struct Connection {
    events: *mut ss_loop,
    pub socket: *mut ss_socket,
    pub peer: TcpStream,
}

thread_local! {
    static ACCEPTED: Cell<*mut ss_socket> = const { Cell::new(null_mut()) };
}

extern "C-unwind" fn keep(event: *mut ss_event, _: *mut c_void) {
    let socket = ss_event_socket(event);
    assert_eq!(ss_retain(socket.cast()), SS_OK);
    ACCEPTED.set(socket);
}

impl Side {
    pub fn new() -> Side {
        let events = ss_loop_new();
        let server = ss_new(events);
        // SAFETY: constants, and a listener without user data.
        unsafe {
            assert_eq!(ss_add_listener(server.cast(), c"connect".as_ptr(), Some(keep), null_mut(), false, 0), SS_OK);
            assert_eq!(ss_bind(server, 0, c"127.0.0.1".as_ptr()), SS_OK);
        }
        assert_eq!(ss_listen(server, 0), SS_OK);
        Side { events, server }
    }

    pub fn connect(&self) -> Connection {
        let port = ss_local_port(self.server) as u16;
        let peer = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        peer.set_nodelay(true).expect("an option");
        reset(&peer);
        poll_until(self.events, || !ACCEPTED.get().is_null());
        Connection { events: self.events, socket: ACCEPTED.replace(null_mut()), peer }
    }
}

impl Connection {
    /// The peer sends, and all of it arrives.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.peer.write_all(bytes).expect("loopback takes it");
        let wanted = ss_socket_bytes_available(self.socket) + bytes.len();
        poll_until(self.events, || ss_socket_bytes_available(self.socket) >= wanted);
    }

    /// What the socket has written meanwhile, as the peer gets it.
    pub fn sent(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 65536];
        self.peer.set_nonblocking(true).expect("a socket can be non-blocking");
        loop {
            assert_eq!(ss_socket_flush(self.socket), SS_OK);
            match self.peer.read(&mut buffer) {
                Ok(0) => panic!("the connection has ended"),
                Ok(length) => bytes.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if ss_socket_bytes_pending(self.socket) == 0 {
                        break;
                    }
                    // SAFETY: NULL is allowed.
                    assert_eq!(unsafe { ss_loop_poll(self.events, 1, null_mut()) }, SS_OK);
                }
                Err(error) => panic!("{error}"),
            }
        }
        self.peer.set_nonblocking(false).expect("a socket can be blocking");
        bytes
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        ss_socket_abort(self.socket);
        assert_eq!(ss_release(self.socket.cast()), SS_OK);
    }
}

/// A value and a reference to it.
pub struct Value(pub *mut ss_value);

impl Drop for Value {
    fn drop(&mut self) {
        assert_eq!(ss_release(self.0.cast()), SS_OK);
    }
}

impl Value {
    /// As text, in which equal values are equal, and what is met again is a `#` and the number of what it is.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        describe(self.0, &mut text, &mut HashMap::new(), false);
        text
    }

    /// As `describe`, without what AMF0 does not tell apart: integers and other numbers, the two kinds of XML.
    pub fn describe_loosely(&self) -> String {
        let mut text = String::new();
        describe(self.0, &mut text, &mut HashMap::new(), true);
        text
    }
}

/// The object that comes next, or why there is none; nothing is stored then.
pub fn try_read_object(socket: *mut ss_socket) -> Result<Value, ss_status> {
    let untouched: *mut ss_value = std::ptr::without_provenance_mut(77);
    let mut value = untouched;
    // SAFETY: `value` is ours.
    match unsafe { ss_socket_read_object(socket, &mut value) } {
        SS_OK => Ok(Value(value)),
        status => {
            assert_eq!(value, untouched);
            Err(status)
        }
    }
}

/// Whether it is one of SS_VALUE_...
pub fn is_type(kind: i32) -> bool {
    (SS_VALUE_UNDEFINED..=SS_VALUE_DICTIONARY).contains(&kind)
}

fn describe(value: *mut ss_value, text: &mut String, seen: &mut HashMap<*mut ss_value, usize>, loosely: bool) {
    let mut kind = ss_value_type(value);
    if loosely {
        kind = match kind {
            SS_VALUE_INTEGER => SS_VALUE_NUMBER,
            SS_VALUE_XML => SS_VALUE_XML_DOCUMENT,
            kind => kind,
        };
    }
    assert!(is_type(kind), "{kind}");
    // Whether it is one thing in two places or two alike can be told of all but numbers and strings.
    if kind >= SS_VALUE_DATE {
        let next = seen.len();
        if let Some(number) = seen.get(&value) {
            return write!(text, "#{number}").expect("a string");
        }
        seen.insert(value, next);
    }
    write!(text, "{kind}").expect("a string");
    match kind {
        SS_VALUE_BOOLEAN => write!(text, "{}", ss_value_boolean(value)).expect("a string"),
        // NaN is not equal to itself, but its bits are.
        SS_VALUE_INTEGER | SS_VALUE_NUMBER | SS_VALUE_DATE => {
            write!(text, "({:x})", ss_value_number(value).to_bits()).expect("a string")
        }
        _ => {}
    }
    // SAFETY: the length is ours.
    let mut put = |tag: &str, bytes: Option<Vec<u8>>| {
        if let Some(bytes) = bytes {
            write!(text, "{tag}'{}'", bytes.escape_ascii()).expect("a string");
        }
    };
    put("", counted(|length| unsafe { ss_value_bytes(value, length) }));
    put("class", counted(|length| unsafe { ss_value_class_name(value, length) }));
    if kind < SS_VALUE_ARRAY {
        return;
    }
    text.push('[');
    for index in 0..ss_value_item_count(value) {
        describe(ss_value_item(value, index), text, seen, loosely);
        text.push(',');
    }
    for index in 0..ss_value_property_count(value) {
        // SAFETY: the length is ours.
        let name = counted(|length| unsafe { ss_value_property_name(value, index, length) }).expect("it has a name");
        write!(text, "'{}':", name.escape_ascii()).expect("a string");
        describe(ss_value_property_at(value, index), text, seen, loosely);
        text.push(',');
    }
    text.push(']');
}

/// Bytes that the library hands out: there are as many as it says, and a NUL behind them.
pub fn counted(get: impl FnOnce(*mut usize) -> *const c_char) -> Option<Vec<u8>> {
    let mut length = usize::MAX;
    let start = get(&mut length);
    if start.is_null() {
        assert_eq!(length, 0);
        return None;
    }
    // SAFETY: the library says that there are so many and a NUL behind them.
    let bytes = unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length + 1) };
    assert_eq!(bytes[length], 0);
    Some(bytes[..length].to_vec())
}
