//! `GoBuild`: fields, outputs and needs of one kind.

use crate::places::Places;
use crate::record::kind;
use crate::types::{
    Bills, BuildMode, ByPlatform, Environment, ExecutableNames, ModuleDirectory, OutPath, Packages, Platforms, Stamps,
    Tags,
};
use crate::{Diagnostic, Kind, Makes, Need, Output, Platform, Text};

kind! {
    /// Static executables, one a package, in `dist/<target>/<os>_<arch>/`. Inputs are exactly the files that `go` would
    /// read for the platform and tags. Rondel adds `-trimpath`, `-buildvcs=false`, `-buildid=`, `CGO_ENABLED=0`, and
    /// closes the environment.
    GoBuild in Group::Build {
        /// Directory of the module, below `root`: `"examples"`. Without the field it is `root`. Patterns of packages begin there, paths and globs at `root`.
        module: Option<ModuleDirectory> = None,
        /// Main packages, as patterns (`"./cmd/..."`) or import paths of required modules.
        packages: Packages,
        /// Name of the executable, or of those of some packages: `"miniflux"`, `{"./cmd/a": "alpha"}`. A package is written
        /// as in `packages`, or as its import path. Windows adds `.exe`. Without it, or for other packages, Go's own: the
        /// last part of the import path. Where Go has one name for two, each is built by itself.
        name: Option<ExecutableNames> = None,
        /// Build tags.
        tags: Tags = Tags::default(),
        /// Flags of the linker.
        ldflags: Vec<Text> = Vec::new(),
        /// Values of variables of the program, as with `-X`: `{"main.version": "{version}"}`. A name that the linker would
        /// ignore is refused when the build runs: a package that is not in the program, what is not declared, a constant, a
        /// variable of another type, or one that `os.Getenv` or the like sets at the start.
        stamp: Stamps = Stamps::default(),
        /// Flags of the compiler.
        gcflags: Vec<Text> = Vec::new(),
        /// `-buildmode`; Go's own choice for the platform if left out. Modes that make a library are refused.
        buildmode: BuildMode = BuildMode::Default,
        /// Builds with a C compiler: `gcc`, `cc` or `clang` for this machine's platform, and for others the cross compiler
        /// with the usual name (`aarch64-linux-gnu-gcc`). `CC` in `env` names another, which `by_platform` can do for
        /// each. Where none is there, nothing is built. The key of a platform holds its compiler's programs (by contents)
        /// and the headers and libraries that it reads (by name, size and time). So such a build is reused on one machine
        /// only. docs/cgo.md has more.
        cgo: bool = false,
        /// Writes a bill of materials beside each executable: `true` is SPDX 2.3, `<name>.spdx.json`; `[Spdx, CycloneDx]` is
        /// both, and CycloneDX 1.6 has `<name>.cdx.json`. It has the modules with their licences; docs/evidence.md has more.
        sbom: Bills = Bills::default(),
        /// `GOEXPERIMENT`, `GODEBUG` and the like; with `cgo` also `CC`, `CGO_CFLAGS` and the like.
        env: Environment = Environment::default(),
        /// Platforms, instead of those of the file.
        platforms: Option<Platforms> = None,
        /// Other settings of some platforms: `{"windows/*": (tags: ["svc"], buildmode: "exe")}`. A pattern is a platform, `*`
        /// for any system, architecture or variant; without the variant, all of them. Where several match, the more exact
        /// one decides (that with more parts that are no `*`), then the later one. A list or a word stands instead of that
        /// of the target; `stamp` and `env` are merged with it by name. Only the keys of these platforms hold them.
        by_platform: ByPlatform = ByPlatform::default(),
        /// Directory of the results, relative to `root`; `dist/<target>` beside build.ron if left out.
        out: Option<OutPath> = None,
    }
}

impl Kind for GoBuild {
    fn makes(&self) -> Makes {
        Makes::Executables
    }

    fn is_self_contained(&self) -> bool {
        true
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Go]
    }

    fn needs_on(&self, platform: &Platform) -> Vec<Need> {
        let settings = self.on(platform);
        let declared = settings.env.iter().find(|(name, _)| name.value == "CC").map(|(_, text)| text.as_literal());
        let command = match declared {
            // Only the analysis knows the value.
            Some(None) => return Vec::new(),
            Some(Some(command)) => Some(command.to_owned()),
            None => None,
        };
        // The variants of an ARM have compilers of their own.
        let platform = if platform.architecture() == "arm" { platform.clone() } else { platform.base() };
        let need = Need::CCompiler { command, platform: Some(platform), because: "cgo: true" };
        if settings.cgo { vec![need] } else { Vec::new() }
    }

    fn module(&self) -> Option<&ModuleDirectory> {
        self.module.as_ref()
    }

    fn platforms(&self) -> Option<&Platforms> {
        self.platforms.as_ref()
    }

    fn outputs<'a>(&'a self, places: &Places<'a>) -> Vec<Output<'a>> {
        vec![places.directory(self.out.as_deref())]
    }

    fn check(&self, platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        self.by_platform.check(self.platforms.as_ref().unwrap_or(platforms), diagnostics);
    }
}
