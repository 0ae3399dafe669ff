//! Differences between the embedded information of two Go executables: versions, settings, modules, build IDs. A reader
//! for comparisons that know no Go.

use crate::build_info::{BuildInfo, ModuleVersion};

/// Returns the differences, a line each; none if either is no Go executable. Both may be hostile.
pub fn executable_differences(first: &[u8], second: &[u8]) -> Vec<String> {
    let mut what = Vec::new();
    if let (Some(one), Some(other)) = (BuildInfo::of(first), BuildInfo::of(second)) {
        what.extend(build_info_differences(&one, &other));
    }
    if let (Some(one), Some(other)) = (build_id(first), build_id(second))
        && one != other
    {
        what.push(format!("Go's build ID: `{one}` and `{other}`"));
    }
    what
}

/// Returns `Go build ID: "…"`, near the beginning of the code.
fn build_id(bytes: &[u8]) -> Option<String> {
    const MARK: &[u8] = b"\xff Go build ID: \"";
    let head = &bytes[..bytes.len().min(1 << 20)];
    let at = head.windows(MARK.len()).position(|window| window == MARK)?;
    let rest = &head[at + MARK.len()..];
    let end = rest.iter().take(200).position(|&byte| byte == b'"')?;
    Some(String::from_utf8_lossy(&rest[..end]).escape_debug().to_string())
}

fn build_info_differences(one: &BuildInfo, other: &BuildInfo) -> Vec<String> {
    let mut what = Vec::new();
    let mut note = |name: &str, one: &str, other: &str| {
        if one != other {
            what.push(format!("{name}: `{one}` and `{other}`"));
        }
    };
    note("Go version", &one.go_version, &other.go_version);
    note("main package", &one.path, &other.path);
    let version = |info: &BuildInfo| info.main.as_ref().map(|main| main.version.clone()).unwrap_or_default();
    note("version of the main module", &version(one), &version(other));
    let mut names: Vec<&String> = one.settings.iter().chain(&other.settings).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    for name in names {
        let said = |info: &BuildInfo| info.setting(name).unwrap_or("(not set)").to_owned();
        note(&format!("build setting {name}"), &said(one), &said(other));
    }
    let module = |module: Option<&ModuleVersion>| {
        module.map_or_else(|| "(none)".to_owned(), |module| format!("{} {}", module.version, module.sum))
    };
    for dependency in one.dependencies.iter().chain(&other.dependencies) {
        let find = |info: &BuildInfo| module(info.dependencies.iter().find(|module| module.path == dependency.path));
        let (left, right) = (find(one), find(other));
        let line = format!("module {}: `{left}` and `{right}`", dependency.path);
        if left != right && !what.contains(&line) {
            what.push(line);
        }
    }
    what
}
