//! Reports, on the first run, why nothing is seen for half a minute: cargo is quiet while it compiles.

use std::io::Write;

#[allow(clippy::disallowed_macros, reason = "a build script talks to cargo on standard output")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Cargo keeps the output of a build script; the terminal, if there is one, can be written directly.
    if let Ok(mut terminal) = std::fs::OpenOptions::new().write(true).open("/dev/tty") {
        let _ = writeln!(terminal, "compiling Rondel, this once (about half a minute) …");
    }
}
