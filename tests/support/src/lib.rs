// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the integration tests share: fixtures that give back what they took, listeners that are closures, peers that
//! give up at a deadline instead of hanging, processes of their own for tests that need one, failing system calls.

#![allow(
    clippy::len_without_is_empty,
    clippy::new_without_default,
    clippy::not_unsafe_ptr_arg_deref,
    clippy::should_implement_trait,
    reason = "fixtures, not a library for others"
)]

pub mod harness;
#[cfg(unix)] // it runs shells
pub mod haxe;
mod skips;

use server_socket::*;
use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::{CStr, CString, c_char, c_void};
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::null_mut;
use std::rc::Rc;
use std::sync::{Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use server_socket::ss_status::*;
pub use skips::{left_out, skipped, summary};

/// Only a failing test waits that long.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub const CONNECT: &CStr = c"connect";
pub const CLOSE: &CStr = c"close";
pub const SOCKET_DATA: &CStr = c"socketData";
pub const OUTPUT_PROGRESS: &CStr = c"outputProgress";
pub const IO_ERROR: &CStr = c"ioError";
pub const END: &CStr = c"end";

// ---- Errors ---------------------------------------------------------------------------------------------------------

#[derive(Debug, PartialEq)]
pub struct LastError {
    pub status: ss_status,
    pub id: i32,
    pub text: String,
    pub os_error: i32,
}

pub fn last_error() -> LastError {
    LastError {
        status: ss_last_status(),
        id: ss_last_error_id(),
        text: text(ss_last_error_message()).expect("a message is never NULL"),
        os_error: ss_last_os_error(),
    }
}

/// The sentence for people about this thread's last failure.
pub fn last_detail() -> String {
    text(ss_last_error_detail()).expect("a detail is never NULL")
}

#[track_caller]
pub fn ok(status: ss_status) {
    assert_eq!(status, SS_OK, "{:?}", last_error());
}

/// For a call that may succeed or fail, as long as it answers.
pub fn either_way(_: ss_status) {}

/// AIR's text of each error id.
fn air_text(id: i32) -> &'static str {
    match id {
        2002 => "Operation attempted on invalid socket.",
        2003 => "Invalid socket port number specified.",
        2004 => "One of the parameters is invalid.",
        2006 => "The supplied index is out of bounds.",
        2030 => "End of file was encountered.",
        2094 => "Event dispatch recursion overflow.",
        _ => panic!("no text is known for error {id}"),
    }
}

/// The call failed with `class`, AIR's error `id` and AIR's text for it.
#[track_caller]
pub fn fails(status: ss_status, class: ss_status, id: i32) {
    let error = last_error();
    assert_eq!((status, error.status, error.id), (class, class, id), "{error:?}");
    assert_eq!(error.text, air_text(id));
}

/// As [`fails`], and the operating system's reason is `os_error`.
#[track_caller]
pub fn fails_with(status: ss_status, class: ss_status, id: i32, os_error: i32) {
    fails(status, class, id);
    assert_eq!(last_error().os_error, os_error);
}

/// The system's error numbers by their POSIX names: Winsock has numbers of its own for them.
#[cfg(unix)]
pub mod errno {
    pub use libc::{EADDRINUSE, EADDRNOTAVAIL, ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT};
}

#[cfg(windows)]
pub mod errno {
    use windows_sys::Win32::Networking::WinSock;
    pub const EADDRINUSE: i32 = WinSock::WSAEADDRINUSE;
    pub const EADDRNOTAVAIL: i32 = WinSock::WSAEADDRNOTAVAIL;
    pub const ECONNREFUSED: i32 = WinSock::WSAECONNREFUSED;
    pub const ECONNRESET: i32 = WinSock::WSAECONNRESET;
    /// What sending on a connection gives that has been torn.
    pub const EPIPE: i32 = WinSock::WSAECONNABORTED;
    pub const ETIMEDOUT: i32 = WinSock::WSAETIMEDOUT;
}

pub fn text(pointer: *const c_char) -> Option<String> {
    let pointer = (!pointer.is_null()).then_some(pointer)?;
    Some(unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}

// ---- Handles --------------------------------------------------------------------------------------------------------

/// Anything with a handle that `ss_retain`, `ss_add_listener` and the like accept.
pub trait Object {
    fn object(&self) -> *mut c_void;
}

impl<T> Object for *mut T {
    fn object(&self) -> *mut c_void {
        self.cast()
    }
}

impl<T: Object> Object for &T {
    fn object(&self) -> *mut c_void {
        (*self).object()
    }
}

pub fn retain(object: impl Object) -> ss_status {
    ss_retain(object.object())
}

pub fn release(object: impl Object) -> ss_status {
    let status = ss_release(object.object());
    rethrow();
    status
}

/// The descriptor behind a handle, to look at what the system knows of it or to set what the library has no option for.
#[cfg(unix)]
#[track_caller]
pub fn system_socket(object: impl Object) -> std::os::fd::BorrowedFd<'static> {
    let fd = native_handle(object).expect("it has a descriptor");
    unsafe { std::os::fd::BorrowedFd::borrow_raw(fd as i32) }
}

#[cfg(windows)]
#[track_caller]
pub fn system_socket(object: impl Object) -> std::os::windows::io::BorrowedSocket<'static> {
    let socket = native_handle(object).expect("it has a socket");
    unsafe { std::os::windows::io::BorrowedSocket::borrow_raw(socket as u64) }
}

#[track_caller]
pub fn set(object: impl Object, option: ss_option, value: i64) {
    ok(ss_set_option(object.object(), option, value));
}

#[track_caller]
pub fn option(object: impl Object, option: ss_option) -> i64 {
    let mut value = i64::MIN;
    ok(unsafe { ss_get_option(object.object(), option, &mut value) });
    value
}

/// The number of the descriptor behind a handle, if it has one.
pub fn native_handle(object: impl Object) -> Option<i64> {
    let mut fd = -1;
    (unsafe { ss_native_handle(object.object(), &mut fd) } == SS_OK).then_some(fd)
}

