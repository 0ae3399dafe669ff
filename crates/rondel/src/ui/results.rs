//! The end of a build in words: what was made, what ran, what did not and why.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rondel_engine::{Forecast, Graph, Metadata, NodeId, Outcome, Shown as StepShown};
use rondel_targets::{ImageMetadata, PublishedMetadata, PushMetadata};

use crate::ui::BuildEnd;
use crate::ui::bytes_text;
use crate::ui::times::rough_text;

/// Number of hexadecimal digits that are left of a digest.
const DIGITS: usize = 12;
/// The longest command that an error shows whole, in characters.
const COMMAND_MAX: usize = 60;
/// Number of steps that are named.
const NAMED: usize = 6;
/// The least saved time that is worth a word.
const SAVED_LEAST: Duration = Duration::from_secs(1);

/// How the steps of a build ended.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// Steps that people wait for.
    expected: BTreeSet<NodeId>,
    results: BTreeMap<NodeId, (Outcome, Metadata)>,
    saved: Duration,
}

impl Ends {
    /// Returns that none has ended of those that a build always needs.
    pub fn of(graph: &Graph, forecast: &Forecast) -> Ends {
        let expected = forecast.steps().filter(|id| graph.node(*id).shown != StepShown::Never).collect();
        Ends { expected, ..Ends::default() }
    }

    /// Adds the end of a step.
    pub fn add(&mut self, node: NodeId, outcome: Outcome, saved: Duration, metadata: Metadata) {
        self.results.insert(node, (outcome, metadata));
        self.saved += saved;
    }

    /// Returns true if a step ended so.
    pub fn has(&self, wanted: Outcome) -> bool {
        self.results.values().any(|(outcome, _)| *outcome == wanted)
    }

    /// Returns true if a step was stopped that had the terminal.
    pub fn has_left_terminal(&self, graph: &Graph) -> bool {
        let is_foreground = |node: &NodeId| graph.node(*node).shown == StepShown::Foreground;
        self.results.iter().any(|(node, (outcome, _))| *outcome == Outcome::Interrupted && is_foreground(node))
    }

    fn count(&self, graph: &Graph, wanted: &[Outcome]) -> usize {
        let is_shown = |node: &NodeId| graph.node(*node).shown != StepShown::Never;
        self.results.iter().filter(|(node, (outcome, _))| wanted.contains(outcome) && is_shown(node)).count()
    }

    /// Returns the lines of what was made, each with its verb: images, what was sent and published.
    pub fn made(&self, graph: &Graph, verbose: bool) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        for (node, (outcome, metadata)) in &self.results {
            let image = metadata.get::<ImageMetadata>().filter(|image| !image.digest.is_empty());
            let (Some(image), false) = (image, *outcome == Outcome::Failed) else { continue };
            let (title, size) = (&graph.node(*node).title, bytes_text(image.size_bytes));
            let digest = shortened(&image.digest, verbose);
            lines.push(("Image", format!("{title} {digest} {size} {}", image.platforms.join(" "))));
            if !image.tags.is_empty() {
                lines.push(("", image.tags.join(", ")));
            }
        }
        for (_, metadata) in self.results.values() {
            let Some(pushed) = metadata.get::<PushMetadata>() else { continue };
            // A reference is for other commands, which take it whole.
            lines.extend(pushed.references.iter().map(|reference| ("Pushed", reference.clone())));
            lines.extend(pushed.attached.iter().map(|document| ("Attached", document.clone())));
        }
        for (_, metadata) in self.results.values() {
            lines.extend(metadata.get::<PublishedMetadata>().map(|published| ("Published", published.place)));
        }
        lines
    }

    /// `in 1.2 s: 4 ran, 9 up to date, 38 s saved`
    pub fn success(&self, graph: &Graph, took: Duration) -> String {
        let ran = self.count(graph, &[Outcome::Ran]);
        let up_to_date = self.count(graph, &[Outcome::Cached, Outcome::Restored]);
        let saved = match self.saved >= SAVED_LEAST {
            true => format!(", {} saved", rough_text(self.saved)),
            false => String::new(),
        };
        format!("in {}: {ran} ran, {up_to_date} up to date{saved}", rough_text(took))
    }

    /// `build (exit 1): 1 failed, 2 not run (image, image: docker), 3.1 s`
    pub fn failure(&self, graph: &Graph, end: &BuildEnd<'_>) -> String {
        let failed = self.results.values().filter(|(outcome, _)| *outcome == Outcome::Failed).count();
        let left_out = self.results.iter().filter(|(_, (outcome, _))| *outcome == Outcome::NotRun).map(|(id, _)| *id);
        let unreached = self.expected.iter().copied().filter(|id| !self.results.contains_key(id));
        let is_shown = |id: &NodeId| graph.node(*id).shown != StepShown::Never;
        let not_run: BTreeSet<NodeId> = left_out.chain(unreached).filter(is_shown).collect();
        let mut names: Vec<&str> = not_run.iter().take(NAMED).map(|id| graph.node(*id).title.as_str()).collect();
        let more = format!("{} more", not_run.len().saturating_sub(NAMED));
        if not_run.len() > NAMED {
            names.push(&more);
        }
        let not_run = match not_run.len() {
            0 => String::new(),
            count => format!(", {count} not run ({})", names.join(", ")),
        };
        format!("build (exit {}): {failed} failed{not_run}, {}", end.exit.code(), rough_text(end.took))
    }

    /// `after 11 s; container removed`
    pub fn stop(&self, end: &BuildEnd<'_>) -> String {
        let removed = match end.removed_containers {
            0 => String::new(),
            1 => "; container removed".to_owned(),
            count => format!("; {count} containers removed"),
        };
        format!("after {}{removed}", rough_text(end.took))
    }
}

