// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be set on a socket, and on a server for the sockets it will accept.

use std::ops::RangeInclusive;

use crate::error::{Failure, Result};

/// The settings of one connection; a server's are what its sockets start with.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub no_delay: bool,
    /// Unread bytes at which reading pauses until some are read.
    pub read_limit: usize,
    /// Unsent bytes beyond which a write is refused.
    pub write_limit: usize,
    /// Milliseconds for which a closed socket may go on sending.
    pub linger: u32,
    /// Milliseconds without a byte either way after which the connection is given up; 0 = never.
    pub idle_timeout: u32,
    /// How many bytes have to go either way in that time.
    pub idle_bytes: u32,
    /// Seconds of silence after which the system probes the peer; 0 = never.
    pub keep_alive: u32,
    /// Milliseconds without a byte from the peer after which the connection is given up; 0 = never.
    pub read_timeout: u32,
    /// The peer's end is not yet the connection's.
    pub half_open: bool,
    /// The oldest version of TLS that is spoken: 12 or 13.
    pub tls_min_version: u8,
    /// Whether a client is asked for a certificate: 0 no, 1 it may have one, 2 it must.
    pub client_certificate: u8,
    /// Milliseconds that a handshake may take; 0 = any.
    pub handshake_timeout: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            no_delay: true,
            read_limit: 16 * 1024 * 1024,
            write_limit: 64 * 1024 * 1024,
            linger: 30_000,
            idle_timeout: 0,
            idle_bytes: 1,
            keep_alive: 0,
            read_timeout: 0,
            half_open: false,
            tls_min_version: 12,
            client_certificate: 0,
            handshake_timeout: 10_000,
        }
    }
}

/// The settings of a server that its sockets do not inherit.
#[derive(Clone, Copy)]
pub(crate) struct ServerOptions {
    /// "::" takes IPv4, too.
    pub dual_stack: bool,
    /// Several sockets share the port.
    pub reuse_port: bool,
    /// How many of its connections may be open; 0 = any number.
    pub max_connections: u32,
    /// How much all its closed connections may have unsent.
    pub linger_bytes: u64,
    /// How much all its connections may have unread.
    pub unread_limit: u64,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            dual_stack: false,
            reuse_port: false,
            max_connections: 0,
            linger_bytes: 256 * 1024 * 1024,
            unread_limit: 256 * 1024 * 1024,
        }
    }
}

/// The options by their numbers at the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    NoDelay,
    DualStack,
    ReusePort,
    MaxConnections,
    ReadLimit,
    WriteLimit,
    Linger,
    IdleTimeout,
    KeepAlive,
    IdleBytes,
    HalfOpen,
    ReadTimeout,
    TlsMinVersion,
    LingerBytes,
    UnreadLimit,
    ClientCertificate,
    HandshakeTimeout,
}

impl Name {
    pub(crate) fn from_number(number: i32) -> Result<Name> {
        Ok(match number {
            1 => Name::NoDelay,
            2 => Name::DualStack,
            3 => Name::ReusePort,
            4 => Name::MaxConnections,
            5 => Name::ReadLimit,
            6 => Name::WriteLimit,
            7 => Name::Linger,
            8 => Name::IdleTimeout,
            9 => Name::KeepAlive,
            10 => Name::IdleBytes,
            11 => Name::HalfOpen,
            12 => Name::ReadTimeout,
            13 => Name::TlsMinVersion,
            14 => Name::LingerBytes,
            15 => Name::UnreadLimit,
            16 => Name::ClientCertificate,
            17 => Name::HandshakeTimeout,
            _ => return Err(Failure::not_accepted("option").because(format!("there is no option {number}"))),
        })
    }

    /// Whether only servers have it, and only before they are bound.
    pub(crate) fn is_for_bind(self) -> bool {
        matches!(self, Name::DualStack | Name::ReusePort)
    }
}

impl Options {
    /// Whether any of the settings asks for a clock.
    #[inline]
    pub(crate) fn needs_clock(&self) -> bool {
        self.idle_timeout | self.keep_alive | self.read_timeout != 0
    }

