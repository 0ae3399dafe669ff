//! Events to screen: the same build for people and as JSON.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use expect_test::{Expect, expect};
use rondel_cas::Digest;
use rondel_diff::Difference;
use rondel_engine::{
    Event, Graph, Job, Metadata, Node, Outcome, OutputReport, PROGRAM, Prepared, Query, Reason, Report,
    Shown as StepShown, Step, StepError, StepKey,
};
use rondel_names::TargetName;
use rondel_process::Stream;
use rondel_targets::ImageMetadata;

use crate::exit::Exit;
use crate::ui::{
    AuditOutcome, AuditStart, AuditSummary, Audited, BuildEnd, Human, Json, Printer, Shown, Sink, Verbosity, Verified,
    VerifySummary,
};

/// A step that is never prepared or run: the events are made by hand.
struct Unused;

impl Step for Unused {
    type Findings = ();

    fn prepare(&self, _: &Query<'_>) -> Result<Prepared, StepError> {
        Err(StepError::failed("unused"))
    }

    fn run(&self, _: &Prepared, _: &Job<'_>) -> Result<Report, StepError> {
        Err(StepError::failed("unused"))
    }
}

pub(super) fn graph() -> Graph {
    let mut graph = Graph::new();
    let mut add = |key: StepKey, shown: StepShown| {
        graph.add(Node { shown, ..Node::new(key, "Exec", Box::new(Unused)) });
    };
    let name = |text: &str| TargetName::new(text).unwrap();
    add(StepKey::of(&name("server"), "deps"), StepShown::Never);
    add(StepKey::main(&name("server")), StepShown::OnFailure);
    add(StepKey::main(&name("image")), StepShown::OnFailure);
    add(StepKey::main(&name("serve")), StepShown::Streamed);
    graph
}

pub(super) fn finished(node: usize, outcome: Outcome, reasons: Vec<Reason>) -> Event {
    let duration = Duration::from_millis(12);
    let saved = if outcome == Outcome::Restored { Duration::from_secs(38) } else { Duration::ZERO };
    Event::Finished { node, outcome, reasons, duration, saved, outputs: Vec::new(), metadata: Metadata::default() }
}

/// The end of a build that ran so long.
pub(super) fn end(exit: Exit, ms: u64, notes: &[String]) -> BuildEnd<'_> {
    BuildEnd { exit, took: Duration::from_millis(ms), notes, removed_containers: 0 }
}

/// Plays a build with every kind of event.
fn play(sink: &dyn Sink) {
    let graph = graph();
    let changed = |path: &str| Reason::InputChanged { path: path.to_owned(), old: "1".to_owned(), new: "2".to_owned() };
    sink.started("council", &["image".to_owned()]);
    let image = ImageMetadata {
        digest: format!("sha256:5900{}", "0123456789".repeat(6)),
        image_id: "sha256:1200".to_owned(),
        size_bytes: 4_823_449,
        platforms: vec!["linux/amd64".to_owned()],
        tags: vec!["council:v1".to_owned(), "council:latest".to_owned()],
        inherited: std::collections::BTreeMap::new(),
    };
    let output = OutputReport { path: PathBuf::from("dist/image/index.json"), digest: Digest::of(b"x") };
    for event in [
        Event::Warning { text: format!("build.lock does not pin Go (run `{PROGRAM} lock`)") },
        Event::Started { node: 0, reasons: vec![Reason::NoPrevious] },
        Event::Progress { node: 0, message: "fetching Go".to_owned(), done: 1 << 20, total: 2 << 20 },
        finished(0, Outcome::Ran, vec![Reason::NoPrevious]),
        Event::Started { node: 1, reasons: vec![changed("a.go"), changed("b\u{1b}[2J.go"), changed("c.go")] },
        Event::Command { node: 1, line: "go build ./x".to_owned(), directory: "/w".into() },
        Event::Output { node: 1, stream: Stream::Stderr, line: "# compiled".to_owned(), is_replayed: false },
        finished(1, Outcome::Ran, vec![changed("a.go")]),
        Event::Started { node: 3, reasons: vec![Reason::Forced] },
        Event::Output {
            node: 3,
            stream: Stream::Stdout,
            line: "{this program} is what a child prints".to_owned(),
            is_replayed: false,
        },
        Event::Note { node: 3, text: format!("listens on 8080; `{PROGRAM} down` stops it") },
        finished(3, Outcome::Restored, Vec::new()),
        Event::Finished {
            node: 2,
            outcome: Outcome::Cached,
            reasons: Vec::new(),
            duration: Duration::from_millis(1),
            saved: Duration::from_millis(600),
            outputs: vec![output],
            metadata: Metadata::of(&image),
        },
    ] {
        sink.event(&graph, &event);
    }
    sink.built(&graph, &end(Exit::Done, 37_520, &["linux/amd64; 1 more".to_owned()]));
    sink.finished(Exit::Done, Duration::from_millis(37_521));
}

