//! Variables of the go command that build.ron can't set: Rondel sets them itself, or they would bring inputs that no key
//! has.

use rondel_buildfile::{Span, Spanned};
use rondel_engine::{EnvironmentValue, UserError};

use crate::analyzer::Analyzed;

/// Those that no Go target can set.
const OWN: &[&str] = &[
    "GOOS",
    "GOARCH",
    "GOROOT",
    "GOCACHE",
    "GOMODCACHE",
    "GOPATH",
    "GOENV",
    "GOFLAGS",
    "GOWORK",
    "GOTOOLCHAIN",
    "GOPROXY",
    "GO111MODULE",
    "GOTMPDIR",
];

/// Refuses such a variable that comes from a file; `span` is the place of the first one.
pub(crate) fn refuse_own_in_files(env: &[(String, EnvironmentValue)], span: Option<Span>) -> Analyzed<()> {
    let Some(span) = span else { return Ok(()) };
    env.iter().try_for_each(|(name, _)| refuse_own(&Spanned { value: name.clone(), span }, &[]))
}

/// Refuses a declared variable that Rondel sets itself; `others` are further ones of the kind.
pub(crate) fn refuse_own(name: &Spanned<String>, others: &[&str]) -> Analyzed<()> {
    if !OWN.contains(&name.value.as_str()) && !others.contains(&name.value.as_str()) {
        return Ok(());
    }
    let hint = match name.value.as_str() {
        "CGO_ENABLED" => "write `cgo: true`",
        "GOFLAGS" => "flags have fields of their own, such as `tags`",
        "GOWORK" => "write `go_work: \"go.work\"` at the top level",
        _ => "platforms are given in `platforms`, the toolchain in `go`",
    };
    Err(UserError::input(format!("`{}` is set by Rondel itself", name.value)).at(name.span).hint(hint))
}