// ---- Loop -----------------------------------------------------------------------------------------------------------

pub struct Loop(pub *mut ss_loop);

impl Loop {
    pub fn new() -> Loop {
        let handle = ss_loop_new();
        assert!(!handle.is_null(), "{:?}", last_error());
        Loop(handle)
    }

    /// One turn that waits up to `milliseconds`: how many events it dispatched.
    #[track_caller]
    pub fn turn(&self, milliseconds: i32) -> u32 {
        let mut events = u32::MAX;
        let status = unsafe { ss_loop_poll(self.0, milliseconds, &mut events) };
        rethrow();
        ok(status);
        events
    }

    /// Turns until `done`. Fails at the deadline.
    #[track_caller]
    pub fn pump_until(&self, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !done() {
            assert!(Instant::now() < deadline, "what the test waits for did not happen");
            self.turn(2);
        }
    }

    /// Turns until `done`, and says how long the longest turn kept this thread computing.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub fn longest_turn_until(&self, mut done: impl FnMut() -> bool) -> Duration {
        let (deadline, mut longest) = (Instant::now() + DEADLINE, Duration::ZERO);
        while !done() {
            assert!(Instant::now() < deadline, "what the test waits for did not happen");
            let before = thread_cpu_time();
            self.turn(2);
            longest = longest.max(thread_cpu_time() - before);
        }
        longest
    }

    /// Turns until `done`, and hardly computes meanwhile: for what time alone brings, or a peer that is slow. What `done`
    /// does by itself is not counted.
    #[cfg(any(target_os = "linux", windows))]
    #[track_caller]
    pub fn rest_until(&self, mut done: impl FnMut() -> bool) {
        let (start, mut spent) = (Instant::now(), Duration::ZERO);
        while !done() {
            assert!(start.elapsed() < DEADLINE, "what the test waits for did not happen");
            let before = thread_cpu_time();
            self.turn(20);
            spent += thread_cpu_time() - before;
        }
        let (elapsed, some) = (start.elapsed(), Duration::from_millis(50));
        assert!(spent < elapsed / 8 + some, "a busy loop: {spent:?} of {elapsed:?}");
    }

    /// `ss_loop_run` returns by itself, since nothing is left on the loop.
    #[cfg(any(target_os = "linux", windows))]
    #[track_caller]
    pub fn run_to_its_end(&self) {
        let (handle, (returned, has_returned)) = (AnyThread::new(self.0), mpsc::channel::<()>());
        let stopper = std::thread::spawn(move || {
            let late = has_returned.recv_timeout(DEADLINE / 6) == Err(mpsc::RecvTimeoutError::Timeout);
            if late {
                either_way(ss_loop_stop(handle.get()));
            }
            late
        });
        let (start, before) = (Instant::now(), thread_cpu_time());
        let status = ss_loop_run(self.0);
        let (elapsed, spent) = (start.elapsed(), thread_cpu_time() - before);
        drop(returned);
        rethrow();
        ok(status);
        assert!(!stopper.join().expect("no panic"), "ss_loop_run had to be stopped; it computed for {spent:?}");
        assert!(spent < elapsed / 8 + Duration::from_millis(20), "a busy loop: {spent:?} of {elapsed:?}");
    }

    /// Turns until nothing has happened for a while: what was on its way has arrived.
    #[track_caller]
    pub fn settle(&self) {
        let mut idle = 0;
        while idle < 10 {
            idle = if self.turn(2) == 0 { idle + 1 } else { 0 };
        }
    }

    /// The result of a peer's thread; the loop turns until it is there.
    #[track_caller]
    pub fn join<T>(&self, peer: JoinHandle<T>) -> T {
        self.pump_until(|| peer.is_finished());
        peer.join().unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Reads at the peer's end, no faster than `rate` bytes a second, while the loop turns: how many, up to `most`, and
    /// how the connection ended if it did before: the error, or none for a FIN.
    #[cfg(any(target_os = "linux", windows))]
    #[track_caller]
    pub fn receive_slowly(&self, peer: &TcpStream, rate: usize, most: usize) -> (usize, Option<Option<io::ErrorKind>>) {
        // Else the system makes its buffer larger and larger, and acknowledges more and more rarely.
        socket2::SockRef::from(peer).set_recv_buffer_size(64 << 10).expect("an option");
        let (start, mut received, mut end, mut room) = (Instant::now(), 0, None, vec![0; rate]);
        self.rest_until(|| {
            let due = most.min((start.elapsed().as_secs_f64() * rate as f64) as usize);
            while received < due {
                match read_now(peer, &mut room[..rate.min(due - received)]) {
                    Some(Ok(0)) => end = Some(None),
                    Some(Ok(length)) => received += length,
                    Some(Err(error)) => end = Some(Some(error.kind())),
                    None => break,
                }
                if end.is_some() {
                    break;
                }
            }
            received == most || end.is_some()
        });
        (received, end)
    }

    /// Reads exactly `length` bytes at the peer's end while the loop turns.
    #[track_caller]
    pub fn receive(&self, peer: &TcpStream, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        self.pump_until(|| {
            while filled < length {
                match read_now(peer, &mut bytes[filled..]) {
                    Some(Ok(0)) => panic!("the peer got {filled} of {length} bytes and the end"),
                    Some(read) => filled += read.expect("the peer can read"),
                    None => return false,
                }
            }
            true
        });
        bytes
    }

    /// Reads at the peer's end until the connection is over: the bytes, and the error if it was torn.
    #[track_caller]
    pub fn receive_to_end(&self, peer: &TcpStream) -> (Vec<u8>, Option<io::ErrorKind>) {
        let mut bytes = Vec::new();
        let mut buffer = [0; 65536];
        let mut error = None;
        self.pump_until(|| {
            loop {
                match read_now(peer, &mut buffer) {
                    Some(Ok(0)) => return true,
                    Some(Ok(length)) => bytes.extend_from_slice(&buffer[..length]),
                    Some(Err(e)) => {
                        error = Some(e.kind());
                        return true;
                    }
                    None => return false,
                }
            }
        });
        (bytes, error)
    }
}

