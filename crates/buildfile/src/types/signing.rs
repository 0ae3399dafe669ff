//! `sign` of a `Push` and a `Release`: which key signs, and whose signatures are expected. It reads no key.

use crate::field::{FieldType, Visitor};
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::{Shape, paragraph};
use crate::types::SourcePath;
use crate::types::signing_keys::{KeyPassword, SigningKey};
use crate::value::Value;

record! {
    /// Signs what is made, in the formats of cosign; docs/signatures.md has them. The program needs the feature `signing`, in
    /// xtask/Cargo.toml: `rondel = { …, features = ["signing"] }`.
    Sign = "Sign" {
        /// The private key: `Secret("COSIGN_PRIVATE_KEY")` is its text, in a variable of the environment; `KeyFile("cosign.key")`
        /// is a file. It is needed only where something is signed: what was signed with the same key before comes from the
        /// cache.
        key: SigningKey,
        /// The password of an encrypted key, from the environment: `Secret("COSIGN_PASSWORD")`.
        password: Option<KeyPassword> = None,
        /// File of the public key, `"cosign.pub"`. It decides which signatures are up to date, and a private key of another one is
        /// refused.
        public_key: SourcePath,
    }
}

impl FieldType for Sign {
    const PLURAL: &'static str = "signatures";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Sign> {
        let call = value.call();
        let Some(("Sign", arguments)) = call.as_ref().map(|call| (call.name, call.arguments)) else {
            reader.report(value.unexpected("`Sign(key: Secret(\"COSIGN_PRIVATE_KEY\"), public_key: \"cosign.pub\")`"));
            return None;
        };
        let mut fields = reader.fields(Sign::WORD, value.span(), arguments)?;
        let sign = <Sign as Record>::read(reader, &mut fields);
        reader.finish(fields);
        sign
    }

    fn shape() -> Shape {
        Shape::Record { name: Sign::WORD, doc: paragraph(Sign::DOC), fields: Sign::fields() }
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        Record::visit(self, visitor);
    }
}
