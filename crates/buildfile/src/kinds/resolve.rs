//! `Resolve`: fields, checks and outputs of one kind.

use crate::places::Places;
use crate::record::kind;
use crate::types::{Globs, Images, OutPath, Platforms};
use crate::{Diagnostic, Kind, Makes, Need, Output};

kind! {
    /// Kubernetes and compose files in which the names of images are pinned to digests: `image: registry.example/team/app:1`
    /// becomes `image: registry.example/team/app@sha256:…`, if a target of `images` makes or pushes that image. Any tag or
    /// digest is replaced. `ko://example.com/module/cmd/app` becomes the image that holds this program. Nothing else of a
    /// file changes, not a comment and not a space.
    Resolve in Group::Build {
        /// Globs of the files. Those that end with `.yaml`, `.yml` or `.json` are read; others are copied.
        files: Globs,
        /// Targets whose images are pinned; if left out, all `Push` targets. One that no file names is an error.
        images: Option<Images> = None,
        /// Directory of the results, relative to `root`; `dist/<target>` beside build.ron if left out. Each file has the
        /// place in it that it has below the directory with which all globs begin.
        to: Option<OutPath> = None,
    }
}

impl Kind for Resolve {
    fn check(&self, _platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        let Some(to) = &self.to else { return };
        if [".yaml", ".yml", ".json"].iter().any(|end| to.value.ends_with(end)) {
            let message = format!("`{}` is a file, and `to` is a directory", to.value);
            diagnostics.push(Diagnostic::new(to.span, message).hint("name the directory for the results"));
        }
    }

    fn makes(&self) -> Makes {
        Makes::Files { count: 1 }
    }

    fn is_self_contained(&self) -> bool {
        true
    }

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn outputs<'a>(&'a self, places: &Places<'a>) -> Vec<Output<'a>> {
        vec![places.directory(self.to.as_deref())]
    }
}
