//! End-to-end tests: the program as people run it, on real Go and real Docker.
//!
//! One binary, so that it links once. `space` is the fluent workspace that all tests are written with. A test
//! whose part is missing on the machine is ignored, with the reason on its line (`../parts.rs`); with
//! `RONDEL_TEST_REQUIRE` set, as in CI, a missing part is a failure.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests start programs and print")]
#![allow(unused_attributes, reason = "a test that needs two parts may lack both")]

mod adoption;
mod archive;
mod audit;
mod base_image;
mod bases;
mod bases_in_docker;
mod bases_of_registries;
mod bundles;
mod cache;
mod clean;
mod command_line;
mod completions;
mod compression;
mod concurrency;
mod containers;
mod cross_cgo;
mod declared_inputs;
mod defaults;
mod digests;
mod docker;
mod docker_build;
mod doors;
mod env_file;
mod environment;
mod evidence;
mod executables;
mod explained;
mod failures;
mod faults;
mod first_compile;
#[path = "../forge_server/mod.rs"]
mod forge_server;
mod from_make;
mod go_checkers;
mod go_closure;
mod go_generate;
mod go_inputs;
mod go_source;
mod go_test;
mod go_test_benchmarks;
mod go_test_reports;
mod go_test_runs;
mod go_test_unseen;
mod hostile;
mod image;
mod image_contents;
mod image_files;
mod image_merged;
mod image_programs;
mod import_circles;
mod inputs;
mod inspect_published;
mod interactive;
mod loading;
mod matrix;
mod modules;
mod outputs_beside_inputs;
mod packages;
#[path = "../parts.rs"]
mod parts;
mod parts_of_the_machine;
mod placed;
mod policy;
mod processes;
mod projects;
mod provenance;
mod public;
mod publish;
mod published_tools;
mod push;
mod push_documents;
mod push_evidence;
mod push_pulled;
mod push_signatures;
mod rebuild;
mod rebuild_attest;
mod rebuild_image;
mod release;
mod release_texts;
mod replay;
mod report;
mod sandbox;
mod scheduling;
mod screen;
mod server;
mod signatures;
mod signed_base;
mod slips;
mod space;
mod stamps;
mod suite_audit;
mod tasks;
mod tidy;
mod toolchain;
mod unlike_machines;
mod variables;
mod verify;
mod versions;
mod vulnerabilities;
mod watch;
