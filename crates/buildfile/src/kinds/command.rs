//! The fields shared by `Exec` and `Shell`: the inputs, outputs and environment of a command.

use crate::record::record;
use crate::types::{
    CommandEnvironment, EnvFile, EnvironmentName, Flag, InputSource, ModuleDirectory, OutPath, Sandbox, SourcePath,
};
use crate::{CommandWord, Diagnostic, Makes, Need, Output, Places, TextSource};

record! {
    /// Inputs, outputs and environment of a command.
    CommandFields = "a command" {
        /// Globs of the files that the command reads, and outputs of targets; without the field it always runs.
        /// `.git`, Rondel's own files, outputs of the command itself, and `dist/<target>` of targets that it does not
        /// wait for are no inputs. A link among the inputs counts by its text and by its target file. If an input is a
        /// link to a directory outside the inputs, the step always runs and reports why; `!path` leaves the link out.
        inputs: Option<Vec<InputSource>> = None,
        /// Files that the command makes, relative to `root`. A path that ends with `/` is a directory; empty
        /// directories below it are kept.
        outputs: Vec<OutPath> = Vec::new(),
        /// Environment of the command, which is in the key. The environment is closed: the command sees `PATH`, `HOME`,
        /// `LANG=C.UTF-8`, these, and those of `pass_env`. `Secret` is allowed; since its value is in no key, the
        /// command then always runs, unless `secret_is_not_keyed` is set.
        env: CommandEnvironment = CommandEnvironment::default(),
        /// Files of variables in the syntax of `docker run --env-file`: `[".env", Optional(".env.local")]`. A later one goes
        /// before an earlier one, and `env` before all. Their values are not shown; what is used of them is in the key, sealed.
        env_file: Vec<EnvFile> = Vec::new(),
        /// Says that the result is the same with any value of the secrets, as with a token for a download. The step is
        /// then up to date by its key, which holds their names.
        secret_is_not_keyed: bool = false,
        /// Variables passed from the caller. Only their names are in the key: they are for access to the world, not for
        /// results.
        pass_env: Vec<EnvironmentName> = Vec::new(),
        /// Directory where the command starts, below `root`; `root` itself if left out.
        dir: Option<SourcePath> = None,
        /// Directory of the module whose commands `Tool("name")` means, and whose Go `go` is, below `root`: `"tools"`. Without
        /// the field it is `root`. `dir` stays as it is.
        module: Option<ModuleDirectory> = None,
        /// Programs that the command starts, keyed by contents: names on the caller's `PATH`, `Tool("name")` of the
        /// module, `go` and `gofmt` of the project's own toolchain, or absolute paths. A path that ends with `/` is a
        /// directory with all below it. With `inputs`, `PATH` holds these and the base set of a POSIX shell, nothing
        /// else. Without `inputs`, the command sees the caller's `PATH`, the project's own Go first.
        tools: Vec<CommandWord> = Vec::new(),
        /// Lets a command with `inputs` use the network. What it fetches is in no key.
        network: bool = false,
        /// Prints what the command writes to its standard output on that of Rondel, as it is, if the target was asked for:
        /// `$(cargo xtask -q version)` is then a text. The rest stays on standard error.
        capture: bool = false,
        /// Gives the command the terminal: standard input, output and error are the user's, Ctrl-C is the command's, and
        /// nothing else runs beside it. For `psql`, debuggers and prompts. It always runs; its exit code is that of Rondel.
        interactive: Flag = Flag::default(),
        /// `On`: a command with `inputs` can read only these, its outputs and tools, `$TMPDIR`, `$HOME` (both empty and
        /// its own), and the system's libraries, on a Linux with Landlock. `Off`: it can read what the user can.
        sandbox: Sandbox = Sandbox::On,
    }
}

impl CommandFields {
    /// Returns files, if they depend on declared inputs alone.
    pub(crate) fn makes(&self) -> Makes {
        match (&self.inputs, self.outputs.len()) {
            (None, _) | (_, 0) => Makes::Nothing,
            (Some(_), count) => Makes::Files { count },
        }
    }

    /// Returns the needs of `tools`.
    pub(crate) fn tool_needs(&self) -> Vec<Need> {
        let need = |word: &CommandWord| match (&word.source, word.as_literal()) {
            (TextSource::Tool { .. }, _) | (_, Some("go" | "gofmt")) => Some(Need::Go),
            (_, Some(name)) if !name.contains('/') => Some(Need::Program(name.to_owned())),
            (_, _) => None,
        };
        self.tools.iter().filter_map(need).collect()
    }

    /// Reports what an interactive command can't have.
    pub(crate) fn check(&self, diagnostics: &mut Vec<Diagnostic>) {
        let refused = [
            (self.inputs.is_some(), "inputs", "what somebody types is in no key, so that it always runs"),
            (!self.outputs.is_empty(), "outputs", "what it makes depends on what somebody types"),
            (self.capture, "capture", "its standard output is the user's already"),
        ];
        refuse_beside(&self.interactive, "command", &refused, diagnostics);
    }

    /// Returns what Rondel does not check, in words.
    pub(crate) fn unchecked(&self) -> Option<&'static str> {
        match self.sandbox {
            Sandbox::On => None,
            Sandbox::Off => Some("sandbox: Off"),
        }
    }

    pub(crate) fn places<'a>(&'a self, places: &Places<'a>) -> Vec<Output<'a>> {
        self.outputs.iter().map(|output| places.path(output)).collect()
    }
}

/// Reports the fields that an `interactive` command or container can't have beside it: whether each is there, its name, and
/// why.
pub(crate) fn refuse_beside(
    interactive: &Flag,
    what: &str,
    fields: &[(bool, &str, &str)],
    diagnostics: &mut Vec<Diagnostic>,
) {
    for (_, field, why) in fields.iter().filter(|(is_there, ..)| *is_there && interactive.value) {
        let message = format!("an interactive {what} has no `{field}`: {why}");
        let hint = format!("remove `{field}`, or `interactive`");
        diagnostics.push(Diagnostic::new(interactive.span, message).hint(hint));
    }
}
