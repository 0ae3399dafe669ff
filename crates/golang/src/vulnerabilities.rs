//! What `govulncheck -format=json` says of packages: the known vulnerabilities of their modules, and how near each is to
//! being called. The texts come from a database, so from outside.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bill::purl;
use crate::build_info::ModuleVersion;

/// The stored form and its meaning. A change of either changes the text.
pub const VULNERABILITIES_FORMAT: &str = "rondel-vulnerabilities-1";

/// Size in bytes above which a text of the database is cut, and number of calls that are kept of a way.
const TEXT_MAX: usize = 1_000;
const WAY_MAX: usize = 30;

/// A known vulnerability of a module that packages are built with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vulnerability {
    /// Its name in the database: `GO-2025-0001`.
    pub id: String,
    /// Path of the module, or `stdlib`.
    pub module: String,
    /// Its version, with `v`.
    pub version: String,
    /// Names in other databases, sorted.
    pub aliases: Vec<String>,
    /// A line about it; may be empty.
    pub summary: String,
    /// The version in which it is mended, if there is one.
    pub fixed: Option<String>,
    /// How near it is.
    pub reach: Reach,
    /// Names of functions: from one of the packages to one with the vulnerability. Empty if it is not called.
    pub way: Vec<String>,
}

/// How near a vulnerability is, the nearest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reach {
    /// The module is required.
    Module,
    /// A package with it is imported, and no function with it called.
    Package,
    /// A function with it is called.
    Symbol,
}

#[derive(Deserialize)]
struct Message {
    config: Option<Config>,
    osv: Option<Entry>,
    finding: Option<Finding>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    protocol_version: String,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    summary: String,
}

#[derive(Deserialize)]
struct Finding {
    osv: String,
    #[serde(default)]
    fixed_version: String,
    #[serde(default)]
    trace: Vec<Frame>,
}

/// A call, or what is known of one.
#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    module: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    package: String,
    #[serde(default)]
    function: String,
    #[serde(default)]
    receiver: String,
}

impl Frame {
    fn name(&self) -> String {
        let package = self.package.rsplit('/').next().unwrap_or_default();
        let receiver = self.receiver.trim_start_matches('*');
        match receiver.is_empty() {
            true => text(&format!("{package}.{}", self.function)),
            false => text(&format!("{package}.{receiver}.{}", self.function)),
        }
    }
}

impl Vulnerability {
    /// Returns all that `output` has findings about: each once a module, by the nearest finding. Sorted. The error says why it is
    /// no output of a scan.
    pub fn all_of(output: &[u8]) -> Result<Vec<Vulnerability>, String> {
        let (mut entries, mut findings, mut protocol) = (BTreeMap::new(), Vec::new(), None);
        for message in serde_json::Deserializer::from_slice(output).into_iter::<Message>() {
            let Message { config, osv, finding } = message.map_err(|error| error.to_string())?;
            protocol = config.map(|config| config.protocol_version).or(protocol);
            entries.extend(osv.map(|entry| (entry.id.clone(), entry)));
            findings.extend(finding);
        }
        // A program that says nothing has found nothing, and has not looked.
        match protocol {
            Some(version) if version.starts_with("v1.") => {}
            Some(version) => return Err(format!("it has the version {}", text(&version))),
            None => return Err("it has no configuration".to_owned()),
        }
        let mut found: BTreeMap<(String, String), Vulnerability> = BTreeMap::new();
        for finding in &findings {
            let Some(new) = Vulnerability::of(finding, entries.get(&finding.osv)) else { continue };
            let known = found.entry((new.id.clone(), new.module.clone())).or_insert_with(|| new.clone());
            let rank = |one: &Vulnerability| (std::cmp::Reverse(one.reach), one.way.len(), one.way.clone());
            if rank(&new) < rank(known) {
                *known = new;
            }
        }
        Ok(found.into_values().collect())
    }

    fn of(finding: &Finding, entry: Option<&Entry>) -> Option<Vulnerability> {
        let place = finding.trace.first()?;
        let reach = match (place.function.is_empty(), place.package.is_empty()) {
            (false, _) => Reach::Symbol,
            (true, false) => Reach::Package,
            (true, true) => Reach::Module,
        };
        let way = finding.trace.iter().rev().map(Frame::name);
        let mut aliases: Vec<String> = entry.iter().flat_map(|entry| &entry.aliases).map(|alias| text(alias)).collect();
        aliases.sort();
        aliases.dedup();
        Some(Vulnerability {
            id: text(&finding.osv),
            module: text(&place.module),
            version: text(&place.version),
            aliases,
            summary: entry.map(|entry| text(&entry.summary)).unwrap_or_default(),
            fixed: Some(text(&finding.fixed_version)).filter(|version| !version.is_empty()),
            reach,
            way: if reach == Reach::Symbol { way.take(WAY_MAX).collect() } else { Vec::new() },
        })
    }

