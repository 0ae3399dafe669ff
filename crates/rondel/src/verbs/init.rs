//! `init`: adopts Rondel in a Go repository. It writes build.ron, build.lock and Cargo's files, and adds lines to ignore files.
//!
//! What the repository says of itself is `rondel-survey`'s. Nothing of the repository is started, nothing is overwritten, and
//! nothing is written before all of it is known to have its place.

mod changes;

use std::path::{Path, PathBuf};

use rondel_survey::{
    CargoFiles, RondelSource, Survey, SurveyError, alias_in, build_ron, docker_ignore, git_ignore, member_in, survey,
};

use crate::VERSION;
use crate::cli::groups::GlobalOptions;
use crate::cli::option::{option, options};
use crate::cli::verb::{Call, Verb};
use crate::exit::{Exit, Failure};
use crate::program;
use crate::session::{ProcessContext, Session};
use crate::ui::{print_data, print_line};
use crate::verbs::init::changes::Changes;
use crate::verbs::lock::lock_anew;

/// Address of Rondel's repository, as Cargo.toml says; empty if it says none.
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

options! {
    /// Options of `init`.
    struct Options {
        /// print what would be written, and write nothing
        dry_run: bool = option("dry-run"),
        /// write build.ron alone, for an installed `rondel`
        no_cargo: bool = option("no-cargo"),
        /// directory of the module, if there are several
        root: Option<String> = option("root").value("PATH"),
        /// take Rondel from this address of git
        rondel_git: Option<String> = option("rondel-git").value("URL"),
        /// take Rondel from this directory, relative to the repository
        rondel_path: Option<String> = option("rondel-path").value("PATH"),
        /// never use the network; then nothing is pinned
        offline: bool = option("offline"),
    }
}

/// Writes what a Go repository needs for Rondel.
pub(crate) struct Init;

impl Verb for Init {
    const NAME: &'static str = "init";
    const ABOUT: &'static str = "write build.ron and Cargo's files for a Go repository";
    const EXAMPLE: &'static str = "init --rondel-path third_party/rondel";
    const DETAILS: &'static str = "\
The repository is the nearest directory with .git, or the current one. Modules, main packages, the Go version,
Dockerfile, compose file and `-X` flags decide what is written; what can't be told becomes a comment. Nothing of the
repository is run, and nothing is overwritten.";
    type Options = Options;

    fn run(_: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        init(call.context, call.global, &call.options)
    }
}

fn init(context: &ProcessContext, global: &GlobalOptions, options: &Options) -> Result<Exit, Failure> {
    if global.file.is_some() {
        return Err(Failure::usage("`init` writes build.ron at the top of the repository, and takes no `--file`"));
    }
    let top = top_of(&context.directory);
    let mut changes = Changes::new(&top);
    let hint = format!("`{}` lists its targets; edit it, or remove it first", program::name());
    if changes.is_taken("build.ron") {
        return Err(Failure::usage(format!("there is a build.ron in `{}`", top.display())).hint(hint));
    }
    // As `cargo xtask` it has been started by the files that it would write.
    let source = match options.no_cargo || program::is_xtask() {
        true => None,
        false => Some(source(&top, options)?),
    };
    let skip = match &source {
        Some(RondelSource::Path(path)) => Some(path.as_str()),
        Some(RondelSource::Git(_)) | None => None,
    };
    let survey = survey(&top, options.root.as_deref(), skip).map_err(failure)?;
    changes.create("build.ron", build_ron(&survey, VERSION).map_err(failure)?)?;
    if let Some(source) = &source {
        cargo_files(&mut changes, source)?;
    }
    let ignored = git_ignore(changes.former(".gitignore")?.as_deref(), &survey, source.is_some());
    changes.extend(".gitignore", ignored)?;
    let ignored = docker_ignore(changes.former(".dockerignore")?.as_deref(), &survey);
    changes.extend(".dockerignore", ignored)?;
    if options.dry_run {
        print_data(&changes.shown());
        return Ok(Exit::Done);
    }
    changes.write()?;
    // What has just been written starts it, whatever it was started as.
    let name = if source.is_some() { "cargo xtask" } else { program::name() };
    if !global.quiet {
        if top != context.directory {
            print_line(&format!("{:>12} {}", "In", top.display()));
        }
        changes.done().iter().for_each(|line| print_line(line));
    }
    pin(context, options, &top, global.quiet, name);
    if !global.quiet {
        print_line(&next_steps(&survey, name));
    }
    Ok(Exit::Done)
}

fn failure(error: SurveyError) -> Failure {
    Failure::usage(error.message).hint(error.hint)
}

/// Returns the nearest directory with `.git`, or this one.
fn top_of(directory: &Path) -> PathBuf {
    let found = directory.ancestors().find(|above| above.join(".git").symlink_metadata().is_ok());
    found.unwrap_or(directory).to_owned()
}

/// Returns where the repository takes Rondel from.
fn source(top: &Path, options: &Options) -> Result<RondelSource, Failure> {
    match (&options.rondel_git, &options.rondel_path) {
        (Some(_), Some(_)) => Err(Failure::usage("`--rondel-git` and `--rondel-path` can't be given together")),
        (Some(address), None) => git_address(address),
        (None, Some(path)) => rondel_path(top, path),
        (None, None) if !REPOSITORY.is_empty() => git_address(REPOSITORY),
        (None, None) => {
            let hint = "name it: `--rondel-path third_party/rondel` (a submodule), or `--rondel-git URL`; `--no-cargo` writes \
                        build.ron alone, for an installed `rondel`";
            Err(Failure::usage("this Rondel does not know the address of its own repository").hint(hint))
        }
    }
}

