//! `record!` and `kind!`: one declaration gives the struct and its reader. It also gives its part of the reference and
//! of the schema, and the walk over its texts, paths and references.
//!
//! A field is `/// meaning`, `name: Type = default`. A field without a default is required. The name in the struct is
//! the name in build.ron. `..shared: Type` at the end adds the fields of another record.

use crate::Group;
use crate::field::Visitor;
use crate::reader::{Fields, Reader};
use crate::shape::Field;

/// Fields declared together.
pub(crate) trait Record: Sized {
    /// The word in build.ron.
    const WORD: &'static str;
    /// Its meaning.
    const DOC: &'static str;

    /// Returns its fields in the order of the declaration.
    fn fields() -> Vec<Field>;

    /// Reads all fields and reports all mistakes. Returns `None` if a field without a default could not be read.
    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self>;

    /// Passes every text, path and reference to `visitor`.
    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>);
}

/// Returns the name of a field as build.ron has it: `match` for `r#match`.
pub(crate) fn written(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// The parts of a kind's declaration other than its fields.
pub(crate) trait Declaration: Record {
    /// Section of its targets in the list.
    const GROUP: Group;
    /// The field whose name may be left out if it is the only one, as in `Shell("…")`; none or one.
    const ALONE: &'static [&'static str];
}

/// Declares a record: `record! { /// meaning Name = "Word" { fields } }`.
macro_rules! record {
    ($(#[doc = $doc:literal])* $name:ident = $word:literal { $($body:tt)* }) => {
        $crate::record::record! { @($word) $(#[doc = $doc])* $name { $($body)* } }
    };
    (
        @($word:expr) $(#[doc = $doc:literal])* $name:ident {
            $( $(#[doc = $meaning:literal])* $field:ident : $type:ty $(= $default:expr)?, )*
            $( .. $shared:ident : $record:ty $(,)? )?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $( $(#[doc = $meaning])* pub $field: $type, )*
            $( #[doc = "The fields that it shares with other records."] pub $shared: $record, )?
        }

        impl $crate::record::Record for $name {
            const WORD: &'static str = $word;
            const DOC: &'static str = concat!($($doc, "\n"),*);

            #[allow(unused_mut, reason = "extended only where fields are shared")]
            fn fields() -> Vec<$crate::shape::Field> {
                let mut fields = vec![
                    $( $crate::shape::Field::new::<$type>(
                        $crate::record::written(stringify!($field)),
                        concat!($($meaning, "\n"),*),
                        &[$(|| $default)?],
                    ), )*
                ];
                $( fields.extend(<$record as $crate::record::Record>::fields()); )?
                fields
            }

            #[allow(unused_variables, reason = "a record may be without fields")]
            fn read(
                reader: &mut $crate::reader::Reader<'_>,
                fields: &mut $crate::reader::Fields<'_>,
            ) -> Option<Self> {
                $( let $field = reader.field::<$type>(
                    fields,
                    $crate::record::written(stringify!($field)),
                    &[$(|| $default)?],
                ); )*
                $( let $shared = <$record as $crate::record::Record>::read(reader, fields); )?
                Some($name { $( $field: $field?, )* $( $shared: $shared?, )? })
            }

            #[allow(unused_variables, reason = "a record may be without fields")]
            fn visit<'a>(&'a self, visitor: &mut dyn $crate::field::Visitor<'a>) {
                $( $crate::field::FieldType::visit(&self.$field, visitor); )*
                $( $crate::record::Record::visit(&self.$shared, visitor); )?
            }
        }
    };
}

/// Declares a kind: `kind! { /// meaning GoBuild in Group::Build { fields } }`. `Name = "Word"` gives the struct a name
/// other than the word; `Name(field)` lets `Word(value)` stand for `Word(field: value)`.
macro_rules! kind {
    (@word $name:ident) => { stringify!($name) };
    (@word $name:ident $word:literal) => { $word };
    (
        $(#[doc = $doc:literal])*
        $name:ident $(= $word:literal)? $(($alone:ident))? in Group::$group:ident { $($body:tt)* }
    ) => {
        $crate::record::record! {
            @($crate::record::kind!(@word $name $($word)?)) $(#[doc = $doc])* $name { $($body)* }
        }

        impl $crate::record::Declaration for $name {
            const GROUP: $crate::Group = $crate::Group::$group;
            const ALONE: &'static [&'static str] = &[$(stringify!($alone))?];
        }

        impl $crate::Declared for $name {
            fn word(&self) -> &'static str {
                <$name as $crate::record::Record>::WORD
            }

            fn group(&self) -> $crate::Group {
                $crate::Group::$group
            }

            fn visit<'a>(&'a self, visitor: &mut dyn $crate::Visitor<'a>) {
                $crate::record::Record::visit(self, visitor);
            }
        }
    };
}

pub(crate) use {kind, record};

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::Record;
    use crate::reader::Reader;
    use crate::types::Seconds;
    use crate::value::Value;
    use crate::{Diagnostic, Text};

    record! {
        /// Fields shared by two records.
        Shared = "shared" {
            /// A flag.
            flag: bool = true,
        }
    }

    record! {
        /// A record
        /// of two lines.
        Sample = "Sample" {
            /// Needed.
            name: Text,
            /// Has a default.
            wait_s: Seconds = Seconds(7),
            ..shared: Shared,
        }
    }

    fn read(text: &str) -> (Option<Sample>, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let mut reader = Reader::new(text, "0.1.0", &mut diagnostics);
        let value = Value::whole(text);
        let mut fields = reader.fields("Sample", value.span(), Some(value)).unwrap();
        let sample = Sample::read(&mut reader, &mut fields);
        reader.finish(fields);
        (sample, diagnostics)
    }

    #[test]
    fn defaults_and_values() {
        let (sample, diagnostics) = read(r#"(name: "x")"#);
        let sample = sample.unwrap();
        assert!(diagnostics.is_empty());
        assert_eq!((sample.wait_s.get(), sample.shared.flag), (7, true));
        let (sample, _) = read(r#"(flag: false, wait_s: 9, name: "x")"#);
        let sample = sample.unwrap();
        assert_eq!((sample.wait_s.get(), sample.shared.flag, sample.name.as_literal()), (9, false, Some("x")));
    }

    #[test]
    fn all_mistakes_at_once() {
        let (sample, diagnostics) = read("(wait_s: 0, flg: true, flag: 1)");
        assert!(sample.is_none());
        let lines: Vec<String> = diagnostics
            .iter()
            .map(|diagnostic| format!("{}: {}: {:?}\n", diagnostic.span.start, diagnostic.message, diagnostic.hint))
            .collect();
        expect![[r#"
            0: `Sample` needs the field `name`: None
            9: expected between 1 and 86400 seconds: None
            29: expected `true` or `false`, found `1`: None
            12: unknown field `flg` in `Sample`: Some("did you mean `flag`?")
        "#]]
        .assert_eq(&lines.concat());
    }

    #[test]
    fn what_a_declaration_says() {
        let lines: Vec<String> = Sample::fields()
            .iter()
            .map(|field| format!("{}: {}: {:?}: {}\n", field.name, field.shape.describe(), field.default, field.doc))
            .collect();
        expect![[r#"
            A record of two lines.
            name: text: None: Needed.
            wait_s: number, 1 to 86400: Some(Number(7)): Has a default.
            flag: boolean: Some(Boolean(true)): A flag.
        "#]]
        .assert_eq(&(crate::shape::paragraph(Sample::DOC) + "\n" + &lines.concat()));
    }
}
