// SPDX-License-Identifier: MIT OR Apache-2.0
//! `haxe/`: the classes compile, and run: on neko, which Debian has.

use support::harness;
use support::haxe::*;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

/// Long enough for a slow machine.
pub const RUNNING: Duration = Duration::from_secs(300);

/// The programs, each with the folder of its source.
const PROGRAMS: [(&str, &str); 8] = [
    ("tests", "Suite"),
    ("tests", "Forgotten"),
    ("tests", "OwnFrames"),
    ("tests", "Messenger"),
    ("tests", "Secure"),
    ("examples", "EchoServer"),
    ("examples", "EchoClient"),
    ("examples", "Chat"),
];

/// The suite wants more descriptors than a shell gives.
pub fn with_many_descriptors(program: &Command) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 4096 2>/dev/null; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args());
    if let Some(dir) = program.get_current_dir() {
        command.current_dir(dir);
    }
    command.env_remove("NEKOPATH");
    command
}

/// What a program prints until it ends by itself.
pub fn output_of(program: &Command, dir: &Path) -> String {
    let output = dir.join("output.txt");
    let mut command = Command::new("sh");
    command.args(["-c", "out=$1; shift; exec \"$@\" > \"$out\"", "sh"]).arg(&output);
    command.arg(program.get_program()).args(program.get_args()).env_remove("NEKOPATH");
    if let Some(dir) = program.get_current_dir() {
        command.current_dir(dir);
    }
    harness::run(command, RUNNING);
    fs::read_to_string(output).expect("the output can be read")
}

/// What `haxe/tests/Messenger.hx` prints.
pub const MESSENGER_SAYS: &str = "Invalid socket port number specified.\na client from 127.0.0.1\none: 1\none two: 2\none two three: 3\n\
    close, connected: false\nOperation attempted on invalid socket.\n";

/// The same program, with other imports and nothing else.
fn messenger_with_our_imports(dir: &Path) {
    let source = fs::read_to_string(haxe_dir().join("tests/Messenger.hx")).expect("the program can be read");
    let mut changed = String::new();
    for line in source.lines() {
        match line.strip_prefix("import openfl.").and_then(|name| name.split_once('.')) {
            Some((_, class)) => changed.push_str(&format!("import serversocket.{class}\n")),
            None => changed.push_str(&format!("{line}\n")),
        }
    }
    assert!(!changed.contains("import openfl"), "an import was not understood");
    fs::write(dir.join("Messenger.hx"), changed).expect("a source can be written");
}

// ---- What is compiled ----

/// What C writes to is a variable in hxcpp's source: g++ would take the address of nothing else.
fn check_what_c_writes_to(dir: &Path) {
    let mut seen = 0;
    for class in ["Calls", "CppBinding"] {
        let path = dir.join(format!("out/src/serversocket/internal/{class}.cpp"));
        let source = fs::read_to_string(path).expect("hxcpp's source is there");
        for line in source.lines().filter(|line| line.contains("::ss_")) {
            for address in line.split("&(").skip(1) {
                seen += 1;
                let name = address.split(')').next().unwrap_or_default();
                let is_variable = name.starts_with(|c: char| c.is_alphabetic()) && name != "false" && name != "null";
                assert!(is_variable, "the address of {name:?}: {line}");
            }
        }
    }
    assert!(seen > 15, "{seen} addresses");
}

#[test]
fn the_optimiser_leaves_what_c_writes_to() {
    if !harness::have_tool("haxe") {
        return;
    }
    let dir = empty_dir("optimised");
    let mut command = haxe(&dir);
    add_program(&mut command, "tests", "Suite");
    command.args(["-cpp", "out", "-D", "no-compilation", "-D", "analyzer-optimize"]);
    harness::compile(command);
    check_what_c_writes_to(&dir);
}

