// SPDX-License-Identifier: MIT OR Apache-2.0
//! `c-examples/handover.c`: a server is replaced while clients connect all the while, and none of them notices.
#![cfg(target_os = "linux")]

use support::harness;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::{Language, Running};

const CLIENTS: usize = 10_000;
const DEADLINE: Duration = Duration::from_secs(60);

/// Starts the program, and waits until it listens. Returns it with its port.
fn start(program: &Path, path: &Path) -> (Running, u16) {
    let mut command = Command::new(program);
    command.arg(path).arg("0").env_remove("LD_LIBRARY_PATH").stdout(Stdio::piped());
    let mut server = Running(command.spawn().expect("it starts"));
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().expect("it is piped")).read_line(&mut line).expect("it prints a line");
    let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
    (server, port.unwrap_or_else(|| panic!("no port in {line:?}")))
}

/// One client: it connects, and reads all that it is sent.
fn visit(port: u16) -> std::io::Result<String> {
    let mut client = TcpStream::connect(("127.0.0.1", port))?;
    client.set_read_timeout(Some(DEADLINE))?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The path is the next one's only when the one before has left it.
fn wait_for_path(path: &Path, before: Option<std::time::SystemTime>) {
    let end = Instant::now() + DEADLINE;
    let made = || path.metadata().and_then(|file| file.modified()).ok();
    while made().is_none() || made() == before {
        assert!(Instant::now() < end, "nobody waits at {}", path.display());
        thread::yield_now();
    }
}

fn wait_for_end(server: &mut Running) {
    let end = Instant::now() + DEADLINE;
    let status = loop {
        match server.0.try_wait().expect("a child can be waited for") {
            Some(status) => break status,
            None => assert!(Instant::now() < end, "the one that was replaced does not end"),
        }
        thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{status}");
}

#[test]
fn of_ten_thousand_clients_none_is_refused_or_reset_while_two_servers_change_over() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("c-examples/handover.c");
    let program = harness::build(&source, "handover", Language::C99);
    let path: PathBuf = harness::scratch_dir("path").join("handover.sock");
    let _ = std::fs::remove_file(&path);
    let (mut first, port) = start(&program, &path);
    wait_for_path(&path, None);

    let served = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let served = served.clone();
            thread::spawn(move || {
                let mut answers = BTreeMap::new();
                while served.fetch_add(1, Ordering::Relaxed) < CLIENTS {
                    let answer = visit(port).unwrap_or_else(|error| format!("{error}"));
                    *answers.entry(answer).or_insert(0) += 1;
                }
                answers
            })
        })
        .collect();
    let wait_for = |count| {
        while served.load(Ordering::Relaxed) < count {
            thread::sleep(Duration::from_millis(1));
        }
    };
    wait_for(CLIENTS / 3);
    let before = path.metadata().and_then(|file| file.modified()).ok();
    let (mut second, _) = start(&program, &path);
    wait_for_end(&mut first);
    wait_for_path(&path, before);
    wait_for(CLIENTS * 2 / 3);
    let (third, _) = start(&program, &path);
    wait_for_end(&mut second);

    let mut answers = BTreeMap::new();
    for client in clients {
        for (answer, count) in client.join().expect("a client does not panic") {
            *answers.entry(answer).or_insert(0) += count;
        }
    }
    println!("figure: {answers:?}");
    let expected = [&first, &second, &third].map(|server| format!("served by {}\n", server.0.id()));
    assert!(answers.keys().all(|answer| expected.contains(answer)), "{answers:?}");
    assert!(expected[..2].iter().all(|answer| answers.contains_key(answer)), "{answers:?}");
    assert_eq!(answers.values().sum::<i32>() as usize, CLIENTS);
}
