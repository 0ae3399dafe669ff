//! Parameters of a target: their names, defaults and allowed values. Knows no command line.

use crate::field::FieldType;
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::{Shape, paragraph};
use crate::types::maps::Key;
use crate::types::{Map, ParameterValue};
use crate::value::Value;
use crate::{Diagnostic, Spanned, VariableName, suggest};

record! {
    /// A parameter of a target, which `name=value` on the command line gives.
    Param = "Param" {
        /// One line for the list of targets.
        doc: Option<String> = None,
        /// The value if the command line gives none. Without it the command line has to.
        default: Option<ParameterValue> = None,
        /// The allowed values; any if left out.
        one_of: Vec<ParameterValue> = Vec::new(),
    }
}

/// The rule for names of parameters: that of variables.
#[derive(Clone, Debug)]
pub enum ParameterName {}

/// Parameters in the order of the file.
pub type Params = Map<ParameterName, Param>;

impl Param {
    /// Returns the default, if there is one.
    pub fn default_value(&self) -> Option<&str> {
        self.default.as_ref().map(|value| value.value.as_str())
    }

    /// Returns the allowed values; none if any will do.
    pub fn allowed(&self) -> impl Iterator<Item = &str> {
        self.one_of.iter().map(|value| value.value.as_str())
    }

    /// Returns true if it can have this value.
    pub fn allows(&self, value: &str) -> bool {
        self.one_of.is_empty() || self.allowed().any(|allowed| allowed == value)
    }

    /// Returns the form in usage: `name=`, or `[name=default]`.
    pub fn usage(&self, name: &str) -> String {
        match self.default_value() {
            Some(default) => format!("[{name}={default}]"),
            None => format!("{name}="),
        }
    }

    /// Reports values that contradict each other.
    fn check(&self, reader: &mut Reader<'_>) {
        for (index, value) in self.one_of.iter().enumerate() {
            if self.one_of[..index].iter().any(|other| other.value == value.value) {
                let message = format!("`{}` is in `one_of` twice", value.value.escape_debug());
                reader.report(Diagnostic::new(value.span, message).hint("remove one of the two"));
            }
        }
        let Some(default) = self.default.as_ref().filter(|default| !self.allows(&default.value)) else { return };
        let message = format!("the default `{}` is not in `one_of`", default.value.escape_debug());
        let mut diagnostic = Diagnostic::new(default.span, message);
        diagnostic.hint = Some(match suggest(&default.value, self.allowed()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("allowed are: {}", self.allowed().collect::<Vec<_>>().join(", ")),
        });
        reader.report(diagnostic);
    }
}

impl Key for ParameterName {
    const ENTRY: &'static str = "parameter";
    const EXPECTED: &'static str = "a map, `{\"name\": Param(…)}`";
    const NAME: &'static str = "name";
    const PATTERN: &'static str = "^[A-Za-z][A-Za-z0-9_]*$";

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        let sound = VariableName::new(&key.value).is_ok();
        if !sound {
            let name = key.value.escape_debug();
            let message = format!("`{name}` can't be a parameter's name: letters, digits and `_`, a letter first");
            reader.report(Diagnostic::new(key.span, message));
        }
        sound
    }
}

impl FieldType for Param {
    const PLURAL: &'static str = "parameters";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Param> {
        let Some(call) = value.call().filter(|call| call.name == Param::WORD) else {
            reader.report(value.unexpected("`Param(doc: \"…\")`"));
            return None;
        };
        let mut fields = reader.fields(Param::WORD, call.name_span, call.arguments)?;
        let param = <Param as Record>::read(reader, &mut fields);
        reader.finish(fields);
        if let Some(param) = &param {
            param.check(reader);
        }
        param
    }

    fn shape() -> Shape {
        Shape::Record { name: Param::WORD, doc: paragraph(Param::DOC), fields: Param::fields() }
    }
}
