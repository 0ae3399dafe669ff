//! build.ron text -> graph, and step -> action, as whole texts. Nothing runs: no Go, no Docker.

mod actions;
mod attachments;
mod checkers;
mod compilers;
mod generate;
mod graphs;
mod image_facts;
mod image_programs;
mod modules;
mod outputs;
mod packages;
mod parameters;
mod policies;
mod refusals;
mod resolve;
#[cfg(feature = "signing")]
mod signatures;
mod templates;
mod variables;
mod version_modes;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::Expect;
use rondel_buildfile::{BuildFile, Diagnostic, LockFile, Platform, TargetName};
use rondel_engine::{
    Category, Freshness, Graph, Node, NodeId, Seal, Shown, UpstreamResult, UserError, Workspace, question,
};

use crate::{Analysis, PlatformChoice, Request, analyze};

/// A directory with a small Go module and a build.ron; removed on drop.
struct Space {
    root: PathBuf,
    environment: BTreeMap<String, String>,
    overrides: BTreeMap<String, String>,
    arguments: Vec<String>,
    parameters: crate::ParameterValues,
    platforms: PlatformChoice,
    version_mode: crate::VersionMode,
    /// The cache directory, if it is not `cache`.
    cache: Option<PathBuf>,
    /// The fields of build.ron before `targets`.
    head: String,
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Space {
    fn new() -> Space {
        // Permissions of files in a context are part of what docker is sent.
        rondel_tree::set_process_umask(0o022);
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("rondel-targets-{}-{number}", std::process::id()));
        let root = root.canonicalize().unwrap_or(root);
        let space = Space {
            environment: [("PATH".to_owned(), root.join("bin").display().to_string())].into(),
            root,
            overrides: BTreeMap::new(),
            arguments: Vec::new(),
            parameters: crate::ParameterValues::new(),
            version_mode: crate::VersionMode::Tag,
            cache: None,
            platforms: PlatformChoice::Some(vec![Platform::new("linux/amd64").unwrap()]),
            head: r#"go: Version("1.22.12"), platforms: ["linux/amd64", "linux/arm64"], vars: {"version": "v1.2.3"}"#
                .to_owned(),
        };
        space.write("go.mod", "module example.com/small\n\ngo 1.22\n");
        space.write("main.go", "package main\n\nfunc main() {}\n");
        // Found on PATH, never started.
        for program in ["docker", "protoc", "sh"] {
            space.write(&format!("bin/{program}"), &format!("#!/bin/false {program}\n"));
            make_executable(&space.root.join("bin").join(program));
        }
        space
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces a part of the fields of build.ron before `targets`.
    fn replace_in_head(&mut self, from: &str, to: &str) {
        assert!(self.head.contains(from), "`{from}` is not in `{}`", self.head);
        self.head = self.head.replace(from, to);
    }

    /// Analyzes `targets` of a file whose `targets:` are given, with Go 1.22.12 pinned.
    fn analyze(&self, build_ron: &str, targets: &[&str]) -> Result<Analysis, String> {
        let text = format!("(format: 1, project: \"small\", {}, targets: {{{build_ron}}})", self.head);
        let file = BuildFile::parse(&text, "0.1.0").map_err(|diagnostics| {
            let of_one = |found: &Diagnostic| {
                refusal(Category::Input, &found.message, Some(found.span.into()), found.hint.as_deref(), &text)
            };
            diagnostics.iter().map(of_one).collect::<Vec<_>>().join("\n")
        })?;
        let mut lock = LockFile::empty();
        let identity = format!("{}/1", "ab".repeat(32));
        let pin = rondel_buildfile::LockedGo { module: None, archive: None, identity };
        lock.go.entry("1.22.12".to_owned()).or_default().insert(Platform::host().to_string(), pin);
        let tool = rondel_buildfile::LockedTool { module: "example.com/x".to_owned(), sum: "h1:pinned".to_owned() };
        lock.tools.insert("example.com/x/cmd/z@v1.2.3".to_owned(), tool);
        let analysis = analyze(&Request {
            file: &file,
            lock: &lock,
            root: self.root.clone(),
            repository: self.root.clone(),
            notes: crate::GitNotes::default(),
            asks_policies: true,
            cache: self.cache.clone().unwrap_or_else(|| self.root.join("cache")),
            program: Some(self.root.join("target")),
            environment: &self.environment,
            overrides: &self.overrides,
            targets: targets.iter().map(|name| TargetName::new(name).unwrap()).collect(),
            parameters: self.parameters.clone(),
            is_ordered: true,
            version_mode: self.version_mode,
            platforms: self.platforms.clone(),
            arguments: self.arguments.clone(),
            signatures: None,
            kept: None,
            seal: Seal::of(&self.root.join(".rondel")),
            offline: true,
            locked: false,
            threads: 1,
        });
        analysis.map_err(|UserError { message, hint, span, category }| {
            refusal(category, &message, span, hint.as_deref(), &text)
        })
    }

    /// Prints a line a step: its key, what is shown of it, its dependencies.
    fn graph(&self, build_ron: &str, targets: &[&str], expected: Expect) {
        let text = match self.analyze(build_ron, targets) {
            Ok(analysis) => {
                let nodes: String =
                    analysis.graph.nodes().map(|(id, node)| node_text(&analysis.graph, id, node)).collect();
                let roots = names(&analysis.graph, &analysis.roots);
                let notes: String = analysis.notes.iter().map(|note| format!("note: {note}\n")).collect();
                format!("{nodes}asked for: {roots}\n{notes}")
            }
            Err(error) => format!("refused as {error}\n"),
        };
        expected.assert_eq(&text);
    }

    /// Prints everything that the step `name` depends on, a line each.
    fn action(&self, build_ron: &str, target: &str, name: &str, upstream: Vec<UpstreamResult>, expected: Expect) {
        let analysis = self.analyze(build_ron, &[target]).unwrap();
        let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == name).unwrap();
        let workspace = Workspace::open(&self.root, &self.root.join("cache"));
        expected.assert_eq(&action_text(&self.root, node, &workspace, upstream));
    }
}

