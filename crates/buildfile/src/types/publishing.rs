//! `publish` of a `Release`: where it goes with `--publish`. It knows no forge.

use crate::field::{FieldType, Visitor};
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::{Default, Shape, paragraph};
use crate::text::{Text, TextSource};
use crate::types::strings::ENVIRONMENT_NAME;
use crate::value::Value;
use crate::{Diagnostic, Span};

/// A place that people download a release from.
#[derive(Clone, Debug)]
pub enum PublishTo {
    /// A release at github.com, or at a GitHub of one's own.
    GitHub(GitHubRelease),
    /// A release at a Gitea or Forgejo.
    Gitea(GiteaRelease),
    /// A directory of this machine.
    Directory(Text),
}

record! {
    /// A place of `publish`: a release at GitHub. It is a draft until all files are there.
    GitHubRelease = "GitHub" {
        /// `"owner/name"`
        repository: Text,
        /// The token, from the environment: `Secret("GITHUB_TOKEN")` if left out. It needs `contents: write`.
        token: Option<ForgeToken> = None,
        /// Address of GitHub's interface; `https://api.github.com` if left out, and `https://github.example/api/v3` for one of one's own.
        url: Option<Text> = None,
        ..release: ForgeRelease,
    }
}

record! {
    /// A place of `publish`: a release at a Gitea (1.22 or later) or Forgejo. It is a draft until all files are there.
    GiteaRelease = "Gitea" {
        /// Its address: `"https://codeberg.org"`.
        url: Text,
        /// `"owner/name"`
        repository: Text,
        /// The token, from the environment: `Secret("GITEA_TOKEN")` if left out. It needs `write:repository`.
        token: Option<ForgeToken> = None,
        ..release: ForgeRelease,
    }
}

record! {
    /// What forges have in common.
    ForgeRelease = "forge" {
        /// The tag; if left out, that of the commit with the version of the release, or else the variable `version`.
        tag: Option<Text> = None,
        /// The title; the tag if left out.
        title: Option<Text> = None,
        /// Leaves the release a draft, which somebody publishes by hand.
        draft: bool = false,
        /// Whether it is shown as not ready for everybody: `Auto` is by the version (`1.3.0-rc.1` is), or `true` or `false`.
        prerelease: Prerelease = Prerelease::Auto,
        /// Replaces files with other bytes while the release is a draft. Files of a published one are never replaced.
        replace: bool = false,
    }
}

/// Whether a release is shown as one for testers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prerelease {
    /// By its version.
    Auto,
    /// As it says.
    Is(bool),
}

/// The token of a forge: the name of a variable of the caller's environment.
#[derive(Clone, Debug)]
pub struct ForgeToken(Text);

impl ForgeToken {
    /// Returns the token in the variable `name`.
    pub fn of(name: &str, span: Span) -> ForgeToken {
        ForgeToken(Text { source: TextSource::Secret { name: name.to_owned() }, span })
    }

    /// Returns the secret as a text of the environment of a process is one.
    pub fn text(&self) -> &Text {
        &self.0
    }
}

impl FieldType for ForgeToken {
    const PLURAL: &'static str = "tokens";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<ForgeToken> {
        const EXPECTED: &str = "`Secret(\"NAME\")`";
        let span = value.span();
        match value.call().map(|call| (call.name, call.arguments)) {
            Some(("Secret", Some(arguments))) => {
                let name = reader.argument("Secret", arguments, span)?;
                reader.variable(name).map(|name| ForgeToken::of(&name, span))
            }
            _ => {
                let hint =
                    "a token comes from the environment, so that none is in a file or shown: Secret(\"GITHUB_TOKEN\")";
                reader.report(value.unexpected(EXPECTED).hint(hint));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::call("Secret", Shape::string("name", ENVIRONMENT_NAME))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        visitor.text(&self.0);
    }
}

impl FieldType for Prerelease {
    const PLURAL: &'static str = "choices";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Prerelease> {
        if value.call().is_some_and(|call| call.name == "Auto") {
            return reader.choice(value, &[("Auto", Prerelease::Auto)]);
        }
        reader.kept(value.parse("`Auto`, `true` or `false`")).map(Prerelease::Is)
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![Shape::Words(&["Auto"]), Shape::Boolean])
    }

    fn as_default(&self) -> Default {
        match self {
            Prerelease::Auto => Default::Word("Auto"),
            Prerelease::Is(value) => Default::Boolean(*value),
        }
    }
}

impl FieldType for PublishTo {
    const PLURAL: &'static str = "places";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<PublishTo> {
        const EXPECTED: &str =
            "`GitHub(repository: \"owner/name\")`, `Gitea(…)` or `Directory(\"/srv/releases/{version}\")`";
        let span = value.span();
        let call = value.call();
        match call.as_ref().map(|call| (call.name, call.name_span, call.arguments)) {
            Some(("GitHub", name, Some(arguments))) => {
                let release = record::<GitHubRelease>(reader, name, arguments)?;
                check_repository(reader, &release.repository)?;
                Some(PublishTo::GitHub(release))
            }
            Some(("Gitea", name, Some(arguments))) => {
                let release = record::<GiteaRelease>(reader, name, arguments)?;
                check_repository(reader, &release.repository)?;
                Some(PublishTo::Gitea(release))
            }
            Some(("Directory", _, Some(arguments))) => {
                let path = reader.argument("Directory", arguments, span)?;
                reader.text(path).map(PublishTo::Directory)
            }
            _ => {
                reader.report(value.unexpected(EXPECTED));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![
            record_shape::<GitHubRelease>(),
            record_shape::<GiteaRelease>(),
            Shape::call("Directory", Text::shape()),
        ])
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        match self {
            PublishTo::GitHub(release) => Record::visit(release, visitor),
            PublishTo::Gitea(release) => Record::visit(release, visitor),
            PublishTo::Directory(path) => path.visit(visitor),
        }
    }
}

fn record<T: Record>(reader: &mut Reader<'_>, name: Span, arguments: Value<'_>) -> Option<T> {
    let mut fields = reader.fields(T::WORD, name, Some(arguments))?;
    let release = T::read(reader, &mut fields);
    reader.finish(fields);
    release
}

fn record_shape<T: Record>() -> Shape {
    Shape::Record { name: T::WORD, doc: paragraph(T::DOC), fields: T::fields() }
}

/// Refuses what is no repository, where it is written out.
fn check_repository(reader: &mut Reader<'_>, text: &Text) -> Option<()> {
    let Some(literal) = text.as_literal() else { return Some(()) };
    let is_name = |part: &str| {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        !matches!(part, "" | "." | "..") && part.bytes().all(is_known)
    };
    if literal.split('/').count() == 2 && literal.split('/').all(is_name) {
        return Some(());
    }
    let message = format!("`{}` is no repository of a forge", literal.escape_debug());
    reader.report(Diagnostic::new(text.span, message).hint("write \"owner/name\", without the address of the forge"));
    None
}