    /// Sets one of the settings of a connection. `None`: it is not one.
    pub(crate) fn set(&mut self, name: Name, value: i64) -> Option<Result<()>> {
        let outcome = match name {
            Name::NoDelay => flag(value).map(|value| self.no_delay = value),
            Name::ReadLimit => size(value).map(|value| self.read_limit = value),
            Name::WriteLimit => size(value).map(|value| self.write_limit = value),
            Name::Linger => number(value).map(|value| self.linger = value),
            Name::IdleTimeout => number(value).map(|value| self.idle_timeout = value),
            Name::KeepAlive => seconds(value).map(|value| self.keep_alive = value),
            Name::IdleBytes => count(value).map(|value| self.idle_bytes = value),
            Name::HalfOpen => flag(value).map(|value| self.half_open = value),
            Name::ReadTimeout => number(value).map(|value| self.read_timeout = value),
            Name::TlsMinVersion => small(value, 12..=13, "12 or 13").map(|value| self.tls_min_version = value),
            Name::ClientCertificate => small(value, 0..=2, "0, 1 or 2").map(|value| self.client_certificate = value),
            Name::HandshakeTimeout => number(value).map(|value| self.handshake_timeout = value),
            Name::DualStack | Name::ReusePort | Name::MaxConnections | Name::LingerBytes | Name::UnreadLimit => {
                return None;
            }
        };
        Some(outcome)
    }

    pub(crate) fn get(&self, name: Name) -> Option<i64> {
        match name {
            Name::NoDelay => Some(self.no_delay.into()),
            Name::ReadLimit => Some(self.read_limit as i64),
            Name::WriteLimit => Some(self.write_limit as i64),
            Name::Linger => Some(self.linger.into()),
            Name::IdleTimeout => Some(self.idle_timeout.into()),
            Name::KeepAlive => Some(self.keep_alive.into()),
            Name::IdleBytes => Some(self.idle_bytes.into()),
            Name::HalfOpen => Some(self.half_open.into()),
            Name::ReadTimeout => Some(self.read_timeout.into()),
            Name::TlsMinVersion => Some(self.tls_min_version.into()),
            Name::ClientCertificate => Some(self.client_certificate.into()),
            Name::HandshakeTimeout => Some(self.handshake_timeout.into()),
            Name::DualStack | Name::ReusePort | Name::MaxConnections | Name::LingerBytes | Name::UnreadLimit => None,
        }
    }
}

impl ServerOptions {
    pub(crate) fn set(&mut self, name: Name, value: i64) -> Result<()> {
        match name {
            Name::DualStack => self.dual_stack = flag(value)?,
            Name::ReusePort => self.reuse_port = flag(value)?,
            Name::LingerBytes => self.linger_bytes = size(value)? as u64,
            Name::UnreadLimit => self.unread_limit = size(value)? as u64,
            _ => self.max_connections = number(value)?,
        }
        Ok(())
    }

    pub(crate) fn get(&self, name: Name) -> i64 {
        match name {
            Name::DualStack => self.dual_stack.into(),
            Name::ReusePort => self.reuse_port.into(),
            Name::LingerBytes => self.linger_bytes as i64,
            Name::UnreadLimit => self.unread_limit as i64,
            _ => self.max_connections.into(),
        }
    }
}

fn flag(value: i64) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(out_of_range(value, "0 or 1")),
    }
}

fn size(value: i64) -> Result<usize> {
    let size = usize::try_from(value).ok().filter(|size| (1..=isize::MAX as usize).contains(size));
    size.ok_or_else(|| out_of_range(value, "a number of bytes from 1 up"))
}

fn count(value: i64) -> Result<u32> {
    let count = u32::try_from(value).ok().filter(|count| *count > 0);
    count.ok_or_else(|| out_of_range(value, "a number of bytes from 1 to 4294967295"))
}

fn number(value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|_| out_of_range(value, "from 0 to 4294967295"))
}

fn small(value: i64, range: RangeInclusive<u8>, what: &str) -> Result<u8> {
    let small = u8::try_from(value).ok().filter(|small| range.contains(small));
    small.ok_or_else(|| out_of_range(value, what))
}

fn seconds(value: i64) -> Result<u32> {
    // Linux takes no more.
    let seconds = u32::try_from(value).ok().filter(|seconds| *seconds <= 32_767);
    seconds.ok_or_else(|| out_of_range(value, "from 0 to 32767 seconds"))
}

fn out_of_range(value: i64, range: &str) -> Failure {
    Failure::out_of_range().because(format!("the value {value} does not fit the option: {range}"))
}