/// One read that does not wait; `None` if there is nothing yet. The stream is a blocking one again afterwards.
pub fn read_now(mut peer: &TcpStream, buffer: &mut [u8]) -> Option<io::Result<usize>> {
    peer.set_nonblocking(true).expect("a socket can be non-blocking");
    let read = peer.read(buffer);
    peer.set_nonblocking(false).expect("a socket can be blocking");
    match read {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => None,
        read => Some(read),
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        ss_release(self.0.cast());
    }
}

impl Object for Loop {
    fn object(&self) -> *mut c_void {
        self.0.cast()
    }
}

// ---- Server ---------------------------------------------------------------------------------------------------------

pub struct Server(pub *mut ss_server);

impl Server {
    pub fn new(events: &Loop) -> Server {
        let handle = ss_new(events.0);
        assert!(!handle.is_null(), "{:?}", last_error());
        Server(handle)
    }

    /// A server that listens on `address`, at a port of the system's choice.
    #[track_caller]
    pub fn listening_on(events: &Loop, address: &CStr) -> Server {
        let server = Server::new(events);
        ok(server.bind(0, address));
        ok(server.listen(0));
        server
    }

    #[track_caller]
    pub fn listening(events: &Loop) -> Server {
        Server::listening_on(events, c"127.0.0.1")
    }

    pub fn bind(&self, port: i32, address: &CStr) -> ss_status {
        unsafe { ss_bind(self.0, port, address.as_ptr()) }
    }

    pub fn listen(&self, backlog: i32) -> ss_status {
        ss_listen(self.0, backlog)
    }

    pub fn close(&self) -> ss_status {
        ss_close(self.0)
    }

    pub fn state(&self) -> ServerState {
        ServerState {
            bound: ss_bound(self.0),
            listening: ss_listening(self.0),
            address: text(ss_local_address(self.0)),
            port: ss_local_port(self.0),
        }
    }

    #[track_caller]
    pub fn port(&self) -> u16 {
        let port = u16::try_from(self.state().port).expect("a port has 16 bits");
        assert_ne!(port, 0, "the server is not bound");
        port
    }

    #[track_caller]
    pub fn figures(&self) -> ss_stats {
        let mut stats = ss_stats { size: size_of::<ss_stats>(), ..ss_stats::default() };
        ok(unsafe { ss_server_stats(self.0, &mut stats) });
        stats
    }

    /// A client's end of a new connection to 127.0.0.1; the kernel completes it without the server's doing.
    #[track_caller]
    pub fn client(&self) -> TcpStream {
        client(&format!("127.0.0.1:{}", self.port()))
    }

    /// Keeps every accepted socket.
    pub fn keep_accepted(&self) -> Accepted {
        let accepted = Accepted::default();
        on(self, CONNECT, {
            let accepted = accepted.clone();
            move |event| accepted.0.borrow_mut().push(event.socket().keep())
        });
        accepted
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        ss_release(self.0.cast());
    }
}

impl Object for Server {
    fn object(&self) -> *mut c_void {
        self.0.cast()
    }
}

#[derive(Debug, PartialEq, Clone)]
pub struct ServerState {
    pub bound: bool,
    pub listening: bool,
    pub address: Option<String>,
    pub port: i32,
}

/// The state of a server that is not bound.
pub fn unbound() -> ServerState {
    ServerState { bound: false, listening: false, address: None, port: 0 }
}

/// The sockets that a server accepted and the test keeps.
#[derive(Clone, Default)]
pub struct Accepted(Rc<RefCell<Vec<Kept>>>);

impl Accepted {
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub fn get(&self, index: usize) -> Socket {
        self.0.borrow()[index].0
    }

    pub fn last(&self) -> Socket {
        self.get(self.len() - 1)
    }

    /// Releases all of them.
    pub fn clear(&self) {
        // Taken out first: a release may run listeners' destructors, which may come back here.
        drop(self.0.take());
    }
}

#[track_caller]
pub fn client(address: &str) -> TcpStream {
    let address: SocketAddr = address.parse().expect("an address");
    let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("a client connects");
    set_timeouts(&stream);
    stream
}

pub fn set_timeouts(stream: &TcpStream) {
    stream.set_read_timeout(Some(DEADLINE)).expect("a read timeout");
    stream.set_write_timeout(Some(DEADLINE)).expect("a write timeout");
}

/// A port of this machine at which nobody listens.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A listening socket whose queue is full: the system answers no further attempts, as if the host were not there.
pub struct BlackHole {
    pub port: u16,
    _listener: socket2::Socket,
    _fillers: Vec<socket2::Socket>,
}

impl BlackHole {
    pub fn new() -> BlackHole {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        listener.bind(&any.into()).expect("a port");
        listener.listen(0).expect("it listens");
        let address = listener.local_addr().expect("an address");
        let port = address.as_socket().expect("of IP").port();
        let filler = |_| {
            let filler = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
            filler.set_nonblocking(true).expect("a flag");
            let _ = filler.connect(&address);
            filler
        };
        BlackHole { port, _listener: listener, _fillers: (0..4).map(filler).collect() }
    }
}

/// Ends the connection with a RST.
pub fn reset(peer: TcpStream) {
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).expect("linger");
}

// ---- Socket ---------------------------------------------------------------------------------------------------------

/// A borrowed socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Socket(pub *mut ss_socket);

/// A socket and a reference to it.
pub struct Kept(pub Socket);

impl Socket {
    #[track_caller]
    pub fn keep(self) -> Kept {
        ok(retain(self.0));
        Kept(self)
    }

    /// Whether the handle still opens a socket.
    pub fn alive(self) -> bool {
        retain(self.0) == SS_OK && release(self.0) == SS_OK
    }

