//! Analysis shared by the Go kinds: the toolchain, downloads, builds for one platform, tools. The steps are in
//! `rondel-golang`.

use std::path::PathBuf;
use std::sync::Arc;

use rondel_buildfile::{ModuleDirectory, Span, Target, Text};
use rondel_engine::{Node, NodeId, Shown, StepKey, UserError};
use rondel_golang::{
    ExecutableNames, GoBuildStep, GoMod, GoModDownloadStep, GoPackages, GoRequest, GoSupport, PublishedTool,
    PublishedToolStep, Scope, ToolPin, executable_name, module_text,
};

use crate::analyzer::{Analyzed, Analyzer, path};
use crate::go_choice::{WantedGo, wanted_go};
use crate::go_version::{go_of_file, go_version, pin_of};
use crate::modules::Module;
use crate::nodes::Deps;

impl Analyzer<'_> {
    /// Returns the Go of the file, which stands in `root`: for what belongs to no module.
    pub(crate) fn go(&mut self) -> Analyzed<Arc<GoSupport>> {
        let request = self.request;
        let module = Module::of_root(request.file, &request.root)?;
        self.go_support(module, &|_| go_of_file(request.file, &request.root), request.file.go.span)
    }

    /// Returns the Go of a module, which stands in its directory. `field` is that of the target.
    pub(crate) fn go_in(&mut self, field: Option<&ModuleDirectory>) -> Analyzed<Arc<GoSupport>> {
        let request = self.request;
        let (module, place) = (self.module(field)?, field.map_or(request.file.go.span, |field| field.span));
        self.go_support(module, &|module| wanted_go(&request.file.go.value, module, &request.root), place)
    }

    /// Returns the module of a target.
    pub(crate) fn module(&self, field: Option<&ModuleDirectory>) -> Analyzed<Module> {
        let name = field.map(ModuleDirectory::below_root);
        if let Some(known) = self.modules.named.borrow().get(&name) {
            return Ok(known.clone());
        }
        let module = Module::of(self.request.file, &self.request.root, field)?;
        if module.exists() {
            self.modules.named.borrow_mut().insert(name, module.clone());
            return Ok(module);
        }
        let modules = self.request.file.modules();
        if modules.is_empty() {
            return Ok(module);
        }
        let target = self.open_target().map(|target| target.name.span).unwrap_or_default();
        let names: Vec<String> = modules.keys().map(|name| format!("`module: \"{name}\"`")).collect();
        Err(UserError::input("there is no go.mod in `root`, and this target names no module")
            .at(target)
            .hint(format!("write {}", names.join(" or "))))
    }

    /// Returns the Go that stands in a module. An error of `wanted` is at `place`.
    fn go_support(
        &mut self,
        module: Module,
        wanted: &dyn Fn(&Module) -> Analyzed<WantedGo>,
        place: Span,
    ) -> Analyzed<Arc<GoSupport>> {
        if let Some(go) = self.modules.goes.get(&module) {
            return Ok(Arc::clone(go));
        }
        let request = self.request;
        let wanted = wanted(&module).map_err(|error| error.at(place))?;
        let version =
            go_version(&wanted, request.lock, &module, request.environment).map_err(|error| error.at(place))?;
        let go = match self.modules.goes.values().find(|go| go.version == version) {
            Some(other) => other.in_module(&module.directory, module.go_work.clone()),
            None => GoSupport::new(GoRequest {
                pin: pin_of(request.lock, &version)?,
                version,
                module: &module.directory,
                go_work: module.go_work.clone(),
                has_go_work: request.file.go_work.is_some(),
                root: &self.root,
                workspace: &request.root,
                cache: &request.cache,
                environment: request.environment,
                offline: request.offline,
                locked: request.locked,
            }),
        };
        Ok(Arc::clone(self.modules.goes.entry(module).or_insert(Arc::new(go))))
    }

    /// Returns the downloads that a Go step of a module needs if it runs: the ones it names, and one of its own if none of
    /// them is of the module.
    pub(crate) fn downloads(&mut self, field: Option<&ModuleDirectory>, deps: &Deps) -> Analyzed<Vec<NodeId>> {
        let module = self.module(field)?;
        let mut downloads = deps.on_miss.clone();
        if downloads.iter().any(|node| self.modules.declared_downloads.get(node) == Some(&module)) {
            return Ok(downloads);
        }
        let node = match self.modules.own_downloads.get(&module) {
            Some(node) => *node,
            None => {
                let step = Box::new(GoModDownloadStep { go: self.go_in(field)? });
                let of = self.name_of(&module).map_or_else(String::new, |name| format!(" of {name}"));
                let node = self.add_hidden(StepKey::shared(format!("go modules{of}")), Vec::new(), Vec::new(), step);
                self.modules.own_downloads.insert(module, node);
                node
            }
        };
        downloads.push(node);
        Ok(downloads)
    }

    /// Returns the name of a module beside what targets without `module` stand in. That of `root` is another one if a
    /// go.work counts there and does not use it.
    fn name_of(&self, module: &Module) -> Option<String> {
        let is_apart = module.go_work.is_none() && self.request.file.go_work.is_some();
        let name = module.below.as_ref().map(ToString::to_string);
        name.or_else(|| is_apart.then(|| ".".to_owned()))
    }

    /// Returns the package patterns of a target of a module.
    pub(crate) fn packages(&self, field: Option<&ModuleDirectory>, texts: &[Text]) -> Analyzed<Vec<String>> {
        let (module, patterns) = (self.module(field)?, self.variables.texts(texts)?);
        for (pattern, text) in patterns.iter().zip(texts) {
            module.check_pattern(pattern, &self.root).map_err(|error| error.at(text.span))?;
        }
        Ok(patterns)
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

    /// Returns the node that builds the command of `Tool(name, tags: […])` of a module for this machine; all users with the
    /// same tags share it.
    pub(crate) fn tool(&mut self, field: Option<&ModuleDirectory>, name: &str, tags: &[String]) -> Analyzed<NodeId> {
        if let Some(tool) = PublishedTool::parse(name) {
            return self.published_tool(name, tool, tags);
        }
        let import_path = self.tool_path(field, name)?;
        let module = self.name_of(&self.module(field)?);
        let of = module.as_ref().map_or_else(String::new, |module| format!(" of {module}"));
        let place = with_tags(&import_path, tags);
        let key = StepKey::shared(format!("tool {place}{of}"));
        if let Some(node) = self.graph.find(&key) {
            return Ok(node);
        }
        let downloads = self.downloads(field, &Deps::default())?;
        let go = self.go_in(field)?;
        let packages = GoPackages::of_host(go, key.clone(), vec![import_path.clone()], tags.to_vec(), Scope::Build)?;
        // No import path has `@` as an element, so that no two modules share a place.
        let place = match module.as_deref() {
            None => place,
            Some(".") => format!("@/{place}"),
            Some(module) => format!("{module}/@/{place}"),
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

    /// Returns an import path unchanged; looks up a single element among the `tool` lines of the module's go.mod.
    fn tool_path(&self, field: Option<&ModuleDirectory>, name: &str) -> Analyzed<String> {
        if name.contains('/') {
            return Ok(name.to_owned());
        }
        let module = self.module(field)?;
        let file = module.file("go.mod");
        let text = module_text(&module.directory.join("go.mod"))?.unwrap_or_default();
        let tools = GoMod::parse(&text).tools;
        let named: Vec<&String> = tools.iter().filter(|path| executable_name(path, "linux") == name).collect();
        match named.as_slice() {
            [only] => Ok((*only).clone()),
            [] => {
                let error = UserError::input(format!("{file} has no tool `{name}`"));
                let names: Vec<String> = tools.iter().map(|path| executable_name(path, "linux")).collect();
                Err(if names.is_empty() {
                    error.hint("write its import path, or add it: `go get -tool IMPORT-PATH` (Go 1.24 and later)")
                } else {
                    error.hint(format!("its tools are: {}", names.join(", ")))
                })
            }
            several => {
                let paths: Vec<&str> = several.iter().map(|path| path.as_str()).collect();
                Err(UserError::input(format!("{file} has several tools `{name}`: {}", paths.join(", ")))
                    .hint("write the import path"))
            }
        }
    }
}

/// Returns the name of a tool with its build tags: tools with other tags are other executables.
fn with_tags(name: &str, tags: &[String]) -> String {
    if tags.is_empty() { name.to_owned() } else { format!("{name},{}", tags.join(",")) }
}
