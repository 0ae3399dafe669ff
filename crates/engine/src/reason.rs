//! Why a step runs: typed, and true.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::action::{MemberKind, Members};
use crate::value_words::{difference, in_words};

/// One cause of a run, with old and new value where they exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "each field is what its name says, and Display spells it out")]
pub enum Reason {
    /// This step has never run here, and its result is in no store.
    NoPrevious,
    /// Nothing changed, but the stored result is gone.
    ResultGone,
    /// Nothing changed, but the last result was not stored.
    NotKept,
    /// `--force`
    Forced,
    /// Steps of this kind always run, or this one declares no inputs.
    Always {
        why: String,
    },
    InputChanged {
        path: String,
        old: String,
        new: String,
    },
    InputAdded {
        path: String,
        #[serde(default)]
        new: String,
    },
    InputRemoved {
        path: String,
        #[serde(default)]
        old: String,
    },
    UpstreamChanged {
        path: String,
        #[serde(default)]
        old: Option<String>,
        #[serde(default)]
        new: Option<String>,
    },
    ArgumentChanged {
        old: String,
        new: String,
    },
    EnvironmentChanged {
        name: String,
        old: Option<String>,
        new: Option<String>,
    },
    SettingChanged {
        name: String,
        old: Option<String>,
        new: Option<String>,
    },
    ToolChanged {
        name: String,
        old: Option<String>,
        new: Option<String>,
    },
    OutputsChanged,
    /// An output is missing and the store does not have it.
    OutputMissing {
        path: String,
    },
    /// The stored result was damaged.
    Corrupt {
        what: String,
    },
    /// A condition that the step checks by itself does not hold.
    NotPresent {
        what: String,
    },
    /// Of a question: only a build may start the program that tells whether the step has to run.
    Undecided {
        why: String,
    },
}

impl Reason {
    /// Why a step with words of the command line runs: they are in no key.
    pub const GIVEN_ARGUMENTS: &str = "it was given arguments";

    /// Returns true for that reason.
    pub(crate) fn is_of_arguments(&self) -> bool {
        matches!(self, Reason::Always { why } if why == Reason::GIVEN_ARGUMENTS)
    }

    /// Returns true if only a build can tell whether a step runs.
    pub fn are_undecided(reasons: &[Reason]) -> bool {
        matches!(reasons, [Reason::Undecided { .. }])
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_sealed = |value: &Option<String>| value.as_ref().is_some_and(|value| value.starts_with('#'));
        let change = |old: &Option<String>, new: &Option<String>| match (old, new) {
            (Some(old), Some(new)) => format!("changed {}", from_to(old, new)),
            (None, Some(new)) => format!("is new (`{}`)", shown(new)),
            _ => "is gone".to_owned(),
        };
        match self {
            Reason::NoPrevious => formatter.write_str("first build"),
            Reason::ResultGone => formatter.write_str("its stored result is gone"),
            Reason::NotKept => formatter.write_str("its last result was used but not cached"),
            Reason::Forced => formatter.write_str("forced"),
            Reason::Always { why } | Reason::Undecided { why } => formatter.write_str(why),
            Reason::InputChanged { path, .. } => write!(formatter, "{path} changed"),
            Reason::InputAdded { path, .. } => write!(formatter, "{path} is new"),
            Reason::InputRemoved { path, .. } => write!(formatter, "{path} is gone"),
            Reason::UpstreamChanged { path, new: None, old: Some(_) } => write!(formatter, "{path} is gone"),
            Reason::UpstreamChanged { path, .. } => write!(formatter, "{path} was rebuilt"),
            Reason::ArgumentChanged { old, new } => {
                write!(formatter, "arguments changed {}", from_to(old, new))
            }
            Reason::EnvironmentChanged { name, old, new } if is_sealed(old) && is_sealed(new) => {
                write!(formatter, "{name} changed")
            }
            Reason::EnvironmentChanged { name, old, new } if is_sealed(new) => match old {
                Some(_) => write!(formatter, "{name} comes from a file now"),
                None => write!(formatter, "{name} is new"),
            },
            Reason::EnvironmentChanged { name, old, new: Some(new) } if is_sealed(old) => {
                write!(formatter, "{name} changed to `{}`", shown(new))
            }
            Reason::EnvironmentChanged { name, old, new } => write!(formatter, "{name} {}", change(old, new)),
            Reason::SettingChanged { name, old: Some(old), new: Some(new) } => {
                match difference(old, new, &|text| format!("`{}`", shown(text))) {
                    Some(difference) => write!(formatter, "{name}: {difference}"),
                    None => write!(formatter, "{name} changed {}", from_to(&in_words(old), &in_words(new))),
                }
            }
            Reason::SettingChanged { name, old, new } => {
                write!(formatter, "{name} {}", change(old, &new.as_deref().map(in_words)))
            }
            Reason::ToolChanged { name, old, new } => write!(formatter, "the tool {name} {}", change(old, new)),
            Reason::OutputsChanged => formatter.write_str("its declared outputs changed"),
            Reason::OutputMissing { path } => write!(formatter, "{path} is missing"),
            Reason::Corrupt { what } => write!(formatter, "{what} was damaged in the cache"),
            Reason::NotPresent { what } => formatter.write_str(what),
        }
    }
}

