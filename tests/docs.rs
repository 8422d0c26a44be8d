//! Every piece of code in docs/EMBEDDING.md compiles.

mod harness;

use harness::Language;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A fenced block: its language, the pkg-config package that it needs, and the code.
struct Block {
    language: String,
    package: Option<String>,
    code: String,
}

fn blocks() -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/EMBEDDING.md");
    let guide = fs::read_to_string(path).expect("the guide can be read");
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
            other => panic!("what is {other}?"),
        };
        let source = harness::scratch_dir("snippets").join(format!("{number}.{}", block.language));
        fs::write(&source, &block.code).expect("a source can be written");
        let mut command = harness::compiler(language);
        if let Some(package) = &block.package {
            let Some(flags) = package_flags(package) else {
                assert!(std::env::var_os("SS_TEST_REQUIRE_TOOLS").is_none(), "{package} is not installed");
                println!("SKIPPED: {package} is not installed");
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
