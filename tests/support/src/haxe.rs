// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs of `haxe/`, compiled, for neko above all: Debian has it.

use crate::harness;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// Long enough for a slow machine.
const COMPILING: Duration = Duration::from_secs(900);

pub fn haxe_dir() -> PathBuf {
    harness::root().join("haxe")
}

/// A folder for what a test makes, empty at first.
pub fn empty_dir(name: &str) -> PathBuf {
    let dir = harness::scratch_dir(name);
    fs::remove_dir_all(&dir).expect("an old folder can be removed");
    harness::scratch_dir(name)
}

/// Haxe's compiler, in `dir`, with the class paths that all need.
pub fn haxe(dir: &Path) -> Command {
    let mut command = Command::new("haxe");
    command.current_dir(dir).arg("-cp").arg(haxe_dir().join("src"));
    command.arg("-D").arg(format!("SERVER_SOCKET_LIB={}", harness::library_dir().display()));
    command
}

/// Adds a program of `haxe/`: a folder in it, and a class.
pub fn add_program(command: &mut Command, folder: &str, program: &str) {
    command.arg("-cp").arg(haxe_dir().join(folder)).args(["-main", program]);
    if program == "Messenger" {
        // With all of those modules, used or not: each has to compile.
        command.arg("-cp").arg(haxe_dir().join("openfl-dropin")).args(["--macro", "include('openfl')"]);
    }
}

/// Whether neko and its headers are there, besides haxe.
pub fn have_neko() -> bool {
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
    if !found {
        crate::skipped("neko-dev is not installed");
    }
    found
}

/// The folder of `serversocket.ndll`, which is built once.
pub fn shim_dir() -> &'static Path {
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
pub fn neko(mut compiler: Command, dir: &Path) -> Command {
    let bytecode = dir.join("program.n");
    compiler.arg("-neko").arg(&bytecode);
    harness::compile(compiler);
    let mut command = Command::new("neko");
    command.current_dir(shim_dir()).env_remove("NEKOPATH").arg(bytecode);
    command
}

pub fn neko_program(folder: &str, program: &str) -> Command {
    let dir = empty_dir(&format!("neko-{program}"));
    let mut compiler = haxe(&dir);
    add_program(&mut compiler, folder, program);
    neko(compiler, &dir)
}

/// The block of the README that contains `part`.
pub fn readme_block(part: &str) -> String {
    let readme = fs::read_to_string(haxe_dir().join("README.md")).expect("the README can be read");
    let blocks = readme.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let found = blocks.map(|(_, text)| text).find(|text| text.contains(part));
    found.unwrap_or_else(|| panic!("no block with {part:?}")).to_owned()
}

/// A checkout with the README's program, in which what the README says is done; its last command starts the program.
pub fn as_the_readme_says(commands: &str, name: &str) -> Command {
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

pub fn copy_tree(from: &Path, to: &Path) {
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

pub fn have_hxcpp() -> bool {
    let found = harness::have_tool("haxelib")
        && Command::new("haxelib").args(["path", "hxcpp"]).output().is_ok_and(|output| output.status.success());
    if !found {
        crate::left_out("hxcpp is not installed"); // also where other tools are required: no registry of CI's has it
    }
    found
}

/// Compiles for C++. One cache for all of them, which run one after the other.
pub fn hxcpp(mut compiler: Command, program: &str, dir: &Path) -> Command {
    compiler
        .args(["-cpp", "out", "-D"])
        .arg(format!("HXCPP_COMPILE_CACHE={}", harness::scratch_dir("hxcpp-cache").display()));
    compiler.env("HXCPP_COMPILE_THREADS", "2");
    harness::run(compiler, COMPILING);
    let mut command = Command::new(dir.join("out").join(program));
    command.current_dir(dir);
    command
}
