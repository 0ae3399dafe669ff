//! The list as text: states, names and descriptions in columns that fit the terminal. Knows no target.

use super::status::Status;

/// Widest column of names; a longer one has its description below.
const NAMES_MAX: usize = 36;
/// Narrowest column of names where some do not fit.
const NAMES_MIN: usize = 12;
/// Narrowest column of descriptions: in a narrower terminal they stand below the names.
const DOCS_MIN: usize = 24;

/// Where descriptions begin that stand below the names.
const BELOW: usize = 4;

/// One line of the list.
pub(super) struct Row<'a> {
    pub name: String,
    pub status: Option<&'a Status>,
    pub doc: String,
}

/// How the list is printed.
pub(super) struct Table {
    /// Number of columns; `None` if the text goes to no terminal.
    pub width: Option<usize>,
    pub has_color: bool,
}

/// The places of the columns.
struct Columns {
    states: usize,
    names: usize,
    /// Where descriptions begin.
    docs: usize,
    /// Width of descriptions, if they are wrapped.
    wrapped: Option<usize>,
}

impl Table {
    /// Returns the rows under their headings, each after an empty line.
    pub fn text(&self, groups: &[(String, Vec<Row<'_>>)]) -> String {
        let columns = self.columns(groups);
        let mut text = String::new();
        for (heading, rows) in groups {
            text.push('\n');
            for line in wrapped(heading, self.width) {
                text.push_str(&format!("{line}\n"));
            }
            for row in rows {
                self.row(&mut text, row, &columns);
            }
        }
        text
    }

    fn columns(&self, groups: &[(String, Vec<Row<'_>>)]) -> Columns {
        let rows = || groups.iter().flat_map(|(_, rows)| rows);
        let limit = self.width.map_or(NAMES_MAX, |width| NAMES_MAX.min(width / 2));
        let fitting = rows().map(|row| length(&row.name)).filter(|length| *length <= limit).max();
        let is_all = rows().all(|row| length(&row.name) <= limit);
        let names = fitting.unwrap_or(0).max(if is_all { 0 } else { NAMES_MIN });
        let states = rows().filter_map(|row| row.status).map(|status| status.word().len()).max();
        let states = states.map_or(0, |states| states + 2);
        let beside = 2 + states + names + 2;
        let docs = match self.width {
            Some(width) if width < beside + DOCS_MIN => BELOW,
            Some(_) | None => beside,
        };
        Columns { states, names, docs, wrapped: self.width.map(|width| width.saturating_sub(docs)) }
    }

    fn row(&self, text: &mut String, row: &Row<'_>, columns: &Columns) {
        let word = row.status.map_or("", Status::word);
        let padding = " ".repeat(columns.states.saturating_sub(word.len()));
        let mut line = format!("  {}{padding}{:<width$}", self.colored(row.status), row.name, width = columns.names);
        let docs = wrapped(&row.doc, columns.wrapped);
        let is_beside = columns.docs > BELOW && length(&row.name) <= columns.names;
        let mut docs = docs.iter();
        if is_beside {
            line.push_str(&format!("  {}", docs.next().map_or("", String::as_str)));
        }
        text.push_str(&format!("{}\n", line.trim_end()));
        for doc in docs {
            text.push_str(&format!("{:width$}{doc}\n", "", width = columns.docs));
        }
    }

    fn colored(&self, status: Option<&Status>) -> String {
        let Some(status) = status else { return String::new() };
        match status.color().filter(|_| self.has_color) {
            Some(code) => format!("\x1b[{code}m{}\x1b[0m", status.word()),
            None => status.word().to_owned(),
        }
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Returns the text in lines of at most `width` characters, broken between words. A longer word has a line of its own.
fn wrapped(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return vec![text.to_owned()] };
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if length(line) + 1 + length(word) <= width => line.push_str(&format!(" {word}")),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(width: Option<usize>, statuses: [Option<&Status>; 3], expected: Expect) {
        let row = |name: &str, status, doc: &str| Row { name: name.to_owned(), status, doc: doc.to_owned() };
        let [one, other, third] = statuses;
        let database = vec![
            row(
                "migrate-new name= [env=dev]",
                one,
                "A new migration, in the directory that the service reads at its start",
            ),
            row("a-name-that-is-much-longer-than-others [x=]", other, "Short"),
        ];
        let groups = [("database".to_owned(), database), ("other".to_owned(), vec![row("t", third, "Tests")])];
        expected.assert_eq(&Table { width, has_color: false }.text(&groups));
    }

    #[test]
    fn words_fit_the_terminal() {
        check(
            Some(80),
            [None; 3],
            expect![[r#"

            database
              migrate-new name= [env=dev]  A new migration, in the directory that the
                                           service reads at its start
              a-name-that-is-much-longer-than-others [x=]
                                           Short

            other
              t                            Tests
        "#]],
        );
        check(
            Some(50),
            [None; 3],
            expect![[r#"

            database
              migrate-new name= [env=dev]
                            A new migration, in the directory
                            that the service reads at its
                            start
              a-name-that-is-much-longer-than-others [x=]
                            Short

            other
              t             Tests
        "#]],
        );
        check(
            None,
            [None; 3],
            expect![[r#"

            database
              migrate-new name= [env=dev]  A new migration, in the directory that the service reads at its start
              a-name-that-is-much-longer-than-others [x=]
                                           Short

            other
              t                            Tests
        "#]],
        );
        for width in 20..120 {
            let row = Row { name: "name".to_owned(), status: None, doc: "some words of a description ".repeat(5) };
            let text = Table { width: Some(width), has_color: false }.text(&[("heading".to_owned(), vec![row])]);
            assert!(text.lines().all(|line| length(line) <= width), "{width}\n{text}");
        }
    }

    #[test]
    fn states_are_a_column() {
        let old = Status::OutOfDate("main.go changed".to_owned());
        let states = [Some(&Status::UpToDate), Some(&old), Some(&Status::Always)];
        check(
            Some(80),
            states,
            expect![[r#"

            database
              up to date   migrate-new name= [env=dev]  A new migration, in the directory
                                                        that the service reads at its start
              out of date  a-name-that-is-much-longer-than-others [x=]
                                                        Short

            other
              runs always  t                            Tests
        "#]],
        );
        check(
            Some(60),
            states,
            expect![[r#"

            database
              up to date   migrate-new name= [env=dev]
                A new migration, in the directory that the service reads
                at its start
              out of date  a-name-that-is-much-longer-than-others [x=]
                Short

            other
              runs always  t
                Tests
        "#]],
        );
    }
}
