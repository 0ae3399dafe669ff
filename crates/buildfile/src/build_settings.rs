//! `GoBuildSettings`: what a `GoBuild` says for one platform, its `by_platform` included.

use crate::types::BuildMode;
use crate::{GoBuild, Platform, Spanned, Text};

/// The settings of a `GoBuild` that can differ between platforms, for one of them.
#[derive(Clone, Debug)]
pub struct GoBuildSettings<'a> {
    /// Build tags.
    pub tags: &'a [Text],
    /// Flags of the linker.
    pub ldflags: &'a [Text],
    /// Flags of the compiler.
    pub gcflags: &'a [Text],
    /// Values of variables of the program.
    pub stamp: Vec<(Spanned<String>, Text)>,
    /// `-buildmode`
    pub buildmode: BuildMode,
    /// True for a build with a C compiler.
    pub cgo: bool,
    /// Environment of the compile.
    pub env: Vec<(Spanned<String>, Text)>,
}

impl GoBuild {
    /// Returns the settings for `platform`.
    pub fn on(&self, platform: &Platform) -> GoBuildSettings<'_> {
        let mut settings = GoBuildSettings {
            tags: &self.tags,
            ldflags: &self.ldflags,
            gcflags: &self.gcflags,
            stamp: self.stamp.to_vec(),
            buildmode: self.buildmode,
            cgo: self.cgo,
            env: self.env.to_vec(),
        };
        for more in self.by_platform.of(platform) {
            settings.tags = more.tags.as_deref().unwrap_or(settings.tags);
            settings.ldflags = more.ldflags.as_deref().unwrap_or(settings.ldflags);
            settings.gcflags = more.gcflags.as_deref().unwrap_or(settings.gcflags);
            settings.buildmode = more.buildmode.unwrap_or(settings.buildmode);
            settings.cgo = more.cgo.unwrap_or(settings.cgo);
            merge(&mut settings.stamp, &more.stamp);
            merge(&mut settings.env, &more.env);
        }
        settings
    }
}

/// Adds entries; one with a name that is there takes its place.
fn merge(entries: &mut Vec<(Spanned<String>, Text)>, more: &[(Spanned<String>, Text)]) {
    for (name, text) in more {
        match entries.iter_mut().find(|(other, _)| other.value == name.value) {
            Some(entry) => *entry = (name.clone(), text.clone()),
            None => entries.push((name.clone(), text.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::BuildFile;

    /// One line a platform: what counts for it.
    fn settings(platforms: &[&str], fields: &str) -> String {
        let list = platforms.iter().map(|platform| format!("\"{platform}\"")).collect::<Vec<_>>().join(", ");
        let text = format!(
            "(format: 1, project: \"p\", platforms: [{list}], targets: {{\"t\": GoBuild(packages: [\".\"], {fields})}})"
        );
        let file = BuildFile::parse(&text, "0.1.0").unwrap();
        let crate::TargetKind::GoBuild(build) = &file.targets[0].kind else { unreachable!() };
        let texts = |texts: &[Text]| texts.iter().filter_map(Text::as_literal).collect::<Vec<_>>().join(" ");
        let pairs = |pairs: &[(Spanned<String>, Text)]| {
            let pairs = pairs.iter().map(|(name, text)| format!("{}={}", name.value, text.as_literal().unwrap()));
            pairs.collect::<Vec<_>>().join(" ")
        };
        let line = |platform: &&str| {
            let on = build.on(&Platform::new(platform).unwrap());
            format!(
                "{platform}: {} | {} | {} | {} | {} | {:?} {}\n",
                texts(on.tags),
                texts(on.ldflags),
                texts(on.gcflags),
                pairs(&on.stamp),
                pairs(&on.env),
                on.buildmode,
                on.cgo
            )
        };
        platforms.iter().map(line).collect()
    }

    #[test]
    fn the_more_exact_decides_and_maps_are_merged() {
        let platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7", "windows/amd64", "darwin/arm64"];
        let fields = r#"tags: ["t"], ldflags: ["-s"], gcflags: ["-l"], stamp: {"m.a": "0", "m.b": "0"}, env: {"E": "0"}, by_platform: {
            "linux/arm/v7": (tags: ["v7"], stamp: {"m.b": "v7"}),
            "*/*": (env: {"ALL": "1"}, gcflags: []),
            "linux/arm": (tags: ["arm"], ldflags: ["-w"], stamp: {"m.c": "arm"}),
            "linux/*": (tags: ["linux"], stamp: {"m.a": "linux"}, cgo: true),
            "*/arm64": (tags: ["arm64"], cgo: false),
            "windows/*": (tags: [], buildmode: "pie", env: {"E": "w"}),
        }"#;
        expect![[r#"
            linux/amd64: linux | -s |  | m.a=linux m.b=0 | E=0 ALL=1 | Default true
            linux/arm64: arm64 | -s |  | m.a=linux m.b=0 | E=0 ALL=1 | Default false
            linux/arm/v7: v7 | -w |  | m.a=linux m.b=v7 m.c=arm | E=0 ALL=1 | Default true
            windows/amd64:  | -s |  | m.a=0 m.b=0 | E=w ALL=1 | PositionIndependent false
            darwin/arm64: arm64 | -s |  | m.a=0 m.b=0 | E=0 ALL=1 | Default false
        "#]]
        .assert_eq(&settings(&platforms, fields));
    }
}
