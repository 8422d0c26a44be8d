//! Outbound connections among the thread's objects: from a host's name to a connection, or to the reason why not.
//!
//! Nothing of this is ever reported inside `connect`: a failure, however early, waits for the loop's next turn.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::Objects;
use crate::address;
use crate::connection::Connection;
use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::options::Options;
use crate::reactor::{Answer, Reactor, Request, resolve};
use crate::socket::{Attempt, Endpoint, Endpoints, Socket};
use crate::sys;

/// How long an address is tried before the next one is tried as well (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

impl Objects {
    pub(crate) fn connect(&mut self, key: Key, host: &str, port: i32) -> Result<()> {
        let socket = self.sockets.find(key)?;
        let home = self.loops.find(socket.home)?;
        let remote = home.reactor.remote().clone();
        let port = u16::try_from(port)
            .map_err(|_| Failure::forbidden_port().because(format!("port {port}: the valid range is 0 to 65535")))?;
        if host.is_empty() {
            return Err(Failure::invalid_socket().because("give the name or the address of the host to connect to"));
        }
        // What was before ends without an event.
        let _ = self.close_socket(key);
        self.attempts += 1;
        let number = self.attempts;
        let mut attempt = Attempt {
            number,
            started: Instant::now(),
            resolving: false,
            addresses: Default::default(),
            racing: Vec::new(),
            next_start: None,
            error: 0,
            failed: false,
        };
        match address::parse(host, port) {
            Ok(address) => attempt.addresses.push_back(address),
            Err(_) => {
                let request = Request { socket: key, number, host: host.to_owned(), port, reply_to: remote };
                match resolve(request) {
                    Ok(()) => attempt.resolving = true,
                    Err(error) => attempt.error = error.raw_os_error().unwrap_or(0),
                }
            }
        }
        let socket = self.sockets.find_mut(key)?;
        // Nothing of what was before is reported from now on.
        socket.closes = socket.closes.wrapping_add(1);
        socket.attempt = Some(Box::new(attempt));
        self.loops.find_mut(socket.home)?.active += 1;
        self.race(key);
        Ok(())
    }

    /// A name was looked up. The answer may be one that nobody waits for any more.
    pub(crate) fn resolved(&mut self, answer: Answer) {
        let Some(socket) = self.sockets.get_mut(answer.socket) else { return };
        let Some(attempt) = socket.attempt.as_mut() else { return };
        if attempt.number != answer.number {
            return;
        }
        attempt.resolving = false;
        match answer.outcome {
            Ok(addresses) => attempt.addresses = Attempt::interleave(addresses),
            Err(number) => attempt.error = number,
        }
        self.race(answer.socket);
    }

    /// Tries the next address. Without one, and with none being tried, the attempt has failed.
    fn race(&mut self, key: Key) {
        loop {
            let Some(socket) = self.sockets.get_mut(key) else { return };
            let Some(attempt) = socket.attempt.as_mut() else { return };
            let Some(address) = attempt.addresses.pop_front() else { break };
            let home = socket.home;
            let options = socket.options;
            match self.start(key, home, address, &options) {
                Ok(connection) => {
                    if let Some(attempt) = self.sockets.get_mut(key).and_then(|socket| socket.attempt.as_mut()) {
                        attempt.racing.push(connection);
                        attempt.next_start = Some(Instant::now() + HEAD_START);
                    }
                    break;
                }
                Err(error) => {
                    if let Some(attempt) = self.sockets.get_mut(key).and_then(|socket| socket.attempt.as_mut()) {
                        attempt.error = error.raw_os_error().unwrap_or(0);
                    }
                }
            }
        }
        let Some(socket) = self.sockets.get_mut(key) else { return };
        let Some(home) = self.loops.get_mut(socket.home) else { return };
        if let Some(attempt) = socket.attempt.as_mut()
            && attempt.racing.is_empty()
            && !attempt.resolving
            && !attempt.failed
        {
            attempt.failed = true;
            home.reactor.push_ready(key);
        }
        arm(key, socket, &mut home.reactor);
    }

    fn start(&mut self, key: Key, home: Key, address: SocketAddr, options: &Options) -> io::Result<Key> {
        let stream = TcpStream::connect(address)?;
        let out_of_memory = |_: Failure| io::Error::from(io::ErrorKind::OutOfMemory);
        let now = Instant::now();
        let mut connection = Connection::new(stream, key, home, None, now);
        connection.flags.connecting = true;
        connection.apply(options, false)?;
        let connection = self.connections.insert(connection).map_err(out_of_memory)?;
        let event_loop = self.loops.find_mut(home).map_err(out_of_memory)?;
        event_loop.active += 1;
        let registered = match self.connections.get_mut(connection) {
            Some(entry) => entry.register(&event_loop.reactor, connection),
            None => Ok(()),
        };
        registered.inspect_err(|_| self.drop_connection(connection, false))?;
        Ok(connection)
    }