#[test]
fn everything_type_checks_and_generates_cpp() {
    if !harness::have_tool("haxe") {
        return;
    }
    for (folder, program) in PROGRAMS {
        let dir = empty_dir(&format!("generated-{program}"));
        let mut command = haxe(&dir);
        add_program(&mut command, folder, program);
        command.args(["-cpp", "out", "-D", "no-compilation"]);
        harness::compile(command);
        let build = fs::read_to_string(dir.join("out/Build.xml")).expect("hxcpp's build file is there");
        let library = format!("name=\"SERVER_SOCKET_LIB\" value=\"{}\"", harness::library_dir().display());
        let include = format!("name=\"SERVER_SOCKET_INCLUDE\" value=\"{}\"", harness::include_dir().display());
        assert!(build.contains(&library) && build.contains(&include), "a plain class path does not suffice:\n{build}");
        if program == "Suite" {
            check_what_c_writes_to(&dir);
        }
    }
}

/// Outside of a checkout: as a haxelib, with the library where pkg-config says.
#[test]
fn an_installed_haxelib_finds_an_installed_library() {
    if !harness::have_tool("haxelib") || !harness::have_tool("pkg-config") {
        return;
    }
    let dir = empty_dir("haxelib");
    copy_tree(&haxe_dir(), &dir.join("copy"));
    let package =
        "Name: server_socket\nDescription: .\nVersion: 0.1.0\nincludedir=/opt/there/include\nlibdir=/opt/there/lib\n";
    fs::write(dir.join("server_socket.pc"), package).expect("a file can be written");
    for arguments in [vec!["newrepo"], vec!["dev", "server-socket", "copy"]] {
        let mut haxelib = Command::new("haxelib");
        haxelib.current_dir(&dir).args(arguments);
        harness::compile(haxelib);
    }
    let mut command = Command::new("haxe");
    command
        .current_dir(&dir)
        .env("PKG_CONFIG_PATH", &dir)
        .env_remove("SERVER_SOCKET_LIB")
        .env_remove("SERVER_SOCKET_INCLUDE");
    command.args(["-lib", "server-socket", "-D", "server-socket-openfl", "-cp", "copy/tests", "-main", "Messenger"]);
    command.args(["-cpp", "out", "-D", "no-compilation"]);
    harness::compile(command);
    let build = fs::read_to_string(dir.join("out/Build.xml")).expect("hxcpp's build file is there");
    assert!(build.contains("value=\"/opt/there/include\"") && build.contains("value=\"/opt/there/lib\""), "{build}");
}

/// What `ci/haxelib-zip` makes can be installed, and brings all that a program needs.
#[test]
fn the_haxelibs_zip_brings_the_library() {
    if !harness::have_tool("haxelib") || !harness::have_tool("python3") || !have_neko() {
        return;
    }
    let platform = match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => "Linux64",
        ("linux", "aarch64") => "LinuxArm64",
        _ => {
            support::left_out("ci/haxelib-zip has been tried on Linux only");
            return;
        }
    };
    let dir = empty_dir("zip");
    let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/haxelib-zip"));
    script.arg(dir.join("server-socket.zip")).arg(format!("{platform}={}", harness::library_dir().display()));
    harness::compile(script);
    for arguments in [vec!["newrepo"], vec!["install", "server-socket.zip", "--quiet"]] {
        let mut haxelib = Command::new("haxelib");
        haxelib.current_dir(&dir).args(arguments);
        harness::compile(haxelib);
    }
    let main = "class Main { static function main() { var s = new serversocket.ServerSocket(); s.bind(0); Sys.println(s.bound); } }";
    fs::write(dir.join("Main.hx"), main).expect("a source can be written");
    let compiler = |target: &[&str]| {
        let mut command = Command::new("haxe");
        command.current_dir(&dir).env_remove("SERVER_SOCKET_LIB").env_remove("SERVER_SOCKET_INCLUDE");
        command.args(["-lib", "server-socket", "-main", "Main"]).args(target);
        harness::compile(command);
    };
    compiler(&["-cpp", "out", "-D", "no-compilation"]);
    let build = fs::read_to_string(dir.join("out/Build.xml")).expect("hxcpp's build file is there");
    let brought = format!("/lib/{platform}/libserver_socket.a\"");
    assert!(build.contains("name=\"SERVER_SOCKET_STATIC\"") && build.contains(&brought), "{build}");
    compiler(&["-neko", "main.n"]);
    let mut neko = Command::new("neko");
    neko.current_dir(dir.join(".haxelib/server-socket/0,1,0/ndll").join(platform)).arg(dir.join("main.n"));
    assert_eq!(output_of(&neko, &dir), "true\n");
}

