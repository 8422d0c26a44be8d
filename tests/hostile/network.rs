// SPDX-License-Identifier: MIT OR Apache-2.0
//! Peers behind a cable that can be pulled, and addresses where nobody is: in networks that the tests make themselves
//! (network namespaces; that takes root, and iproute2's `ip`).

#![cfg(target_os = "linux")]

use server_socket::*;
use std::ffi::CStr;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use support::*;

// ---- Two hosts and a cable ------------------------------------------------------------------------------------------

/// Another host. This thread's network is 10.77.0.1, the other end of the cable is 10.77.0.2.
struct Far(Sender<Box<dyn FnOnce() + Send>>);

impl Far {
    fn new() -> Result<Far, String> {
        enter_own_network()?;
        let (sender, receiver) = channel::<Box<dyn FnOnce() + Send>>();
        let (ready, is_ready) = channel();
        thread::spawn(move || {
            ready.send(enter_own_network().map(|()| unsafe { libc::gettid() })).expect("it is waited for");
            receiver.into_iter().for_each(|job| job());
        });
        let there = is_ready.recv().expect("it answers")?;
        let far = Far(sender);
        ip(&format!("link add near type veth peer name far netns {there}"))?;
        ip("addr add 10.77.0.1/24 dev near")?;
        ip("link set near up")?;
        far.run(|| {
            ip("addr add 10.77.0.2/24 dev far")?;
            ip("link set far up")
        })?;
        // The link takes a moment.
        let refused = TcpStream::connect("10.77.0.2:9").expect_err("nobody listens there");
        assert_eq!(refused.raw_os_error(), Some(libc::ECONNREFUSED));
        Ok(far)
    }

    /// Runs `job` there.
    fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = channel();
        self.0.send(Box::new(move || sender.send(job()).expect("it is waited for"))).expect("the host is there");
        receiver.recv().expect("it answers")
    }

    fn ip(&self, arguments: &'static str) {
        self.run(move || ip(arguments)).expect("it worked before");
    }

    fn connect(&self, port: u16) -> TcpStream {
        self.run(move || client(&format!("10.77.0.1:{port}")))
    }

    fn pull(&self, how: Pull) {
        match how {
            Pull::Cable => self.ip("link set far down"),
            Pull::Silence => self.ip("route add blackhole 10.77.0.1/32"),
        }
    }

    fn plug_in(&self, how: Pull) {
        match how {
            Pull::Cable => self.ip("link set far up"),
            Pull::Silence => self.ip("route del blackhole 10.77.0.1/32"),
        }
    }
}

/// How the peer goes.
#[derive(Clone, Copy, Debug)]
enum Pull {
    /// The link is down at both ends.
    Cable,
    /// All seems well, but nothing ever comes back.
    Silence,
}

/// Runs `body` between two hosts, in a process of its own.
macro_rules! between_two_hosts {
    ($body:expr) => {
        in_own_process!(|| match Far::new() {
            Ok(far) => ($body)(far),
            Err(reason) => skipped(&reason),
        })
    };
}

/// A server for the far host, and one connection of it for each of `count`.
fn pairs(far: &Far, events: &Loop, count: usize) -> (Server, Accepted, Vec<TcpStream>) {
    let server = Server::listening_on(events, c"10.77.0.1");
    let accepted = server.keep_accepted();
    let peers: Vec<TcpStream> = (0..count).map(|_| far.connect(server.port())).collect();
    events.pump_until(|| accepted.len() == count);
    (server, accepted, peers)
}

// ---- Pulled cables --------------------------------------------------------------------------------------------------

#[test]
fn a_peer_whose_cable_is_pulled_is_given_up_after_the_idle_timeout() {
    between_two_hosts!(|far: Far| {
        const TIMEOUT: u64 = 700;
        for how in [Pull::Cable, Pull::Silence] {
            let events = Loop::new();
            let (_server, accepted, _peers) = pairs(&far, &events, 2);
            let logs = [Log::default(), Log::default()];
            far.pull(how);
            let mut start = [Instant::now(); 2];
            for (index, log) in logs.iter().enumerate() {
                let socket = accepted.get(index);
                log.record_socket(socket);
                set(socket, SS_OPT_IDLE_TIMEOUT, TIMEOUT as i64);
                // One of them has something to send all the while.
                ok(socket.write(&pattern([1, 10_000_000][index])));
                start[index] = Instant::now();
                ok(socket.flush());
            }
            let mut after = [0, 0];
            events.pump_until(|| {
                for index in 0..2 {
                    if after[index] == 0 && logs[index].contains("close") {
                        after[index] = start[index].elapsed().as_millis() as u64;
                    }
                }
                after[0] > 0 && after[1] > 0
            });
            figure(format_args!(
                "{how:?}: idle timeout of {TIMEOUT} ms: given up after {} ms, with output pending {} ms",
                after[0], after[1]
            ));
            for (log, after) in logs.iter().zip(after) {
                assert_eq!(log.take(), ["ioError 2031", "close"]);
                assert!((TIMEOUT - 20..TIMEOUT + 100).contains(&after), "{after} ms");
            }
            accepted.clear();
            far.plug_in(how);
        }
    });
}