    /// Returns the stored form.
    pub fn encode(all: &[Vulnerability]) -> Vec<u8> {
        serde_json::to_vec(all).expect("plain data")
    }

    /// Reads the stored form; `None` if it is none.
    pub fn decode(bytes: &[u8]) -> Option<Vec<Vulnerability>> {
        serde_json::from_slice(bytes).ok()
    }

    /// Returns the package URL of the module with its version. A directory that replaces one has none.
    pub fn purl(&self) -> Option<String> {
        let (path, version) = (self.module.clone(), self.version.clone());
        purl(&ModuleVersion { path, version, sum: String::new(), replaced_by: None })
    }
}

/// Returns a text as it can be shown and stored: one line, of a bounded length.
fn text(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_nearest_finding_counts() {
        let output = r#"
            {"config": {"protocol_version": "v1.0.0", "scanner_name": "govulncheck"}}
            {"progress": {"message": "Scanning"}}
            {"osv": {"id": "GO-1", "aliases": ["CVE-2", "CVE-1", "CVE-2"], "summary": "Versions\u001b[2J are believed", "details": "x"}}
            {"finding": {"osv": "GO-1", "fixed_version": "v0.18.0", "trace": [{"module": "example.com/m", "version": "v0.17.0"}]}}
            {"finding": {"osv": "GO-1", "fixed_version": "v0.18.0", "trace": [{"module": "example.com/m", "version": "v0.17.0", "package": "example.com/m/semver"}]}}
            {"finding": {"osv": "GO-1", "fixed_version": "v0.18.0", "trace": [
                {"module": "example.com/m", "version": "v0.17.0", "package": "example.com/m/semver", "function": "IsValid"},
                {"module": "example.com/x", "package": "example.com/x", "function": "z"}, {"module": "example.com/x", "package": "example.com/x", "function": "main"}]}}
            {"finding": {"osv": "GO-1", "fixed_version": "v0.18.0", "trace": [
                {"module": "example.com/m", "version": "v0.17.0", "package": "example.com/m/semver", "function": "IsValid", "receiver": "*T"},
                {"module": "example.com/x", "package": "example.com/x", "function": "main"}]}}
            {"finding": {"osv": "GO-2", "trace": [{"module": "stdlib", "version": "v1.22.12", "package": "net/http"}]}}
            {"finding": {"osv": "GO-3", "trace": []}}"#;
        let found = Vulnerability::all_of(output.as_bytes()).unwrap();
        let stored = Vulnerability::encode(&found);
        assert_eq!(Vulnerability::decode(&stored), Some(found));
        expect![[r#"
            [{"id":"GO-1","module":"example.com/m","version":"v0.17.0","aliases":["CVE-1","CVE-2"],"summary":"Versions[2J are believed","fixed":"v0.18.0","reach":"Symbol","way":["x.main","semver.T.IsValid"]},
            {"id":"GO-2","module":"stdlib","version":"v1.22.12","aliases":[],"summary":"","fixed":null,"reach":"Package","way":[]}]"#]].assert_eq(&String::from_utf8(stored).unwrap().replace("},{", "},\n{"));
    }

    #[test]
    fn other_output_is_refused() {
        let config = |version: &str| format!("{{\"config\": {{\"protocol_version\": \"{version}\"}}}}");
        for rest in ["=== Symbol Results ===", "{\"finding\": 1}", "{\"finding\": {\"trace\": []}}", "{"] {
            assert!(Vulnerability::all_of(format!("{}{rest}", config("v1.0.0")).as_bytes()).is_err(), "{rest}");
        }
        for output in ["", "{\"config\": {}}", &config("v2.0.0")] {
            assert!(Vulnerability::all_of(output.as_bytes()).is_err(), "{output}");
        }
        assert_eq!(Vulnerability::all_of(config("v1.0.0").as_bytes()).unwrap(), []);
        assert_eq!(Vulnerability::decode(b"{}"), None);
    }
}
