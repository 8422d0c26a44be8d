// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the library tells by itself: whether it may be, and whose turn it is.

use super::*;

impl Trial {
    /// A listener is called. Returns the event.
    pub fn enter(&mut self, event: *mut ss_event, target: Handle, kind: usize, pair: Pair) -> usize {
        let handle = event.addr();
        let model = &mut self.model;
        let is_known = match model.frames.last() {
            Some(Frame::Poll { walk, .. }) => {
                walk.as_ref().is_some_and(|walk| model.events[walk.event].life.handle == handle)
            }
            Some(Frame::Dispatch { walk }) => {
                let walk = walk.as_ref().expect("it is under way");
                let life = &mut model.events[walk.event].life;
                if life.handle == 0 {
                    life.handle = handle;
                }
                assert_eq!(life.handle, handle, "another event than the one dispatched");
                true
            }
            None => panic!("a listener runs outside of polls and dispatches"),
        };
        if !is_known {
            model.finish_dispatch();
        }
        self.look_at_connections();
        let model = &mut self.model;
        if !is_known {
            let target = model.find(target).expect("the target of an event lives");
            let walk = self.announced(event, target, kind);
            let Some(Frame::Poll { home, walk: slot, events, .. }) = self.model.frames.last_mut() else {
                unreachable!()
            };
            assert_eq!(walk.home, *home, "an event of another loop");
            *events += 1;
            *slot = Some(walk);
        }
        let model = &mut self.model;
        let mut frame = model.frames.pop().expect("looked at above");
        let walk = frame.walk_mut().as_mut().expect("it is under way");
        assert!(!walk.running, "a listener runs inside another of the same dispatch");
        assert_eq!(model.find(target), Some(walk.target));
        assert_eq!(model.events[walk.event].kind, kind);
        assert_eq!(model.next_listener(walk), Some(pair), "another listener's turn");
        walk.running = true;
        let index = walk.event;
        model.frames.push(frame);
        index
    }

    /// The library dispatches an event of its own: whether that may be, and what it tells.
    fn announced(&mut self, event: *mut ss_event, target: Id, kind: usize) -> Walk {
        let model = &mut self.model;
        assert!(model.brings_events(model.home(target)), "an event of a loop that was released");
        let mut accepted = None;
        match (kind, target) {
            (CONNECT, Id::Server(server)) => accepted = Some(self.accepted(server, event)),
            (CONNECT, Id::Socket(index)) => assert!(self.model.sockets[index].is_connected()),
            (CLOSE, Id::Socket(index)) => {
                let socket = &mut model.sockets[index];
                assert!(std::mem::take(&mut socket.owes_close), "a close event that nobody is owed");
                let error = ss_event_os_error(event);
                match (socket.reset, socket.peer_ended) {
                    (false, _) => assert_eq!(error, 0, "the peer has ended its side, and no more"),
                    (true, false) => assert_ne!(error, 0, "the peer has reset the connection"),
                    // Which of the two was met is not known.
                    (true, true) => {}
                }
            }
            (SOCKET_DATA, Id::Socket(index)) => {
                let socket = &mut model.sockets[index];
                let loaded = ss_event_bytes_loaded(event) as usize;
                assert!(socket.is_connected() && !socket.paused && loaded > 0);
                assert!(loaded <= socket.unread(), "more bytes are new than there are");
            }
            (OUTPUT_PROGRESS, Id::Socket(index)) => {
                let socket = &model.sockets[index];
                assert!(socket.is_connected());
                // What was lost with a torn connection is not counted any more.
                let (total, written) = (ss_event_bytes_total(event), socket.written.len() as u64);
                assert!(total == written || (socket.reset && total < written), "{total} of {written} bytes");
                assert!(ss_event_bytes_pending(event) <= ss_event_bytes_total(event));
            }
            (IO_ERROR, Id::Socket(index)) => {
                let socket = &mut model.sockets[index];
                match socket.state {
                    // Whoever listens is reached.
                    State::Connecting(None) => {
                        assert_eq!(ss_event_os_error(event), libc::ECONNREFUSED);
                        socket.state = State::Idle;
                    }
                    _ => {
                        assert!(socket.owes_close && socket.reset, "an ioError out of nothing");
                        assert_ne!(ss_event_os_error(event), 0);
                    }
                }
            }
            _ => panic!("an event of the library: {:?} at {target:?}", TYPES[kind]),
        }
        let model = &mut self.model;
        let numbers = [
            if kind == SOCKET_DATA { ss_event_bytes_loaded(event) } else { 0 },
            if kind == OUTPUT_PROGRESS { ss_event_bytes_pending(event) } else { 0 },
            if kind == OUTPUT_PROGRESS { ss_event_bytes_total(event) } else { 0 },
            if kind == IO_ERROR { 2031 } else { 0 },
            if kind == IO_ERROR || kind == CLOSE { ss_event_os_error(event) as u64 } else { 0 },
        ];
        let mut made = Event::new(event.addr(), kind, false, false);
        made.life.references = 0;
        model.events.push(Event { socket: accepted, numbers, ..made });
        model.walk(target, model.events.len() - 1, accepted)
    }

