//! What a Go executable is made of, by its embedded build information: a bill of materials.
//!
//! go.sum's `h1:` is a hash over a directory and not of any file, so it is a fact in its own terms and never a checksum.

use rondel_cas::Digest;
use rondel_evidence::{Bill, Component, ComponentKind, Fact, Relation};
use rondel_fetch::percent_escaped;

use crate::build_info::{BuildInfo, ModuleVersion};

/// Version of what is taken from an executable, for keys.
pub(crate) const CONTENTS: &str = "go-bill-1";

/// An executable.
pub struct Executable<'a> {
    /// Name of the file.
    pub name: &'a str,
    /// Digest of the file.
    pub digest: Digest,
    /// Its embedded build information.
    pub info: &'a BuildInfo,
    /// Name of the project.
    pub project: &'a str,
}

/// Returns the bill of an executable. `licence` has the licence of a module as it is used, with what replaces it.
pub fn bill_of(executable: &Executable<'_>, licence: &dyn Fn(&ModuleVersion) -> Option<String>) -> Bill {
    let info = executable.info;
    let main = info.main.clone().unwrap_or_default();
    let mut subject = Component::named(ComponentKind::Executable, executable.name);
    main.version.clone_into(&mut subject.version);
    subject.digest = Some(executable.digest);
    subject.facts.push(Fact::new("package", &info.path));
    subject.facts.extend(info.settings.iter().map(|(name, value)| Fact::new(&format!("go {name}"), value)));
    let mut bill = Bill::of(executable.project, subject);
    if !main.path.is_empty() {
        bill.add(0, Relation::GeneratedFrom, module(&main, licence));
    }
    for dependency in &info.dependencies {
        bill.add(0, Relation::Links, module(dependency, licence));
    }
    // `go1.22.12 X:rangefunc` has experiments behind it.
    let version = info.go_version.split_whitespace().next().unwrap_or("").trim_start_matches("go").to_owned();
    let library = ModuleVersion { path: "stdlib".into(), version: version.clone(), ..ModuleVersion::default() };
    bill.add(0, Relation::Links, module(&library, &|_| Some("BSD-3-Clause".to_owned())));
    let mut toolchain = Component::named(ComponentKind::Toolchain, "go");
    toolchain.version = version;
    toolchain.licence = Some("BSD-3-Clause".to_owned());
    toolchain.facts.push(Fact::new("version", &info.go_version));
    bill.add(0, Relation::BuiltWith, toolchain);
    bill
}

fn module(module: &ModuleVersion, licence: &dyn Fn(&ModuleVersion) -> Option<String>) -> Component {
    let used = used(module);
    let mut component = Component::named(ComponentKind::Module, &used.path);
    used.version.clone_into(&mut component.version);
    component.purl = purl(used);
    component.licence = licence(used);
    if !used.sum.is_empty() {
        let note = Some("hash over the module's directory, golang.org/x/mod/sumdb/dirhash".to_owned());
        component.facts.push(Fact { name: "go.sum".to_owned(), value: used.sum.clone(), note });
    }
    if module.replaced_by.is_some() {
        let replaced = format!("{} {}", module.path, module.version);
        component.facts.push(Fact::new("go.mod puts it in the place of", replaced.trim()));
    }
    component
}

/// Returns the module that is in the executable.
pub(crate) fn used(module: &ModuleVersion) -> &ModuleVersion {
    module.replaced_by.as_deref().unwrap_or(module)
}

/// Returns the package URL of a module. A directory that replaces one has no public name.
pub fn purl(module: &ModuleVersion) -> Option<String> {
    if module.path.starts_with(['.', '/']) {
        return None;
    }
    let is_versioned = !module.version.is_empty() && module.version != "(devel)";
    let version = if is_versioned { format!("@{}", percent_escaped(&module.version)) } else { String::new() };
    let path: Vec<String> = module.path.split('/').map(percent_escaped).collect();
    Some(format!("pkg:golang/{}{version}", path.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill() {
        let module = |path: &str, version: &str, sum: &str| ModuleVersion {
            path: path.into(),
            version: version.into(),
            sum: sum.into(),
            replaced_by: None,
        };
        let mut replaced = module("example.com/old", "v1.0.0", "");
        replaced.replaced_by = Some(Box::new(module("./fork", "", "")));
        let info = BuildInfo {
            go_version: "go1.22.12 X:rangefunc".into(),
            path: "example.com/x".into(),
            main: Some(module("example.com/x", "(devel)", "")),
            dependencies: vec![module("example.com/A+b", "v1.2.3+incompatible", "h1:abc="), replaced],
            settings: vec![("GOOS".into(), "linux".into())],
        };
        let executable = Executable { name: "x", digest: Digest::of(b"x"), info: &info, project: "p" };
        let bill = bill_of(&executable, &|module| (module.path == "example.com/A+b").then(|| "MIT".to_owned()));
        let purls: Vec<_> = bill.components.iter().map(|one| one.purl.as_deref()).collect();
        assert_eq!(
            purls,
            [
                None,
                Some("pkg:golang/example.com/x"),
                Some("pkg:golang/example.com/A%2Bb@v1.2.3%2Bincompatible"),
                None,
                Some("pkg:golang/stdlib@1.22.12"),
                None
            ]
        );
        let licences: Vec<_> = bill.components.iter().filter_map(|one| one.licence.as_deref()).collect();
        assert_eq!(licences, ["MIT", "BSD-3-Clause", "BSD-3-Clause"]);
        let digests = bill.components.iter().filter(|one| one.digest.is_some()).count();
        assert_eq!(digests, 1, "h1 is no checksum");
        assert_eq!(bill.components[3].facts[0].value, "example.com/old v1.0.0");
        assert_eq!(bill.relations.len(), bill.components.len() - 1);
    }
}
