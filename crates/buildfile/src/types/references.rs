//! References to targets.

use crate::field::{FieldType, Visitor, Wanted};
use crate::reader::Reader;
use crate::shape::Shape;
use crate::value::Value;
use crate::{Diagnostic, Spanned, TargetName};

/// Pattern of the name of a target.
pub(super) const TARGET_NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_./-]*$";

/// Declares the name of a target of some kinds: `reference! { /// meaning Name of Wanted, "word", "meaning for users" }`.
macro_rules! reference {
    ($(#[$doc:meta])* $name:ident of $wanted:ident, $word:literal, $for_users:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(Spanned<TargetName>);

        impl std::ops::Deref for $name {
            type Target = Spanned<TargetName>;
            fn deref(&self) -> &Spanned<TargetName> {
                &self.0
            }
        }

        impl FieldType for $name {
            const PLURAL: &'static str = "target names";

            fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<$name> {
                Spanned::<TargetName>::read(reader, value).map($name)
            }

            fn shape() -> Shape {
                Shape::named($word, $for_users, Shape::string($word, TARGET_NAME))
            }

            fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
                visitor.reference(&self.0.value, self.0.span, Wanted::$wanted);
            }
        }
    };
}

reference! {
    /// The name of a target that makes an image.
    ImageReference of Image, "image target", "The name of an `Image` or `DockerBuild` target."
}

reference! {
    /// The name of a target that makes an OCI layout.
    LayoutReference of Layout, "layout target", "The name of an `Image` target."
}

reference! {
    /// The name of a target that makes executables.
    ExecutablesReference of Executables, "build target", "The name of a `GoBuild` target."
}

reference! {
    /// The name of a target that makes or pushes an image with a digest.
    DigestReference of Digest, "pinned target", "The name of an `Image` or `Push` target."
}

/// The name of a target whose outputs are removed. It is no reference: the target does not run.
#[derive(Clone, Debug)]
pub struct CleanedTarget(Spanned<TargetName>);

impl std::ops::Deref for CleanedTarget {
    type Target = Spanned<TargetName>;
    fn deref(&self) -> &Spanned<TargetName> {
        &self.0
    }
}

impl FieldType for CleanedTarget {
    const PLURAL: &'static str = "target names";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<CleanedTarget> {
        Spanned::<TargetName>::read(reader, value).map(CleanedTarget)
    }

    fn shape() -> Shape {
        Spanned::<TargetName>::shape()
    }
}

/// Another word for a target on the command line. It is no reference.
#[derive(Clone, Debug)]
pub struct Alias(Spanned<TargetName>);

impl std::ops::Deref for Alias {
    type Target = Spanned<TargetName>;
    fn deref(&self) -> &Spanned<TargetName> {
        &self.0
    }
}

impl FieldType for Alias {
    const PLURAL: &'static str = "aliases";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Alias> {
        let text = reader.string(value, "another name of the target")?;
        match TargetName::new(&text.value) {
            Ok(value) => Some(Alias(Spanned { value, span: text.span })),
            Err(_) => {
                let message = format!(
                    "`{}` can't be an alias: letters, digits, `-`, `_`, `.` and `/`, a letter or digit first",
                    text.value.escape_debug()
                );
                reader.report(Diagnostic::new(text.span, message));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::string("name", TARGET_NAME)
    }
}

impl FieldType for Spanned<TargetName> {
    const PLURAL: &'static str = "target names";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Spanned<TargetName>> {
        let text = reader.string(value, "the name of a target")?;
        match TargetName::new(&text.value) {
            Ok(value) => Some(Spanned { value, span: text.span }),
            Err(error) => {
                reader.report(Diagnostic::new(text.span, error.to_string()));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::named("target", "The name of a target.", Shape::string("target", TARGET_NAME))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        visitor.reference(&self.value, self.span, Wanted::Anything);
    }
}
