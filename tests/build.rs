//! Looks for the parts of the machine that tests need, so that a test whose part is missing is compiled as ignored.
//!
//! Cargo compiles the tests again whenever this script runs, so it does not run each time. It runs when programs come
//! or go, when the Docker daemon starts, and when a test has noticed that the answers are out of date.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a build script talks to cargo and looks around"
)]

use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

mod parts;

fn main() {
    let missing = parts::missing();
    for part in parts::PARTS {
        println!("cargo::rustc-check-cfg=cfg({})", part.cfg);
        if missing.contains(&part.cfg) {
            println!("cargo::warning=no {}: tests that need it are ignored", part.name);
        } else {
            println!("cargo::rustc-cfg={}", part.cfg);
        }
    }
    println!("cargo::rustc-env=RONDEL_TEST_MISSING={}", missing.join(","));
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=parts.rs");
    for name in ["PATH", "DOCKER_HOST", "RONDEL_TEST_REQUIRE"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    // A path that does not exist would make cargo run this script each time.
    let places = ["/usr/local/bin", "/usr/bin", "/usr/sbin", "/usr/local/lib/docker/cli-plugins", "/run/docker.sock"];
    for place in places.into_iter().filter(|place| Path::new(place).exists()) {
        println!("cargo::rerun-if-changed={place}");
    }
    // The test that finds the answers out of date touches this file. A file that is younger than the script's run
    // would be a change at once, so it begins old.
    let stale = Path::new(&std::env::var_os("OUT_DIR").expect("cargo says it")).join("stale");
    let file = File::create(&stale).expect("OUT_DIR can be written");
    file.set_modified(SystemTime::UNIX_EPOCH).expect("the time of a file can be set");
    println!("cargo::rerun-if-changed={}", stale.display());
}
