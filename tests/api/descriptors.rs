// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections that the host hands over, Unix-domain sockets, and the local end of outbound connections.
#![cfg(unix)]

use crate::listening;
use server_socket::*;
use std::ffi::{CStr, CString};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::ptr::null_mut;
use support::*;

fn new_socket(events: &Loop) -> Kept {
    let socket = ss_socket_new(events.0);
    assert!(!socket.is_null(), "{:?}", last_error());
    Kept(Socket(socket))
}

fn adopt(socket: &Kept, fd: impl IntoRawFd) -> ss_status {
    ss_socket_adopt(socket.0.0, fd.into_raw_fd().into())
}

/// Both ends of a connection by TCP.
fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let peer = client(&listener.local_addr().expect("an address").to_string());
    let (ours, _) = listener.accept().expect("it waits");
    (ours, peer)
}

fn unix_pair() -> (UnixStream, UnixStream) {
    let (ours, peer) = UnixStream::pair().expect("a pair");
    for end in [&ours, &peer] {
        end.set_read_timeout(Some(DEADLINE)).expect("a read timeout");
    }
    (ours, peer)
}

fn flags(fd: i32) -> (bool, bool) {
    let (fd_flags, status) = unsafe { (libc::fcntl(fd, libc::F_GETFD), libc::fcntl(fd, libc::F_GETFL)) };
    (fd_flags & libc::FD_CLOEXEC != 0, status & libc::O_NONBLOCK != 0)
}

// ---- Connections that are handed over -------------------------------------------------------------------------------

#[test]
fn a_connection_is_taken_over_with_all_that_its_peer_has_sent() {
    let events = Loop::new();
    let (ours, mut peer) = tcp_pair();
    let (local, remote) = (ours.local_addr().expect("ours"), peer.local_addr().expect("its"));
    peer.write_all(b"early").expect("it writes");
    let (socket, log) = (new_socket(&events), Log::default());
    log.record_socket(*socket);
    on(*socket, CONNECT, log.adds("connect"));
    set(*socket, SS_OPT_NO_DELAY, 0);
    set(*socket, SS_OPT_KEEP_ALIVE, 60);
    let fd = ours.as_raw_fd();
    unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }; // as an activated process gets it
    ok(adopt(&socket, ours));

    assert!(socket.connected() && log.len() == 0 && socket.available() == 0, "nothing is told inside the call");
    assert_eq!((native_handle(*socket), flags(fd)), (Some(fd.into()), (true, true)));
    assert_eq!(socket.local(), (Some("127.0.0.1".into()), local.port().into()));
    assert_eq!(socket.remote(), (Some("127.0.0.1".into()), remote.port().into()));
    let system = system_socket(*socket);
    let system = socket2::SockRef::from(&system);
    assert!(!system.tcp_nodelay().expect("an option") && system.keepalive().expect("an option"));
    events.pump_until(|| socket.available() == 5);
    assert_eq!(socket.read_all(), b"early");
    ok(socket.write(b"answer"));
    assert_eq!(events.receive(&peer, 6), b"answer");
    peer.shutdown(Shutdown::Write).expect("a FIN");
    events.pump_until(|| log.contains("close"));
    assert_eq!(log.take(), ["socketData", "close"]);
    assert!(!socket.connected());
    // The descriptor is closed: the peer meets our end, too.
    peer.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a deadline");
    assert_eq!(peer.read(&mut [0]).expect("an end"), 0);
}

#[test]
fn both_ends_of_a_pair_talk_without_addresses() {
    let events = Loop::new();
    let (ours, theirs) = unix_pair();
    let (one, other, log) = (new_socket(&events), new_socket(&events), Log::default());
    log.record_socket(*one);
    for (socket, end) in [(&one, ours), (&other, theirs)] {
        // They mean nothing here, and are no error.
        set(**socket, SS_OPT_KEEP_ALIVE, 60);
        ok(adopt(socket, end));
        set(**socket, SS_OPT_NO_DELAY, 0);
        assert_eq!((socket.local(), socket.remote()), ((None, 0), (None, 0)));
    }
    on(*other, SOCKET_DATA, {
        let other = *other;
        move |_| other.echo()
    });
    let sent = pattern(3_000_000);
    ok(one.write(&sent));
    events.pump_until(|| one.available() == sent.len());
    assert_same_bytes(&one.read_all(), &sent);
    ok(other.write(b"last words"));
    ok(other.close());
    events.pump_until(|| log.contains("close"));
    assert_eq!(one.read_all(), b"last words");
    run_out(&events);
}