/// Also where output is on its way: while TCP repeats that, or waits for the peer to take more, it sends no keep-alive.
#[test]
fn a_peer_whose_cable_is_pulled_is_given_up_after_ten_times_the_keep_alive() {
    between_two_hosts!(|far: Far| {
        const NAMES: [&str; 3] = ["silent", "sending", "before a shut window"];
        for how in [Pull::Cable, Pull::Silence] {
            let events = Loop::new();
            let (_server, accepted, _peers) = pairs(&far, &events, NAMES.len());
            let log = Log::default();
            for (index, name) in NAMES.into_iter().enumerate() {
                let (socket, log) = (accepted.get(index), log.clone());
                on(socket, CLOSE, move |event| {
                    assert_ne!(event.os_error(), 0, "{name}");
                    if matches!(how, Pull::Silence) {
                        assert_eq!(event.os_error(), libc::ETIMEDOUT, "{name}");
                    }
                    log.add(name);
                });
                set(socket, SS_OPT_KEEP_ALIVE, 1);
            }
            ok(accepted.get(2).write(&pattern(MUCH)));
            events.settle();
            far.pull(how);
            ok(accepted.get(1).write(b"never acknowledged"));
            let start = Instant::now();
            for count in 1..=NAMES.len() {
                events.rest_until(|| log.len() >= count);
                let (after, name) = (start.elapsed(), &log.entries()[count - 1]);
                figure(format_args!("{how:?}, keep-alive of 1 s: given up after {} ms: {name}", after.as_millis()));
                // While the window is shut the system asks more and more rarely.
                let longest = if name == NAMES[2] { 50 } else { 20 };
                assert!((Duration::from_secs(8)..Duration::from_secs(longest)).contains(&after), "{name}: {after:?}");
            }
            accepted.clear();
            far.plug_in(how);
        }
    });
}

/// More than the system takes for a peer that does not read.
const MUCH: usize = 20_000_000;

/// Its kernel answers whatever is asked of it: that the program sleeps is no reason to give it up.
#[test]
fn a_peer_that_sleeps_with_its_window_shut_is_no_dead_one() {
    between_two_hosts!(|far: Far| {
        let events = Loop::new();
        let (_server, accepted, mut peers) = pairs(&far, &events, 2);
        let logs = [Log::default(), Log::default()];
        for (index, log) in logs.iter().enumerate() {
            log.record_socket(accepted.get(index));
            set(accepted.get(index), SS_OPT_KEEP_ALIVE, 1);
        }
        ok(accepted.get(0).write(&pattern(MUCH)));
        events.settle();
        // Far beyond ten periods, and so long that the system has come to ask rarely.
        let start = Instant::now();
        events.rest_until(|| start.elapsed() > Duration::from_secs(25));
        for (log, what) in logs.iter().zip(["with its window shut", "silent"]) {
            assert_eq!(log.take(), [] as [&str; 0], "{what}");
        }
        let mut reader = peers.remove(0);
        let reading = thread::spawn(move || {
            let mut received = vec![0; MUCH];
            reader.read_exact(&mut received).expect("it reads");
            received
        });
        assert_same_bytes(&events.join(reading), &pattern(MUCH));
        ok(accepted.get(1).write(b"awake"));
        assert_eq!(events.receive(&peers[0], 5), b"awake");
    });
}

#[test]
fn a_closed_socket_behind_a_pulled_cable_goes_when_its_linger_is_over() {
    between_two_hosts!(|far: Far| {
        let events = Loop::new();
        let (_server, accepted, _peers) = pairs(&far, &events, 1);
        far.pull(Pull::Silence);
        set(accepted.get(0), SS_OPT_LINGER, 500);
        ok(accepted.get(0).write(&pattern(1_000_000)));
        let before = open_descriptors();
        ok(accepted.get(0).close());
        let start = Instant::now();
        events.pump_until(|| open_descriptors() < before);
        let after = start.elapsed();
        figure(format_args!("a linger of 500 ms: the descriptor is closed after {} ms", after.as_millis()));
        assert!((Duration::from_millis(500)..Duration::from_millis(800)).contains(&after), "{after:?}");
    });
}