    pub fn connected(self) -> bool {
        ss_socket_connected(self.0)
    }

    pub fn available(self) -> usize {
        ss_socket_bytes_available(self.0)
    }

    pub fn pending(self) -> usize {
        ss_socket_bytes_pending(self.0)
    }

    pub fn local(self) -> (Option<String>, i32) {
        let address = text(ss_socket_local_address(self.0));
        (address, ss_socket_local_port(self.0))
    }

    pub fn remote(self) -> (Option<String>, i32) {
        let address = text(ss_socket_remote_address(self.0));
        (address, ss_socket_remote_port(self.0))
    }

    /// Up to `capacity` bytes of what is there.
    pub fn read(self, capacity: usize) -> Vec<u8> {
        let mut bytes = vec![0; capacity];
        let length = unsafe { ss_socket_read(self.0, bytes.as_mut_ptr().cast(), capacity) };
        bytes.truncate(length);
        bytes
    }

    pub fn read_all(self) -> Vec<u8> {
        self.read(self.available())
    }

    pub fn read_bytes(self, destination: &mut [u8]) -> ss_status {
        let (bytes, length) = (destination.as_mut_ptr(), destination.len());
        unsafe { ss_socket_read_bytes(self.0, bytes.cast(), length) }
    }

    /// A copy of the unread bytes.
    pub fn peek(self) -> Vec<u8> {
        let mut length = usize::MAX;
        let bytes = unsafe { ss_socket_peek(self.0, &mut length) };
        if bytes.is_null() {
            return Vec::new();
        }
        unsafe { std::slice::from_raw_parts(bytes, length) }.to_vec()
    }

    pub fn skip(self, length: usize) -> ss_status {
        ss_socket_skip(self.0, length)
    }

    pub fn write(self, bytes: &[u8]) -> ss_status {
        unsafe { ss_socket_write_bytes(self.0, bytes.as_ptr().cast(), bytes.len()) }
    }

    pub fn flush(self) -> ss_status {
        ss_socket_flush(self.0)
    }

    pub fn close(self) -> ss_status {
        ss_socket_close(self.0)
    }

    pub fn abort(self) -> ss_status {
        ss_socket_abort(self.0)
    }

    pub fn shutdown(self) -> ss_status {
        ss_socket_shutdown(self.0)
    }

    /// Writes back all that came, the copy-free way.
    #[track_caller]
    pub fn echo(self) {
        let mut length = 0;
        let bytes = unsafe { ss_socket_peek(self.0, &mut length) };
        ok(unsafe { ss_socket_write_bytes(self.0, bytes.cast(), length) });
        ok(self.skip(length));
    }
}

impl Object for Socket {
    fn object(&self) -> *mut c_void {
        self.0.cast()
    }
}

impl Deref for Kept {
    type Target = Socket;
    fn deref(&self) -> &Socket {
        &self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        ss_release(self.0.0.cast());
    }
}

/// One accepted connection: the socket, its peer, and what is needed for both. The socket's events but
/// outputProgress are in `log`; what comes in stays unread unless a test reads it.
pub struct Pair {
    pub socket: Kept,
    pub peer: TcpStream,
    pub log: Log,
    pub server: Server,
    pub events: Loop,
}

impl Pair {
    #[track_caller]
    pub fn new() -> Pair {
        let events = Loop::new();
        let server = Server::listening(&events);
        let accepted = server.keep_accepted();
        let peer = server.client();
        events.pump_until(|| accepted.len() == 1);
        let socket = accepted.0.borrow_mut().pop().expect("one was accepted");
        let log = Log::default();
        log.record_socket(*socket);
        Pair { socket, peer, log, server, events }
    }

    /// Turns until the socket has `length` unread bytes.
    #[track_caller]
    pub fn pump_until_available(&self, length: usize) {
        self.events.pump_until(|| self.socket.available() >= length);
    }

    #[track_caller]
    pub fn send(&self, bytes: &[u8]) {
        (&self.peer).write_all(bytes).expect("the peer can write");
    }

    /// The peer sends no more.
    #[track_caller]
    pub fn send_fin(&self) {
        self.peer.shutdown(Shutdown::Write).expect("a FIN");
    }
}

/// `length` bytes in which a lost, doubled or moved byte shows.
pub fn pattern(length: usize) -> Vec<u8> {
    noise(length as u64 + 1, length)
}

/// Bytes without a pattern that a shifted, doubled or lost piece would fit into; the same for the same seed. Eight at a time, since
/// tests make hundreds of megabytes of them without an optimiser.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Two long byte strings are equal; a failure says where they differ instead of printing them.
#[track_caller]
pub fn assert_same_bytes(got: &[u8], want: &[u8]) {
    if got != want {
        let at = got.iter().zip(want).take_while(|(a, b)| a == b).count();
        panic!("{} bytes instead of {}, the first difference at {at}", got.len(), want.len());
    }
}

/// SplitMix64: the same numbers in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

// ---- Events and listeners -------------------------------------------------------------------------------------------

/// A borrowed event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event(pub *mut ss_event);

impl Event {
    /// A new event and the reference to it.
    #[track_caller]
    pub fn new(kind: &CStr, bubbles: bool, cancelable: bool) -> Event {
        let event = unsafe { ss_event_new(kind.as_ptr(), bubbles, cancelable) };
        assert!(!event.is_null(), "{:?}", last_error());
        Event(event)
    }

    pub fn kind(self) -> Option<String> {
        text(ss_event_type(self.0))
    }

    pub fn bubbles(self) -> bool {
        ss_event_bubbles(self.0)
    }

    pub fn cancelable(self) -> bool {
        ss_event_cancelable(self.0)
    }

    pub fn phase(self) -> i32 {
        ss_event_phase(self.0)
    }

    pub fn target(self) -> *mut c_void {
        ss_event_target(self.0)
    }

    pub fn current_target(self) -> *mut c_void {
        ss_event_current_target(self.0)
    }