/// Longest value that is shown whole, in characters: an explanation is one line.
const SHOWN_MAX: usize = 60;
/// Longest beginning that two values share and are both shown with, in bytes.
const SHARED_MAX: usize = 40;

/// Returns both values. Of long ones that begin alike, such as two `PATH`s, the beginning is left out.
fn from_to(old: &str, new: &str) -> String {
    let plain = |value: &'_ str| value.strip_prefix('=').unwrap_or(value).to_owned();
    let (old, new) = (plain(old), plain(new));
    let shared = old.bytes().zip(new.bytes()).take_while(|(one, other)| one == other).count();
    // At the end of a part, which is the end of a character too.
    let begin = old.as_bytes()[..shared].iter().rposition(|byte| b":;, \n".contains(byte)).map_or(0, |place| place + 1);
    let begin = if shared > SHARED_MAX && old.len().max(new.len()) > SHOWN_MAX { begin } else { 0 };
    let mark = if begin > 0 { "…" } else { "" };
    format!("from `{mark}{}` to `{mark}{}`", shown(&old[begin..]), shown(&new[begin..]))
}

/// Cuts long values.
fn shown(value: &str) -> String {
    let value = value.strip_prefix('=').unwrap_or(value);
    let short: String = value.chars().take(SHOWN_MAX).collect();
    if short.len() < value.len() { format!("{short}…") } else { short }
}

/// Returns the differences between two keys: causes first (files, then settings in words, then upstream results), then the rest.
pub(crate) fn differences(old: &Members, new: &Members) -> Vec<Reason> {
    let (settings, followed): (Vec<Reason>, Vec<Reason>) =
        named_differences(MemberKind::Setting, old, new).into_iter().partition(is_in_words);
    let mut reasons = named_differences(MemberKind::Input, old, new);
    reasons.extend(settings);
    for kind in [MemberKind::Upstream, MemberKind::Environment, MemberKind::Tool] {
        reasons.extend(named_differences(kind, old, new));
    }
    reasons.extend(followed);
    let of = |members: &Members, kind: MemberKind| -> Vec<String> {
        members
            .iter()
            .filter(|((other, _), _)| *other == kind)
            .map(|((_, name), value)| format!("{name}{value}"))
            .collect()
    };
    reasons.extend(argument_differences(old, new));
    if of(old, MemberKind::Output) != of(new, MemberKind::Output) {
        reasons.push(Reason::OutputsChanged);
    }
    reasons
}

/// Returns true if people write such values. A digest follows from other contents, which have a reason of their own.
fn is_in_words(reason: &Reason) -> bool {
    let Reason::SettingChanged { old, new, .. } = reason else { return true };
    let is_digest = |value: &String| {
        let digits = value.strip_prefix("sha256:").unwrap_or(value).bytes();
        digits.take_while(u8::is_ascii_hexdigit).count() == 64
    };
    !old.iter().chain(new).any(is_digest)
}

fn named_differences(kind: MemberKind, old: &Members, new: &Members) -> Vec<Reason> {
    fn of(members: &Members, kind: MemberKind) -> impl Iterator<Item = (&String, &String)> {
        let begin = members.range((kind, String::new())..);
        begin.take_while(move |((other, _), _)| *other == kind).map(|((_, name), value)| (name, value))
    }
    let (mut old, mut new) = (of(old, kind).peekable(), of(new, kind).peekable());
    let mut reasons = Vec::new();
    // Both are sorted by name.
    while let Some(name) = old.peek().map(|(name, _)| *name).into_iter().chain(new.peek().map(|(name, _)| *name)).min()
    {
        let before = old.next_if(|(other, _)| *other == name).map(|(_, value)| value);
        let after = new.next_if(|(other, _)| *other == name).map(|(_, value)| value);
        if before == after {
            continue;
        }
        let (name, before, after) = (name.clone(), before.cloned(), after.cloned());
        reasons.push(match (kind, before, after) {
            (MemberKind::Input, Some(old), Some(new)) => Reason::InputChanged { path: name, old, new },
            (MemberKind::Input, None, new) => Reason::InputAdded { path: name, new: new.unwrap_or_default() },
            (MemberKind::Input, old, _) => Reason::InputRemoved { path: name, old: old.unwrap_or_default() },
            (MemberKind::Upstream, old, new) => Reason::UpstreamChanged { path: name, old, new },
            (MemberKind::Environment, old, new) => Reason::EnvironmentChanged { name, old, new },
            (MemberKind::Tool, old, new) => Reason::ToolChanged { name, old, new },
            (_, old, new) => Reason::SettingChanged { name, old, new },
        });
    }
    reasons
}

