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
                    // Whether its time was over first is not known.
                    _ if socket.given_up => {}
                    (false, _) => assert_eq!(error, 0, "the peer has ended its side, and no more"),
                    (true, false) => assert_ne!(error, 0, "the peer has reset the connection"),
                    // Which of the two was met is not known.
                    (true, true) => {}
                }
            }
            (CLOSE, Id::Server(index)) => self.drained(index, event),
            (END, Id::Socket(index)) => {
                let socket = &mut model.sockets[index];
                let peer = socket.peer.as_ref().expect("it is connected");
                assert!(peer.ended && !socket.paused && !socket.deaf, "an end out of nothing");
                assert!(socket.may_be_half, "an end of a connection that is not half-open");
                assert!(socket.arrived == peer.sent, "the end is told before the data");
                (socket.deaf, socket.may_be_whole) = (true, false);
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
                assert!(total == written || (socket.is_torn() && total < written), "{total} of {written} bytes");
                assert!(ss_event_bytes_pending(event) <= ss_event_bytes_total(event));
            }
            (IO_ERROR, Id::Socket(index)) => {
                let socket = &mut model.sockets[index];
                match socket.state {
                    // Whoever listens is reached.
                    State::Connecting(Target::Nobody(number)) => {
                        assert_eq!(ss_event_os_error(event), number);
                        socket.state = State::Idle;
                    }
                    _ => {
                        assert!(socket.owes_close && socket.is_torn(), "an ioError out of nothing");
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
        (made.life.references, made.told) = (0, true);
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
        let (options, overdue) = (object.options, object.overdue);
        let mut socket = Socket::new(handle.addr(), 0, object.home, options);
        socket.begin(State::Connected, peer.number);
        (socket.server, socket.unix) = (Some(server), peer.stream.is_unix());
        socket.ends = Some(ends).filter(|_| !socket.unix);
        (socket.reset, socket.given_up) = (peer.stream.is_torn(), socket.given_up || overdue);
        socket.peer = Some(peer);
        socket.note_half_open();
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
        let model = &mut self.model;
        for server in model.servers.iter_mut().filter(|server| homes.contains(&server.home)) {
            server.look();
        }
        for index in 0..model.sockets.len() {
            let socket = &mut model.sockets[index];
            if !socket.life.alive || !homes.contains(&socket.home) {
                continue;
            }
            if socket.life.references == 0 && socket.keep != Keep::No && !socket.is_there() {
                model.let_go_unheard(index);
            } else {
                socket.look(&mut model.farewells);
            }
        }
    }

    /// A server that drained has come to its end.
    fn drained(&mut self, index: usize, event: *mut ss_event) {
        let server = &mut self.model.servers[index];
        server.look();
        assert!(server.draining && !server.is_bound(), "a server closes that does not drain");
        server.draining = false;
        let error = ss_event_os_error(event);
        assert!(error == 0 || (server.overdue && error == libc::ETIMEDOUT), "it has ended with {error}");
        let open = self.model.sockets.iter().filter(|socket| socket.server == Some(index) && socket.is_connected());
        assert_eq!(open.count(), 0, "a server has drained, and has connections");
    }
}

impl Model {
    /// Whether the library holds a socket that nobody else does is seen.
    pub fn settle(&mut self) {
        for index in 0..self.sockets.len() {
            let socket = &self.sockets[index];
            if socket.life.alive && socket.life.references == 0 && socket.keep != Keep::No && !socket.is_there() {
                self.let_go_unheard(index);
            }
        }
    }

    /// The library has let go of a socket that nobody else had: its connection or attempt has ended, unheard.
    fn let_go_unheard(&mut self, index: usize) {
        let brings_events = self.brings_events(self.sockets[index].home);
        let socket = &mut self.sockets[index];
        // It may have let go of it when an earlier attempt had failed.
        let ended = socket.may_have_ended() || socket.keep == Keep::Unknown;
        if !ended && !brings_events {
            // Its loop has ended, and has taken it along.
            return;
        }
        assert!(ended, "the library has let go of a socket that is in use");
        socket.keep = Keep::No;
        self.reap(Id::Socket(index));
    }
}

impl Server {
    /// Takes over whether the library has given the port back, if it can have done so.
    pub fn look(&mut self) {
        let handle: *mut ss_server = std::ptr::without_provenance_mut(self.life.handle);
        if !self.life.alive || !self.draining || !self.is_bound() || ss_bound(handle) {
            return;
        }
        let may_lose = self.waiting.is_empty() || self.overdue || self.may_lose_waiting;
        assert!(may_lose, "a server that drains has given its port back while {} peers waited", self.waiting.len());
        self.close();
    }
}

impl Socket {
    /// Takes over what the library says about the connection, if it can be true.
    pub fn look(&mut self, farewells: &mut Vec<Farewell>) {
        let handle: *mut ss_socket = std::ptr::without_provenance_mut(self.life.handle);
        let connected = ss_socket_connected(handle);
        match &self.state {
            State::Connecting(target) if connected => {
                let (stream, ends) = target.accept();
                assert_eq!((ss_socket_local_port(handle), ss_socket_remote_port(handle)), ends.unwrap_or_default());
                (self.ends, self.unix) = (ends, stream.is_unix());
                self.local = self.local_end.flatten().unwrap_or(c"127.0.0.1");
                self.peer = Some(Peer::new(stream, self.number));
                self.state = State::Connected;
                self.note_half_open();
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
                come == 0 || available <= limit || self.is_torn() || peer_ended,
                "{available} bytes and a limit of {limit}"
            );
            assert!(come == 0 || !self.paused || self.is_torn(), "{come} bytes were read, though it is paused");
            self.arrived += come;
            if !connected {
                let peer = self.peer.take().expect("it was connected");
                self.peer_ended = peer.ended;
                assert!(
                    (peer.ended && self.ends_with_peer()) || self.is_torn(),
                    "the connection {} of server {:?} has ended, and nobody has ended it",
                    self.number,
                    self.server
                );
                assert!(self.is_torn() || self.arrived == peer.sent, "the end came before the data");
                // Where the peer's end was told there is nothing left to be paused.
                let is_known = self.shut && self.may_be_half;
                assert!(self.is_torn() || !self.paused || is_known, "the end of a connection that is paused");
                (self.state, self.owes_close) = (State::Ended, true);
                farewells.push(Farewell::new(self, peer));
            }
        }
        assert_eq!(available, self.unread());
    }
}
