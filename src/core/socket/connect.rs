// SPDX-License-Identifier: MIT OR Apache-2.0
//! Outbound connections: from a host's name to a connection, or to the reason why not.
//!
//! Nothing of this is ever reported inside `connect`: a failure, however early, waits for the loop's next turn.

use std::ffi::CStr;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Attempt, Target};
use super::bind::open_at;
use super::{DEFAULT_TIMEOUT, SharedConfig, Socket, SocketRef};
use crate::address::{self, Ends};
use crate::core::connection::close::End;
use crate::core::connection::{Connection, Happening, Phase};
use crate::core::events::Cause;
use crate::error::{Failure, Result, system_message};
use crate::handle::Key;
use crate::inject;
use crate::memory;
use crate::reactor::{Answer, Reactor, Request, resolve};
use crate::sys::net::{self, Stream};
use crate::sys::{self, Instant};

/// How long an address is tried before the next one is tried as well (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);
/// How long a Unix-domain server has to take somebody out of its full queue before it is tried again.
const FULL_QUEUE: Duration = Duration::from_millis(20);

/// No host has a longer name: NI_MAXHOST.
const LONGEST_NAME: usize = 1024;

impl Socket {
    /// What an event of its own has to say to people. `dispatched`: its listeners are being told of it; later there may have been
    /// another connection.
    pub(crate) fn explain(&self, cause: Cause, os_error: i32, dispatched: bool) -> String {
        let is_of_now = self.connection.is_none() && !self.is_connecting();
        let failure = self
            .cold()
            .filter(|_| is_of_now && matches!(cause, Cause::Connect | Cause::Secure))
            .and_then(|cold| cold.failure.as_ref());
        if let Some(failure) = failure {
            return failure.to_string();
        }
        let was_never_another = self.cold().is_none_or(|cold| !cold.was_tried);
        let peer = self.peer().filter(|_| is_of_now && cause != Cause::Connect && (dispatched || was_never_another));
        cause.describe(peer, os_error)
    }

    pub(super) fn attempt(&self) -> Option<&Attempt> {
        self.cold()?.attempt.as_deref()
    }

    pub(super) fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        self.cold_mut()?.attempt.as_deref_mut()
    }

    /// Whether a connection is this socket's, or one that it is trying.
    pub(crate) fn knows(&self, connection: Key) -> bool {
        let racing = self.attempt().is_some_and(|attempt| attempt.racing.contains(&connection));
        self.connection == Some(connection) || racing
    }

    pub(crate) fn is_connecting(&self) -> bool {
        self.attempt().is_some()
    }

    /// An attempt has failed, and the listeners are to be told.
    pub(crate) fn has_failed(&self) -> bool {
        self.attempt().is_some_and(|attempt| attempt.failed)
    }

    pub(crate) fn timeout(&self) -> u32 {
        self.cold().map_or(DEFAULT_TIMEOUT, |cold| cold.timeout)
    }

    fn deadline(&self) -> Option<Instant> {
        let attempt = self.attempt().filter(|attempt| !attempt.failed)?;
        let timeout = Duration::from_millis(self.timeout().into());
        let end = (!timeout.is_zero()).then(|| attempt.started + timeout);
        [end, attempt.handshake_end].into_iter().flatten().min()
    }

    /// Sets the attempt's timer to whatever comes first.
    pub(crate) fn arm(&mut self, key: Key, reactor: &mut Reactor) {
        let waiting = self.attempt().filter(|attempt| !attempt.targets.is_empty());
        let next_start = waiting.and_then(|attempt| attempt.next_start);
        let due = [next_start, self.deadline()].into_iter().flatten().min();
        if let Some(cold) = self.cold_mut() {
            reactor.timers.set(key, &mut cold.timer, due);
        }
    }
}

