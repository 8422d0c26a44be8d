// SPDX-License-Identifier: MIT OR Apache-2.0
//! The documents are true: every piece of code in docs/EMBEDDING.md compiles, every test that a document names exists, every
//! link leads somewhere, the jobs of `.github` are those of the gate, and every source file says its licence.

use support::harness;

use harness::Language;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A fenced block: its language, the pkg-config package that it needs, and the code.
struct Block {
    language: String,
    package: Option<String>,
    code: String,
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn blocks() -> Vec<Block> {
    let guide = read("docs/EMBEDDING.md");
    let fenced = guide.split("\n```").skip(1).step_by(2);
    fenced
        .map(|block| {
            let (info, code) = block.split_once('\n').expect("a block has lines");
            let mut words = info.split_whitespace().map(str::to_owned);
            Block { language: words.next().unwrap_or_default(), package: words.next(), code: format!("{code}\n") }
        })
        .collect()
}

fn package_flags(package: &str) -> Option<Vec<String>> {
    let output = Command::new("pkg-config").args(["--cflags", package]).output().ok()?;
    let flags = String::from_utf8(output.stdout).expect("flags are plain text");
    output.status.success().then(|| flags.split_whitespace().map(str::to_owned).collect())
}

#[test]
fn every_snippet_of_the_guide_compiles() {
    let blocks = blocks();
    assert!(blocks.len() >= 9, "the guide has code");
    for (number, block) in blocks.iter().enumerate() {
        let language = match block.language.as_str() {
            "c" => Language::C99,
            "cpp" => Language::Cpp11,
            "text" => continue,
            other => panic!("what is {other}?"),
        };
        let source = harness::scratch_dir("snippets").join(format!("{number}.{}", block.language));
        fs::write(&source, &block.code).expect("a source can be written");
        let mut command = harness::compiler(language);
        if let Some(package) = &block.package {
            let Some(flags) = package_flags(package) else {
                support::skipped(&format!("{package} is not installed"));
                continue;
            };
            // Other people's headers, and newer standards, are not what is tried here.
            command.args(flags.iter().map(|flag| flag.replacen("-I", "-isystem", 1)));
            command.args([if language == Language::C99 { "-std=gnu11" } else { "-std=c++17" }, "-fPIC"]);
        }
        if block.code.contains("server_socket.hpp") {
            command.arg("-std=c++17");
        }
        command.arg("-fsyntax-only").arg(&source);
        harness::compile(command);
    }
}

/// The pieces of a text between single backticks, outside of fenced blocks; a line break in one is a space.
fn code_spans(text: &str) -> Vec<String> {
    let paragraphs = text.split("\n```").step_by(2).flat_map(|prose| prose.split("\n\n"));
    let spans = paragraphs.flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
    spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Behaviours are whole sentences: a name of four words and more, and no function of the library, is a test's.
fn is_name_of_a_test(word: &str) -> bool {
    let plain = word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    plain && word.matches('_').count() >= 3 && !word.starts_with("ss_")
}

/// The sources below a folder that can have tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path
            .extension()
            .is_some_and(|extension| ["rs", "c", "cpp", "hx"].iter().any(|known| extension == *known))
        {
            found.push(path);
        }
    }
    found
}

/// Whether a test of a `home` without a folder can be in this file, whose path is below `tests`.
fn is_at_home(path: &Path, home: &str) -> bool {
    let is_rust = path.extension().is_some_and(|extension| extension == "rs");
    is_rust && (path.file_stem().is_some_and(|stem| stem == home) || path.starts_with(home))
}

/// The texts in which the tests of a `home` are: `faults` is the faults.rs of a room, `simulation` what lies in tests/simulation,
/// `c/life` tests/c/life.c, `haxe/DataTests` haxe/tests/DataTests.hx, `lib` is src, and "" is everything.
fn texts_of(home: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = match home {
        "" => [sources(&root.join("tests")), sources(&root.join("src")), sources(&root.join("haxe"))].concat(),
        "lib" => sources(&root.join("src")),
        _ if home.starts_with("haxe/") => vec![root.join(home.replace("haxe/", "haxe/tests/")).with_extension("hx")],
        _ => {
            let tests = root.join("tests");
            let mut paths = sources(&tests);
            let below = |path: &Path| path.strip_prefix(&tests).expect("it is below").to_owned();
            paths.retain(|path| below(path).with_extension("") == Path::new(home) || is_at_home(&below(path), home));
            paths
        }
    };
    paths.iter().map(|path| fs::read_to_string(path).expect("a source is text")).collect()
}

