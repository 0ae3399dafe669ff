//! Analysis shared by the Go kinds: the toolchain, downloads, builds for one platform, tools. The steps are in
//! `rondel-golang`.

use std::path::PathBuf;
use std::sync::Arc;

use rondel_buildfile::Target;
use rondel_engine::{Node, NodeId, Shown, StepKey, UserError};
use rondel_golang::{
    ExecutableNames, GoBuildStep, GoMod, GoModDownloadStep, GoPackages, GoRequest, GoSupport, PublishedTool,
    PublishedToolStep, Scope, ToolPin, executable_name, module_text,
};

use crate::analyzer::{Analyzed, Analyzer, path};
use crate::go_version::{go_version, go_work_of, pin_of};
use crate::nodes::Deps;

impl Analyzer<'_> {
    pub(crate) fn go(&mut self) -> Analyzed<Arc<GoSupport>> {
        if let Some(go) = &self.go {
            return Ok(Arc::clone(go));
        }
        let request = self.request;
        let version = go_version(request.file, request.lock, (&self.root, &request.root), request.environment)
            .map_err(|error| error.at(request.file.go.span))?;
        let go = GoSupport::new(GoRequest {
            pin: pin_of(request.lock, &version)?,
            version,
            module: &self.root,
            go_work: go_work_of(request.file, &self.root)?,
            workspace: &request.root,
            cache: &request.cache,
            environment: request.environment,
            offline: request.offline,
            locked: request.locked,
        });
        Ok(Arc::clone(self.go.insert(Arc::new(go))))
    }

    /// Returns the downloads that a Go step needs if it runs: the ones it names, or one of its own.
    pub(crate) fn downloads(&mut self, deps: &Deps) -> Analyzed<Vec<NodeId>> {
        if !deps.on_miss.is_empty() {
            return Ok(deps.on_miss.clone());
        }
        if let Some(node) = self.modules {
            return Ok(vec![node]);
        }
        let step = Box::new(GoModDownloadStep { go: self.go()? });
        let node = self.add_hidden(StepKey::shared("go modules"), Vec::new(), Vec::new(), step);
        self.modules = Some(node);
        Ok(vec![node])
    }

    /// Returns outputs in the source tree of targets of this run that `target` does not wait for.
    pub(crate) fn made_by_others(&self, target: &Target) -> Analyzed<Vec<(PathBuf, String)>> {
        let (wanted, known) = (self.wanted(), self.waited_for(target));
        let mut made = Vec::new();
        for other in &self.request.file.targets {
            if wanted.contains(&other.name.value) && !known.contains(&other.name.value) {
                for output in self.request.file.outputs_of(other).iter().filter(|output| output.written.is_some()) {
                    made.push((self.request.root.join(&output.path), other.name.value.to_string()));
                }
            }
        }
        Ok(made)
    }

    /// Returns the node that builds the command of `Tool(name, tags: […])` for this machine; all users with the same tags
    /// share it.
    pub(crate) fn tool_with_tags(&mut self, name: &str, tags: &[String]) -> Analyzed<NodeId> {
        if let Some(tool) = PublishedTool::parse(name) {
            return self.published_tool(name, tool, tags);
        }
        let import_path = self.tool_path(name)?;
        let place = with_tags(&import_path, tags);
        let key = StepKey::shared(format!("tool {place}"));
        if let Some(node) = self.graph.find(&key) {
            return Ok(node);
        }
        let downloads = self.downloads(&Deps::default())?;
        let go = self.go()?;
        let packages = GoPackages {
            key: key.clone(),
            platform: go.own_platform()?,
            patterns: vec![import_path.clone()],
            tags: tags.to_vec(),
            env: Vec::new(),
            c: None,
            race: false,
            scope: Scope::Build,
            foreign: Vec::new(),
            go,
        };
        let out = path(&format!(".rondel/out/tools/{place}"))?;
        let (ldflags, stamp, gcflags) = (Vec::new(), Vec::new(), Vec::new());
        let names = ExecutableNames::GoOwn;
        let step = GoBuildStep { packages, names, ldflags, stamp, gcflags, build_mode: None, out };
        let node = Node::new(key, "GoBuild", Box::new(step));
        Ok(self.graph.add(Node { shown: Shown::Never, on_miss: downloads, ..node }))
    }

    /// Returns the node that builds a command of another module.
    fn published_tool(&mut self, name: &str, tool: PublishedTool<'_>, tags: &[String]) -> Analyzed<NodeId> {
        let place = with_tags(name, tags);
        let key = StepKey::shared(format!("tool {place}"));
        if let Some(node) = self.graph.find(&key) {
            return Ok(node);
        }
        let pin = self.request.lock.tools.get(name);
        let go = self.go()?;
        let platform = go.own_platform()?;
        let executable = executable_name(tool.package, platform.os());
        let step = PublishedToolStep {
            platform,
            go,
            package: tool.package.to_owned(),
            version: tool.version.to_owned(),
            tags: tags.to_vec(),
            pin: pin.map(|pin| ToolPin { module: pin.module.clone(), sum: pin.sum.clone() }),
            out: path(&format!(".rondel/out/tools/{place}/{executable}"))?,
        };
        let node = Node::new(key, "Tool", Box::new(step));
        Ok(self.graph.add(Node { shown: Shown::Never, ..node }))
    }

    /// Returns an import path unchanged; looks up a single element among go.mod's `tool` lines.
    fn tool_path(&self, name: &str) -> Analyzed<String> {
        if name.contains('/') {
            return Ok(name.to_owned());
        }
        let text = module_text(&self.root.join("go.mod"))?.unwrap_or_default();
        let tools = GoMod::parse(&text).tools;
        let named: Vec<&String> = tools.iter().filter(|path| executable_name(path, "linux") == name).collect();
        match named.as_slice() {
            [only] => Ok((*only).clone()),
            [] => {
                let error = UserError::input(format!("go.mod has no tool `{name}`"));
                let names: Vec<String> = tools.iter().map(|path| executable_name(path, "linux")).collect();
                Err(if names.is_empty() {
                    error.hint("write its import path, or add it: `go get -tool IMPORT-PATH` (Go 1.24 and later)")
                } else {
                    error.hint(format!("its tools are: {}", names.join(", ")))
                })
            }
            several => {
                let paths: Vec<&str> = several.iter().map(|path| path.as_str()).collect();
                Err(UserError::input(format!("go.mod has several tools `{name}`: {}", paths.join(", ")))
                    .hint("write the import path"))
            }
        }
    }
}

/// Returns the name of a tool with its build tags: tools with other tags are other executables.
fn with_tags(name: &str, tags: &[String]) -> String {
    if tags.is_empty() { name.to_owned() } else { format!("{name},{}", tags.join(",")) }
}
