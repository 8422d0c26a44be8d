// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host with a loop of its own waits for the descriptor and nothing else: whatever it does between turns, and whatever
//! others do meanwhile, the descriptor is readable when there is work.

#![cfg(target_os = "linux")]

use server_socket::*;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use support::*;

/// The host.
struct Host {
    events: Loop,
    descriptor: i32,
    /// What has happened: listeners called, tasks run.
    happened: Rc<std::cell::Cell<usize>>,
}

impl Host {
    fn new() -> Host {
        let events = Loop::new();
        let mut descriptor = -1;
        ok(unsafe { ss_loop_fd(events.0, &mut descriptor) });
        Host { events, descriptor: descriptor as i32, happened: shared() }
    }

    fn count(&self) -> impl Fn(Event) + 'static {
        let happened = self.happened.clone();
        move |_| increment(&happened)
    }

    fn is_readable(&self, milliseconds: i32) -> bool {
        let mut wait = libc::pollfd { fd: self.descriptor, events: libc::POLLIN, revents: 0 };
        unsafe { libc::poll(&mut wait, 1, milliseconds) == 1 }
    }

    /// Waits until `count` things have happened since the last time, for the descriptor and for nothing else.
    #[track_caller]
    fn expect(&self, count: usize, what: &str) {
        while self.happened.get() < count {
            assert!(self.is_readable(10_000), "{what}: nobody told of it");
            self.events.turn(0);
        }
        self.happened.set(0);
    }

    /// The same for what comes when a time is over, of which the descriptor does not tell.
    #[track_caller]
    fn expect_in_time(&self, count: usize, what: &str) {
        while self.happened.get() < count {
            let patience = ss_loop_timeout(self.events.0);
            let limit = if patience < 0 { 10_000 } else { patience };
            assert!(self.is_readable(limit) || patience >= 0, "{what}: nobody told of it");
            self.events.turn(0);
        }
        self.happened.set(0);
    }
}

#[test]
fn the_descriptor_tells_of_everything_that_is_to_be_done() {
    let operations = std::env::var("SS_TEST_POLLABLE").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let host = Host::new();
    let server = Server::listening(&host.events);
    let accepted = server.keep_accepted();
    on(&server, CONNECT, host.count());
    let mut peer = server.client();
    peer.set_nodelay(true).expect("an option");
    host.expect(1, "a peer");
    let socket = accepted.last();
    let _kept = socket.keep();
    accepted.clear();
    ok(ss_set_option(socket.0.cast(), SS_OPT_READ_LIMIT, 100));
    on(socket, SOCKET_DATA, host.count());
    let mut random = Random(50);
    let mut kinds = [0_usize; 11];
    for _ in 0..operations {
        let kind = random.below(kinds.len());
        kinds[kind] += 1;
        match kind {
            0 => {
                peer.write_all(b"word").expect("it writes");
                host.expect(1, "input");
            }
            1 | 2 => {
                let progress = on(socket, OUTPUT_PROGRESS, host.count());
                ok(socket.write(b"word"));
                if kind == 2 {
                    ok(socket.flush());
                }
                host.expect(1, "output that was written between turns");
                progress.remove();
                peer.read_exact(&mut [0; 4]).expect("it came");
            }
            3 => {
                ok(ss_socket_pause(socket.0));
                peer.write_all(b"word").expect("it writes");
                host.events.turn(0);
                ok(ss_socket_resume(socket.0));
                host.expect(1, "input that waited for resume");
            }
            4 => {
                peer.write_all(&[7; 150]).expect("it writes");
                host.expect(1, "input up to the limit");
                assert_eq!(socket.read_all().len(), 100);
                host.expect(1, "input beyond the limit");
            }
            5 => {
                peer.write_all(&[7; 150]).expect("it writes");
                host.expect(1, "input up to the limit");
                ok(ss_set_option(socket.0.cast(), SS_OPT_READ_LIMIT, 200));
                host.expect(1, "input below a new limit");
                ok(ss_set_option(socket.0.cast(), SS_OPT_READ_LIMIT, 100));
            }
            6 => {
                let happened = host.happened.clone();
                post(host.events.0, move || increment(&happened));
                host.expect(1, "a task");
            }
            7 => {
                ok(ss_loop_wake(host.events.0));
                assert!(host.is_readable(10_000), "a wake");
                host.events.turn(0);
            }
            8 => {
                ok(ss_pause(server.0));
                let newcomer = server.client();
                host.events.turn(0);
                ok(ss_resume(server.0));
                host.expect(1, "a peer that waited for resume");
                reset(newcomer);
            }
            9 => {
                let newcomer = server.client();
                host.expect(1, "a peer");
                on(accepted.last(), CLOSE, host.count());
                newcomer.shutdown(Shutdown::Write).expect("a FIN");
                host.expect(1, "the end of a peer");
                reset(newcomer);
            }
            _ => {
                let newcomer = server.client();
                host.expect(1, "a peer");
                on(accepted.last(), IO_ERROR, host.count());
                ok(ss_set_option(accepted.last().0.cast(), SS_OPT_IDLE_TIMEOUT, 1));
                host.expect_in_time(1, "the end of patience");
                reset(newcomer);
            }
        }
        socket.read_all();
        accepted.clear();
    }
    figure(format_args!("{operations} operations between turns, {kinds:?} of each kind: no wake-up missed"));
}
