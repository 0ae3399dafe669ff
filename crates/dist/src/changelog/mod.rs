//! The text of a changelog: commits become Markdown, in groups. It asks no git, knows no clock, and a message can't
//! write more than its own line.

mod conventional;
mod markdown;

use conventional::Parsed;
use markdown::{escaped, line_text};

/// Maximum number of characters of a subject, and of a note on what breaks.
const TEXT_MAX: usize = 300;
/// Maximum number of digits of a commit that are shown.
const SHORT: usize = 7;
/// The word among the types of a group for changes that break something.
pub const BREAKING: &str = "!";
/// The word among the types of a group for everything that no other group has.
pub const EVERYTHING_ELSE: &str = "*";

/// A commit as git tells it. Nothing in it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its name in hexadecimal.
    pub hash: String,
    /// Name of its author.
    pub author: String,
    /// Its whole message.
    pub message: String,
}

/// How a changelog looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangelogStyle {
    /// The heading.
    pub title: String,
    /// Headings of groups with the types of commits in each. Without any, subjects stand in one list as they are.
    pub groups: Vec<(String, Vec<String>)>,
    /// Types that are left out.
    pub leave_out: Vec<String>,
    /// Address of a commit, with `{hash}` in it.
    pub commit_url: Option<String>,
    /// Address of an issue, with `{number}` in it.
    pub issue_url: Option<String>,
    /// True if authors are named.
    pub authors: bool,
}

/// Returns the changelog of commits, which stand in the order of git: the newest first. `has_more` is true if older ones
/// are not among them.
pub fn changelog(commits: &[Commit], has_more: bool, style: &ChangelogStyle) -> String {
    let mut text = format!("## {}\n", escaped(&line_text(&style.title, TEXT_MAX)));
    let mut is_empty = true;
    if style.groups.is_empty() {
        let lines: String = commits.iter().map(|commit| entry(commit, &Parsed::plain(commit), false, style)).collect();
        is_empty = lines.is_empty();
        text.push_str(&section(None, &lines));
    } else {
        let parsed: Vec<(&Commit, Parsed)> = commits.iter().map(|commit| (commit, Parsed::of(commit))).collect();
        let places: Vec<Option<usize>> = parsed.iter().map(|(_, parsed)| place(parsed, style)).collect();
        for (index, (title, types)) in style.groups.iter().enumerate() {
            let has_notes = types.iter().any(|kind| kind == BREAKING);
            let members = parsed.iter().zip(&places).filter(|(_, place)| **place == Some(index));
            let lines: String = members.map(|((commit, parsed), _)| entry(commit, parsed, has_notes, style)).collect();
            is_empty &= lines.is_empty();
            text.push_str(&section(Some(title), &lines));
        }
    }
    if is_empty {
        text.push_str("\nNo changes to tell of.\n");
    }
    if has_more {
        text.push_str(&format!("\nOnly the last {} commits are listed.\n", commits.len()));
    }
    text
}

/// Returns the lines below their heading; nothing without lines.
fn section(title: Option<&str>, lines: &str) -> String {
    match (lines.is_empty(), title) {
        (true, _) => String::new(),
        (false, None) => format!("\n{lines}"),
        (false, Some(title)) => format!("\n### {}\n\n{lines}", escaped(&line_text(title, TEXT_MAX))),
    }
}

/// Returns the position of a commit's group. What breaks something comes before its type, and is never left out.
fn place(parsed: &Parsed, style: &ChangelogStyle) -> Option<usize> {
    let group = |word: &str| style.groups.iter().position(|(_, types)| types.iter().any(|kind| kind == word));
    let breaking = parsed.breaks.then(|| group(BREAKING)).flatten();
    if breaking.is_some() {
        return breaking;
    }
    let kind = parsed.kind.as_deref();
    let is_left_out = kind.is_some_and(|kind| style.leave_out.iter().any(|other| other == kind));
    if is_left_out && !parsed.breaks {
        return None;
    }
    kind.and_then(group).or_else(|| group(EVERYTHING_ELSE))
}

/// Returns the line of a commit, and below it the note on what breaks.
fn entry(commit: &Commit, parsed: &Parsed, has_note: bool, style: &ChangelogStyle) -> String {
    let mut line = String::from("- ");
    if let Some(scope) = &parsed.scope {
        line.push_str(&format!("**{}:** ", escaped(&line_text(scope, TEXT_MAX))));
    }
    line.push_str(&markdown::with_issues(&line_text(&parsed.subject, TEXT_MAX), style.issue_url.as_deref()));
    let short: String = commit.hash.chars().filter(char::is_ascii_hexdigit).take(SHORT).collect();
    let hash: String = commit.hash.chars().filter(char::is_ascii_hexdigit).collect();
    let link = style.commit_url.as_ref().map(|url| format!("[{short}]({})", url.replace("{hash}", &hash)));
    let author = line_text(&commit.author, TEXT_MAX);
    let author = (style.authors && !author.is_empty()).then(|| escaped(&author));
    let facts: Vec<String> = [link, author].into_iter().flatten().collect();
    if !facts.is_empty() {
        line.push_str(&format!(" ({})", facts.join(", ")));
    }
    line.push('\n');
    let note = parsed.note.as_ref().map(|note| line_text(note, TEXT_MAX)).filter(|note| has_note && !note.is_empty());
    if let Some(note) = note {
        line.push_str(&format!("  {}\n", markdown::with_issues(&note, style.issue_url.as_deref())));
    }
    line
}

#[cfg(test)]
mod tests;
