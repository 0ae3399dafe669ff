//! The page: one HTML file that needs nothing else. The template escapes all values; the style and the script are constants,
//! and the page's policy allows no other script.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context, syntax::SyntaxConfig, value::Serde};
use rondel_cas::Digest;

use crate::images::LayersOf;
use crate::run::Run;
use crate::view::View;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Returns the page of the last of `runs`. `program` is what people type, `version` that of the program.
pub fn page(runs: &[Run], layers_of: &LayersOf<'_>, program: &str, version: &str) -> Result<String, String> {
    let view = View::of(runs, layers_of).ok_or("there is no run")?;
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(|error| error.to_string())?);
    environment.add_template("page.html", TEMPLATE).map_err(|error| error.to_string())?;
    let template = environment.get_template("page.html").map_err(|error| error.to_string())?;
    let script_digest = STANDARD.encode(Digest::of(SCRIPT.as_bytes()).hash());
    let view = Value::from(Serde(view));
    let values = context! { view, program, version, style => STYLE, script => SCRIPT, script_digest };
    template.render(values).map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{Image, Layer};
    use crate::run::{End, Output, Step, StepError, Tested};

    const HOSTILE: &str =
        "</script><script>alert(1)</script><img src=x onerror=alert(1)>\" onmouseover=\"alert(1)' {{ 7*7 }} {% raw %}";

    fn hostile_run() -> Run {
        let text = || HOSTILE.to_owned();
        let tested = Tested { name: text(), failed: 1, failed_tests: vec![text()], ..Tested::default() };
        let failed = Step {
            title: text(),
            kind: text(),
            target: text(),
            end: End::Failed,
            reasons: vec![text()],
            duration_us: 10,
            facts: [(text(), text())].into(),
            outputs: vec![Output { path: text(), size: 1 }],
            output_count: 3,
            layout: Some(text()),
            error: Some(StepError { message: text(), hint: text() }),
            log: text(),
            log_left_out: 3,
            tested: vec![tested],
            ..Step::default()
        };
        let kept = Step { end: End::Restored, kept_ms: Some(900), inputs: vec![0], error: None, ..failed.clone() };
        let ran = Step { end: End::Ran, after: vec![0], inputs: vec![1], ..kept.clone() };
        let skipped = Step { end: End::Skipped, ..kept.clone() };
        Run {
            project: text(),
            words: vec![text()],
            exit: 1,
            warnings: vec![text()],
            steps: vec![failed, kept, ran, skipped],
            left_out: 1,
            ..Run::default()
        }
    }

    #[test]
    fn no_text_gets_out_of_its_place() {
        let layers = |_: &Step| {
            let layer = Layer { what: HOSTILE.to_owned(), digest: HOSTILE.to_owned(), size: 5 };
            Ok(vec![Image { platform: HOSTILE.to_owned(), layers: vec![layer] }])
        };
        let page = page(&[hostile_run(), hostile_run()], &layers, HOSTILE, HOSTILE).unwrap();
        assert!(!page.contains("<img"), "{page}");
        assert!(!page.contains("onmouseover=\"") && !page.contains("alert(1)'"), "{page}");
        assert_eq!(page.matches("<script").count(), 1);
        assert_eq!(page.matches("</script").count(), 1);
        // It is there many times, as it was, and not evaluated.
        assert!(page.matches("&lt;script&gt;alert(1)&lt;").count() > 25, "{page}");
        assert!(page.matches("{{ 7*7 }}").count() > 25 && !page.contains("49 {"));
    }

    #[test]
    fn nothing_comes_from_outside() {
        let page = page(&[hostile_run()], &|_| Err("gone".to_owned()), "rondel", "1").unwrap();
        for word in ["http:", "https:", "src=", "@import", "url(", "<link rel=\"stylesheet\"", "eval(", "innerHTML"] {
            assert!(!page.replace("&lt;img src=x", "").contains(word), "{word}");
        }
        assert!(page.contains("default-src &#x27;none&#x27;") || page.contains("default-src 'none'"));
        assert!(page.contains(&format!("'sha256-{}'", STANDARD.encode(Digest::of(SCRIPT.as_bytes()).hash()))));
    }

    #[test]
    fn every_shape_of_a_run_has_a_page() {
        let none = |_: &Step| Err("no layout".to_owned());
        assert!(page(&[], &none, "rondel", "1").is_err());
        let empty = page(&[Run::default()], &none, "rondel", "1").unwrap();
        assert!(empty.contains("No step ran"), "{empty}");
        let bare = Run { steps: vec![Step::default()], ..Run::default() };
        page(&[bare], &none, "rondel", "1").unwrap();
    }
}
