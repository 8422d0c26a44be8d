// SPDX-License-Identifier: MIT OR Apache-2.0
//! An installed tree, and consumers that find it by pkg-config, CMake and Meson.

use support::harness;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh")
}

/// install.sh, as from a shell and not from inside cargo.
fn installer() -> Command {
    installer_of(&script())
}

/// Another script that installs, in the same way.
fn installer_of(script: &Path) -> Command {
    let mut install = Command::new(script);
    install.env("CARGO_TARGET_DIR", harness::scratch_dir("target"));
    // Most of a release build's time goes into this, which changes neither where files lie nor how they link. Tests of a release build
    // install what is handed out.
    if cfg!(debug_assertions) {
        install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
    }
    for variable in ["CARGO_MANIFEST_DIR", "CARGO_BUILD_TARGET", "RUSTFLAGS", "DESTDIR", "LD", "NM", "OBJCOPY", "AR"] {
        install.env_remove(variable);
    }
    install
}

/// Installed once for this file: building the release library takes its time.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let prefix = empty_dir("installed");
        let mut install = installer();
        install.arg("--prefix").arg(&prefix);
        harness::compile(install);
        prefix
    })
}

/// install.sh once more, with what was built for [`prefix`].
fn again(arguments: &[&str]) -> Command {
    prefix();
    let mut install = installer();
    install.arg("--no-build").args(arguments);
    install
}

fn empty_dir(name: &str) -> PathBuf {
    let dir = harness::scratch_dir(name);
    fs::remove_dir_all(&dir).expect("a folder can be removed");
    fs::create_dir_all(&dir).expect("a folder can be made");
    dir
}

/// What install.sh says when it fails.
#[track_caller]
fn refused(mut install: Command) -> String {
    let output = install.output().expect("install.sh starts");
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).expect("it says a sentence")
}

#[track_caller]
fn said(mut install: Command) -> String {
    let output = install.output().expect("install.sh starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it says a sentence")
}

/// A folder for the front of the path, with a script of that name.
fn with_tool(dir: &Path, name: &str, text: &str) -> String {
    let tool = dir.join(name);
    fs::write(&tool, text).expect("a script can be written");
    fs::set_permissions(&tool, Permissions::from_mode(0o755)).expect("it can be made a program");
    format!("{}:{}", dir.display(), std::env::var("PATH").expect("there is a path"))
}

/// Everything but folders below a folder, without its own name.
fn files_in(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be read") {
            let entry = entry.expect("it has entries");
            if entry.file_type().expect("they have types").is_dir() {
                folders.push(entry.path());
            } else {
                found.insert(entry.path().strip_prefix(dir).expect("it lies below").to_path_buf());
            }
        }
    }
    found
}

