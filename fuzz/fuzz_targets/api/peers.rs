// SPDX-License-Identifier: MIT OR Apache-2.0
//! The other ends of connections.

use super::*;

/// Something is done to a peer: one that is connected, or one that waits at a server.
pub fn with_peer(choice: usize, action: impl FnOnce(&mut Peer, &mut bool) -> bool) {
    with(|trial| {
        let mut peers: Vec<(&mut Peer, Option<&mut bool>)> = Vec::new();
        for socket in &mut trial.model.sockets {
            peers.extend(socket.peer.as_mut().map(|peer| (peer, Some(&mut socket.reset))));
        }
        for server in &mut trial.model.servers {
            peers.extend(server.waiting.iter_mut().map(|peer| (peer, None)));
        }
        if peers.is_empty() {
            return;
        }
        let place = choice % peers.len();
        let (peer, is_reset) = &mut peers[place];
        let mut unused = false;
        action(peer, is_reset.as_deref_mut().unwrap_or(&mut unused));
    });
}

pub fn peer_sends() {
    let (choice, length) = (byte(), amount());
    if !may_send(length) {
        return;
    }
    with_peer(choice, |peer, is_reset| {
        if peer.ended || *is_reset || common::is_reset(&peer.stream) {
            return false;
        }
        let bytes: Vec<u8> = (peer.sent..peer.sent + length).map(|place| pattern(peer.number, place)).collect();
        peer.stream.set_nonblocking(true).expect("an option");
        match peer.stream.write(&bytes) {
            Ok(count) => peer.sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("the peer cannot write: {error}"),
        }
        true
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
            assert!(end.is_none() || peer.ended, "{end:?} from a connected socket");
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
        self.stream.set_nonblocking(true).expect("an option");
        while length > 0 {
            let room = length.min(buffer.len());
            match self.stream.read(&mut buffer[..room]) {
                Ok(0) => return Some(End::Fin),
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
    with_peer(byte(), |peer, is_reset| {
        if !peer.ended && !*is_reset && !common::is_reset(&peer.stream) {
            peer.stream.shutdown(Shutdown::Write).expect("a FIN");
            peer.ended = true;
        }
        true
    });
}

pub fn peer_resets() {
    with_peer(byte(), |peer, is_reset| {
        common::tear(&peer.stream);
        *is_reset = true;
        true
    });
}
