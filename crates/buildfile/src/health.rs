//! Health checks: `Http(…)`, shared by the kinds that run or make images, and `Command([…])`.

use crate::field::{FieldType, Visitor};
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::{Field, Shape, paragraph};
use crate::types::{PortNumber, Seconds, UrlPath};
use crate::value::Value;
use crate::{Diagnostic, Text};

record! {
    /// How often a check runs, and what counts as a failure.
    HealthTiming = "Command" {
        /// Seconds between two checks.
        interval_s: Seconds = Seconds(10),
        /// Seconds that one check may take.
        timeout_s: Seconds = Seconds(3),
        /// Failures in a row that make the container unhealthy.
        retries: u64 = 3,
        /// Seconds after the start during which failures do not count.
        start_period_s: Seconds = Seconds(10),
    }
}

record! {
    /// A health check: a GET request that the container answers.
    Health = "Http" {
        /// TCP port on the container's loopback.
        port: PortNumber,
        /// Path of the request; it begins with `/`.
        path: UrlPath,
        ..timing: HealthTiming,
    }
}

impl FieldType for Health {
    const PLURAL: &'static str = "health checks";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Health> {
        let Some(call) = value.call().filter(|call| call.name == Health::WORD) else {
            reader.report(value.unexpected("`Http(port: 8080, path: \"/health\")`"));
            return None;
        };
        let mut fields = reader.fields(Health::WORD, call.name_span, call.arguments)?;
        let health = <Health as Record>::read(reader, &mut fields);
        reader.finish(fields);
        health
    }

    fn shape() -> Shape {
        Shape::Record { name: Health::WORD, doc: paragraph(Health::DOC), fields: Health::fields() }
    }
}

/// The health check of an image.
#[derive(Clone, Debug)]
pub enum HealthCheck {
    /// A request, which the probe makes.
    Http(Health),
    /// A command in the container; it is healthy if that ends with 0.
    Command {
        /// Program and arguments, at least the program.
        words: Vec<Text>,
        /// How often it runs.
        timing: HealthTiming,
    },
}

impl HealthCheck {
    /// Title of the section on `Command` in the reference.
    pub(crate) const TITLE: &'static str = "Health by a command: `Command([…])`";
    /// Its meaning.
    pub(crate) const DOC: &'static str = "`Command([\"/app\", \"health\"], interval_s: 5)`: a program of the image and its arguments, without a shell. The \
         container is healthy while it ends with 0.";

    /// Returns how often it runs.
    pub fn timing(&self) -> &HealthTiming {
        match self {
            HealthCheck::Http(health) => &health.timing,
            HealthCheck::Command { timing, .. } => timing,
        }
    }

    /// Returns the fields of `Command`.
    pub(crate) fn command_fields() -> Vec<Field> {
        HealthTiming::fields()
    }
}

impl FieldType for HealthCheck {
    const PLURAL: &'static str = "health checks";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<HealthCheck> {
        let call = value.call();
        match call.as_ref().map(|call| (call.name, call.arguments)) {
            Some((Health::WORD, _)) => <Health as FieldType>::read(reader, value).map(HealthCheck::Http),
            Some((HealthTiming::WORD, Some(arguments))) => {
                let span = value.span();
                let timing = reader.with_options(HealthTiming::WORD, span, |reader, fields| {
                    <HealthTiming as Record>::read(reader, fields)
                });
                let arguments = reader.kept(arguments.positional())?;
                let [list] = arguments.as_slice() else {
                    reader.report(Diagnostic::new(span, "`Command` takes one list of texts"));
                    return None;
                };
                let words = Vec::<Text>::read(reader, *list)?;
                if words.is_empty() {
                    reader.report(Diagnostic::new(list.span(), "the command is empty"));
                    return None;
                }
                Some(HealthCheck::Command { words, timing: timing? })
            }
            _ => {
                let expected = "`Http(port: 8080, path: \"/health\")` or `Command([\"/app\", \"health\"])`";
                reader.report(value.unexpected(expected));
                None
            }
        }
    }

    fn shape() -> Shape {
        let arguments = vec![Shape::non_empty_list(Text::shape(), "texts")];
        let fields = HealthTiming::fields();
        let command = Shape::CallWith { name: HealthTiming::WORD, arguments, required: 1, fields };
        Shape::named("health check", HealthCheck::DOC, Shape::OneOf(vec![Health::shape(), command]))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        if let HealthCheck::Command { words, .. } = self {
            words.visit(visitor);
        }
    }
}
