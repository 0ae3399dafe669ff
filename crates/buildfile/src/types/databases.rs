//! The database of `govulncheck`: a directory of the tree, or an URL.

use crate::Diagnostic;
use crate::field::{FieldType, Visitor};
use crate::reader::Reader;
use crate::shape::{Default, Shape};
use crate::types::SourcePath;
use crate::value::Value;

/// The database of the Go project.
const OF_GO: &str = "https://vuln.go.dev";

/// Where known vulnerabilities are listed.
#[derive(Clone, Debug)]
pub enum VulnerabilityDatabase {
    /// A directory below `root`.
    Directory(SourcePath),
    /// An URL.
    Url(String),
}

impl std::default::Default for VulnerabilityDatabase {
    fn default() -> VulnerabilityDatabase {
        VulnerabilityDatabase::Url(OF_GO.to_owned())
    }
}

impl FieldType for VulnerabilityDatabase {
    const PLURAL: &'static str = "databases of vulnerabilities";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<VulnerabilityDatabase> {
        let text = reader.string(value, "a directory, or an URL like \"https://vuln.go.dev\"")?;
        if !text.value.contains("://") {
            return SourcePath::read(reader, value).map(VulnerabilityDatabase::Directory);
        }
        let is_known = text.value.starts_with("https://") || text.value.starts_with("http://");
        if !is_known {
            let message = format!("`{}` is no address of a database", text.value.escape_debug());
            reader.report(Diagnostic::new(text.span, message).hint(
                "write a directory relative to `root`, which is keyed by its contents, or an address with https",
            ));
        }
        is_known.then_some(VulnerabilityDatabase::Url(text.value))
    }

    fn shape() -> Shape {
        Shape::string("directory or URL", "")
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        match self {
            VulnerabilityDatabase::Directory(path) => path.visit(visitor),
            VulnerabilityDatabase::Url(_) => {}
        }
    }

    fn as_default(&self) -> Default {
        match self {
            VulnerabilityDatabase::Directory(path) => path.as_default(),
            VulnerabilityDatabase::Url(url) => Default::String(url.clone()),
        }
    }
}
