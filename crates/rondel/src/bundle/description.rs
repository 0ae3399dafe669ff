//! `bundle.json`: the description of a bundle, its first file. It says what was built, from which files, and with which
//! result. It knows no archive and runs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rondel_buildfile::Platform;
use rondel_cas::{Digest, RelativePath};
use rondel_engine::{Graph, Summary, entry_text};
use serde::{Deserialize, Serialize};

use crate::cli::groups::AnalysisOptions;
use crate::exit::Failure;

/// The format. A change of what a bundle holds changes the text.
pub(super) const FORMAT: &str = "rondel-bundle-1";
/// Name of the description in a bundle. It is the first in the order of names.
pub(super) const DESCRIPTION: &str = "bundle.json";
/// Directories of a bundle: toolchains, base images, modules, sources.
pub(super) const GO: &str = "go";
pub(super) const IMAGES: &str = "images/sha256";
pub(super) const MODULES: &str = "modules";
pub(super) const SOURCE: &str = "source";

/// Endings of the files of a module.
pub(super) const MODULE_FILES: [&str; 3] = [".info", ".mod", ".zip"];

/// A description.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    pub format: String,
    /// The Rondel that wrote it.
    pub rondel: String,
    pub project: String,
    pub request: BundleRequest,
    /// build.ron, below `source`.
    pub build_file: String,
    /// Variables of the environment that build.ron names, as far as they were set.
    pub environment: BTreeMap<String, String>,
    /// Values of the used variables, for people: the build finds them again.
    pub variables: BTreeMap<String, Vec<String>>,
    /// What git answered, by question.
    pub git: BTreeMap<String, String>,
    /// Identities of the toolchains, by name.
    pub toolchains: BTreeMap<String, BundledGo>,
    /// What each step made, in the order of the steps.
    pub expected: Vec<ExpectedStep>,
    /// All other files of the bundle.
    pub files: BTreeMap<String, String>,
}

/// What the command line asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BundleRequest {
    /// Targets and values of their parameters.
    pub targets: Vec<String>,
    /// The platforms of `--platform`.
    pub platforms: Vec<String>,
    pub all_platforms: bool,
    /// The variables of `--set`.
    pub set: BTreeMap<String, String>,
    pub snapshot: bool,
    pub nightly: bool,
    /// The platform of the machine.
    pub host: String,
}

/// A toolchain in a bundle.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BundledGo {
    pub version: String,
    pub host: String,
    /// Digest of the whole SDK, as build.lock pins it.
    pub identity: Digest,
}

/// The result of a step.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedStep {
    pub step: String,
    /// Digest, size and permissions of each file, by its name.
    pub files: BTreeMap<String, String>,
}

/// A file of a bundle, as the description has it: `HASH/SIZE 644`, or `link to TARGET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    File { digest: Digest, mode: u32 },
    Link { target: String },
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::File { digest, mode } => write!(formatter, "{digest} {mode:o}"),
            Part::Link { target } => write!(formatter, "link to {target}"),
        }
    }
}

impl Part {
    /// Reads the form of the description.
    fn parse(text: &str) -> Option<Part> {
        if let Some(target) = text.strip_prefix("link to ") {
            return Some(Part::Link { target: target.to_owned() });
        }
        let (digest, mode) = text.split_once(' ')?;
        let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o777)?;
        Some(Part::File { digest: digest.parse().ok()?, mode })
    }
}

impl BundleRequest {
    /// Returns what the options ask for.
    pub fn of(words: &[String], options: &AnalysisOptions) -> BundleRequest {
        BundleRequest {
            targets: words.to_vec(),
            platforms: options.platform.iter().map(ToString::to_string).collect(),
            all_platforms: options.all_platforms,
            set: options.set.clone(),
            snapshot: options.snapshot,
            nightly: options.nightly,
            host: Platform::host().to_string(),
        }
    }

    /// Returns the options that ask for it.
    pub fn options(&self, offline: bool) -> Result<AnalysisOptions, Failure> {
        let read = |text: &String| Platform::new(text).map_err(|error| wrong(&error));
        Ok(AnalysisOptions {
            platform: self.platforms.iter().map(read).collect::<Result<_, _>>()?,
            all_platforms: self.all_platforms,
            set: self.set.clone(),
            snapshot: self.snapshot,
            nightly: self.nightly,
            offline,
            locked: false,
        })
    }
}

