//! `Process`: fields and needs of one kind.

use crate::kinds::CommandFields;
use crate::record::kind;
use crate::types::{
    Command, CommandEnvironment, EnvFile, EnvironmentName, Flag, HeldAddress, InputSource, ModuleDirectory, Ready,
    Restart, Sandbox, Seconds, SourcePath,
};
use crate::{CommandWord, Diagnostic, Kind, Makes, Need, Platforms, TextSource};

kind! {
    /// Runs a program of this machine that goes on until it is stopped: a server, the dev server of a front end. With `detach` it is
    /// ready before what waits for it begins. SIGTERM stops it with all that it has started, and SIGKILL when its time is over.
    /// `status`, `logs`, `stop` and `restart` know it.
    Process in Group::Run {
        /// Program and arguments. `[Output("server"), "--listen", "127.0.0.1:8080"]` runs what a target makes.
        command: Command,
        /// Files that it reads when it starts, and outputs of targets. A process in the background is started again when one of them
        /// changes, or its program, its arguments or its variables. Otherwise it keeps running.
        inputs: Vec<InputSource> = Vec::new(),
        /// Environment of the process. It sees `PATH`, `HOME`, `LANG=C.UTF-8`, these, and those of `pass_env`. `Secret` is
        /// allowed; each run then starts a process in the background again.
        env: CommandEnvironment = CommandEnvironment::default(),
        /// Files of variables in the syntax of `docker run --env-file`: `[".env", Optional(".env.local")]`. A later one goes
        /// before an earlier one, and `env` before all. Their values are not shown.
        env_file: Vec<EnvFile> = Vec::new(),
        /// Variables passed from the caller.
        pass_env: Vec<EnvironmentName> = Vec::new(),
        /// Directory where it starts, below `root`; `root` itself if left out.
        dir: Option<SourcePath> = None,
        /// Directory of the module whose commands `Tool("name")` means, and whose Go `go` is, below `root`.
        module: Option<ModuleDirectory> = None,
        /// When it is ready. Without the field it is ready once it has run for half a second.
        ready: Option<Ready> = None,
        /// Seconds for it to become ready.
        ready_timeout_s: Seconds = Seconds(60),
        /// Leaves it running in the background once it is ready, with its output in `.rondel/processes.1/<target>.log`. Without the
        /// field it runs until Ctrl-C.
        detach: bool = false,
        /// The address that it is reached at, which Rondel holds while the process is exchanged: `"127.0.0.1:8080"`. Who connects
        /// meanwhile waits, and a request that is under way ends first. The process itself listens at the port of `ready`.
        proxy: Option<HeldAddress> = None,
        /// Seconds between SIGTERM and SIGKILL when it is stopped.
        grace_s: Seconds = Seconds(10),
        /// What happens when it ends by itself after it was ready.
        restart: Restart = Restart::Never,
    }
}

impl Process {
    /// Returns the fields that it shares with other commands.
    pub fn fields(&self) -> CommandFields {
        CommandFields {
            inputs: (!self.inputs.is_empty()).then(|| self.inputs.clone()),
            outputs: Vec::new(),
            env: self.env.clone(),
            env_file: self.env_file.clone(),
            secret_is_not_keyed: false,
            pass_env: self.pass_env.clone(),
            dir: self.dir.clone(),
            module: self.module.clone(),
            tools: Vec::new(),
            network: true,
            capture: false,
            interactive: Flag::default(),
            sandbox: Sandbox::Off,
        }
    }
}

impl Kind for Process {
    fn makes(&self) -> Makes {
        Makes::Processes
    }

    fn env_files(&self) -> &[EnvFile] {
        &self.env_file
    }

    fn stays(&self) -> bool {
        self.detach
    }

    fn needs(&self) -> Vec<Need> {
        let is_tool = |word: &CommandWord| matches!(word.source, TextSource::Tool { .. });
        if self.command.iter().any(is_tool) || self.command[0].as_literal() == Some("go") {
            return vec![Need::Go];
        }
        Need::of_program(&self.command[0]).into_iter().collect()
    }

    fn module(&self) -> Option<&ModuleDirectory> {
        self.module.as_ref()
    }

    fn check(&self, _platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        let Some(held) = &self.proxy else { return };
        let (message, hint) = match self.ready.as_ref().map(Ready::port) {
            Some(Some(port)) if port != held.address().port() => return,
            Some(Some(_)) => {
                ("the process and its `proxy` have the same port", "let the process listen at another one")
            }
            Some(None) | None => (
                "a `proxy` has to know the port of the process",
                "write `ready: Port(8081)` or `ready: Http(port: 8081, path: \"/health\")`",
            ),
        };
        diagnostics.push(Diagnostic::new(held.span(), message).hint(hint));
    }
}
