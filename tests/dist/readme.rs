// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the README says is tried.

use support::harness;

use harness::Language;
use std::fs;
use std::path::Path;
use std::process::Command;

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

#[test]
fn the_program_of_the_readme_serves_a_client() {
    let programs = blocks("c");
    assert_eq!(programs.len(), 1, "the README shows one program");
    let source = harness::scratch_dir("source").join("readme.c");
    fs::write(&source, &programs[0]).expect("a source can be written");
    harness::check_echo(Command::new(harness::build(&source, "readme", Language::C99)));
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
        let file = link.split('#').next().expect("a link begins with a file");
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists(), "{link}");
        count += 1;
    }
    assert!(count > 3, "the README has links");
}
