//! The cause of a failure that a command's surroundings brought about, and the line of build.ron that mends it.
//!
//! No kernel says without root what was refused. The command itself does, mostly: `cat: a/b: Permission denied`. So its
//! output is read, and each path in such a line is held against the rules. A command that says nothing gets no hint.

use std::path::{Path, PathBuf};

use rondel_engine::StepError;
use rondel_golang::lexically;
use rondel_process::find_tool;

use crate::closed::{Closed, Surroundings};
use crate::tools::{not_found_in, tools_line};

/// What programs say when a file is refused, or is not in the working tree.
const REFUSED: &[&str] = &[
    "permission denied",
    "operation not permitted",
    "eacces",
    "no such file",
    "not found",
    "cannot find",
    "can't open",
    "cannot access",
    "does not exist",
    "enoent",
];
/// What programs say of a network that they do not reach.
const NETWORK: &[&str] = &["connect", "dial tcp", "listen tcp", "bind:", "getaddrinfo", "resolve host", "network is"];

impl Closed {
    /// Returns what the surroundings have to do with a failure, and what to write.
    pub(crate) fn cause(&self, error: &StepError, around: &Surroundings) -> Option<String> {
        let StepError::Command { output, hint: None, .. } = error else { return None };
        let tool = output.iter().find_map(|line| self.missing_tool(line));
        let bases = self.bases(output);
        let refusal = || output.iter().find_map(|line| self.refusal(line, &bases, around));
        tool.or_else(refusal).or_else(|| {
            let is_network = |line: &String| NETWORK.iter().any(|words| line.to_lowercase().contains(words));
            let is_off = around.sandbox.is_some() && !self.network && output.iter().any(is_network);
            let line = self.line("network: true");
            is_off.then(|| format!("the network is off for a command with `inputs`; if it needs it, {line}"))
        })
    }

    fn missing_tool(&self, line: &str) -> Option<String> {
        let name = not_found_in(line)?;
        let line = self.line(&self.tools_line(name));
        Some(match find_tool(name, &self.search_path, &self.directory) {
            Ok(_) => format!("`{name}` is not among its programs: {line}"),
            Err(_) => format!("`{name}` is not on PATH: install it, then {line}"),
        })
    }

    /// Returns what to add to the target, in words.
    fn line(&self, text: &str) -> String {
        format!("add `{text}` to `{}`", self.key)
    }

    /// Returns the directories that relative paths may start from. `go generate` runs each directive in that of its file, and
    /// names the file where it fails: `a/b.go:3: running "x": exit status 1`.
    fn bases(&self, output: &[String]) -> Vec<PathBuf> {
        let directive = |line: &String| {
            let (file, rest) = line.split_once(".go:")?;
            rest.contains(": running ").then(|| self.root.join(file).parent().map(Path::to_owned))?
        };
        let of_directives = output.iter().filter(|_| self.generates).filter_map(directive);
        std::iter::once(self.directory.clone()).chain(of_directives).collect()
    }

    fn refusal(&self, line: &str, bases: &[PathBuf], around: &Surroundings) -> Option<String> {
        let sandbox = around.sandbox.as_ref()?;
        let lower = line.to_lowercase();
        if !REFUSED.iter().any(|words| lower.contains(words)) {
            return None;
        }
        // A path of the project that is in the working tree is declared, and one without a file has another trouble.
        let is_undeclared = |path: &PathBuf| {
            let is_there = around.tree.is_some() && around.in_tree(self, path).symlink_metadata().is_ok();
            *path != self.root && path.symlink_metadata().is_ok() && !is_there && !sandbox.allows(path)
        };
        self.paths_in(line, bases, around).find(is_undeclared).map(|path| self.undeclared(&path))
    }

    /// Returns what to do about a path that is not declared.
    fn undeclared(&self, path: &Path) -> String {
        let off = "`sandbox: Off` lets it read everything";
        let is_directory = path.is_dir();
        if let Ok(below) = path.strip_prefix(&self.root) {
            let below = below.display().to_string();
            let glob = if is_directory { format!("{below}/**") } else { below.clone() };
            let glob = glob.escape_default();
            return format!(
                "`{below}` is not among its inputs: add \"{glob}\" to the `inputs` of `{}`; {off}",
                self.key
            );
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_tool = find_tool(&name, &self.search_path, &self.directory).is_ok_and(|found| found == *path);
        let tool = match (is_tool, is_directory) {
            (true, _) => name,
            (false, true) => format!("{}/", path.display().to_string().trim_end_matches('/')),
            (false, false) => path.display().to_string(),
        };
        format!("`{}` is not declared: {}; {off}", path.display(), self.line(&self.tools_line(&tool)))
    }

    /// Returns the line of build.ron that declares a program.
    fn tools_line(&self, name: &str) -> String {
        match self.generates {
            true => format!("tools: {{\"{}\": \"{}\"}}", file_name(name), name.escape_default()),
            false => tools_line(&[name]),
        }
    }

    /// Returns every word of a line that could be a path, as an absolute path of the project without `..`.
    fn paths_in<'l>(
        &'l self,
        line: &'l str,
        bases: &'l [PathBuf],
        around: &'l Surroundings,
    ) -> impl Iterator<Item = PathBuf> + 'l {
        let quoted = line.split(['\'', '"', '`', '‘', '’']);
        let words = line.split([' ', '\t', '\'', '"', '`', '‘', '’', '(', ')', '[', ']', ',', ';', '=']);
        let parts = line.split(": ");
        let all =
            quoted.chain(parts).chain(words).map(|word| word.trim_end_matches(['.', ',']).trim_matches([':', ' ']));
        let paths =
            move |word: &'l str| bases.iter().map(move |base| around.in_project(self, &lexically(&base.join(word))));
        all.filter(|word| !word.is_empty()).flat_map(paths)
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