    pub fn prevent_default(self) {
        ok(ss_event_prevent_default(self.0));
    }

    pub fn is_default_prevented(self) -> bool {
        ss_event_is_default_prevented(self.0)
    }

    pub fn stop_propagation(self) {
        ok(ss_event_stop_propagation(self.0));
    }

    pub fn stop_immediate_propagation(self) {
        ok(ss_event_stop_immediate_propagation(self.0));
    }

    pub fn socket(self) -> Socket {
        Socket(ss_event_socket(self.0))
    }

    pub fn bytes_loaded(self) -> u64 {
        ss_event_bytes_loaded(self.0)
    }

    pub fn bytes_pending(self) -> u64 {
        ss_event_bytes_pending(self.0)
    }

    pub fn bytes_total(self) -> u64 {
        ss_event_bytes_total(self.0)
    }

    pub fn error_id(self) -> i32 {
        ss_event_error_id(self.0)
    }

    pub fn os_error(self) -> i32 {
        ss_event_os_error(self.0)
    }

    pub fn error_text(self) -> Option<String> {
        text(ss_event_text(self.0))
    }

    pub fn describe(self) -> String {
        let needed = unsafe { ss_event_to_string(self.0, null_mut(), 0) };
        let mut bytes = vec![1_u8; needed + 1];
        let again = unsafe { ss_event_to_string(self.0, bytes.as_mut_ptr().cast::<c_char>(), needed + 1) };
        assert_eq!(again, needed, "the needed length does not change");
        let description = CString::from_vec_with_nul(bytes).expect("one NUL, at its end");
        description.into_string().expect("UTF-8")
    }
}

impl Object for Event {
    fn object(&self) -> *mut c_void {
        self.0.cast()
    }
}

/// Dispatches and returns the status and AIR's return value.
#[track_caller]
pub fn try_dispatch(target: impl Object, event: Event) -> (ss_status, Option<bool>) {
    // Neither 0 nor 1, to see whether it is written; only a written one is read as a bool.
    let mut not_prevented = std::mem::MaybeUninit::<bool>::uninit();
    unsafe { not_prevented.as_mut_ptr().cast::<u8>().write(0xa5) };
    let status = unsafe { ss_dispatch_event(target.object(), event.0, not_prevented.as_mut_ptr()) };
    rethrow();
    match unsafe { not_prevented.as_ptr().cast::<u8>().read() } {
        0xa5 => (status, None),
        value => (status, Some(value != 0)),
    }
}

/// Dispatches a new event of type `kind`: AIR's return value.
#[track_caller]
pub fn dispatch(target: impl Object, kind: &CStr) -> bool {
    let event = Event::new(kind, false, false);
    let (status, not_prevented) = try_dispatch(target, event);
    ok(status);
    ok(release(event));
    not_prevented.expect("a dispatch that succeeds says whether the default was prevented")
}

/// A registration of a closure; dropping it leaves it registered.
#[derive(Clone)]
pub struct Listener {
    target: *mut c_void,
    kind: CString,
    user_data: *mut c_void,
    use_capture: bool,
}

/// Registers `listener` for the events of type `kind` at `target`.
#[track_caller]
pub fn on(target: impl Object, kind: &CStr, listener: impl Fn(Event) + 'static) -> Listener {
    on_with(target, kind, false, 0, listener)
}

#[track_caller]
pub fn on_with(
    target: impl Object,
    kind: &CStr,
    use_capture: bool,
    priority: i32,
    listener: impl Fn(Event) + 'static,
) -> Listener {
    let closure: Box<Closure> = Box::new(Box::new(listener));
    let listener = Listener {
        target: target.object(),
        kind: kind.to_owned(),
        user_data: Box::into_raw(closure).cast(),
        use_capture,
    };
    ok(unsafe {
        ss_add_listener_full(
            listener.target,
            kind.as_ptr(),
            Some(call_closure),
            listener.user_data,
            Some(drop_closure),
            use_capture,
            priority,
        )
    });
    listener
}

impl Listener {
    #[track_caller]
    pub fn remove(&self) {
        ok(unsafe {
            ss_remove_listener(self.target, self.kind.as_ptr(), Some(call_closure), self.user_data, self.use_capture)
        });
        rethrow();
    }
}

/// As [`on`], and the closure is given its own registration.
#[track_caller]
pub fn on_with_itself(target: impl Object, kind: &CStr, listener: impl Fn(Event, &Listener) + 'static) -> Listener {
    let itself = Rc::new(OnceCell::<Listener>::new());
    let registration = on(target, kind, {
        let itself = itself.clone();
        move |event| listener(event, itself.get().expect("set below"))
    });
    let set = itself.set(registration.clone());
    assert!(set.is_ok());
    registration
}

/// A listener that the test owns and may register any number of times; it must outlive its registrations.
pub struct Callback(Box<Closure>);

impl Callback {
    pub fn new(listener: impl Fn(Event) + 'static) -> Callback {
        Callback(Box::new(Box::new(listener)))
    }

    pub fn user_data(&self) -> *mut c_void {
        (&raw const *self.0).cast_mut().cast()
    }

    #[track_caller]
    pub fn add(&self, target: impl Object, kind: &CStr) {
        self.add_with(target, kind, false, 0);
    }

    #[track_caller]
    pub fn add_with(&self, target: impl Object, kind: &CStr, use_capture: bool, priority: i32) {
        ok(unsafe {
            ss_add_listener(target.object(), kind.as_ptr(), Some(call_closure), self.user_data(), use_capture, priority)
        });
    }

    #[track_caller]
    pub fn remove(&self, target: impl Object, kind: &CStr, use_capture: bool) {
        ok(unsafe {
            ss_remove_listener(target.object(), kind.as_ptr(), Some(call_closure), self.user_data(), use_capture)
        });
    }
}

type Closure = Box<dyn Fn(Event)>;

extern "C-unwind" fn call_closure(event: *mut ss_event, user_data: *mut c_void) {
    let closure = unsafe { &*user_data.cast::<Closure>() };
    keep_panic(|| closure(Event(event)));
}

