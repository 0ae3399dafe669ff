//! `GitNotes`: what git answered in one run, so that another one gets the same answers where there is no repository.
//!
//! Every question passes `answer`. It knows neither what is asked nor who asks.

use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::sync::{Arc, Mutex};

/// Answers that are written down, or that were; by default neither.
#[derive(Clone, Debug, Default)]
pub struct GitNotes(Option<Arc<Notes>>);

#[derive(Debug)]
struct Notes {
    /// True if nothing else is asked.
    is_given: bool,
    answers: Mutex<BTreeMap<String, String>>,
}

/// They say nothing of a repository's place.
impl PartialEq for GitNotes {
    fn eq(&self, _other: &GitNotes) -> bool {
        true
    }
}

impl Eq for GitNotes {}

impl GitNotes {
    /// Returns notes that each answer is added to.
    pub fn taken() -> GitNotes {
        GitNotes::new(false, BTreeMap::new())
    }

    /// Returns notes that are the only source of answers. A question that is not among them has none.
    pub fn given(answers: BTreeMap<String, String>) -> GitNotes {
        GitNotes::new(true, answers)
    }

    fn new(is_given: bool, answers: BTreeMap<String, String>) -> GitNotes {
        GitNotes(Some(Arc::new(Notes { is_given, answers: Mutex::new(answers) })))
    }

    /// Returns all answers, each by its question.
    pub fn answers(&self) -> BTreeMap<String, String> {
        self.0.as_ref().map(|notes| notes.answers.lock().expect("no panic while locked").clone()).unwrap_or_default()
    }

    /// Returns true if answers are written down. A step that is up to date asks then, too, what it would ask if it ran.
    pub(crate) fn is_taken(&self) -> bool {
        self.0.as_ref().is_some_and(|notes| !notes.is_given)
    }

    /// Returns the answer to a question: the one that was noted, or else that of `ask`.
    pub(crate) fn answer(&self, question: &str, ask: impl FnOnce() -> Option<String>) -> Option<String> {
        let Some(notes) = &self.0 else { return ask() };
        if notes.is_given {
            return notes.answers.lock().expect("no panic while locked").get(question).cloned();
        }
        let answer = ask();
        if let Some(answer) = &answer {
            notes.answers.lock().expect("no panic while locked").insert(question.to_owned(), answer.clone());
        }
        answer
    }
}

/// Returns `path` as it is seen from `root`, the same wherever both lie together.
pub(super) fn seen_from(root: &Path, path: &Path) -> String {
    let (root, path): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (root.components().collect(), path.components().collect());
    let shared = root.iter().zip(&path).take_while(|(one, other)| one == other).count();
    let up = root[shared..].iter().map(|_| "..".to_owned());
    let down = path[shared..].iter().map(|part| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_is_answered_later() {
        let taken = GitNotes::taken();
        assert_eq!(taken.answer("HEAD", || Some("abc".to_owned())).as_deref(), Some("abc"));
        assert_eq!(taken.answer("shallow", || None), None);
        let given = GitNotes::given(taken.answers());
        assert!(taken.is_taken() && !given.is_taken() && !GitNotes::default().is_taken());
        let ask = || -> Option<String> { panic!("a repository was asked") };
        assert_eq!(given.answer("HEAD", ask).as_deref(), Some("abc"));
        assert_eq!((given.answer("shallow", ask), given.answer("tags", ask)), (None, None));
        assert_eq!(GitNotes::default().answer("HEAD", || Some("abc".to_owned())).as_deref(), Some("abc"));
        assert!(GitNotes::default().answers().is_empty());
    }

    #[test]
    fn paths_from_a_root() {
        for (root, path, expected) in [
            ("/a/b", "/a/b/c/d.go", "c/d.go"),
            ("/a/b", "/a/x/d.go", "../x/d.go"),
            ("/a/b/c", "/a/go.work", "../../go.work"),
        ] {
            assert_eq!(seen_from(Path::new(root), Path::new(path)), expected);
        }
    }
}
