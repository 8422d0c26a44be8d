// SPDX-License-Identifier: MIT OR Apache-2.0
//! Haxe's SecureSocket and its secure servers, on neko, with OpenSSL's programs for peers.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use support::harness;
use support::harness::Running;
use support::haxe::*;

fn openssl(dir: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.current_dir(dir).args(arguments.split_whitespace());
    harness::compile(command);
}

/// A folder with an authority, two certificates for localhost that it has signed, and the keys of all.
fn certificates() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = empty_dir("certificates");
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        openssl(
            &dir,
            &format!("req -x509 {key} -keyout authority-key.pem -out authority.pem -days 30 -subj /CN=authority"),
        );
        for (name, subject) in [("server", "/CN=localhost"), ("other", "/O=other/CN=localhost")] {
            openssl(&dir, &format!("req {key} -keyout {name}-key.pem -out {name}.csr -subj {subject}"));
            fs::write(dir.join("names"), "subjectAltName=DNS:localhost\n").expect("a file can be written");
            let signed = "-CA authority.pem -CAkey authority-key.pem -CAcreateserial -days 30 -extfile names";
            openssl(&dir, &format!("x509 -req -in {name}.csr {signed} -out {name}.pem"));
        }
        dir
    })
}

/// The program, once there is all that it takes.
fn secure_on_neko() -> Option<Command> {
    if !server_socket::ss_tls_is_supported() {
        support::left_out("the library was built without TLS");
        return None;
    }
    if !harness::have_tool("openssl") || !have_neko() {
        return None;
    }
    static BYTECODE: OnceLock<Vec<std::ffi::OsString>> = OnceLock::new();
    let arguments = BYTECODE
        .get_or_init(|| neko_program("tests", "Secure").get_args().map(std::ffi::OsStr::to_os_string).collect());
    let mut command = Command::new("neko");
    command.current_dir(shim_dir()).env_remove("NEKOPATH").env_remove("LD_LIBRARY_PATH").args(arguments);
    command.arg(certificates());
    Some(command)
}

#[test]
fn both_sides_are_secure_on_neko() {
    let Some(mut program) = secure_on_neko() else { return };
    let output = program.arg("check").output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "all is as it should be\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn openssls_client_is_served_on_neko() {
    let Some(mut program) = secure_on_neko() else { return };
    let mut server = Running(program.arg("serve").stdout(Stdio::piped()).spawn().expect("it starts"));
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().expect("it is piped")).read_line(&mut line).expect("it says where");
    let port = line.trim().strip_prefix("port ").expect("a port").to_owned();
    for version in ["-tls1_2", "-tls1_3"] {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-quiet", "-verify_return_error", "-servername", "localhost", version]);
        client.args(["-verify_hostname", "localhost", "-connect", &format!("127.0.0.1:{port}"), "-CAfile"]);
        client.arg(certificates().join("authority.pem"));
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut client = Running(client.spawn().expect("it starts"));
        let mut input = client.0.stdin.take().expect("it is piped");
        input.write_all(b"hello, server\n").expect("it reads");
        let mut answer = String::new();
        BufReader::new(client.0.stdout.take().expect("it is piped")).read_line(&mut answer).expect("an answer");
        assert_eq!(answer, "hello, server\n", "{version}");
    }
}

/// What the client prints at OpenSSL's server, which reverses lines.
fn client_at(host: &str, name: &str) -> Option<String> {
    let mut program = secure_on_neko()?;
    let mut server = Command::new("openssl");
    server.args(["s_server", "-rev", "-accept", "127.0.0.1:0"]).current_dir(certificates());
    server.args(["-cert", &format!("{name}.pem"), "-key", &format!("{name}-key.pem")]);
    let mut server = Running(server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts"));
    let said = BufReader::new(server.0.stdout.take().expect("it is piped"));
    let accepts = said.lines().map_while(Result::ok).find(|line| line.starts_with("ACCEPT")).expect("it listens");
    let port = accepts.rsplit(':').next().expect("a port").to_owned();
    let output = program.args(["connect", host, &port]).output().expect("it starts");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_client_trusts_openssls_server_or_says_why_not_on_neko() {
    let Some(trusted) = client_at("localhost", "server") else { return };
    assert_eq!(trusted, "olleh\ntrusted localhost by authority\n");
    let of_another_name = client_at("127.0.0.1", "server").expect("the tools are there");
    assert_eq!(of_another_name, "principalMismatch Error #2031: Socket Error. true\n");
    let of_nobody = client_at("localhost", "authority").expect("the tools are there");
    assert!(
        of_nobody.ends_with(" Error #2031: Socket Error. true\n") && !of_nobody.starts_with("trusted"),
        "{of_nobody}"
    );
}
