//! Forms of bills of materials: `true`, or a list of forms.

use crate::Diagnostic;
use crate::field::FieldType;
use crate::reader::Reader;
use crate::shape::{Default, Shape};
use crate::value::Value;

/// A form of a bill of materials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BillForm {
    /// SPDX 2.3 in JSON.
    Spdx,
    /// CycloneDX 1.6 in JSON.
    CycloneDx,
}

/// The forms that are written, each once.
#[derive(Clone, Debug, std::default::Default, PartialEq, Eq)]
pub struct Bills(Vec<BillForm>);

impl std::ops::Deref for Bills {
    type Target = [BillForm];
    fn deref(&self) -> &[BillForm] {
        &self.0
    }
}

impl Bills {
    /// Adds the forms of `other`.
    pub(crate) fn add(&mut self, other: &Bills) {
        self.0.extend(&other.0);
        self.0.sort();
        self.0.dedup();
    }
}

const EXPECTED: &str = "`true`, `false`, or a list of `Spdx` and `CycloneDx`";

impl BillForm {
    fn of(value: &Value<'_>) -> Option<BillForm> {
        let call = value.call()?;
        match (call.name, call.arguments) {
            ("Spdx", None) => Some(BillForm::Spdx),
            ("CycloneDx", None) => Some(BillForm::CycloneDx),
            _ => None,
        }
    }
}

impl FieldType for Bills {
    const PLURAL: &'static str = "forms of bills of materials";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Bills> {
        let Ok(items) = value.list(EXPECTED) else {
            let flag = reader.kept(value.parse::<bool>(EXPECTED))?;
            return Some(Bills(if flag { vec![BillForm::Spdx] } else { Vec::new() }));
        };
        let mut forms = Vec::new();
        for item in items {
            match BillForm::of(&item) {
                None => reader.report(item.unexpected("`Spdx` or `CycloneDx`")),
                Some(form) if forms.contains(&form) => {
                    reader.report(Diagnostic::new(item.span(), "the form is given twice"));
                }
                Some(form) => forms.push(form),
            }
        }
        forms.sort();
        Some(Bills(forms))
    }

    fn shape() -> Shape {
        let form = Shape::Words(&["Spdx", "CycloneDx"]);
        Shape::OneOf(vec![Shape::Boolean, Shape::list(form, "`Spdx` and `CycloneDx`")])
    }

    fn as_default(&self) -> Default {
        Default::Boolean(!self.0.is_empty())
    }
}