/// An address that others can use too: with a host, and without an account.
fn git_address(address: &str) -> Result<RondelSource, Failure> {
    let shown = address.escape_debug();
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    // `git@` of an SSH address is no secret.
    let account = rest.split('/').next().and_then(|host| host.rsplit_once('@')).map(|(account, _)| account);
    let has_account = account.is_some_and(|account| scheme != "ssh" || account.contains(':'));
    if !matches!(scheme, "https" | "http" | "ssh" | "git")
        || rest.is_empty()
        || address.contains(|c: char| c.is_control())
    {
        return Err(Failure::usage(format!(
            "`--rondel-git` takes an address that Cargo can use everywhere, not `{shown}`"
        ))
        .hint("for example `https://git.example/rondel.git`; a directory is for `--rondel-path`"));
    }
    if has_account {
        return Err(Failure::usage("the address of `--rondel-git` holds an account, which would be in the repository")
            .hint("write it without; git's credential helpers know it"));
    }
    Ok(RondelSource::Git(address.to_owned()))
}

/// A directory relative to the repository, since an absolute one is of this machine alone.
fn rondel_path(top: &Path, path: &str) -> Result<RondelSource, Failure> {
    let shown = path.escape_debug();
    let trimmed = path.trim_start_matches("./").trim_end_matches('/');
    if Path::new(trimmed).is_absolute() || trimmed.is_empty() || trimmed.contains(|c: char| c.is_control() || c == '\\')
    {
        return Err(Failure::usage(format!(
            "`--rondel-path` takes a directory relative to the repository, not `{shown}`"
        ))
        .hint("an absolute path is there on this machine only; add Rondel as a submodule"));
    }
    let manifest = top.join(trimmed).join("crates/rondel/Cargo.toml");
    let text = rondel_cas::read_text_at_most(&manifest, rondel_cas::SMALL_MAX).unwrap_or_default();
    if !text.contains("name = \"rondel\"") {
        return Err(Failure::usage(format!("there is no Rondel in `{shown}`"))
            .hint("it is the directory with Rondel's own README.md, relative to the repository"));
    }
    Ok(RondelSource::Path(trimmed.to_owned()))
}

/// Adds what `cargo xtask` needs.
fn cargo_files(changes: &mut Changes, source: &RondelSource) -> Result<(), Failure> {
    let hint = "`--no-cargo` writes build.ron alone, for an installed `rondel`";
    let by_hand = |what: String| Failure::usage(what).hint(format!("then run this again; {hint}"));
    if changes.is_taken("xtask") {
        return Err(Failure::usage("there is an `xtask` already").hint(hint));
    }
    if changes.is_taken(".cargo/config") {
        return Err(Failure::usage("there is a `.cargo/config`, which Cargo prefers to `.cargo/config.toml`")
            .hint(format!("rename it; {hint}")));
    }
    let files = CargoFiles::new(source);
    match changes.former("Cargo.toml")? {
        Some(former) => {
            let text = member_in(&former, source).map_err(by_hand)?;
            changes.extend("Cargo.toml", Some(text))?;
        }
        None => changes.create("Cargo.toml", files.workspace)?,
    }
    changes.create("xtask/Cargo.toml", files.manifest)?;
    changes.create("xtask/src/main.rs", files.main.to_owned())?;
    changes.create("xtask/build.rs", files.build_script.to_owned())?;
    match changes.former(".cargo/config.toml")? {
        Some(former) => {
            let text = alias_in(&former).map_err(by_hand)?;
            changes.extend(".cargo/config.toml", Some(text))
        }
        None => changes.create(".cargo/config.toml", files.config),
    }
}

/// Pins Go in build.lock. The rest stands without it, so that a failure is only said.
fn pin(context: &ProcessContext, options: &Options, top: &Path, quiet: bool, name: &str) {
    let command = format!("`{name} lock` writes it");
    if options.offline {
        print_line(&format!("{:>12} build.lock: `--offline` was given; {command}", "Not written"));
        return;
    }
    let file = top.join("build.ron");
    let pinned = Session::open(context, file.to_str()).and_then(|session| lock_anew(&session, quiet));
    if let Err(error) = pinned {
        print_line(&format!("{:>12} build.lock: {}; {command}", "Not written", error.message()));
    }
}

fn next_steps(survey: &Survey, name: &str) -> String {
    let targets = survey.targets();
    let first = targets.first().map_or("", String::as_str);
    let image = targets.iter().find(|target| target.ends_with("image")).map_or("", String::as_str);
    format!(
        "\nRun   {name} {first}\n      {name} {image}\n      {name}   (lists all targets)\n\
         then read the comments in build.ron, and commit what was written, with the lock files."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for address in ["https://git.example/rondel.git", "ssh://git@git.example/rondel"] {
            assert_eq!(git_address(address).unwrap(), RondelSource::Git(address.to_owned()));
        }
        for address in [
            "",
            "/srv/rondel",
            "file:///srv/rondel",
            "https://me:secret@git.example/r",
            "ssh://me:secret@h/r",
            "https://a\nb",
            "rondel",
        ] {
            let failure = git_address(address).unwrap_err();
            assert!(!failure.message().contains("secret"), "{address}");
        }
    }
}