impl SocketRef<'_> {
    pub(crate) fn connect(&mut self, host: &str, port: i32) -> Result<()> {
        inject::point();
        let port = u16::try_from(port)
            .map_err(|_| Failure::forbidden_port().because(format!("port {port}: the valid range is 0 to 65535")))?;
        if host.is_empty() {
            return Err(Failure::invalid_socket().because("give the name or the address of the host to connect to"));
        }
        let literal = address::parse(host, port).ok();
        literal.as_ref().map_or(Ok(()), |address| self.check_family(address))?;
        // Before anything is given up: the host may be a text of the connection's that ends here.
        let mut attempt = Attempt::new(host, Some(port))?;
        match literal {
            Some(address) => attempt.targets.push_back(Target::Address(address)),
            None if host.len() > LONGEST_NAME => attempt.fail_to_look_up(sys::NO_SUCH_NAME),
            None => attempt.to_look_up = true,
        }
        self.leave_former()?;
        self.launch(attempt);
        Ok(())
    }

    /// Connects to a Unix-domain socket.
    pub(crate) fn connect_path(&mut self, path: &CStr) -> Result<()> {
        inject::point();
        let address = address::of_path(path)?;
        let mut attempt = Attempt::new(&path.to_string_lossy(), None)?;
        attempt.targets.push_back(Target::Path(address));
        self.leave_former()?;
        self.launch(attempt);
        Ok(())
    }

    fn launch(&mut self, attempt: Box<Attempt>) {
        let Some(cold) = self.socket.cold_mut() else { return };
        (cold.attempt, cold.failure, cold.was_tried) = (Some(attempt), None, true);
        self.socket.begin_keep();
        self.transport.active += 1;
        if self.socket.attempt().is_some_and(Attempt::is_resolving) {
            self.queue();
        }
        self.race();
    }

    /// Whatever the socket was connected to, it will be connected anew. What was before ends without an event.
    pub(super) fn leave_former(&mut self) -> Result<()> {
        if self.socket.config.local.is_some() {
            // What it becomes has another end than the server that once accepted it.
            let config = SharedConfig { local: None, ..SharedConfig::clone(&self.socket.config) };
            self.socket.config = memory::shared(config)?;
        }
        // Room for it, so that nothing is changed if there is none.
        self.socket.make_cold()?;
        let _ = self.close();
        self.socket.forget_endpoints();
        self.socket.forget_secured();
        self.socket.close_due = false;
        Ok(())
    }

    /// The loop looks at the attempt in its next turn.
    fn queue(&mut self) {
        if let Some(cold) = self.socket.cold_mut() {
            if !std::mem::replace(&mut cold.queued, true) {
                self.transport.reactor.push_ready(self.key);
            }
        }
    }

    /// The loop has come to an attempt whose name is to be looked up.
    pub(crate) fn look_up(&mut self) {
        inject::point();
        let reply_to = Arc::downgrade(self.transport.reactor.remote());
        let Some(attempt) = self.socket.attempt_mut() else { return };
        if !std::mem::take(&mut attempt.to_look_up) {
            return;
        }
        let Ok(host) = memory::text(&attempt.host) else {
            attempt.error = sys::NO_MEMORY;
            return self.race();
        };
        match resolve(Request { socket: self.key, host, port: attempt.port.unwrap_or(0), reply_to }) {
            Ok(lookup) => attempt.lookup = Some(lookup),
            Err(error) => {
                attempt.fail_to_look_up(error.raw_os_error().unwrap_or(0));
                self.race();
            }
        }
    }

    /// A name was looked up. The answer may be one that nobody waits for any more.
    pub(crate) fn resolved(&mut self, answer: Answer) {
        inject::point();
        let local = self.local_end();
        let is_waited_for =
            |attempt: &&mut Attempt| attempt.lookup.as_ref().is_some_and(|lookup| lookup.is_answered_by(&answer));
        let Some(attempt) = self.socket.attempt_mut().filter(is_waited_for) else { return };
        attempt.lookup = None;
        match answer.outcome {
            Ok(mut addresses) => {
                addresses.retain(|address| local.is_none_or(|local| local.is_ipv4() == address.is_ipv4()));
                if addresses.is_empty() {
                    attempt.error = sys::OTHER_FAMILY;
                }
                attempt.targets = Attempt::interleave(addresses).into_iter().map(Target::Address).collect();
            }
            Err(number) => attempt.fail_to_look_up(number),
        }
        self.race();
    }

    /// Tries the next address. Without one, and with none being tried, the attempt has failed.
    pub(super) fn race(&mut self) {
        inject::point();
        while let Some(target) = self.socket.attempt_mut().and_then(|attempt| attempt.targets.pop_front()) {
            let outcome = self.start(&target);
            let Some(attempt) = self.socket.attempt_mut() else { return };
            match outcome {
                Ok(connection) => {
                    attempt.racing.push(connection);
                    attempt.next_start = Some(net::now() + HEAD_START);
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && matches!(target, Target::Path(_)) => {
                    // The server's queue is full, and the system will not tell when there is room.
                    attempt.targets.push_front(target);
                    attempt.next_start = Some(net::now() + FULL_QUEUE);
                    break;
                }
                Err(error) => attempt.note_failure(error.raw_os_error().unwrap_or(0)),
            }
        }
        if let Some(attempt) = self.socket.attempt_mut() {
            let is_over = attempt.racing.is_empty() && attempt.targets.is_empty() && !attempt.is_resolving();
            if is_over && !attempt.failed {
                attempt.failed = true;
                self.queue();
            }
        }
        self.socket.arm(self.key, &mut self.transport.reactor);
    }

    fn start(&mut self, target: &Target) -> io::Result<Key> {
        inject::point();
        let stream = match (target, self.local_end()) {
            (Target::Path(path), _) => Stream::connect_path(path)?,
            (Target::Address(remote), None) => Stream::connect(*remote)?,
            (Target::Address(remote), Some(local)) => {
                Stream::connect_from(open_at(&local).map_err(|failed| failed.error)?, *remote)?
            }
        };
        let connection = Connection::new(stream, self.key, None, Phase::Connecting);
        let mut connection = connection.over(matches!(target, Target::Path(_)));
        connection.apply(self.socket.options(), false, &mut self.transport.refusals)?;
        let key = self.transport.add(connection).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        self.transport.register(key).inspect_err(|_| self.lose(key, false))?;
        Ok(key)
    }

    /// A connection that is being tried is given up.
    pub(super) fn lose(&mut self, connection: Key, not_ours: bool) {
        self.transport.happen(connection, Happening::Failed, End { not_ours, ..End::default() });
    }

    /// The system said something about an address that is being tried. Returns whether the socket is connected now.
    pub(crate) fn check_attempt(&mut self, key: Key) -> bool {
        inject::point();
        let Some(connection) = self.transport.connections.get_mut(key) else { return false };
        if connection.is_secure() {
            // It has answered, and its handshake is under way.
            return false;
        }
        match connection.outcome() {
            Ok(None) => false,
            Ok(Some(ends)) => self.win_or_secure(key, ends),
            Err(error) => {
                self.lose(key, sys::is_not_ours(&error));
                if let Some(attempt) = self.socket.attempt_mut() {
                    attempt.racing.retain(|racing| *racing != key);
                    // One that met itself has no number of the system's; it is what a refusal would have been.
                    attempt.note_failure(error.raw_os_error().unwrap_or(sys::REFUSED));
                }
                self.race();
                false
            }
        }
    }

    pub(super) fn win(&mut self, key: Key, ends: Ends) -> bool {
        let Some(attempt) = self.end_attempt() else { return false };
        // First: after a panic in what follows it is known whose connection this was.
        self.socket.connection = Some(key);
        if let Some(cold) = self.socket.cold_mut() {
            cold.host = attempt.port.map(|_| attempt.host.into_boxed_str());
        }
        for loser in attempt.racing.into_iter().filter(|racing| *racing != key) {
            self.lose(loser, false);
        }
        self.transport.reactor.drop_progress(self.key);
        self.transport.happen(key, Happening::Established, End::default());
        self.listeners_changed();
        match self.socket.set_ends(ends) {
            Ok(()) => self.begin_time(),
            Err(_) => self.transport.give_up(key, sys::NO_MEMORY),
        }
        true
    }

    /// The attempt's time has come: for the next address, or for giving up. Returns whether the socket is connected now:
    /// the host may have been busy, and not have looked.
    pub(crate) fn expire_attempt(&mut self) -> bool {
        if let Some(cold) = self.socket.cold_mut() {
            cold.timer.clear();
        }
        let deadline = self.socket.deadline();
        let Some(attempt) = self.socket.attempt_mut() else { return false };
        if deadline.is_none_or(|deadline| net::now() < deadline) {
            attempt.next_start = None;
            self.race();
            return false;
        }
        attempt.targets.clear();
        for racing in attempt.racing.clone() {
            if self.check_attempt(racing) {
                return true;
            }
        }
        let Some(attempt) = self.socket.attempt_mut() else { return false };
        if attempt.ends.is_some() {
            attempt.fault = Some(system_message(sys::TIMED_OUT));
        }
        attempt.note_failure(sys::TIMED_OUT);
        (attempt.to_look_up, attempt.lookup, attempt.unknown_name) = (false, None, false);
        for racing in std::mem::take(&mut attempt.racing) {
            self.lose(racing, false);
        }
        self.race();
        false
    }

    /// An attempt that has failed, to be reported: the system's error number.
    pub(crate) fn take_failure(&mut self) -> Option<i32> {
        if !self.socket.has_failed() {
            return None;
        }
        let attempt = self.end_attempt()?;
        if let Some(cold) = self.socket.cold_mut() {
            cold.failure = Some(attempt.describe().into_boxed_str());
        }
        Some(attempt.error)
    }

    /// Ends an attempt without an event, whatever it was at.
    pub(super) fn cancel_attempt(&mut self) -> bool {
        let Some(attempt) = self.end_attempt() else { return false };
        for racing in attempt.racing {
            self.lose(racing, false);
        }
        true
    }

    fn end_attempt(&mut self) -> Option<Attempt> {
        inject::point();
        let cold = self.socket.cold_mut()?;
        let attempt = cold.attempt.take()?;
        self.transport.reactor.timers.set(self.key, &mut cold.timer, None);
        self.transport.active -= 1;
        Some(*attempt)
    }

    /// `Socket.timeout`; a running attempt follows.
    pub(crate) fn set_timeout(&mut self, milliseconds: u32) -> Result<()> {
        self.socket.make_cold()?.timeout = milliseconds;
        self.socket.arm(self.key, &mut self.transport.reactor);
        Ok(())
    }
}
