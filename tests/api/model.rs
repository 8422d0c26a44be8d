// SPDX-License-Identifier: MIT OR Apache-2.0
//! A socket against a model of it: random programs of calls, of what the peer does, and of turns of the loop. Statuses,
//! properties and events must be those of the model.

use proptest::prelude::*;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use support::*;

use server_socket::*;

#[derive(Clone, Debug)]
enum Step {
    Connect,
    ConnectToNobody,
    Close,
    Abort,
    Shutdown,
    HalfOpen(bool),
    Write(u8),
    Read(u8),
    Skip(u8),
    Flush,
    Pause,
    Resume,
    PeerWrites(u8),
    PeerEnds,
    PeerResets,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Connect),
        1 => Just(Step::ConnectToNobody),
        2 => Just(Step::Close),
        1 => Just(Step::Abort),
        2 => Just(Step::Shutdown),
        2 => any::<bool>().prop_map(Step::HalfOpen),
        4 => any::<u8>().prop_map(Step::Write),
        4 => any::<u8>().prop_map(Step::Read),
        2 => any::<u8>().prop_map(Step::Skip),
        1 => Just(Step::Flush),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        5 => any::<u8>().prop_map(Step::PeerWrites),
        2 => Just(Step::PeerEnds),
        1 => Just(Step::PeerResets),
    ]
}

/// What a socket is, as far as can be seen from outside, when nothing is under way any more.
#[derive(Default)]
struct Model {
    connected: bool,
    /// Its last attempt to connect has succeeded: whom it is or was connected to can be asked.
    met: bool,
    paused: bool,
    /// What has come and is unread.
    unread: Vec<u8>,
    /// What the peer has sent while reading is paused.
    in_flight: Vec<u8>,
    /// The peer has ended its side, and that is not seen yet since reading is paused.
    end_in_flight: bool,
    /// The peer has ended its side: it can send no more.
    peer_ended: bool,
    /// The peer has reset the connection, and that is not seen yet.
    reset_in_flight: bool,
    /// SS_OPT_HALF_OPEN is set.
    half_open: bool,
    /// The host was told of the peer's end, and goes on.
    heard_end: bool,
    /// Our side has ended.
    shut: bool,
    /// What the peer must have got at the end.
    written: Vec<u8>,
    events: Vec<&'static str>,
}

impl Model {
    fn status(&self, allowed: bool) -> ss_status {
        if allowed { SS_OK } else { SS_ERR_IO }
    }

    fn peer_may_send(&self) -> bool {
        self.connected && !self.peer_ended
    }

    fn forget_connection(&mut self) {
        let events = std::mem::take(&mut self.events);
        *self = Model { events, met: self.met, half_open: self.half_open, ..Model::default() };
    }

    /// Whatever was on its way arrives.
    fn settle(&mut self) {
        if !self.connected {
            return;
        }
        if !self.paused {
            self.hear();
        }
        // Nothing can come any more that a pause would hold back.
        if self.heard_end && self.shut {
            self.close();
        }
    }

    /// What the peer has sent is read, to its end.
    fn hear(&mut self) {
        if !self.in_flight.is_empty() {
            self.unread.append(&mut self.in_flight);
            self.events.push("socketData");
        }
        if std::mem::take(&mut self.end_in_flight) {
            self.heard_end = self.half_open;
            if self.half_open {
                self.events.push("end");
            } else {
                self.close();
            }
        }
        if std::mem::take(&mut self.reset_in_flight) {
            self.close();
        }
    }

    fn close(&mut self) {
        (self.connected, self.heard_end) = (false, false);
        self.events.push("close");
    }
}

struct World {
    events: Loop,
    listener: TcpListener,
    socket: Socket,
    peer: Option<TcpStream>,
    log: Log,
    model: Model,
}

