//! Declarations of options: each once, with name, value, allowed values and doc text. Reading, help and completions are
//! made from them. Knows no verb.

use std::collections::BTreeMap;

use crate::exit::Failure;

/// One declared option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OptionSpec {
    /// Name without dashes.
    pub long: &'static str,
    pub short: Option<char>,
    /// Name of its value in help; `None` if it takes none.
    pub value: Option<&'static str>,
    /// The allowed values; empty if any will do.
    pub allowed: &'static [&'static str],
    /// Its doc, in a line.
    pub doc: &'static str,
}

/// Returns an option without a value.
pub(crate) const fn option(long: &'static str) -> OptionSpec {
    OptionSpec { long, short: None, value: None, allowed: &[], doc: "" }
}

impl OptionSpec {
    /// Adds a short form.
    pub const fn short(mut self, letter: char) -> OptionSpec {
        self.short = Some(letter);
        self
    }

    /// Adds a value, which help calls `name`.
    pub const fn value(mut self, name: &'static str) -> OptionSpec {
        self.value = Some(name);
        self
    }
}

/// The type of an option's value. The default stands for an option that is not given.
pub(crate) trait OptionValue {
    /// The allowed values; empty if any will do.
    const ALLOWED: &'static [&'static str] = &[];

    /// Adds one occurrence. `option` has its dashes; `value` is empty if it takes none.
    fn accept(&mut self, option: &str, value: &str) -> Result<(), Failure>;
}

/// A struct of options, made by [`options!`].
pub(crate) trait OptionSet: Default {
    /// Returns its options, then those of the groups that it includes.
    fn specs() -> Vec<OptionSpec>;

    /// Adds one occurrence; returns `None` if this set has no such option.
    fn accept(&mut self, long: &str, value: &str) -> Option<Result<(), Failure>>;
}

/// Declares a struct of options: each field with its doc text and its [`option`], then the groups that it includes.
macro_rules! options {
    (
        $(#[$attribute:meta])*
        struct $name:ident {
            $( $(#[doc = $doc:literal])+ $field:ident: $kind:ty = $spec:expr, )*
            $( ..$group:ident: $group_kind:ty, )*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])+ pub $field: $kind, )*
            $( pub $group: $group_kind, )*
        }

        impl $crate::cli::option::OptionSet for $name {
            fn specs() -> Vec<$crate::cli::option::OptionSpec> {
                #[allow(unused_mut, reason = "some have no groups")]
                let mut specs: Vec<$crate::cli::option::OptionSpec> = vec![
                    $( $crate::cli::option::OptionSpec {
                        doc: concat!($($doc),+),
                        allowed: <$kind as $crate::cli::option::OptionValue>::ALLOWED,
                        ..$spec
                    }, )*
                ];
                $( specs.extend(<$group_kind as $crate::cli::option::OptionSet>::specs()); )*
                specs
            }

            #[allow(unused_variables, reason = "some have no options")]
            fn accept(&mut self, long: &str, value: &str) -> Option<Result<(), $crate::exit::Failure>> {
                $( if long == ($spec).long {
                    let option = format!("--{long}");
                    return Some($crate::cli::option::OptionValue::accept(&mut self.$field, &option, value));
                } )*
                $( if let Some(outcome) = $crate::cli::option::OptionSet::accept(&mut self.$group, long, value) {
                    return Some(outcome);
                } )*
                None
            }
        }
    };
}

/// Declares an enum that is the value of an option; the first is the default.
macro_rules! choice {
    (
        $(#[$attribute:meta])*
        enum $name:ident { $first:ident = $first_word:literal $(, $other:ident = $word:literal)* $(,)? }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) enum $name { #[default] $first, $($other),* }

        impl $crate::cli::option::OptionValue for $name {
            const ALLOWED: &'static [&'static str] = &[$first_word $(, $word)*];

            fn accept(&mut self, option: &str, value: &str) -> Result<(), $crate::exit::Failure> {
                *self = match value {
                    $first_word => $name::$first,
                    $( $word => $name::$other, )*
                    _ => return Err($crate::cli::option::not_allowed(option, Self::ALLOWED, value)),
                };
                Ok(())
            }
        }
    };
}

pub(crate) use {choice, options};

/// `--color takes auto, always or never, not …`
pub(crate) fn not_allowed(option: &str, allowed: &[&str], value: &str) -> Failure {
    let failure = Failure::usage(format!("{option} takes {}, not `{}`", listed(allowed, "or"), value.escape_debug()));
    match rondel_buildfile::suggest(value, allowed.iter().copied()) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure,
    }
}

/// `a, b or c`
pub(crate) fn listed(words: &[impl AsRef<str>], last: &str) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [before @ .., end] => format!("{} {last} {end}", before.join(", ")),
    }
}

impl OptionValue for bool {
    fn accept(&mut self, _: &str, _: &str) -> Result<(), Failure> {
        *self = true;
        Ok(())
    }
}

impl<T: OptionValue + Default> OptionValue for Option<T> {
    const ALLOWED: &'static [&'static str] = T::ALLOWED;

    fn accept(&mut self, option: &str, value: &str) -> Result<(), Failure> {
        let mut inner = T::default();
        inner.accept(option, value)?;
        *self = Some(inner);
        Ok(())
    }
}

impl OptionValue for String {
    fn accept(&mut self, _: &str, value: &str) -> Result<(), Failure> {
        value.clone_into(self);
        Ok(())
    }
}

/// Pairs `NAME=VALUE`.
impl OptionValue for BTreeMap<String, String> {
    fn accept(&mut self, option: &str, value: &str) -> Result<(), Failure> {
        let pair = value.split_once('=');
        let (name, value) =
            pair.ok_or_else(|| Failure::usage(format!("{option} takes NAME=VALUE, not `{}`", value.escape_debug())))?;
        self.insert(name.to_owned(), value.to_owned());
        Ok(())
    }
}
