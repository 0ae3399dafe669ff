//! Shared by the tests of broken files: the diagnostics of a text in their form for people.

use expect_test::Expect;
use rondel_buildfile::{BuildFile, render};

/// Returns every diagnostic of `text`, in its form for people.
#[allow(dead_code, reason = "not every test binary asks for it by itself")]
pub fn messages(text: &str) -> String {
    match BuildFile::parse(text, "0.1.0") {
        Ok(_) => "no mistakes\n".to_owned(),
        Err(diagnostics) => diagnostics.iter().map(|diagnostic| render("build.ron", text, diagnostic)).collect(),
    }
}

/// Checks `fields` after a sound head, on a line of their own.
#[allow(dead_code, reason = "the tests of declarations read whole files")]
pub fn check(fields: &str, expected: Expect) {
    expected.assert_eq(&messages(&format!("(\n    format: 1,\n    project: \"p\",\n    {fields},\n)\n")));
}