impl Description {
    /// Reads a description, and checks all that can be checked without the files.
    pub fn parse(bytes: &[u8]) -> Result<Description, Failure> {
        #[derive(Deserialize)]
        struct Format {
            format: String,
        }
        // Another format has other fields.
        let Format { format } = serde_json::from_slice(bytes).map_err(|error| wrong(&error))?;
        if format != FORMAT {
            return Err(Failure::usage(format!("the bundle has the format `{}`", format.escape_debug()))
                .hint(format!("this Rondel reads `{FORMAT}`; its `rondel` says which one wrote it")));
        }
        let description: Description = serde_json::from_slice(bytes).map_err(|error| wrong(&error))?;
        let parts = description.parts()?;
        let build_file = format!("{SOURCE}/{}", description.build_file);
        let is_file = |part: &Part| matches!(part, Part::File { .. });
        if !RelativePath::new(&build_file).is_ok_and(|path| parts.get(&path).is_some_and(is_file)) {
            return Err(wrong(&"it has no build.ron"));
        }
        if description.expected.is_empty() {
            return Err(wrong(&"it expects nothing"));
        }
        let own = Platform::host().to_string();
        if description.request.host != own {
            let host = description.request.host.escape_debug();
            return Err(Failure::environment(format!("the bundle is for machines of {host}, and this one is {own}"))
                .hint("its toolchain runs there only; what it builds may be for any platform"));
        }
        Ok(description)
    }

    /// Returns the files, checked: each lies in a directory of its own kind, and no link leads out of the sources.
    pub fn parts(&self) -> Result<BTreeMap<RelativePath, Part>, Failure> {
        let mut parts = BTreeMap::new();
        for (name, text) in &self.files {
            let bad = |why: &str| wrong(&format!("`{}`: {why}", name.escape_debug()));
            let path = RelativePath::new(name).ok().filter(|path| path.as_str() == name);
            let path = path.ok_or_else(|| bad("it is no path in a bundle"))?;
            let has_place = [GO, IMAGES, MODULES, SOURCE].iter().any(|place| is_below(place, name));
            if !has_place {
                return Err(bad("a bundle has no such file"));
            }
            // Go believes what it has noted beside a module; and what a `.git` or `.rondel` says is nobody's source.
            let is_module = |name: &str| name.contains("/@v/") && MODULE_FILES.iter().any(|end| name.ends_with(end));
            let is_state = |part: &str| matches!(part, ".git" | ".rondel");
            if is_below(MODULES, name) && !is_module(name) || name.split('/').any(is_state) {
                return Err(bad("a bundle has no such file"));
            }
            let part = Part::parse(text).ok_or_else(|| bad("its digest, size and permissions can't be read"))?;
            if let Part::Link { target } = &part
                && !(is_below(SOURCE, name) && stays_below(SOURCE, name, target))
            {
                return Err(bad("the link leads out of the sources"));
            }
            parts.insert(path, part);
        }
        // A file in the way of a directory, or below a link.
        let mut above = BTreeSet::new();
        for path in parts.keys() {
            above.extend(std::iter::successors(path.parent(), RelativePath::parent));
        }
        match above.iter().find(|path| parts.contains_key(*path)) {
            Some(path) => Err(wrong(&format!("`{path}` is a file, and the directory of others"))),
            None => Ok(parts),
        }
    }
}

fn is_below(place: &str, name: &str) -> bool {
    name.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'))
}

/// Returns true if the link `name` leads to a place below `top`, whatever other links there are: the way up comes first in
/// its target.
fn stays_below(top: &str, name: &str, target: &str) -> bool {
    let parts: Vec<&str> = target.split('/').collect();
    let up = parts.iter().take_while(|part| **part == "..").count();
    let depth = name.split('/').count() - 1 - top.split('/').count();
    up <= depth && parts[up..].iter().all(|part| !matches!(*part, "" | "." | ".."))
}

/// Returns the error for a description that can't be used.
fn wrong(why: &dyn fmt::Display) -> Failure {
    Failure::usage(format!("the bundle's `{DESCRIPTION}` can't be used: {why}"))
}