    /// The kernel said something about an address that is being tried. Returns the socket if it is connected now.
    pub(crate) fn check_attempt(&mut self, key: Key) -> Option<Key> {
        let connection = self.connections.get_mut(key)?;
        let socket_key = connection.owner?;
        match connection.outcome() {
            Ok(None) => None,
            Ok(Some((local, remote))) => {
                connection.flags.connecting = false;
                let attempt = self.end_attempt(socket_key)?;
                for loser in attempt.racing.into_iter().filter(|racing| *racing != key) {
                    self.drop_connection(loser, false);
                }
                let socket = self.sockets.get_mut(socket_key)?;
                socket.connection = Some(key);
                let (local, remote) = (Endpoint::known(local), Endpoint::known(remote));
                socket.endpoints = Some(Box::new(Endpoints { local, remote }));
                self.watch_silence(key);
                Some(socket_key)
            }
            Err(error) => {
                self.drop_connection(key, sys::is_not_ours(&error));
                let attempt = self.sockets.get_mut(socket_key)?.attempt.as_mut()?;
                attempt.racing.retain(|racing| *racing != key);
                attempt.error = refusal(&error);
                self.race(socket_key);
                None
            }
        }
    }

    /// The attempt's time has come: for the next address, or for giving up.
    pub(crate) fn attempt_timer(&mut self, key: Key) {
        let Some(socket) = self.sockets.get_mut(key) else { return };
        socket.timer = None;
        let deadline = deadline(socket);
        let Some(attempt) = socket.attempt.as_mut() else { return };
        if deadline.is_none_or(|deadline| Instant::now() < deadline) {
            attempt.next_start = None;
            return self.race(key);
        }
        attempt.error = sys::TIMED_OUT;
        attempt.resolving = false;
        attempt.addresses.clear();
        // The answer to a look-up that is still under way is not for us any more.
        attempt.number = 0;
        for racing in std::mem::take(&mut attempt.racing) {
            self.drop_connection(racing, false);
        }
        self.race(key);
    }

    /// An attempt that has failed, to be reported: the system's error number.
    pub(crate) fn take_failure(&mut self, key: Key) -> Option<i32> {
        let failed = self.sockets.get(key)?.attempt.as_ref()?.failed;
        match failed {
            true => self.end_attempt(key).map(|attempt| attempt.error),
            false => None,
        }
    }

    /// Ends an attempt without an event, whatever it was at.
    pub(super) fn cancel_attempt(&mut self, key: Key) -> bool {
        let Some(attempt) = self.end_attempt(key) else { return false };
        for racing in attempt.racing {
            self.drop_connection(racing, false);
        }
        true
    }

    fn end_attempt(&mut self, key: Key) -> Option<Attempt> {
        let socket = self.sockets.get_mut(key)?;
        let attempt = socket.attempt.take()?;
        if let Some(home) = self.loops.get_mut(socket.home) {
            home.reactor.timers.set(key, &mut socket.timer, None);
            home.active -= 1;
        }
        Some(*attempt)
    }

    /// `Socket.timeout`; a running attempt follows.
    pub(crate) fn set_timeout(&mut self, key: Key, milliseconds: u32) -> Result<()> {
        let socket = self.sockets.find_mut(key)?;
        let home = self.loops.find_mut(socket.home)?;
        socket.timeout = milliseconds;
        arm(key, socket, &mut home.reactor);
        Ok(())
    }
}

/// Sets the attempt's timer to whatever comes first.
fn arm(key: Key, socket: &mut Socket, reactor: &mut Reactor) {
    let next_start = socket.attempt.as_ref().filter(|attempt| !attempt.addresses.is_empty()).and_then(|a| a.next_start);
    let due = [next_start, deadline(socket)].into_iter().flatten().min();
    reactor.timers.set(key, &mut socket.timer, due);
}

fn deadline(socket: &Socket) -> Option<Instant> {
    let attempt = socket.attempt.as_ref().filter(|attempt| !attempt.failed)?;
    match socket.timeout {
        0 => None,
        timeout => Some(attempt.started + Duration::from_millis(timeout.into())),
    }
}

/// A connection that met itself has no number of the system's; it is what a refusal would have been.
fn refusal(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(sys::REFUSED)
}