/// Nothing is left that the loop waits for.
fn run_out(events: &Loop) {
    ok(ss_loop_run(events.0));
}

/// A read stops short where a descriptor was passed, and the poller tells of the bytes once.
#[test]
fn bytes_around_a_passed_descriptor_all_arrive() {
    let events = Loop::new();
    let (ours, peer) = unix_pair();
    let socket = new_socket(&events);
    let passed = std::fs::File::open("/dev/null").expect("a file");
    for _ in 0..3 {
        assert_eq!(send_with_descriptor(&peer, b"one ", passed.as_raw_fd()), 4);
        assert_eq!((&peer).write(b"two ").expect("it writes"), 4);
    }
    ok(adopt(&socket, ours));
    events.pump_until(|| socket.available() == 24);
    assert_eq!(socket.read_all(), b"one two one two one two ");
    // And when it has been read before.
    for _ in 0..2 {
        assert_eq!(send_with_descriptor(&peer, b"a", passed.as_raw_fd()), 1);
    }
    events.pump_until(|| socket.available() == 2);
    assert_loop_rests(&events, 100);
}

fn send_with_descriptor(peer: &UnixStream, bytes: &[u8], fd: i32) -> isize {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut room = [0_u64; 8];
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
    unsafe {
        message.msg_control = room.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(4) as _;
        let control = libc::CMSG_FIRSTHDR(&message);
        ((*control).cmsg_level, (*control).cmsg_type) = (libc::SOL_SOCKET, libc::SCM_RIGHTS);
        (*control).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(control).cast::<i32>().write_unaligned(fd);
        libc::sendmsg(peer.as_raw_fd(), &message, 0)
    }
}

#[test]
fn what_is_no_connection_stays_the_callers_and_is_called_by_its_name() {
    let events = Loop::new();
    let listening: OwnedFd = TcpListener::bind("127.0.0.1:0").expect("a port").into();
    let unconnected: OwnedFd =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket").into();
    let datagrams: OwnedFd = UdpSocket::bind("127.0.0.1:0").expect("a port").into();
    let path = std::env::temp_dir().join(format!("ss-no-connection-{}", std::process::id()));
    let unix: OwnedFd = UnixListener::bind(&path).expect("a path").into();
    std::fs::remove_file(&path).expect("it is there");
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    let [reader, writer] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    let folder: OwnedFd = std::fs::File::open("/").expect("a folder").into();
    let file: OwnedFd = std::fs::File::open(file!()).expect("a file").into();
    let socket = new_socket(&events);
    let offered = [
        (&listening, "is a listening socket"),
        (&unix, "is a listening socket"),
        (&unconnected, "is not connected"),
        (&datagrams, "is a datagram socket"),
        (&reader, "is a pipe"),
        (&writer, "is a pipe"),
        (&folder, "is a directory"),
        (&file, "is a file"),
    ];
    for (fd, what) in offered {
        let before = flags(fd.as_raw_fd());
        fails(ss_socket_adopt(socket.0.0, fd.as_raw_fd().into()), SS_ERR_ARGUMENT, 2004);
        assert!(last_detail().contains(what), "{what}: {}", last_detail());
        assert!(!socket.connected() && flags(fd.as_raw_fd()) == before, "{what}");
    }
    for number in [-1, i64::MAX, i64::MIN, 1_000_000] {
        fails_with(ss_socket_adopt(socket.0.0, number), SS_ERR_IO, 2002, libc::EBADF);
    }
    // The socket is none the worse.
    let (ours, _peer) = unix_pair();
    ok(adopt(&socket, ours));
}

