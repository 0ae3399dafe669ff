//! Commands of other modules, `import/path@v1.2.3`: which module has one, and the hash of its zip, for build.lock. What
//! proxies say is hostile until checked.

use rondel_engine::StepError;
use rondel_fetch::FetchError;

use crate::provision::Provision;
use crate::unpack::unpack_module;

/// A command of a published module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedTool<'a> {
    /// Import path of the command.
    pub package: &'a str,
    /// Version of its module.
    pub version: &'a str,
}

impl<'a> PublishedTool<'a> {
    /// Reads `import/path@v1.2.3`; `None` for anything else.
    pub fn parse(name: &'a str) -> Option<PublishedTool<'a>> {
        let (package, version) = name.split_once('@')?;
        Some(PublishedTool { package, version })
    }
}

/// The module of a command, as build.lock pins it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolPin {
    /// Module path.
    pub module: String,
    /// `h1:…` of the module's zip.
    pub sum: String,
}

impl Provision<'_> {
    /// Looks up the module of a command: of all paths that begin its import path the longest that is a module with this
    /// version. Calls `progress` with bytes done and in all; it returns whether to go on.
    pub fn look_up(&self, tool: PublishedTool<'_>, progress: &dyn Fn(u64, u64) -> bool) -> Result<ToolPin, StepError> {
        let proxies = self.settings.proxies().unwrap_or_default();
        let mut last = StepError::environment("GOPROXY names no module proxy").hint("set GOPROXY to one");
        for entry in proxies {
            match self.look_up_at(&entry.url, tool, progress) {
                Ok(pin) => return Ok(pin),
                Err(FetchError::Interrupted) => return Err(StepError::Interrupted),
                Err(error) => {
                    let goes_on = matches!(error, FetchError::NotFound(_)) || entry.falls_through_on_error;
                    let PublishedTool { package, version } = tool;
                    last = match &error {
                        FetchError::NotFound(_) => {
                            StepError::environment(format!("there is no module with `{package}` at {version}"))
                                .hint("check its path and version, and GOPROXY")
                        }
                        _ => StepError::environment(format!("`{package}@{version}` could not be looked up: {error}")),
                    };
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    fn look_up_at(
        &self,
        proxy: &str,
        tool: PublishedTool<'_>,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<ToolPin, FetchError> {
        let PublishedTool { package, version } = tool;
        let mut missing = FetchError::NotFound(package.to_owned());
        let mut module = package;
        loop {
            let place = format!("{proxy}/{}/@v/{}", escaped(module), escaped(version));
            match self.fetched(&format!("{place}.info"), &|_| Ok(()), progress) {
                Ok(()) => {
                    let prefix = format!("{module}@{version}/");
                    let hash = |zip: &std::path::Path| unpack_module(zip, &prefix, None);
                    let unpacked = self.fetched(&format!("{place}.zip"), &hash, progress)?;
                    let sum = unpacked.module_hash.expect("a module zip has a hash");
                    return Ok(ToolPin { module: module.to_owned(), sum });
                }
                Err(error @ FetchError::NotFound(_)) => missing = error,
                // Some proxies answer so for a path that is no module.
                Err(FetchError::Failed { refusal: Some(refusal), .. }) if (400..500).contains(&refusal.status) => {}
                Err(error) => return Err(error),
            }
            match module.rsplit_once('/') {
                Some((shorter, _)) if shorter.contains('.') => module = shorter,
                _ => return Err(missing),
            }
        }
    }
}

/// Returns a module path or version as the proxies' addresses have it: `!x` for `X` (golang.org/x/mod/module).
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(character.to_ascii_lowercase());
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        let tool = PublishedTool { package: "example.com/x/cmd/z", version: "v1.2.3" };
        assert_eq!(PublishedTool::parse("example.com/x/cmd/z@v1.2.3"), Some(tool));
        assert_eq!(PublishedTool::parse("stringer"), None);
        assert_eq!(escaped("github.com/Masterminds/squirrel"), "github.com/!masterminds/squirrel");
    }
}
