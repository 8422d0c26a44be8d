// SPDX-License-Identifier: MIT OR Apache-2.0
//! `haxe/` beside OpenFL: what the compiler says of mistakes, and part of an application.

use crate::haxe::output_of;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::harness;
use support::haxe::*;

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
    [thrown by a,thrown by b] 2\ntarget: true\n\
    a peer: true, close: ok, drained: 0, end: hi true\nSecureSocket: true, trusted\n";

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
