//! A third runtime needs nothing but the shared library and the header's rules.

mod harness;

use std::path::Path;
use std::process::Command;

#[test]
fn the_python_example_serves_a_client() {
    if !harness::have_tool("python3") {
        return;
    }
    let mut python = Command::new("python3");
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python/echo.py")).arg("0");
    python.env("SERVER_SOCKET_LIB", harness::library());
    harness::check_echo(python);
}