/// Returns the arguments that differ, in pairs. For an argument that is a list of words itself (`-ldflags=…`), returns
/// the words.
fn argument_differences(old: &Members, new: &Members) -> Vec<Reason> {
    let list = |members: &Members| -> Vec<String> {
        members.iter().filter(|((kind, _), _)| *kind == MemberKind::Argument).map(|(_, value)| value.clone()).collect()
    };
    let (old, new) = (list(old), list(new));
    let mut reasons = Vec::new();
    for (old, new) in differing(&old, &new) {
        let words = |text: &Option<String>| -> Vec<String> {
            text.iter().flat_map(|text| text.split(' ')).map(str::to_owned).collect()
        };
        let text = |argument: Option<String>| argument.unwrap_or_else(|| "(none)".to_owned());
        let changed = match (&old, &new) {
            (Some(_), Some(_)) => differing(&words(&old), &words(&new)),
            (_, _) => Vec::new(),
        };
        // Where only spaces came or went, the words say nothing.
        let is_said =
            !changed.is_empty() && !changed.iter().flat_map(|(old, new)| [old, new]).flatten().any(String::is_empty);
        let pairs = if is_said { changed } else { vec![(old, new)] };
        reasons.extend(pairs.into_iter().map(|(old, new)| Reason::ArgumentChanged { old: text(old), new: text(new) }));
    }
    reasons
}

/// Returns the elements between the common beginning and the common end of two lists, in pairs.
fn differing(old: &[String], new: &[String]) -> Vec<(Option<String>, Option<String>)> {
    let begin = old.iter().zip(new).take_while(|(one, other)| one == other).count();
    let (old, new) = (&old[begin..], &new[begin..]);
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(one, other)| one == other).count();
    let (old, new) = (&old[..old.len() - end], &new[..new.len() - end]);
    let pairs = (0..old.len().max(new.len())).map(|index| (old.get(index).cloned(), new.get(index).cloned()));
    pairs.filter(|(old, new)| old != new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_shown_where_they_differ() {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/home/ö/bin";
        for (old, new, shown) in [
            ("a", "b", "from `a` to `b`"),
            (path, &format!("{path}:/more"), "from `…/home/ö/bin` to `…/home/ö/bin:/more`"),
            (&format!("{path}:/one"), &format!("{path}:/two"), "from `…/one` to `…/two`"),
            // Short ones, and those that begin otherwise, are shown from their beginning.
            ("/usr/bin:/bin", "/usr/bin", "from `/usr/bin:/bin` to `/usr/bin`"),
            (&format!("1{path}"), "2", "from `1/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/home/ö/b…` to `2`"),
        ] {
            assert_eq!(from_to(old, new), shown);
        }
    }

    #[test]
    fn what_somebody_wrote_comes_before_what_follows_from_it() {
        let members = |values: &[(MemberKind, &str, &str)]| -> Members {
            let member =
                |(kind, name, value): &(MemberKind, &str, &str)| ((*kind, (*name).to_owned()), (*value).to_owned());
            values.iter().map(member).collect()
        };
        let (one, other) = (format!("sha256:{:064}", 1), format!("{:064}/7", 2));
        let of = |setting: &str, digest: &str, file: &str| {
            members(&[
                (MemberKind::Setting, "diff ID 1", digest),
                (MemberKind::Setting, "health", setting),
                (MemberKind::Upstream, "layer", digest),
                (MemberKind::Input, "a.txt", file),
            ])
        };
        let texts = |old: &Members, new: &Members| -> Vec<String> {
            differences(old, new)
                .iter()
                .map(|reason| reason.to_string().split(' ').next().unwrap().to_owned())
                .collect()
        };
        assert_eq!(texts(&of("a", &one, "1"), &of("b", &other, "2")), ["a.txt", "health", "layer", "diff"]);
        assert_eq!(texts(&of("a", &one, "1"), &of("a", &other, "1")), ["layer", "diff"]);
        assert_eq!(texts(&members(&[]), &of("a", &one, "1")), ["a.txt", "health", "layer", "diff"]);
    }
}
