//! Options and figures among the thread's objects.

use std::time::{Duration, Instant};

use super::{Ending, Objects};
use crate::connection::{Connection, ErrorNumber, Silence};
use crate::error::{Failure, Result};
use crate::handle::{Key, Kind};
use crate::options::Name;
use crate::server::Figures;
use crate::socket::Socket;
use crate::sys;

impl Objects {
    pub(crate) fn set_option(&mut self, key: Key, name: Name, value: i64) -> Result<()> {
        match key.kind() {
            Some(Kind::Server) => {
                self.servers.find_mut(key)?.set_option(name, value)?;
                if name == Name::MaxConnections {
                    self.resume_accepting(key);
                }
                Ok(())
            }
            _ => self.set_socket_option(key, name, value),
        }
    }

    fn set_socket_option(&mut self, key: Key, name: Name, value: i64) -> Result<()> {
        let socket = self.sockets.find_mut(key)?;
        let mut options = *socket.options();
        options.set(name, value).unwrap_or_else(|| Err(only_servers()))?;
        let connection_key = socket.connection;
        if let Some(connection) = connection_key.and_then(|key| self.connections.get(key)) {
            let outcome = match name {
                Name::NoDelay => connection.set_no_delay(options.no_delay),
                Name::KeepAlive => connection.set_keep_alive(options.keep_alive),
                _ => Ok(()),
            };
            outcome.map_err(|error| Failure::invalid_socket().with_system("set the option", &error, ""))?;
        }
        socket.set_options(options);
        match (name, connection_key) {
            (Name::IdleTimeout | Name::IdleBytes, Some(connection)) => self.watch_silence(connection)?,
            (Name::ReadLimit, Some(connection)) => self.read_on(connection),
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn option(&self, key: Key, name: Name) -> Result<i64> {
        match key.kind() {
            Some(Kind::Server) => Ok(self.servers.find(key)?.option(name)),
            _ => self.sockets.find(key)?.options().get(name).ok_or_else(only_servers),
        }
    }

    /// Sets the time at which to look whether the connection has been silent for too long.
    pub(super) fn watch_silence(&mut self, key: Key) -> Result<()> {
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        let Some(socket) = connection.owner.and_then(|owner| self.sockets.get(owner)) else { return Ok(()) };
        let home = self.loops.find_mut(connection.home())?;
        connection.watch_silence(silence_limit(socket), &mut home.reactor, key)
    }

    /// As [`watch_silence`](Self::watch_silence), for one that is new. Without memory for that it is given up, rather
    /// than forgotten.
    pub(super) fn begin_silence(&mut self, key: Key) {
        if self.watch_silence(key).is_err() {
            self.give_up(key, ErrorNumber::new(sys::NO_MEMORY));
        }
    }

    /// The time of a connection has come: that of its silence, or if its socket is closed, that of its sending.
    pub(crate) fn connection_timer(&mut self, key: Key) -> Option<Ending> {
        let connection = self.connections.get_mut(key)?;
        let last_traffic = connection.take_deadline()?;
        let Some(owner) = connection.owner else {
            self.drop_connection(key, false);
            return None;
        };
        let socket = self.sockets.get(owner)?;
        let limit = silence_limit(socket)?.time;
        let reads = !connection.flags.paused && socket.kept().len() < socket.options().read_limit;
        if reads && connection.has_input() {
            // The peer may not have been silent: the host was busy. How many bytes there are the next turn will tell.
            let home = self.loops.get_mut(connection.home())?;
            connection.look_again(&mut home.reactor, key);
            return None;
        }
        if Instant::now() >= last_traffic + limit {
            let mut ending = self.end_connection(key, Some(std::io::Error::from_raw_os_error(sys::TIMED_OUT)))?;
            ending.lost_output = Some(sys::TIMED_OUT);
            return Some(ending);
        }
        // Its time is noted down already, so that this takes no memory.
        let _ = self.watch_silence(key);
        None
    }

    /// What has happened on a server, and how many bytes have come to it.
    pub(crate) fn figures(&self, key: Key) -> Result<(Figures, u64)> {
        let server = self.servers.find(key)?;
        let mut figures = server.figures;
        let is_its = |connection: &&Connection| connection.origin.server == Some(key);
        let open = self.connections.iter().map(|(_, connection)| connection).filter(is_its);
        figures.bytes_out += open.map(|connection| connection.sent).sum::<u64>();
        Ok((figures, server.bytes_in.get()))
    }
}

fn silence_limit(socket: &Socket) -> Option<Silence> {
    let options = socket.options();
    let time = Duration::from_millis(options.idle_timeout.into());
    (!time.is_zero()).then_some(Silence { time, bytes: options.idle_bytes as usize })
}

fn only_servers() -> Failure {
    Failure::not_accepted("option").because("this option is a server's; set it there")
}
