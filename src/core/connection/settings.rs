// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a connection and a listening socket ask of the system besides their work: socket options.
//!
//! What correctness needs fails what asked for it. Everything else is only better: where the system refuses it, the connection
//! or the server goes on without, and the log says so once.

use std::io;
use std::time::Duration;

use socket2::SockRef;

use super::{Connection, ErrorNumber, Sending};
use crate::core::host::Due;
use crate::log::Level;
use crate::options::Options;

/// A socket option that can be done without.
#[derive(Clone, Copy)]
pub(crate) enum Optional {
    NoDelay,
    UrgentInLine,
    KeepAlive,
    ReuseAddress,
}

impl Optional {
    /// Its name, and what it means to go without.
    fn describe(self) -> (&'static str, &'static str) {
        match self {
            Optional::NoDelay => ("TCP_NODELAY", "small writes may wait for one another"),
            Optional::UrgentInLine => ("SO_OOBINLINE", "urgent bytes are missing from what is read"),
            Optional::KeepAlive => ("SO_KEEPALIVE", "the system does not probe silent peers"),
            Optional::ReuseAddress => {
                ("SO_REUSEADDR", "the port may be taken for some minutes after the server has closed")
            }
        }
    }
}

/// What the system has refused: each option is told of once for a loop.
#[derive(Default)]
pub(crate) struct Refusals {
    noted: u8,
    untold: Vec<String>,
}

impl Refusals {
    /// Goes on without an option that was refused.
    pub(crate) fn note(&mut self, option: Optional, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            self.note_refusal(option, &error);
        }
    }

    #[cold]
    fn note_refusal(&mut self, option: Optional, error: &io::Error) {
        let bit = 1 << option as u8;
        if self.noted & bit == 0 {
            self.noted |= bit;
            let (name, without) = option.describe();
            self.untold.push(format!("setsockopt {name}: {error}: {without}"));
        }
    }

    #[inline]
    pub(crate) fn tell(&mut self, due: &mut Due) {
        if !self.untold.is_empty() {
            self.tell_all(due);
        }
    }

    #[cold]
    fn tell_all(&mut self, due: &mut Due) {
        for message in self.untold.drain(..) {
            due.log(Level::Warning, || message);
        }
    }
}

/// What a listening socket hands down to accepted ones, where the system does that.
pub(crate) fn prepare(socket: &SockRef<'_>, options: &Options, refusals: &mut Refusals) {
    refusals.note(Optional::NoDelay, socket.set_tcp_nodelay(options.no_delay));
    // Urgent data stay in the stream (RFC 6093): nothing that a peer sends is lost.
    refusals.note(Optional::UrgentInLine, socket.set_out_of_band_inline(true));
}

impl Connection {
    /// Hands its settings to the system. `inherited`: those that a listener hands down are there already. Fails if it must
    /// not be written to.
    pub(crate) fn apply(&mut self, options: &Options, inherited: bool, refusals: &mut Refusals) -> io::Result<()> {
        if let Err(error) = self.stream.prepare() {
            self.sending = Sending::failed(ErrorNumber::from(&error));
            return Err(error);
        }
        if !inherited {
            refusals.note(Optional::NoDelay, self.set_no_delay(options.no_delay));
            refusals.note(Optional::UrgentInLine, self.stream.keep_urgent_data_in_line());
        }
        if options.keep_alive > 0 {
            refusals.note(Optional::KeepAlive, self.set_keep_alive(options.keep_alive));
        }
        Ok(())
    }

    /// A Unix-domain socket has no such settings, and needs none.
    pub(crate) fn set_no_delay(&self, yes: bool) -> io::Result<()> {
        if self.unix_domain { Ok(()) } else { self.stream.set_no_delay(yes) }
    }

    pub(crate) fn set_keep_alive(&self, seconds: u32) -> io::Result<()> {
        if self.unix_domain {
            return Ok(());
        }
        self.stream.set_keep_alive((seconds > 0).then(|| Duration::from_secs(seconds.into())))
    }
}
