// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections by the hundred thousand, made and ended with random behaviour on both sides: afterwards there are neither
//! more descriptors nor more memory than after the first of them. Not for every day:
//!
//!     cargo test --release --test hostile soak -- --ignored --nocapture
//!
//! SS_SOAK_CONNECTIONS says how many, in rounds of SS_SOAK_ROUND.

#![cfg(target_os = "linux")]

use server_socket::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::FromRawFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::*;

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

// ---- The server -----------------------------------------------------------------------------------------------------

/// What the server does with a connection; the peer knows by its own port.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Behaviour {
    Echo,
    Deny,
    Forget,
    EchoOnce,
    WriteAndClose,
    AbortAtData,
    Silent,
    NeverRead,
}

impl Behaviour {
    fn of(port: i32) -> Behaviour {
        use Behaviour::*;
        let all = [Echo, Deny, Forget, Echo, EchoOnce, WriteAndClose, AbortAtData, Silent, NeverRead];
        all[port as usize / 2 % all.len()]
    }
}

type Held = Rc<RefCell<BTreeMap<Socket, Kept>>>;

/// Lets go of a socket: not inside of a borrow, since its listeners' destructors may come back.
fn let_go(held: &Held, socket: Socket) {
    let kept = held.borrow_mut().remove(&socket);
    drop(kept);
}

fn serve(held: &Held, socket: Socket) {
    let behaviour = Behaviour::of(socket.remote().1);
    match behaviour {
        Behaviour::Deny => return ok(socket.close()),
        Behaviour::Forget => return,
        _ => {}
    }
    held.borrow_mut().insert(socket, socket.keep());
    on(socket, CLOSE, {
        let held = held.clone();
        move |_| let_go(&held, socket)
    });
    match behaviour {
        Behaviour::WriteAndClose => {
            ok(socket.write(&ANSWER));
            ok(socket.close());
            let_go(held, socket);
        }
        Behaviour::NeverRead => {
            ok(ss_socket_pause(socket.0));
            ok(ss_set_option(socket.0.cast(), SS_OPT_IDLE_TIMEOUT, 50));
            ok(socket.write(&ANSWER));
        }
        _ => {}
    }
    let held = held.clone();
    on(socket, SOCKET_DATA, move |_| match behaviour {
        Behaviour::Echo => socket.echo(),
        Behaviour::EchoOnce => {
            socket.echo();
            ok(socket.close());
            let_go(&held, socket);
        }
        Behaviour::AbortAtData => {
            ok(socket.abort());
            let_go(&held, socket);
        }
        _ => {}
    });
}

static ANSWER: [u8; 60_000] = [9; 60_000];

// ---- The peers: a process of its own --------------------------------------------------------------------------------

/// Makes one connection and ends it somehow. Whether what it may rely on was so.
fn visit(random: &mut Random, port: u16) -> bool {
    // Of many addresses, so that each has its own ports.
    let host = Ipv4Addr::new(127, 0, 1 + random.below(200) as u8, 1 + random.below(200) as u8);
    let address = SocketAddr::from((host, port));
    let Ok(mut peer) = TcpStream::connect_timeout(&address, Duration::from_secs(20)) else { return false };
    let behaviour = Behaviour::of(peer.local_addr().expect("an address").port().into());
    let patience = if behaviour == Behaviour::Echo { 20_000 } else { 20 };
    peer.set_read_timeout(Some(Duration::from_millis(patience))).expect("an option");
    let sent = &ANSWER[..1 + random.below(4_000)];
    match random.below(8) {
        // Comes and goes.
        0 => reset(peer),
        1 => drop(peer),
        // Speaks and goes.
        2 => {
            let _ = peer.write_all(sent);
            reset(peer);
        }
        3 => {
            let _ = peer.write_all(sent);
        }
        // Ends its side at once.
        4 => {
            let _ = peer.shutdown(Shutdown::Write);
            let _ = peer.read(&mut [0; 64]);
            reset(peer);
        }
        // Hears the beginning.
        5 => {
            let _ = peer.write_all(sent);
            let _ = peer.read(&mut [0; 64]);
            reset(peer);
        }
        6 => {
            let _ = socket2::SockRef::from(&peer).send_out_of_band(b"!");
            let _ = peer.read(&mut [0; 64]);
            reset(peer);
        }
        // A whole conversation.
        _ => {
            let spoken = peer.write_all(sent).and_then(|()| peer.shutdown(Shutdown::Write));
            let mut received = Vec::new();
            let ended = peer.read_to_end(&mut received);
            if behaviour == Behaviour::Echo {
                return spoken.is_ok() && ended.is_ok() && received == sent;
            }
            reset(peer);
        }
    }
    true
}

