// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a program: what must happen by itself does, and everything is given back.

use super::*;

/// What is on its way arrives, then everything is given back.
pub fn wind_down() {
    turn_until("what must happen did not", poll_all, || {
        with(|trial| {
            for socket in trial.model.sockets.iter_mut().filter(|socket| !socket.reset) {
                if let Some(peer) = &mut socket.peer {
                    peer.receive(&socket.written, usize::MAX);
                }
            }
            trial.model.what_is_missing()
        })
    });
    close_kept();
    release_all(|id| !matches!(id, Id::Loop(_)));
    turn_until("what was written before the close did not come", poll_all, || with(|trial| trial.model.say_farewell()));
    release_all(|_| true);
    // What still lingers on the thread's own loop sees that its peer is gone.
    turn_until(
        "the end is not reached",
        |patience| poll_once(0, patience),
        || {
            with(|trial| match common::open_descriptors() == trial.descriptors {
                true => trial.model.what_is_missing(),
                false => Some(String::from("descriptors are left")),
            })
        },
    );
    with(|trial| {
        assert!(trial.model.cancelled.is_empty(), "tasks that were neither run nor cancelled");
        assert_eq!(trial.model.living(Wanted::Any).len(), 1, "only the thread's own loop is left");
    });
    count_objects();
    assert_eq!(ends::files(), 0, "files of servers are left");
    TRIAL.with(|slot| *slot.borrow_mut() = None);
}

/// What the library holds would be there for as long as its connections are.
fn close_kept() {
    for index in 0..with(|trial| trial.model.sockets.len()) {
        let is_kept = with(|trial| {
            let socket = &trial.model.sockets[index];
            socket.life.alive && socket.keep != Keep::No
        });
        if is_kept {
            leave(Id::Socket(index), ss_socket_close, false);
        }
    }
}

/// Turns until nothing is missing.
pub fn turn_until(failure: &str, turn: impl Fn(i32), missing: impl Fn() -> Option<String>) {
    let start = Instant::now();
    let mut rounds = 0;
    while let Some(what) = missing() {
        assert!(start.elapsed() < Duration::from_secs(5), "{failure}: {what}");
        // Most of it happens at once.
        turn(if rounds < 20 { 0 } else { 1 });
        rounds += 1;
    }
}

pub fn release_all(wanted: impl Fn(Id) -> bool) {
    while let Some(id) = with(|trial| {
        let living = trial.model.living(Wanted::Any);
        living.iter().map(|(id, _)| *id).rfind(|id| wanted(*id) && trial.model.life(*id).references > 0)
    }) {
        let handle = pointer(id);
        assert_eq!(with(|trial| trial.model.release(id)), SS_OK);
        assert_eq!(ss_release(handle), SS_OK);
        with(|trial| trial.model.settle());
    }
    check_destructors();
}

pub fn poll_all(patience: i32) {
    for (id, _) in with(|trial| trial.model.living(Wanted::Loop)) {
        let Id::Loop(home) = id else { unreachable!() };
        if with(|trial| trial.model.life(id).alive) {
            poll_once(home, patience);
        }
    }
}

