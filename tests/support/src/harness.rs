// SPDX-License-Identifier: MIT OR Apache-2.0
//! For the tests that are C programs: one source is compiled as C99 and as C++11, linked against the shared library that
//! `cargo test` has just built, and run as a process of its own.

use crate::{left_out, skipped};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, thread};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Language {
    C99,
    Cpp11,
}

pub const LANGUAGES: [Language; 2] = [Language::C99, Language::Cpp11];

impl Language {
    fn flags(self) -> [&'static str; 3] {
        match self {
            Language::C99 => ["-std=c99", "-x", "c"],
            Language::Cpp11 => ["-std=c++11", "-x", "c++"],
        }
    }
}

/// The folder of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this is tests/support")
}

pub fn include_dir() -> PathBuf {
    root().join("include")
}

pub fn header() -> String {
    fs::read_to_string(include_dir().join("server_socket.h")).expect("the header can be read")
}

/// Where the sources of the C programs lie.
pub fn c_dir() -> PathBuf {
    root().join("tests/c")
}

/// Where the shared library lies that belongs to this test: beside the test itself. `target/<profile>/` may hold an
/// older one: `cargo test` does not write there.
pub fn library_dir() -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    test.parent().expect("it lies in a folder").to_path_buf()
}

pub fn library() -> PathBuf {
    let path = library_dir().join(format!("{}server_socket{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX));
    assert!(path.exists(), "cargo has not built {}", path.display());
    path
}

/// A folder for what a test makes, beside those of the build; another one for each source file that asks, and each `name`.
#[track_caller]
pub fn scratch_dir(name: &str) -> PathBuf {
    let asks = Path::new(Location::caller().file()).file_stem().expect("a source has a name");
    let dir = library_dir().with_file_name("tmp").join(asks).join(name);
    fs::create_dir_all(&dir).expect("a folder can be made under the target folder");
    dir
}

/// The compiler of this machine, as a build script would find it, with the strictest usual warnings as errors.
pub fn compiler(language: Language) -> Command {
    // A build script gets the triples from cargo; a test must name them.
    let triple = match env::consts::OS {
        "macos" => format!("{}-apple-darwin", env::consts::ARCH),
        os => format!("{}-unknown-{os}-{}", env::consts::ARCH, if cfg!(target_env = "musl") { "musl" } else { "gnu" }),
    };
    let mut command = cc::Build::new()
        .cpp(language == Language::Cpp11)
        .target(&triple)
        .host(&triple)
        // What is C++11 is mostly there to be compiled.
        .opt_level(u32::from(language == Language::C99))
        .debug(true)
        .cargo_metadata(false)
        .get_compiler()
        .to_command();
    command.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread", "-I"]).arg(include_dir());
    command.args(language.flags());
    if cfg!(debug_assertions) {
        command.arg("-DGARBAGE_ROUNDS=20000"); // each failing call takes ten times as long
    }
    command
}

/// Runs a compiler; what it says is the failure's text.
pub fn compile(mut command: Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(output.status.success(), "{command:?}:\n{}", text_of(&output));
}

/// Compiles and links one program; `name` is the program's. Returns its path.
#[track_caller]
pub fn build(source: &Path, name: &str, language: Language) -> PathBuf {
    let dir = scratch_dir(&format!("{name}-{language:?}"));
    fs::write(dir.join("declared.h"), declared_macros()).expect("declared.h can be written");
    let program = dir.join(name);
    let mut command = compiler(language);
    command.arg("-I").arg(&dir).arg(source).arg("-o").arg(&program);
    link(&mut command);
    compile(command);
    program
}

/// Has a compiler link against the library that belongs to this test.
pub fn link(command: &mut Command) {
    let library_dir = library().parent().expect("it lies in a folder").to_path_buf();
    command.arg("-L").arg(&library_dir).arg("-lserver_socket");
    command.arg(format!("-Wl,-rpath,{}", library_dir.display()));
}

/// Builds an example with the project's Makefile. `None` where the package that it needs is not installed.
#[track_caller]
pub fn example(name: &str, package: Option<&str>) -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let is_installed = |package: &str| {
        Command::new("pkg-config").args(["--exists", package]).status().is_ok_and(|status| status.success())
    };
    if let Some(package) = package.filter(|package| !is_installed(package)) {
        skipped(&format!("{package} is not installed"));
        return None;
    }
    let build = scratch_dir("build");
    let mut make = Command::new("make");
    make.arg("-C").arg(root().join("c-examples")).arg(name);
    make.arg(format!("LIBDIR={}", library_dir().display())).arg(format!("BUILD={}", build.display()));
    make.args(["CFLAGS=-g -Werror"]).env_remove("MAKEFLAGS");
    compile(make);
    Some(build.join(name))
}

/// A process that is ended with the test, whatever becomes of it.
pub struct Running(pub Child);

impl Running {
    /// Its status, once it has ended by itself.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let end = Instant::now() + deadline;
        while Instant::now() < end {
            if let Some(status) = self.0.try_wait().expect("it can be waited for") {
                return status;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not end");
    }

    #[cfg(unix)]
    pub fn signal(&self, signal: i32) {
        // SAFETY: a system call without pointers, to a child that is not waited for yet.
        assert_eq!(unsafe { libc::kill(self.0.id() as libc::pid_t, signal) }, 0);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts an echo server that prints a line which ends in its port, and has it echo a line.
pub fn check_echo(mut command: Command) {
    if command.get_envs().all(|(name, _)| name != "LD_LIBRARY_PATH") {
        command.env_remove("LD_LIBRARY_PATH");
    }
    command.stdout(Stdio::piped());
    let mut server = Running(command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}")));
    let mut line = String::new();
    let stdout = server.0.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("it prints a line");
    let port = line.trim().rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse::<u16>().ok());
    let port = port.unwrap_or_else(|| panic!("{command:?}: no port in {line:?}"));

    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    client.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
    client.write_all(b"hello\n").expect("it reads");
    let mut answer = [0; 6];
    client.read_exact(&mut answer).expect("it answers");
    assert_eq!(&answer, b"hello\n");
}

/// Runs a program to its end and prints what it printed; it must succeed before the deadline.
pub fn run(mut command: Command, deadline: Duration) {
    // Cargo's own search path names target/<profile>/ too, and would win over the path in the program.
    command.env_remove("LD_LIBRARY_PATH").env_remove("DYLD_LIBRARY_PATH");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let end = Instant::now() + deadline;
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let stdout = read_aside(child.stdout.take().expect("it is piped"));
    let stderr = read_aside(child.stderr.take().expect("it is piped"));
    let mut in_time = true;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if in_time && Instant::now() > end {
            in_time = false;
            child.kill().expect("a child can be killed");
        }
        thread::sleep(Duration::from_millis(5));
    };
    let output = Output {
        status,
        stdout: stdout.join().expect("the reader does not panic"),
        stderr: stderr.join().expect("the reader does not panic"),
    };
    assert!(in_time, "{command:?} was still running after {deadline:?}:\n{}", text_of(&output));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text_of(&output));
    println!("{}", text_of(&output));
}

fn read_aside(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

fn text_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Whether a tool starts on this machine. If not, the test says so and passes, unless `SS_TEST_REQUIRE_TOOLS` is set.
pub fn have_tool(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        skipped(&format!("{tool} is not installed"));
    }
    found
}

/// Whether programs are to be run under valgrind. The debug library is no other code, only slower: there it is for who
/// asks for it.
pub fn may_use_valgrind() -> bool {
    if cfg!(debug_assertions) && env::var_os("SS_TEST_VALGRIND").is_none() {
        left_out("valgrind is for release builds, or set SS_TEST_VALGRIND");
        return false;
    }
    have_tool("valgrind")
}

/// A function as the header declares it.
#[derive(Debug)]
pub struct Declaration {
    pub name: String,
    /// The text between the parentheses.
    pub parameters: String,
    /// The comment that stands right before it, if any.
    pub comment: Option<String>,
}

/// The functions of the header, in its order.
pub fn declarations() -> Vec<Declaration> {
    let header = header();
    let mut found = Vec::new();
    let mut comment = None;
    let mut statement = String::new();
    let mut rest = header.as_str();
    while let Some(next) = rest.chars().next() {
        if let Some(inside) = rest.strip_prefix("/*") {
            let (text, after) = inside.split_once("*/").expect("a comment ends");
            comment = Some(text.to_owned());
            rest = after;
        } else if rest.starts_with("//") || (rest.starts_with('#') && statement.trim().is_empty()) {
            let line_end = rest.find('\n').unwrap_or(rest.len());
            if rest.starts_with("//") {
                comment = Some(rest[..line_end].to_owned());
            }
            rest = &rest[line_end..];
        } else {
            rest = &rest[next.len_utf8()..];
            match next {
                ';' => {
                    found.extend(declaration(&statement, comment.take()));
                    statement.clear();
                }
                // The inside of an enum or struct, or of extern "C": no function ends in a brace here.
                '{' | '}' => statement.clear(),
                _ => statement.push(next),
            }
        }
    }
    assert!(found.len() > 20, "the header's functions were not understood: {found:?}");
    found
}

fn declaration(statement: &str, comment: Option<String>) -> Option<Declaration> {
    let statement = statement.trim();
    if statement.starts_with("typedef") {
        return None;
    }
    let (before, after) = statement.split_once('(')?;
    let name = before.trim_end().rsplit(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    let parameters = after.trim_end().strip_suffix(')')?;
    Some(Declaration { name: name.to_owned(), parameters: parameters.to_owned(), comment })
}

/// What lets a C program leave out the functions that are still to come.
fn declared_macros() -> String {
    let mut text = String::new();
    for function in declarations() {
        writeln!(text, "#define HAVE_{} 1", function.name).expect("a String takes all");
    }
    text
}
