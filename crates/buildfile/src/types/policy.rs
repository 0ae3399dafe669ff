//! `policy` of a `Push` or a `Release`: what must hold before something is sent, or counts as done.

use crate::Spanned;
use crate::field::{FieldType, Visitor};
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::{Default, Shape, paragraph};
use crate::types::SourcePath;
use crate::value::Value;

record! {
    /// What must hold before an image is sent, or before a release counts as done. docs/policies.md says how each rule is asked.
    Policy = "policy" {
        /// What it is made from is what the commit has: no tracked file is changed or missing, and each file that a step has read is
        /// in the commit.
        clean_tree: bool = false,
        /// It was the same when it was built a second time in other surroundings, as `verify` does. What was proven before, by the
        /// same keys, is not built again.
        verified: bool = false,
        /// The image of a registry that it lies on is signed, as cosign does it, by the key of this file: `"cosign.pub"`. For a `Push`.
        signed_base: Option<SourcePath> = None,
    }
}

impl FieldType for Spanned<Policy> {
    const PLURAL: &'static str = "policies";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Spanned<Policy>> {
        if value.call().is_some() || !value.is_named() {
            reader.report(value.unexpected("rules in parentheses, `(clean_tree: true)`"));
            return None;
        }
        let span = value.span();
        let mut fields = reader.fields(Policy::WORD, span, Some(value))?;
        let policy = <Policy as Record>::read(reader, &mut fields);
        reader.finish(fields);
        policy.map(|value| Spanned { value, span })
    }

    fn shape() -> Shape {
        Shape::Fields { name: Policy::WORD, doc: paragraph(Policy::DOC), fields: Policy::fields() }
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        Record::visit(&self.value, visitor);
    }

    fn as_default(&self) -> Default {
        Default::None
    }
}
