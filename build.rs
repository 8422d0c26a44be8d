// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo check --features header` writes the headers of `include` anew. Without that feature there is nothing to do: they are
//! committed.

#[cfg(feature = "header")]
#[path = "build/header.rs"]
mod header;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "header")]
    header::write()?;
    Ok(())
}
