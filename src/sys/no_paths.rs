// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unix-domain sockets where there are none: on Windows, whose poller does not take them, and in the made-up network.
#![allow(clippy::unnecessary_wraps, dead_code, reason = "the interface is that of `paths`")]

use std::convert::Infallible;
use std::ffi::CStr;
use std::io;

use mio::net::{TcpListener, TcpStream};
use socket2::{SockAddr, Socket};

use super::{Credentials, PathInUse};

/// There is none.
pub(crate) struct Address(Infallible);

impl Address {
    pub(crate) fn new(_text: &CStr) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn text_of(_system: &SockAddr) -> Vec<u8> {
        Vec::new()
    }
}

/// There is none.
pub(crate) struct SocketFile(Infallible);

impl SocketFile {
    pub(crate) fn remove(self) {
        match self.0 {}
    }
}

pub(crate) fn bind(_socket: &Socket, address: &Address) -> Result<Option<SocketFile>, PathInUse> {
    match address.0 {}
}

pub(crate) fn connect(address: &Address) -> io::Result<Socket> {
    match address.0 {}
}

pub(crate) fn accept(_listener: &TcpListener) -> io::Result<TcpStream> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn peer_credentials(_stream: &TcpStream) -> io::Result<Credentials> {
    Err(io::ErrorKind::Unsupported.into())
}
