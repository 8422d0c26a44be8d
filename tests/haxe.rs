//! `haxe/`: the bindings equal the header, and the classes run: on neko, which Debian has, and on hxcpp where it is installed.

mod harness;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, fs, thread};

/// Long enough for a slow machine.
const COMPILING: Duration = Duration::from_secs(300);
const RUNNING: Duration = Duration::from_secs(300);

/// The programs, each with the folder of its source.
const PROGRAMS: [(&str, &str); 5] = [
    ("tests", "Suite"),
    ("tests", "Messenger"),
    ("examples", "EchoServer"),
    ("examples", "EchoClient"),
    ("examples", "Chat"),
];

fn haxe_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("haxe")
}

/// A folder for what a test makes, empty at first.
fn empty_dir(name: &str) -> PathBuf {
    let dir = harness::scratch_dir(name);
    fs::remove_dir_all(&dir).expect("an old folder can be removed");
    harness::scratch_dir(name)
}

/// Haxe's compiler, in `dir`, with the class paths that all need.
fn haxe(dir: &Path) -> Command {
    let mut command = Command::new("haxe");
    command.current_dir(dir).arg("-cp").arg(haxe_dir().join("src"));
    command.arg("-D").arg(format!("SERVER_SOCKET_LIB={}", harness::library_dir().display()));
    command
}

/// Adds a program of `haxe/`: a folder in it, and a class.
fn add_program(command: &mut Command, folder: &str, program: &str) {
    command.arg("-cp").arg(haxe_dir().join(folder)).args(["-main", program]);
    if program == "Messenger" {
        // With all of those modules, used or not: each has to compile.
        command.arg("-cp").arg(haxe_dir().join("openfl-dropin")).args(["--macro", "include('openfl')"]);
    }
}

/// Whether neko and its headers are there, besides haxe.
fn have_neko() -> bool {
    if !harness::have_tool("haxe") || !harness::have_tool("neko") {
        return false;
    }
    let source = harness::scratch_dir("neko").join("headers.c");
    fs::write(&source, "#include <neko.h>\n").expect("a source can be written");
    let found = Command::new("cc")
        .arg("-fsyntax-only")
        .arg(&source)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    assert!(found || env::var_os("SS_TEST_REQUIRE_TOOLS").is_none(), "neko-dev is not installed");
    if !found {
        println!("SKIPPED: neko-dev is not installed");
    }
    found
}

/// The folder of `serversocket.ndll`, which is built once.
fn shim_dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = harness::scratch_dir("shim");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-I"]).arg(harness::include_dir());
        command.arg(haxe_dir().join("neko/shim.c")).arg("-o").arg(dir.join("serversocket.ndll"));
        harness::link(&mut command);
        command.arg("-lneko");
        harness::compile(command);
        dir
    })
}

/// Compiles for neko, and gives the command that starts the program, once `program` is the main class on the path.
fn neko(mut compiler: Command, dir: &Path) -> Command {
    let bytecode = dir.join("program.n");
    compiler.arg("-neko").arg(&bytecode);
    harness::compile(compiler);
    let mut command = Command::new("neko");
    command.current_dir(shim_dir()).env_remove("NEKOPATH").arg(bytecode);
    command
}

fn neko_program(folder: &str, program: &str) -> Command {
    let dir = empty_dir(&format!("neko-{program}"));
    let mut compiler = haxe(&dir);
    add_program(&mut compiler, folder, program);
    neko(compiler, &dir)
}

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
        ("SS_ERR_FULL = 23", "SS_ERR_FULL = 27"),
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

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder can be read") {
        let entry = entry.expect("an entry can be read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
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

// ---- neko ----

#[test]
fn the_suite_passes_on_neko() {
    if have_neko() {
        harness::run(with_many_descriptors(&neko_program("tests", "Suite")), RUNNING);
    }
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
    BufReader::new(first.try_clone().expect("a clone")).read_line(&mut line).expect("it passes on");
    assert!(line.ends_with(": here\n"), "{line:?}");
    first.write_all("grüße\nbye\n".as_bytes()).expect("it reads");
    let name = format!("guest {}", first.local_addr().expect("an address").port());
    drop(first);
    for text in ["grüße", "bye", "(has left)"] {
        line.clear();
        second.read_line(&mut line).expect("it passes on");
        assert_eq!(line, format!("{name}: {text}\n"));
    }
}

/// The block of the README that contains `part`.
fn readme_block(part: &str) -> String {
    let readme = fs::read_to_string(haxe_dir().join("README.md")).expect("the README can be read");
    let blocks = readme.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let found = blocks.map(|(_, text)| text).find(|text| text.contains(part));
    found.unwrap_or_else(|| panic!("no block with {part:?}")).to_owned()
}

/// A checkout with the README's program, in which what the README says is done; its last command starts the program.
fn as_the_readme_says(commands: &str, name: &str) -> Command {
    let dir = empty_dir(name);
    fs::write(dir.join("Main.hx"), readme_block("class Main")).expect("a source can be written");
    fs::create_dir(dir.join("target")).expect("a folder can be made");
    copy_tree(&haxe_dir(), &dir.join("haxe")); // no link: haxelib would follow it, away from this library
    for (target, link) in [(harness::include_dir(), "include"), (harness::library_dir(), "target/release")] {
        std::os::unix::fs::symlink(target, dir.join(link)).expect("a link can be made");
    }
    let (before, program) = commands.trim_end().rsplit_once(" && ").expect("the last command starts the program");
    let mut command = Command::new("sh");
    command
        .current_dir(&dir)
        .env_remove("NEKOPATH")
        .env_remove("SERVER_SOCKET_LIB")
        .env_remove("SERVER_SOCKET_INCLUDE");
    command.arg("-c").arg(format!("set -e\n{{\n{before}\n}} >&2\nexec {program}"));
    command
}

#[test]
fn what_the_readme_says_of_neko_serves_a_client() {
    if have_neko() {
        harness::check_echo(as_the_readme_says(&readme_block("shim.c"), "readme-neko"));
    }
}

// ---- hxcpp ----

fn have_hxcpp() -> bool {
    let found = harness::have_tool("haxelib")
        && Command::new("haxelib").args(["path", "hxcpp"]).output().is_ok_and(|output| output.status.success());
    if !found {
        println!("SKIPPED: hxcpp is not installed"); // also where other tools are required: no registry of CI's has it
    }
    found
}

/// Compiles for C++. One cache for all of them, which run one after the other.
fn hxcpp(mut compiler: Command, program: &str, dir: &Path) -> Command {
    compiler
        .args(["-cpp", "out", "-D"])
        .arg(format!("HXCPP_COMPILE_CACHE={}", harness::scratch_dir("hxcpp-cache").display()));
    compiler.env("HXCPP_COMPILE_THREADS", "2");
    harness::run(compiler, COMPILING * 3);
    let mut command = Command::new(dir.join("out").join(program));
    command.current_dir(dir);
    command
}

#[test]
fn everything_runs_on_hxcpp() {
    if !harness::have_tool("haxe") || !have_hxcpp() {
        return;
    }
    let build = |folder: &str, program: &str| {
        let dir = harness::scratch_dir(&format!("hxcpp-{program}"));
        let mut compiler = haxe(&dir);
        add_program(&mut compiler, folder, program);
        hxcpp(compiler, program, &dir)
    };
    harness::run(with_many_descriptors(&build("tests", "Suite")), RUNNING);
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
    check_echo_server(build("examples", "EchoServer"), build("examples", "EchoClient"));
}