// ---- neko ----

#[test]
fn the_suite_passes_on_neko() {
    if have_neko() {
        harness::run(with_many_descriptors(&neko_program("tests", "Suite")), RUNNING);
    }
}

#[test]
fn the_suite_passes_on_neko_where_nothing_is_held() {
    if !have_neko() {
        return;
    }
    let dir = empty_dir("neko-collect");
    let mut compiler = haxe(&dir);
    add_program(&mut compiler, "tests", "Suite");
    compiler.args(["-D", "server-socket-collect"]);
    harness::run(with_many_descriptors(&neko(compiler, &dir)), RUNNING);
}

#[test]
fn an_openfl_program_runs_with_its_own_imports_and_with_ours() {
    if !have_neko() {
        return;
    }
    let program = neko_program("tests", "Messenger");
    assert_eq!(output_of(&program, &empty_dir("neko-openfl")), MESSENGER_SAYS);

    let dir = empty_dir("neko-imports");
    messenger_with_our_imports(&dir);
    let mut compiler = haxe(&dir);
    compiler.args(["-cp", ".", "-main", "Messenger"]);
    assert_eq!(output_of(&neko(compiler, &dir), &dir), MESSENGER_SAYS);
}

/// Starts a server that prints a line which ends in its port; returns that.
fn serving(mut program: Command) -> (harness::Running, u16) {
    program.arg("0").stdout(Stdio::piped());
    let mut server = harness::Running(program.spawn().expect("the server starts"));
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().expect("it is piped")).read_line(&mut line).expect("it prints a line");
    let port = line.trim().rsplit(':').next().and_then(|digits| digits.parse().ok());
    (server, port.unwrap_or_else(|| panic!("no port in {line:?}")))
}

/// What nc gets back when it sends a line and ends its side at once.
fn check_nc(port: u16) {
    if !harness::have_tool("nc") {
        return;
    }
    let command = format!("printf 'hello\\n' | timeout 20 nc -N 127.0.0.1 {port}");
    let output = Command::new("sh").args(["-c", &command]).output().expect("sh starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n");
}

/// Ten clients of Python's, who send 100 kB each at the same time.
fn check_python(port: u16) {
    if !harness::have_tool("python3") {
        return;
    }
    let script = format!(
        "import socket\n\
         clients = [socket.create_connection(('127.0.0.1', {port}), 20) for _ in range(10)]\n\
         data = [bytes([i]) * 100000 for i in range(10)]\n\
         for client, text in zip(clients, data): client.sendall(text)\n\
         for client, text in zip(clients, data):\n\
         \x20   got = b''\n\
         \x20   while len(got) < len(text): got += client.recv(65536)\n\
         \x20   assert got == text\n"
    );
    let mut python = Command::new("python3");
    python.args(["-c", &script]);
    harness::run(python, RUNNING);
}

pub fn check_echo_server(program: Command, client: Command) {
    let (_server, port) = serving(program);
    check_nc(port);
    check_python(port);
    let mut arguments = client;
    arguments.args(["127.0.0.1", &port.to_string(), "grüße"]);
    assert_eq!(output_of(&arguments, &harness::scratch_dir("client")), "grüße\n");
}

/// A server that only a local variable of `main` knew.
pub fn check_forgotten(build: impl Fn(&[&str]) -> Command) {
    let mut held = build(&[]);
    held.env_remove("NEKOPATH");
    harness::check_echo(held);
    let collected = build(&["-D", "server-socket-collect"]).stdout(Stdio::null()).output().expect("it starts");
    let said = String::from_utf8_lossy(&collected.stderr);
    assert!(collected.status.success() && said.contains("HINT") && said.contains("server-socket-collect"), "{said}");
}

