//! An installed tree, and consumers that find it by pkg-config, CMake and Meson.

mod harness;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Installed once for this file: building the release library takes its time.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let prefix = harness::scratch_dir("installed");
        let _ = fs::remove_dir_all(&prefix);
        let mut install = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh"));
        install.arg("--prefix").arg(&prefix).env("CARGO_TARGET_DIR", harness::scratch_dir("target"));
        // As from a shell, not from inside cargo.
        install.env_remove("CARGO_MANIFEST_DIR").env_remove("RUSTFLAGS");
        harness::compile(install);
        prefix
    })
}

/// A program of somebody else's, in a folder of its own.
fn consumer(name: &str) -> PathBuf {
    let dir = harness::scratch_dir(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a folder can be made");
    let header = fs::read_to_string(prefix().join("include/server_socket.h")).expect("the header is installed");
    let comment = header.split("*/").next().expect("a comment on top");
    let lines = comment.lines().filter_map(|line| line.strip_prefix(" *     "));
    let program: Vec<&str> = lines.skip_while(|line| !line.contains("#include")).collect();
    let end = program.iter().rposition(|line| *line == "}").expect("the program ends");
    // It prints to a pipe here.
    let text = program[..=end].join("\n").replace("ss_loop_run(NULL);", "fflush(stdout); ss_loop_run(NULL);");
    fs::write(dir.join("main.c"), text + "\n").expect("a source can be written");
    dir
}

fn pkg_config(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("pkg-config")
        .args(arguments)
        .arg("server_socket")
        .env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"))
        .output()
        .expect("pkg-config starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("flags are plain text").split_whitespace().map(str::to_owned).collect()
}

fn serves(program: &Path) {
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", prefix().join("lib"));
    harness::check_echo(command);
}

#[test]
fn the_tree_has_everything_in_its_place() {
    for file in [
        "include/server_socket.h",
        "include/server_socket.hpp",
        "lib/libserver_socket.a",
        "lib/libserver_socket.so",
        "lib/pkgconfig/server_socket.pc",
        "lib/cmake/ServerSocket/ServerSocketConfig.cmake",
        "lib/cmake/ServerSocket/ServerSocketConfigVersion.cmake",
    ] {
        assert!(prefix().join(file).exists(), "{file}");
    }
    let pc = fs::read_to_string(prefix().join("lib/pkgconfig/server_socket.pc")).expect("it can be read");
    assert!(pc.contains(concat!("Version: ", env!("CARGO_PKG_VERSION"))) && !pc.contains('@'), "{pc}");
}

#[test]
fn the_shared_library_has_a_name_for_its_abi() {
    if !harness::have_tool("readelf") {
        return;
    }
    let output = Command::new("readelf").arg("-d").arg(prefix().join("lib/libserver_socket.so")).output();
    let dynamic = String::from_utf8_lossy(&output.expect("readelf starts").stdout).into_owned();
    let version: Vec<&str> = env!("CARGO_PKG_VERSION").split('.').collect();
    let abi = if version[0] == "0" { format!("0.{}", version[1]) } else { version[0].to_owned() };
    let soname = format!("libserver_socket.so.{abi}");
    assert!(dynamic.contains(&format!("[{soname}]")), "{dynamic}");
    assert!(prefix().join("lib").join(soname).exists());
}

#[test]
fn an_older_rust_is_refused_before_anything_is_built() {
    let dir = harness::scratch_dir("older");
    let rustc = dir.join("rustc");
    fs::write(&rustc, "#!/bin/sh\necho 'rustc 1.84.1 (e71f9a9a9 2025-01-27)'\n").expect("a script can be written");
    fs::set_permissions(&rustc, Permissions::from_mode(0o755)).expect("it can be made a program");
    let mut install = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh"));
    install.arg("--prefix").arg(dir.join("prefix")).env("CARGO_TARGET_DIR", dir.join("target")).env("RUSTC", rustc);
    let output = install.output().expect("install.sh starts");
    assert!(!output.status.success());
    let needed = env!("CARGO_PKG_RUST_VERSION");
    let sentence = format!("install.sh: Rust {needed} or newer is needed, and this is 1.84.1\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), sentence);
    assert!(!dir.join("prefix").exists() && !dir.join("target").exists());
}

#[test]
fn destdir_is_put_in_front_and_not_remembered() {
    // The tree is built already; this only copies it again.
    prefix();
    let destdir = harness::scratch_dir("destdir");
    let mut install = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh"));
    install.args(["--prefix=/opt/somewhere", "--libdir", "lib64", "--destdir"]).arg(&destdir);
    install.env("CARGO_TARGET_DIR", harness::scratch_dir("target"));
    harness::compile(install);
    let pc = fs::read_to_string(destdir.join("opt/somewhere/lib64/pkgconfig/server_socket.pc")).expect("it is there");
    assert!(pc.contains("libdir=/opt/somewhere/lib64\n") && !pc.contains("destdir"), "{pc}");
}

#[test]
fn a_program_finds_it_by_pkg_config() {
    if !harness::have_tool("pkg-config") {
        return;
    }
    let dir = consumer("by_pkg_config");
    let mut cc = Command::new("cc");
    cc.arg(dir.join("main.c")).arg("-o").arg(dir.join("main")).args(pkg_config(&["--cflags", "--libs"]));
    harness::compile(cc);
    serves(&dir.join("main"));
}

#[test]
fn a_program_links_it_statically() {
    if !harness::have_tool("pkg-config") {
        return;
    }
    let dir = consumer("static");
    let mut cc = Command::new("cc");
    cc.arg(dir.join("main.c")).arg("-o").arg(dir.join("main")).args(pkg_config(&["--cflags"]));
    cc.arg(prefix().join("lib/libserver_socket.a"));
    let private = pkg_config(&["--static", "--libs"]);
    cc.args(private.iter().filter(|flag| *flag != "-lserver_socket"));
    harness::compile(cc);
    // On its own: it would not find a shared library.
    harness::check_echo(Command::new(dir.join("main")));
}

#[test]
fn a_program_finds_it_by_cmake() {
    if !harness::have_tool("cmake") {
        return;
    }
    let dir = consumer("by_cmake");
    let version: Vec<&str> = env!("CARGO_PKG_VERSION").split('.').collect();
    let project = format!(
        "cmake_minimum_required(VERSION 3.10)\nproject(consumer C)\n\
         find_package(ServerSocket {}.{} REQUIRED)\n\
         foreach(kind ServerSocket Static)\n\
         add_executable(main_${{kind}} main.c)\n\
         target_link_libraries(main_${{kind}} ServerSocket::${{kind}})\n\
         endforeach()\n",
        version[0], version[1]
    );
    fs::write(dir.join("CMakeLists.txt"), project).expect("a project can be written");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(&dir).arg("-B").arg(dir.join("build"));
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix().display()));
    harness::compile(configure);
    let mut build = Command::new("cmake");
    build.arg("--build").arg(dir.join("build"));
    harness::compile(build);
    serves(&dir.join("build/main_ServerSocket"));
    serves(&dir.join("build/main_Static"));
}

#[test]
fn cmake_refuses_another_abi() {
    if !harness::have_tool("cmake") {
        return;
    }
    let dir = consumer("another_abi");
    let project =
        "cmake_minimum_required(VERSION 3.10)\nproject(consumer NONE)\nfind_package(ServerSocket 99.0 REQUIRED)\n";
    fs::write(dir.join("CMakeLists.txt"), project).expect("a project can be written");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(&dir).arg("-B").arg(dir.join("build"));
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix().display()));
    let output = configure.output().expect("cmake starts");
    assert!(!output.status.success());
}