fn fail(sink: &dyn Sink) {
    let graph = graph();
    sink.started("council", &["server".to_owned()]);
    sink.event(&graph, &Event::Started { node: 1, reasons: vec![Reason::Forced] });
    sink.event(
        &graph,
        &Event::Output { node: 1, stream: Stream::Stderr, line: "a.go:1: wrong".to_owned(), is_replayed: false },
    );
    sink.event(&graph, &finished(1, Outcome::Failed, vec![Reason::Forced]));
    sink.event(&graph, &finished(2, Outcome::NotRun, vec![Reason::Always { why: "`server` failed".to_owned() }]));
    let error = StepError::Command {
        summary: "go build -trimpath -buildvcs=false -pgo=auto -o out -- ./cmd/server".to_owned(),
        status: "exit code 1".to_owned(),
        output: vec!["a.go:1: wrong".to_owned(), "the rest".to_owned()],
        told: 1,
        hint: Some(format!("run `{PROGRAM} lock`")),
    };
    sink.failure(&graph, 1, &error, "");
    sink.failure(&graph, 2, &StepError::Interrupted, "");
    sink.built(&graph, &end(Exit::StepFailed, 3140, &[]));
    sink.finished(Exit::StepFailed, Duration::from_millis(5));
}

fn verify(sink: &dyn Sink) {
    let step = |label: &str, is_hidden: bool, difference: Option<Difference>| Verified {
        label: label.to_owned(),
        is_hidden,
        summary: "sha256:9b70".to_owned(),
        difference,
    };
    let difference =
        Difference { place: vec!["out/x".to_owned(), "section .rodata".to_owned()], what: vec!["a path".to_owned()] };
    sink.verifying();
    sink.verified(&step("deps", true, None));
    sink.verified(&step("server", false, None));
    sink.verified(&step("fault", false, Some(difference)));
    let variations = ["directory".to_owned(), "umask 077".to_owned()];
    sink.verify_summary(&VerifySummary {
        steps: 3,
        different: 1,
        variations: &variations,
        took: Duration::from_millis(33_390),
    });
    sink.second_build_failed();
    sink.finished(Exit::Different, Duration::from_millis(33_390));
}

fn audit(sink: &dyn Sink) {
    let audited = |label: &str, is_hidden: bool, outcome: AuditOutcome| {
        let (label, key) = (label.to_owned(), Digest::of(label.as_bytes()));
        Audited { label, key, is_hidden, outcome }
    };
    let difference = Difference {
        place: vec!["out\u{1b}[2J".to_owned(), "line 1".to_owned()],
        what: vec!["`a` and `b`".to_owned()],
    };
    let same = || AuditOutcome::Same("sha256:9b70".to_owned());
    sink.auditing(&AuditStart { chosen: 4, stored: 370, rate: Some("1%".to_owned()), seed: 7 });
    sink.audited(&audited("server", false, same()));
    sink.audited(&audited("deps", true, same()));
    sink.audited(&audited("clock", false, AuditOutcome::Different(difference)));
    sink.audited(&audited("loaded", true, AuditOutcome::NotChecked(format!("two\nlines: `{PROGRAM} lock`"))));
    sink.audit_summary(&AuditSummary {
        checked: 3,
        differed: 1,
        not_checked: 1,
        not_reached: 2,
        took: Duration::from_millis(1_390),
    });
    sink.finished(Exit::Different, Duration::from_millis(1_390));
}

