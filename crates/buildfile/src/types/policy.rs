//! `policy` of a `Push` or a `Release`: what must hold before something is sent, or counts as done.

use crate::Spanned;
use crate::field::{FieldType, Visitor};
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::{Default, Shape, paragraph};
use crate::text::CommandWord;
use crate::types::maps::{Key, Map};
use crate::types::{SourcePath, VulnerabilityDatabase};
use crate::value::Value;
use crate::{Diagnostic, Need};

record! {
    /// What must hold before an image is sent, or before a release counts as done. docs/policies.md says how each rule is asked.
    Policy = "policy" {
        /// What it is made from is what the commit has: no tracked file is changed or missing, and each file that a step has read is
        /// in the commit.
        clean_tree: bool = false,
        /// It was the same when it was built a second time in other surroundings, as `verify` does. What was proven before, by the
        /// same keys, is not built again.
        verified: bool = false,
        /// The image of a registry that it lies on is signed, as cosign does it, by the key of this file: `"cosign.pub"`. For a `Push`.
        signed_base: Option<SourcePath> = None,
        /// No executable of a `GoBuild` in it uses code with a known vulnerability: `(db: "vulndb")`, or `()`. What is found and does not
        /// count is attached to the images of a `Push`, as OpenVEX.
        no_known_vulnerability: Option<Spanned<NoKnownVulnerability>> = None,
    }
}

record! {
    /// Which vulnerabilities are known, and which of them count. `()` is enough.
    NoKnownVulnerability = "no_known_vulnerability" {
        /// The database: a directory of the tree in the layout of vuln.go.dev, which is keyed by its contents; or an URL, which is asked in
        /// each run.
        db: VulnerabilityDatabase = VulnerabilityDatabase::default(),
        /// Counts a vulnerability only if the program can reach its code by calls. `false` counts each in a module that it is built with.
        reachable_only: bool = true,
        /// Vulnerabilities that do not count, by their names, each with the reason: `{"GO-2025-0001": "only our own files are parsed"}`.
        accepted: AcceptedVulnerabilities = AcceptedVulnerabilities::default(),
        /// The program that looks for them; `Tool("golang.org/x/vuln/cmd/govulncheck@v1.1.4")` if left out.
        tool: CommandWord = CommandWord::tool("golang.org/x/vuln/cmd/govulncheck@v1.1.4"),
    }
}

/// Names of vulnerabilities.
#[derive(Clone, Debug)]
pub enum VulnerabilityName {}

/// Reasons by the names of vulnerabilities.
pub type AcceptedVulnerabilities = Map<VulnerabilityName, String>;

impl Key for VulnerabilityName {
    const ENTRY: &'static str = "vulnerability";
    const EXPECTED: &'static str = "a map, `{\"GO-2025-0001\": \"why it does not count\"}`";
    const NAME: &'static str = "name of a vulnerability";
    const PATTERN: &'static str = "^[A-Za-z0-9][A-Za-z0-9-]*$";

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        let is_sound = key.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && key.value.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        if !is_sound {
            let message = format!("`{}` is no name of a vulnerability", key.value.escape_debug());
            reader.report(Diagnostic::new(key.span, message).hint("write \"GO-2025-0001\", or a name of CVE or GHSA"));
        }
        is_sound
    }
}

impl Policy {
    /// Returns what its rules need of the machine.
    pub(crate) fn needs(policy: Option<&Spanned<Policy>>) -> Vec<Need> {
        let rule = policy.and_then(|policy| policy.value.no_known_vulnerability.as_ref());
        rule.and_then(|rule| Need::of_program(&rule.value.tool)).into_iter().collect()
    }
}

/// Reads fields in parentheses.
fn read_fields<T: Record>(reader: &mut Reader<'_>, value: Value<'_>, expected: &str) -> Option<Spanned<T>> {
    if value.call().is_some() || !value.is_named() {
        reader.report(value.unexpected(expected));
        return None;
    }
    let span = value.span();
    let mut fields = reader.fields(T::WORD, span, Some(value))?;
    let record = T::read(reader, &mut fields);
    reader.finish(fields);
    record.map(|value| Spanned { value, span })
}

impl FieldType for Spanned<NoKnownVulnerability> {
    const PLURAL: &'static str = "rules about vulnerabilities";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Spanned<NoKnownVulnerability>> {
        read_fields(reader, value, "settings in parentheses, `(db: \"vulndb\")`")
    }

    fn shape() -> Shape {
        let doc = paragraph(NoKnownVulnerability::DOC);
        Shape::Fields { name: NoKnownVulnerability::WORD, doc, fields: NoKnownVulnerability::fields() }
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        Record::visit(&self.value, visitor);
    }

    fn as_default(&self) -> Default {
        Default::None
    }
}

impl FieldType for Spanned<Policy> {
    const PLURAL: &'static str = "policies";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Spanned<Policy>> {
        read_fields(reader, value, "rules in parentheses, `(clean_tree: true)`")
    }

    fn shape() -> Shape {
        Shape::Fields { name: Policy::WORD, doc: paragraph(Policy::DOC), fields: Policy::fields() }
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        Record::visit(&self.value, visitor);
    }

    fn as_default(&self) -> Default {
        Default::None
    }
}
