//! Says on the terminal that the first `cargo xtask` compiles, since cargo itself is asked to be quiet. It is part of this package
//! because all others wait for it: so it runs in the first second. Without a terminal, and in other profiles, it says nothing.

use std::io::Write;

#[allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "cargo talks to build scripts by standard output and the environment"
)]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The directory is below the one that is named like the profile.
    let directory = std::env::var_os("OUT_DIR").unwrap_or_default();
    let is_xtask = std::path::Path::new(&directory).components().any(|part| part.as_os_str() == "xtask");
    if is_xtask && let Ok(mut terminal) = std::fs::OpenOptions::new().write(true).open("/dev/tty") {
        // A terminal that is gone needs no word.
        let _ = writeln!(terminal, "Compiling Rondel, once (about a minute)");
    }
}
