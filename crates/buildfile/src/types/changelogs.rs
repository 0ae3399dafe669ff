//! `changelog` of a `Release`: which commits it lists, and in what form.

use crate::field::FieldType;
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::{Default, Shape, paragraph};
use crate::text::Text;
use crate::types::ArtifactName;
use crate::types::git_queries::TagPattern;
use crate::types::maps::{Key, Map};
use crate::types::strings::SourcePath;
use crate::types::url_templates::{CommitUrl, IssueUrl};
use crate::value::Value;
use crate::{Diagnostic, Spanned};

record! {
    /// The changelog of a release, made of the commits since the last one. `()` is enough.
    Changelog = "changelog" {
        /// Name of the file.
        file: ArtifactName = ArtifactName::own("CHANGELOG.md"),
        /// Its heading; the version if left out.
        title: Option<Text> = None,
        /// Pattern of the tags that are releases, as git has it. The commits since the last such tag behind HEAD are listed, and all
        /// if there is none. Tags of pre-releases (`v1.2.3-rc.1`) count only for a pre-release.
        since: Option<TagPattern> = None,
        /// Groups by the types of Conventional Commits, in this order: heading to types. `"!"` are changes that break something, `"*"`
        /// is everything else. If left out: `{"Breaking changes": ["!"], "Features": ["feat"], "Fixes": ["fix"], "Others": ["*"]}`. `{}` is one list of
        /// all subjects as they are.
        groups: Option<CommitGroups> = None,
        /// Types that are left out, unless they break something; `["chore", "ci", "docs", "style", "test"]` if not given.
        leave_out: Option<Vec<CommitType>> = None,
        /// Directories and files whose commits are listed, relative to `root`; all commits if left out. For a repository of several
        /// modules, `["cli"]`.
        paths: Vec<SourcePath> = Vec::new(),
        /// Address of a commit: `"https://example.com/x/commit/{hash}"`. Each line then has a link to its commit.
        commit_url: Option<CommitUrl> = None,
        /// Address of an issue: `"https://example.com/x/issues/{number}"`. `#12` is then a link.
        issue_url: Option<IssueUrl> = None,
        /// Names the authors.
        authors: bool = false,
    }
}

/// Headings of groups.
#[derive(Clone, Debug)]
pub enum GroupTitle {}

/// Types of commits by the heading of their group.
pub type CommitGroups = Map<GroupTitle, Vec<CommitType>>;

/// A type of commits, `!` or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitType(Spanned<String>);

impl std::ops::Deref for CommitType {
    type Target = Spanned<String>;
    fn deref(&self) -> &Spanned<String> {
        &self.0
    }
}

impl Key for GroupTitle {
    const ENTRY: &'static str = "group";
    const EXPECTED: &'static str = "a map, `{\"Features\": [\"feat\"]}`";
    const NAME: &'static str = "heading";
    const PATTERN: &'static str = "\\S";

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        let is_sound = !key.value.trim().is_empty() && !key.value.contains(char::is_control);
        if !is_sound {
            reader.report(Diagnostic::new(key.span, "a group needs a heading of one line").hint("write \"Features\""));
        }
        is_sound
    }
}

impl FieldType for CommitType {
    const PLURAL: &'static str = "types of commits";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<CommitType> {
        let text = reader.string(value, "a type of commits, \"feat\"")?;
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if matches!(text.value.as_str(), "!" | "*") || !text.value.is_empty() && text.value.bytes().all(is_word) {
            return Some(CommitType(text));
        }
        let message = format!("`{}` is no type of commits", text.value.escape_debug());
        let hint = "a type is a word in lower case, \"feat\"; \"!\" is what breaks something, \"*\" everything else";
        reader.report(Diagnostic::new(text.span, message).hint(hint));
        None
    }

    fn shape() -> Shape {
        Shape::string("type of commits", "^([a-z0-9-]+|!|\\*)$")
    }
}

impl FieldType for Changelog {
    const PLURAL: &'static str = "changelogs";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Changelog> {
        if value.call().is_some() || !value.is_named() {
            reader.report(value.unexpected("settings in parentheses, `(authors: true)`"));
            return None;
        }
        let mut fields = reader.fields(Changelog::WORD, value.span(), Some(value))?;
        let changelog = <Changelog as Record>::read(reader, &mut fields);
        reader.finish(fields);
        changelog
    }

    fn shape() -> Shape {
        Shape::Fields { name: Changelog::WORD, doc: paragraph(Changelog::DOC), fields: Changelog::fields() }
    }

    fn visit<'a>(&'a self, visitor: &mut dyn crate::field::Visitor<'a>) {
        Record::visit(self, visitor);
    }

    fn as_default(&self) -> Default {
        Default::None
    }
}