#[test]
fn a_server_that_nobody_holds_serves_or_else_a_hint_is_given_on_neko() {
    if !have_neko() {
        return;
    }
    check_forgotten(|more| {
        let dir = empty_dir("neko-forgotten");
        let mut compiler = haxe(&dir);
        add_program(&mut compiler, "tests", "Forgotten");
        compiler.args(more);
        neko(compiler, &dir)
    });
}

/// As Lime does it: the program has a loop of its own, and its frames call `events.progress()`.
#[test]
fn frames_of_a_program_are_not_held_up_on_neko() {
    if have_neko() {
        assert_eq!(
            output_of(&neko_program("tests", "OwnFrames"), &empty_dir("neko-frames")),
            "echoed 5, held up: false\n"
        );
    }
}

#[test]
fn the_echo_server_serves_real_clients_on_neko() {
    if have_neko() {
        check_echo_server(neko_program("examples", "EchoServer"), neko_program("examples", "EchoClient"));
    }
}

/// `haxe/tests/LastWords.hx`: it has written 20 MB and closed, and nothing holds it but what is still to be sent.
pub fn check_last_words(mut program: Command, name: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    program.arg(listener.local_addr().expect("an address").port().to_string());
    let peer = thread::spawn(move || {
        let (mut peer, _) = listener.accept().expect("it connects");
        peer.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).map(|_| bytes.len()).expect("it sends all and ends")
    });
    assert_eq!(output_of(&program, &harness::scratch_dir(name)), "3 ticks, 1 call\n");
    assert_eq!(peer.join().expect("the peer"), 20 << 20);
}

#[test]
fn the_main_loop_serves_timers_and_sends_everything_before_it_ends_on_neko() {
    if have_neko() {
        check_last_words(neko_program("tests", "LastWords"), "neko-last-words");
    }
}

#[test]
fn the_chat_passes_lines_on() {
    if !have_neko() {
        return;
    }
    let (_server, port) = serving(neko_program("examples", "Chat"));
    let connect = || {
        let client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        client.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
        client
    };
    let mut first = connect();
    let mut second = BufReader::new(connect());
    // The second is a guest for sure once something of it has been passed on.
    second.get_ref().write_all(b"here\n").expect("it reads");
    let mut line = String::new();
    let mut heard = BufReader::new(first.try_clone().expect("a clone"));
    for beginning in ["Welcome, you are guest ", "guest "] {
        line.clear();
        heard.read_line(&mut line).expect("it passes on");
        assert!(line.starts_with(beginning), "{line:?}");
    }
    assert!(line.ends_with(": here\n"), "{line:?}");
    line.clear();
    second.read_line(&mut line).expect("it greets");
    assert!(line.starts_with("Welcome, you are guest "), "{line:?}");
    first.write_all("grüße\nbye\n".as_bytes()).expect("it reads");
    let name = format!("guest {}", first.local_addr().expect("an address").port());
    drop((first, heard));
    for text in ["grüße", "bye", "(has left)"] {
        line.clear();
        second.read_line(&mut line).expect("it passes on");
        assert_eq!(line, format!("{name}: {text}\n"));
    }
}

#[test]
fn what_the_readme_says_of_neko_serves_a_client() {
    if have_neko() {
        harness::check_echo(as_the_readme_says(&readme_block("shim.c"), "readme-neko"));
    }
}

/// Modules with sockets in them may hold macros, too: there they are typed, and never run.
#[test]
fn macros_may_know_the_classes() {
    if !harness::have_tool("haxe") {
        return;
    }
    let dir = empty_dir("macros");
    let main = "#if macro import serversocket.ServerSocket; #end\n\
                class Main {\n\
                macro static function text() { var server:serversocket.ServerSocket = null; return macro \"typed\"; }\n\
                static function main() { Sys.println(text()); Sys.println(new serversocket.ServerSocket().bound); } }";
    fs::write(dir.join("Main.hx"), main).expect("a source can be written");
    for target in [["-cpp", "out"], ["-neko", "out.n"]] {
        let mut command = haxe(&dir);
        command.args(["-cp", ".", "-main", "Main", "-D", "no-compilation"]).args(target);
        harness::compile(command);
    }
}
