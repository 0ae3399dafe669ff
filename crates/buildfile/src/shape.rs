//! `Shape`: the allowed values of a field, as data. The reference and the JSON Schema are made from it.

/// The allowed values of some place in build.ron.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A string.
    String {
        /// Name of such a string, for the reference.
        what: &'static str,
        /// Regular expression (ECMA 262) that it matches; empty if any string will do.
        pattern: &'static str,
    },
    /// One of some strings, in quotes.
    Strings(&'static [&'static str]),
    /// One of some bare words.
    Words(&'static [&'static str]),
    /// `Name(argument, …)`; the last argument may be optional.
    Call {
        /// The name.
        name: &'static str,
        /// Its arguments.
        arguments: Vec<Shape>,
        /// Number of required arguments.
        required: usize,
    },
    /// `Name(argument, …, field: …)`; all fields are optional.
    CallWith {
        /// The name.
        name: &'static str,
        /// Its arguments.
        arguments: Vec<Shape>,
        /// Number of required arguments.
        required: usize,
        /// Its fields.
        fields: Vec<Field>,
    },
    /// `Name(field: …)`
    Record {
        /// The name.
        name: &'static str,
        /// Its meaning.
        doc: String,
        /// Its fields.
        fields: Vec<Field>,
    },
    /// `(field: …)`, without a name.
    Fields {
        /// Name of such a record, for the reference.
        name: &'static str,
        /// Its meaning.
        doc: String,
        /// Its fields.
        fields: Vec<Field>,
    },
    /// `[…]`
    List {
        /// Each element.
        of: Box<Shape>,
        /// Several elements, in words.
        plural: &'static str,
        /// True if at least one is needed.
        is_non_empty: bool,
    },
    /// `{"key": …}`
    Map {
        /// A key, in words.
        key: &'static str,
        /// Regular expression that a key matches; empty if any key will do.
        key_pattern: &'static str,
        /// Each value.
        of: Box<Shape>,
    },
    /// Any of several shapes.
    OneOf(Vec<Shape>),
    /// A shape shared by many fields; it occurs once in the schema.
    Named {
        /// Its name.
        name: &'static str,
        /// Its meaning.
        doc: &'static str,
        /// Its values.
        shape: Box<Shape>,
    },
    /// One of the kinds of target.
    Kind,
    /// Fields of kinds, none of them required: `(GoBuild: (field: …))`.
    DefaultsOfKinds,
}

/// The declaration of a field.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// The name in build.ron.
    pub name: &'static str,
    /// Its meaning, one paragraph.
    pub doc: String,
    /// The allowed values.
    pub shape: Shape,
    /// The default; `None` if the field is required.
    pub default: Option<Default>,
}

/// The default of a field, as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    /// None: without the field there is no effect, or its text explains it.
    None,
    /// A boolean.
    Boolean(bool),
    /// A number.
    Number(u64),
    /// A string, in quotes.
    String(String),
    /// A bare word.
    Word(&'static str),
    /// `[]`
    EmptyList,
    /// `{}`
    EmptyMap,
}

impl Shape {
    /// Returns a string with a name and a pattern.
    pub fn string(what: &'static str, pattern: &'static str) -> Shape {
        Shape::String { what, pattern }
    }

    /// Returns a list that may be empty.
    pub fn list(of: Shape, plural: &'static str) -> Shape {
        Shape::List { of: Box::new(of), plural, is_non_empty: false }
    }

    /// Returns a list that may not be empty.
    pub fn non_empty_list(of: Shape, plural: &'static str) -> Shape {
        Shape::List { of: Box::new(of), plural, is_non_empty: true }
    }

    /// Returns a shape with a name of its own in the schema.
    pub fn named(name: &'static str, doc: &'static str, shape: Shape) -> Shape {
        Shape::Named { name, doc, shape: Box::new(shape) }
    }

    /// Returns `Name("argument")`.
    pub fn call(name: &'static str, argument: Shape) -> Shape {
        Shape::Call { name, arguments: vec![argument], required: 1 }
    }

    /// Returns a few words for the column "Type" of the reference.
    pub fn describe(&self) -> String {
        let alternatives = |words: Vec<String>| words.join(" or ");
        match self {
            Shape::Boolean => "boolean".to_owned(),
            Shape::Integer { min, max: u64::MAX } => format!("number from {min}"),
            Shape::Integer { min, max } if min == max => format!("number, {min}"),
            Shape::Integer { min, max } => format!("number, {min} to {max}"),
            Shape::String { what, .. } => (*what).to_owned(),
            Shape::Strings(words) => alternatives(words.iter().map(|word| format!("`\"{word}\"`")).collect()),
            Shape::Words(words) => alternatives(words.iter().map(|word| format!("`{word}`")).collect()),
            Shape::Call { name, arguments, .. } => {
                let arguments: Vec<String> = arguments.iter().map(Shape::describe).collect();
                format!("`{name}`({})", arguments.join(", "))
            }
            Shape::CallWith { name, arguments, fields, .. } => {
                let fields = fields.iter().map(|field| format!("`{}: `{}", field.name, field.shape.describe()));
                let words: Vec<String> = arguments.iter().map(Shape::describe).chain(fields).collect();
                format!("`{name}`({})", words.join(", "))
            }
            Shape::Record { name, .. } => format!("`{name}(…)`"),
            Shape::Fields { .. } => "`(…)`".to_owned(),
            Shape::List { plural, is_non_empty: true, .. } => format!("list of {plural}, not empty"),
            Shape::List { plural, .. } => format!("list of {plural}"),
            Shape::Map { key, of, .. } => format!("map of {key} to {}", of.describe()),
            Shape::OneOf(shapes) => alternatives(shapes.iter().map(Shape::describe).collect()),
            Shape::Named { name, .. } => (*name).to_owned(),
            Shape::Kind => "kind of target".to_owned(),
            Shape::DefaultsOfKinds => "`(Kind: (field: value))`".to_owned(),
        }
    }
}

impl Default {
    /// Returns the form in build.ron; empty if there is nothing to write.
    pub fn describe(&self) -> String {
        match self {
            Default::None => String::new(),
            Default::Boolean(value) => value.to_string(),
            Default::Number(value) => value.to_string(),
            Default::String(value) => format!("\"{value}\""),
            Default::Word(value) => (*value).to_owned(),
            Default::EmptyList => "[]".to_owned(),
            Default::EmptyMap => "{}".to_owned(),
        }
    }
}

/// Joins the lines of a doc comment.
pub(crate) fn paragraph(doc: &str) -> String {
    doc.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