    /// A server's connect event: it is the turn of the peer that has waited longest.
    fn accepted(&mut self, server: usize, event: *mut ss_event) -> usize {
        let handle = ss_event_socket(event);
        let model = &mut self.model;
        assert_eq!(model.find(handle.addr()), None, "an accepted socket is a new one");
        let object = &mut model.servers[server];
        assert!(object.state == ServerState::Listening && !object.paused, "accepted by a server that does not");
        let peer = object.waiting.pop_front().expect("somebody waited");
        object.accepted += 1;
        let ends = (object.port, i32::from(peer.port));
        assert_eq!((ss_socket_local_port(handle), ss_socket_remote_port(handle)), ends);
        assert!(ss_socket_connected(handle));
        if peer.narrow {
            let mut descriptor = -1;
            // SAFETY: `descriptor` is ours.
            assert_eq!(unsafe { ss_native_handle(handle.cast(), &mut descriptor) }, SS_OK);
            common::narrow(descriptor);
        }
        let options = object.options;
        let mut socket = Socket::new(handle.addr(), 0, object.home, options);
        (socket.server, socket.state, socket.ends) = (Some(server), State::Connected, Some(ends));
        (socket.number, socket.reset) = (peer.number, common::is_reset(&peer.stream));
        socket.peer = Some(peer);
        model.sockets.push(socket);
        let limit = options[MAX_CONNECTIONS];
        if limit > 0 {
            let stats = stats(std::ptr::without_provenance_mut(model.servers[server].life.handle));
            assert!(stats.open + stats.lingering <= limit as u64, "{stats:?}: more than may be there");
            model.make_place(server);
        }
        model.sockets.len() - 1
    }

    /// What turns have changed on the loops that are being polled.
    pub fn look_at_connections(&mut self) {
        let homes: Vec<usize> = self
            .model
            .frames
            .iter()
            .filter_map(|frame| match frame {
                Frame::Poll { home, .. } => Some(*home),
                Frame::Dispatch { .. } => None,
            })
            .collect();
        for socket in &mut self.model.sockets {
            if socket.life.alive && homes.contains(&socket.home) {
                socket.look(&mut self.model.farewells);
            }
        }
    }
}

impl Socket {
    /// Takes over what the library says about the connection, if it can be true.
    fn look(&mut self, farewells: &mut Vec<Farewell>) {
        let handle: *mut ss_socket = std::ptr::without_provenance_mut(self.life.handle);
        let connected = ss_socket_connected(handle);
        match &self.state {
            State::Connecting(Some(listener)) if connected => {
                let (stream, _) = listener.accept().expect("it is connected");
                let port = listener.local_addr().expect("it is bound").port();
                self.ends = Some((common::peer_port(&stream).into(), port.into()));
                assert_eq!(Some((ss_socket_local_port(handle), ss_socket_remote_port(handle))), self.ends);
                reset(&stream);
                self.peer = Some(Peer::new(stream, self.number));
                self.state = State::Connected;
            }
            State::Connected => {}
            _ => assert!(!connected),
        }
        let (available, left) = (ss_socket_bytes_available(handle), self.peer.as_ref().map_or(0, |peer| peer.sent));
        if self.is_connected() {
            let come = available.checked_sub(self.unread()).expect("unread bytes are gone");
            assert!(self.arrived + come <= left, "more bytes than were sent");
            let limit = self.options[READ_LIMIT] as usize;
            let peer_ended = self.peer.as_ref().is_some_and(|peer| peer.ended);
            // What the kernel has of a connection that is over is taken in beyond the limit.
            assert!(
                come == 0 || available <= limit || self.reset || peer_ended,
                "{available} bytes and a limit of {limit}"
            );
            assert!(come == 0 || !self.paused || self.reset, "{come} bytes were read, though it is paused");
            self.arrived += come;
            if !connected {
                let peer = self.peer.take().expect("it was connected");
                self.peer_ended = peer.ended;
                assert!(
                    peer.ended || self.reset,
                    "the connection {} of server {:?} has ended, and nobody has ended it",
                    self.number,
                    self.server
                );
                assert!(self.reset || self.arrived == peer.sent, "the end came before the data");
                assert!(self.reset || !self.paused, "the end of a connection that is paused");
                (self.state, self.owes_close) = (State::Ended, true);
                farewells.push(Farewell::new(self, peer));
            }
        }
        assert_eq!(available, self.unread());
    }
}
