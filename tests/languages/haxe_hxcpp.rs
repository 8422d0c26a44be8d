// SPDX-License-Identifier: MIT OR Apache-2.0
//! All of `haxe/` on hxcpp, where it is installed. The README says which versions.

use crate::haxe::*;
use std::fs;
use std::process::Command;
use support::harness;
use support::haxe::*;

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
            compiler.arg("-D").arg(format!("SERVER_SOCKET_LIB={}", harness::library_dir().display()));
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