/// A program of somebody else's, in a folder of its own.
fn consumer(name: &str) -> PathBuf {
    let dir = harness::scratch_dir(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a folder can be made");
    let header = harness::header();
    let comment = header.split("*/").next().expect("a comment on top");
    let lines = comment.lines().filter_map(|line| line.strip_prefix(" *     "));
    let program: Vec<&str> = lines.skip_while(|line| !line.contains("#include")).collect();
    let end = program.iter().rposition(|line| *line == "}").expect("the program ends");
    // It prints to a pipe here.
    let text = program[..=end].join("\n").replace("return ss_loop_run", "fflush(stdout);\n    return ss_loop_run");
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
        "include/server_socket.cdef.h",
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

// ---- What install.sh refuses, before it builds anything --------------------------------------------------------------

#[test]
fn an_older_rust_is_refused_before_anything_is_built() {
    let dir = empty_dir("older");
    with_tool(&dir, "rustc", "#!/bin/sh\necho 'rustc 1.84.1 (e71f9a9a9 2025-01-27)'\n");
    let mut install = installer();
    install.arg("--prefix").arg(dir.join("prefix")).env("CARGO_TARGET_DIR", dir.join("target"));
    install.env("RUSTC", dir.join("rustc"));
    let needed = env!("CARGO_PKG_RUST_VERSION");
    assert_eq!(refused(install), format!("install.sh: Rust {needed} or newer is needed, and this is 1.84.1\n"));
    assert!(!dir.join("prefix").exists() && !dir.join("target").exists());
}

#[test]
fn a_place_that_cannot_be_written_to_is_refused_before_anything_is_built() {
    let dir = empty_dir("places");
    fs::write(dir.join("file"), "").expect("a file can be written");
    fs::create_dir_all(dir.join("taken/lib/libserver_socket.a")).expect("a folder can be made");
    let places = [
        ("/proc/server_socket".to_owned(), "/proc cannot be written to: become root (sudo)"),
        (format!("{}/file", dir.display()), "file is not a directory"),
        (format!("{}/taken", dir.display()), "libserver_socket.a is a directory, and a file is to be there"),
        ("relative".to_owned(), "--prefix must be an absolute path"),
    ];
    for (place, sentence) in places {
        let mut install = installer();
        install.args(["--prefix", &place]).env("CARGO_TARGET_DIR", dir.join("target"));
        let said = refused(install);
        assert!(said.contains(sentence) && said.lines().count() == 1, "{place}: {said}");
    }
    assert!(!dir.join("target").exists());
    assert_eq!(files_in(&dir), BTreeSet::from(["file".into()]), "a probe was left");
}

#[test]
fn a_missing_tool_is_named_before_anything_is_built() {
    let dir = empty_dir("tools");
    let cases = [
        ("", "LD=no-such-tool", "GNU binutils are needed, and no-such-tool is missing"),
        ("", "OBJCOPY=true", "GNU binutils are needed, and true is missing or another's"),
        ("", "RUSTC=no-such-tool", "and there is no rustc"),
        ("--target no-such-target", "", "rustc knows no target no-such-target"),
        ("--no-build", "", "nothing has been built in"),
    ];
    for (arguments, variable, sentence) in cases {
        let mut install = installer();
        install.arg("--prefix").arg(dir.join("prefix")).env("CARGO_TARGET_DIR", dir.join("target"));
        install.args(arguments.split_whitespace()).envs(variable.split_once('='));
        let said = refused(install);
        assert!(said.contains(sentence) && said.lines().count() == 1, "{arguments} {variable}: {said}");
    }
    assert_eq!(files_in(&dir), BTreeSet::new());
}

#[test]
fn what_cargo_is_told_and_its_failure_leaves_nothing_behind() {
    let dir = empty_dir("cargo");
    let host = Command::new("rustc").arg("-vV").output().expect("rustc starts").stdout;
    let host = String::from_utf8(host).expect("it prints text");
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("it names its host");
    let log = "#!/bin/sh\n[ \"$1\" = --version ] || { printf '%s|' \"$@\" >\"$CARGO_TARGET_DIR.log\"; exit 1; }\n";
    let mut install = installer();
    install.args(["--features", "capi", "--target", host, "--prefix"]).arg(dir.join("prefix"));
    install.env("PATH", with_tool(&dir, "cargo", log)).env("CARGO_TARGET_DIR", dir.join("target"));
    refused(install);
    let told = fs::read_to_string(dir.join("target.log")).expect("cargo was started");
    assert!(told.starts_with("rustc|--locked|--lib|--release|"), "{told}");
    assert!(told.contains(&format!("|--target|{host}|--features|capi|--crate-type|cdylib,staticlib|")), "{told}");
    assert!(!dir.join("prefix").exists());
}

// ---- The tree -------------------------------------------------------------------------------------------------------

#[test]
fn destdir_is_put_in_front_and_not_remembered() {
    let destdir = empty_dir("destdir");
    let arguments = ["--prefix=/opt/somewhere", "--libdir", "lib64", "--includedir=/opt/headers"];
    for way in ["option", "environment"] {
        let mut install = again(&arguments);
        let dir = destdir.join(way);
        match way {
            "option" => install.arg("--destdir").arg(&dir).env("DESTDIR", "/nowhere"),
            _ => install.env("DESTDIR", &dir),
        };
        harness::compile(install);
        let pc = fs::read_to_string(dir.join("opt/somewhere/lib64/pkgconfig/server_socket.pc")).expect("it is there");
        assert!(pc.contains("libdir=/opt/somewhere/lib64\n") && !pc.contains("destdir"), "{pc}");
        assert!(dir.join("opt/headers/server_socket.h").exists());
    }
}

#[test]
fn installing_without_building_needs_no_rust() {
    let dir = empty_dir("no_build");
    let mut install = again(&["--prefix"]);
    install.arg(dir.join("prefix")).env("RUSTC", "no-such-tool");
    install.env("PATH", with_tool(&dir, "cargo", "#!/bin/sh\nexit 1\n"));
    harness::compile(install);
    assert_eq!(files_in(&dir.join("prefix")), files_in(prefix()));
}

#[test]
fn uninstalling_removes_what_was_installed_and_nothing_else() {
    let dir = empty_dir("uninstalled");
    let prefix = dir.join("prefix");
    let others = ["include/other.h", "lib/libother.so", "lib/pkgconfig/other.pc"];
    for other in others {
        fs::create_dir_all(prefix.join(other).parent().expect("it is in a folder")).expect("a folder can be made");
        fs::write(prefix.join(other), "").expect("a file can be written");
    }
    let arguments = ["--prefix", prefix.to_str().expect("plain text")];
    harness::compile(again(&arguments));
    assert_eq!(files_in(&prefix).len(), files_in(self::prefix()).len() + others.len());
    let mut uninstall = installer();
    uninstall.arg("--uninstall").args(arguments).env("RUSTC", "no-such-tool");
    assert!(said(uninstall).starts_with("removed server_socket "));
    assert_eq!(files_in(&prefix), others.into_iter().map(PathBuf::from).collect());
    assert!(!prefix.join("lib/cmake").exists());
    let mut uninstall = installer();
    uninstall.arg("--uninstall").args(arguments);
    assert!(refused(uninstall).contains("nothing is installed in"));
}

#[test]
fn a_failure_on_the_way_leaves_the_tree_as_it_was() {
    let dir = empty_dir("halfway");
    let broken = "#!/bin/sh\ncase $3 in *.pc.new*) exit 1 ;; esac\nexec /bin/cp \"$@\"\n";
    let path = with_tool(&dir, "cp", broken);
    let prefix = dir.join("prefix");
    fs::create_dir_all(prefix.join("include")).expect("a folder can be made");
    fs::write(prefix.join("include/server_socket.h"), "an older one").expect("a file can be written");
    let mut install = again(&["--prefix", prefix.to_str().expect("plain text")]);
    install.env("PATH", path);
    refused(install);
    assert_eq!(files_in(&prefix), BTreeSet::from(["include/server_socket.h".into()]));
    let header = fs::read_to_string(prefix.join("include/server_socket.h")).expect("it can be read");
    assert_eq!(header, "an older one");
}

#[test]
fn the_loader_is_told_or_named() {
    let dir = empty_dir("loader");
    let prefix = dir.join("prefix");
    let arguments = ["--prefix", prefix.to_str().expect("plain text")];
    let libdir = prefix.join("lib").display().to_string();
    assert!(said(again(&arguments)).contains(&format!("-Wl,-rpath,{libdir}")));
    let log = dir.join("log");
    let ldconfig = |result| {
        format!(
            "#!/bin/sh\n[ $# = 3 ] && echo '{libdir}: (from nowhere)' && exit\necho told >'{}'\nexit {result}\n",
            log.display()
        )
    };
    let uninstall = [&arguments[..], &["--uninstall"]].concat();
    for result in [0, 1] {
        let path = with_tool(&dir, "ldconfig", &ldconfig(result));
        for (arguments, advice) in
            [(&arguments[..], "so that the loader finds it"), (&uninstall, "so that the loader forgets it")]
        {
            let mut install = again(arguments);
            install.env("PATH", &path);
            assert_eq!(said(install).contains(advice), result == 1, "{advice}");
            fs::remove_file(&log).expect("ldconfig was run");
        }
    }
}

/// As pkg-config's own quoting asks for, but without a shell, to which a $ would be more: pkgconf leaves it as it is.
fn pkg_config_through_xargs(dir: &Path, prefix: &Path) {
    let command = "pkg-config --cflags --libs server_socket | xargs cc main.c -o main";
    let mut sh = Command::new("sh");
    sh.args(["-c", command]).current_dir(dir).env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    harness::compile(sh);
}

#[test]
fn odd_names_of_folders_are_quoted() {
    if !harness::have_tool("pkg-config") {
        return;
    }
    let dir = consumer("odd");
    for name in ["with space", "it's", "\"quoted\"", "$HOME", "a&b|c", "a\\cb", "#*?[]~"] {
        let prefix = dir.join(name);
        harness::compile(again(&["--prefix", prefix.to_str().expect("plain text")]));
        assert_eq!(files_in(&prefix), files_in(self::prefix()));
        pkg_config_through_xargs(&dir, &prefix);
        let mut program = Command::new(dir.join("main"));
        program.env("LD_LIBRARY_PATH", prefix.join("lib"));
        harness::check_echo(program);
    }
}

// ---- For Windows -----------------------------------------------------------------------------------------------------

/// install.sh for Windows, with stand-ins for what cargo builds: each has its own name in it.
fn installer_for_windows(dir: &Path, triple: &str, built: &[&str]) -> Command {
    let folder = dir.join("target/install").join(triple).join("release");
    fs::create_dir_all(&folder).expect("a folder can be made");
    for file in built {
        fs::write(folder.join(file), file).expect("a file can be written");
    }
    let tools = dir.join("tools");
    fs::create_dir_all(&tools).expect("a folder can be made");
    fs::write(tools.join("libstd-0.rlib"), "").expect("a file can be written");
    let rustc = format!(
        "#!/bin/sh\ncase $1 in --version) echo 'rustc 1.85.0 (of a test)' ;; --print) echo '{}' ;; *) exit 1 ;; esac\n",
        tools.display()
    );
    with_tool(&tools, "rustc", &rustc);
    let cargo = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && exit\n\
         case \"$*\" in *link-arg*) exit 1 ;; *\"--target {triple} --crate-type\"*) ;; *) exit 1 ;; esac\n"
    );
    let mut install = installer();
    install.env("PATH", with_tool(&tools, "cargo", &cargo)).env("RUSTC", tools.join("rustc"));
    install.env("CARGO_TARGET_DIR", dir.join("target")).args(["--target", triple, "--prefix"]).arg(dir.join("tree"));
    install
}

#[test]
fn a_tree_for_windows_has_an_import_library_and_says_what_a_static_link_needs() {
    for (triple, import, static_library, named) in [
        ("x86_64-pc-windows-gnu", "libserver_socket.dll.a", "libserver_socket.a", "-lserver_socket"),
        ("x86_64-pc-windows-msvc", "server_socket.dll.lib", "server_socket.lib", "-lserver_socket.dll"),
    ] {
        let dir = empty_dir(triple);
        let tree = dir.join("tree");
        harness::compile(installer_for_windows(&dir, triple, &["server_socket.dll", import, static_library]));
        for (folder, file) in [("bin", "server_socket.dll"), ("lib", import), ("lib", static_library)] {
            let installed = fs::read_to_string(tree.join(folder).join(file));
            assert_eq!(installed.expect("it is installed"), file);
        }
        let pc = fs::read_to_string(tree.join("lib/pkgconfig/server_socket.pc")).expect("it can be read");
        for line in [
            &format!("Libs: -L${{libdir}} {named}"),
            "Libs.private: -lws2_32 -luserenv -lntdll -lbcrypt -ldbghelp",
            "Cflags.private: -DSS_STATIC",
        ] {
            assert!(pc.lines().any(|found| found == line), "{line}: {pc}");
        }
        assert!(!pc.contains('@'), "{pc}");

        // The directories are enough: what was installed there says for which system it is.
        let mut uninstall = installer();
        uninstall.arg("--uninstall").arg("--prefix").arg(&tree);
        said(uninstall);
        assert_eq!(files_in(&tree), BTreeSet::new());
    }
}

#[test]
fn the_cmake_package_knows_the_files_for_windows() {
    if !harness::have_tool("cmake") {
        return;
    }
    for (triple, import, static_library) in [
        ("aarch64-pc-windows-gnullvm", "libserver_socket.dll.a", "libserver_socket.a"),
        ("aarch64-pc-windows-msvc", "server_socket.dll.lib", "server_socket.lib"),
    ] {
        let dir = empty_dir(triple);
        let mut install = installer_for_windows(&dir, triple, &["server_socket.dll", import, static_library]);
        install.args(["--libdir", "lib/deeper"]);
        harness::compile(install);
        let files = [
            ("ServerSocket", "IMPORTED_LOCATION", "bin/server_socket.dll"),
            ("ServerSocket", "IMPORTED_IMPLIB", &format!("lib/deeper/{import}")),
            ("Static", "IMPORTED_LOCATION", &format!("lib/deeper/{static_library}")),
        ];
        let mut project =
            "cmake_minimum_required(VERSION 3.10)\nproject(consumer NONE)\nfind_package(ServerSocket REQUIRED)\n\
             get_target_property(needed ServerSocket::Static INTERFACE_LINK_LIBRARIES)\n\
             if(NOT needed STREQUAL \"ws2_32;userenv;ntdll;bcrypt;dbghelp\")\nmessage(FATAL_ERROR \"${needed}\")\nendif()\n"
                .to_owned();
        for (target, property, file) in files {
            project += &format!(
                "get_target_property(file ServerSocket::{target} {property})\n\
                 if(NOT file STREQUAL \"{}\")\nmessage(FATAL_ERROR \"${{file}}\")\nendif()\n",
                dir.join("moved").join(file).display()
            );
        }
        fs::rename(dir.join("tree"), dir.join("moved")).expect("a tree can be moved");
        fs::write(dir.join("CMakeLists.txt"), project).expect("a project can be written");
        let mut configure = Command::new("cmake");
        configure.arg("-S").arg(&dir).arg("-B").arg(dir.join("build")).arg("-DCMAKE_SYSTEM_NAME=Windows");
        configure.arg(format!("-DServerSocket_DIR={}", dir.join("moved/lib/deeper/cmake/ServerSocket").display()));
        harness::compile(configure);
    }
}

#[test]
fn on_windows_the_compiler_must_be_named() {
    let dir = empty_dir("on_windows");
    let mut install = installer();
    install.env("PATH", with_tool(&dir, "uname", "#!/bin/sh\necho MINGW64_NT-10.0\n"));
    install.arg("--prefix").arg(dir.join("prefix"));
    assert!(refused(install).contains("--target must say for which compiler"));
}

// ---- Consumers ------------------------------------------------------------------------------------------------------

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

/// A project that links both libraries, built.
fn built_by_cmake(name: &str, prefix: &Path) -> PathBuf {
    let dir = consumer(name);
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
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    harness::compile(configure);
    let mut build = Command::new("cmake");
    build.arg("--build").arg(dir.join("build"));
    harness::compile(build);
    dir.join("build")
}

#[test]
fn a_program_finds_it_by_cmake() {
    if !harness::have_tool("cmake") {
        return;
    }
    let build = built_by_cmake("by_cmake", prefix());
    serves(&build.join("main_ServerSocket"));
    serves(&build.join("main_Static"));
    // What CMake itself has no trouble with: make and lists of paths have it with others.
    let odd = empty_dir("odd_for_cmake").join("it's \"quoted\" $HOME & more");
    harness::compile(again(&["--prefix", odd.to_str().expect("plain text")]));
    let build = built_by_cmake("by_cmake_from_odd", &odd);
    harness::check_echo(Command::new(build.join("main_ServerSocket")));
}

/// Both have Rust's standard library inside, optimised as a whole with the rest.
#[test]
fn two_static_libraries_of_rust_link_into_one_program() {
    let source = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archives").join(name);
    let dir = empty_dir("archives");
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
    rustc.args(["--edition", "2024", "--crate-type", "staticlib", "-O", "-C", "lto"]).arg(source("other.rs"));
    rustc.arg("-o").arg(dir.join("libother.a"));
    harness::compile(rustc);
    let ours = prefix().join("lib/libserver_socket.a");
    for archives in [[ours.clone(), dir.join("libother.a")], [dir.join("libother.a"), ours.clone()]] {
        let mut cc = Command::new("c++");
        cc.arg(source("both.cpp")).arg("-I").arg(prefix().join("include")).args(archives);
        cc.args(["-pthread", "-ldl", "-lm", "-o"]).arg(dir.join("both"));
        harness::compile(cc);
        harness::run(Command::new(dir.join("both")), Duration::from_secs(60));
    }
}

#[test]
fn only_our_functions_are_global_in_the_static_library() {
    if !harness::have_tool("nm") {
        return;
    }
    let output = Command::new("nm")
        .args(["-g", "--defined-only", "--format=posix"])
        .arg(prefix().join("lib/libserver_socket.a"))
        .output();
    let listing = String::from_utf8(output.expect("nm starts").stdout).expect("symbols are plain text");
    let global: BTreeSet<&str> =
        listing.lines().filter_map(|line| line.split_once(' ')).map(|(name, _)| name).collect();
    let global: BTreeSet<&str> = global.into_iter().filter(|name| !name.contains(".a[")).collect();
    let functions = harness::declarations();
    assert_eq!(global, functions.iter().map(|function| function.name.as_str()).collect());
}

/// A CMake project that brings in the sources by these lines.
fn project_with_sources(name: &str, brought_in: &str) -> PathBuf {
    let dir = consumer(name);
    let project = format!(
        "cmake_minimum_required(VERSION 3.14)\nproject(consumer C)\n{brought_in}\n\
         foreach(kind ServerSocket Static)\n\
         add_executable(main_${{kind}} main.c)\n\
         target_link_libraries(main_${{kind}} ServerSocket::${{kind}})\n\
         endforeach()\n"
    );
    fs::write(dir.join("CMakeLists.txt"), project).expect("a project can be written");
    dir
}

/// A project that has the sources of the library in it, and one that fetches them.
#[test]
fn a_cmake_project_builds_it_by_cargo() {
    if !harness::have_tool("cmake") {
        return;
    }
    let root = env!("CARGO_MANIFEST_DIR");
    let fetched = format!(
        "include(FetchContent)\nFetchContent_Declare(server_socket SOURCE_DIR \"{root}\")\n\
         FetchContent_MakeAvailable(server_socket)"
    );
    for (name, brought_in) in
        [("as_a_subdirectory", format!("add_subdirectory(\"{root}\" server_socket)")), ("by_fetch_content", fetched)]
    {
        let dir = project_with_sources(name, &brought_in);
        // What an earlier run built is not taken for this one's.
        for built in ["libserver_socket.so", "libserver_socket.a"] {
            let _ = fs::remove_file(harness::scratch_dir("target/debug").join(built));
        }
        let mut configure = Command::new("cmake");
        configure.arg("-S").arg(&dir).arg("-B").arg(dir.join("build")).arg("-DSERVER_SOCKET_PROFILE=dev");
        configure.arg(format!("-DSERVER_SOCKET_TARGET_DIR={}", harness::scratch_dir("target").display()));
        harness::compile(configure);
        let mut build = Command::new("cmake");
        build.arg("--build").arg(dir.join("build"));
        for variable in ["CARGO_MANIFEST_DIR", "CARGO_BUILD_TARGET", "RUSTFLAGS"] {
            build.env_remove(variable);
        }
        harness::compile(build);
        for kind in ["ServerSocket", "Static"] {
            harness::check_echo(Command::new(dir.join("build").join(format!("main_{kind}"))));
        }
    }
}

#[test]
fn a_cmake_project_for_another_system_must_name_rusts_target() {
    if !harness::have_tool("cmake") {
        return;
    }
    let root = env!("CARGO_MANIFEST_DIR");
    let dir = project_with_sources("for_another", &format!("add_subdirectory(\"{root}\" server_socket)"));
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(&dir).arg("-B").arg(dir.join("build")).arg("-DCMAKE_SYSTEM_NAME=FreeBSD");
    let sentence = refused(configure);
    assert!(sentence.contains("For FreeBSD, set SERVER_SOCKET_TARGET"), "{sentence}");
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

// ---- Archives -------------------------------------------------------------------------------------------------------

/// `ci/release` with what was built for [`prefix`]: it unpacks what it has packed, and has an echo server and a web server over TLS of
/// that serve. Returns the archive.
fn released(name: &str) -> PathBuf {
    prefix();
    let folder = empty_dir(name);
    let mut release = installer_of(&harness::root().join("ci/release"));
    release.arg("--no-build").env("RELEASE_DIR", &folder);
    harness::compile(release);
    let is_archive = |file: &PathBuf| file.extension().is_some_and(|end| end == "gz");
    let archives: Vec<PathBuf> = files_in(&folder).into_iter().filter(is_archive).collect();
    assert_eq!(archives.len(), 1, "{archives:?}");
    folder.join(&archives[0])
}

#[test]
fn an_archive_of_a_release_has_everything_serves_anywhere_and_is_the_same_when_made_again() {
    let tools = ["pkg-config", "python3", "git", "readelf", "curl", "openssl"];
    if !cfg!(target_os = "linux") || tools.iter().any(|tool| !harness::have_tool(tool)) {
        return;
    }
    let archive = released("release");
    let listing = Command::new("tar").arg("-tf").arg(&archive).output().expect("tar starts").stdout;
    let listing = String::from_utf8(listing).expect("names are plain text");
    for file in files_in(prefix()) {
        assert!(listing.contains(&format!("/{}\n", file.display())), "{} is not in {listing}", file.display());
    }
    for file in ["/ABOUT.txt", "/README.md", "/licences/mio-", "/licences/rust-std/", "/licences/ring-"] {
        assert!(listing.contains(file), "{file} is not in {listing}");
    }
    let crates =
        Command::new("tar").args(["-xOf"]).arg(&archive).args(["--wildcards", "*/server_socket.cdx.json"]).output();
    let crates = String::from_utf8(crates.expect("tar starts").stdout).expect("JSON");
    for inside in ["pkg:cargo/mio@", "pkg:cargo/rustls@", "pkg:github/rust-lang/rust@"] {
        assert!(crates.contains(inside), "{inside} is not in {crates}");
    }
    assert!(!crates.contains("proptest") && !crates.contains("cbindgen"), "{crates}");
    let sums = fs::read_to_string(archive.with_file_name("SHA256SUMS")).expect("there are checksums");
    assert!(sums.contains(archive.file_name().and_then(|name| name.to_str()).expect("a plain name")), "{sums}");
    assert!(fs::read(&archive).expect("it is there") == fs::read(released("released_again")).expect("it is there"));
}

// ---- cargo-c --------------------------------------------------------------------------------------------------------

/// cargo-c copies these files as they are: they find the library wherever below the prefix it lies.
#[test]
fn the_cmake_package_of_cargo_c_finds_the_library_and_its_version() {
    if !harness::have_tool("cmake") {
        return;
    }
    for lib in ["lib", "lib64"] {
        let tree = empty_dir(&format!("for_cargo_c_{lib}"));
        let package = tree.join("share/cmake/ServerSocket");
        for (from, to) in [
            (harness::root().join("install/cargo-c"), package.clone()),
            (prefix().join("include"), tree.join("include")),
            (prefix().join("lib"), tree.join(lib)),
        ] {
            fs::create_dir_all(&to).expect("a folder can be made");
            for file in fs::read_dir(from).expect("a folder can be read") {
                let file = file.expect("it has entries").path();
                if file.is_file() {
                    fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("a file can be copied");
                }
            }
        }
        let build = built_by_cmake(&format!("by_cmake_of_cargo_c_{lib}"), &tree);
        for kind in ["ServerSocket", "Static"] {
            harness::check_echo(Command::new(build.join(format!("main_{kind}"))));
        }
        let found = fs::read_to_string(build.join("CMakeCache.txt")).expect("CMake remembers what it found");
        let found = found.lines().find(|line| line.starts_with("ServerSocket_DIR")).expect("the package");
        assert!(found.ends_with(package.to_str().expect("a plain name")), "{found}");
        // A version that is not there is refused.
        let version = env!("CARGO_PKG_VERSION");
        let header = fs::read_to_string(tree.join("include/server_socket.h")).expect("it is there");
        let other = header.replacen("#define SS_VERSION_MAJOR ", "#define SS_VERSION_MAJOR 9", 1);
        fs::write(tree.join("include/server_socket.h"), other).expect("a header can be written");
        let mut configure = Command::new("cmake");
        configure.arg("-S").arg(build.with_file_name("")).arg("-B").arg(build.with_file_name("again"));
        configure.arg(format!("-DCMAKE_PREFIX_PATH={}", tree.display()));
        let said = refused(configure);
        assert!(said.contains(&format!("version: 9{version}")), "{said}");
    }
}

#[test]
fn cargo_c_makes_the_same_tree() {
    let there =
        Command::new("cargo").args(["cinstall", "--version"]).output().is_ok_and(|output| output.status.success());
    if !there {
        // Installing it takes a quarter of an hour: ci/cargo-c does, by night.
        support::left_out("cargo-c is not installed");
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
    assert!(prefix.join("include/server_socket.hpp").exists() && prefix.join("include/server_socket.cdef.h").exists());
    assert!(prefix.join("lib/pkgconfig/server_socket.pc").exists());
    if harness::have_tool("cmake") {
        let build = built_by_cmake("by_cmake_after_cargo_c", &prefix);
        for kind in ["ServerSocket", "Static"] {
            harness::check_echo(Command::new(build.join(format!("main_{kind}"))));
        }
    }
}
