// SPDX-License-Identifier: MIT OR Apache-2.0
//! IP addresses as text: what `bind` takes, and what the address properties give.

use std::ffi::{CStr, CString};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::error::{Failure, Result, SystemError};
use crate::sys;
use crate::sys::paths;

/// No interface has a longer name.
const LONGEST_SCOPE: usize = 255;

/// The addresses of a connection's two ends. A Unix-domain socket has none.
#[derive(Clone, Copy)]
pub(crate) enum Ends {
    Addresses { local: SocketAddr, remote: SocketAddr },
    UnixDomain,
}

/// Checks a port as AIR does, before anything else is looked at.
pub(crate) fn port(number: i32) -> Result<u16> {
    u16::try_from(number)
        .map_err(|_| Failure::invalid_port().because(format!("port {number}: the valid range is 0 to 65535")))
}

/// Reads a literal IPv4 or IPv6 address, the latter with an optional %scope. Never asks a name server.
pub(crate) fn parse(text: &str, port: u16) -> Result<SocketAddr> {
    if let Ok(v4) = text.parse::<Ipv4Addr>() {
        return Ok(SocketAddrV4::new(v4, port).into());
    }
    let (address, scope) = match text.split_once('%') {
        Some((address, scope)) => (address, Some(scope)),
        None => (text, None),
    };
    match (address.parse::<Ipv6Addr>(), scope) {
        (Err(_), _) | (_, Some("")) => Err(Failure::invalid_parameter().because(format!(
            "\"{text:.100}\" is not an IP address; give one in digits, such as 127.0.0.1 or ::1 (names are not looked up)"
        ))),
        (Ok(v6), None) => Ok(SocketAddrV6::new(v6, port, 0, 0).into()),
        (Ok(v6), Some(scope)) => {
            let scope = scope_id(scope)
                .map_err(|error| Failure::invalid_parameter().because(format!("interface {scope:.100}: {error}")))?;
            Ok(SocketAddrV6::new(v6, port, 0, scope).into())
        }
    }
}

fn scope_id(scope: &str) -> io::Result<u32> {
    if scope.len() > LONGEST_SCOPE {
        return Err(io::ErrorKind::NotFound.into());
    }
    scope.parse().or_else(|_| sys::interface_index(scope))
}

/// The address part as RFC 5952 writes it, without brackets; a mapped IPv4 address as IPv4.
pub(crate) fn text(address: &SocketAddr) -> CString {
    let text = match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => match (v6.ip().to_ipv4_mapped(), v6.scope_id()) {
            (Some(v4), _) => v4.to_string(),
            (None, 0) => v6.ip().to_string(),
            (None, scope) => format!("{}%{scope}", v6.ip()),
        },
    };
    CString::new(text).expect("an address in digits has no NUL")
}

/// Reads a path of a Unix-domain socket, or an abstract name.
pub(crate) fn of_path(path: &CStr) -> Result<paths::Address> {
    paths::Address::new(path).map_err(|error| match error.kind() {
        io::ErrorKind::Unsupported if path.to_bytes().starts_with(b"@") => Failure::unsupported()
            .because("only Linux has abstract names; give a path, which begins with another letter than @"),
        io::ErrorKind::Unsupported => {
            Failure::unsupported().because("this system, or its poller, has no Unix-domain sockets")
        }
        _ => Failure::invalid_parameter().because(error.to_string()),
    })
}

/// What can be done where a call was refused that is part of binding a socket to a port.
pub(crate) fn advice(failed: &SystemError, port: u16) -> &'static str {
    match failed.error.kind() {
        io::ErrorKind::AddrInUse => "another socket has this port; choose another one, or 0 for any free one",
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has this address",
        io::ErrorKind::PermissionDenied if failed.call == "bind" && sys::needs_privilege(&failed.error, port) => {
            "this port needs a privilege; choose one from 1024 up"
        }
        io::ErrorKind::PermissionDenied => "the system forbids this call here: see the sandbox or container it runs in",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    #[test]
    fn only_addresses_in_digits_are_well_formed() {
        for good in ["127.0.0.1", "0.0.0.0", "::", "::1", "fe80::1%1", "::ffff:127.0.0.1"] {
            assert!(parse(good, 1).is_ok(), "{good}");
        }
        let bad =
            ["", " ", "localhost", "127.1", "0x7f.0.0.1", "127.0.0.01", "127.0.0.1 ", "[::1]", "::1%", "1.2.3.4.5"];
        for bad in bad {
            let failure = parse(bad, 1).unwrap_err();
            assert_eq!((failure.class, failure.id), (Class::Argument, 2004), "{bad}");
        }
    }

    #[test]
    fn an_unknown_interface_is_malformed() {
        let failure = parse("fe80::1%no-such-interface", 1).unwrap_err();
        assert_eq!((failure.class, failure.id), (Class::Argument, 2004));
    }

    #[test]
    fn addresses_are_written_short_and_mapped_ones_as_ipv4() {
        let written = |literal: &str| text(&parse(literal, 1).unwrap()).into_string().unwrap();
        assert_eq!(written("0:0:0:0:0:0:0:1"), "::1");
        assert_eq!(written("::ffff:127.0.0.1"), "127.0.0.1");
        assert_eq!(written("fe80::1%7"), "fe80::1%7");
    }
}
