//! Filters of templates: `{version|trim_prefix:v|major}`. They change the value of a variable, from left to right, and
//! know nothing but its text.

use std::fmt;

use rondel_names::is_tag;

use crate::{VariableName, suggest};

/// A variable in a template, with its filters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VariableUse {
    /// The variable.
    pub name: VariableName,
    /// The filters, in order.
    pub filters: Vec<Filter>,
}

/// A change of a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    /// `trim_prefix:v`: without this beginning, if it has it.
    TrimPrefix(String),
    /// `major`, `minor`, `patch`: a number of `1.2.3`, the index from 0.
    Number(usize),
    /// `lower`: in lower case.
    Lower,
    /// `slug`: with `-` for each run of characters that a tag of an image can't have.
    Slug,
    /// `short:12`: the first characters.
    Short(usize),
    /// `default:x`: this text in place of an empty one, or where there is no value.
    Default(String),
}

/// The names of filters, as they are listed for people.
const NAMES: &[&str] = &["trim_prefix", "major", "minor", "patch", "lower", "slug", "short", "default"];
/// The numbers of a version, in order.
const NUMBERS: &[&str] = &["major", "minor", "patch"];
/// Longest tag of an image.
const TAG_MAX: usize = 128;

impl VariableUse {
    /// Reads `name` or `name|filter|…`; the error states the mistake.
    pub fn parse(text: &str) -> Result<VariableUse, String> {
        let mut words = text.split('|');
        let name = words.next().unwrap_or_default();
        if name.contains(':') && text.contains('|') {
            return Err(format!("`{{{}}}`: filters are for variables", text.escape_debug()));
        }
        let name = VariableName::new(name).map_err(|error| error.to_string())?;
        let filters: Result<Vec<Filter>, String> = words.map(Filter::parse).collect();
        let filters = filters.map_err(|why| format!("`{{{}}}`: {why}", text.escape_debug()))?;
        Ok(VariableUse { name, filters })
    }

    /// Returns the value after all filters; `None` is no value.
    pub fn apply(&self, value: Option<String>) -> Result<Option<String>, String> {
        let mut value = value;
        for filter in &self.filters {
            value = match (filter, value) {
                (Filter::Default(text), value) => Some(value.filter(|value| !value.is_empty()).unwrap_or(text.clone())),
                (filter, Some(value)) => Some(filter.apply(&value).map_err(|why| format!("`{self}`: {why}"))?),
                (_, None) => None,
            };
        }
        Ok(value)
    }
}

impl fmt::Display for VariableUse {
    /// Writes it as in a template.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{{{}", self.name)?;
        for filter in &self.filters {
            match filter {
                Filter::TrimPrefix(text) => write!(formatter, "|trim_prefix:{text}")?,
                Filter::Number(index) => write!(formatter, "|{}", NUMBERS[*index])?,
                Filter::Lower => formatter.write_str("|lower")?,
                Filter::Slug => formatter.write_str("|slug")?,
                Filter::Short(count) => write!(formatter, "|short:{count}")?,
                Filter::Default(text) => write!(formatter, "|default:{text}")?,
            }
        }
        formatter.write_str("}")
    }
}

impl Filter {
    /// Returns true for the name of a filter.
    pub fn is_name(word: &str) -> bool {
        NAMES.contains(&word)
    }

    /// Reads `name` or `name:argument`; the error states the mistake.
    fn parse(text: &str) -> Result<Filter, String> {
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        match (name, argument) {
            ("trim_prefix", Some(prefix)) if !prefix.is_empty() => Ok(Filter::TrimPrefix(prefix.to_owned())),
            ("trim_prefix", _) => Err("`trim_prefix` takes a text, `trim_prefix:v`".to_owned()),
            ("default", Some(text)) => Ok(Filter::Default(text.to_owned())),
            ("default", None) => Err("`default` takes a text, `default:dev`".to_owned()),
            ("short", argument) => match argument.map(str::parse::<usize>) {
                Some(Ok(count)) if count > 0 => Ok(Filter::Short(count)),
                _ => Err("`short` takes a number of characters, `short:12`".to_owned()),
            },
            ("lower", None) => Ok(Filter::Lower),
            ("slug", None) => Ok(Filter::Slug),
            (name, None) if NUMBERS.contains(&name) => {
                Ok(Filter::Number(NUMBERS.iter().position(|other| *other == name).unwrap_or_default()))
            }
            (name, Some(_)) if Filter::is_name(name) => Err(format!("`{name}` takes nothing after it")),
            (name, _) => Err(match suggest(name, NAMES.iter().copied()) {
                Some(near) => format!("there is no filter `{}`; did you mean `{near}`?", name.escape_debug()),
                None => format!("there is no filter `{}`; filters are {}", name.escape_debug(), NAMES.join(", ")),
            }),
        }
    }

    fn apply(&self, value: &str) -> Result<String, String> {
        Ok(match self {
            Filter::TrimPrefix(prefix) => value.strip_prefix(prefix.as_str()).unwrap_or(value).to_owned(),
            Filter::Number(index) => number(value, *index)?.to_owned(),
            Filter::Lower => value.to_lowercase(),
            Filter::Slug => slug(value),
            Filter::Short(count) => value.chars().take(*count).collect(),
            Filter::Default(_) => value.to_owned(),
        })
    }
}

