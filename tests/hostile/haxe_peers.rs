// SPDX-License-Identifier: MIT OR Apache-2.0
//! The programs of `haxe/` against the same peers: on neko, and on hxcpp where it is installed.
#![cfg(target_os = "linux")]

use crate::peers::{Server, Service, withstands};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;
use support::harness;
use support::haxe::*;

fn serving(mut program: Command) -> Command {
    program.arg("0");
    program
}

#[test]
fn the_echo_server_on_neko() {
    if have_neko() {
        withstands(Server::start(serving(neko_program("examples", "EchoServer")), Service::Echo));
    }
}

#[test]
fn the_chat_on_neko() {
    if have_neko() {
        withstands(Server::start(serving(neko_program("examples", "Chat")), Service::Chat));
    }
}

#[test]
fn the_program_of_haxes_readme_on_neko() {
    if have_neko() {
        withstands(Server::start(as_the_readme_says(&readme_block("shim.c"), "readme-neko"), Service::Echo));
    }
}

#[test]
fn the_client_on_neko() {
    if have_neko() {
        the_client_says_how_it_went(&|| neko_program("examples", "EchoClient"));
    }
}

#[test]
fn all_of_them_on_hxcpp() {
    if !harness::have_tool("haxe") || !have_hxcpp() {
        return;
    }
    let build = |program: &str| {
        let dir = harness::scratch_dir(&format!("hxcpp-{program}"));
        let mut compiler = haxe(&dir);
        add_program(&mut compiler, "examples", program);
        hxcpp(compiler, program, &dir)
    };
    withstands(Server::start(serving(build("EchoServer")), Service::Echo));
    withstands(Server::start(serving(build("Chat")), Service::Chat));
    let mut readme = as_the_readme_says(&readme_block("haxe -cp haxe/src -main Main -cpp"), "readme-hxcpp");
    readme.env("HXCPP_COMPILE_CACHE", harness::scratch_dir("hxcpp-cache"));
    withstands(Server::start(readme, Service::Echo));
    let client = build("EchoClient");
    the_client_says_how_it_went(&|| {
        let mut again = Command::new(client.get_program());
        again.current_dir(client.get_current_dir().expect("its folder"));
        again
    });
}

// ---- The client, and servers that mean it ill ----

const LINE: &str = "hello, server";

/// What the client does at a server that does that with its connection.
fn client_at(client: &dyn Fn() -> Command, server: impl FnOnce(TcpStream) + Send + 'static) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("it connects");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a deadline");
        stream.set_write_timeout(Some(Duration::from_secs(60))).expect("a deadline");
        server(stream);
    });
    let output = client().args(["127.0.0.1", &port.to_string(), LINE]).output().expect("it starts");
    serving.join().expect("the server does not panic");
    output
}

fn succeeds(client: &dyn Fn() -> Command, server: impl FnOnce(TcpStream) + Send + 'static) {
    let output = client_at(client, server);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{LINE}\n"));
}

fn fails(client: &dyn Fn() -> Command, why: &str, server: impl FnOnce(TcpStream) + Send + 'static) {
    let output = client_at(client, server);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(why) && said.lines().count() == 1, "{said}");
}

fn read_line(stream: &mut TcpStream) -> Vec<u8> {
    let mut line = vec![0; LINE.len() + 1];
    stream.read_exact(&mut line).expect("a line");
    line
}

fn the_client_says_how_it_went(client: &dyn Fn() -> Command) {
    succeeds(client, |mut stream| {
        let line = read_line(&mut stream);
        for byte in line {
            stream.write_all(&[byte]).expect("it reads");
            thread::sleep(Duration::from_millis(10)); // the peer's own pace
        }
    });
    // Its answer, in front of 100 MB that nobody asked for.
    succeeds(client, |mut stream| {
        let line = read_line(&mut stream);
        stream.write_all(&line).expect("it reads");
        let piece = vec![b'x'; 65536];
        for _ in 0..100_000_000 / piece.len() {
            if let Err(error) = stream.write_all(&piece) {
                assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
                break;
            }
        }
    });
    fails(client, "early", |mut stream| {
        read_line(&mut stream);
        stream.write_all(b"hel").expect("it reads");
        stream.shutdown(Shutdown::Both).expect("an end");
    });
    fails(client, "Connection reset", |stream| {
        support::reset(stream);
    });
    fails(client, "timed out", |mut stream| {
        read_line(&mut stream);
        let _ = stream.read(&mut [0]); // until it leaves
    });
}