extern "C-unwind" fn drop_closure(user_data: *mut c_void) {
    keep_panic(|| drop(unsafe { Box::from_raw(user_data.cast::<Closure>()) }));
}

thread_local! {
    static PANIC: Cell<Option<Box<dyn Any + Send>>> = const { Cell::new(None) };
}

/// A failed assertion must not unwind through the library: it is kept until the call into the library has returned.
pub fn keep_panic(f: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(f)) {
        PANIC.with(|slot| slot.set(Some(panic)));
    }
}

/// Fails the test if a listener did.
pub fn rethrow() {
    if let Some(panic) = PANIC.with(Cell::take) {
        resume_unwind(panic);
    }
}

/// What happened, in order.
#[derive(Clone, Default)]
pub struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub fn add(&self, what: impl Display) {
        self.0.borrow_mut().push(what.to_string());
    }

    /// What happened since the last `take`.
    pub fn take(&self) -> Vec<String> {
        self.0.take()
    }

    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// All that has happened, and stays.
    pub fn entries(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    pub fn contains(&self, what: &str) -> bool {
        self.count(what) > 0
    }

    pub fn count(&self, what: &str) -> usize {
        self.0.borrow().iter().filter(|entry| *entry == what).count()
    }

    /// A listener that adds `what`.
    pub fn adds(&self, what: impl Display) -> impl Fn(Event) + 'static {
        let (log, what) = (self.clone(), what.to_string());
        move |_| log.add(&what)
    }

    /// Notes the socket's events but outputProgress by their type, ioError with its id.
    pub fn record_socket(&self, socket: Socket) {
        for kind in [SOCKET_DATA, END, CLOSE] {
            on(socket, kind, self.adds(kind.to_str().expect("UTF-8")));
        }
        let log = self.clone();
        on(socket, IO_ERROR, move |event| {
            log.add(format!("ioError {}", event.error_id()));
        });
    }
}

/// The library's messages while it lives: level and text. There is one log for a process.
pub struct Messages(Box<Mutex<Vec<(i32, String)>>>);

impl Messages {
    pub fn record() -> Messages {
        unsafe extern "C-unwind" fn add(level: i32, message: *const c_char, messages: *mut c_void) {
            let messages = unsafe { &*messages.cast::<Mutex<Vec<(i32, String)>>>() };
            messages.lock().expect("no panic").push((level, text(message).expect("a message")));
        }
        let messages = Messages(Box::default());
        ok(unsafe { ss_set_log(Some(add), (&raw const *messages.0).cast_mut().cast()) });
        messages
    }

    /// Those of this level that speak of `what`.
    pub fn about(&self, level: i32, what: &str) -> Vec<String> {
        let messages = self.0.lock().expect("no panic");
        let fitting = messages.iter().filter(|message| message.0 == level && message.1.contains(what));
        fitting.map(|message| message.1.clone()).collect()
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        ok(unsafe { ss_set_log(None, null_mut()) });
    }
}

/// A value that listeners and the test share.
pub fn shared<T: Default>() -> Rc<Cell<T>> {
    Rc::new(Cell::default())
}

pub fn increment(counter: &Cell<usize>) {
    counter.set(counter.get() + 1);
}

/// A value that a test takes to another thread though it is not meant for one; handles are only numbers.
#[derive(Clone, Copy)]
pub struct AnyThread<T>(T);

unsafe impl<T> Send for AnyThread<T> {}
unsafe impl<T> Sync for AnyThread<T> {}

impl<T: Copy> AnyThread<T> {
    pub fn new(value: T) -> Self {
        AnyThread(value)
    }

    pub fn get(&self) -> T {
        self.0
    }
}

/// Posts a closure to the loop; it runs or is dropped there.
#[track_caller]
pub fn post(handle: *mut ss_loop, task: impl FnOnce() + 'static) {
    ok(try_post(handle, task));
}

pub fn try_post(handle: *mut ss_loop, task: impl FnOnce() + 'static) -> ss_status {
    let task: Box<Task> = Box::new(Box::new(task));
    let user_data = Box::into_raw(task);
    let status = unsafe { ss_loop_post(handle, Some(run_task), user_data.cast(), Some(drop_task)) };
    if status != SS_OK {
        drop_task(user_data.cast());
    }
    status
}

type Task = Box<dyn FnOnce()>;

extern "C-unwind" fn run_task(user_data: *mut c_void) {
    keep_panic(|| unsafe { Box::from_raw(user_data.cast::<Task>()) }());
}

extern "C-unwind" fn drop_task(user_data: *mut c_void) {
    keep_panic(|| drop(unsafe { Box::from_raw(user_data.cast::<Task>()) }));
}

// ---- Processes ------------------------------------------------------------------------------------------------------

/// Ends the process if it is still alive at the deadline: for tests that call what waits without end.
pub struct Watchdog(#[allow(dead_code)] mpsc::Sender<()>);

impl Watchdog {
    pub fn new() -> Watchdog {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            if receiver.recv_timeout(2 * DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("a test hangs: its process is ended");
                std::process::abort();
            }
        });
        Watchdog(sender)
    }
}

/// Runs the closure in a process of its own, for tests that change or count what all tests of a process share.
#[macro_export]
macro_rules! in_own_process {
    ($body:expr) => {{
        fn here() {}
        $crate::run_in_own_process(std::any::type_name_of_val(&here), $body)
    }};
}

const CHILD: &str = "SS_TEST_CHILD";

/// `here` is the path of a function inside the test. The child is this test program again, with this test only.
pub fn run_in_own_process(here: &str, body: impl FnOnce()) {
    let (_, path) = here.split_once("::").expect("crate::test::here");
    let (test, _) = path.rsplit_once("::").expect("crate::test::here");
    if std::env::var(CHILD).as_deref() == Ok(test) {
        let _watchdog = Watchdog::new();
        return body();
    }
    let output = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .output()
        .expect("the test program starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{test} in its own process: {}\n{out}\n{err}",
        output.status
    );
    // Not at the start of a line if the test runner has just named the test.
    let lines_of = |mark: &'static str| out.lines().filter_map(move |line| line.split_once(mark));
    lines_of("SKIPPED: ").for_each(|(_, reason)| left_out(reason));
    lines_of(FIGURE).for_each(|(_, what)| figure(what));
}