#[test]
fn a_cable_that_is_plugged_in_again_has_lost_nothing() {
    between_two_hosts!(|far: Far| {
        let events = Loop::new();
        let (_server, accepted, mut peers) = pairs(&far, &events, 1);
        let socket = accepted.get(0);
        on(socket, SOCKET_DATA, move |_| socket.echo());
        let sent = pattern(20_000_000);
        let (mut reader, bytes) = (peers.pop().expect("one"), sent.clone());
        let mut writer = reader.try_clone().expect("a second handle");
        let writing = thread::spawn(move || writer.write_all(&bytes).expect("it writes"));
        let (progress, is_under_way) = channel();
        let reading = thread::spawn(move || {
            let mut received = vec![0; 20_000_000];
            reader.read_exact(&mut received[..2_000_000]).expect("it reads");
            progress.send(()).expect("it is waited for");
            reader.read_exact(&mut received[2_000_000..]).expect("it reads on");
            received
        });
        events.pump_until(|| is_under_way.try_recv().is_ok());
        far.pull(Pull::Cable);
        let busy = percent_busy(&events, 700);
        far.ip("link set far up");
        let start = Instant::now();
        events.join(writing);
        assert_same_bytes(&events.join(reading), &sent);
        figure(format_args!(
            "20 MB each way, the cable out for 0.7 s in between ({busy:.1} % busy meanwhile): whole {} ms after it is back",
            start.elapsed().as_millis()
        ));
    });
}

// ---- Connecting to nobody -------------------------------------------------------------------------------------------

/// Connects, and waits for the one ioError: its number, and when it came.
fn attempt(events: &Loop, host: &CStr, port: u16, timeout: u32) -> (i32, Duration) {
    let socket = Kept(Socket(ss_socket_new(events.0)));
    let log = Log::default();
    on(*socket, CONNECT, log.adds("connect"));
    on(*socket, IO_ERROR, {
        let log = log.clone();
        move |event| log.add(event.os_error())
    });
    ok(ss_socket_set_timeout(socket.0.0, timeout));
    let start = Instant::now();
    ok(unsafe { ss_socket_connect(socket.0.0, host.as_ptr(), port.into()) });
    assert_eq!(log.len(), 0, "inside connect");
    events.pump_until(|| log.len() > 0);
    let after = start.elapsed();
    let errors = log.take();
    (errors[0].parse().unwrap_or_else(|_| panic!("{host:?}: {errors:?}")), after)
}

#[test]
fn refused_and_unreachable_are_told_at_once_and_silence_at_the_timeout() {
    between_two_hosts!(|far: Far| {
        let events = Loop::new();
        let at_once = Duration::ZERO..Duration::from_millis(50);
        let at_the_timeout = Duration::from_millis(300)..Duration::from_millis(350);
        let cases = [
            ("refused", c"10.77.0.2", libc::ECONNREFUSED, &at_once),
            ("no route", c"192.0.2.1", libc::ENETUNREACH, &at_once),
            ("nobody has the address", c"10.77.0.99", libc::ETIMEDOUT, &at_the_timeout),
        ];
        let check = |(what, host, errno, range): (&str, &CStr, i32, &std::ops::Range<Duration>)| {
            let (error, after) = attempt(&events, host, 9, 300);
            figure(format_args!("{what}: ioError after {:.1} ms", after.as_secs_f64() * 1e3));
            assert_eq!(error, errno, "{what}");
            assert!(range.contains(&after), "{what}: {after:?}");
        };
        cases.into_iter().for_each(check);
        far.pull(Pull::Silence);
        check(("a black hole", c"10.77.0.2", libc::ETIMEDOUT, &at_the_timeout));
    });
}

/// In a network with only one port for own ends, a connect to that very port meets itself for certain.
#[test]
fn a_socket_that_would_meet_itself_is_refused() {
    in_own_process!(|| {
        for host in [c"127.0.0.1", c"0.0.0.0"] {
            if let Err(reason) = enter_own_network() {
                return skipped(&reason);
            }
            std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40000").expect("a network of our own");
            let itself = TcpStream::connect("127.0.0.1:40000").expect("the system allows it");
            assert_eq!(itself.local_addr().expect("an address"), itself.peer_addr().expect("an address"));
            reset(itself);
            let events = Loop::new();
            let before = open_descriptors();
            let (error, after) = attempt(&events, host, 40_000, 5_000);
            figure(format_args!("self-connect by {host:?}: errno {error} after {:.1} ms", after.as_secs_f64() * 1e3));
            assert_eq!(error, libc::ECONNREFUSED);
            assert_eq!(open_descriptors(), before);
        }
    });
}
