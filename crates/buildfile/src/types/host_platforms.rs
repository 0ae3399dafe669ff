//! `HostPlatforms`: the machines that a target can run on, as `linux` or `darwin/arm64`.

use crate::field::FieldType;
use crate::reader::Reader;
use crate::shape::Shape;
use crate::value::Value;
use crate::{Diagnostic, Platform, PlatformPattern, Spanned, suggest};

/// An operating system, or a pattern of platforms.
#[derive(Clone, Debug)]
pub struct HostPlatform {
    text: String,
    pattern: PlatformPattern,
}

/// Platforms of machines, at least one.
#[derive(Clone, Debug)]
pub struct HostPlatforms(Vec<HostPlatform>);

const EXAMPLE: &str = "write an operating system and, if need be, an architecture: \"linux\", \"darwin/arm64\"";

impl HostPlatforms {
    /// Returns true if `platform` is one of them.
    pub fn has(&self, platform: &Platform) -> bool {
        self.0.iter().any(|host| host.pattern.matches(platform))
    }

    /// Returns the words, as written.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|host| host.text.as_str())
    }
}

impl HostPlatform {
    fn parse(text: &Spanned<String>) -> Result<HostPlatform, Diagnostic> {
        let word = &text.value;
        let full = if word.contains('/') { word.clone() } else { format!("{word}/*") };
        let wrong = |message: String| Diagnostic::new(text.span, message);
        if full.split('/').count() > 2 {
            return Err(wrong(format!("`{word}` has a variant, which no machine has")).hint(EXAMPLE));
        }
        let pattern = PlatformPattern::new(&full).map_err(|_| {
            let all: Vec<String> = Platform::all().collect();
            let systems = all.iter().filter_map(|platform| platform.split('/').next());
            let near = suggest(word, all.iter().map(String::as_str).chain(systems));
            let hint = near.map_or_else(|| EXAMPLE.to_owned(), |near| format!("did you mean `{near}`?"));
            wrong(format!("`{}` is no platform that Go knows", word.escape_debug())).hint(hint)
        })?;
        Ok(HostPlatform { text: word.clone(), pattern })
    }
}

impl FieldType for HostPlatform {
    const PLURAL: &'static str = "platforms";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<HostPlatform> {
        let text = reader.string(value, "a platform, \"linux\" or \"darwin/arm64\"")?;
        HostPlatform::parse(&text).map_err(|diagnostic| reader.report(diagnostic)).ok()
    }

    fn shape() -> Shape {
        Shape::string("platform", "^(\\*|[a-z0-9]+)(/(\\*|[a-z0-9]+))?$")
    }
}

impl FieldType for HostPlatforms {
    const PLURAL: &'static str = "lists of platforms";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<HostPlatforms> {
        let (field, before) = (reader.field, reader.diagnostics.len());
        let hosts = Vec::<HostPlatform>::read(reader, value)?;
        if hosts.is_empty() && reader.diagnostics.len() == before {
            reader.report(Diagnostic::new(value.span(), format!("`{field}` is empty")).hint(EXAMPLE));
        }
        Some(HostPlatforms(hosts))
    }

    fn shape() -> Shape {
        Shape::non_empty_list(HostPlatform::shape(), "platforms")
    }
}
