// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other runtimes need nothing but the shared library and its header: each example serves a client. docs/LANGUAGES.md is about them.

use support::harness;

use std::env;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Has an example serve on a port that it chooses.
fn serves(mut example: Command) {
    example.arg("0").env("SERVER_SOCKET_LIB", harness::library());
    harness::check_echo(example);
}

fn interpreted(interpreter: &str, example: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(root().join("examples").join(example));
    command
}

#[test]
fn python() {
    if harness::have_tool("python3") {
        serves(interpreted("python3", "python/echo.py"));
    }
}

#[test]
fn luajit() {
    if harness::have_tool("luajit") {
        serves(interpreted("luajit", "luajit/echo.lua"));
    }
}

#[test]
fn ruby() {
    if harness::have_tool("ruby") {
        serves(interpreted("ruby", "ruby/echo.rb"));
    }
}

#[test]
fn go() {
    if !harness::have_tool("go") {
        return;
    }
    let dir = harness::scratch_dir("go");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(dir.join("echo")).arg(root().join("examples/go/echo.go"));
    let library_dir = harness::library_dir();
    build.env("CGO_CFLAGS", format!("-I{}", harness::include_dir().display()));
    build.env("CGO_LDFLAGS", format!("-L{0} -Wl,-rpath,{0}", library_dir.display()));
    build.env("GOCACHE", dir.join("cache"));
    harness::compile(build);
    serves(Command::new(dir.join("echo")));
}

#[test]
fn csharp() {
    if !harness::have_tool("mcs") || !harness::have_tool("mono") {
        return;
    }
    let program = harness::scratch_dir("csharp").join("Echo.exe");
    let mut mcs = Command::new("mcs");
    mcs.arg(format!("-out:{}", program.display())).arg(root().join("examples/csharp/Echo.cs"));
    harness::compile(mcs);
    let mut mono = Command::new("mono");
    mono.arg(program).env("LD_LIBRARY_PATH", harness::library_dir());
    serves(mono);
}

/// The compiler of a Java of 22 or newer, which Debian 12 does not have: the path's, JAVA_HOME's, or one beside Debian's.
fn javac() -> Option<PathBuf> {
    let is_new_enough = |javac: &PathBuf| {
        let output = Command::new(javac).arg("--version").output().ok()?;
        let version = String::from_utf8(output.stdout).ok()?;
        let major = version.trim().strip_prefix("javac ")?.split(['.', '-']).next()?.parse::<u32>().ok()?;
        Some(major >= 22)
    };
    let homes = env::var_os("JAVA_HOME").map(PathBuf::from).into_iter();
    let beside = fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten().map(|home| home.path());
    let installed = homes.chain(beside).map(|home| home.join("bin/javac"));
    let found = iter::once(PathBuf::from("javac")).chain(installed).find(|javac| is_new_enough(javac) == Some(true));
    if found.is_none() {
        support::left_out("there is no JDK 22 or newer");
    }
    found
}

#[test]
fn java() {
    let Some(javac) = javac() else { return };
    let classes = harness::scratch_dir("java");
    let mut compiler = Command::new(&javac);
    // What is native is restricted, of which it warns; of the rest it has nothing to say.
    compiler.args(["--release", "22", "-Xlint:all", "-Xlint:-restricted", "-Werror", "-d"]).arg(&classes);
    compiler.arg(root().join("examples/java/Echo.java"));
    harness::compile(compiler);
    let mut java = Command::new(javac.with_file_name("java"));
    java.args(["--enable-native-access=ALL-UNNAMED", "-cp"]).arg(classes).arg("Echo");
    serves(java);
}

/// The package by which Node calls C.
fn koffi() -> Option<PathBuf> {
    let dir = harness::scratch_dir("node");
    let modules = dir.join("node_modules");
    if !modules.join("koffi").exists() {
        fs::write(dir.join("package.json"), "{}").expect("a package can be written");
        let npm = Command::new("npm").current_dir(&dir).args(["install", "koffi@2.16.3"]).output();
        let npm = npm.expect("npm comes with Node");
        if !npm.status.success() {
            support::left_out(&format!("npm cannot get koffi: {}", String::from_utf8_lossy(&npm.stderr)));
            return None;
        }
    }
    Some(modules)
}

#[test]
fn node() {
    if !harness::have_tool("node") || !harness::have_tool("npm") {
        return;
    }
    let Some(modules) = koffi() else { return };
    let mut example = interpreted("node", "node/echo.js");
    example.env("NODE_PATH", modules);
    serves(example);
}

#[test]
fn every_example_is_in_the_page_about_languages() {
    let page = fs::read_to_string(root().join("docs/LANGUAGES.md")).expect("the page can be read");
    for folder in fs::read_dir(root().join("examples")).expect("there are examples") {
        for example in fs::read_dir(folder.expect("they have folders").path()).expect("a folder can be read") {
            let path = example.expect("it has entries").path();
            let path = path.strip_prefix(root()).expect("it lies in the repository");
            assert!(page.contains(&format!("(../{})", path.display())), "{} is not there", path.display());
        }
    }
}
