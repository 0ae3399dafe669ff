//! `Http(…)`: a health check, shared by the kinds that run or make images.

use crate::field::FieldType;
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::{Shape, paragraph};
use crate::types::{PortNumber, Seconds, UrlPath};
use crate::value::Value;

record! {
    /// A health check: a GET request that the container answers.
    Health = "Http" {
        /// TCP port on the container's loopback.
        port: PortNumber,
        /// Path of the request; it begins with `/`.
        path: UrlPath,
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
