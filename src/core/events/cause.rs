// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a connection ended, or did not come about: what an event tells people of it.

use std::fmt::Display;

use crate::error::system_message;

/// What the system's error was the answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No error: the peer has ended its side.
    Ended,
    Read,
    Write,
    /// The peer was silent for longer than the host allows.
    Wait,
    /// Nothing was asked of the system: there was no memory for the connection, say.
    Serve,
    Connect,
    Accept,
    /// A server has drained, or its time to do so is over.
    Drain,
    /// TLS: a handshake, or what came behind it.
    Secure,
    /// The peer has ended its side without saying so, as TLS would have it.
    Truncated,
}

impl Cause {
    /// "read from 10.0.0.7:5123: Connection reset by peer (104)"
    pub(crate) fn describe(self, peer: Option<impl Display>, os_error: i32) -> String {
        let peer = peer.map_or_else(|| String::from("the peer"), |peer| peer.to_string());
        let attempt = match self {
            Cause::Ended => return format!("{peer} has ended the connection"),
            Cause::Accept => String::from("accept"),
            Cause::Drain if os_error == 0 => return String::from("the last connection of the server has ended"),
            Cause::Drain => String::from("wait for the last connection of the server"),
            Cause::Read => format!("read from {peer}"),
            Cause::Write => format!("write to {peer}"),
            Cause::Wait => format!("wait for {peer}"),
            Cause::Serve => format!("serve {peer}"),
            Cause::Connect => format!("connect to {peer}"),
            Cause::Secure => format!("secure the connection with {peer}"),
            Cause::Truncated => {
                return format!(
                    "{peer} has ended the connection without TLS's close_notify: the end of what it sent may be missing"
                );
            }
        };
        format!("{attempt}: {}", system_message(os_error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_cause_says_what_was_attempted_with_whom_and_what_the_system_said() {
        let told = |cause: Cause, number| cause.describe(Some("10.0.0.7:5123"), number);
        assert_eq!(told(Cause::Read, 104), "read from 10.0.0.7:5123: Connection reset by peer (104)");
        assert_eq!(told(Cause::Ended, 0), "10.0.0.7:5123 has ended the connection");
        assert_eq!(Cause::Write.describe(None::<&str>, 32), "write to the peer: Broken pipe (32)");
        assert_eq!(told(Cause::Drain, 0), "the last connection of the server has ended");
        assert_eq!(told(Cause::Drain, 110), "wait for the last connection of the server: Connection timed out (110)");
        assert_eq!(told(Cause::Connect, 0), "connect to 10.0.0.7:5123: an error without a number");
    }
}