#[test]
fn a_connection_belongs_to_one_socket_and_a_socket_has_one_connection() {
    let pair = Pair::new();
    let fd = native_handle(*pair.socket).expect("a descriptor");
    let listening = native_handle(&pair.server).expect("a descriptor");
    let socket = new_socket(&pair.events);
    for held in [fd, listening] {
        fails(ss_socket_adopt(socket.0.0, held), SS_ERR_ARGUMENT, 2004);
        assert!(last_detail().contains("already"), "{}", last_detail());
    }
    let (ours, mut peer) = unix_pair();
    let ours: OwnedFd = ours.into();
    fails(ss_socket_adopt(pair.socket.0.0, ours.as_raw_fd().into()), SS_ERR_IO, 2002);
    assert!(pair.socket.connected());
    ok(unsafe { ss_socket_connect(socket.0.0, c"127.0.0.1".as_ptr(), pair.server.port().into()) });
    fails(ss_socket_adopt(socket.0.0, ours.as_raw_fd().into()), SS_ERR_IO, 2002);
    ok(socket.close());
    ok(adopt(&socket, ours));
    peer.write_all(b"mine").expect("it writes");
    pair.events.pump_until(|| socket.available() == 4);
    // And it can be connected elsewhere later, as any.
    ok(unsafe { ss_socket_connect(socket.0.0, c"127.0.0.1".as_ptr(), pair.server.port().into()) });
    pair.events.pump_until(|| socket.connected());
    assert_eq!((socket.available(), socket.remote().1), (0, pair.server.port().into()));
    assert_eq!(peer.read(&mut [0; 1]).map_err(|error| error.kind()).unwrap_or(0), 0, "its former peer sees the end");
}

#[test]
fn a_connection_can_be_taken_over_in_a_listener_and_by_a_socket_whose_own_has_ended() {
    let pair = Pair::new();
    let (ours, peer) = unix_pair();
    let ours = std::cell::RefCell::new(Some(ours));
    let socket = *pair.socket;
    on(socket, CLOSE, move |_| {
        if let Some(ours) = ours.take() {
            ok(ss_socket_adopt(socket.0, ours.into_raw_fd().into()));
        }
    });
    pair.send_fin();
    pair.events.pump_until(|| socket.connected() && pair.log.contains("close"));
    (&peer).write_all(b"second life").expect("it writes");
    pair.events.pump_until(|| socket.available() == 11);
    drop(peer);
    pair.events.pump_until(|| pair.log.count("close") == 2);
    assert_eq!(socket.read_all(), b"second life");
}

// ---- Unix-domain sockets --------------------------------------------------------------------------------------------

