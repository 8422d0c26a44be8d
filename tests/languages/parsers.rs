// SPDX-License-Identifier: MIT OR Apache-2.0
//! The headers in the hands of those that read C without being its compiler, and of the compilers of every standard.

use support::harness;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);
const WARNINGS: [&str; 6] = ["-Wall", "-Wextra", "-Wpedantic", "-Wundef", "-Wconversion", "-Werror"];

fn part(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parsers").join(name)
}

fn cdef_path() -> PathBuf {
    harness::include_dir().join("server_socket.cdef.h")
}

fn cdef() -> String {
    fs::read_to_string(cdef_path()).expect("the declarations can be read")
}

/// The header's functions: name and parameters, these on one line.
fn functions() -> BTreeMap<String, String> {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    harness::declarations().into_iter().map(|function| (function.name, one_line(&function.parameters))).collect()
}

/// The header's constants that are numbers. All are plain ones, but for the events' types, and the version that is put together.
fn constants() -> BTreeMap<String, String> {
    let header = harness::header();
    let constants = header.lines().filter_map(|line| line.strip_prefix("#define SS_")?.split_once(' '));
    let constants = constants.filter(|(name, _)| !name.starts_with("EVENT_") && !["API", "VERSION"].contains(name));
    let number = |(name, value): (&str, &str)| {
        assert!(value.parse::<i64>().is_ok(), "SS_{name} is {value}, which is no plain number");
        (format!("SS_{name}"), value.to_owned())
    };
    constants.map(number).collect()
}

/// What a tool prints; it must succeed and complain of nothing.
#[track_caller]
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{command:?}: {}\n{complaints}", output.status);
    String::from_utf8(output.stdout).expect("it prints text")
}

/// A Python that has a module: Debian's, where the first of the path is another.
fn python_with(module: &str) -> Option<&'static str> {
    let has = |python: &&str| {
        let mut command = Command::new(python);
        command.args(["-c", &format!("import {module}")]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has);
    if found.is_none() {
        support::skipped(&format!("Python has no {module}"));
    }
    found
}

// ---- Compilers ------------------------------------------------------------------------------------------------------

/// Compiles a text by both compilers and each of the standards.
fn compiles(name: &str, text: &str, compilers: [&str; 2], standards: &[&str], more: &[&str]) {
    let source = harness::scratch_dir("standards").join(name);
    fs::write(&source, text).expect("a source can be written");
    for compiler in compilers.into_iter().filter(|compiler| harness::have_tool(compiler)) {
        for standard in standards {
            let mut command = Command::new(compiler);
            command.arg(format!("-std={standard}")).args(WARNINGS).args(more).arg("-fsyntax-only");
            command.arg("-I").arg(harness::include_dir()).arg(&source);
            harness::compile(command);
        }
    }
}

const ALONE: &str = "#include <server_socket.h>\n#include <server_socket.h>\n\
    int main(void) { ss_status status = ss_release(0); return status == SS_OK ? (int)SS_OK : SS_ERR_ERROR; }\n";

#[test]
fn every_standard_of_c_takes_the_header() {
    compiles("alone.c", ALONE, ["gcc", "clang"], &["c99", "c11", "c17", "c2x"], &[]);
}

#[test]
fn every_standard_of_cpp_takes_the_header() {
    compiles("alone.cpp", ALONE, ["g++", "clang++"], &["c++11", "c++14", "c++17", "c++20", "c++2b"], &[]);
}

#[test]
fn every_standard_takes_the_cpp_layer() {
    let text = "#include <server_socket.hpp>\n#include <server_socket.hpp>\n\
                int main() { ss::server server; return server.local_port(); }\n";
    compiles("layer.cpp", text, ["g++", "clang++"], &["c++17", "c++20", "c++2b"], &["-Wshadow"]);
}

// ---- The declarations without preprocessor --------------------------------------------------------------------------

#[test]
fn the_declarations_are_those_of_the_header() {
    let text = cdef();
    let (constants_there, declarations) = text.split_once("};\n").expect("an enum, and declarations after it");
    let listed =
        declarations.lines().filter_map(|line| line.strip_suffix(");")).filter(|line| !line.starts_with("typedef"));
    let listed = listed.map(|line| {
        let (before, parameters) = line.split_once('(').expect("a function has parameters");
        let name = before.rsplit([' ', '*']).next().expect("and a name");
        (name.to_owned(), parameters.to_owned())
    });
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), functions());
    for (name, value) in constants() {
        assert!(constants_there.contains(&format!("    {name} = {value},\n")), "{name} is missing, or is not {value}");
    }
    assert!(!text.contains('#'), "there is something for a preprocessor");
}

