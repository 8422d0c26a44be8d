// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system's side of connections: streams and listening sockets of TCP and of the Unix domain.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use socket2::SockRef;

use crate::common;

/// The other end of a connection.
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub fn is_unix(&self) -> bool {
        matches!(self, Stream::Unix(_))
    }

    /// Its own port; 0 in the Unix domain.
    pub fn port(&self) -> u16 {
        match self {
            Stream::Tcp(stream) => stream.local_addr().expect("it is connected").port(),
            Stream::Unix(_) => 0,
        }
    }

    pub fn set_nonblocking(&self) {
        match self {
            Stream::Tcp(stream) => stream.set_nonblocking(true),
            Stream::Unix(stream) => stream.set_nonblocking(true),
        }
        .expect("an option");
    }

    pub fn end(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Ends the connection with RST, if it knows such a thing. Returns whether it does.
    pub fn tear(&self) -> bool {
        match self {
            Stream::Tcp(stream) => common::tear(stream),
            Stream::Unix(_) => return false,
        }
        true
    }

    pub fn is_torn(&self) -> bool {
        match self {
            Stream::Tcp(stream) => common::is_reset(stream),
            Stream::Unix(_) => false,
        }
    }

    /// Whether all that was sent before the end is at the other end.
    pub fn has_arrived(&self) -> bool {
        match self {
            Stream::Tcp(stream) => common::has_arrived(stream),
            Stream::Unix(_) => true,
        }
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => (&*stream).read(buffer),
            Stream::Unix(stream) => (&*stream).read(buffer),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => (&*stream).write(bytes),
            // A plain write would raise SIGPIPE.
            Stream::Unix(stream) => SockRef::from(stream).send_with_flags(bytes, libc::MSG_NOSIGNAL),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where an attempt to connect leads.
pub enum Target {
    Tcp(TcpListener),
    Unix(UnixListener),
    /// Nobody is there, and the system says so by this number.
    Nobody(i32),
}

impl Target {
    /// The connection that has come, with the ports of its two ends as the connecting socket has them.
    pub fn accept(&self) -> (Stream, Option<(i32, i32)>) {
        match self {
            Target::Tcp(listener) => {
                let (stream, _) = listener.accept().expect("it is connected");
                let port = listener.local_addr().expect("it is bound").port();
                common::reset(&stream);
                let ends = (common::peer_port(&stream).into(), port.into());
                (Stream::Tcp(stream), Some(ends))
            }
            Target::Unix(listener) => (Stream::Unix(listener.accept().expect("it is connected").0), None),
            Target::Nobody(_) => unreachable!("nobody is there"),
        }
    }
}

/// A name that nobody has: that of an abstract Unix-domain address.
pub fn name() -> String {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    format!("server_socket-fuzz-{}-{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed))
}

fn address(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(name).expect("it is short")
}

pub fn listener_at(name: &str) -> UnixListener {
    UnixListener::bind_addr(&address(name)).expect("nobody has the name")
}

/// A client that comes to a path as ss_bind_path takes it.
pub fn connect_to(path: &str) -> UnixStream {
    match path.strip_prefix('@') {
        Some(name) => UnixStream::connect_addr(&address(name)),
        None => UnixStream::connect(path),
    }
    .expect("it listens")
}

/// The files of servers lie here.
pub fn folder() -> &'static std::path::Path {
    use std::sync::OnceLock;
    static FOLDER: OnceLock<std::path::PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(name());
        std::fs::create_dir(&folder).expect("a folder");
        folder
    })
}

/// How many files there are.
pub fn files() -> usize {
    std::fs::read_dir(folder()).expect("it is there").count()
}