/// A folder of the test's own.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ss-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a folder");
        Folder(path)
    }

    fn at(&self, name: &str) -> CString {
        CString::new(self.0.join(name).into_os_string().into_vec()).expect("no NUL")
    }

    fn is_there(&self, name: &str) -> bool {
        self.0.join(name).symlink_metadata().is_ok()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn bind_path(server: &Server, path: &CStr) -> ss_status {
    unsafe { ss_bind_path(server.0, path.as_ptr()) }
}

fn connect_path(socket: &Kept, path: &CStr) -> ss_status {
    unsafe { ss_socket_connect_path(socket.0.0, path.as_ptr()) }
}

#[track_caller]
fn serve(events: &Loop, path: &CStr) -> (Server, Accepted) {
    let server = Server::new(events);
    ok(bind_path(&server, path));
    ok(server.listen(0));
    let accepted = server.keep_accepted();
    on(&server, CONNECT, |event| {
        let socket = event.socket();
        on(socket, SOCKET_DATA, move |_| socket.echo());
    });
    (server, accepted)
}

/// Connects, and gets an echo.
#[track_caller]
fn converse(events: &Loop, path: &CStr) -> Kept {
    let socket = new_socket(events);
    ok(connect_path(&socket, path));
    assert!(!socket.connected(), "nothing is told inside the call");
    events.pump_until(|| socket.connected());
    ok(socket.write(b"ping"));
    events.pump_until(|| socket.available() == 4);
    assert_eq!(socket.read_all(), b"ping");
    socket
}

#[test]
fn a_server_at_a_path_serves_as_one_at_a_port() {
    let (events, folder) = (Loop::new(), Folder::new("serves"));
    let path = folder.at("server");
    let server = Server::new(&events);
    // What concerns ports only is no hindrance.
    for option in [SS_OPT_REUSE_PORT, SS_OPT_DUAL_STACK, SS_OPT_NO_DELAY] {
        set(&server, option, 1);
    }
    set(&server, SS_OPT_KEEP_ALIVE, 60);
    fails(server.listen(0), SS_ERR_IO, 2002);
    ok(bind_path(&server, &path));
    let bound = ServerState { bound: true, listening: false, address: text(path.as_ptr()), port: 0 };
    assert_eq!(server.state(), bound);
    fails(bind_path(&server, &path), SS_ERR_IO, 2002);
    fails(server.bind(0, c"127.0.0.1"), SS_ERR_IO, 2002);
    ok(server.listen(0));
    ok(server.listen(5));
    set(&server, SS_OPT_NO_DELAY, 0);
    let accepted = server.keep_accepted();
    let log = Log::default();
    on(&server, CONNECT, {
        let log = log.clone();
        move |event| log.record_socket(event.socket())
    });
    let mut peer = UnixStream::connect(folder.0.join("server")).expect("it listens");
    events.pump_until(|| accepted.len() == 1);
    let socket = accepted.get(0);
    assert!(socket.connected());
    assert_eq!((socket.local(), socket.remote()), ((None, 0), (None, 0)));
    let mut writer = peer.try_clone().expect("another handle");
    let writing = std::thread::spawn(move || writer.write_all(&pattern(300_000)).expect("it writes"));
    events.pump_until(|| socket.available() == 300_000);
    events.join(writing);
    assert_same_bytes(&socket.read_all(), &pattern(300_000));
    ok(socket.write(b"answer"));
    events.turn(0);
    peer.read_exact(&mut [0; 6]).expect("an answer");
    drop(peer);
    events.pump_until(|| log.contains("close"));
    assert_eq!(server.figures().bytes_in, 300_000);
    ok(server.close());
    assert!(!folder.is_there("server"), "the file goes with the server");
    assert_eq!(server.state(), unbound());
    fails(bind_path(&server, &path), SS_ERR_IO, 2002);
    run_out(&events);
}

#[test]
fn a_socket_connects_to_a_path_and_is_told_why_not() {
    let (events, folder) = (Loop::new(), Folder::new("connects"));
    let path = folder.at("server");
    let (server, accepted) = serve(&events, &path);
    let socket = converse(&events, &path);
    assert_eq!((socket.local(), socket.remote()), ((None, 0), (None, 0)));
    accepted.clear();
    let log = Log::default();
    log.record_socket(*socket);
    events.pump_until(|| log.contains("close"));
    // Once more with the same, and then to where nobody is.
    ok(connect_path(&socket, &path));
    events.pump_until(|| socket.connected());
    let failures = Log::default();
    on(*socket, IO_ERROR, {
        let failures = failures.clone();
        move |event| failures.add(event.os_error())
    });
    std::fs::write(folder.0.join("file"), "").expect("a file");
    let gone = folder.at("gone");
    drop(UnixListener::bind(folder.0.join("gone")).expect("a path"));
    for (path, errno) in [
        (folder.at("nothing"), libc::ENOENT),
        (folder.at("file"), libc::ECONNREFUSED),
        (gone, libc::ECONNREFUSED),
        (folder.at("no/folder"), libc::ENOENT),
    ] {
        ok(connect_path(&socket, &path));
        assert_eq!(failures.len(), 0, "nothing is told inside the call");
        events.pump_until(|| failures.len() == 1);
        assert_eq!(failures.take(), [errno.to_string()], "{path:?}");
    }
    drop((server, accepted));
    run_out(&events);
}

/// Without the system telling when there is room.
#[test]
fn a_full_queue_is_waited_for_until_the_timeout() {
    let (events, folder) = (Loop::new(), Folder::new("queue"));
    let path = folder.at("server");
    let system = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("a socket");
    system.bind(&socket2::SockAddr::unix(folder.0.join("server")).expect("short")).expect("a path");
    system.listen(0).expect("it listens");
    let _first = UnixStream::connect(folder.0.join("server")).expect("the queue has one place");
    let (patient, hasty, log) = (new_socket(&events), new_socket(&events), Log::default());
    for (socket, name) in [(&patient, "patient"), (&hasty, "hasty")] {
        on(**socket, CONNECT, log.adds(format!("{name} connect")));
        let log = log.clone();
        on(**socket, IO_ERROR, move |event| log.add(format!("{name} {}", event.os_error())));
        ok(connect_path(socket, &path));
    }
    ok(ss_socket_set_timeout(hasty.0.0, 100));
    events.rest_until(|| log.len() > 0);
    assert_eq!(log.take(), [format!("hasty {}", libc::ETIMEDOUT)]);
    let _accepted = system.accept().expect("the first");
    events.rest_until(|| log.len() > 0);
    assert_eq!(log.take(), ["patient connect"]);
}

#[test]
fn a_path_that_is_none_is_refused_in_words() {
    let events = Loop::new();
    let (server, socket) = (Server::new(&events), new_socket(&events));
    for long in [c"/tmp/".to_owned(), c"@".to_owned()] {
        let long = [long.to_bytes(), &[b'x'; 108]].concat();
        let long = CString::new(long).expect("no NUL");
        for refused in [bind_path(&server, &long), connect_path(&socket, &long)] {
            fails(refused, SS_ERR_ARGUMENT, 2004);
            assert!(last_detail().contains("bytes"), "{}", last_detail());
        }
    }
    for empty in [c"", c"@"] {
        fails(bind_path(&server, empty), SS_ERR_ARGUMENT, 2004);
        fails(connect_path(&socket, empty), SS_ERR_ARGUMENT, 2004);
    }
    assert_eq!(unsafe { ss_bind_path(server.0, std::ptr::null()) }, SS_ERR_TYPE);
    assert_eq!(unsafe { ss_socket_connect_path(socket.0.0, std::ptr::null()) }, SS_ERR_TYPE);
    fails_with(bind_path(&server, c"/no/such/folder/server"), SS_ERR_IO, 2002, libc::ENOENT);
    assert!(last_detail().starts_with("bind /no/such/folder/server: "), "{}", last_detail());
    // The longest there is.
    let folder = Folder::new("longest");
    let length = 107 - folder.0.as_os_str().len() - 1;
    let longest = "x".repeat(length);
    if cfg!(target_os = "linux") {
        ok(bind_path(&server, &folder.at(&longest)));
        ok(server.listen(0));
        assert!(UnixStream::connect(folder.0.join(&longest)).is_ok());
    }
}

#[test]
fn a_stale_file_is_replaced_and_nothing_else_ever_is() {
    let (events, folder) = (Loop::new(), Folder::new("stale"));
    drop(UnixListener::bind(folder.0.join("stale")).expect("a path"));
    assert!(folder.is_there("stale"));
    let (server, _) = serve(&events, &folder.at("stale"));
    drop(converse(&events, &folder.at("stale")));

    // A living one: that listens, that has a full queue, that does not listen yet; the library's own, too.
    let _listens = UnixListener::bind(folder.0.join("listens")).expect("a path");
    let bound = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("a socket");
    bound.bind(&socket2::SockAddr::unix(folder.0.join("bound")).expect("short")).expect("a path");
    let datagrams = std::os::unix::net::UnixDatagram::bind(folder.0.join("datagrams")).expect("a path");
    std::fs::write(folder.0.join("file"), "precious").expect("a file");
    std::fs::create_dir(folder.0.join("folder")).expect("a folder");
    std::os::unix::fs::symlink(folder.0.join("nowhere"), folder.0.join("link")).expect("a link");
    for name in ["stale", "listens", "bound", "datagrams", "file", "folder", "link"] {
        if name == "bound" && !cfg!(target_os = "linux") {
            continue; // no other system lists them
        }
        let other = Server::new(&events);
        fails_with(bind_path(&other, &folder.at(name)), SS_ERR_IO, 2002, libc::EADDRINUSE);
        let what = if ["file", "folder", "link"].contains(&name) { "is no socket" } else { "another server" };
        assert!(last_detail().contains(what), "{name}: {}", last_detail());
        assert!(folder.is_there(name) && !other.state().bound, "{name}");
        ok(bind_path(&other, &folder.at("another")));
        ok(other.close());
    }
    assert_eq!(std::fs::read(folder.0.join("file")).expect("it is there"), b"precious");
    drop(datagrams);
    drop(converse(&events, &folder.at("stale")));
    drop(server);
    assert!(!folder.is_there("stale"));
}

#[test]
fn only_the_servers_own_file_goes_with_it() {
    let (events, folder) = (Loop::new(), Folder::new("own"));
    // Somebody has put another one in its place.
    let (server, _) = serve(&events, &folder.at("server"));
    std::fs::remove_file(folder.0.join("server")).expect("it is there");
    let _other = UnixListener::bind(folder.0.join("server")).expect("a path");
    ok(server.close());
    assert!(folder.is_there("server"));
    // It was moved: nothing is at its path.
    let (server, _) = serve(&events, &folder.at("moves"));
    std::fs::rename(folder.0.join("moves"), folder.0.join("moved")).expect("it is there");
    drop(server);
    assert!(folder.is_there("moved"));
    // One that was adopted belongs to whoever made it.
    let listener = UnixListener::bind(folder.0.join("adopted")).expect("a path");
    let server = Server::new(&events);
    ok(ss_adopt(server.0, listener.into_raw_fd().into(), true));
    assert_eq!(server.state().address, text(folder.at("adopted").as_ptr()));
    let accepted = server.keep_accepted();
    let _peer = UnixStream::connect(folder.0.join("adopted")).expect("it listens");
    events.pump_until(|| accepted.len() == 1);
    drop(server);
    assert!(folder.is_there("adopted"));
    // So does one that the host has asked for, to hand it on.
    let (server, _) = serve(&events, &folder.at("handed"));
    assert!(native_handle(&server).is_some());
    drop(server);
    assert!(folder.is_there("handed"));
    // Who asked when there was none has got none.
    let server = Server::new(&events);
    assert_eq!(native_handle(&server), None);
    ok(unsafe { ss_bind_path(server.0, folder.at("asked").as_ptr()) });
    drop(server);
    assert!(!folder.is_there("asked"));
}

#[test]
fn the_file_goes_with_the_loop_and_wherever_the_process_has_gone() {
    in_own_process!(|| {
        let folder = Folder::new("loop");
        std::env::set_current_dir(&folder.0).expect("it is there");
        let events = Loop::new();
        let (server, _) = serve(&events, c"relative");
        assert!(folder.is_there("relative"));
        std::env::set_current_dir("/").expect("as daemon() does");
        std::mem::forget(server);
        drop(events);
        assert!(!folder.is_there("relative"));
    });
}

#[test]
fn a_forked_child_removes_no_file_and_a_closed_server_refuses_beside_it() {
    in_own_process!(|| {
        let (events, folder) = (Loop::new(), Folder::new("fork"));
        let (server, _) = serve(&events, &folder.at("server"));
        let mut ends = [0; 2];
        assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
        let [go, end] = ends.map(|end| unsafe { std::fs::File::from_raw_fd(end) });
        let child = unsafe { libc::fork() };
        if child == 0 {
            drop(end);
            // None of these may touch what is the parent's.
            either_way(ss_close(server.0));
            either_way(ss_release(server.0.cast()));
            either_way(ss_release(events.0.cast()));
            let _ = (&go).read(&mut [0]);
            unsafe { libc::_exit(0) };
        }
        drop(go);
        drop(converse(&events, &folder.at("server")));
        let path = folder.0.join("server");
        std::fs::hard_link(&path, folder.0.join("also")).expect("another name of it");
        ok(server.close());
        assert!(!folder.is_there("server"));
        let refused = UnixStream::connect(folder.0.join("also")).expect_err("nobody listens");
        assert_eq!(refused.raw_os_error(), Some(libc::ECONNREFUSED));
        drop(end);
        unsafe { libc::waitpid(child, null_mut(), 0) };
    });
}

#[test]
#[cfg(target_os = "linux")]
fn an_abstract_name_is_no_file_and_is_free_when_its_server_is_closed() {
    let events = Loop::new();
    let name = CString::new(format!("@server-socket/{}", std::process::id())).expect("no NUL");
    let (server, _accepted) = serve(&events, &name);
    assert_eq!(server.state().address, text(name.as_ptr()));
    drop(converse(&events, &name));
    let other = Server::new(&events);
    fails_with(bind_path(&other, &name), SS_ERR_IO, 2002, libc::EADDRINUSE);
    ok(server.close());
    ok(bind_path(&other, &name));
}

#[test]
fn a_unix_domain_peer_is_known_by_the_system() {
    let (events, folder) = (Loop::new(), Folder::new("peer"));
    let (_server, accepted) = serve(&events, &folder.at("server"));
    let socket = converse(&events, &folder.at("server"));
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    for end in [*socket, accepted.get(0)] {
        let (mut uid, mut gid, mut pid) = (77, 77, 77);
        ok(unsafe { ss_socket_peer_credentials(end.0, &mut uid, &mut gid, &mut pid) });
        assert_eq!((uid, gid), (user, group));
        assert!(pid == std::process::id() as i32 || (pid == -1 && cfg!(not(target_os = "linux"))));
        ok(unsafe { ss_socket_peer_credentials(end.0, null_mut(), null_mut(), null_mut()) });
    }
    let (mut uid, mut gid, mut pid) = (77, 77, 77);
    let pair = Pair::new();
    let of_tcp = unsafe { ss_socket_peer_credentials(pair.socket.0.0, &mut uid, &mut gid, &mut pid) };
    assert_eq!(of_tcp, SS_ERR_UNSUPPORTED);
    ok(socket.close());
    fails(unsafe { ss_socket_peer_credentials(socket.0.0, &mut uid, &mut gid, &mut pid) }, SS_ERR_IO, 2002);
    assert_eq!((uid, gid, pid), (77, 77, 77));
}

/// The path that the server tells is the library's own text.
#[test]
fn the_librarys_own_text_can_be_a_path() {
    let (events, folder) = (Loop::new(), Folder::new("text"));
    let (server, accepted) = serve(&events, &folder.at("server"));
    let socket = new_socket(&events);
    ok(unsafe { ss_socket_connect_path(socket.0.0, ss_local_address(server.0)) });
    events.pump_until(|| socket.connected() && accepted.len() == 1);
    let other = Server::new(&events);
    let in_use = unsafe { ss_bind_path(other.0, ss_local_address(server.0)) };
    fails_with(in_use, SS_ERR_IO, 2002, libc::EADDRINUSE);
}

// ---- The local end --------------------------------------------------------------------------------------------------

fn bind_socket(socket: &Kept, port: i32, address: &CStr) -> ss_status {
    unsafe { ss_socket_bind(socket.0.0, port, address.as_ptr()) }
}

fn connect(socket: &Kept, host: &CStr, port: u16) -> ss_status {
    unsafe { ss_socket_connect(socket.0.0, host.as_ptr(), port.into()) }
}

#[test]
fn a_connection_comes_from_the_local_end_that_was_chosen() {
    let events = Loop::new();
    // Two, since the same two ends cannot be connected again while the last connection of theirs lingers.
    let servers = [Server::listening(&events), Server::listening(&events)];
    let accepted = servers.each_ref().map(Server::keep_accepted);
    let port = i32::from(free_port());
    let socket = new_socket(&events);
    let ends = [(0, c"127.0.0.2", 0), (port, c"127.0.0.3", 0), (port, c"127.0.0.3", 1), (0, c"", 0)];
    for (local_port, address, server) in ends {
        let before = socket.local();
        ok(bind_socket(&socket, local_port, address));
        assert!(socket.local() == before && !socket.connected(), "it only is a choice");
        ok(connect(&socket, c"127.0.0.1", servers[server].port()));
        events.pump_until(|| socket.connected() && accepted[server].len() == 1);
        let (there, port_there) = accepted[server].get(0).remote();
        let wanted = if address.is_empty() { c"127.0.0.1" } else { address };
        assert_eq!(there, text(wanted.as_ptr()));
        assert!(port_there != 0 && (local_port == 0 || port_there == local_port));
        assert_eq!(socket.local(), (there, port_there));
        fails(bind_socket(&socket, 0, c"127.0.0.1"), SS_ERR_IO, 2002);
        // It ends here, so that the port lingers.
        ok(socket.close());
        accepted[server].clear();
        events.settle();
    }
    // What was chosen holds for names, too.
    ok(bind_socket(&socket, 0, c"127.0.0.9"));
    ok(connect(&socket, c"localhost", servers[0].port()));
    events.pump_until(|| socket.connected() && accepted[0].len() == 1);
    assert_eq!(accepted[0].get(0).remote().0.as_deref(), Some("127.0.0.9"));
}

#[test]
fn a_local_end_that_is_none_is_refused_at_once() {
    let (events, server) = listening();
    let socket = new_socket(&events);
    for port in [-1, 65_536] {
        fails(bind_socket(&socket, port, c"127.0.0.1"), SS_ERR_RANGE, 2003);
    }
    for address in [c"localhost", c"1.2.3", c"[::1]", c"\xff"] {
        fails(bind_socket(&socket, 0, address), SS_ERR_ARGUMENT, 2004);
    }
    fails_with(bind_socket(&socket, 0, c"192.0.2.1"), SS_ERR_IO, 2002, libc::EADDRNOTAVAIL);
    fails_with(bind_socket(&socket, server.port().into(), c"127.0.0.1"), SS_ERR_IO, 2002, libc::EADDRINUSE);
    assert!(last_detail().starts_with("bind 127.0.0.1:"), "{}", last_detail());
    ok(connect(&socket, c"127.0.0.1", server.port()));
    fails(bind_socket(&socket, 0, c"127.0.0.1"), SS_ERR_IO, 2002);
    // None of it has been kept.
    events.pump_until(|| socket.connected());
}

#[test]
fn a_host_of_the_other_family_is_refused_in_words() {
    let (events, server) = listening();
    let (socket, log) = (new_socket(&events), Log::default());
    on(*socket, IO_ERROR, {
        let log = log.clone();
        move |event| log.add(event.os_error())
    });
    ok(unsafe { ss_socket_bind(socket.0.0, 0, std::ptr::null()) });
    fails(connect(&socket, c"::1", server.port()), SS_ERR_ARGUMENT, 2004);
    assert!(last_detail().contains("family"), "{}", last_detail());
    if bind_socket(&socket, 0, c"::1") != SS_OK {
        return left_out("no IPv6 here");
    }
    fails(connect(&socket, c"127.0.0.1", server.port()), SS_ERR_ARGUMENT, 2004);
    assert!(log.len() == 0 && !socket.connected());
}

/// Options, pauses and all else that is set before connecting.
#[test]
fn options_that_were_set_before_connecting_hold_afterwards() {
    let (events, folder) = (Loop::new(), Folder::new("options"));
    let server = Server::listening(&events);
    let path = folder.at("server");
    let (_at_path, _accepted) = serve(&events, &path);
    let values = [
        (SS_OPT_NO_DELAY, 0),
        (SS_OPT_READ_LIMIT, 12_345),
        (SS_OPT_WRITE_LIMIT, 23_456),
        (SS_OPT_LINGER, 34_567),
        (SS_OPT_IDLE_TIMEOUT, 45_678),
        (SS_OPT_IDLE_BYTES, 56),
        (SS_OPT_KEEP_ALIVE, 67),
    ];
    let _kept = server.keep_accepted();
    for bound in [false, true] {
        let socket = new_socket(&events);
        for (name, value) in values {
            set(*socket, name, value);
        }
        if bound {
            ok(bind_socket(&socket, 0, c"127.0.0.1"));
        }
        ok(connect(&socket, c"127.0.0.1", server.port()));
        events.pump_until(|| socket.connected());
        assert_eq!(values.map(|(name, _)| (name, option(*socket, name))), values);
        let system = system_socket(*socket);
        let system = socket2::SockRef::from(&system);
        assert!(!system.tcp_nodelay().expect("an option") && system.keepalive().expect("an option"));
        assert_eq!(system.tcp_keepalive_time().expect("an option").as_secs(), 67);
        ok(connect_path(&socket, &path));
        events.pump_until(|| socket.connected());
        assert_eq!(values.map(|(name, _)| (name, option(*socket, name))), values);
    }
}
