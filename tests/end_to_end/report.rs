//! `report`: the page of the last run, made from the records of all runs.

use std::fs;
use std::process::Command;

use crate::space::{TestSpace, repository};

/// Writes the page, and returns it.
fn page(space: &TestSpace) -> String {
    let run = space.ok(&["report"]);
    assert_eq!(run.stdout, ".rondel/report.html\n");
    space.read(".rondel/report.html")
}

fn records(space: &TestSpace) -> Vec<String> {
    let entries = fs::read_dir(space.root().join(".rondel/runs.1")).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn last_record(space: &TestSpace) -> serde_json::Value {
    let name = records(space).pop().unwrap();
    serde_json::from_str(&space.read(&format!(".rondel/runs.1/{name}"))).unwrap()
}

/// Returns the part of the page with this id.
fn section<'a>(page: &'a str, id: &str) -> &'a str {
    let start = page.find(&format!("<section id=\"{id}\"")).unwrap_or_else(|| panic!("no `{id}` in\n{page}"));
    let rest = &page[start..];
    &rest[..rest.find("</section>").unwrap()]
}

#[test]
fn without_a_run_there_is_no_page() {
    let space = TestSpace::with_targets(r#""a": Exec(command: ["true"])"#);
    space.run(&["report"]).fails(2, &["error: no run is recorded in this workspace", "TARGET` records what it does"]);
    for question in [&["plan", "a"][..], &["why", "a"], &["list"], &["graph"]] {
        space.ok(question);
    }
    space.run(&["report"]).fails(2, &["no run is recorded"]);
}

#[test]
fn a_failed_step_has_its_reason_and_its_output() {
    let space = TestSpace::with_targets(
        r#"
    "first": Exec(command: ["sh", "-c", "echo first > first.out"], inputs: ["in"], outputs: ["first.out"]),
    "broken": Exec(command: ["sh", "-c", "echo seen before; echo the cause >&2; exit 3"], after: ["first"]),
    "last": Exec(command: ["true"], after: ["broken"])"#,
    );
    space.write("in", "1\n");
    space.run(&["last"]).fails(1, &["the cause"]);
    let page = page(&space);
    let failed = section(&page, "failed");
    for words in [">broken</a>", "seen before", "the cause", "ended with exit status 3"] {
        assert!(failed.contains(words), "{words}\n{failed}");
    }
    assert!(section(&page, "time").contains("class=\"bar failed"), "{page}");
    assert!(section(&page, "why").contains("first build"), "{page}");
    assert!(section(&page, "steps").contains("did not run"), "{page}");
    assert!(section(&page, "runs").contains("failed (1)"), "{page}");
    let record = last_record(&space);
    assert_eq!((record["exit"].as_u64(), record["words"][0].as_str()), (Some(1), Some("last")));
}

#[test]
fn a_build_for_nothing_tells_what_it_saved_and_the_trend_has_both() {
    let space = TestSpace::with_targets(
        r#""slow": Exec(command: ["sh", "-c", "sleep 0.4; echo out > out"], inputs: ["in"], outputs: ["out"])"#,
    );
    space.write("in", "1\n");
    space.ok(&["slow"]);
    let first = page(&space);
    assert!(!first.contains("<section id=\"saved\""), "{first}");
    assert!(section(&first, "time").contains("class=\"bar ran critical\""), "{first}");
    space.ok(&["slow"]);
    let second = page(&space);
    let saved = section(&second, "saved");
    assert!(saved.contains(">slow</a>") && saved.contains("up to date"), "{saved}");
    let kept = last_record(&space)["steps"][0]["kept_ms"].as_u64().unwrap();
    assert!((400..60_000).contains(&kept), "{kept} ms");
    assert!(section(&second, "why").contains("Nothing had to run"), "{second}");
    let runs = section(&second, "runs");
    assert!(runs.contains("2 runs as a table") && runs.matches("<div class=\"run\"").count() == 2, "{runs}");
    // What is gone comes back without running.
    space.remove("out");
    space.ok(&["slow"]);
    assert!(section(&page(&space), "saved").contains("restored"));
}

/// A step that keeps its results itself: its time is that of its last run.
#[test]
fn tests_are_told_by_package_also_when_nothing_runs() {
    let mut space = TestSpace::with_targets(r#""test": GoTest(packages: ["./..."])"#).with_shared_go();
    space.set("PATH", &std::env::var("PATH").unwrap());
    space.write("go.mod", "module example.com/m\n\ngo 1.22\n");
    let test = |name: &str, body: &str| {
        let text = format!(
            "package {name}\n\nimport \"testing\"\n\nfunc TestGood(t *testing.T) {{}}\n\nfunc TestOther(t *testing.T) {{ {body} }}\n"
        );
        space.write(&format!("{name}/{name}_test.go"), &text);
    };
    test("one", "t.Error(\"<b>no</b>\")");
    test("two", "t.Skip()");
    space.run(&["test"]).fails(1, &["TestOther"]);
    let failed = page(&space);
    let tests = section(&failed, "tests");
    assert!(tests.contains("2 passed, 1 failed, 1 skipped"), "{tests}");
    assert!(tests.contains("example.com&#x2f;m&#x2f;one") && tests.contains("<li>TestOther</li>"), "{tests}");
    assert!(section(&failed, "failed").contains("&lt;b&gt;no&lt;"), "{failed}");
    test("one", "");
    space.ok(&["test"]);
    assert!(section(&page(&space), "tests").contains("2 passed, 0 failed, 0 skipped"));
    space.ok(&["test"]);
    let again = page(&space);
    let tests = section(&again, "tests");
    assert!(tests.contains("up to date since") && tests.contains("example.com&#x2f;m&#x2f;one"), "{tests}");
    assert!(section(&again, "saved").contains(">test</a>"), "{again}");
}

#[test]
fn an_image_has_its_layers_also_when_nothing_runs() {
    let space = TestSpace::small();
    space.ok(&["image"]);
    for _ in 0..2 {
        let page = page(&space);
        let images = section(&page, "images");
        assert!(images.contains("in layers") && images.contains("KiB"), "{images}");
        assert!(images.contains("outputs <span") && images.contains("sha256:"), "{images}");
        space.ok(&["image"]);
    }
    space.remove("dist/image/index.json");
    assert!(section(&page(&space), "images").contains("can&#x27;t be read now"));
}

#[test]
fn no_output_and_no_name_gets_out_of_its_place() {
    let hostile = "</pre></script><script>alert(1)</script><img src=x onerror=alert(1)>";
    let space = TestSpace::with_targets(&format!(
        r#"
    "talk": Exec(command: ["sh", "-c", "cat in/*; printf '\\033[31mred\\033[0m \\033]0;title\\007'; exit 1"], inputs: ["in/**"], outputs: ["o"], doc: "{hostile}")"#
    ));
    space.write("in/<img src=x onerror=alert(1)>\" onmouseover=\"alert(1)", &format!("{hostile}\n"));
    space.run(&["talk"]).fails(1, &[]);
    let first = page(&space);
    space.write("in/<script>alert(2)<", "more\n");
    space.replace("build.ron", "; exit 1", "; echo > o");
    space.ok(&["talk"]);
    space.write("in/<script>alert(2)<", "less\n");
    space.ok(&["talk"]);
    let second = page(&space);
    assert!(section(&second, "why").contains("&lt;script&gt;alert(2)&lt; changed"), "{second}");
    for page in [first, second] {
        assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (1, 1), "{page}");
        assert!(!page.contains("<img") && !page.contains("onmouseover=\""), "{page}");
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;") && page.contains("red title") || page.contains("red ]0;title")
        );
        assert!(!page.contains('\u{1b}'), "{page}");
    }
}

