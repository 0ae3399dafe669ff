//! `Release`: fields, checks and outputs of one kind.

use crate::places::Places;
use crate::record::kind;
use crate::types::{
    Archives, ArtifactName, Bills, Changelog, Created, ExecutablesReference, Gate, Homebrew, OutPath, Platforms,
    Policy, PublishTo, ReleasePackage, Sign, SigningKey,
};
use crate::{Diagnostic, Kind, Makes, Need, Output, Spanned, Text};

kind! {
    /// What people download: an archive for each platform, with checksums and a list of all, in `dist/<target>/`. It is made for
    /// all platforms, and is the same bytes on every machine.
    Release in Group::Publish {
        /// The targets whose executables it has: `GoBuild`.
        builds: Vec<ExecutablesReference>,
        /// Its version, as it stands in names of files. `{version|trim_prefix:v}` if left out, so of a variable `version`.
        version: Option<Text> = None,
        /// The archives: `(name: "{project}_{version}_{os}_{arch}", format: TarGz, files: ["LICENSE"], wrap: true)`. Below, all
        /// that can be said of them.
        archives: Archives = Archives::default(),
        /// Packages for distributions of Linux, each for all platforms of Linux: `[Deb(…), Rpm(…)]`. Below, all that can be said
        /// of them.
        packages: Vec<Spanned<ReleasePackage>> = Vec::new(),
        /// Name of the file of checksums (SHA-256), which `sha256sum --check` reads.
        checksums: ArtifactName = ArtifactName::own("{project}_{version}_checksums.txt"),
        /// A changelog of the commits since the last release: `(commit_url: "https://example.com/x/commit/{hash}")`, or `()`.
        /// docs/releases.md has all that can be said of it, and of `formula`.
        changelog: Option<Changelog> = None,
        /// What a package manager needs: `Homebrew(name: "small", …)`.
        formula: Option<Homebrew> = None,
        /// Writes a bill of materials of each archive and package, `<file>.spdx.json`: the modules of its executables with their
        /// licences. `true` is SPDX 2.3; `[Spdx, CycloneDx]` is both.
        sbom: Bills = Bills::default(),
        /// Writes `{project}_{version}_provenance.json`: what the files were made from, as an in-toto statement with SLSA provenance.
        /// It has no time and no machine; docs/evidence.md has its fields.
        provenance: bool = false,
        /// Signs the archives, packages, checksums and provenance for cosign:
        /// `Sign(key: Secret("COSIGN_PRIVATE_KEY"), password: Secret("COSIGN_PASSWORD"), public_key: "cosign.pub")`. Each file
        /// gets a bundle beside it, `<file>.sigstore.json`; docs/signatures.md says how people check them. Not with `--snapshot`.
        sign: Option<Sign> = None,
        /// The one time in the archives: `Epoch` (1970), `CommitTime`, or seconds since 1970 from the environment (the
        /// epoch if the variable is not set).
        created: Created = Created::CommitTime,
        /// Builds everything a second time in other surroundings, as `verify` does, and compares, before the release counts
        /// as done. What was proven before, by the same keys, is not built again. `Off` leaves it out.
        gate: Gate = Gate::On,
        /// What must hold before it counts as done: `(clean_tree: true)`. docs/policies.md has all rules.
        policy: Option<Spanned<Policy>> = None,
        /// Where it goes with `--publish`, once all of it is made: `[GitHub(repository: "owner/name")]`, `Gitea(url:
        /// "https://codeberg.org", …)`, or `Directory("/srv/releases/{version}")`. What is there already is kept.
        publish: Vec<PublishTo> = Vec::new(),
        /// Platforms, instead of those of the file.
        platforms: Option<Platforms> = None,
        /// Directory of the files, relative to `root`; `dist/<target>` beside build.ron if left out.
        out: Option<OutPath> = None,
    }
}

impl Kind for Release {
    fn makes(&self) -> Makes {
        Makes::Files { count: 1 }
    }

    fn is_self_contained(&self) -> bool {
        true
    }

    fn needs(&self) -> Vec<Need> {
        Policy::needs(self.policy.as_ref())
    }

    fn is_gated(&self) -> bool {
        self.gate == Gate::On
    }

    fn signing_key(&self) -> Option<&SigningKey> {
        self.sign.as_ref().map(|sign| &sign.key)
    }

    fn public_key(&self) -> Option<&str> {
        self.sign.as_ref().map(|sign| sign.public_key.value.as_str())
    }

    fn unchecked(&self) -> Option<&'static str> {
        (self.gate == Gate::Off).then_some("gate: Off")
    }

    fn platforms(&self) -> Option<&Platforms> {
        self.platforms.as_ref()
    }

    fn outputs<'a>(&'a self, places: &Places<'a>) -> Vec<Output<'a>> {
        vec![places.directory(self.out.as_deref())]
    }

    fn check(&self, platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        let name = &self.archives.name;
        if self.builds.is_empty() {
            let hint = "name the targets whose executables it has: `builds: [\"server\"]`";
            diagnostics.push(Diagnostic::new(name.text().span, "a `Release` needs a build").hint(hint));
        }
        if let Some(policy) = self.policy.as_ref().filter(|policy| policy.value.verified && self.gate == Gate::Off) {
            let message = "`verified: true` wants a second build, and `gate: Off` leaves it out";
            diagnostics.push(Diagnostic::new(policy.span, message).hint("leave one of them out"));
        }
        if let Some(key) = self.policy.as_ref().and_then(|policy| policy.value.signed_base.as_ref()) {
            let message = "a `Release` lies on no image, so `signed_base` asks for nothing";
            diagnostics.push(Diagnostic::new(key.span, message).hint("write it into the `policy` of a `Push`"));
        }
        let count = self.platforms.as_ref().unwrap_or(platforms).len();
        if count > 1 && !name.tells_platforms_apart() {
            let message = format!("`{}` is the same for several platforms", name.text().value);
            let hint = "names of archives need `{os}` and `{arch}`";
            diagnostics.push(Diagnostic::new(name.text().span, message).hint(hint));
        }
        for package in &self.packages {
            package.value.check(package.span, self.platforms.as_ref().unwrap_or(platforms), diagnostics);
        }
        if let Some(file) =
            self.changelog.as_ref().map(|changelog| &changelog.file).filter(|file| file.names_a_platform())
        {
            let message = format!("`{}`: the changelog is of all platforms", file.text().value);
            diagnostics.push(Diagnostic::new(file.text().span, message).hint("leave `{os}` and `{arch}` out"));
        }
        if self.checksums.names_a_platform() {
            let message = format!("`{}`: the checksums are of all platforms", self.checksums.text().value);
            diagnostics
                .push(Diagnostic::new(self.checksums.text().span, message).hint("leave `{os}` and `{arch}` out"));
        }
    }
}
