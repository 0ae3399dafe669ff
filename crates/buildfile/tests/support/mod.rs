//! What the tests of broken files share: the diagnostics of a text, as a person sees them.

use expect_test::Expect;
use rondel_buildfile::{BuildFile, render};

/// Every diagnostic of `text`, as a person sees it.
#[allow(dead_code, reason = "not every test binary asks for it by itself")]
pub fn messages(text: &str) -> String {
    match BuildFile::parse(text, "0.1.0") {
        Ok(_) => "no mistakes\n".to_owned(),
        Err(diagnostics) => diagnostics.iter().map(|diagnostic| render("build.ron", text, diagnostic)).collect(),
    }
}

/// `fields` stands after a sound head, on a line of its own.
#[allow(dead_code, reason = "the tests of declarations read whole files")]
pub fn check(fields: &str, expected: Expect) {
    expected.assert_eq(&messages(&format!("(\n    format: 1,\n    project: \"p\",\n    {fields},\n)\n")));
}