#[test]
fn cffi_serves_by_them() {
    let Some(python) = python_with("cffi") else { return };
    let names = harness::scratch_dir("cffi").join("names");
    let wanted: Vec<String> = functions().into_keys().chain(constants().into_keys()).collect();
    fs::write(&names, wanted.join("\n")).expect("names can be written");
    let mut server = Command::new(python);
    server.arg(part("echo_cffi.py")).arg(cdef_path()).arg(harness::library());
    server.stdin(fs::File::open(names).expect("names can be read"));
    harness::check_echo(server);
}

#[test]
fn luajit_serves_by_them() {
    if !harness::have_tool("luajit") {
        return;
    }
    // It has the names looked up only when they are used.
    let mut names = Command::new("luajit");
    let program = "local ffi = require 'ffi'
        ffi.cdef(io.open(arg[1]):read '*a')
        local ss = ffi.load(arg[2])
        for name in arg[3]:gmatch '%S+' do assert(ss[name], name) end";
    let wanted: Vec<String> = functions().into_keys().chain(constants().into_keys()).collect();
    let script = harness::scratch_dir("luajit").join("names.lua");
    fs::write(&script, program).expect("a script can be written");
    names.arg(script).arg(cdef_path()).arg(harness::library()).arg(wanted.join(" "));
    harness::run(names, DEADLINE);
    let mut server = Command::new("luajit");
    server.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/luajit/echo.lua")).arg("0");
    server.env("SERVER_SOCKET_LIB", harness::library());
    harness::check_echo(server);
}

/// Pascal has no difference between ss_version and SS_VERSION, and whoever uses what h2pas makes renames one of them; so it is not
/// compiled here.
#[test]
fn h2pas_understands_all_of_them() {
    if !harness::have_tool("h2pas") {
        return;
    }
    let unit = harness::scratch_dir("h2pas").join("server_socket.pas");
    let mut h2pas = Command::new("h2pas");
    assert_eq!(printed(h2pas.args(["-e", "-d", "-C"]).arg(cdef_path()).arg("-o").arg(&unit)), "");
    let unit = fs::read_to_string(unit).expect("it has written a unit");
    for name in functions().keys() {
        let declared = ["function", "procedure"]
            .iter()
            .any(|kind| unit.contains(&format!("{kind} {name}(")) || unit.contains(&format!("{kind} {name}:")));
        assert!(declared, "{name} is not in the unit");
    }
    for (name, value) in constants() {
        assert!(unit.contains(&format!(" {name} = {value};")), "{name} is not in the unit");
    }
    let types = unit.lines().filter_map(|line| line.strip_prefix("    ss_")?.split_once(" ="));
    let mut seen = BTreeSet::new();
    types.for_each(|(name, _)| assert!(seen.insert(name), "two types are called ss_{name}"));
    assert!(seen.contains("status"), "the unit's types were not understood");
}

// ---- The header itself ----------------------------------------------------------------------------------------------

const STYLES: [&str; 6] = ["consts", "moduleconsts", "bitfield", "newtype", "rust", "rust_non_exhaustive"];

#[test]
fn bindgen_makes_bindings_that_work_in_every_style_of_enums() {
    if !harness::have_tool("bindgen") {
        return;
    }
    let dir = harness::scratch_dir("bindgen");
    let mut tried = BTreeSet::new();
    for style in STYLES {
        let mut bindgen = Command::new("bindgen");
        bindgen.args(["--default-enum-style", style, "--allowlist-function", "ss_.*", "--allowlist-type", "ss_.*"]);
        let bindings =
            printed(bindgen.args(["--allowlist-var", "SS_.*"]).arg(harness::include_dir().join("server_socket.h")));
        // Without an enum in the header they are all the same.
        if !tried.insert(bindings.clone()) {
            continue;
        }
        fs::write(dir.join(style).with_extension("rs"), bindings).expect("bindings can be written");
        let program = dir.join(format!("uses_{style}"));
        let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()));
        rustc.args(["--edition", "2021"]).arg(part("uses_bindgen.rs")).arg("-o").arg(&program);
        rustc
            .env("BINDINGS", dir.join(style))
            .arg("-L")
            .arg(harness::library_dir())
            .args(["-l", "dylib=server_socket"]);
        rustc.arg(format!("-Clink-arg=-Wl,-rpath,{}", harness::library_dir().display()));
        harness::compile(rustc);
        harness::run(Command::new(program), DEADLINE);
    }
}

/// What the header includes, as pycparser wants it: without what compilers add to C.
const INCLUDED: &str = "typedef _Bool bool; typedef unsigned long size_t; typedef float float_t;
    typedef signed char int8_t; typedef unsigned char uint8_t; typedef short int16_t; typedef unsigned short uint16_t;
    typedef int int32_t; typedef unsigned uint32_t; typedef long int64_t; typedef unsigned long uint64_t;\n";