const FIGURE: &str = "figure: ";

/// Prints what a test has measured; `cargo test ... -- --nocapture` shows it.
pub fn figure(what: impl Display) {
    println!("{FIGURE}{what}");
}

/// Whether a peer is told of a RST: Wine shows it as an ordinary end, Windows itself and everybody else do.
pub fn told_of_resets() -> bool {
    !under_wine()
}

#[cfg(not(windows))]
pub fn under_wine() -> bool {
    false
}

/// Whether this Windows is Wine, which has a function of its own that says so.
#[cfg(windows)]
pub fn under_wine() -> bool {
    use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
    unsafe { GetProcAddress(GetModuleHandleA(c"ntdll.dll".as_ptr().cast()), c"wine_get_version".as_ptr().cast()) }
        .is_some()
}

/// Whether this machine has IPv6, for tests that need it; says so if not.
pub fn has_ipv6() -> bool {
    let found = std::net::TcpListener::bind("[::1]:0").is_ok();
    if !found {
        skipped("this machine has no IPv6");
    }
    found
}

/// The loop waits for `milliseconds`, and does not spend them computing. What interrupts it meanwhile is allowed.
#[cfg(any(target_os = "linux", windows))]
#[track_caller]
pub fn assert_loop_rests(events: &Loop, milliseconds: u64) {
    let (start, before) = (Instant::now(), thread_cpu_time());
    let wanted = Duration::from_millis(milliseconds);
    while let Some(left) = wanted.checked_sub(start.elapsed()) {
        events.turn(left.as_millis() as i32 + 1);
    }
    let spent = thread_cpu_time() - before;
    assert!(spent < wanted / 5, "a busy loop: {spent:?} of {wanted:?}");
}

#[cfg(unix)]
pub use forks::Child;

#[cfg(unix)]
mod forks {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::ptr::null_mut;

    /// A child of a fork, with copies of all descriptors, until it is dropped.
    pub struct Child {
        process: i32,
        go: Option<UnixStream>,
    }

    impl Child {
        pub fn fork() -> Child {
            let (wait, go) = UnixStream::pair().expect("a pair");
            let process = unsafe { libc::fork() };
            assert!(process >= 0, "no fork");
            if process == 0 {
                // Nothing here may allocate.
                unsafe {
                    libc::close(go.as_raw_fd());
                    let mut byte = 0_u8;
                    libc::read(wait.as_raw_fd(), (&raw mut byte).cast(), 1);
                    libc::_exit(0);
                }
            }
            Child { process, go: Some(go) }
        }
    }

    impl Drop for Child {
        fn drop(&mut self) {
            self.go = None;
            assert_eq!(unsafe { libc::waitpid(self.process, null_mut(), 0) }, self.process);
        }
    }
}

#[cfg(windows)]
pub use windows::*;

#[cfg(windows)]
mod windows {
    use super::*;
    use windows_sys::Win32::Foundation::{FILETIME, GetHandleInformation, HANDLE};
    use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
    use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetCurrentThread, GetThreadTimes};

    /// This process' open handles, sockets among them. Asked one by one, since Wine does not know their number.
    pub fn open_descriptors() -> usize {
        const HIGHEST: usize = 1 << 15;
        // With its first socket a thread gets a handle that it keeps.
        drop(std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let is_open = |handle: &usize| unsafe { GetHandleInformation(*handle as HANDLE, &mut 0) } != 0;
        let count = (4..HIGHEST).step_by(4).filter(is_open).count();
        assert_ne!(count, 0);
        count
    }

    /// Bytes of memory that this process occupies.
    pub fn resident_memory() -> usize {
        let mut counters: PROCESS_MEMORY_COUNTERS = unsafe { std::mem::zeroed() };
        let size = size_of_val(&counters) as u32;
        assert_ne!(unsafe { K32GetProcessMemoryInfo(GetCurrentProcess(), &mut counters, size) }, 0);
        counters.WorkingSetSize
    }

    /// The time that this thread has spent computing.
    pub fn thread_cpu_time() -> Duration {
        let [mut created, mut ended, mut kernel, mut user]: [FILETIME; 4] = unsafe { std::mem::zeroed() };
        let thread: HANDLE = unsafe { GetCurrentThread() };
        let done = unsafe { GetThreadTimes(thread, &mut created, &mut ended, &mut kernel, &mut user) };
        assert_ne!(done, 0);
        let ticks = |time: FILETIME| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
        Duration::from_nanos((ticks(kernel) + ticks(user)) * 100)
    }
}

