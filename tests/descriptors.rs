//! Connections that the host hands over, Unix-domain sockets, and the local end of outbound connections.
#![cfg(unix)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "all of it is C's side of the interface, with the test's own pointers"
)]

mod support;

use server_socket::*;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
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
    assert!(!socket.connected() && unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1);
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
