// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unix-domain sockets: addresses that are paths.
//!
//! A path is a file that outlives its socket, so that one may be stale: its server is gone. Only such a one is ever replaced,
//! and only what was made here is removed.

use std::ffi::{CStr, OsStr};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::{Credentials, PathInUse};
use crate::sys::{is_under_way, uncancelled};

const ABSTRACT_NAMES: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// A path, or on Linux an abstract name, as the system takes it.
pub(crate) struct Address {
    system: SockAddr,
    /// `None`: an abstract name, which is no file.
    file: Option<PathBuf>,
}

impl Address {
    /// "@name" is an abstract name. Fails with words for people.
    pub(crate) fn new(text: &CStr) -> io::Result<Self> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        // SAFETY: plain bytes, for which zeros will do.
        let most = unsafe { std::mem::zeroed::<libc::sockaddr_un>() }.sun_path.len() - 1;
        let bytes = text.to_bytes();
        let name = bytes.strip_prefix(b"@");
        let length = name.unwrap_or(bytes).len();
        match length {
            0 => return Err(invalid("give a path".into())),
            _ if name.is_some() && !ABSTRACT_NAMES => return Err(io::ErrorKind::Unsupported.into()),
            _ if length > most => {
                return Err(invalid(format!(
                    "the path has {length} bytes, and this system takes {most}: use a shorter one"
                )));
            }
            _ => {}
        }
        let raw = name.map(|name| [b"\0", name].concat());
        let path = Path::new(OsStr::from_bytes(raw.as_deref().unwrap_or(bytes)));
        let file = if name.is_some() { None } else { Some(std::path::absolute(path)?) };
        Ok(Address { system: SockAddr::unix(path)?, file })
    }

    /// What a socket of the host is bound to, as [`new`](Self::new) takes it.
    pub(crate) fn text_of(system: &SockAddr) -> Vec<u8> {
        match (system.as_pathname(), system.as_abstract_namespace()) {
            (Some(path), _) => path.as_os_str().as_bytes().to_vec(),
            (None, Some(name)) => [b"@", name].concat(),
            (None, None) => Vec::new(),
        }
    }
}

/// The file of a bound socket.
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::symlink_metadata(path).ok()?;
        Some(SocketFile { path: path.to_owned(), device: file.dev(), inode: file.ino() })
    }

    /// Removes it, unless another one has taken its place. The socket must still be open: until then nobody else's file can
    /// have its number.
    pub(crate) fn remove(self) {
        let is_ours = |file: fs::Metadata| (file.dev(), file.ino()) == (self.device, self.inode);
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            // What cannot be removed is stale from now on, and replaced by the next server.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds a socket. A file that a former server has left is replaced.
pub(crate) fn bind(socket: &Socket, address: &Address) -> Result<Option<SocketFile>, PathInUse> {
    let Some(path) = &address.file else {
        socket.bind(&address.system).map_err(|error| PathInUse { error, why: "another server has this name" })?;
        return Ok(None);
    };
    match socket.bind(&address.system) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => replace(socket, address, path, error)?,
        outcome => outcome.map_err(|error| PathInUse { error, why: "" })?,
    }
    Ok(SocketFile::of(path))
}

fn replace(socket: &Socket, address: &Address, path: &Path, error: io::Error) -> Result<(), PathInUse> {
    // Two that find the same stale file must not remove each other's new one.
    let folder = path.parent().and_then(|folder| File::open(folder).ok());
    // SAFETY: an open descriptor, and a call that does not wait.
    let locked = |folder: &File| unsafe { libc::flock(folder.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0;
    let is_contested = folder
        .as_ref()
        .is_some_and(|folder| !locked(folder) && io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock);
    let why = if is_contested {
        "another process is making a server in this folder just now; try again"
    } else if !fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
        "what is there is no socket, and is left alone; choose another path"
    } else if is_live(address, path) {
        "another server has this path; choose another one"
    } else {
        let outcome = fs::remove_file(path).and_then(|()| socket.bind(&address.system));
        return outcome.map_err(|error| PathInUse { error, why: "" });
    };
    Err(PathInUse { error, why })
}

/// Whether a socket of a living process has this path. Only one that the system says nobody has is stale.
fn is_live(address: &Address, path: &Path) -> bool {
    if is_known_to_system(path) {
        return true;
    }
    match connect(address) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::ConnectionRefused,
    }
}

/// Linux lists the paths of all bound sockets, also of those that do not listen yet: those by their full paths.
fn is_known_to_system(path: &Path) -> bool {
    let Ok(list) = fs::read("/proc/net/unix") else { return false };
    let ending = [b" ", path.as_os_str().as_bytes()].concat();
    ABSTRACT_NAMES && list.split(|byte| *byte == b'\n').any(|line| line.ends_with(&ending))
}

/// Connects, which does not wait: where the server's queue is full the system says that it would.
pub(crate) fn connect(address: &Address) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match uncancelled(|| socket.connect(&address.system)) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(socket),
    }
}

/// Takes one peer out of the system's queue.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let listener = SockRef::from(listener);
    #[cfg(not(target_vendor = "apple"))]
    match uncancelled(|| listener.accept4(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC)) {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {}
        outcome => return outcome.map(|(socket, _)| TcpStream::from_std(socket.into())),
    }
    let (socket, _) = uncancelled(|| listener.accept_raw())?;
    socket.set_nonblocking(true)?;
    socket.set_cloexec(true)?;
    Ok(TcpStream::from_std(socket.into()))
}

/// Who the peer was when it connected, or made the pair.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn peer_credentials(stream: &TcpStream) -> io::Result<Credentials> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    let socket = stream.as_raw_fd();
    // SAFETY: an open socket, and room for as many bytes as are said to be there.
    let status = unsafe {
        libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut found).cast(), &raw mut length)
    };
    match status {
        0 => Ok(Credentials { user: found.uid, group: found.gid, process: found.pid }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Who the peer was when it connected, or made the pair.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn peer_credentials(stream: &TcpStream) -> io::Result<Credentials> {
    let socket = stream.as_raw_fd();
    let (mut user, mut group) = (0, 0);
    // SAFETY: an open socket, and room for what is written.
    if unsafe { libc::getpeereid(socket, &raw mut user, &raw mut group) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Credentials { user, group, process: peer_process(socket) })
}

#[cfg(target_vendor = "apple")]
fn peer_process(socket: std::os::fd::RawFd) -> i32 {
    let mut process: libc::pid_t = 0;
    let mut length = size_of::<libc::pid_t>() as libc::socklen_t;
    // SAFETY: an open socket, and room for as many bytes as are said to be there.
    let status = unsafe {
        let option = (&raw mut process).cast();
        libc::getsockopt(socket, libc::SOL_LOCAL, libc::LOCAL_PEERPID, option, &raw mut length)
    };
    if status == 0 { process } else { -1 }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn peer_process(_socket: std::os::fd::RawFd) -> i32 {
    -1
}