/// How many tests a document names. Each has to exist, where the document says; as for `cargo test` a part of its name will do.
fn check_tests_named_in(document: &str) -> usize {
    let mut homes: HashMap<String, Vec<String>> = HashMap::new();
    let mut count = 0;
    for span in code_spans(&read(document)) {
        let (home, name) = span.rsplit_once(' ').unwrap_or(("", &span));
        if is_name_of_a_test(name) || home.starts_with("haxe/") {
            let texts = homes.entry(home.to_owned()).or_insert_with(|| texts_of(home));
            assert!(texts.iter().any(|text| text.contains(name)), "{document} names `{span}`, which does not exist");
            count += 1;
        }
    }
    count
}

#[test]
fn every_test_that_a_document_names_exists() {
    for document in ["docs/RELIABILITY.md", "docs/SEMANTICS.md"] {
        assert!(check_tests_named_in(document) > 100, "{document} was not understood");
    }
}

/// The pages, wherever they lie.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("names are plain");
        if path.is_dir() && !["target", ".git", "build", "site", "corpus"].contains(&name) {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// Where `[text](target)` and `![text](target)` lead, outside of code.
fn links(text: &str) -> Vec<&str> {
    let prose = text.split("\n```").step_by(2);
    let ends = prose.flat_map(|part| part.split("](").skip(1).filter_map(|rest| rest.split_once(')')));
    ends.map(|(target, _)| target).collect()
}

/// A heading as the places that show Markdown make an anchor of it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || ['-', '_'].contains(c)).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(pages.len() > 10, "the pages were not found");
    for page in pages {
        let text = fs::read_to_string(&page).expect("a page is text");
        for link in links(&text).into_iter().filter(|link| !link.contains("://") && !link.starts_with("../blob/")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.with_file_name(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).expect("a page is text");
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let there = headings.any(|line| anchor(line.trim_start_matches('#')) == heading);
                assert!(there, "{}: no heading of {file} is #{heading}", page.display());
            }
        }
    }
}

#[test]
fn the_jobs_run_what_the_gate_runs() {
    let (gate, jobs) = (read(".ci/run"), read(".github/workflows/gate.yml"));
    let joined = gate.replace("\\\n", " ");
    let mut stages = 0;
    for stage in joined.lines().filter_map(|line| line.strip_prefix("stage \"")) {
        let (_, command) = stage.split_once('"').expect("a stage has a name");
        let mut words: Vec<&str> = command.split_whitespace().collect();
        if words[0] == "timeout" {
            words.drain(..2);
        }
        // Functions of the script, a word each: what they do the jobs do otherwise.
        if words.len() > 1 || words[0].contains('/') {
            let command = words.join(" ");
            let runs = |line: &str| line.trim_start().trim_start_matches("- run: ").trim_end() == command;
            assert!(jobs.lines().any(runs), "no job of .github/workflows/gate.yml runs `{command}`");
            stages += 1;
        }
    }
    assert!(stages >= 10, "the gate was not understood");
}

/// A colon before a blank, or at the end, makes a pair of what was to be a command: the whole file is refused then.
#[test]
fn the_commands_of_the_jobs_are_plain_text_to_yaml() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    for entry in fs::read_dir(folder).expect("there are workflows") {
        let path = entry.expect("an entry can be read").path();
        let text = fs::read_to_string(&path).expect("a workflow is text");
        for command in text.lines().filter_map(|line| line.trim_start().strip_prefix("- run: ")) {
            let plain = !command.contains(": ") && !command.ends_with(':');
            assert!(plain || command.starts_with(['"', '\'']), "{}: {command}", path.display());
        }
    }
}

#[test]
fn every_source_says_its_licence() {
    if !harness::have_tool("python3") {
        return;
    }
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/spdx")).output().expect("ci/spdx runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
