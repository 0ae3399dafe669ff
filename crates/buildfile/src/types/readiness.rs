//! When a process of the host is ready, and what happens when it ends.

use std::net::SocketAddr;

use crate::field::{FieldType, Visitor};
use crate::health::HealthCheck;
use crate::reader::Reader;
use crate::shape::{Default, Shape};
use crate::types::PortNumber;
use crate::value::Value;
use crate::{Diagnostic, Span, Spanned};

/// What tells that a process is ready.
#[derive(Clone, Debug)]
pub enum Ready {
    /// It listens at this port of the loopback.
    Port(PortNumber),
    /// A line of its output holds this text.
    Line(Spanned<String>),
    /// It answers a request, or a command ends with 0.
    Check(HealthCheck),
}

/// An address of this machine that Rondel holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldAddress(Spanned<SocketAddr>);

/// What happens when a process ends that nobody has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Nothing.
    Never,
    /// It starts again, unless it has ended with 0.
    OnFailure,
}

impl Ready {
    /// Returns the port that the process is to listen at, if it says so.
    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Ready::Port(port) => Some(port.get()),
            Ready::Check(HealthCheck::Http(health)) => Some(health.port.get()),
            Ready::Line(_) | Ready::Check(HealthCheck::Command { .. }) => None,
        }
    }
}

impl HeldAddress {
    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        self.0.value
    }

    pub(crate) fn span(&self) -> Span {
        self.0.span
    }
}

impl FieldType for HeldAddress {
    const PLURAL: &'static str = "addresses";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<HeldAddress> {
        const EXPECTED: &str = "an address with a port, `\"127.0.0.1:8080\"`";
        let text = reader.string(value, EXPECTED)?;
        match text.value.parse::<SocketAddr>().ok().filter(|address| address.port() > 0) {
            Some(value) => Some(HeldAddress(Spanned { value, span: text.span })),
            None => {
                let hint = "`0.0.0.0` is every address of this machine";
                reader.report(value.unexpected(EXPECTED).hint(hint));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::string("address with a port", "^.+:[0-9]{1,5}$")
    }
}

impl FieldType for Ready {
    const PLURAL: &'static str = "signs of readiness";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Ready> {
        let call = value.call();
        match call.as_ref().map(|call| (call.name, call.arguments)) {
            Some(("Http" | "Command", _)) => HealthCheck::read(reader, value).map(Ready::Check),
            Some(("Port", Some(arguments))) => {
                let port = reader.argument("Port", arguments, value.span())?;
                PortNumber::read(reader, port).map(Ready::Port)
            }
            Some(("Line", Some(arguments))) => {
                let line = reader.argument("Line", arguments, value.span())?;
                let text = reader.string(line, "a part of a line of its output")?;
                if text.value.trim().is_empty() || text.value.contains('\n') {
                    reader.report(Diagnostic::new(text.span, "expected a part of one line that is not empty"));
                    return None;
                }
                Some(Ready::Line(text))
            }
            _ => {
                let expected = "`Port(8080)`, `Http(port: 8080, path: \"/health\")`, `Line(\"listening on\")` or \
                                `Command([\"pg_isready\"])`";
                reader.report(value.unexpected(expected));
                None
            }
        }
    }

    fn shape() -> Shape {
        let doc = "It is ready when it listens at a port of the loopback, answers a request there with a status of 2xx, has printed \
                   a line with a text, or a command on this machine ends with 0.";
        let shapes = vec![
            Shape::call("Port", PortNumber::shape()),
            Shape::call("Line", Shape::string("part of a line", "")),
            HealthCheck::shape(),
        ];
        Shape::named("sign of readiness", doc, Shape::OneOf(shapes))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        if let Ready::Check(check) = self {
            check.visit(visitor);
        }
    }
}

impl FieldType for Restart {
    const PLURAL: &'static str = "words for restarts";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Restart> {
        reader.choice(value, &[("Never", Restart::Never), ("OnFailure", Restart::OnFailure)])
    }

    fn shape() -> Shape {
        Shape::Words(&["Never", "OnFailure"])
    }

    fn as_default(&self) -> Default {
        match self {
            Restart::Never => Default::Word("Never"),
            Restart::OnFailure => Default::Word("OnFailure"),
        }
    }
}
