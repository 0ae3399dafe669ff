//! `completions`: a script for bash, zsh or fish that gets the next words from the program.

use rondel_engine::PROGRAM;

use crate::cli::option::options;
use crate::cli::verb::{Arguments, Call, Holds, Verb};
use crate::exit::{Exit, Failure};
use crate::program;
use crate::session::Session;
use crate::ui::print_data;

options! {
    /// No options.
    struct Options {}
}

/// Prints a script.
pub(crate) struct Completions;

impl Verb for Completions {
    const NAME: &'static str = "completions";
    const ABOUT: &'static str = "a completion script for bash, zsh or fish";
    const ARGUMENTS: Arguments = Arguments {
        holds: Holds::Words(&["bash", "zsh", "fish"]),
        least: 1,
        most: 1,
        forms: &["SHELL"],
        needed: "a shell: `bash`, `zsh` or `fish`",
        docs: &[("SHELL", "bash, zsh or fish")],
    };
    const EXAMPLE: &'static str = "completions bash";
    const DETAILS: &'static str = "\
The script asks the program itself, so it also knows the targets of the build.ron at hand. Load it with

  bash:  source <({this program} completions bash)
  zsh:   source <({this program} completions zsh)       (after `compinit`)
  fish:  {this program} completions fish | source

As `cargo xtask`, it asks the binary that cargo made below target/ (or $CARGO_TARGET_DIR): nothing completes until
`cargo xtask` has run once. In bash and zsh it wraps the completion of `cargo` that is loaded when the script is; load
that one first.";
    type Options = Options;

    fn run(_: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        let script = match call.words.first().map(String::as_str) {
            Some("bash") => include_str!("completions/bash.sh"),
            Some("zsh") => include_str!("completions/zsh.sh"),
            _ => include_str!("completions/fish.fish"),
        };
        print_data(&filled(script, program::name(), program::is_xtask()));
        Ok(Exit::Done)
    }
}

/// Returns the script for a program of this name. Lines that end in `# xtask` are for `cargo xtask` only, lines that
/// end in `# binary` for others.
fn filled(script: &str, name: &str, is_xtask: bool) -> String {
    let is_safe = |character: char| character.is_ascii_alphanumeric() || "-._".contains(character);
    let name = if is_xtask || !name.chars().all(is_safe) { "rondel" } else { name };
    let function: String =
        name.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '_' }).collect();
    let mut text = String::new();
    for line in script.lines() {
        let (line, wanted) = match (line.strip_suffix(" # xtask"), line.strip_suffix(" # binary")) {
            (Some(line), _) => (line, is_xtask),
            (_, Some(line)) => (line, !is_xtask),
            _ => (line, true),
        };
        if wanted {
            text.push_str(&line.replace("@FUNCTION@", &function).replace(PROGRAM, name));
            text.push('\n');
        }
    }
    text
}
