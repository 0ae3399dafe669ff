//! The files that make `cargo xtask` start Rondel, and what existing ones lack for it. It knows no Go.
//!
//! TOML of others is not parsed: a line is added where its place is beyond doubt, else the caller says what to add.

/// Where Cargo takes Rondel from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RondelSource {
    /// An address of git.
    Git(String),
    /// A directory with Rondel's repository, relative to the top of the repository.
    Path(String),
}

/// The texts of a repository that has no Rust yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CargoFiles {
    /// `Cargo.toml`
    pub workspace: String,
    /// The sections that an existing `Cargo.toml` needs too.
    pub profile: &'static str,
    /// `xtask/Cargo.toml`
    pub manifest: String,
    /// `xtask/src/main.rs`
    pub main: &'static str,
    /// `xtask/build.rs`
    pub build_script: &'static str,
    /// `.cargo/config.toml`
    pub config: String,
}

/// As in Rondel's own Cargo.toml: a test compares them.
const PROFILE: &str = "\
# No debug information, and only the crates whose speed a user feels optimised: so the first run takes less time.
[profile.xtask]
inherits = \"dev\"
debug = false
debug-assertions = false
incremental = false
codegen-units = 4

[profile.xtask.package]
ruzstd = { opt-level = 2, codegen-units = 1 }
rustls-pki-types = { opt-level = 2, codegen-units = 1 }
sha2 = { opt-level = 3, codegen-units = 1 }
flate2 = { opt-level = 3, codegen-units = 1 }
zlib-rs = { opt-level = 3, codegen-units = 1 }
crc32fast = { opt-level = 3, codegen-units = 1 }
digest = { opt-level = 3, codegen-units = 1 }
block-buffer = { opt-level = 3, codegen-units = 1 }
rondel-cas = { opt-level = 2, codegen-units = 1 }
rondel-tree = { opt-level = 2, codegen-units = 1 }
fast-glob = { opt-level = 3, codegen-units = 1 }
rondel-closure = { opt-level = 2, codegen-units = 1 }
rondel-codec = { opt-level = 3, codegen-units = 1 }
";

const MAIN: &str = "\
//! `cargo xtask`: hands over to Rondel, which builds what build.ron declares.

fn main() -> std::process::ExitCode {
    rondel::main()
}
";

/// As in Rondel's own `xtask`, without what its lints ask for: a test compares them.
const BUILD_SCRIPT: &str = "\
//! Links `cargo xtask` to be loaded at a fixed address, as Go links its programs. Otherwise the loader adjusts 150,000
//! addresses at each start, which is half of the time of `cargo xtask --version`.