/// Returns the text with the first digits only of each digest, unless `verbose` is set.
pub(crate) fn shortened(text: &str, verbose: bool) -> String {
    const MARK: &str = "sha256:";
    if verbose {
        return text.to_owned();
    }
    let mut parts = text.split(MARK);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        // `name@sha256:…` is a reference, which other commands take whole.
        let is_digest = digits == 64 && !result.ends_with('@');
        result.push_str(MARK);
        result.push_str(&part[..if is_digest { DIGITS } else { digits }]);
        result.push_str(&part[digits..]);
    }
    result
}

/// Returns a command if it is short, else what begins it: `go build …`.
pub(crate) fn short_command(summary: &str) -> String {
    let is_short = summary.chars().count() <= COMMAND_MAX && !summary.contains('\n');
    if is_short {
        return summary.to_owned();
    }
    let words: Vec<&str> = summary.split(' ').collect();
    let named = words.iter().take_while(|word| !word.starts_with('-') && !word.contains(['\n', '\''])).count();
    if named > 1 {
        return format!("{} …", words[..named.min(3)].join(" "));
    }
    let line: String = summary.lines().next().unwrap_or_default().chars().take(COMMAND_MAX - 1).collect();
    format!("{}…", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn digests_of_images_are_short_unless_all_is_wanted() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(shortened(&format!("image {digest} 4 MiB"), false), "image sha256:0123456789ab 4 MiB");
        assert_eq!(shortened(&format!("image {digest} 4 MiB"), true), format!("image {digest} 4 MiB"));
        // A reference is taken whole, and what is no digest stays.
        assert_eq!(shortened(&format!("a/b@{digest}"), false), format!("a/b@{digest}"));
        assert_eq!(shortened("sha256:12 sha256: x", false), "sha256:12 sha256: x");
    }

    #[test]
    fn a_stop_names_what_was_removed() {
        let stop = |removed_containers| {
            let took = Duration::from_secs(11);
            Ends::default().stop(&BuildEnd { exit: Exit::Interrupted, took, notes: &[], removed_containers })
        };
        assert_eq!(stop(0), "after 11 s");
        assert_eq!(stop(1), "after 11 s; container removed");
        assert_eq!(stop(2), "after 11 s; 2 containers removed");
    }

    #[test]
    fn a_long_command_is_named_by_its_beginning() {
        let long = "x".repeat(80);
        for (command, shown) in [
            ("false".to_owned(), "false"),
            ("sh -c 'test -s in'".to_owned(), "sh -c 'test -s in'"),
            (format!("go build -overlay={long} ./cmd"), "go build …"),
            (format!("docker compose up --wait {long}"), "docker compose up …"),
            (
                format!("sh -eu -c 'echo {}'", "y ".repeat(60)),
                "sh -eu -c 'echo y y y y y y y y y y y y y y y y y y y y y y…",
            ),
            ("sh -eu -c 'one\ntwo'".to_owned(), "sh -eu -c 'one…"),
        ] {
            assert_eq!(short_command(&command), shown);
        }
    }
}