/// A refusal as the tests show it: the kind of trouble, from which the exit code follows; the text that is underlined.
fn refusal(
    category: Category,
    message: &str,
    span: Option<std::ops::Range<usize>>,
    hint: Option<&str>,
    text: &str,
) -> String {
    let kind = match category {
        Category::Input => "input",
        Category::Environment => "environment",
        Category::Step => "step",
    };
    let mut lines = format!("{kind}: {message}");
    if let Some(span) = span {
        let place = if span.is_empty() { format!("byte {}", span.start) } else { text[span].to_owned() };
        lines.push_str(&format!("\nat: {place}"));
    }
    if let Some(hint) = hint {
        lines.push_str(&format!("\nhint: {hint}"));
    }
    lines
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn names(graph: &Graph, ids: &[NodeId]) -> String {
    ids.iter().map(|&id| graph.node(id).key.to_string()).collect::<Vec<_>>().join(", ")
}

fn node_text(graph: &Graph, _id: NodeId, node: &Node) -> String {
    let mut text = node.key.to_string();
    if node.title != text {
        text.push_str(&format!(" as `{}`", node.title));
    }
    text.push_str(match node.shown {
        Shown::Streamed => ", streamed",
        Shown::Answer => ", answers",
        Shown::Foreground => ", in the foreground",
        Shown::OnFailure => "",
        Shown::Never => ", hidden",
    });
    for (word, ids) in [("from", &node.inputs), ("after", &node.after), ("on a miss", &node.on_miss)] {
        if !ids.is_empty() {
            text.push_str(&format!("; {word}: {}", names(graph, ids)));
        }
    }
    if let Some(pool) = &node.pool {
        text.push_str(&format!("; {} of pool {}", pool.depth, pool.name));
    }
    if node.retries > 0 {
        text.push_str(&format!("; {} retries", node.retries));
    }
    if let Some(timeout) = node.timeout {
        text.push_str(&format!("; {} s", timeout.as_secs()));
    }
    text + "\n"
}

fn action_text(root: &Path, node: &Node, workspace: &Workspace, upstream: Vec<UpstreamResult>) -> String {
    let prepared = match question(node, workspace, upstream) {
        Ok(prepared) => prepared,
        Err(error) => return format!("refused: {error}\n"),
    };
    let spec = prepared.spec();
    let mut text = match prepared.freshness() {
        Freshness::ByKey => "by its key\n".to_owned(),
        Freshness::UpToDate(_) => "up to date\n".to_owned(),
        Freshness::Run(reasons) => format!("runs: {}\n", reasons[0]),
        Freshness::Skip(why) => format!("skipped: {why}\n"),
    };
    let mut line = |word: &str, rest: String| text.push_str(&format!("{word} {rest}\n"));
    if !spec.arguments.is_empty() {
        line("arguments", format!("{:?}", spec.arguments));
    }
    spec.environment.for_key().into_iter().for_each(|(name, value)| line("environment", format!("{name}{value}")));
    spec.settings.iter().for_each(|(name, value)| line("setting", format!("{name}: {value}")));
    spec.tools.iter().for_each(|(name, value)| line("tool", format!("{name}: {value}")));
    spec.inputs.iter().for_each(|input| line("input", input.path.to_string()));
    spec.upstream.keys().for_each(|slot| line("upstream", slot.to_string()));
    for output in &spec.outputs {
        line("output", format!("{} -> {}", output.name, output.destination));
    }
    // Members that depend on the machine of the test.
    let host = Platform::host();
    let text = text.replace(&format!("environment GOARCH={}\n", host.architecture()), "environment GOARCH=[HOST]\n");
    let text = text.replace(&format!("environment GOOS={}\n", host.os()), "environment GOOS=[HOST]\n");
    let is_of_machine = |line: &&str| {
        [
            "setting builder",
            "environment GOAMD64",
            "environment GOARM64",
            "tool /bin/false",
            "tool the base programs",
            "tool the installed packages",
        ]
        .iter()
        .any(|start| line.starts_with(start))
    };
    let text: String = text.lines().filter(|line| !is_of_machine(line)).map(|line| format!("{line}\n")).collect();
    text.replace(&root.display().to_string(), "[ROOT]")
}
