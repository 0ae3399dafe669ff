//! `FieldType`: the trait of a field's type, and the types that every language has.

use crate::reader::{Fields, Reader};
use crate::shape::{Default, Field, Shape, paragraph};
use crate::value::Value;
use crate::{Span, TargetName, Text};

/// A type of fields in build.ron.
pub(crate) trait FieldType: Sized {
    /// Plural of its name, for "expected a list of …".
    const PLURAL: &'static str;

    /// Reads one item of a list, which may stand for several.
    fn read_items(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<Self> {
        Self::read(reader, value).into_iter().collect()
    }

    /// Returns the value of a record that has a default for all records of its kind: the value itself, or both if it is a
    /// map.
    fn over(self, _inherited: Self) -> Self {
        self
    }

    /// Reads a value. Reports mistakes; returns `None` if nothing usable remains.
    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Self>;

    /// Returns the allowed values, for the reference and the schema.
    fn shape() -> Shape;

    /// Passes every text, path and reference in the value to `visitor`.
    fn visit<'a>(&'a self, _visitor: &mut dyn Visitor<'a>) {}

    /// Gives a default the place of its record, where errors about it then point.
    fn place(&mut self, _span: Span) {}

    /// Returns the value as the default of a field, for the reference and the schema.
    fn as_default(&self) -> Default {
        Default::None
    }
}

/// The kind of target that a reference needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Any target.
    Anything,
    /// A target that makes executables, or exactly one file.
    File,
    /// A target that makes executables or files, of which one is named.
    Part,
    /// A target that makes files which a command can read.
    Output,
    /// A target that makes an image.
    Image,
    /// A target that makes an OCI layout.
    Layout,
    /// A target that makes executables for platforms.
    Executables,
    /// A target that makes an image with a digest.
    Digest,
}

/// Visitor of every text, path and reference of a target.
pub trait Visitor<'a> {
    /// A text, which may name variables.
    fn text(&mut self, _text: &'a Text) {}
    /// A script, in which braces are its own.
    fn script(&mut self, _script: &'a Text) {}
    /// A path below `root`.
    fn path(&mut self, _path: &'a str, _span: Span) {}
    /// The name of a target.
    fn reference(&mut self, _name: &'a TargetName, _span: Span, _wanted: Wanted) {}
}

impl Field {
    /// Returns a field of the type `T`.
    pub fn new<T: FieldType>(name: &'static str, doc: &str, default: &[fn() -> T]) -> Field {
        let default = default.first().map(|default| default().as_default());
        Field { name, doc: paragraph(doc), shape: T::shape(), default }
    }
}

impl Reader<'_> {
    /// Reads one field. Without a default the field is required. A value that can't be read is reported and
    /// gives the default, so that the rest of the record is checked as well.
    pub fn field<T: FieldType>(
        &mut self,
        fields: &mut Fields<'_>,
        name: &'static str,
        default: &[fn() -> T],
    ) -> Option<T> {
        let (value, inherited) = (fields.take(name), fields.inherited(name));
        self.field = name;
        let read = value.and_then(|value| T::read(self, value));
        if value.is_none() && inherited.is_none() && default.is_empty() {
            self.missing(fields, name);
        }
        let inherited = inherited.and_then(|value| T::read(self, value));
        read.over(inherited).or_else(|| {
            let mut value = default.first()?();
            value.place(fields.span());
            Some(value)
        })
    }
}

impl FieldType for bool {
    const PLURAL: &'static str = "booleans";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<bool> {
        reader.kept(value.parse("`true` or `false`"))
    }

    fn shape() -> Shape {
        Shape::Boolean
    }

    fn as_default(&self) -> Default {
        Default::Boolean(*self)
    }
}

impl FieldType for u64 {
    const PLURAL: &'static str = "numbers";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<u64> {
        reader.kept(value.parse("a number"))
    }

    fn shape() -> Shape {
        Shape::Integer { min: 0, max: u64::MAX }
    }

    fn as_default(&self) -> Default {
        Default::Number(*self)
    }
}

impl FieldType for String {
    const PLURAL: &'static str = "lines of text";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<String> {
        reader.string(value, "a line of text").map(|text| text.value)
    }

    fn shape() -> Shape {
        Shape::string("string", "")
    }
}

impl<T: FieldType> FieldType for Option<T> {
    const PLURAL: &'static str = T::PLURAL;

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Option<T>> {
        T::read(reader, value).map(Some)
    }

    fn over(self, inherited: Self) -> Self {
        match (self, inherited) {
            (Some(own), Some(inherited)) => Some(own.over(inherited)),
            (own, inherited) => own.or(inherited),
        }
    }

    fn shape() -> Shape {
        T::shape()
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        if let Some(value) = self {
            value.visit(visitor);
        }
    }
}

impl<T: FieldType> FieldType for Vec<T> {
    const PLURAL: &'static str = "lists";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Vec<T>> {
        let items = reader.kept(value.list(&format!("a list of {}", T::PLURAL)))?;
        Some(items.into_iter().flat_map(|item| T::read_items(reader, item)).collect())
    }

    fn shape() -> Shape {
        Shape::list(T::shape(), T::PLURAL)
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        self.iter().for_each(|value| value.visit(visitor));
    }

    fn as_default(&self) -> Default {
        Default::EmptyList
    }
}
