//! `defaults: (Exec: (dir: "web"))`: values of fields for all targets of a kind. They are read once by themselves, so that
//! each mistake is reported at its place, whether or not a target has the kind; and once with each target.

use crate::diagnostic::Diagnostic;
use crate::field::FieldType;
use crate::kinds::KINDS;
use crate::reader::Reader;
use crate::record::Record;
use crate::shape::{Default, Shape};
use crate::suggest;
use crate::target::{Common, Limits};
use crate::value::{Named, Value};

/// The values that are given; targets have them already.
#[derive(Clone, Copy, Debug, std::default::Default)]
pub struct Defaults;

impl Defaults {
    /// Returns the values by the word of the kind, without a look at what they say.
    pub(crate) fn by_kind<'a>(value: Value<'a>) -> Vec<(String, Vec<Named<'a>>)> {
        let kinds = value.fields().unwrap_or_default();
        kinds.into_iter().map(|kind| (kind.name, kind.value.fields().unwrap_or_default())).collect()
    }
}

impl FieldType for Defaults {
    const PLURAL: &'static str = "values of fields";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Defaults> {
        let entries = reader.kept(value.fields())?;
        for entry in reader.without_duplicates(entries, "kind") {
            let Some(kind) = KINDS.iter().find(|kind| kind.word == entry.name) else {
                let words = KINDS.iter().map(|kind| kind.word);
                let message = format!("`{}` is not a kind of target", entry.name.escape_debug());
                let hint = suggest(&entry.name, words.clone()).map_or_else(
                    || format!("kinds are: {}", words.collect::<Vec<_>>().join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                reader.report(Diagnostic::new(entry.name_span, message).hint(hint));
                continue;
            };
            let Some(fields) = reader.fields(kind.word, entry.name_span, Some(entry.value)) else { continue };
            let mut fields = fields.partial();
            Common::read(reader, &mut fields);
            if kind.has_steps {
                Limits::read(reader, &mut fields);
            }
            (kind.read)(reader, &mut fields);
            reader.finish(fields);
        }
        Some(Defaults)
    }

    fn shape() -> Shape {
        Shape::DefaultsOfKinds
    }

    fn as_default(&self) -> Default {
        Default::None
    }
}
