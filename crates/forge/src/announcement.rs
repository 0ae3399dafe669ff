//! `Announcement`: what is said of a release. It knows no forge, but for how much one takes.

/// GitHub takes this number of characters as the notes of a release.
const NOTES_MAX: usize = 125_000;
/// What stands below notes that are cut.
const NOTES_CUT: &str = "\n\n(shortened)\n";

/// What is said of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// `v1.2.0`
    pub tag: String,
    /// Its title.
    pub name: String,
    /// The changelog, in Markdown.
    pub notes: String,
    /// The commit that the forge gives the tag if there is none.
    pub commit: Option<String>,
    /// True if it is not for everybody.
    pub is_prerelease: bool,
    /// True if a person publishes it.
    pub stays_draft: bool,
    /// True if an asset with other bytes is replaced while the release is a draft.
    pub replaces: bool,
}

impl Announcement {
    /// Returns the notes, cut at the end of a line if they are too long.
    pub(crate) fn notes(&self) -> String {
        if self.notes.chars().count() <= NOTES_MAX {
            return self.notes.clone();
        }
        let kept: String = self.notes.chars().take(NOTES_MAX - NOTES_CUT.len()).collect();
        let end = kept.rfind('\n').unwrap_or(kept.len());
        format!("{}{NOTES_CUT}", &kept[..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_notes_are_cut_at_a_line() {
        let notes = "é line\n".repeat(30_000);
        let announcement = Announcement {
            tag: "v1".to_owned(),
            name: "1".to_owned(),
            notes: notes.clone(),
            commit: None,
            is_prerelease: false,
            stays_draft: false,
            replaces: false,
        };
        let cut = announcement.notes();
        assert!(cut.chars().count() <= NOTES_MAX, "{}", cut.chars().count());
        assert!(cut.ends_with("é line\n\n(shortened)\n"), "{}", &cut[cut.len() - 40..]);
        assert!(notes.starts_with(cut.trim_end_matches(NOTES_CUT)));
    }
}