impl World {
    fn new() -> World {
        let events = Loop::new();
        let socket = Socket(ss_socket_new(events.0));
        let log = Log::default();
        for kind in [CONNECT, SOCKET_DATA, END, CLOSE, IO_ERROR] {
            on(socket, kind, log.adds(kind.to_str().expect("UTF-8")));
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        World { events, listener, socket, peer: None, log, model: Model::default() }
    }

    fn connect(&mut self, port: u16) {
        ok(unsafe { ss_socket_connect(self.socket.0, c"127.0.0.1".as_ptr(), port.into()) });
        self.model.forget_connection();
        self.model.met = false;
        assert!(!self.socket.connected());
    }

    fn run(&mut self, step: &Step) {
        let model = &mut self.model;
        match step {
            Step::Connect => {
                let port = self.listener.local_addr().expect("an address").port();
                self.connect(port);
                let (peer, _) = self.listener.accept().expect("it connects");
                set_timeouts(&peer);
                self.peer = Some(peer);
                self.events.pump_until(|| self.socket.connected());
                (self.model.connected, self.model.met) = (true, true);
                self.model.events.push("connect");
            }
            Step::ConnectToNobody => {
                let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
                self.connect(port);
                self.peer = None;
                let before = self.log.len();
                self.events.pump_until(|| self.log.len() > before);
                self.model.events.push("ioError");
            }
            Step::Close => {
                let allowed = model.connected || !model.unread.is_empty();
                assert_eq!(self.socket.close(), model.status(allowed));
                if allowed {
                    let (was_connected, written) = (model.connected, std::mem::take(&mut model.written));
                    model.forget_connection();
                    if was_connected {
                        self.check_delivered(&written);
                    }
                }
            }
            Step::Abort => {
                assert_eq!(self.socket.abort(), model.status(model.connected));
                if model.connected {
                    model.forget_connection();
                    self.peer = None;
                }
            }
            Step::Shutdown => {
                assert_eq!(self.socket.shutdown(), model.status(model.connected));
                model.shut |= model.connected;
            }
            Step::HalfOpen(yes) => {
                set(self.socket, SS_OPT_HALF_OPEN, (*yes).into());
                model.half_open = *yes;
            }
            Step::Write(length) => {
                let bytes = vec![*length; usize::from(*length)];
                let allowed = model.connected && !model.shut;
                assert_eq!(self.socket.write(&bytes), model.status(allowed));
                if allowed {
                    model.written.extend_from_slice(&bytes);
                }
            }
            Step::Read(length) => {
                let count = model.unread.len().min((*length).into());
                assert_eq!(self.socket.read((*length).into()), model.unread[..count]);
                model.unread.drain(..count);
            }
            Step::Skip(length) => {
                let length = usize::from(*length);
                let expected = match (model.connected || !model.unread.is_empty(), length <= model.unread.len()) {
                    (false, _) => SS_ERR_IO,
                    (true, false) => SS_ERR_EOF,
                    (true, true) => SS_OK,
                };
                assert_eq!(self.socket.skip(length), expected);
                if expected == SS_OK {
                    model.unread.drain(..length);
                }
            }
            Step::Flush => assert_eq!(self.socket.flush(), model.status(model.connected)),
            Step::Pause => {
                assert_eq!(ss_socket_pause(self.socket.0), model.status(model.connected));
                model.paused |= model.connected;
            }
            Step::Resume => {
                assert_eq!(ss_socket_resume(self.socket.0), model.status(model.connected));
                model.paused = false;
            }
            Step::PeerWrites(length) => {
                if let Some(peer) = self.peer.as_mut().filter(|_| model.peer_may_send()) {
                    let bytes: Vec<u8> = (0..=*length).collect();
                    peer.write_all(&bytes).expect("it writes");
                    model.in_flight.extend_from_slice(&bytes);
                }
            }
            Step::PeerEnds => {
                if let Some(peer) = self.peer.as_ref().filter(|_| model.peer_may_send()) {
                    peer.shutdown(Shutdown::Write).expect("a FIN");
                    model.peer_ended = true;
                    model.end_in_flight = true;
                }
            }
            Step::PeerResets => {
                // What it had sent comes first; only then is a reset like an end, if nothing of ours is lost.
                if model.peer_may_send() && !model.paused {
                    self.settle();
                    if let Some(peer) = self.peer.take() {
                        reset(peer);
                        self.model.reset_in_flight = true;
                    }
                }
            }
        }
        self.settle();
    }

    /// Turns until the socket is what the model says.
    fn settle(&mut self) {
        self.model.settle();
        let (socket, model, log) = (self.socket, &self.model, &self.log);
        self.events.pump_until(|| {
            socket.connected() == model.connected
                && socket.available() == model.unread.len()
                && log.len() >= self.model.events.len()
                && socket.pending() == 0
        });
        self.check();
    }

    fn check(&self) {
        self.events.turn(0);
        assert_eq!(self.socket.connected(), self.model.connected);
        assert_eq!(self.socket.available(), self.model.unread.len());
        assert_eq!(self.socket.remote().0.is_some(), self.model.met);
        // Bytes that came in several segments may have been several events.
        let mut seen = self.log.entries();
        seen.dedup_by(|a, b| a == "socketData" && b == "socketData");
        let mut expected = self.model.events.clone();
        expected.dedup_by(|a, b| *a == "socketData" && *b == "socketData");
        assert_eq!(seen, expected);
    }

    /// Everything that was written reaches the peer, and then the end.
    fn check_delivered(&mut self, written: &[u8]) {
        let Some(mut peer) = self.peer.take() else { return };
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            match peer.read_to_end(&mut got) {
                // Only a connection on which nothing was written is closed without regard to unread input.
                Err(error) if error.kind() == ErrorKind::ConnectionReset && got.is_empty() => got,
                outcome => {
                    outcome.expect("no error");
                    got
                }
            }
        });
        assert_same_bytes(&self.events.join(reader), written);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("SS_TEST_MODEL_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(60),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_socket_does_what_its_model_does(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
    }
}
