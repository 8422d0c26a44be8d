//! What the README says is tried.

mod harness;

use harness::Language;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("the README can be read")
}

/// The contents of the README's blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let readme = readme();
    let fence = format!("```{language}\n");
    let starts = readme.split(&fence).skip(1);
    starts.map(|block| block.split("```").next().expect("a block ends").to_owned()).collect()
}

/// Ended with the test, whatever becomes of it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_program_of_the_readme_serves_a_client() {
    let programs = blocks("c");
    assert_eq!(programs.len(), 1, "the README shows one program");
    let source = harness::scratch_dir("source").join("readme.c");
    fs::write(&source, &programs[0]).expect("a source can be written");
    let program = harness::build(&source, "readme", Language::C99);

    let mut command = Command::new(program);
    command.env_remove("LD_LIBRARY_PATH").stdout(Stdio::piped());
    let mut server = Running(command.spawn().expect("it starts"));
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().expect("it is piped")).read_line(&mut line).expect("it prints its port");
    let port: u16 = line.trim().rsplit(' ').next().and_then(|port| port.parse().ok()).expect("a port");

    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    client.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
    client.write_all(b"hello\n").expect("it reads");
    let mut answer = [0; 6];
    client.read_exact(&mut answer).expect("it answers");
    assert_eq!(&answer, b"hello\n");
}

#[test]
fn the_set_up_commands_are_two_and_exist() {
    let commands = blocks("sh");
    assert_eq!(commands, ["make -C c-examples run\ncargo test\n"]);
    let makefile = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("c-examples/Makefile"));
    assert!(makefile.expect("there is a Makefile").contains("\nrun: "));
}

#[test]
fn the_files_that_the_readme_names_exist() {
    let readme = readme();
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let mut count = 0;
    for link in links.filter(|link| !link.contains("://")) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(link).exists(), "{link}");
        count += 1;
    }
    assert!(count > 3, "the README has links");
}