/// Makes as many connections as it is told, round by round; answers with how many went wrong.
fn peers(port: u16, mut orders: File, mut answers: File) {
    let mut seed = 0;
    let mut order = [0; 8];
    while orders.read_exact(&mut order).is_ok() {
        let left = AtomicI64::new(i64::from_le_bytes(order));
        let wrong = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..24 {
                seed += 1;
                let (left, wrong) = (&left, &wrong);
                scope.spawn(move || {
                    let mut random = Random(seed);
                    while left.fetch_sub(1, Ordering::Relaxed) > 0 {
                        wrong.fetch_add(u64::from(!visit(&mut random, port)), Ordering::Relaxed);
                    }
                });
            }
        });
        answers.write_all(&wrong.into_inner().to_le_bytes()).expect("the server lives");
    }
}

fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    let [read, write] = ends.map(|end| unsafe { File::from_raw_fd(end) });
    (read, write)
}

// ---- The rounds -----------------------------------------------------------------------------------------------------

#[test]
#[ignore = "takes minutes"]
fn a_million_connections_leave_nothing_behind() {
    raise_descriptor_limit(20_000);
    let (total, round) = (number("SS_SOAK_CONNECTIONS", 1_000_000), number("SS_SOAK_ROUND", 100_000));
    let events = Loop::new();
    let server = Server::listening_on(&events, c"0.0.0.0");
    let (orders, mut order) = pipe();
    let (mut answer, answers) = pipe();
    let port = server.port();
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        drop((order, answer));
        peers(port, orders, answers);
        unsafe { libc::_exit(0) };
    }
    drop((orders, answers));
    ok(ss_set_option(server.0.cast(), SS_OPT_IDLE_TIMEOUT, 2_000));
    ok(ss_set_option(server.0.cast(), SS_OPT_LINGER, 1_000));
    let held = Held::default();
    let connects = Rc::new(Cell::new(0_u64));
    on(&server, CONNECT, {
        let (held, connects) = (held.clone(), connects.clone());
        move |event| {
            connects.set(connects.get() + 1);
            serve(&held, event.socket());
        }
    });

    let descriptors = open_descriptors();
    let mut first = None;
    let (mut done, mut last) = (0, (0, 0));
    while done < total {
        let start = Instant::now();
        order.write_all(&(round as i64).to_le_bytes()).expect("the peers live");
        let finished = thread::spawn(move || {
            let mut wrong = [0; 8];
            answer.read_exact(&mut wrong).expect("the peers live");
            (u64::from_le_bytes(wrong), answer)
        });
        while !finished.is_finished() {
            events.turn(5);
        }
        let (wrong, back) = finished.join().expect("it does not panic");
        answer = back;
        done += round;
        assert_eq!(wrong, 0, "peers that did not get what they may rely on");
        // Until the last idle timeout and linger are over.
        events.pump_until(|| held.borrow().is_empty() && open_descriptors() == descriptors);
        last = (open_descriptors(), resident_memory());
        first = first.or(Some(last));
        figure(format_args!(
            "{done} connections ({} connect events, {} a second): {} descriptors, {} KiB resident",
            connects.get(),
            (round as f64 / start.elapsed().as_secs_f64()) as u64,
            last.0,
            last.1 / 1024
        ));
    }
    drop(order);
    let mut status = -1;
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    let first = first.expect("one round at least");
    assert_eq!(last.0, descriptors);
    let grown = last.1.saturating_sub(first.1);
    assert!(grown < 1 << 20, "{grown} bytes more than after the first round");
}