pub(super) fn printer(seen: &Arc<Mutex<String>>, end: &'static str) -> Printer {
    let seen = Arc::clone(seen);
    Box::new(move |text: &str| {
        let mut seen = seen.lock().unwrap();
        seen.push_str(text);
        seen.push_str(end);
    })
}

pub(super) const PLAIN: Verbosity = Verbosity {
    quiet: false,
    verbose: false,
    answers: true,
    bars: false,
    heartbeats: false,
    steps: true,
    color: false,
    service: None,
    changes_only: false,
    clears: false,
};

fn human(verbosity: Verbosity, play: fn(&dyn Sink), expected: Expect) {
    let seen = Arc::default();
    play(&Human::new(verbosity, printer(&seen, "\n")));
    expected.assert_eq(&seen.lock().unwrap());
}

fn json(shown: Shown, play: fn(&dyn Sink), expected: Expect) {
    let seen = Arc::default();
    play(&Json::new(shown, printer(&seen, "")));
    expected.assert_eq(&seen.lock().unwrap());
}

#[test]
fn a_build_for_people() {
    human(
        PLAIN,
        play,
        expect![[r#"
            warning: build.lock does not pin Go (run `rondel lock`)
                 Working fetching Go: 1.0 MiB of 2.0 MiB
                 Running server: a.go changed, b.go changed (and 1 more)
                    Done server in 12 ms
                 Running serve: forced
                 serve | {this program} is what a child prints
                    Note serve: listens on 8080; `rondel down` stops it
                Restored serve from the cache in 12 ms
              Up to date image
                   Image image sha256:590001234567 4.6 MiB linux/amd64
                         council:v1, council:latest
                Platform linux/amd64; 1 more
                Finished in 38 s: 1 ran, 2 up to date, 39 s saved
        "#]],
    );
}

#[test]
fn a_build_with_all_said() {
    human(
        Verbosity { verbose: true, ..PLAIN },
        play,
        expect![[r#"
            warning: build.lock does not pin Go (run `rondel lock`)
                 Running server: deps: first build
                 Working fetching Go: 1.0 MiB of 2.0 MiB
                    Done server: deps in 12 ms
                 Running server: a.go changed, b.go changed (and 1 more)
                       $ go build ./x
                server | # compiled
                    Done server in 12 ms
                 Running serve: forced
                 serve | {this program} is what a child prints
                    Note serve: listens on 8080; `rondel down` stops it
                Restored serve from the cache in 12 ms
              Up to date image
                   Image image sha256:5900012345678901234567890123456789012345678901234567890123456789 4.6 MiB linux/amd64
                         council:v1, council:latest
                Platform linux/amd64; 1 more
                Finished in 38 s: 1 ran, 2 up to date, 39 s saved
        "#]],
    );
}

#[test]
fn a_quiet_build() {
    human(
        Verbosity { quiet: true, ..PLAIN },
        play,
        expect![[r#"
        warning: build.lock does not pin Go (run `rondel lock`)
    "#]],
    );
}

#[test]
fn a_failure_for_people() {
    human(
        PLAIN,
        fail,
        expect![[r#"
                 Running server: forced
                  Failed server
                 Not run image: `server` failed
            error: server: `go build …` ended with exit code 1

            hint: run `rondel lock`
              a.go:1: wrong
              the rest
                  Failed build (exit 1): 1 failed, 1 not run (image), 3.1 s
        "#]],
    );
    human(
        Verbosity { color: true, quiet: true, ..PLAIN },
        fail,
        expect![[r#"
            [1;31merror:[0m server: `go build …` ended with exit code 1

            [1;36mhint:[0m run `rondel lock`
              a.go:1: wrong
              the rest
        "#]],
    );
}

#[test]
fn verify_for_people() {
    human(
        PLAIN,
        verify,
        expect![[r#"
               Verifying by a second build, in other surroundings and from an empty cache
               Identical server: sha256:9b70
               Different fault: out/x, section .rodata
                           a path
               Differing directory, umask 077
                Verified in 33.39 s: 1 of 3 different

            hint: the second build failed but the first did not: the step depends on something outside the tree
        "#]],
    );
    human(
        Verbosity { quiet: true, ..PLAIN },
        verify,
        expect![[r#"
               Different fault: out/x, section .rodata
                           a path

            hint: the second build failed but the first did not: the step depends on something outside the tree
        "#]],
    );
}

#[test]
fn an_audit_for_people() {
    human(
        PLAIN,
        audit,
        expect![[r#"
            Auditing 4 of 370 stored results (1%, seed 7)
                Same server: sha256:9b70
           Different clock: out, line 1
                       `a` and `b`
           Unchecked loaded: two\nlines: `rondel lock`
             Audited in 1.39 s: 3 checked, 1 differed, 1 can't be checked, 2 not reached

        hint: what differed was removed, and the next build makes it again; `rondel why` says of which steps it is
    "#]],
    );
    human(
        Verbosity { quiet: true, ..PLAIN },
        audit,
        expect![[r#"
           Different clock: out, line 1
                       `a` and `b`

        hint: what differed was removed, and the next build makes it again; `rondel why` says of which steps it is
    "#]],
    );
}

#[test]
fn an_audit_as_json() {
    json(
        Shown::AsUsual,
        audit,
        expect![[r#"
            {"chosen":4,"event":"audit_started","rate":"1%","seed":7,"stored":370}
            {"event":"audited","key":"sha256:b3eacd33433b31b5252351032c9b3e7a2e7aa7738d5decdf0dd6c62680853c06","outcome":"same","place":[],"step":"server","text":"sha256:9b70","what":[]}
            {"event":"audited","key":"sha256:f93464a48a2b9281080b555fac1081b1852154552800cbc6a2440ad1e3629033","outcome":"same","place":[],"step":"deps","text":"sha256:9b70","what":[]}
            {"event":"audited","key":"sha256:d8198efa3604d164853468608c55efa148bc56e3564d5a30232bf98b8ab43aeb","outcome":"different","place":["out\u001b[2J","line 1"],"step":"clock","text":"","what":["`a` and `b`"]}
            {"event":"audited","key":"sha256:2cab953f2b3607b36259abeb3703329d6b301b31277402ebf9f2b3b93e31dd53","outcome":"not_checked","place":[],"step":"loaded","text":"two\nlines: `rondel lock`","what":[]}
            {"checked":3,"differed":1,"event":"audit_finished","not_checked":1,"not_reached":2}
            {"duration_ms":1390,"event":"finished","exit_code":4,"outcome":"different"}
        "#]],
    );
}

#[test]
fn a_build_as_json() {
    json(
        Shown::AsUsual,
        play,
        expect![[r##"
            {"event":"started","project":"council","schema":1,"targets":["image"]}
            {"event":"warning","text":"build.lock does not pin Go (run `rondel lock`)"}
            {"event":"step_started","reasons":[{"kind":"no_previous","text":"first build"}],"step":"server: deps","target":"server"}
            {"done_bytes":1048576,"event":"progress","message":"fetching Go","step":"server: deps","target":"server","total_bytes":2097152}
            {"duration_ms":12,"event":"step_finished","facts":{},"outcome":"ran","outputs":[],"reason":"first build","reasons":[{"kind":"no_previous","text":"first build"}],"restored":false,"saved_ms":0,"step":"server: deps","target":"server"}
            {"event":"step_started","reasons":[{"kind":"input_changed","new":"2","old":"1","path":"a.go","text":"a.go changed"},{"kind":"input_changed","new":"2","old":"1","path":"b\u001b[2J.go","text":"b\u001b[2J.go changed"},{"kind":"input_changed","new":"2","old":"1","path":"c.go","text":"c.go changed"}],"step":"server","target":"server"}
            {"event":"command","line":"go build ./x","step":"server","target":"server"}
            {"event":"output","line":"# compiled","step":"server","stream":"stderr","target":"server"}
            {"duration_ms":12,"event":"step_finished","facts":{},"outcome":"ran","outputs":[],"reason":"a.go changed","reasons":[{"kind":"input_changed","new":"2","old":"1","path":"a.go","text":"a.go changed"}],"restored":false,"saved_ms":0,"step":"server","target":"server"}
            {"event":"step_started","reasons":[{"kind":"forced","text":"forced"}],"step":"serve","target":"serve"}
            {"event":"output","line":"{this program} is what a child prints","step":"serve","stream":"stdout","target":"serve"}
            {"event":"note","step":"serve","target":"serve","text":"listens on 8080; `rondel down` stops it"}
            {"duration_ms":12,"event":"step_finished","facts":{},"outcome":"cached","outputs":[],"reason":null,"reasons":[],"restored":true,"saved_ms":38000,"step":"serve","target":"serve"}
            {"duration_ms":1,"event":"step_finished","facts":{"digest":"sha256:5900012345678901234567890123456789012345678901234567890123456789","image_id":"sha256:1200","platforms":"linux/amd64","size_bytes":"4823449","tags":"council:v1 council:latest"},"outcome":"cached","outputs":[{"digest":"sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","path":"dist/image/index.json","size":1}],"reason":null,"reasons":[],"restored":false,"saved_ms":600,"step":"image","target":"image"}
            {"duration_ms":37521,"event":"finished","exit_code":0,"outcome":"ok"}
        "##]],
    );
}

#[test]
fn a_failure_as_json() {
    json(
        Shown::AsUsual,
        fail,
        expect![[r#"
            {"event":"started","project":"council","schema":1,"targets":["server"]}
            {"event":"step_started","reasons":[{"kind":"forced","text":"forced"}],"step":"server","target":"server"}
            {"event":"output","line":"a.go:1: wrong","step":"server","stream":"stderr","target":"server"}
            {"duration_ms":12,"event":"step_finished","facts":{},"outcome":"failed","outputs":[],"reason":"forced","reasons":[{"kind":"forced","text":"forced"}],"restored":false,"saved_ms":0,"step":"server","target":"server"}
            {"duration_ms":12,"event":"step_finished","facts":{},"outcome":"skipped","outputs":[],"reason":"`server` failed","reasons":[{"kind":"always","text":"`server` failed","why":"`server` failed"}],"restored":false,"saved_ms":0,"step":"image","target":"image"}
            {"event":"error","hint":"run `rondel lock`","message":"`go build -trimpath -buildvcs=false -pgo=auto -o out -- ./cmd/server` ended with exit code 1","output":["a.go:1: wrong","the rest"],"step":"server","target":"server"}
            {"event":"error","hint":null,"message":"interrupted","output":[],"step":"image","target":"image"}
            {"duration_ms":5,"event":"finished","exit_code":1,"outcome":"failed"}
        "#]],
    );
}

#[test]
fn verify_as_json() {
    json(
        Shown::AsUsual,
        verify,
        expect![[r#"
            {"event":"verified","outcome":"identical","place":[],"step":"deps","summary":"sha256:9b70","what":[]}
            {"event":"verified","outcome":"identical","place":[],"step":"server","summary":"sha256:9b70","what":[]}
            {"event":"verified","outcome":"different","place":["out/x","section .rodata"],"step":"fault","summary":"sha256:9b70","what":["a path"]}
            {"event":"warning","text":"the second build failed but the first did not: the step depends on something outside the tree"}
            {"duration_ms":33390,"event":"finished","exit_code":4,"outcome":"different"}
        "#]],
    );
}

#[test]
fn a_second_build_shows_failures_only() {
    json(
        Shown::FailuresOnly,
        fail,
        expect![[r#"
            {"event":"error","hint":"run `rondel lock`","message":"`go build -trimpath -buildvcs=false -pgo=auto -o out -- ./cmd/server` ended with exit code 1","output":["a.go:1: wrong","the rest"],"step":"server","target":"server"}
            {"event":"error","hint":null,"message":"interrupted","output":[],"step":"image","target":"image"}
            {"duration_ms":5,"event":"finished","exit_code":1,"outcome":"failed"}
        "#]],
    );
    json(
        Shown::FailuresOnly,
        play,
        expect![[r#"
        {"event":"warning","text":"build.lock does not pin Go (run `rondel lock`)"}
        {"duration_ms":37521,"event":"finished","exit_code":0,"outcome":"ok"}
    "#]],
    );
}