#[test]
fn a_program_finds_it_by_meson() {
    if !harness::have_tool("meson") || !harness::have_tool("ninja") {
        return;
    }
    let dir = consumer("by_meson");
    let project = "project('consumer', 'c')\nexecutable('main', 'main.c', dependencies: dependency('server_socket'))\n";
    fs::write(dir.join("meson.build"), project).expect("a project can be written");
    let mut setup = Command::new("meson");
    setup.arg("setup").arg(dir.join("build")).arg(&dir).env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"));
    harness::compile(setup);
    let mut ninja = Command::new("ninja");
    ninja.arg("-C").arg(dir.join("build"));
    harness::compile(ninja);
    serves(&dir.join("build/main"));
}

#[test]
fn cargo_c_makes_the_same_tree() {
    let there =
        Command::new("cargo").args(["cinstall", "--version"]).output().is_ok_and(|output| output.status.success());
    if !there {
        // Installing it takes a quarter of an hour: CI does not.
        println!("SKIPPED: cargo-c is not installed");
        return;
    }
    let prefix = harness::scratch_dir("by_cargo_c");
    let _ = fs::remove_dir_all(&prefix);
    let mut cinstall = Command::new("cargo");
    cinstall.args(["cinstall", "--release", "--libdir", "lib", "--prefix"]).arg(&prefix);
    cinstall.arg("--manifest-path").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    cinstall.arg("--target-dir").arg(harness::scratch_dir("target_cargo_c"));
    harness::compile(cinstall);
    for file in ["include/server_socket.h", "lib/libserver_socket.a", "lib/libserver_socket.so"] {
        assert!(prefix.join(file).exists(), "{file}");
    }
    let installed = fs::read_to_string(prefix.join("include/server_socket.h")).expect("it can be read");
    assert_eq!(installed, harness::header(), "the committed header is the one that is installed");
    assert!(prefix.join("include/server_socket.hpp").exists());
    assert!(prefix.join("lib/pkgconfig/server_socket.pc").exists());
}
