//! Numbers within bounds.

use crate::Diagnostic;
use crate::field::FieldType;
use crate::reader::Reader;
use crate::shape::{Default, Shape};
use crate::value::Value;

macro_rules! number {
    ($(#[doc = $doc:literal])* $name:ident: $inner:ty = $min:literal..=$max:literal, $expected:literal, $bounds:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub(crate) $inner);

        impl $name {
            /// Returns the number.
            pub fn get(self) -> $inner {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl FieldType for $name {
            const PLURAL: &'static str = "numbers";

            fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<$name> {
                let number = reader.kept(value.parse::<$inner>($expected))?;
                if !($min..=$max).contains(&number) {
                    reader.report(Diagnostic::new(value.span(), $bounds));
                    return None;
                }
                Some($name(number))
            }

            fn shape() -> Shape {
                Shape::Integer { min: $min, max: $max }
            }

            fn as_default(&self) -> Default {
                Default::Number(self.0 as u64)
            }
        }
    };
}

number! {
    /// Seconds, up to a day.
    Seconds: u64 = 1..=86_400, "a whole number of seconds", "expected between 1 and 86400 seconds"
}
number! {
    /// Number of further tries of a step.
    Retries: u32 = 0..=10, "a number of tries", "expected at most 10 retries"
}
number! {
    /// Number of steps of a pool that run at once.
    PoolDepth: usize = 1..=1024, "how many steps may run at once", "expected between 1 and 1024 steps at once"
}
number! {
    /// A level of zstd. Layers become about as large as with the same level of zstd's own program.
    ZstdLevel: u8 = 3..=9, "a level between 3 and 9", "expected a level between 3 and 9"
}
number! {
    /// A TCP port.
    PortNumber: u16 = 1..=65_535, "a port between 1 and 65535", "expected a port between 1 and 65535, found `0`"
}
number! {
    /// How many processes and threads a container may have.
    PidsLimit: u32 = 1..=4_194_304, "a number of processes", "expected between 1 and 4194304 processes"
}
number! {
    /// How often each test runs.
    TestCount: u32 = 1..=10_000, "how often each test runs", "expected between 1 and 10000 times"
}
number! {
    /// How many tests of a package run at once.
    TestParallel: u32 = 1..=1024, "how many tests run at once", "expected between 1 and 1024 tests at once"
}
number! {
    /// A share in percent.
    Percent: u8 = 1..=100, "a whole number of percent", "expected between 1 and 100 percent"
}
number! {
    /// A seed for the order of tests.
    ShuffleSeed: u32 = 1..=4_294_967_295, "a seed, a whole number", "expected a seed between 1 and 4294967295"
}