fn main() {
    println!(\"cargo::rerun-if-changed=build.rs\");
    let cfg = |name: &str| std::env::var(format!(\"CARGO_CFG_TARGET_{name}\")).unwrap_or_default();
    // Elsewhere programs have to be like that, or another option says it.
    if cfg(\"OS\") == \"linux\" && cfg(\"ENV\") == \"gnu\" && !cfg(\"FEATURE\").contains(\"crt-static\") {
        println!(\"cargo::rustc-link-arg-bins=-no-pie\");
    }
}
";

const ALIAS: &str = "xtask = \"run --quiet --profile xtask --package xtask --\"\n";

impl CargoFiles {
    /// Returns the texts for Rondel from `source`.
    pub fn new(source: &RondelSource) -> CargoFiles {
        let (dependency, exclude) = match source {
            RondelSource::Git(address) => (format!("git = \"{}\"", escaped(address)), String::new()),
            RondelSource::Path(path) => {
                let is_inside = !path.starts_with("..");
                // A workspace takes in what is below it, unless it is told not to.
                let exclude = if is_inside { format!("exclude = [\"{}\"]\n", escaped(path)) } else { String::new() };
                (format!("path = \"../{}/crates/rondel\"", escaped(path)), exclude)
            }
        };
        CargoFiles {
            workspace: format!(
                "# Cargo builds nothing here but `cargo xtask`.\n[workspace]\nresolver = \"3\"\nmembers = [\"xtask\"]\n{exclude}\n{PROFILE}"
            ),
            profile: PROFILE,
            manifest: format!(
                "[package]\nname = \"xtask\"\ndescription = \"`cargo xtask`: starts Rondel\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
                 publish = false\n\n[dependencies]\nrondel = {{ {dependency} }}\n"
            ),
            main: MAIN,
            build_script: BUILD_SCRIPT,
            config: format!("[alias]\n{ALIAS}"),
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Returns a `Cargo.toml` with the member `xtask` and the profile, and without `exclude`, if it is one; or what to add by hand.
pub fn member_in(manifest: &str, source: &RondelSource) -> Result<String, String> {
    let mut text = manifest.to_owned();
    if !text.ends_with('\n') && !text.is_empty() {
        text.push('\n');
    }
    let path = match source {
        RondelSource::Path(path) if !path.starts_with("..") => Some(path.as_str()),
        RondelSource::Path(_) | RondelSource::Git(_) => None,
    };
    let by_hand = |line: &str| Err(format!("add {line} to `[workspace]` of Cargo.toml"));
    match section(&text, "[workspace]") {
        None if text.contains("[workspace") || text.contains("workspace =") => {
            return by_hand("`members = [\"xtask\"]`");
        }
        None => {
            let exclude = path.map(|path| format!("exclude = [\"{}\"]\n", escaped(path))).unwrap_or_default();
            text.push_str(&format!("\n[workspace]\nmembers = [\"xtask\"]\n{exclude}"));
        }
        Some(_) => {
            for (field, item) in [("members", Some("xtask")), ("exclude", path)] {
                let Some(item) = item else { continue };
                let Some(next) = with_item(&text, field, item) else {
                    return by_hand(&format!("\"{item}\" in `{field}`"));
                };
                text = next;
            }
        }
    }
    if !text.contains("[profile.xtask]") {
        text.push_str(&format!("\n{PROFILE}"));
    }
    Ok(text)
}

/// Returns the bytes of a section, without its head.
fn section(text: &str, head: &str) -> Option<std::ops::Range<usize>> {
    let mut place = 0;
    let mut start = None;
    for line in text.split_inclusive('\n') {
        let trimmed = line.split('#').next().unwrap_or_default().trim();
        match start {
            None if trimmed == head => start = Some(place + line.len()),
            Some(start) if trimmed.starts_with('[') && trimmed.ends_with(']') && !line.starts_with(' ') => {
                return Some(start..place);
            }
            _ => {}
        }
        place += line.len();
    }
    start.map(|start| start..place)
}

/// Returns the text with `item` first in the list `field` of `[workspace]`.
fn with_item(text: &str, field: &str, item: &str) -> Option<String> {
    let range = section(text, "[workspace]")?;
    let mut place = range.start;
    for line in text[range.clone()].split_inclusive('\n') {
        let name = line.split('=').next().unwrap_or_default().trim();
        if name == field {
            let open = line.find('[')?;
            let whole = &text[place + open..range.end];
            let list = &whole[..whole.find(']')?];
            if list.contains(&format!("\"{item}\"")) {
                return Some(text.to_owned());
            }
            let (before, after) = text.split_at(place + open + 1);
            let is_empty = list[1..].trim().is_empty();
            let separator = if is_empty || list.starts_with("[\n") { "" } else { ", " };
            // In a list of lines it gets a line of its own.
            let added =
                if list.starts_with("[\n") { format!("\n    \"{item}\",") } else { format!("\"{item}\"{separator}") };
            return Some(format!("{before}{added}{after}"));
        }
        place += line.len();
    }
    let (before, after) = text.split_at(range.start);
    Some(format!("{before}{field} = [\"{item}\"]\n{after}"))
}

/// Returns a `.cargo/config.toml` with the alias; or what to add by hand.
pub fn alias_in(config: &str) -> Result<String, String> {
    if config.lines().any(|line| line.split('=').next().unwrap_or_default().trim().trim_matches('"') == "xtask") {
        return if config.contains(ALIAS) {
            Ok(config.to_owned())
        } else {
            Err("`xtask` is an alias of its own in .cargo/config.toml".to_owned())
        };
    }
    match section(config, "[alias]") {
        Some(range) => {
            let (before, after) = config.split_at(range.start);
            let end = if before.ends_with('\n') { "" } else { "\n" };
            Ok(format!("{before}{end}{ALIAS}{after}"))
        }
        None if config.contains("alias") => {
            Err(format!("add `{}` to the aliases of .cargo/config.toml", ALIAS.trim_end()))
        }
        None => {
            let gap = if config.is_empty() || config.ends_with('\n') { "" } else { "\n" };
            Ok(format!("{config}{gap}\n[alias]\n{ALIAS}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git() -> RondelSource {
        RondelSource::Git("https://git.example/rondel.git".to_owned())
    }

    /// The profile is that of this repository, without its comments.
    #[test]
    fn the_profile_is_rondels_own() {
        let own = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")).unwrap();
        let lines = |text: &str| {
            let lines = text.lines().skip_while(|line| *line != "[profile.xtask]");
            let lines =
                lines.take_while(|line| *line != "[profile.test.package]").filter(|line| !line.starts_with('#'));
            lines.filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(PROFILE), lines(&own));
        let own = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cargo/config.toml")).unwrap();
        assert_eq!(CargoFiles::new(&git()).config, own);
    }

    #[test]
    fn the_build_script_is_rondels_own() {
        let own = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../xtask/build.rs")).unwrap();
        let own: String = own.split_inclusive('\n').filter(|line| !line.starts_with("#[allow(")).collect();
        assert_eq!(BUILD_SCRIPT, own);
    }

    #[test]
    fn sources() {
        let files = CargoFiles::new(&git());
        assert!(files.manifest.ends_with("rondel = { git = \"https://git.example/rondel.git\" }\n"));
        let files = CargoFiles::new(&RondelSource::Path("third_party/rondel".to_owned()));
        assert!(files.manifest.ends_with("rondel = { path = \"../third_party/rondel/crates/rondel\" }\n"));
        assert!(files.workspace.contains("exclude = [\"third_party/rondel\"]\n"));
    }

    #[test]
    fn members_of_a_workspace() {
        for (before, start) in [
            ("[workspace]\nmembers = [\"a\"]\n", "[workspace]\nmembers = [\"xtask\", \"a\"]\n"),
            (
                "[workspace]\nmembers = [\n    \"a\",\n]\n[x]\n",
                "[workspace]\nmembers = [\n    \"xtask\",\n    \"a\",\n]\n[x]\n",
            ),
            ("[workspace] # w\nresolver = \"3\"", "[workspace] # w\nmembers = [\"xtask\"]\nresolver = \"3\"\n"),
            ("[package]\nname = \"a\"\n", "[package]\nname = \"a\"\n\n[workspace]\nmembers = [\"xtask\"]\n"),
        ] {
            let after = member_in(before, &git()).unwrap();
            assert_eq!(after, format!("{start}\n{PROFILE}"), "{before}");
            assert_eq!(member_in(&after, &git()).unwrap(), after, "a second time");
        }
        assert!(member_in("workspace = { members = [] }\n", &git()).is_err());
        let path = RondelSource::Path("rondel".to_owned());
        let after = member_in("[workspace]\nmembers = []\n", &path).unwrap();
        assert!(after.starts_with("[workspace]\nexclude = [\"rondel\"]\nmembers = [\"xtask\"]\n"), "{after}");
    }

    #[test]
    fn aliases() {
        let own = format!("[alias]\n{ALIAS}");
        for (before, after) in [
            ("", format!("\n{own}")),
            ("[build]\njobs = 1\n", format!("[build]\njobs = 1\n\n{own}")),
            ("[alias]\nb = \"build\"\n", format!("{own}b = \"build\"\n")),
            (own.as_str(), own.clone()),
        ] {
            assert_eq!(alias_in(before).unwrap(), after, "{before}");
        }
        assert!(alias_in("[alias]\nxtask = \"run -p mine\"\n").is_err());
        assert!(alias_in("alias.b = \"build\"\n").is_err());
    }
}