/// Returns a number of the version `1.2.3`, which may begin with `v` and go on with `-…` or `+…`.
fn number(version: &str, index: usize) -> Result<&str, String> {
    let bare = version.strip_prefix('v').unwrap_or(version);
    let bare = bare.find(['-', '+']).map_or(bare, |end| &bare[..end]);
    let numbers: Vec<&str> = bare.split('.').collect();
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if numbers.len() > NUMBERS.len() || !numbers.iter().all(is_number) {
        return Err(format!("`{}` is no version like `v1.2.3`", version.escape_debug()));
    }
    numbers.get(index).copied().ok_or_else(|| format!("the version `{version}` has no {} number", NUMBERS[index]))
}

/// Returns a text that can be the tag of an image; an empty one if nothing of it can.
fn slug(text: &str) -> String {
    let is_kept = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
    let mut slug = String::new();
    let mut replaced = false;
    for character in text.chars() {
        if is_kept(character) {
            slug.push(character);
        } else if !replaced {
            slug.push('-');
        }
        replaced = !is_kept(character);
    }
    let slug = slug.trim_start_matches(['-', '.']);
    // Only single bytes are left.
    let slug = slug[..slug.len().min(TAG_MAX)].trim_end_matches(['-', '.']).to_owned();
    debug_assert!(slug.is_empty() || is_tag(&slug));
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the value after the filters of `text`, or the mistake.
    fn value(text: &str, value: &str) -> String {
        let used = VariableUse::parse(text).unwrap();
        assert_eq!(used.to_string(), format!("{{{text}}}"));
        used.apply(Some(value.to_owned())).map_or_else(|error| error, Option::unwrap_or_default)
    }

    #[test]
    fn filters_change_values_from_left_to_right() {
        for (text, before, after) in [
            ("v|trim_prefix:v", "v1.2.3", "1.2.3"),
            ("v|trim_prefix:v", "vv1", "v1"),
            ("v|trim_prefix:v", "1.2.3", "1.2.3"),
            ("v|trim_prefix:rel/a:b", "rel/a:b1", "1"),
            ("v|major", "v1.20.3-rc.1+x", "1"),
            ("v|minor", "1.20.3-4-gabcdef", "20"),
            ("v|patch", "v1.20.03", "03"),
            ("v|major", "7", "7"),
            ("v|lower", "ÄB/c", "äb/c"),
            ("v|short:3", "äbcd", "äbc"),
            ("v|short:12", "abc", "abc"),
            ("v|default:a:b", "", "a:b"),
            ("v|default:", "", ""),
            ("v|default:x", "y", "y"),
            ("v|slug|lower|short:5", "Feature/x", "featu"),
            ("v|trim_prefix:a|default:x", "a", "x"),
        ] {
            assert_eq!(value(text, before), after, "{text}");
        }
        let none = |text: &str| VariableUse::parse(text).unwrap().apply(None).unwrap();
        assert_eq!(none("v"), None);
        assert_eq!(none("v|lower|short:1"), None);
        assert_eq!(none("v|major|default:X|lower").as_deref(), Some("x"));
    }

    #[test]
    fn slugs_are_tags() {
        for (before, after) in [
            ("feature/x", "feature-x"),
            ("v1.2.3", "v1.2.3"),
            ("v1.2.3+build", "v1.2.3-build"),
            ("a//ä b", "a-b"),
            ("a-/b", "a--b"),
            ("/-.a.-/", "a"),
            ("_a_", "_a_"),
            ("///", ""),
            ("", ""),
        ] {
            assert_eq!(value("v|slug", before), after, "{before}");
            assert!(after.is_empty() || is_tag(after));
        }
        assert_eq!(value("v|slug", &"a".repeat(200)).len(), 128);
        assert_eq!(value("v|slug", &format!("{}/b", "a".repeat(127))), "a".repeat(127));
    }

    #[test]
    fn mistakes() {
        let wrong = |text: &str| VariableUse::parse(text).unwrap_err();
        assert_eq!(wrong("v|slag"), "`{v|slag}`: there is no filter `slag`; did you mean `slug`?");
        assert_eq!(
            wrong("v|upper"),
            "`{v|upper}`: there is no filter `upper`; filters are trim_prefix, major, minor, patch, lower, slug, short, \
             default"
        );
        assert_eq!(wrong("v|slug:x"), "`{v|slug:x}`: `slug` takes nothing after it");
        assert_eq!(wrong("v|trim_prefix:"), "`{v|trim_prefix:}`: `trim_prefix` takes a text, `trim_prefix:v`");
        for text in ["v|short", "v|short:", "v|short:0", "v|short:-1", "v|short:x"] {
            assert_eq!(wrong(text), format!("`{{{text}}}`: `short` takes a number of characters, `short:12`"));
        }
        assert_eq!(wrong("v|default"), "`{v|default}`: `default` takes a text, `default:dev`");
        assert_eq!(wrong("image:digest|slug"), "`{image:digest|slug}`: filters are for variables");
        for text in ["v|", "|slug", "v | slug", "v| slug", "v||slug"] {
            assert!(VariableUse::parse(text).is_err(), "{text}");
        }
        assert_eq!(value("v|major", "dev"), "`{v|major}`: `dev` is no version like `v1.2.3`");
        assert_eq!(value("v|major", ""), "`{v|major}`: `` is no version like `v1.2.3`");
        assert_eq!(value("v|patch", "v1.2"), "`{v|patch}`: the version `v1.2` has no patch number");
        assert_eq!(value("v|patch", "1.2.3.4"), "`{v|patch}`: `1.2.3.4` is no version like `v1.2.3`");
    }
}
