//! `Image`: fields, checks, outputs and needs of one kind.

use crate::health::Health;
use crate::image_layout::{check_files, check_tags, check_workdir};
use crate::places::Places;
use crate::record::kind;
use crate::types::{Base, Created, Environment, Files, OutPath, Platforms, Port, TextMap};
use crate::{Diagnostic, Kind, Makes, Need, Output, Text};

kind! {
    /// An OCI layout in `dist/<target>/`, made without Docker. It is also loaded into a reachable Docker daemon, unless
    /// the daemon has it.
    Image in Group::Build {
        /// Base of the image. `Static` is CA certificates, users, `/tmp`.
        base: Base,
        /// Files by their absolute path in the image. `{"/path": Output("target")}` is the output of a target: a
        /// `GoBuild`, or an `Exec` with inputs and exactly one output. `{"/path": File("path")}` is a file or directory
        /// of the tree, whole but for `.git` and what Rondel keeps there. A file of a directory may have an entry of its
        /// own, which wins. `mode: 0o755` gives other permissions than 0755 or 0644; directories get search permission
        /// wherever it lets read. `owner: "uid:gid"` or a name of the image's passwd; root if left out. A path that is a
        /// link stands for what it leads to in the workspace; links in a directory stay links.
        files: Files = Files::default(),
        /// `ENTRYPOINT`: program and arguments. If it and `cmd` are left out, it is the only file that a target made.
        entrypoint: Vec<Text> = Vec::new(),
        /// `CMD`: default arguments.
        cmd: Vec<Text> = Vec::new(),
        /// User, as numbers (`"10001:10001"`) or a name of the base (`nonroot`, `nobody`, `root`); `65532:65532`
        /// if left out.
        user: Option<Text> = None,
        /// `WORKDIR`: directory where the program starts.
        workdir: Option<Text> = None,
        /// Ports that the image exposes: `"8080/tcp"`; the protocol is `tcp`, `udp` or `sctp`.
        ports: Vec<Port> = Vec::new(),
        /// Environment of the program.
        env: Environment = Environment::default(),
        /// Labels.
        labels: TextMap = TextMap::default(),
        /// Health check; it puts a static probe of 1.8 MB into the image.
        health: Option<Health> = None,
        /// Names of the image: `"council:latest"`.
        tags: Vec<Text> = Vec::new(),
        /// The one time in the image: `Epoch` (1970), `CommitTime`, or seconds since 1970 from the environment (the
        /// epoch if the variable is not set).
        created: Created = Created::Epoch,
        /// Puts the time zone data of the Go toolchain into the image.
        tzdata: bool = false,
        /// Platforms, instead of those of the file; images are for Linux.
        platforms: Option<Platforms> = None,
        /// Directory of the layout, relative to `root`; `dist/<target>` beside build.ron if left out.
        out: Option<OutPath> = None,
    }
}

impl Kind for Image {
    fn makes(&self) -> Makes {
        Makes::ImageLayout
    }

    /// Go builds the probe and has the time zones. A daemon is used if there is one, and not needed.
    fn needs(&self) -> Vec<Need> {
        if self.health.is_some() || self.tzdata { vec![Need::Go] } else { Vec::new() }
    }

    fn platforms(&self) -> Option<&Platforms> {
        self.platforms.as_ref()
    }

    fn outputs<'a>(&'a self, places: &Places<'a>) -> Vec<Output<'a>> {
        vec![places.directory(self.out.as_deref())]
    }

    fn check(&self, platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        check_files(&self.files, self.health.is_some(), self.tzdata, diagnostics);
        check_tags(&self.tags, diagnostics);
        check_workdir(self.workdir.as_ref(), diagnostics);
        for platform in self.platforms.as_ref().unwrap_or(platforms) {
            if platform.value.os() != "linux" {
                let message = format!("an image can't be made for `{}`: images are for Linux", platform.value);
                diagnostics.push(Diagnostic::new(platform.span, message).hint("give the `Image` its own `platforms`"));
            }
        }
    }
}
