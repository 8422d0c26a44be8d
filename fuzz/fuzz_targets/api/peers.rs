// SPDX-License-Identifier: MIT OR Apache-2.0
//! The other ends of connections.

use super::*;

/// A peer, and what is known of its connection besides.
struct Found<'a> {
    peer: &'a mut Peer,
    /// `None`: it waits at a server.
    socket: Option<Known<'a>>,
}

/// What is known of its socket.
struct Known<'a> {
    reset: &'a mut bool,
    given_up: bool,
    shut: bool,
}

impl Found<'_> {
    /// It can send, or end its side.
    fn goes_on(&self) -> bool {
        let is_reset = self.socket.as_ref().is_some_and(|socket| *socket.reset);
        !self.peer.ended && !is_reset && !self.peer.stream.is_torn()
    }

    /// The library may have given it up.
    fn may_fail(&self) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.given_up)
    }
}

/// Something is done to a peer: one that is connected, or one that waits at a server.
fn with_peer(choice: usize, action: impl FnOnce(Found)) {
    with(|trial| {
        let mut peers: Vec<Found> = Vec::new();
        for socket in &mut trial.model.sockets {
            let state = Some(Known { reset: &mut socket.reset, given_up: socket.given_up, shut: socket.shut });
            peers.extend(socket.peer.as_mut().map(|peer| Found { peer, socket: state }));
        }
        for server in &mut trial.model.servers {
            peers.extend(server.waiting.iter_mut().map(|peer| Found { peer, socket: None }));
        }
        if peers.is_empty() {
            return;
        }
        let place = choice % peers.len();
        action(peers.swap_remove(place));
        for socket in &mut trial.model.sockets {
            socket.note_half_open();
        }
    });
}

pub fn peer_sends() {
    let (choice, length) = (byte(), amount());
    if !may_send(length) {
        return;
    }
    with_peer(choice, |found| {
        if !found.goes_on() {
            return;
        }
        let may_fail = found.may_fail();
        let peer = found.peer;
        let bytes: Vec<u8> = (peer.sent..peer.sent + length).map(|place| pattern(peer.number, place)).collect();
        peer.stream.set_nonblocking();
        match (&peer.stream).write(&bytes) {
            Ok(count) => peer.sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => assert!(may_fail, "the peer cannot write: {error}"),
        }
    });
}

pub fn peer_reads() {
    let (choice, length) = (byte(), amount());
    let place = with(|trial| {
        let connected: Vec<usize> = (0..trial.model.sockets.len())
            .filter(|index| trial.model.sockets[*index].peer.is_some() && !trial.model.sockets[*index].reset)
            .collect();
        (!connected.is_empty()).then(|| connected[choice % connected.len()])
    });
    if let Some(index) = place {
        with(|trial| {
            let socket = &mut trial.model.sockets[index];
            let peer = socket.peer.as_mut().expect("looked at above");
            let end = peer.receive(&socket.written, length);
            // While the socket is connected it is neither; but the model may not have looked since the peer's end.
            let is_shut = socket.shut && end == Some(End::Fin) && peer.got == socket.written.len();
            assert!(end.is_none() || peer.ended || is_shut || socket.given_up, "{end:?} from a connected socket");
        });
    }
}

/// How a connection has ended, as the peer sees it.
#[derive(Debug, PartialEq)]
pub enum End {
    Fin,
    Torn,
}

impl Peer {
    /// Reads up to `length` bytes, which must be the next ones of `written`.
    pub fn receive(&mut self, written: &[u8], mut length: usize) -> Option<End> {
        let mut buffer = [0; 65536];
        self.stream.set_nonblocking();
        while length > 0 {
            let room = length.min(buffer.len());
            match (&self.stream).read(&mut buffer[..room]) {
                Ok(0) => {
                    self.saw_end = true;
                    return Some(End::Fin);
                }
                Ok(count) => {
                    let expected = written.get(self.got..self.got + count);
                    assert!(expected == Some(&buffer[..count]), "the peer got what was not written");
                    self.got += count;
                    length -= count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(_) => return Some(End::Torn),
            }
        }
        None
    }
}

pub fn peer_ends() {
    with_peer(byte(), |found| {
        if found.goes_on() {
            let outcome = found.peer.stream.end();
            assert!(outcome.is_ok() || found.may_fail(), "a FIN");
            found.peer.ended = true;
        }
    });
}

pub fn peer_resets() {
    with_peer(byte(), |found| {
        // Where both sides have ended there is nothing to be reset.
        if found.peer.ended && found.socket.as_ref().is_some_and(|socket| socket.shut) {
            return;
        }
        let is_torn = found.peer.stream.tear();
        if let Some(socket) = found.socket {
            *socket.reset |= is_torn;
        }
    });
}
