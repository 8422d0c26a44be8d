//! Outbound connections among the thread's objects: from a host's name to a connection, or to the reason why not.
//!
//! Nothing of this is ever reported inside `connect`: a failure, however early, waits for the loop's next turn.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::Objects;
use crate::address;
use crate::connection::{Connection, ErrorNumber, Stage};
use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::inject;
use crate::memory;
use crate::origin::Origin;
use crate::reactor::{Answer, Reactor, Request, resolve};
use crate::socket::{Attempt, Socket};
use crate::sys;

/// How long an address is tried before the next one is tried as well (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

impl Objects {
    pub(crate) fn connect(&mut self, key: Key, host: &str, port: i32) -> Result<()> {
        inject::point();
        let socket = self.sockets.find(key)?;
        let home = self.loops.find(socket.home())?;
        let remote = home.reactor.remote().clone();
        let port = u16::try_from(port)
            .map_err(|_| Failure::forbidden_port().because(format!("port {port}: the valid range is 0 to 65535")))?;
        if host.is_empty() {
            return Err(Failure::invalid_socket().because("give the name or the address of the host to connect to"));
        }
        if socket.origin.server.is_some() {
            // What it becomes is no connection of the server that once accepted it.
            let origin = memory::shared(Origin { server: None, ..Origin::clone(&socket.origin) })?;
            self.sockets.find_mut(key)?.origin = origin;
        }
        // What was before ends without an event.
        let _ = self.close_socket(key);
        self.attempts += 1;
        let number = self.attempts;
        // Room for it, so that nothing is changed if there is none.
        self.sockets.find_mut(key)?.make_rare()?;
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
        socket.close_due = false;
        socket.make_rare()?.attempt = Some(memory::boxed(attempt)?);
        self.loops.find_mut(socket.home())?.active += 1;
        self.race(key);
        Ok(())
    }

    /// A name was looked up. The answer may be one that nobody waits for any more.
    pub(crate) fn resolved(&mut self, answer: Answer) {
        inject::point();
        let Some(socket) = self.sockets.get_mut(answer.socket) else { return };
        let Some(attempt) = socket.attempt_mut() else { return };
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
        inject::point();
        loop {
            let Some(socket) = self.sockets.get_mut(key) else { return };
            let Some(attempt) = socket.attempt_mut() else { return };
            let Some(address) = attempt.addresses.pop_front() else { break };
            let origin = socket.origin.clone();
            match self.start(key, origin, address) {
                Ok(connection) => {
                    if let Some(attempt) = self.sockets.get_mut(key).and_then(Socket::attempt_mut) {
                        attempt.racing.push(connection);
                        attempt.next_start = Some(Instant::now() + HEAD_START);
                    }
                    break;
                }
                Err(error) => {
                    if let Some(attempt) = self.sockets.get_mut(key).and_then(Socket::attempt_mut) {
                        attempt.error = error.raw_os_error().unwrap_or(0);
                    }
                }
            }
        }
        let Some(socket) = self.sockets.get_mut(key) else { return };
        let Some(home) = self.loops.get_mut(socket.home()) else { return };
        if let Some(attempt) = socket.attempt_mut()
            && attempt.racing.is_empty()
            && !attempt.resolving
            && !attempt.failed
        {
            attempt.failed = true;
            home.reactor.push_ready(key);
        }
        arm(key, socket, &mut home.reactor);
    }

    fn start(&mut self, key: Key, origin: Rc<Origin>, address: SocketAddr) -> io::Result<Key> {
        inject::point();
        let stream = TcpStream::connect(address)?;
        let out_of_memory = |_: Failure| io::Error::from(io::ErrorKind::OutOfMemory);
        let home = origin.home;
        let mut connection = Connection::new(stream, key, origin, Stage::Connecting);
        connection.apply(false)?;
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
        inject::point();
        let connection = self.connections.get_mut(key)?;
        let socket_key = connection.owner?;
        match connection.outcome() {
            Ok(None) => None,
            Ok(Some(remote)) => {
                connection.flags.stage = Stage::Open;
                let attempt = self.end_attempt(socket_key)?;
                for loser in attempt.racing.into_iter().filter(|racing| *racing != key) {
                    self.drop_connection(loser, false);
                }
                let socket = self.sockets.get_mut(socket_key)?;
                socket.connection = Some(key);
                match socket.set_peer(remote) {
                    Ok(()) => self.begin_silence(key),
                    Err(_) => self.give_up(key, ErrorNumber::new(sys::NO_MEMORY)),
                }
                Some(socket_key)
            }
            Err(error) => {
                self.drop_connection(key, sys::is_not_ours(&error));
                let attempt = self.sockets.get_mut(socket_key)?.attempt_mut()?;
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
        if let Some(rare) = socket.rare_mut() {
            rare.timer = None;
        }
        let deadline = deadline(socket);
        let Some(attempt) = socket.attempt_mut() else { return };
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
        let failed = self.sockets.get(key)?.attempt()?.failed;
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
        inject::point();
        let socket = self.sockets.get_mut(key)?;
        let home = socket.home();
        let rare = socket.rare_mut()?;
        let attempt = rare.attempt.take()?;
        if let Some(home) = self.loops.get_mut(home) {
            home.reactor.timers.set(key, &mut rare.timer, None);
            home.active -= 1;
        }
        Some(*attempt)
    }

    /// `Socket.timeout`; a running attempt follows.
    pub(crate) fn set_timeout(&mut self, key: Key, milliseconds: u32) -> Result<()> {
        let socket = self.sockets.find_mut(key)?;
        let home = self.loops.find_mut(socket.home())?;
        socket.make_rare()?.timeout = milliseconds;
        arm(key, socket, &mut home.reactor);
        Ok(())
    }
}

/// Sets the attempt's timer to whatever comes first.
pub(super) fn arm(key: Key, socket: &mut Socket, reactor: &mut Reactor) {
    let waiting = socket.attempt().filter(|attempt| !attempt.addresses.is_empty());
    let next_start = waiting.and_then(|attempt| attempt.next_start);
    let due = [next_start, deadline(socket)].into_iter().flatten().min();
    if let Some(rare) = socket.rare_mut() {
        reactor.timers.set(key, &mut rare.timer, due);
    }
}

fn deadline(socket: &Socket) -> Option<Instant> {
    let attempt = socket.attempt().filter(|attempt| !attempt.failed)?;
    match socket.timeout() {
        0 => None,
        timeout => Some(attempt.started + Duration::from_millis(timeout.into())),
    }
}

/// A connection that met itself has no number of the system's; it is what a refusal would have been.
fn refusal(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(sys::REFUSED)
}
