// SPDX-License-Identifier: MIT OR Apache-2.0
//! `haxe/`: the bindings equal the header, and the classes run: on neko, which Debian has, and on hxcpp where it is installed.

use support::harness;
use support::haxe::*;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

/// Long enough for a slow machine.
const RUNNING: Duration = Duration::from_secs(300);

/// The programs, each with the folder of its source.
const PROGRAMS: [(&str, &str); 7] = [
    ("tests", "Suite"),
    ("tests", "Forgotten"),
    ("tests", "OwnFrames"),
    ("tests", "Messenger"),
    ("examples", "EchoServer"),
    ("examples", "EchoClient"),
    ("examples", "Chat"),
];

/// The suite wants more descriptors than a shell gives.
fn with_many_descriptors(program: &Command) -> Command {
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
fn output_of(program: &Command, dir: &Path) -> String {
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
const MESSENGER_SAYS: &str = "Invalid socket port number specified.\na client from 127.0.0.1\none: 1\none two: 2\none two three: 3\n\
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

// ---- The bindings ----

/// The C++ file of `haxe/tests/Drift.hx`: an assertion for each function and constant of `serversocket.Native`.
fn drift_source(dir: &Path) -> PathBuf {
    let source = dir.join("drift.cpp");
    let mut command = haxe(dir);
    command.arg("-cp").arg(haxe_dir().join("tests")).args(["-cpp", "out", "-D", "no-compilation"]);
    command.arg("--macro").arg(format!("Drift.write(\"{}\")", source.display())).arg("serversocket.Native");
    harness::compile(command);
    source
}

fn check_against(source: &Path, include: &Path) -> Command {
    let mut command = Command::new("g++");
    command.args(["-std=c++17", "-fsyntax-only", "-I"]).arg(include).arg(source);
    command
}

/// The constants of the header that bindings need: not its version, nor the names of events.
fn constants(header: &str) -> BTreeSet<String> {
    let defined = header.lines().filter_map(|line| line.strip_prefix("#define "));
    let enumerated = header.lines().map(str::trim_start).filter(|line| line.starts_with("SS_") && line.contains(" = "));
    let name = |line: &str| line.split_whitespace().next().expect("a name").to_owned();
    let wanted = |name: &String| {
        name.starts_with("SS_") && !name.starts_with("SS_VERSION") && !name.starts_with("SS_EVENT") && name != "SS_API"
    };
    defined.map(name).chain(enumerated.map(name)).filter(wanted).collect()
}

#[test]
fn the_bindings_equal_the_header() {
    if !harness::have_tool("haxe") || !harness::have_tool("g++") {
        return;
    }
    let dir = empty_dir("drift");
    let source = drift_source(&dir);
    harness::compile(check_against(&source, &harness::include_dir()));

    let text = fs::read_to_string(&source).expect("the file can be read");
    let bound: BTreeSet<String> = text.lines().filter_map(|line| line.strip_prefix("// ")).map(str::to_owned).collect();
    let mut declared = constants(&harness::header());
    declared.extend(harness::declarations().into_iter().map(|function| function.name));
    let only_bound: Vec<_> = bound.difference(&declared).collect();
    let only_declared: Vec<_> = declared.difference(&bound).collect();
    assert!(
        only_bound.is_empty() && only_declared.is_empty(),
        "bound but not in the header: {only_bound:?}; in the header but not bound: {only_declared:?}"
    );

    // And the assertions would notice a change.
    let changes = [
        ("int32_t local_port,", "int64_t local_port,"),
        ("bool ss_bound(ss_server", "int32_t ss_bound(ss_server"),
        ("const char *ss_event_type(", "char *ss_event_type("),
        ("(ss_socket *socket, uint32_t timeout_ms)", "(ss_socket *socket, int32_t timeout_ms)"),
        ("ss_status ss_loop_run(ss_loop *loop)", "ss_status ss_loop_run(ss_server *loop)"),
        ("#define SS_ERR_FULL 23", "#define SS_ERR_FULL 27"),
        ("#define SS_OPT_LINGER 7", "#define SS_OPT_LINGER 17"),
        ("    uint64_t bytes_out;", "    uint32_t bytes_out;"),
    ];
    for (old, new) in changes {
        let changed = harness::header().replacen(old, new, 1);
        assert_ne!(changed, harness::header(), "the header has no {old:?}");
        fs::write(dir.join("server_socket.h"), changed).expect("a header can be written");
        let output = check_against(&source, &dir).output().expect("g++ starts");
        assert!(!output.status.success(), "{new:?} was not noticed");
    }
}

/// `haxe/bindings.py` in a copy of the repository, with that header.
fn check_bindings(dir: &Path, header: &str) -> std::process::Output {
    fs::create_dir_all(dir.join("include")).expect("a folder can be made");
    fs::write(dir.join("include/server_socket.h"), header).expect("a header can be written");
    let mut command = Command::new("python3");
    command.arg(dir.join("haxe/bindings.py")).arg("--check");
    command.output().expect("python3 starts")
}

#[test]
fn what_the_bindings_repeat_is_what_the_script_makes_of_the_header() {
    if !harness::have_tool("python3") {
        return;
    }
    let dir = empty_dir("bindings");
    copy_tree(&haxe_dir(), &dir.join("haxe"));
    let output = check_bindings(&dir, &harness::header());
    assert!(output.status.success(), "run haxe/bindings.py: {}", String::from_utf8_lossy(&output.stderr));
    // And a change would be noticed.
    for (old, new) in [
        ("SS_API bool ss_bound(ss_server *server);", "SS_API bool ss_bound(ss_server *server, int32_t more);"),
        ("#define SS_OPT_LINGER 7", "#define SS_OPT_LINGER 8"),
        ("    uint64_t bytes_out;", "    uint64_t bytes_out;\n    uint64_t lingering;"),
    ] {
        let changed = harness::header().replacen(old, new, 1);
        assert_ne!(changed, harness::header(), "the header has no {old:?}");
        assert!(!check_bindings(&dir, &changed).status.success(), "{new:?} was not noticed");
    }
}

/// With the optimiser as without it, what C writes to is a variable: g++ would take the address of nothing else.
#[test]
fn the_optimiser_leaves_what_c_writes_to() {
    if !harness::have_tool("haxe") {
        return;
    }
    for optimise in [false, true] {
        let dir = empty_dir("optimised");
        let mut command = haxe(&dir);
        add_program(&mut command, "tests", "Suite");
        command.args(["-cpp", "out", "-D", "no-compilation"]);
        if optimise {
            command.args(["-D", "analyzer-optimize"]);
        }
        harness::compile(command);
        let mut seen = 0;
        for class in ["Calls", "CppBinding"] {
            let path = dir.join(format!("out/src/serversocket/internal/{class}.cpp"));
            let source = fs::read_to_string(path).expect("hxcpp's source is there");
            for line in source.lines().filter(|line| line.contains("::ss_")) {
                for address in line.split("&(").skip(1) {
                    seen += 1;
                    let name = address.split(')').next().unwrap_or_default();
                    let is_variable =
                        name.starts_with(|c: char| c.is_alphabetic()) && name != "false" && name != "null";
                    assert!(is_variable, "the address of {name:?}: {line}");
                }
            }
        }
        assert!(seen > 15, "{seen} addresses");
    }
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
    script.arg(dir.join("server-socket.zip")).arg(format!("{platform}={}", archive_dir().display()));
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

fn check_echo_server(program: Command, client: Command) {
    let (_server, port) = serving(program);
    check_nc(port);
    check_python(port);
    let mut arguments = client;
    arguments.args(["127.0.0.1", &port.to_string(), "grüße"]);
    assert_eq!(output_of(&arguments, &harness::scratch_dir("client")), "grüße\n");
}

/// A server that only a local variable of `main` knew.
fn check_forgotten(build: impl Fn(&[&str]) -> Command) {
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
fn check_last_words(mut program: Command, name: &str) {
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

// ---- Beside OpenFL ----

/// Just enough of OpenFL for the class path to have it: another Event, another ByteArray, its own Socket.
fn little_openfl(dir: &Path) -> PathBuf {
    let root = dir.join("little");
    for (path, text) in [
        ("display/Sprite.hx", "package openfl.display; class Sprite { public function new() {} }"),
        ("events/Event.hx", "package openfl.events; class Event { public static inline var CLOSE = \"close\"; }"),
        ("net/Socket.hx", "package openfl.net; class Socket { public function new() {} }"),
        (
            "utils/ByteArray.hx",
            "package openfl.utils; @:forward abstract ByteArray(ByteArrayData) from ByteArrayData to ByteArrayData {\n\
             public function new() this = new ByteArrayData(); }\n\
             class ByteArrayData extends haxe.io.Bytes { public function new() { var b = haxe.io.Bytes.alloc(0); super(0, b.getData()); } }",
        ),
    ] {
        let path = root.join("openfl").join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a source can be written");
    }
    root
}

/// What the compiler says of a program's `main`; "" if it takes it.
fn complaint(dir: &Path, arguments: &[&str], main: &str) -> String {
    let text = format!("class Main {{ static function main() {{ {main} }} }}");
    fs::write(dir.join("Main.hx"), text).expect("a source can be written");
    let mut command = Command::new("haxe");
    command.current_dir(dir).args(["-cp", ".", "-main", "Main"]).args(arguments);
    let output = command.output().expect("haxe starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

#[test]
fn beside_openfl_a_way_that_cannot_work_is_an_error_that_names_the_cure() {
    if !harness::have_tool("haxe") {
        return;
    }
    let dir = empty_dir("mixing");
    let openfl = little_openfl(&dir).display().to_string();
    let src = haxe_dir().join("src").display().to_string();
    let dropin = haxe_dir().join("openfl-dropin").display().to_string();
    let start = ["--macro", "serversocket.internal.Build.start()"];
    let target = ["-cpp", "out", "-D", "no-compilation"];
    let ours = "new serversocket.Socket();";
    let theirs = "new openfl.net.Socket();";
    let with = |parts: &[&[&str]], main: &str| complaint(&dir, &parts.concat(), main);

    // Only the class path.
    let said = with(&[&["-cp", &openfl, "-cp", &src], &target], ours);
    assert!(
        said.contains("-lib server-socket beside -lib openfl") && said.contains("-D server-socket-apart"),
        "{said}"
    );
    // What is for programs without OpenFL.
    let said = with(&[&["-cp", &openfl, "-cp", &src, "-cp", &dropin], &target], ours);
    assert!(said.contains("openfl-dropin is for programs without OpenFL"), "{said}");
    // A macro that adds OpenFL's folder after this library's.
    let late = format!("addClassPath('{openfl}')");
    let said = with(&[&["-cp", &openfl, "-cp", &src], &start, &["--macro", &late], &target], theirs);
    assert!(said.contains("openfl.net.Socket is OpenFL's own here") && said.contains("after -lib openfl"), "{said}");

    // Apart, the two go together, but never into each other: nothing is read into a copy of a ByteArray.
    let apart = ["-cp", &openfl, "-cp", &src, "-D", "server-socket-apart"];
    assert_eq!(with(&[&apart, &start, &target], &format!("{theirs} {ours}")), "");
    for mixed in [
        "new serversocket.Socket().readBytes(new openfl.utils.ByteArray());",
        "new serversocket.Socket().readBytes(haxe.io.Bytes.alloc(5));",
        "new serversocket.Socket().addEventListener(serversocket.Event.CLOSE, (e:openfl.events.Event) -> {});",
    ] {
        assert!(!with(&[&apart, &start, &target], mixed).is_empty(), "{mixed}");
    }
    // Other targets keep OpenFL's own, and without OpenFL they are refused.
    for target in [["-js", "out.js"], ["-hl", "out.hl"]] {
        assert_eq!(with(&[&["-cp", &openfl, "-cp", &src], &start, &target], theirs), "");
    }
    let said = with(&[&["-cp", &src], &start, &["-js", "out.js"]], "");
    assert!(said.contains("server-socket is for the targets cpp and neko"), "{said}");
}

/// The sources of OpenFL that npm has: an older one, since the later ones are in no registry of packages.
fn openfl_sources() -> Option<PathBuf> {
    const PACKAGE: &str = "openfl@8.9.6";
    let dir = harness::scratch_dir("openfl");
    let sources = dir.join("package/src");
    if sources.join("openfl/display/Sprite.hx").exists() {
        return Some(sources);
    }
    let npm = Command::new("npm").current_dir(&dir).args(["pack", PACKAGE]).output();
    let Ok(output) = npm else {
        support::left_out(&format!("npm, which has {PACKAGE}, is not installed"));
        return None;
    };
    if !output.status.success() {
        support::left_out(&format!("npm cannot get {PACKAGE}: {}", String::from_utf8_lossy(&output.stderr)));
        return None;
    }
    let mut tar = Command::new("tar");
    tar.current_dir(&dir).args(["-xzf", "openfl-8.9.6.tgz"]);
    harness::compile(tar);
    Some(sources)
}

/// What `haxe/tests/InApplication.hx` prints.
const APPLICATION_SAYS: &str = "a Sprite: true\nconnect: true, openfl.events.Event\necho: 10 <hellohe 0 true\n\
    endian: littleEndian\nXMLSocket: <a/>\nIOError 2002, with a detail: true\nSecurityError 2003\nioError: Error #2031: Socket Error. true\n\
    [thrown by a,thrown by b] 2\ntarget: true\n";

/// In a folder, the compiler with OpenFL's sources and this library beside them.
fn application(dir: &Path, openfl: &Path) -> Command {
    let mut command = Command::new("haxe");
    command.current_dir(dir).arg("-cp").arg(openfl).args(["-D", "openfl=8.9.6", "-cp"]).arg(haxe_dir().join("src"));
    command.args(["--macro", "serversocket.internal.Build.start()", "-cp"]).arg(haxe_dir().join("tests"));
    command.arg("-D").arg(format!("SERVER_SOCKET_LIB={}", harness::library_dir().display()));
    command
}

#[test]
fn part_of_an_openfl_application_is_typed_for_hxcpp_and_runs_on_neko() {
    if !harness::have_tool("haxe") {
        return;
    }
    let Some(openfl) = openfl_sources() else { return };
    let dir = empty_dir("application");
    let mut command = application(&dir, &openfl);
    command.args(["-main", "InApplication", "-cpp", "out", "-D", "no-compilation"]);
    // With all of these modules, used or not.
    command.args(["--macro", "include('serversocket', true, ['serversocket.internal'])"]);
    harness::compile(command);

    // With the folder by hand, but in the wrong order.
    let paths =
        [openfl.clone(), haxe_dir().join("openfl-app"), haxe_dir().join("src")].map(|path| path.display().to_string());
    for order in [[1, 2, 0], [1, 0, 2], [2, 1, 0]] {
        let arguments: Vec<&str> = order.iter().flat_map(|&path| ["-cp", &paths[path]]).collect();
        let said = complaint(
            &dir,
            &[&arguments[..], &["-cpp", "out", "-D", "no-compilation"]].concat(),
            "new serversocket.Socket();",
        );
        assert!(said.contains("-lib server-socket beside -lib openfl"), "{order:?}: {said}");
    }
    if have_neko() {
        let mut command = application(&dir, &openfl);
        command.args(["-main", "InApplication"]);
        assert_eq!(output_of(&neko(command, &dir), &dir), APPLICATION_SAYS);
    }
}

// ---- hxcpp ----

#[test]
fn everything_runs_on_hxcpp() {
    if !harness::have_tool("haxe") || !have_hxcpp() {
        return;
    }
    let build_with = |folder: &str, program: &str, name: &str, more: &[&str]| {
        let dir = harness::scratch_dir(&format!("hxcpp-{program}{name}"));
        let mut compiler = haxe(&dir);
        add_program(&mut compiler, folder, program);
        compiler.args(more);
        let binary = if more.contains(&"-debug") { format!("{program}-debug") } else { program.to_owned() };
        hxcpp(compiler, &binary, &dir)
    };
    let build = |folder: &str, program: &str| build_with(folder, program, "", &[]);
    for (name, more) in [
        ("", &[][..]),
        ("-optimised", &["-D", "analyzer-optimize"]),
        ("-debug", &["-debug"]),
        ("-full", &["-dce", "full"]),
        ("-collect", &["-D", "server-socket-collect"]),
    ] {
        harness::run(with_many_descriptors(&build_with("tests", "Suite", name, more)), RUNNING);
    }
    // Not into the user's repository; one of the test's own must know hxcpp, too.
    let own_repository = "hxcpp=$(haxelib path hxcpp | head -n 1)\nhaxelib newrepo\nhaxelib dev hxcpp $hxcpp";
    let haxelib = readme_block("haxelib dev").replace("/path/to/this/checkout/haxe", "haxe");
    for (commands, name) in [
        (readme_block("haxe -cp haxe/src -main Main -cpp"), "readme-hxcpp"),
        (format!("{own_repository}\n{haxelib}"), "readme-haxelib"),
    ] {
        let mut program = as_the_readme_says(&commands, name);
        program.env("HXCPP_COMPILE_CACHE", harness::scratch_dir("hxcpp-cache"));
        harness::check_echo(program);
    }
    assert_eq!(output_of(&build("tests", "Messenger"), &harness::scratch_dir("hxcpp-openfl")), MESSENGER_SAYS);
    check_last_words(build("tests", "LastWords"), "hxcpp-last-words");
    check_forgotten(|more| build_with("tests", "Forgotten", &more.len().to_string(), more));
    check_echo_server(build("examples", "EchoServer"), build("examples", "EchoClient"));

    // Shipped: in another folder the program starts with the library beside it, or with the library in it.
    let shipped = empty_dir("shipped");
    let away = empty_dir("built-away");
    let library = harness::library();
    fs::copy(&library, away.join(library.file_name().expect("a name"))).expect("a library can be copied");
    for (more, is_beside) in [(&[][..], true), (&["-D", "server-socket-static"][..], false)] {
        let dir = harness::scratch_dir(if is_beside { "hxcpp-beside" } else { "hxcpp-inside" });
        let mut compiler = haxe(&dir);
        if is_beside {
            compiler.arg("-D").arg(format!("SERVER_SOCKET_LIB={}", away.display()));
        } else {
            compiler.arg("-D").arg(format!("SERVER_SOCKET_LIB={}", archive_dir().display()));
        }
        add_program(&mut compiler, "examples", "EchoServer");
        compiler.args(more);
        hxcpp(compiler, "EchoServer", &dir);
        fs::rename(dir.join("out/EchoServer"), shipped.join("EchoServer")).expect("a program can be moved");
        let beside = shipped.join(library.file_name().expect("a name"));
        if is_beside {
            fs::rename(away.join(library.file_name().expect("a name")), beside).expect("a library can be moved");
        } else {
            fs::remove_file(beside).expect("a library can be removed");
        }
        let mut program = Command::new(shipped.join("EchoServer"));
        program.arg("0").env_remove("LD_LIBRARY_PATH");
        harness::check_echo(program);
    }
    what_the_compiler_finds();
}

/// Where the archive lies: cargo writes it to the profile's folder when it builds the package, and to none for its tests.
fn archive_dir() -> PathBuf {
    let target = harness::library_dir().parent().expect("a folder").to_path_buf();
    if !target.join("libserver_socket.a").exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--offline"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        harness::compile(cargo);
    }
    target
}

/// Without the library anywhere, one sentence says so, and not hundreds of lines of the compiler and the linker. Where the
/// compiler finds both by itself, as in /usr/local, nothing has to be said.
fn what_the_compiler_finds() {
    let dir = empty_dir("nothing");
    copy_tree(&haxe_dir().join("src"), &dir.join("haxe/src"));
    fs::copy(haxe_dir().join("Build.xml"), dir.join("haxe/Build.xml")).expect("a file can be copied");
    let main = "class Main { static function main() Sys.println(new serversocket.Socket().connected); }";
    fs::write(dir.join("Main.hx"), main).expect("a source can be written");
    let compiler = || {
        let mut command = Command::new("haxe");
        command
            .current_dir(&dir)
            .env("PKG_CONFIG_LIBDIR", &dir)
            .env_remove("PKG_CONFIG_PATH")
            .env_remove("LD_LIBRARY_PATH");
        command.env_remove("SERVER_SOCKET_LIB").env_remove("SERVER_SOCKET_INCLUDE");
        command.args(["-cp", "haxe/src", "-cp", ".", "-main", "Main"]);
        command
    };
    for (variable, what) in [("NOTHING", "server_socket.h"), ("CPATH", "libserver_socket")] {
        let output =
            compiler().env(variable, harness::include_dir()).args(["-cpp", "out"]).output().expect("haxe starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(&format!("{what} is nowhere to be found")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let mut complete = compiler();
    complete.env("CPATH", harness::include_dir()).env("LIBRARY_PATH", harness::library_dir());
    let program = hxcpp(complete, "Main", &dir);
    let output = Command::new(program.get_program()).env("LD_LIBRARY_PATH", harness::library_dir()).output();
    assert_eq!(String::from_utf8_lossy(&output.expect("it starts").stdout), "false\n");
}
