//! The scripts of `completions`, in the shells themselves.

use std::fs;

use crate::space::{Run, TestSpace};

const TARGETS: &str = r#""hello": Exec(doc: "Says hello", command: ["true"]), "help-me": Exec(command: ["true"])"#;

fn shell(space: &TestSpace, shell: &str, script: &str) -> String {
    let run = Run::of(space.under(shell, &["-c", script], &[]).output().unwrap());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{script}\n{}", run.stdout);
    run.stdout
}

/// What bash offers for a line, the last word of which is being typed.
fn bash(space: &TestSpace, line: &[&str]) -> String {
    let words: String = line.iter().map(|word| format!("'{word}' ")).collect();
    let script = format!(
        "source <(\"$0\" completions bash); COMP_WORDS=(\"$0\" {words}); COMP_CWORD={}; _rondel_under_test; \
         echo \"${{COMPREPLY[@]}}\"",
        line.len()
    );
    shell(space, "bash", &script).trim_end().to_owned()
}

#[test]
#[cfg_attr(not(has_bash), ignore = "no bash")]
fn bash_completes_verbs_options_values_and_targets() {
    let space = TestSpace::with_targets(TARGETS);
    space.write("notes.txt", "");
    assert_eq!(bash(&space, &["hel"]), "hello help-me");
    assert_eq!(bash(&space, &["pl"]), "plan");
    assert_eq!(bash(&space, &["--offline", "plan", "hel"]), "hello help-me");
    assert_eq!(bash(&space, &["cache", ""]), "stats gc verify audit clean");
    assert_eq!(bash(&space, &["cache", "gc", "--m"]), "--max");
    assert_eq!(bash(&space, &["plan", "--f"]), "--file");
    assert_eq!(bash(&space, &["hello", "--f"]), "--force --file");
    assert_eq!(bash(&space, &["graph", "--format", ""]), "mermaid dot json");
    assert_eq!(bash(&space, &["graph", "--format", "=", "d"]), "dot");
    assert_eq!(bash(&space, &["inspect", "no"]), "notes.txt");
    assert_eq!(bash(&space, &["plan", "no"]), "");
    space.remove("build.ron");
    assert_eq!(bash(&space, &["cache", "s"]), "stats");
}

const PARAMETERS: &str = r#""new": Exec(command: ["echo", "{name}", "{env}"], aliases: ["create"],
    params: {"name": Param(), "env": Param(default: "dev", one_of: ["dev", "prod"])})"#;

#[test]
#[cfg_attr(not(has_bash), ignore = "no bash")]
fn bash_completes_parameters() {
    let space = TestSpace::with_targets(PARAMETERS);
    assert_eq!(bash(&space, &["new", "n"]), "name= new");
    assert_eq!(bash(&space, &["cre"]), "create");
    assert_eq!(bash(&space, &["create", "env", "=", "p"]), "prod");
    assert_eq!(bash(&space, &["new", "env", "="]), "dev prod");
    // Where `=` takes no word apart.
    assert_eq!(bash(&space, &["new", "env=d"]), "env=dev");
    assert_eq!(bash(&space, &["new", "name", "=", "x", "e"]), "env=");
}

/// Behind `cargo xtask` the binary below target/ is asked, and other words of cargo complete as before.
#[test]
#[cfg_attr(not(has_bash), ignore = "no bash")]
fn bash_completes_after_cargo_xtask() {
    let space = TestSpace::with_targets(TARGETS);
    fs::create_dir_all(space.root().join("target/xtask")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rondel-under-test"), space.root().join("target/xtask/xtask"))
        .unwrap();
    fs::create_dir_all(space.root().join("deep")).unwrap();
    let script = "former() { COMPREPLY=(former); }; complete -F former cargo; cd deep; \
                  source <(exec -a xtask \"$0\" completions bash); \
                  COMP_WORDS=(cargo xtask verify hel); COMP_CWORD=3; _rondel_cargo; echo \"${COMPREPLY[@]}\"; \
                  COMP_WORDS=(cargo bu); COMP_CWORD=1; _rondel_cargo; echo \"${COMPREPLY[@]}\"; complete -p cargo";
    let seen = shell(&space, "bash", script);
    assert_eq!(seen, "hello help-me\nformer\ncomplete -o default -F _rondel_cargo cargo\n");
}

/// The shell `name` reads its script without complaint, however the program was started.
fn reads_its_script(name: &str) {
    let space = TestSpace::with_targets(TARGETS);
    for started_as in ["rondel", "xtask"] {
        let mut script = space.under("bash", &["-c", "exec -a \"$1\" \"$0\" completions \"$2\""], &[started_as, name]);
        let script = Run::of(script.output().unwrap()).stdout;
        assert!(!script.contains("this program") && !script.contains("@FUNCTION"), "{script}");
        space.write("script", &script);
        shell(&space, name, &format!("{name} -n script"));
    }
}

#[test]
#[cfg_attr(not(has_zsh), ignore = "no zsh")]
fn zsh_reads_its_script() {
    reads_its_script("zsh");
}

#[test]
#[cfg_attr(not(has_fish), ignore = "no fish")]
fn fish_completes_targets_and_values() {
    reads_its_script("fish");
    let space = TestSpace::with_targets(TARGETS);
    let name = env!("CARGO_BIN_EXE_rondel-under-test").rsplit('/').next().unwrap();
    let directory = env!("CARGO_BIN_EXE_rondel-under-test").trim_end_matches(name);
    let line = |line: &str| {
        let script =
            format!("set PATH {directory} $PATH; {name} completions fish | source; complete -C '{name} {line}'");
        shell(&space, "fish", &script)
    };
    assert_eq!(line("hell"), "hello\tSays hello\n");
    assert_eq!(line("lock --update "), "base\ngo\ntools\n");
    space.write("build.ron", &format!("(format: 1, project: \"t\", go: System, targets: {{{PARAMETERS}}})\n"));
    assert_eq!(line("new n"), "name=\nnew\tExec\n");
    assert_eq!(line("new env="), "env=dev\nenv=prod\n");
}