impl Model {
    /// What must still happen by itself.
    fn what_is_missing(&self) -> Option<String> {
        let model = self;
        for (index, socket) in model.sockets.iter().enumerate().filter(|(_, socket)| socket.life.alive) {
            let Some(peer) = &socket.peer else {
                if socket.state.is_free() == Some(false) {
                    return Some(format!("socket {index} is to be connected"));
                }
                continue;
            };
            // A reset is noticed whatever is paused or full.
            if socket.reset {
                return Some(format!("socket {index} was reset"));
            }
            let full = socket.unread() >= socket.options[READ_LIMIT] as usize;
            if socket.server.is_some_and(|server| model.servers[server].life.alive && model.servers[server].evicts) {
                return Some(format!("the time of socket {index} is over"));
            }
            // Whether the peer's end is the connection's, too.
            let ends = peer.ended && (!socket.may_be_half || socket.shut);
            let end_has_come = ends && peer.stream.has_arrived();
            let reads_on = !full && (socket.arrived < peer.sent || ends);
            let held_back = model.may_be_held_back(socket);
            let is_silent = !full && socket.options[READ_TIMEOUT] == 1 && !(peer.ended && socket.may_be_half);
            if !socket.paused && !held_back && is_silent {
                return Some(format!("the peer of socket {index} says nothing"));
            }
            let told = socket.deaf || socket.end_unheard || !socket.dispatcher.hears(END);
            if !socket.paused && !held_back && !full && peer.ended && !socket.may_be_whole && !told {
                return Some(format!("socket {index} hears of no end"));
            }
            if socket.shut && peer.got == socket.written.len() && !peer.saw_end {
                return Some(format!("the peer of socket {index} meets no end"));
            }
            if !socket.paused && !held_back && (reads_on || end_has_come) {
                return Some(format!(
                    "socket {index} has {} of {} bytes; ended: {}",
                    socket.arrived, peer.sent, peer.ended
                ));
            }
            if peer.got < socket.written.len() {
                return Some(format!("the peer of socket {index} has {} of {} bytes", peer.got, socket.written.len()));
            }
        }
        for (index, server) in model.servers.iter().enumerate().filter(|(_, server)| server.life.alive) {
            let open =
                model.sockets.iter().filter(|socket| socket.server == Some(index) && socket.is_connected()).count();
            let full = server.options[MAX_CONNECTIONS] > 0 && open as i64 >= server.options[MAX_CONNECTIONS];
            let accepts = server.state == ServerState::Listening && !server.paused && !full;
            // Where there is no place nobody looks whether somebody waits for one.
            if server.draining && server.is_bound() && !server.paused && !full && server.waiting.is_empty() {
                return Some(format!("server {index} drains, and has its port"));
            }
            if accepts && server.dispatcher.hears(CONNECT) && !server.waiting.is_empty() {
                return Some(format!("peers wait at server {index}"));
            }
        }
        if model.loops.iter().any(|object| !object.tasks.is_empty()) {
            return Some(String::from("tasks are to be run"));
        }
        self.missing_timer()
    }

    /// Whether a socket may be read from no further since all of its server have too much unread.
    fn may_be_held_back(&self, socket: &Socket) -> bool {
        let Some(server) = socket.server else { return false };
        let its = self.sockets.iter().filter(|socket| socket.life.alive && socket.server == Some(server));
        let (unread, open) = its.fold((0, 0), |(unread, open), socket| {
            (unread + socket.unread() as i64, open + i64::from(socket.is_connected()))
        });
        let limit = self.servers[server].options[UNREAD_LIMIT];
        let part = (limit / 4 / open.max(1)).max(1);
        unread > limit - limit / 8 && socket.unread() as i64 >= part
    }

    /// What closed sockets had written comes to their peers, and then the end.
    fn say_farewell(&mut self) -> Option<String> {
        self.farewells.retain_mut(|farewell| {
            let end = farewell.peer.receive(&farewell.written, usize::MAX);
            if let Some(end) = &end {
                let Farewell { peer, written, whole, reset, .. } = farewell;
                // There is no reset in the Unix domain.
                let tells = !peer.stream.is_unix();
                let all = peer.got == written.len();
                assert!(all || !*whole, "{end:?} after {} of {} bytes", peer.got, written.len());
                // Output that is dropped never ends in what looks like a good end.
                assert!(all || *end == End::Torn || !tells, "an end after {} of {} bytes", peer.got, written.len());
                match reset {
                    Reset::No => {
                        assert!(*end == End::Fin || written.is_empty() || !tells, "torn though all was written")
                    }
                    Reset::Maybe => {}
                    Reset::Yes => assert_eq!(*end, End::Torn, "the socket was aborted"),
                }
            }
            end.is_none()
        });
        self.farewells.first().map(|farewell| format!("{} of {} bytes", farewell.peer.got, farewell.written.len()))
    }
}