#[test]
fn secrets_are_neither_in_the_record_nor_on_the_page() {
    let mut space = TestSpace::with_targets(
        r#"
    "leak": Exec(command: ["sh", "-c", "echo token $TOKEN; echo $TOKEN >&2; exit 1"], env: {"TOKEN": Secret("TOKEN")}),
    "said": Exec(command: ["echo", "said", "{word}"], params: {"word": Param(default: "x")}, env: {"TOKEN": Secret("TOKEN")})"#,
    );
    space.set("TOKEN", "hunter2-and-more");
    space.run(&["leak"]).fails(1, &["token"]);
    space.run(&["said", "word=hunter2-and-more"]);
    let page = page(&space);
    assert!(records(&space).len() == 2, "{:?}", records(&space));
    for name in records(&space) {
        let text = space.read(&format!(".rondel/runs.1/{name}"));
        assert!(text.contains("TOKEN") || text.contains("said"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(!page.contains("hunter2"), "{page}");
}

#[test]
fn broken_records_are_left_out_and_old_ones_go() {
    let space = TestSpace::with_targets(r#""a": Exec(command: ["true"])"#);
    space.ok(&["a"]);
    let good = space.read(&format!(".rondel/runs.1/{}", records(&space)[0]));
    for number in 0..70 {
        space.write(&format!(".rondel/runs.1/{number:014}-1"), &good);
    }
    space.ok(&["a"]);
    assert_eq!(records(&space).len(), 50);
    space.write(".rondel/runs.1/00000000000001-1", "{\"project\": ");
    let run = space.ok(&["report", "--output", "-"]);
    assert!(run.stdout.starts_with("<!doctype html>") && run.stdout.contains("50 runs as a table"), "{}", run.stdout);
    assert!(
        run.stderr.contains("warning: the record `.rondel/runs.1/00000000000001-1` is left out: "),
        "{}",
        run.stderr
    );
    for name in records(&space) {
        space.write(&format!(".rondel/runs.1/{name}"), "[]");
    }
    space.run(&["report"]).fails(2, &["no run is recorded"]);
    space.run(&["report", "-o", "nowhere/else/page.html"]).fails(2, &[]);
}

/// A run that ends by a signal is recorded as far as it came.
#[test]
fn an_interrupted_run_is_recorded() {
    let space =
        TestSpace::with_targets(r#""wait": Exec(command: ["sh", "-c", "echo begun; touch begun; exec sleep 60"])"#);
    let mut child = space.start(&["wait"]);
    while !space.exists("begun") {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let page = page(&space);
    assert!(section(&page, "steps").contains("interrupted") && section(&page, "steps").contains("begun"), "{page}");
    assert_eq!(last_record(&space)["exit"], 130);
}

#[test]
fn a_page_goes_where_it_is_asked_for() {
    let space = TestSpace::with_targets(r#""a": Exec(command: ["true"])"#);
    space.ok(&["a"]);
    assert_eq!(space.ok(&["report", "-o", "page.html"]).stdout, "page.html\n");
    std::os::unix::fs::symlink("/proc/self/fd/1", space.root().join("link")).unwrap();
    let run = space.ok(&["report", "-o", "link"]);
    assert!(run.stdout.starts_with("<!") && run.stdout.trim_end().ends_with("</html>"), "{}", run.stdout);
    assert!(space.root().join("link").is_symlink());
    assert!(space.read("page.html").starts_with("<!doctype html>"));
    assert!(!space.exists(".rondel/report.html"));
}

/// A run with 1,000 steps, one of which failed, and runs of the smallest: in a browser.
#[test]
#[cfg_attr(not(has_chromium), ignore = "no chromium with python3")]
fn the_page_holds_in_a_browser() {
    let name = "broken-with-a-name-that-is-rather-long-for-a-narrow-screen";
    let small = TestSpace::small();
    small.ok(&["image"]);
    small.replace(
        "build.ron",
        "targets: {",
        &format!("targets: {{ \"{name}\": Exec(command: [\"sh\", \"-c\", \"echo {}; exit 1\"]),", "word".repeat(80)),
    );
    small.run(&["image", name, "--keep-going"]).fails(1, &[]);
    page(&small);
    checked(&small, &["--search", "image"]);
    // The same run with many steps like the first one: to make them all would take minutes.
    let mut record = last_record(&small);
    let steps = record["steps"].as_array_mut().unwrap();
    for number in steps.len()..1000 {
        let mut step = steps[0].clone();
        step["is_internal"] = false.into();
        step["title"] = format!("step {number}").into();
        step["end"] = ["ran", "up_to_date", "restored", "skipped"][number % 4].into();
        step["start_us"] = (number * 1000).into();
        step["duration_us"] = 1900.into();
        step["after"] = serde_json::json!([number - 1, number / 2]);
        step["log"] = format!("line of {number}\n").repeat(20).into();
        step["kept_ms"] = number.into();
        step["tested"] = serde_json::json!([{"name": "m/a", "has_passed": number % 2 == 0, "elapsed_ms": 5, "passed": 1, "failed": 0, "skipped": 0}]);
        steps.push(step);
    }
    small.write(&format!(".rondel/runs.1/{}", records(&small).pop().unwrap()), &record.to_string());
    page(&small);
    checked(&small, &["--search", "step 77", "--least", "1000"]);
    let smallest = TestSpace::with_targets(r#""a": Exec(command: ["true"], inputs: ["in"])"#);
    smallest.write("in", "1\n");
    for _ in 0..2 {
        smallest.ok(&["a"]);
        page(&smallest);
        checked(&smallest, &["--search", "a"]);
    }
}

#[track_caller]
fn checked(space: &TestSpace, options: &[&str]) {
    let output = Command::new("python3")
        .arg(repository().join("tests/page_check.py"))
        .arg(space.root().join(".rondel/report.html"))
        .args(options)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    assert!(output.status.success(), "{text}");
}
