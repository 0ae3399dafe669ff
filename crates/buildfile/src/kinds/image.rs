//! `Image`: fields, checks, outputs and needs of one kind.

use crate::health::HealthCheck;
use crate::image_layout::{ImageBase, check_files, check_tags, check_users, check_workdir};
use crate::places::Places;
use crate::record::kind;
use crate::types::{
    Base, Bills, Compression, Created, Environment, Files, OutPath, Platforms, Port, Signal, SourcePath, TextMap,
    Users, VolumePath,
};
use crate::{Diagnostic, Kind, Makes, Need, Output, Text};

kind! {
    /// An OCI layout in `dist/<target>/`, made without Docker. It is also loaded into a reachable Docker daemon, unless
    /// the daemon has it.
    Image in Group::Build {
        /// Base of the image. `Static` is CA certificates, users, `/tmp`. `From("alpine:3.19")` is an image of a
        /// registry, pinned in build.lock; `From(Output("target"))` is that of another target; `Layout("path")` is an OCI
        /// layout of the tree. What those set is inherited, unless it is given here.
        base: Base,
        /// Files by their absolute path in the image: `{"/path": Output("target")}` is the output of a target,
        /// `File("path")` a file or directory of the tree, `Link("/other")` a link, `Directory(mode: 0o750)` a directory.
        /// Below, all that can be said of each.
        files: Files = Files::default(),
        /// `ENTRYPOINT`: program and arguments. If it and `cmd` are left out, it is the only file that a target made.
        entrypoint: Vec<Text> = Vec::new(),
        /// `CMD`: default arguments.
        cmd: Vec<Text> = Vec::new(),
        /// User, as numbers (`"10001:10001"`) or a name of the base or of `users`. If left out it is that of the base;
        /// `Static` has `65532:65532`, and the names `nonroot`, `nobody`, `root`.
        user: Option<Text> = None,
        /// Users that the base does not have, each with a group of its name and a home of its own:
        /// `{"app": "10001:10001"}`.
        users: Users = Users::default(),
        /// Puts Mozilla's CA certificates into the image if the base has none.
        certificates: bool = true,
        /// PEM files with further authorities, which are added to the certificates of the image.
        authorities: Vec<SourcePath> = Vec::new(),
        /// `WORKDIR`: directory where the program starts.
        workdir: Option<Text> = None,
        /// Ports that the image exposes: `"8080/tcp"`; the protocol is `tcp`, `udp` or `sctp`.
        ports: Vec<Port> = Vec::new(),
        /// Environment of the program.
        env: Environment = Environment::default(),
        /// Labels.
        labels: TextMap = TextMap::default(),
        /// Directories that hold data of their own in each container: `"/data"`.
        volumes: Vec<VolumePath> = Vec::new(),
        /// Signal that ends a container: `"SIGQUIT"`; `SIGTERM` if neither this nor the base says one.
        stop_signal: Option<Signal> = None,
        /// Health check. `Http(…)` puts a static probe of 1.8 MB into the image; `Command(["/app", "health"])` runs a
        /// program that is in it.
        health: Option<HealthCheck> = None,
        /// Names of the image: `"council:latest"`.
        tags: Vec<Text> = Vec::new(),
        /// Removes the former images of this target from the Docker daemon, as far as Rondel loaded them, they have lost
        /// their names, and no container uses them.
        prune: bool = false,
        /// The one time in the image: `Epoch` (1970), `CommitTime`, or seconds since 1970 from the environment (the
        /// epoch if the variable is not set).
        created: Created = Created::Epoch,
        /// How the layers are compressed that the image adds to its base: `Gzip`, or `Zstd(3)` with a level from 3, which takes half
        /// the time of gzip and is smaller, to 9. A Docker before 23.0 can't pull layers of zstd; here they are loaded uncompressed.
        compression: Compression = Compression::Gzip,
        /// Writes a bill of materials of each platform beside the layout, `dist/<target>.sbom/<os>_<arch>.spdx.json`: the modules of the
        /// executables, and the packages of the base (apk, dpkg). `true` is SPDX 2.3; `[Spdx, CycloneDx]` is both. It is no part of the image.
        sbom: Bills = Bills::default(),
        /// Writes `dist/<target>.provenance.json` beside the layout: what the image was made from, as an in-toto statement with SLSA
        /// provenance. It has no time and no machine, and is no part of the image. docs/evidence.md has its fields.
        provenance: bool = false,
        /// Puts the time zone data of the Go toolchain into the image.
        tzdata: bool = false,
        /// Platforms, instead of those of the file; images are for Linux.
        platforms: Option<Platforms> = None,
        /// Directory of the layout, relative to `root`; `dist/<target>` beside build.ron if left out.
        out: Option<OutPath> = None,
        /// One tar file with the whole image, beside the layout: an OCI archive that `docker load` reads too. It is
        /// relative to `root`, as in `"dist/image.tar"`.
        archive: Option<OutPath> = None,
    }
}

impl Image {
    /// Returns true if the health probe is in the image.
    pub fn has_probe(&self) -> bool {
        matches!(self.health, Some(HealthCheck::Http(_)))
    }
}

impl Kind for Image {
    fn makes(&self) -> Makes {
        Makes::ImageLayout
    }

    fn is_self_contained(&self) -> bool {
        true
    }

    /// Go builds the probe and has the time zones. A daemon is used if there is one, and not needed.
    fn needs(&self) -> Vec<Need> {
        if self.has_probe() || self.tzdata { vec![Need::Go] } else { Vec::new() }
    }

    fn platforms(&self) -> Option<&Platforms> {
        self.platforms.as_ref()
    }

    fn outputs<'a>(&'a self, places: &Places<'a>) -> Vec<Output<'a>> {
        let archive = self.archive.as_deref().map(|archive| places.path(archive));
        let layout = places.directory(self.out.as_deref());
        let documents = (!self.sbom.is_empty()).then(|| layout.beside(".sbom"));
        let provenance = self.provenance.then(|| Output { is_directory: false, ..layout.beside(".provenance.json") });
        [layout].into_iter().chain(archive).chain(documents).chain(provenance).collect()
    }

    fn check(&self, platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        let base = ImageBase { is_static: self.base == Base::Static, users: &self.users };
        check_files(&self.files, &base, self.has_probe(), self.tzdata, diagnostics);
        check_users(&self.users, &self.files, base.is_static, diagnostics);
        check_tags(&self.tags, diagnostics);
        check_workdir(self.workdir.as_ref(), diagnostics);
        if let Some(archive) = self.archive.as_deref().filter(|archive| archive.value.ends_with('/')) {
            let message = format!("`{}` is a directory: expected a file", archive.value);
            diagnostics.push(Diagnostic::new(archive.span, message).hint("`archive` is one file: \"dist/image.tar\""));
        }
        for platform in self.platforms.as_ref().unwrap_or(platforms) {
            if platform.value.os() != "linux" {
                let message = format!("an image can't be made for `{}`: images are for Linux", platform.value);
                diagnostics.push(Diagnostic::new(platform.span, message).hint("give the `Image` its own `platforms`"));
            }
        }
    }
}
