// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a handshake has failed, or a secure connection cannot go on: for people, and as a system's number.

use rustls::{AlertDescription, Error, InvalidMessage};

use crate::error::system_message;
use crate::sys;

pub(crate) struct Fault {
    /// "the peer's certificate is not trusted: ..."
    pub why: String,
    pub os_error: i32,
}

impl Fault {
    pub(crate) fn new(why: impl Into<String>, os_error: i32) -> Self {
        Fault { why: why.into(), os_error }
    }

    pub(crate) fn of_memory() -> Self {
        Fault::new(system_message(sys::NO_MEMORY), sys::NO_MEMORY)
    }

    pub(super) fn of(error: &Error) -> Self {
        Fault::new(describe(error), sys::PROTOCOL)
    }

    pub(super) fn of_name(name: &str) -> Self {
        Fault::new(format!("\"{name:.100}\" is no name that a certificate can be for"), sys::PROTOCOL)
    }

    /// What was met in what the peer has sent. `out`: what it is told of that.
    pub(super) fn met(error: &Error, done: bool, out: &[u8]) -> Self {
        let mut why = match error {
            Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion)
                if !done =>
            {
                "the peer does not speak TLS".to_owned()
            }
            other => describe(other),
        };
        if let Some(alert) = plain_alert(out) {
            why += &format!(" (the peer is told {alert:?})");
        }
        Fault::new(why, sys::PROTOCOL)
    }
}

fn describe(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => format!("the peer says {alert:?}"),
        Error::InvalidCertificate(error) => format!("the peer's certificate is not accepted: {error}"),
        Error::NoCertificatesPresented => "the peer has shown no certificate".into(),
        Error::PeerSentOversizedRecord => "the peer has sent a record that is too long".into(),
        Error::NoApplicationProtocol => "the peer speaks none of our protocols (ALPN)".into(),
        Error::DecryptError => "a record of the peer's was changed on its way".into(),
        Error::General(why) => why.clone(),
        other => other.to_string(),
    }
}

/// The alert at the end of what is sent, if it can be read by everybody.
fn plain_alert(out: &[u8]) -> Option<AlertDescription> {
    const ALERT: u8 = 21;
    match out.last_chunk::<7>()? {
        [ALERT, 3, _, 0, 2, _, number] => Some(AlertDescription::from(*number)),
        _ => None,
    }
}
