//! The reference part of docs/build-ron.md, made from the declarations.

use crate::file::BuildFile;
use crate::health::{Health, HealthCheck};
use crate::kinds::KINDS;
use crate::record::Record;
use crate::shape::{Field, Shape, paragraph};
use crate::target::{Common, Limits};
use crate::types::{
    Attachment, FileOptions, FileSource, GitHubRelease, GiteaRelease, Param, PlatformSettings, ReleasePackage,
};
use crate::{Group, field::FieldType};

/// Returns the reference of all fields as Markdown: the top level, the fields of every kind, and each kind.
pub fn reference() -> String {
    let mut text = String::new();
    section(&mut text, "### Top level", "", &BuildFile::fields());
    section(&mut text, "### Every kind", &paragraph(Common::DOC), &Common::fields());
    section(&mut text, "### Every kind but `Group`", &paragraph(Limits::DOC), &Limits::fields());
    for group in Group::ALL {
        for kind in KINDS.iter().filter(|kind| kind.group == group) {
            let mut doc = (kind.doc)();
            if let Some(field) = kind.alone {
                let fields = (kind.fields)();
                let is_list =
                    fields.iter().any(|other| other.name == field && matches!(other.shape, Shape::List { .. }));
                let value = if is_list { "[…]" } else { "\"…\"" };
                doc.push_str(&format!(" `{0}({value})` is `{0}({field}: {value})`.", kind.word));
            }
            section(&mut text, &format!("### `{}`", kind.word), &doc, &(kind.fields)());
        }
    }
    let title = format!("### Settings of platforms: `{}`", PlatformSettings::WORD);
    section(&mut text, &title, &paragraph(PlatformSettings::DOC), &PlatformSettings::fields());
    let title = format!("### {}", Param::shape().describe());
    section(&mut text, &title, &paragraph(Param::DOC), &Param::fields());
    let title = format!("### {}", Health::shape().describe());
    section(&mut text, &title, &paragraph(Health::DOC), &Health::fields());
    let title = format!("### {}", HealthCheck::TITLE);
    section(&mut text, &title, HealthCheck::DOC, &HealthCheck::command_fields());
    let title = |word: &str| format!("### `{word}(…)`");
    section(&mut text, &title(GitHubRelease::WORD), &paragraph(GitHubRelease::DOC), &GitHubRelease::fields());
    section(&mut text, &title(GiteaRelease::WORD), &paragraph(GiteaRelease::DOC), &GiteaRelease::fields());
    section(&mut text, &format!("### {}", FileSource::TITLE), FileSource::DOC, &FileOptions::fields());
    for (title, doc, fields) in ReleasePackage::sections() {
        section(&mut text, &format!("### {title}"), &paragraph(doc), &fields);
    }
    let title = format!("### Documents about images: `{}`", Attachment::WORD);
    section(&mut text, &title, &paragraph(Attachment::DOC), &Attachment::fields());
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn section(text: &mut String, title: &str, doc: &str, fields: &[Field]) {
    text.push_str(title);
    text.push_str("\n\n");
    if !doc.is_empty() {
        text.push_str(&format!("{doc}\n\n"));
    }
    if fields.is_empty() {
        return;
    }
    text.push_str("| Field | Type | Default | Meaning |\n| --- | --- | --- | --- |\n");
    for field in fields {
        let default = match &field.default {
            None => "required".to_owned(),
            Some(default) => Some(default.describe())
                .filter(|text| !text.is_empty())
                .map_or_else(|| "none".to_owned(), |text| format!("`{text}`")),
        };
        // A bar ends a cell, even between backticks.
        let cells = [field.shape.describe(), default, field.doc.clone()].map(|cell| cell.replace('|', "\\|"));
        text.push_str(&format!("| `{}` | {} |\n", field.name, cells.join(" | ")));
    }
    text.push('\n');
}