#[test]
fn pycparser_reads_it() {
    let Some(python) = python_with("pycparser") else { return };
    let dir = harness::scratch_dir("pycparser");
    fs::write(dir.join("stdint.h"), INCLUDED).expect("a header can be written");
    for empty in ["stdbool.h", "stddef.h"] {
        fs::write(dir.join(empty), "").expect("a header can be written");
    }
    let preprocessed = dir.join("server_socket.i");
    let mut cc = Command::new("cc");
    cc.args(["-E", "-P", "-nostdinc", "-std=c99", "-I"]).arg(&dir);
    printed(cc.arg(harness::include_dir().join("server_socket.h")).arg("-o").arg(&preprocessed));
    let found = printed(Command::new(python).arg(part("declared.py")).arg(preprocessed));
    let found: BTreeSet<&str> = found.lines().collect();
    assert_eq!(found, functions().keys().map(String::as_str).collect());
}

#[test]
fn swig_wraps_it_for_lua() {
    if !["swig", "lua5.4", "pkg-config"].into_iter().all(harness::have_tool) {
        return;
    }
    let dir = harness::scratch_dir("swig");
    let wrapper = dir.join("ss_wrap.c");
    let mut swig = Command::new("swig");
    swig.args(["-lua", "-Wall"]).arg(format!("-I{}", harness::include_dir().display()));
    printed(swig.arg("-o").arg(&wrapper).arg(part("server_socket.i")));
    let mut cc = Command::new("cc");
    let lua = printed(Command::new("pkg-config").args(["--cflags", "lua5.4"]));
    cc.args(lua.split_whitespace()).args(["-shared", "-fPIC", "-I"]).arg(harness::include_dir());
    cc.arg(&wrapper).arg("-o").arg(dir.join("ss.so"));
    harness::link(&mut cc);
    harness::compile(cc);
    let program = "local ss = require 'ss'
        assert(ss.ss_bind(nil, 0, nil) == ss.SS_ERR_HANDLE)
        local server = ss.ss_new(nil)
        assert(ss.ss_bind(server, 65536, nil) == ss.SS_ERR_RANGE)
        assert(ss.ss_bind(server, 0, '127.0.0.1') == ss.SS_OK and ss.ss_local_port(server) > 0)
        assert(ss.ss_release(server) == ss.SS_OK and ss.SS_EVENT_CLOSE == 'close')";
    let mut lua = Command::new("lua5.4");
    lua.args(["-e", program]).env("LUA_CPATH", dir.join("?.so"));
    harness::run(lua, DEADLINE);
}

/// Zig, from PyPI. Of this version `translate-c` is a part; newer ones compile it first, which takes a minute.
fn zig() -> Option<impl Fn() -> Command> {
    const VERSION: &str = "0.15.2";
    if !harness::have_tool("python3") {
        return None;
    }
    let dir = harness::scratch_dir("zig");
    if !dir.join(format!("ziglang-{VERSION}.dist-info/RECORD")).exists() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--no-deps", "--upgrade", &format!("ziglang=={VERSION}"), "--target"]);
        let pip = pip.arg(&dir).output().expect("python3 starts");
        if !pip.status.success() {
            let reason = String::from_utf8_lossy(&pip.stderr);
            support::left_out(&format!("pip cannot get ziglang: {}", reason.lines().last().unwrap_or_default()));
            return None;
        }
    }
    Some(move || {
        let mut zig = Command::new(dir.join("ziglang/zig"));
        zig.env("ZIG_GLOBAL_CACHE_DIR", dir.join("cache")).env("ZIG_LOCAL_CACHE_DIR", dir.join("cache"));
        zig
    })
}

#[test]
fn zig_translates_it_and_serves_by_that() {
    let Some(zig) = zig() else { return };
    let dir = harness::scratch_dir("zig_echo");
    let translated = printed(zig().args(["translate-c", "-lc"]).arg(harness::include_dir().join("server_socket.h")));
    for name in functions().keys() {
        assert!(translated.contains(&format!("\npub extern fn {name}(")), "{name} is not there");
    }
    for (name, value) in constants() {
        assert!(translated.contains(&format!("\npub const {name} = @as(c_int, {value});\n")), "{name} is not {value}");
    }
    fs::write(dir.join("ss.zig"), translated).expect("a source can be written");
    let mut build = zig();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/zig/echo.zig");
    build.current_dir(&dir).args(["build-exe", "--name", "echo", "--dep", "ss"]);
    build.arg(format!("-Mroot={}", example.display()));
    build
        .args(["-Mss=ss.zig", "-lc", "-lserver_socket", "-L"])
        .arg(harness::library_dir())
        .arg("-rpath")
        .arg(harness::library_dir());
    harness::compile(build);
    let mut server = Command::new(dir.join("echo"));
    server.arg("0");
    harness::check_echo(server);
}
