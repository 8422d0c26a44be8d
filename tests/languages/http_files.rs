// SPDX-License-Identifier: MIT OR Apache-2.0
//! `c-examples/http_hello.c` with a folder: whole files and ranges, to curl, ab, nc and plain sockets; what it costs when a client
//! does not read; and that no path leads out of the folder.
#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use support::harness::{self, Running};
use support::noise;

const DEADLINE: Duration = Duration::from_secs(60);
const INDEX: &str = "<p>the index\n";

/// A folder of its own, and a server of it.
struct Site {
    folder: PathBuf,
    running: Running,
    port: u16,
}

impl Site {
    /// `None`: it cannot be built here.
    fn start(name: &str) -> Option<Site> {
        let program = harness::example("http_hello", None)?;
        let folder = harness::scratch_dir(name).join("served");
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("what a former run left");
        }
        fs::create_dir_all(folder.join("sub")).expect("a folder");
        fs::write(folder.join("index.html"), INDEX).expect("a file");
        fs::write(folder.join("digits"), "0123456789").expect("a file");
        fs::write(folder.join("sub/with space.txt"), "a text").expect("a file");
        let mut command = Command::new(program);
        command.args(["0", "10"]).arg(&folder).env_remove("LD_LIBRARY_PATH").stdout(Stdio::piped());
        let mut running = Running(command.spawn().expect("it starts"));
        let mut line = String::new();
        BufReader::new(running.0.stdout.take().expect("it is piped")).read_line(&mut line).expect("a line");
        let port = line.trim().trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
        Some(Site { folder, running, port: port.unwrap_or_else(|| panic!("no port in {line:?}")) })
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, bytes).expect("a file");
        path
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        stream.set_write_timeout(Some(DEADLINE)).expect("a deadline");
        stream
    }

    /// What comes of one request on a connection of its own: the head, and the body.
    fn ask(&self, request: &str) -> (String, Vec<u8>) {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("a request");
        read_reply(&mut stream, request.starts_with("HEAD"))
    }

    fn get(&self, path: &str, headers: &str) -> (String, Vec<u8>) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"))
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.running.0.id())).expect("the process is there").count()
    }

    fn most_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.running.0.id())).expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the most it ever had");
        line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).expect("a number") * 1024
    }

    /// Neither connections nor files are left.
    fn check_all_is_closed(&self, before: usize) {
        let end = Instant::now() + DEADLINE;
        while self.descriptors() > before {
            assert!(Instant::now() < end, "{} descriptors are left, {before} were there", self.descriptors());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Reads one reply and leaves what follows it.
fn read_reply(stream: &mut TcpStream, is_head: bool) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {}", String::from_utf8_lossy(&head)));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("a head is text");
    let mut body = vec![0; if is_head { 0 } else { length_of(&head) }];
    stream.read_exact(&mut body).expect("the body");
    (head, body)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn length_of(head: &str) -> usize {
    header(head, "Content-Length").and_then(|length| length.parse().ok()).unwrap_or_else(|| panic!("no length: {head}"))
}

fn status(head: &str) -> &str {
    head.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("{head}")).split(' ').next().expect("a status")
}

fn run(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().expect("it runs")
}

fn curl(arguments: &[&str], url: &str) -> Output {
    let quiet = ["--silent", "--show-error", "--noproxy", "*", "--max-time", "60"];
    run("curl", quiet.iter().chain(arguments).chain([&url]))
}

#[test]
fn files_of_a_folder_come_whole_with_their_type() {
    let Some(site) = Site::start("whole") else { return };
    let bytes = noise(1, 3_000_001);
    site.put("noise", &bytes);
    for (path, kind, body) in [
        ("/", "text/html", INDEX.as_bytes()),
        ("/?query", "text/html", INDEX.as_bytes()),
        ("/sub/with%20space.txt", "text/plain", b"a text"),
        ("/%64igits", "application/octet-stream", b"0123456789"),
        ("/noise", "application/octet-stream", &bytes),
    ] {
        let (head, got) = site.get(path, "");
        assert_eq!((status(&head), header(&head, "Content-Type")), ("200", Some(kind)), "{path}");
        assert!(got == body, "{path}: {} bytes of {}", got.len(), body.len());
    }
    site.put("empty", b"");
    assert_eq!(length_of(&site.get("/empty", "").0), 0);
}

#[test]
fn the_head_alone_is_that_of_the_whole_file() {
    let Some(site) = Site::start("head") else { return };
    let before = site.descriptors();
    let (whole, _) = site.get("/digits", "");
    let mut stream = site.connect();
    for headers in ["", "Range: bytes=1-2\r\n"] {
        write!(stream, "HEAD /digits HTTP/1.1\r\nHost: x\r\n{headers}\r\n").expect("a request");
        assert_eq!(read_reply(&mut stream, true).0, whole);
    }
    stream.write_all(b"HEAD /none HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    assert_eq!(status(&read_reply(&mut stream, true).0), "404");
    drop(stream);
    site.check_all_is_closed(before);
}

#[test]
fn a_range_of_bytes_is_answered_with_that_part() {
    let Some(site) = Site::start("ranges") else { return };
    for (range, part, place) in [
        ("bytes=0-0", "0", "0-0"),
        ("bytes=2-4", "234", "2-4"),
        ("bytes=7-", "789", "7-9"),
        ("bytes=-3", "789", "7-9"),
        ("bytes=-300", "0123456789", "0-9"),
        ("bytes=0-99999999999999999999999999", "0123456789", "0-9"),
        ("Bytes=9-9", "9", "9-9"),
    ] {
        let (head, body) = site.get("/digits", &format!("Range: {range}\r\n"));
        assert_eq!((status(&head), String::from_utf8_lossy(&body).as_ref()), ("206", part), "{range}");
        assert_eq!(header(&head, "Content-Range"), Some(format!("bytes {place}/10").as_str()), "{range}");
    }
    for range in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-"] {
        let (head, _) = site.get("/digits", &format!("Range: {range}\r\n"));
        assert_eq!((status(&head), header(&head, "Content-Range")), ("416", Some("bytes */10")), "{range}");
    }
}

#[test]
fn a_range_that_is_none_is_answered_with_the_whole_file() {
    let Some(site) = Site::start("no-ranges") else { return };
    let ranges = [
        "bytes=5-2",
        "bytes=-",
        "bytes=x-5",
        "bytes=1-x",
        "bytes=5",
        "bytes",
        "lines=1-2",
        "bytes=0-1,3-4",
        "bytes=+1-2",
    ];
    for range in ranges {
        let (head, body) = site.get("/digits", &format!("Range: {range}\r\n"));
        assert_eq!((status(&head), body.as_slice()), ("200", &b"0123456789"[..]), "{range}");
    }
}

#[test]
fn the_rest_of_a_file_that_has_changed_is_not_sent() {
    let Some(site) = Site::start("changed") else { return };
    let (head, _) = site.get("/digits", "");
    let tag = header(&head, "ETag").expect("a tag").to_owned();
    let rest = |site: &Site| site.get("/digits", &format!("Range: bytes=5-\r\nIf-Range: {tag}\r\n"));
    assert_eq!(rest(&site).1, b"56789");
    site.put("digits", b"abcdefghijk");
    let (head, body) = rest(&site);
    assert_eq!((status(&head), body.as_slice()), ("200", &b"abcdefghijk"[..]));
}

#[test]
fn curl_goes_on_where_it_was_cut_off() {
    if !harness::have_tool("curl") {
        return;
    }
    let Some(site) = Site::start("resumed") else { return };
    let bytes = noise(1, 20_000_000);
    site.put("noise", &bytes);
    let part = site.folder.join("part");
    for length in [1, 7_000_000, 19_999_999] {
        fs::write(&part, &bytes[..length]).expect("a part");
        let to = part.to_str().expect("a path in UTF-8");
        let output =
            curl(&["-C", "-", "--output", to, "--write-out", "%{http_code} %{size_download}"], &site.url("/noise"));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, format!("206 {}", bytes.len() - length), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(fs::read(&part).expect("the file") == bytes, "after {length} bytes");
    }
}

#[test]
fn curl_keeps_a_connection_for_files_parts_and_refusals() {
    if !harness::have_tool("curl") {
        return;
    }
    let Some(site) = Site::start("kept") else { return };
    site.put("noise", &noise(1, 5_000_000));
    let urls: Vec<String> = ["/noise", "/digits", "/none", "/sub", "/noise", "/"].map(|path| site.url(path)).into();
    let format =
        ["--silent", "--noproxy", "*", "--output", "/dev/null", "--write-out", "%{http_code} %{num_connects}\n"];
    let next =
        urls.iter().flat_map(|url| format.map(str::to_owned).into_iter().chain([url.clone(), "--next".to_owned()]));
    let arguments: Vec<String> = next.collect();
    let output = run("curl", &arguments[..arguments.len() - 1]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "200 1\n200 0\n404 0\n404 0\n200 0\n200 0\n");
}

#[test]
fn files_and_parts_that_are_asked_for_at_once_come_in_order() {
    let Some(site) = Site::start("pipelined") else { return };
    let before = site.descriptors();
    let bytes = noise(1, 700_000);
    site.put("noise", &bytes);
    let mut stream = site.connect();
    let mut writer = stream.try_clone().expect("a second handle");
    let round = "GET /noise HTTP/1.1\r\nHost: x\r\n\r\nHEAD /noise HTTP/1.1\r\nHost: x\r\n\r\n\
                 GET /digits HTTP/1.1\r\nHost: x\r\nRange: bytes=3-5\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\n\r\n";
    let writing = thread::spawn(move || writer.write_all(round.repeat(50).as_bytes()).expect("all is read in the end"));
    for number in 0..50 {
        assert!(read_reply(&mut stream, false).1 == bytes, "round {number}");
        assert_eq!(length_of(&read_reply(&mut stream, true).0), bytes.len());
        assert_eq!(read_reply(&mut stream, false).1, b"345");
        assert_eq!(status(&read_reply(&mut stream, false).0), "404");
    }
    writing.join().expect("the writer does not panic");
    drop(stream);
    site.check_all_is_closed(before);
}

/// Also when the end comes while the file is still being sent.
#[test]
fn a_client_that_ends_its_side_gets_all_that_it_has_asked_for() {
    let Some(site) = Site::start("half-closed") else { return };
    let bytes = noise(1, 30_000_000);
    site.put("noise", &bytes);
    let mut stream = site.connect();
    let request = "GET /noise HTTP/1.1\r\nHost: x\r\n\r\nGET /digits HTTP/1.1\r\nHost: x\r\n\r\nGET /unfinished HT";
    stream.write_all(request.as_bytes()).expect("requests");
    stream.shutdown(Shutdown::Write).expect("a FIN");
    assert!(read_reply(&mut stream, false).1 == bytes);
    assert_eq!(read_reply(&mut stream, false).1, b"0123456789");
    assert_eq!(stream.read(&mut [0; 10]).expect("a good end"), 0);

    if !harness::have_tool("sh")
        || Command::new("sh").args(["-c", "command -v nc"]).output().is_ok_and(|o| !o.status.success())
    {
        assert!(std::env::var_os("SS_TEST_REQUIRE_TOOLS").is_none(), "nc is not installed");
        println!("SKIPPED: nc is not installed");
        return;
    }
    let mut nc = Command::new("nc");
    nc.args(["-N", "127.0.0.1", &site.port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut nc = Running(nc.spawn().expect("nc starts"));
    nc.0.stdin.take().expect("it is piped").write_all(request.as_bytes()).expect("it reads");
    let mut got = Vec::new();
    nc.0.stdout.take().expect("it is piped").read_to_end(&mut got).expect("it can be read");
    assert!(got.len() > bytes.len() && got.ends_with(b"\r\n\r\n0123456789"), "{} bytes", got.len());
}

#[test]
fn no_path_leads_out_of_the_folder() {
    let Some(site) = Site::start("escapes") else { return };
    let secret = "not to be seen";
    fs::write(site.folder.with_file_name("secret"), secret).expect("a file beside the folder");
    site.put(".hidden", secret.as_bytes());
    symlink("../secret", site.folder.join("link")).expect("a link");
    symlink("..", site.folder.join("up")).expect("a link");
    for path in [
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/sub/..%2F..%2Fsecret",
        "/sub%2f..%2f..%2fsecret",
        "/%2e./secret",
        "//secret",
        "/./../secret",
        "/..",
        "/../",
        "/up/secret",
        "/link",
        "/.hidden",
        "/%2ehidden",
        "/index.html%00",
        "/index.html%0",
        "/index.html%",
        "/index.html%zz",
        "/index.html/",
        "/index.html/digits",
        "/sub",
        "/..\\secret",
        "../secret",
        "secret",
        "*",
        "/sub//with%20space.txt",
    ] {
        let (head, body) = site.get(path, "");
        assert_eq!(status(&head), "404", "{path}");
        assert!(!String::from_utf8_lossy(&body).contains(secret), "{path}");
    }
    let absolute = site.folder.with_file_name("secret").to_str().expect("UTF-8").to_owned();
    for path in [
        absolute.clone(),
        absolute.replace('/', "%2f"),
        format!("/{}", "x".repeat(5000)),
        format!("/{}", "sub/".repeat(1500)),
    ] {
        assert_eq!(status(&site.get(&path, "").0), "404", "{path}");
    }
    assert_eq!(site.get("/digits", "").1, b"0123456789");
}

/// A pipe without a writer would hold whoever opens or reads it.
#[test]
fn what_is_no_file_is_not_waited_for() {
    let Some(site) = Site::start("pipes") else { return };
    assert!(run("mkfifo", [site.folder.join("pipe")]).status.success());
    let before = site.descriptors();
    assert_eq!(status(&site.get("/pipe", "").0), "404");
    assert_eq!(status(&site.get("/sub/", "").0), "404");
    site.check_all_is_closed(before);
}

/// Nor do the others wait.
#[test]
fn a_client_that_does_not_read_costs_little_memory_however_long_the_file_is() {
    let Some(site) = Site::start("slow") else { return };
    let before = site.descriptors();
    const LENGTH: u64 = 300_000_000;
    File::create(site.folder.join("zeros")).and_then(|file| file.set_len(LENGTH)).expect("a long file");
    let mut slow: Vec<TcpStream> = (0..20).map(|_| site.connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /zeros HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    }
    for _ in 0..100 {
        assert_eq!(site.get("/digits", "").1, b"0123456789");
    }
    assert!(site.most_memory() < 40 << 20, "{} bytes", site.most_memory());
    let mut reader = slow.pop().expect("one of them");
    drop(slow); // the others reset
    let (head, mut room, mut got) = (read_head(&mut reader), vec![0; 1 << 20], 0);
    assert_eq!(length_of(&head) as u64, LENGTH);
    while got < LENGTH {
        let count = reader.read(&mut room).expect("the file");
        assert!(count > 0 && room[..count].iter().all(|byte| *byte == 0), "at {got}");
        got += count as u64;
    }
    drop(reader);
    site.check_all_is_closed(before);
    assert!(site.most_memory() < 40 << 20, "{} bytes", site.most_memory());
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("a head is text")
}

#[test]
fn a_file_that_becomes_shorter_ends_in_a_reset_and_not_in_what_looks_whole() {
    let Some(site) = Site::start("shorter") else { return };
    let path = site.put("noise", &noise(1, 50_000_000));
    let mut stream = site.connect();
    stream.write_all(b"GET /noise HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("a request");
    assert_eq!(length_of(&read_head(&mut stream)), 50_000_000);
    File::options().write(true).open(&path).and_then(|file| file.set_len(1000)).expect("it is cut");
    let end = stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    assert_eq!(site.get("/digits", "").1, b"0123456789");
}

#[test]
fn ab_and_wrk_get_files_without_a_failure() {
    let Some(site) = Site::start("many") else { return };
    site.put("noise", &noise(1, 100_000));
    let before = site.descriptors();
    let is_there = |tool: &str| run("sh", ["-c", &format!("command -v {tool}")]).status.success();
    for keep_alive in ["-k", "-q"] {
        if !is_there("ab") {
            assert!(std::env::var_os("SS_TEST_REQUIRE_TOOLS").is_none(), "ab is not installed");
            break;
        }
        let output = run("ab", ["-q", keep_alive, "-c", "50", "-n", "2000", &site.url("/noise")]);
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        let says =
            |line: &str| report.lines().any(|said| said.split_whitespace().collect::<Vec<_>>().join(" ") == line);
        assert!(
            says("Complete requests: 2000") && says("Failed requests: 0") && !report.contains("Non-2xx"),
            "{report}"
        );
        assert!(says("HTML transferred: 200000000 bytes"), "{report}");
    }
    if is_there("wrk") {
        let output = run("wrk", ["-t", "1", "-c", "50", "-d", "1s", &site.url("/noise")]);
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(report.contains(" requests in ") && !report.contains(" 0 requests in "), "{report}");
        assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
    } else {
        assert!(std::env::var_os("SS_TEST_REQUIRE_TOOLS").is_none(), "wrk is not installed");
    }
    site.check_all_is_closed(before);
}

#[test]
fn a_folder_that_is_not_there_ends_it_with_a_reason() {
    let Some(program) = harness::example("http_hello", None) else { return };
    let output = run(program.to_str().expect("UTF-8"), ["0", "10", "/nonexistent/folder"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent/folder: No such file"), "{output:?}");
    assert!(Path::new("/nonexistent").metadata().is_err());
}
