//! One file a kind of step: its dependencies and its work.

pub(crate) mod bill;
pub(crate) mod checker;
pub(crate) mod command;
pub(crate) mod go_build;
pub(crate) mod go_fmt;
pub(crate) mod go_mod_download;
pub(crate) mod go_mod_tidy;
pub(crate) mod go_test;
pub(crate) mod probe;
pub(crate) mod published_tool;
pub(crate) mod scan;
pub(crate) mod test_benchmarks;
pub(crate) mod test_reports;
pub(crate) mod test_run;
pub(crate) mod test_screen;
pub(crate) mod test_setup;