#[cfg(target_os = "linux")]
pub use linux::*;

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use libc::{c_int, c_long, c_ulong};
    use std::os::fd::AsRawFd;

    /// This process' open descriptors.
    pub fn open_descriptors() -> usize {
        let entries = std::fs::read_dir("/proc/self/fd").expect("/proc");
        entries.count() - 1 // the directory itself
    }

    /// Bytes of memory that this process occupies.
    pub fn resident_memory() -> usize {
        let status = std::fs::read_to_string("/proc/self/statm").expect("/proc");
        let pages = status.split(' ').nth(1).expect("the second field");
        pages.parse::<usize>().expect("a number") * 4096
    }

    /// The time that this thread has spent computing.
    pub fn thread_cpu_time() -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        assert_eq!(result, 0);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    /// The soft and the hard limit of open descriptors of this process.
    pub fn descriptor_limits() -> libc::rlimit {
        let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limits) }, 0);
        limits
    }

    pub fn set_descriptor_limit(soft: libc::rlim_t) {
        let limits = libc::rlimit { rlim_cur: soft, ..descriptor_limits() };
        let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limits) };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
    }

    /// Allows this process as many of `wanted` descriptors as the system does: how many.
    pub fn raise_descriptor_limit(wanted: libc::rlim_t) -> libc::rlim_t {
        let limits = descriptor_limits();
        let allowed = wanted.min(limits.rlim_max);
        set_descriptor_limit(allowed.max(limits.rlim_cur));
        allowed
    }

    /// Turns for `milliseconds`: how many hundredths of that time this thread spent computing.
    #[track_caller]
    pub fn percent_busy(events: &Loop, milliseconds: u64) -> f64 {
        let (start, before) = (Instant::now(), thread_cpu_time());
        let wanted = Duration::from_millis(milliseconds);
        while let Some(left) = wanted.checked_sub(start.elapsed()) {
            events.turn(left.as_millis() as i32 + 1);
        }
        (thread_cpu_time() - before).as_secs_f64() / start.elapsed().as_secs_f64() * 100.0
    }

    /// Takes every descriptor that this process may still open; dropping them gives them back.
    pub fn take_all_descriptors() -> Vec<std::os::fd::OwnedFd> {
        let stdin = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned().expect("one more");
        set_descriptor_limit(stdin.as_raw_fd() as libc::rlim_t + 50);
        let mut taken = vec![stdin];
        while let Ok(another) = taken[0].try_clone() {
            taken.push(another);
        }
        taken
    }

    /// This thread goes to a network of its own, as do those that it starts from now on. Loopback is up.
    pub fn enter_own_network() -> Result<(), String> {
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return Err(format!("no network namespace can be made: {}", io::Error::last_os_error()));
        }
        ip("link set lo up")
    }

    /// Runs iproute2's `ip` in this thread's network.
    pub fn ip(arguments: &str) -> Result<(), String> {
        let output = std::process::Command::new("ip").args(arguments.split(' ')).output();
        let output = output.map_err(|error| format!("ip (iproute2): {error}"))?;
        let failed = || format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        output.status.success().then_some(()).ok_or_else(failed)
    }

    /// How many bytes the kernel holds that the library has not taken in.
    #[track_caller]
    pub fn held_by_kernel(object: impl Object) -> usize {
        let (fd, mut held) = (system_socket(object).as_raw_fd(), 0);
        assert_eq!(unsafe { libc::ioctl(fd, libc::FIONREAD, &mut held) }, 0, "{}", io::Error::last_os_error());
        usize::try_from(held).expect("a number of bytes")
    }

    /// A listening socket's accept queue: (connections that wait, the backlog in force).
    pub fn accept_queue(server: &Server) -> (u32, u32) {
        let info = tcp_info(server);
        (info.tcpi_unacked, info.tcpi_sacked) // the meaning of these fields for a listening socket
    }

    pub fn tcp_info(object: impl Object) -> libc::tcp_info {
        let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
        let mut length = size_of_val(&info) as libc::socklen_t;
        let (fd, out) = (system_socket(object).as_raw_fd(), (&raw mut info).cast());
        let result = unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, out, &mut length) };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
        info
    }

    /// Runs `body` in a thread of its own in which the system call `call` goes through `answer`: `Some(errno)` fails it
    /// unexecuted, `None` lets it through. Other threads see nothing of it. No privilege is needed.
    pub fn with_failing_call(
        call: c_long,
        answer: impl FnMut() -> Option<c_int> + Send + 'static,
        body: impl FnOnce() + Send + 'static,
    ) {
        if cfg!(target_arch = "x86") {
            return left_out("on 32-bit x86 the C library makes its calls by socketcall, which tells not which");
        }
        let (to_supervisor, from_filtered) = mpsc::channel();
        // Started before the filter is there, so that it is not under it.
        let supervisor = std::thread::spawn(move || {
            if let Ok(notifications) = from_filtered.recv() {
                supervise(notifications, answer);
            }
        });
        let filtered = std::thread::spawn(move || match notify_of(call) {
            Ok(notifications) => {
                to_supervisor.send(notifications).expect("it waits");
                body();
            }
            Err(e) => skipped(&format!("seccomp notifications cannot be used here: {e}")),
        });
        filtered.join().unwrap_or_else(|panic| resume_unwind(panic));
        supervisor.join().expect("the supervisor ends");
    }

    /// From here on this thread's system calls `call` wait for an answer on the returned descriptor.
    fn notify_of(call: c_long) -> io::Result<std::os::fd::OwnedFd> {
        use std::os::fd::FromRawFd;
        let statement = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
        let mut program = [
            // The call's number is the first word of seccomp_data.
            statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call as u32),
            statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_USER_NOTIF),
            statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        let fd = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER as c_ulong,
                libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
                &raw const program,
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd as c_int) })
    }

    /// Answers until the filtered thread is gone.
    fn supervise(notifications: std::os::fd::OwnedFd, mut answer: impl FnMut() -> Option<c_int>) {
        // _IOWR('!', 0, struct seccomp_notif) and _IOWR('!', 1, struct seccomp_notif_resp), see linux/seccomp.h.
        const RECV: c_ulong = 0xc050_2100;
        const SEND: c_ulong = 0xc018_2101;
        let fd = notifications.as_raw_fd();
        loop {
            let mut ready = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
            unsafe { libc::poll(&mut ready, 1, -1) };
            if ready.revents & libc::POLLIN == 0 {
                return;
            }
            let mut request: libc::seccomp_notif = unsafe { std::mem::zeroed() };
            if unsafe { libc::ioctl(fd, RECV, &mut request) } != 0 {
                continue;
            }
            let errno = answer();
            let mut response = libc::seccomp_notif_resp {
                id: request.id,
                val: 0,
                error: errno.map_or(0, |errno| -errno),
                flags: match errno {
                    None => libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
                    Some(_) => 0,
                },
            };
            unsafe { libc::ioctl(fd, SEND, &mut response) };
        }
    }
}
