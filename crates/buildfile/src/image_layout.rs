//! Layouts of images that no container engine takes: files below files, places of the kernel, names of whiteouts, unknown
//! owners, names of images that are none. Knows the places of the static base and no file of the tree.

use rondel_names::ImageName;

use crate::image_path::is_within;
use crate::types::{FileSource, Files, Origin, Owner, Users};
use crate::{Diagnostic, Spanned, Text};

/// Directories of the static base, with those above them.
pub const BASE_DIRECTORIES: &[&str] =
    &["/etc", "/etc/ssl", "/etc/ssl/certs", "/home", "/home/nonroot", "/root", "/tmp"];
/// Files of the static base.
pub const BASE_FILES: &[&str] = &["/etc/group", "/etc/passwd", "/etc/ssl/certs/ca-certificates.crt"];
/// Names in the base's passwd; its groups have the same.
pub const BASE_USERS: &[&str] = &["root", "nobody", "nonroot"];
/// Place of the time zone data in an image.
pub const ZONE_FILE: &str = "/usr/share/zoneinfo.zip";
/// Place of the health probe in an image.
pub const PROBE_FILE: &str = "/rondel-probe";

/// Files that engines mount over.
const MOUNTED_FILES: &[&str] = &["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// What is known of an image below its own files. What other bases than the static one hold shows when they are read.
pub(crate) struct ImageBase<'a> {
    pub is_static: bool,
    pub users: &'a Users,
}

/// Reports files below files, and owners that the image does not have.
pub(crate) fn check_files(
    files: &Files,
    base: &ImageBase<'_>,
    has_probe: bool,
    has_zones: bool,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let (base_files, base_directories) =
        if base.is_static { (BASE_FILES, BASE_DIRECTORIES) } else { (&[][..], &[][..]) };
    let mut fixed: Vec<(&str, &str)> = Vec::new();
    fixed.extend(base_files.iter().map(|path| (*path, "a file of the static base")));
    fixed.extend(MOUNTED_FILES.iter().map(|path| (*path, "a file that Docker mounts")));
    fixed.extend(has_probe.then_some((PROBE_FILE, "the health probe")));
    fixed.extend(has_zones.then_some((ZONE_FILE, "the time zone data")));
    for (place, source) in files {
        let path = place.value.as_str();
        let mut report = |message: String, hint: &str| {
            diagnostics.push(Diagnostic::new(place.span, message).hint(hint));
        };
        let is_below = |outer: &str| path != outer && is_within(path, outer);
        let exclude = &source.value.exclude;
        if exclude.first().is_some_and(|glob| glob.value.starts_with('!')) {
            report(
                "`exclude` begins with what is put back, and nothing is left out yet".to_owned(),
                "begin with a glob without `!`",
            );
        }
        // Of an output only its target knows whether it is a directory.
        let is_link = |source: &Spanned<FileSource>| matches!(source.value.origin, Origin::Link(_));
        if let Some((outer, _)) = files.iter().find(|(outer, source)| is_link(source) && is_below(&outer.value)) {
            report(format!("`{path}` is below `{}`, which is a link", outer.value), "give one of them another path");
        } else if let Some((outer, what)) = fixed.iter().find(|(outer, _)| is_below(outer)) {
            report(format!("`{path}` is below `{outer}`, {what}"), "give it another path");
        }
        let zone_directories: &[&str] = if has_zones { &["/usr", "/usr/share"] } else { &[] };
        if is_output(&source.value.origin) && base_directories.iter().chain(zone_directories).any(|base| *base == path)
        {
            let what = if matches!(source.value.origin, Origin::Link(_)) { "a link" } else { "the output of a target" };
            report(format!("`{path}` is a directory of the image, and {what} is a file"), "give it a path below");
        }
        if has_probe && path == PROBE_FILE {
            report(format!("`{path}` is the place of the health probe"), "give it another path");
        }
        if let Some(owner) = &source.value.attributes.owner {
            check_owner(owner, files, base, diagnostics);
        }
    }
}

fn is_output(origin: &Origin) -> bool {
    match origin {
        Origin::Output { .. } | Origin::Link(_) => true,
        Origin::File(_) | Origin::Directory => false,
    }
}

/// Reports names that only a passwd of the image's own could have, if it has none.
fn check_owner(owner: &Owner, files: &Files, base: &ImageBase<'_>, diagnostics: &mut Vec<Diagnostic>) {
    if !base.is_static {
        return;
    }
    let is_added = |name: &str| base.users.iter().any(|(user, _)| user.value == name);
    let has_own = |table: &str| files.iter().any(|(place, _)| place.value == table || place.value == "/etc");
    let is_unknown = |name: &str, table: &str| {
        name.parse::<u32>().is_err() && !BASE_USERS.contains(&name) && !is_added(name) && !has_own(table)
    };
    let user = is_unknown(&owner.user, "/etc/passwd").then_some((&owner.user, "user"));
    let group = owner.group.as_ref().filter(|group| is_unknown(group, "/etc/group")).map(|group| (group, "group"));
    if let Some((name, what)) = user.or(group) {
        let message = format!("`{name}` is not a {what} of the image");
        let hint = format!("write numbers, \"10001:10001\", or one of {}", BASE_USERS.join(", "));
        diagnostics.push(Diagnostic::new(owner.span, message).hint(hint));
    }
}

/// Reports users that can't be added to those of the base.
pub(crate) fn check_users(users: &Users, files: &Files, is_static: bool, diagnostics: &mut Vec<Diagnostic>) {
    let tables = ["/etc", "/etc/passwd", "/etc/group"];
    let own = files.iter().find(|(place, _)| tables.contains(&place.value.as_str())).map(|(place, _)| &place.value);
    for (name, _) in users {
        let mut report = |message: String, hint: &str| diagnostics.push(Diagnostic::new(name.span, message).hint(hint));
        if is_static && BASE_USERS.contains(&name.value.as_str()) {
            report(format!("`{}` is a user of the static base", name.value), "give it another name");
        } else if let Some(own) = own {
            let message = format!("`{}` is added to the users of the base, and `{own}` is put over them", name.value);
            report(message, "write the user into your own file, or leave that out");
        }
    }
}

/// Reports names of images that are known without variables and can't be.
pub(crate) fn check_tags(tags: &[Text], diagnostics: &mut Vec<Diagnostic>) {
    for tag in tags {
        if let Some(Err(error)) = tag.as_literal().map(ImageName::new) {
            diagnostics.push(Diagnostic::new(tag.span, error.to_string()));
        }
    }
}

/// Reports a working directory that no engine enters.
pub(crate) fn check_workdir(workdir: Option<&Text>, diagnostics: &mut Vec<Diagnostic>) {
    if let Some((text, path)) = workdir.and_then(|text| Some((text, text.as_literal()?)))
        && !path.starts_with('/')
    {
        let message = format!("`{}` is not an absolute path", path.escape_debug());
        diagnostics.push(Diagnostic::new(text.span, message).hint("write \"/app\""));
    }
}
