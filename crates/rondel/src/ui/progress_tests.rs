//! What runs now, for terminals of several widths and for logs.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use rondel_engine::{Event, Forecast, Outcome, Part, StepError};
use rondel_process::Stream;

use crate::exit::Exit;
use crate::ui::columns::width_of;
use crate::ui::groups::Service;
use crate::ui::lines::Lines;
use crate::ui::progress::Live;
use crate::ui::screen::Size;
use crate::ui::tests::{PLAIN, end, finished, graph, printer};
use crate::ui::{BuildStart, Human, Paths, Sink, Verbosity};

/// Steps 0 to 3 are `server: deps` (hidden), `server`, `image` and `serve`. The first and the last took a minute the last
/// time, and `server` so long.
fn forecast(name: &str, server_ms: u64) -> Forecast {
    let state = std::env::temp_dir().join(format!("rondel-screen-{name}-{}", std::process::id()));
    fs::create_dir_all(&state).unwrap();
    let graph = graph();
    let key = |id: usize| graph.node(id).key.file_name();
    let text = format!("60000\t{}\n{server_ms}\t{}\n60000\t{}\n", key(0), key(1), key(3));
    fs::write(state.join("durations"), text).unwrap();
    let forecast = Forecast::of(&graph, &[0, 1, 2, 3], &state, 4);
    fs::remove_dir_all(state).unwrap();
    forecast
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A build in which `server: deps` has ended, and `server` and `serve` run.
fn build(name: &str, begun: Instant) -> Live {
    let graph = graph();
    let mut live = Live::default();
    live.expect(&graph, forecast(name, 500_000));
    live.begin(&graph, 0, begun);
    live.end(0);
    live.end(2);
    live.begin(&graph, 3, begun + seconds(190));
    live.begin(&graph, 1, begun);
    live
}

fn shown(live: &Live, columns: usize, now: Instant, expected: Expect) {
    let lines = live.frame(Size { columns, rows: 24 }, now);
    lines.iter().for_each(|line| assert!(width_of(line) < columns, "{line}"));
    expected.assert_eq(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
}

/// A table in place, which says of many parts first what is not well.
#[test]
fn parts_are_a_table_in_place() {
    let (graph, begun) = (graph(), Instant::now());
    let part = |(name, state, place): (&str, &str, &str)| Part {
        name: name.to_owned(),
        state: state.to_owned(),
        is_well: state == "healthy",
        place: place.to_owned(),
    };
    let mut live = Live::default();
    live.expect(&graph, Forecast::default());
    live.set_parts(&graph, 3, &[("db", "starting", "")].map(part), begun);
    let three = [
        ("backend", "starting", "http://127.0.0.1:8080"),
        ("db", "healthy", "127.0.0.1:5432"),
        ("queue\x1b[2J", "exited", ""),
    ];
    live.set_parts(&graph, 3, &three.map(part), begun);
    shown(
        &live,
        60,
        begun + seconds(2),
        expect![[r#"
        [0/1] serve 2s
                backend  starting  http://127.0.0.1:8080
                db       healthy   127.0.0.1:5432
                queue    exited
    "#]],
    );
    shown(
        &live,
        24,
        begun + seconds(2),
        expect![[r#"
        [0/1] serve 2s
                backend  start…
                db       healt…
                queue    exited
    "#]],
    );
    let names: Vec<String> = (10..40).map(|number| format!("service-{number}")).collect();
    let state = |name: &str| if name.ends_with('7') { "starting" } else { "healthy" };
    let many: Vec<Part> = names.iter().map(|name| part((name.as_str(), state(name), ""))).collect();
    live.set_parts(&graph, 3, &many, begun);
    shown(
        &live,
        60,
        begun + seconds(2),
        expect![[r#"
        [0/1] serve 2s
                service-17  starting
                service-27  starting
                service-37  starting
                service-10  healthy
                service-11  healthy
                service-12  healthy
                service-13  healthy
                service-14  healthy
                service-15  healthy
                service-16  healthy
                service-18  healthy
                and 19 more, 19 of them well
    "#]],
    );
}

#[test]
fn what_runs_is_shown_with_its_time_and_its_last_lines() {
    let (graph, begun) = (graph(), Instant::now());
    let mut live = build("lines", begun);
    let now = begun + seconds(252);
    live.say(&graph, 1, "net/http".to_owned(), now);
    for line in ["one", "two", "\x1b[31mthree\x1b[0m\tand more than forty columns hold", "four", "five"] {
        live.line(1, line, false, now);
    }
    live.line(3, "GET /", true, now);
    shown(
        &live,
        80,
        now,
        expect![[r#"
            [1/3] server 4m12s (last 8m20) │ net/http
                    two
                    three    and more than forty columns hold
                    four
                    five
                  serve 1m02s (last 1m00) │ GET /
                  about 4m08s left
        "#]],
    );
    shown(
        &live,
        40,
        now,
        expect![[r#"
            [1/3] server 4m12s (last 8m20) │ net/h…
                    two
                    three    and more than forty c…
                    four
                    five
                  serve 1m02s (last 1m00) │ GET /
                  about 4m08s left
        "#]],
    );
    live.say(&graph, 1, "a message ".repeat(30), now);
    for columns in [1, 2, 10, 40, 80, 200] {
        let lines = live.frame(Size { columns, rows: 4 }, now);
        assert!(lines.len() <= 2 && lines.iter().all(|line| width_of(line) < columns), "{columns}: {lines:?}");
    }
}

#[test]
fn only_what_runs_is_shown() {
    let (graph, begun) = (graph(), Instant::now());
    let mut live = build("ends", begun);
    let now = begun + seconds(1);
    live.end(1);
    shown(
        &live,
        80,
        now,
        expect![[r#"
            [2/3] serve 0s (last 1m00)
                  about 1m00s left
        "#]],
    );
    // A step that has the terminal has all of it.
    let mut taken = graph;
    taken.nodes_mut().nth(2).unwrap().shown = rondel_engine::Shown::Foreground;
    live.begin(&taken, 2, now);
    assert!(live.frame(Size { columns: 80, rows: 24 }, now).is_empty());
    live.end(2);
    assert!(!live.frame(Size { columns: 80, rows: 24 }, now).is_empty());
    live.finish();
    assert!(live.frame(Size { columns: 80, rows: 24 }, now).is_empty());
}

#[test]
fn a_step_that_says_nothing_is_said_to_run() {
    let begun = Instant::now();
    let mut live = build("beats", begun);
    assert_eq!(live.heartbeats(begun + seconds(29)), [""; 0]);
    assert_eq!(live.heartbeats(begun + seconds(30)), ["server: 30s (last 8m20)"]);
    assert_eq!(live.heartbeats(begun + seconds(59)), [""; 0]);
    // What prints a line gives a sign of life by itself.
    live.line(1, "kept until it fails", false, begun + seconds(59));
    live.line(3, "printed", true, begun + seconds(240));
    assert_eq!(live.heartbeats(begun + seconds(250)), ["server: 4m10s (last 8m20)"]);
    live.end(1);
    assert_eq!(live.heartbeats(begun + seconds(600)), ["serve: 6m50s (last 1m00)"]);
}

/// Plays a build in which `serve` prints lines, with one of `server` in between, and fails.
fn torn_output(verbosity: Verbosity, expected: Expect) {
    let (graph, seen) = (graph(), Arc::default());
    let human = Human::new(verbosity, printer(&seen, "\n"));
    let place = std::path::Path::new("/w");
    let paths = Paths::new(place, place, place);
    human.building(BuildStart { graph: &graph, forecast: forecast("torn", 1000), paths });
    let line = |node: usize, line: &str| Event::Output {
        node,
        stream: Stream::Stdout,
        line: line.to_owned(),
        is_replayed: false,
    };
    let begun = |node: usize| Event::Started { node, reasons: vec![rondel_engine::Reason::Forced] };
    for event in [begun(3), line(3, "one"), line(3, "two"), begun(1), finished(1, Outcome::Ran, Vec::new())] {
        human.event(&graph, &event);
    }
    human.event(&graph, &line(3, "three"));
    human.event(&graph, &finished(3, Outcome::Failed, Vec::new()));
    let error = StepError::Command {
        summary: "serve".to_owned(),
        status: "exit status 1".to_owned(),
        output: ["one", "two", "three"].map(str::to_owned).to_vec(),
        told: 3,
        hint: None,
    };
    human.failure(&graph, 3, &error, "");
    human.built(&graph, &end(Exit::StepFailed, 1000, &[]));
    drop(human);
    expected.assert_eq(&seen.lock().unwrap().replace(&std::process::id().to_string(), "[PID]"));
}

#[test]
fn output_that_others_stand_in_is_shown_together_in_the_end() {
    torn_output(
        PLAIN,
        expect![[r#"
                 Running serve: forced
                 serve | one
                 serve | two
                 Running server: forced
                    Done server in 12 ms
                 serve | three
                  Failed serve
            error: serve: `serve` ended with exit status 1
              one
              two
              three
                  Failed build (exit 1): 1 failed, 1 not run (image), 1.0 s
        "#]],
    );
}

#[test]
fn groups_of_a_log_hold_output_of_one_step() {
    torn_output(
        Verbosity { service: Some(Service::GitHub), ..PLAIN },
        expect![[r#"
                 Running serve: forced
            ::group::serve: output
                 serve | one
                 serve | two
            ::endgroup::
                 Running server: forced
                    Done server in 12 ms
            ::group::serve: output
                 serve | three
            ::endgroup::
                  Failed serve
            error: serve: `serve` ended with exit status 1
              one
              two
              three
                  Failed build (exit 1): 1 failed, 1 not run (image), 1.0 s
        "#]],
    );
    let seen = Arc::default();
    Lines::new(printer(&seen, "\n"), Some(Service::GitHub)).print("  ::stop-commands::x");
    assert_eq!(*seen.lock().unwrap(), "  | ::stop-commands::x\n");
    let (begin, end) = (Service::GitLab.begin(7, "serve: output"), Service::GitLab.end(7));
    assert!(begin.starts_with("\x1b[0Ksection_start:") && begin.ends_with("_7\r\x1b[0Kserve: output"), "{begin:?}");
    assert!(end.starts_with("\x1b[0Ksection_end:") && end.ends_with("_7\r\x1b[0K"), "{end:?}");
}
