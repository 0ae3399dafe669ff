//! `GoVulncheck`: fields and needs of one kind.

use crate::record::kind;
use crate::types::{ModuleDirectory, Packages, Platforms, Scan, Tags, VulnerabilityDatabase};
use crate::{CommandWord, Diagnostic, Kind, Makes, Need, TextSource};

kind! {
    /// Runs `govulncheck` about packages or an executable, and fails if they use code with a known vulnerability. With a
    /// database in a directory the result is kept, and it runs again if a file of the packages or of the database changes.
    GoVulncheck in Group::Check {
        /// Directory of the module, below `root`: `"examples"`. Without the field it is `root`. `db` begins at `root`.
        module: Option<ModuleDirectory> = None,
        /// Packages, as patterns or import paths.
        packages: Option<Packages> = None,
        /// An executable instead of packages: `Output("server")`.
        binary: Option<CommandWord> = None,
        /// The database: a directory of the tree in the layout of vuln.go.dev, which is keyed by its contents; or an URL. What
        /// an URL has can change at any time, so the step then always runs.
        db: VulnerabilityDatabase = VulnerabilityDatabase::default(),
        /// How near a finding must be for a failure: `Symbol`, a function that is called; `Package`, one that is imported;
        /// `Module`, one that is required.
        scan: Scan = Scan::Symbol,
        /// Looks at tests too.
        test: bool = false,
        /// Build tags.
        tags: Tags = Tags::default(),
        /// The program; `Tool("golang.org/x/vuln/cmd/govulncheck@v1.1.4")` if left out. Or `Output("target")`, or a
        /// name on the caller's `PATH`.
        tool: CommandWord = CommandWord::tool("golang.org/x/vuln/cmd/govulncheck@v1.1.4"),
    }
}

impl Kind for GoVulncheck {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn needs(&self) -> Vec<Need> {
        [Need::Go].into_iter().chain(Need::of_program(&self.tool)).collect()
    }

    fn module(&self) -> Option<&ModuleDirectory> {
        self.module.as_ref()
    }

    fn check(&self, _platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        if let Some(binary) = &self.binary {
            if !matches!(binary.source, TextSource::Output(_)) {
                let message = "`binary` is what a target makes";
                diagnostics.push(Diagnostic::new(binary.span, message).hint("write `binary: Output(\"server\")`"));
            }
            if let Some(first) = self.packages.iter().flat_map(|packages| packages.iter()).next() {
                let message = "it looks at packages or at an executable, not at both";
                diagnostics.push(Diagnostic::new(first.span, message).hint("write a target for each"));
            }
            if self.test {
                let message = "`test` is about packages: an executable has no tests";
                diagnostics.push(Diagnostic::new(binary.span, message));
            }
        } else if self.packages.is_none() {
            let message = "`GoVulncheck` needs `packages` or `binary`";
            diagnostics.push(Diagnostic::new(self.tool.span, message).hint("write `packages: [\"./...\"]`"));
        }
    }
}
