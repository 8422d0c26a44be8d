//! Makes `include/server_socket.h` from `src/ffi`, and of it `include/server_socket.cdef.h`.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

#[path = "cdef.rs"]
mod cdef;

/// The chapters of the header: each begins at the function named.
const CHAPTERS: [(&str, &str); 12] = [
    ("ss_status_name", "Errors"),
    ("ss_version", "The library, and event loops"),
    ("ss_timer_new", "Timers"),
    ("ss_new", "ServerSocket"),
    ("ss_object_kind", "All objects; EventDispatcher, of servers and sockets"),
    ("ss_event_new", "Event"),
    ("ss_socket_new", "Socket"),
    ("ss_socket_endian", "Socket: IDataInput, IDataOutput"),
    ("ss_tls_is_supported", "TLS: SecureSocket, and secure servers"),
    ("ss_set_option", "Options"),
    ("ss_server_stats", "Figures and the log"),
    ("ss_socket_read_object", "Objects in AMF: readObject and writeObject"),
];

/// Windows calls a function of a DLL by a shorter way when its declaration says that it is one.
const IMPORT: &str = "
#ifndef SS_API
#if defined(_WIN32) && !defined(SS_STATIC)
/** In front of each function. Programs for Windows that link the static library define SS_STATIC. */
#define SS_API __declspec(dllimport)
#else
#define SS_API
#endif
#endif

";

pub fn write() -> Result<(), Box<dyn Error>> {
    // The headers, too: what was changed in them by hand does not stay.
    for input in ["src/ffi", "cbindgen.toml", "build", "Cargo.toml", "include"] {
        println!("cargo:rerun-if-changed={input}");
    }
    let crate_dir = env::var("CARGO_MANIFEST_DIR")?;
    let mut config = cbindgen::Config::from_file(Path::new(&crate_dir).join("cbindgen.toml"))?;
    config.after_includes = Some(version_and_names()?);
    let mut header = Vec::new();
    cbindgen::Builder::new().with_crate(&crate_dir).with_config(config).generate()?.write(&mut header);
    let header = with_plain_statuses(&String::from_utf8(header)?)?;
    let header = with_chapters(with_marks_in_line(&header))?;
    write_changed(&crate_dir, "include/server_socket.cdef.h", &cdef::of(&header)?)?;
    write_changed(&crate_dir, "include/server_socket.h", &header)
}

/// Only when it changed: the file's time must not make C programs be built anew.
fn write_changed(crate_dir: &str, file: &str, text: &str) -> Result<(), Box<dyn Error>> {
    let path = Path::new(crate_dir).join(file);
    if fs::read_to_string(&path).ok().as_deref() != Some(text) {
        fs::write(&path, text)?;
    }
    Ok(())
}

fn version_and_names() -> Result<String, env::VarError> {
    let mut text = String::from(IMPORT);
    text += "/** The version this header belongs to; ss_version() tells that of the library. */\n";
    for part in ["MAJOR", "MINOR", "PATCH"] {
        let number = env::var(format!("CARGO_PKG_VERSION_{part}"))?;
        text += &format!("#define SS_VERSION_{part} {number}\n");
    }
    text += "#define SS_VERSION (SS_VERSION_MAJOR << 16 | SS_VERSION_MINOR << 8 | SS_VERSION_PATCH)\n\n";
    let names = [
        (
            "CONNECT",
            "connect",
            "A server's ServerSocketConnectEvent: a peer is connected, see ss_event_socket. A socket's Event: it is connected.",
        ),
        (
            "CLOSE",
            "close",
            "Event: a socket's peer has closed, or the operating system a server, or ss_drain has done its work.",
        ),
        ("SOCKET_DATA", "socketData", "A socket's ProgressEvent: bytes have arrived, see ss_event_bytes_loaded."),
        ("OUTPUT_PROGRESS", "outputProgress", "A socket's OutputProgressEvent: the system has taken written bytes."),
        ("IO_ERROR", "ioError", "A socket's IOErrorEvent: something went wrong, see ss_event_os_error."),
        ("END", "end", "Event: a socket's peer has ended its side, and writing goes on. Only with SS_OPT_HALF_OPEN."),
        (
            "HANDSHAKE_ERROR",
            "handshakeError",
            "A secure server's Event: a peer's handshake has failed, see ss_event_detail.",
        ),
    ];
    for (name, text_of_name, meaning) in names {
        text += &format!("/** {meaning} */\n#define SS_EVENT_{name} \"{text_of_name}\"\n");
    }
    Ok(text)
}

/// To C a status is a number, and its constants are written as all others are: parsers of headers stumble over an enum and a
/// type of the same name, and over an enum that says how wide it is.
fn with_plain_statuses(header: &str) -> Result<String, &'static str> {
    let parts = header.split_once("enum ss_status\n").and_then(|(before, declaration)| {
        let (_, declaration) = declaration.split_once("{\n")?;
        let (statuses, declaration) = declaration.split_once("};\n")?;
        let (_, after) = declaration.split_once("#endif // __cplusplus\n")?;
        Some((before, statuses, after))
    });
    let (before, statuses, after) = parts.ok_or("ss_status is not what it was")?;
    let mut text = format!("{before}typedef int32_t ss_status;\n");
    for line in statuses.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)) {
        text += &match line.trim_end_matches(',').split_once(" = ") {
            Some((name, number)) if line.starts_with("SS_") => format!("#define {name} {number}\n"),
            _ if line == "/**" => format!("\n{line}\n"),
            _ => format!("{line}\n"),
        };
    }
    Ok(text + after)
}

/// cbindgen puts SS_API on a line of its own wherever the comment before is long.
fn with_marks_in_line(header: &str) -> String {
    let mut text = String::with_capacity(header.len());
    let mut indent = "";
    for line in header.lines() {
        if line == "SS_API" {
            text += "SS_API ";
            indent = "       ";
            continue;
        }
        text += if line.starts_with(' ') { indent } else { "" };
        text += line;
        text += "\n";
        if line.ends_with(';') {
            indent = "";
        }
    }
    text
}

/// cbindgen knows no headings; a reader of a long header needs them.
fn with_chapters(mut header: String) -> Result<String, String> {
    for (function, title) in CHAPTERS {
        // The last mention that looks like a declaration: the program on top comes long before.
        let declaration = header.rfind(&format!(" {function}(")).max(header.rfind(&format!("*{function}(")));
        let start = declaration.and_then(|place| header[..place].rfind("/**"));
        let start = start.ok_or(format!("no documented function {function} in the header"))?;
        let line = "-".repeat(112usize.saturating_sub(title.len()));
        header.insert_str(start, &format!("/* ---- {title} {line} */\n\n"));
    }
    Ok(header)
}
