//! The variables of a Makefile, as far as they are texts. Nothing is run: `$(shell …)` stays as it is written.

use std::collections::BTreeMap;

/// Variables within each other.
const DEPTH_MAX: usize = 8;
/// Bytes of a text with its variables replaced.
const LENGTH_MAX: usize = 4096;

/// Texts by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct MakeVariables(BTreeMap<String, String>);

impl MakeVariables {
    /// Reads the assignments. A plain text that the environment replaces (`VERSION ?= dev`) is no value.
    pub fn parse(text: &str) -> MakeVariables {
        let text = text.replace("\\\r\n", " ").replace("\\\n", " ");
        let mut variables = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('\t')) {
            let Some((name, value)) = line.split_once('=') else { continue };
            let is_default = name.ends_with('?');
            let name = name.trim_end_matches(['?', ':', '+', '!']).trim();
            let name = name.strip_prefix("export ").unwrap_or(name).trim();
            let value = value.split(" #").next().unwrap_or_default().trim();
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let is_certain = !is_default || value.contains(['$', '`']);
            if is_name && is_certain {
                variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
        }
        MakeVariables(variables)
    }

    /// Returns the text with the known variables replaced; `module` stands for `$(shell go list -m)`.
    pub fn expanded(&self, text: &str, module: &str) -> String {
        let mut text = text.to_owned();
        for _ in 0..DEPTH_MAX {
            let mut next = text.replace("$(shell go list -m)", module);
            for (name, value) in &self.0 {
                for form in [format!("$({name})"), format!("${{{name}}}")] {
                    if next.contains(&form) {
                        next = next.replace(&form, value);
                    }
                }
                if next.len() > LENGTH_MAX {
                    return text;
                }
            }
            if next == text {
                break;
            }
            text = next;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_in_variables() {
        let text = "PKG := example.com/x\nexport FULL=$(PKG)/version\nVERSION ?= dev\nTAG ?= $(shell git describe)\nA = $(A)$(A)\n";
        let variables = MakeVariables::parse(text);
        assert_eq!(variables.expanded("${FULL}.V=$(VERSION)", "m"), "example.com/x/version.V=$(VERSION)");
        assert_eq!(variables.expanded("$(shell go list -m)/v $(TAG)", "m"), "m/v $(shell git describe)");
        assert!(variables.expanded(&"$(A)".repeat(100), "m").len() <= 2 * LENGTH_MAX);
    }
}
