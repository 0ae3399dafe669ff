//! End-to-end tests: the program as people run it, on real Go and real Docker.
//!
//! One binary, so that it links once. `space` is the fluent workspace that all tests are written with. A part
//! that is missing on a machine is said and counted ("skipped: no docker"); with `RONDEL_TEST_REQUIRE` set, as
//! in CI, it is a failure instead.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests start programs and print")]

mod cache;
mod command_line;
mod completions;
mod concurrency;
mod docker;
mod environment;
mod explained;
mod failures;
mod faults;
mod go_inputs;
mod hostile;
mod image;
mod inputs;
mod matrix;
mod provenance;
mod public;
mod scheduling;
mod server;
mod space;
mod stamps;
mod tidy;
mod toolchain;
mod verify;