/// Returns what each step made.
pub(super) fn made_by(graph: &Graph, summary: &Summary) -> Vec<ExpectedStep> {
    let of_node = |(id, node): (_, &rondel_engine::Node)| {
        let result = summary.results.get(&id).filter(|result| !result.artefacts.is_empty())?;
        let files = result.artefacts.iter().map(|artefact| (artefact.name.to_string(), entry_text(&artefact.entry)));
        Some(ExpectedStep { step: node.key.to_string(), files: files.collect() })
    };
    graph.nodes().filter_map(of_node).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use expect_test::expect;

    use super::*;

    /// Returns a description with these files.
    pub fn description(files: impl IntoIterator<Item = (String, String)>) -> Description {
        Description {
            format: FORMAT.to_owned(),
            rondel: "0.1.0".to_owned(),
            project: "small".to_owned(),
            request: BundleRequest::of(&["server".to_owned()], &AnalysisOptions::default()),
            build_file: "build.ron".to_owned(),
            environment: BTreeMap::new(),
            variables: BTreeMap::new(),
            git: BTreeMap::new(),
            toolchains: BTreeMap::new(),
            expected: vec![ExpectedStep { step: "server".to_owned(), files: BTreeMap::new() }],
            files: files.into_iter().collect(),
        }
    }

    fn described(files: &[(&str, &str)]) -> String {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        serde_json::to_string(&description(files)).unwrap()
    }

    fn outcome(text: &str) -> String {
        Description::parse(text.as_bytes()).map_or_else(|failure| failure.message(), |_| "fine".to_owned())
    }

    #[test]
    fn hostile_descriptions() {
        let part = Part::File { digest: Digest::of(b"x"), mode: 0o644 }.to_string();
        let build = ("source/build.ron", part.as_str());
        assert_eq!(outcome(&described(&[build])), "fine");
        for target in ["a.go", "d/a.go"] {
            assert_eq!(outcome(&described(&[build, ("source/l", &format!("link to {target}"))])), "fine", "{target}");
        }
        let refused = [
            outcome("{"),
            outcome(r#"{"format": "rondel-bundle-9", "more": 1}"#),
            outcome(&described(&[])),
            outcome(&described(&[build, ("source/../x", &part)])),
            outcome(&described(&[build, ("/etc/passwd", &part)])),
            outcome(&described(&[build, ("sourcery/x", &part)])),
            outcome(&described(&[build, ("bundle.json", &part)])),
            outcome(&described(&[build, ("modules/x/@v/v1.0.0.ziphash", &part)])),
            outcome(&described(&[build, ("source/.rondel/bases.1", &part)])),
            outcome(&described(&[build, ("source/x", "7/7 644")])),
            outcome(&described(&[build, ("source/x", &part.replace("644", "4755"))])),
            outcome(&described(&[build, ("source/build.ron/x", &part)])),
            outcome(&described(&[build, ("source/l", "link to /etc")])),
            outcome(&described(&[build, ("source/d/l", "link to ../../go")])),
            outcome(&described(&[build, ("source/d/l", "link to ../l/../../go")])),
            outcome(&described(&[build, ("modules/x/@v/l.zip", "link to x")])),
            outcome(&described(&[("source/build.ron", "link to x")])),
            outcome(&described(&[build]).replace(&Platform::host().to_string(), "plan9/amd64")),
        ];
        expect![[r#"
            the bundle's `bundle.json` can't be used: EOF while parsing an object at line 1 column 1
            the bundle has the format `rondel-bundle-9`
            the bundle's `bundle.json` can't be used: it has no build.ron
            the bundle's `bundle.json` can't be used: `source/../x`: it is no path in a bundle
            the bundle's `bundle.json` can't be used: `/etc/passwd`: it is no path in a bundle
            the bundle's `bundle.json` can't be used: `sourcery/x`: a bundle has no such file
            the bundle's `bundle.json` can't be used: `bundle.json`: a bundle has no such file
            the bundle's `bundle.json` can't be used: `modules/x/@v/v1.0.0.ziphash`: a bundle has no such file
            the bundle's `bundle.json` can't be used: `source/.rondel/bases.1`: a bundle has no such file
            the bundle's `bundle.json` can't be used: `source/x`: its digest, size and permissions can't be read
            the bundle's `bundle.json` can't be used: `source/x`: its digest, size and permissions can't be read
            the bundle's `bundle.json` can't be used: `source/build.ron` is a file, and the directory of others
            the bundle's `bundle.json` can't be used: `source/l`: the link leads out of the sources
            the bundle's `bundle.json` can't be used: `source/d/l`: the link leads out of the sources
            the bundle's `bundle.json` can't be used: `source/d/l`: the link leads out of the sources
            the bundle's `bundle.json` can't be used: `modules/x/@v/l.zip`: the link leads out of the sources
            the bundle's `bundle.json` can't be used: it has no build.ron
            the bundle is for machines of plan9/amd64, and this one is linux/amd64"#]]
        .assert_eq(&refused.join("\n"));
    }
}
