//! The header of a package: what it is called, what it needs, what runs when it comes and goes.

use rondel_cas::Digest;

use super::files::PackageFiles;
use super::header::Header;
use super::relation::{self, Relation};
use super::tags;
use crate::package::{Moment, Package, PackageError, unit_script};

/// Digests of the archive in the package.
pub(super) struct Payload {
    pub compressed: Digest,
    pub plain: Digest,
}

/// Conditions in scriptlets: the last one is removed, and another version was there before.
const CONDITIONS: (&str, &str) = ("[ \"$1\" = 0 ]", "[ \"$1\" -gt 1 ]");

/// Checks what only this format wants.
pub(super) fn check(package: &Package) -> Result<(), PackageError> {
    let wrong = |text: String| Err(PackageError::Value(text));
    let is_word = |text: &str, others: &str| {
        !text.is_empty() && text.chars().all(|one| one.is_ascii_alphanumeric() || others.contains(one))
    };
    let name = &package.name;
    if !is_word(name, "._+-") || !name.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return wrong(format!(
            "`{}` is no name of an RPM package: letters, digits, `.`, `_`, `+` and `-`, a letter or digit first",
            name.escape_default()
        ));
    }
    for (what, text) in [("version", &package.version), ("release", &package.release)] {
        if !is_word(text, "._+~^") {
            return wrong(format!(
                "`{}` is no {what} of an RPM package: letters, digits, `.`, `_`, `+`, `~` and `^`",
                text.escape_default()
            ));
        }
    }
    if !is_word(&package.architecture, "_") {
        return wrong(format!("`{}` is no architecture of RPM", package.architecture));
    }
    if package.licence.is_empty() {
        return wrong("an RPM package needs a licence, like `MIT`".to_owned());
    }
    Ok(())
}

/// Returns the header.
pub(super) fn header(package: &Package, files: &PackageFiles, payload: &Payload) -> Result<Header, PackageError> {
    let too_large = || PackageError::Value("the files of an RPM package have less than 4 GiB".to_owned());
    let description = package.description.trim();
    let (summary, more) = description.split_once('\n').unwrap_or((description, description));
    let created = u32::try_from(package.created).map_err(|_| too_large())?;
    let mut header = Header::default();
    header.texts(tags::LOCALES, ["C"]);
    header.text(tags::NAME, &package.name);
    header.text(tags::VERSION, &package.version);
    header.text(tags::RELEASE, &package.release);
    header.translated(tags::SUMMARY, summary.trim());
    header.translated(tags::DESCRIPTION, more.trim_matches('\n'));
    header.numbers(tags::BUILD_TIME, &[created]);
    header.numbers(tags::SIZE, &[u32::try_from(files.size()).map_err(|_| too_large())?]);
    header.text(tags::LICENSE, &package.licence);
    header.text(tags::PACKAGER, &package.maintainer);
    let group = if package.section.is_empty() { "Unspecified" } else { &package.section };
    header.translated(tags::GROUP, group);
    if !package.homepage.is_empty() {
        header.text(tags::URL, &package.homepage);
    }
    header.text(tags::OS, "linux");
    header.text(tags::ARCH, &package.architecture);
    // Without the name of a source package, this would be one.
    let source = format!("{}-{}-{}.src.rpm", package.name, package.version, package.release);
    header.text(tags::SOURCE_RPM, &source);
    files.describe(&mut header, created);
    header.text(tags::PAYLOAD_FORMAT, "cpio");
    header.text(tags::PAYLOAD_COMPRESSOR, "gzip");
    header.text(tags::PAYLOAD_FLAGS, "9");
    header.text(tags::ENCODING, "utf-8");
    header.texts(tags::PAYLOAD_DIGEST, [payload.compressed.hex().as_str()]);
    header.numbers(tags::PAYLOAD_DIGEST_ALGORITHM, &[tags::SHA256]);
    header.texts(tags::PAYLOAD_DIGEST_PLAIN, [payload.plain.hex().as_str()]);
    add_programs_and_relations(package, &mut header)?;
    Ok(header)
}

/// Adds the scripts, and all other packages that this one names.
pub(super) fn add_programs_and_relations(package: &Package, header: &mut Header) -> Result<(), PackageError> {
    let programs = add_scripts(package, header)?;
    add_relations(package, header, programs)
}

/// Adds the scripts; returns the programs that have to be there for them.
fn add_scripts(package: &Package, header: &mut Header) -> Result<Vec<Relation>, PackageError> {
    let scripts = &package.scripts;
    let all = [
        (Moment::BeforeInstall, &scripts.before_install),
        (Moment::AfterInstall, &scripts.after_install),
        (Moment::BeforeRemoval, &scripts.before_removal),
        (Moment::AfterRemoval, &scripts.after_removal),
    ];
    let mut programs = Vec::new();
    for (index, (moment, script)) in all.into_iter().enumerate() {
        let script = unit_script(moment, script, &package.units, CONDITIONS)?;
        let Some((first, body)) = script.split_once('\n') else { continue };
        // `rpm` hands the text to the program, which has a place of its own.
        let words: Vec<&str> = first.trim_start_matches("#!").split_whitespace().collect();
        let Some(program) = words.first() else { continue };
        let (text, programs_tag) = tags::SCRIPTS[index];
        header.text(text, body);
        if words.len() == 1 {
            header.text(programs_tag, program);
        } else {
            header.texts(programs_tag, words.iter().copied());
        }
        programs.push(Relation::new(program, tags::INTERPRETER | tags::OF_SCRIPT[index], ""));
    }
    Ok(programs)
}

fn add_relations(package: &Package, header: &mut Header, programs: Vec<Relation>) -> Result<(), PackageError> {
    let read = |field: &str, texts: &[String]| {
        texts.iter().map(|text| Relation::read(field, text)).collect::<Result<Vec<_>, _>>()
    };
    let relations = &package.relations;
    let full = format!("{}-{}", package.version, package.release);
    let mut requires = read("depends", &relations.depends)?;
    requires.extend(programs);
    let mut features =
        vec![("CompressedFileNames", "3.0.4-1"), ("FileDigests", "4.6.0-1"), ("PayloadFilesHavePrefix", "4.0-1")];
    let texts = [&package.version, &package.release];
    if texts.iter().any(|text| text.contains('~')) {
        features.push(("TildeInVersions", "4.10.0-1"));
    }
    if texts.iter().any(|text| text.contains('^')) {
        features.push(("CaretInVersions", "4.15.0-1"));
    }
    let flags = tags::RPMLIB | tags::LESS | tags::EQUAL;
    requires.extend(features.iter().map(|(name, version)| Relation::new(&format!("rpmlib({name})"), flags, version)));
    let mut provides = read("provides", &relations.provides)?;
    provides.push(Relation::new(&package.name, tags::EQUAL, &full));
    if package.entries.values().any(|entry| entry.is_config) {
        provides.push(Relation::new(&format!("config({})", package.name), tags::EQUAL | tags::CONFIG, &full));
        requires.push(Relation::new(&format!("config({})", package.name), tags::EQUAL | tags::CONFIG, &full));
    }
    relation::add(header, tags::PROVIDES, provides);
    relation::add(header, tags::REQUIRES, requires);
    relation::add(header, tags::CONFLICTS, read("conflicts", &relations.conflicts)?);
    relation::add(header, tags::OBSOLETES, read("replaces", &relations.replaces)?);
    relation::add(header, tags::RECOMMENDS, read("recommends", &relations.recommends)?);
    Ok(())
}
