//! `by_platform` of a `GoBuild`: settings of some of its platforms, and how several of them combine.

use crate::field::{FieldType, Visitor};
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::{Shape, paragraph};
use crate::types::maps::{Environment, Key, Map};
use crate::types::{BuildMode, Stamps, Tags};
use crate::value::Value;
use crate::{Diagnostic, Platform, PlatformPattern, Platforms, Spanned, Text, suggest};

record! {
    /// Settings of the platforms of a pattern: those that are given count there instead of the target's, or are merged with
    /// them.
    PlatformSettings = "by_platform" {
        /// Build tags, instead of the target's.
        tags: Option<Tags> = None,
        /// Flags of the linker, instead of the target's.
        ldflags: Option<Vec<Text>> = None,
        /// Flags of the compiler, instead of the target's.
        gcflags: Option<Vec<Text>> = None,
        /// Values of variables of the program, merged with the target's by name.
        stamp: Stamps = Stamps::default(),
        /// `-buildmode`, instead of the target's.
        buildmode: Option<BuildMode> = None,
        /// Builds with a C compiler, or without one.
        cgo: Option<bool> = None,
        /// Environment of the compile, merged with the target's by name.
        env: Environment = Environment::default(),
    }
}

/// Patterns of platforms, as keys.
#[derive(Clone, Debug)]
pub enum PatternOfPlatforms {}

/// Settings by pattern of platforms.
pub type ByPlatform = Map<PatternOfPlatforms, PlatformSettings>;

const EXAMPLE: &str = "write `os/architecture`, with `*` for any: \"windows/*\", \"linux/arm/v7\"";

impl Key for PatternOfPlatforms {
    const ENTRY: &'static str = "pattern";
    const EXPECTED: &'static str = "a map, `{\"windows/*\": (tags: [\"x\"])}`";
    const NAME: &'static str = "pattern of platforms";
    const PATTERN: &'static str = "^(\\*|[a-z0-9]+)/(\\*|[a-z0-9]+)(/(\\*|[a-z0-9.]+))?$";

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        let Err(error) = PlatformPattern::new(&key.value) else { return true };
        let all: Vec<String> = Platform::all().collect();
        let near = suggest(&key.value, all.iter().map(String::as_str));
        let hint = near.map_or_else(|| EXAMPLE.to_owned(), |near| format!("did you mean `{near}`?"));
        reader.report(Diagnostic::new(key.span, error.to_string()).hint(hint));
        false
    }
}

impl FieldType for PlatformSettings {
    const PLURAL: &'static str = "settings";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<PlatformSettings> {
        if value.call().is_some() || !value.is_named() {
            reader.report(value.unexpected("settings in parentheses, `(tags: [\"x\"])`"));
            return None;
        }
        let mut fields = reader.fields(PlatformSettings::WORD, value.span(), Some(value))?;
        let settings = <PlatformSettings as Record>::read(reader, &mut fields);
        reader.finish(fields);
        settings
    }

    fn shape() -> Shape {
        let (doc, fields) = (paragraph(PlatformSettings::DOC), PlatformSettings::fields());
        Shape::Fields { name: PlatformSettings::WORD, doc, fields }
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        Record::visit(self, visitor);
    }
}

impl ByPlatform {
    /// Returns the settings that are for `platform`: the more exact later, then those later in the file.
    pub fn of(&self, platform: &Platform) -> Vec<&PlatformSettings> {
        let mut found: Vec<(usize, &PlatformSettings)> = Vec::new();
        for (text, settings) in self {
            let pattern = PlatformPattern::new(&text.value).ok().filter(|pattern| pattern.matches(platform));
            found.extend(pattern.map(|pattern| (pattern.exactness(), settings)));
        }
        found.sort_by_key(|(exactness, _)| *exactness);
        found.into_iter().map(|(_, settings)| settings).collect()
    }

    /// Reports patterns that match none of the platforms that are declared.
    pub(crate) fn check(&self, declared: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        // Without any, it is the machine's own, which nobody knows here.
        if declared.is_empty() {
            return;
        }
        for (text, _) in self {
            let Ok(pattern) = PlatformPattern::new(&text.value) else { continue };
            if !declared.iter().any(|platform| pattern.matches(&platform.value)) {
                let list: Vec<String> = declared.iter().map(|platform| platform.value.to_string()).collect();
                let message = format!("`{pattern}` matches no platform of the target");
                diagnostics.push(Diagnostic::new(text.span, message).hint(format!("it is for {}", list.join(", "))));
            }
        }
    }
}
