//! References to targets.

use crate::field::{FieldType, Visitor, Wanted};
use crate::reader::Reader;
use crate::shape::Shape;
use crate::value::Value;
use crate::{Diagnostic, Spanned, TargetName};

/// Pattern of the name of a target.
pub(super) const TARGET_NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_./-]*$";

/// The name of a target that makes an image.
#[derive(Clone, Debug)]
pub struct ImageReference(Spanned<TargetName>);

impl std::ops::Deref for ImageReference {
    type Target = Spanned<TargetName>;
    fn deref(&self) -> &Spanned<TargetName> {
        &self.0
    }
}

/// The name of a target that makes an OCI layout.
#[derive(Clone, Debug)]
pub struct LayoutReference(Spanned<TargetName>);

impl std::ops::Deref for LayoutReference {
    type Target = Spanned<TargetName>;
    fn deref(&self) -> &Spanned<TargetName> {
        &self.0
    }
}

/// The name of a target that makes or pushes an image with a digest.
#[derive(Clone, Debug)]
pub struct DigestReference(Spanned<TargetName>);

impl std::ops::Deref for DigestReference {
    type Target = Spanned<TargetName>;
    fn deref(&self) -> &Spanned<TargetName> {
        &self.0
    }
}

impl FieldType for DigestReference {
    const PLURAL: &'static str = "target names";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<DigestReference> {
        Spanned::<TargetName>::read(reader, value).map(DigestReference)
    }

    fn shape() -> Shape {
        let doc = "The name of an `Image` or `Push` target.";
        Shape::named("pinned target", doc, Shape::string("pinned target", TARGET_NAME))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        visitor.reference(&self.0.value, self.0.span, Wanted::Digest);
    }
}

impl FieldType for LayoutReference {
    const PLURAL: &'static str = "target names";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<LayoutReference> {
        Spanned::<TargetName>::read(reader, value).map(LayoutReference)
    }

    fn shape() -> Shape {
        Shape::named("layout target", "The name of an `Image` target.", Shape::string("layout target", TARGET_NAME))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        visitor.reference(&self.0.value, self.0.span, Wanted::Layout);
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

impl FieldType for ImageReference {
    const PLURAL: &'static str = "target names";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<ImageReference> {
        Spanned::<TargetName>::read(reader, value).map(ImageReference)
    }

    fn shape() -> Shape {
        let doc = "The name of an `Image` or `DockerBuild` target.";
        Shape::named("image target", doc, Shape::string("image target", TARGET_NAME))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        visitor.reference(&self.0.value, self.0.span, Wanted::Image);
    }
}
