//! Reading the fields of one record: takes fields by name, reports the rest, keeps all mistakes.
//!
//! Knows no field and no kind: those are declared with `record!` and `kind!`.

use std::collections::BTreeMap;

use crate::options::Options;
use crate::value::{Named, Value};
use crate::{Diagnostic, Span, Spanned, suggest};

/// Collects mistakes.
pub(crate) struct Reader<'d> {
    /// All mistakes so far.
    pub diagnostics: &'d mut Vec<Diagnostic>,
    /// This Rondel's own version, for the check of `rondel: ">=…"`.
    pub version: &'d str,
    /// Name of the field that is being read, for messages.
    pub field: &'static str,
    /// The whole text of the file.
    pub text: &'d str,
    /// Named options after positional arguments.
    pub options: Vec<Options>,
    /// Fields of `defaults`, by the word of the kind.
    pub defaults: Vec<(String, Vec<Named<'d>>)>,
    /// The lists of `sets`, by name.
    pub sets: BTreeMap<String, Value<'d>>,
    /// The sets that are being read, each named by the one before.
    pub open_sets: Vec<String>,
    /// Number of inputs that sets have stood for so far.
    pub set_inputs: usize,
}

/// The fields of one record, taken one by one.
pub(crate) struct Fields<'a> {
    /// Word of the record, for messages: `GoBuild`.
    owner: String,
    span: Span,
    entries: Vec<Named<'a>>,
    /// Values that hold where the record has none, from `defaults`.
    inherited: Vec<Named<'a>>,
    known: Vec<&'static str>,
    /// True if the record may lack required fields.
    is_partial: bool,
}

impl<'a> Fields<'a> {
    /// Returns a record of which one field is given without its name.
    pub fn alone(owner: &str, name: &'static str, value: Value<'a>) -> Fields<'a> {
        let entries = vec![Named { name: name.to_owned(), name_span: value.span(), value }];
        Fields { entries, ..Fields::new(owner, value.span()) }
    }

    fn new(owner: &str, span: Span) -> Fields<'a> {
        let (entries, inherited, known) = (Vec::new(), Vec::new(), Vec::new());
        Fields { owner: owner.to_owned(), span, entries, inherited, known, is_partial: false }
    }

    /// Lets the record lack required fields.
    pub fn partial(mut self) -> Fields<'a> {
        self.is_partial = true;
        self
    }

    /// Adds values that hold where the record has none.
    pub fn inherit(&mut self, defaults: &[Named<'a>]) {
        let copy = |entry: &Named<'a>| Named { name: entry.name.clone(), ..*entry };
        self.inherited = defaults.iter().map(copy).collect();
    }

    /// Returns the inherited value of `name`.
    pub fn inherited(&self, name: &str) -> Option<Value<'a>> {
        self.inherited.iter().find(|entry| entry.name == name).map(|entry| entry.value)
    }

    /// Returns the place of the record: of its word, or of the whole file.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Returns the value of `name` without taking it.
    pub fn peek(&self, name: &str) -> Option<Value<'a>> {
        self.entries.iter().find(|entry| entry.name == name).map(|entry| entry.value)
    }

    /// Takes the value of `name`, a field that the record has.
    pub fn take(&mut self, name: &'static str) -> Option<Value<'a>> {
        self.known.push(name);
        let index = self.entries.iter().position(|entry| entry.name == name)?;
        Some(self.entries.remove(index).value)
    }
}

impl<'d> Reader<'d> {
    /// Returns a reader of `text` that adds to `diagnostics`.
    pub fn new(text: &'d str, version: &'d str, diagnostics: &'d mut Vec<Diagnostic>) -> Reader<'d> {
        let (options, defaults, sets, open_sets) = (Vec::new(), Vec::new(), BTreeMap::new(), Vec::new());
        Reader { diagnostics, version, field: "", text, options, defaults, sets, open_sets, set_inputs: 0 }
    }
}

impl Reader<'_> {
    /// Adds a mistake.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Reports an error and returns `None` for it.
    pub fn kept<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.report(diagnostic)).ok()
    }

    /// Returns the fields of `value`, each name at most once.
    pub fn fields<'a>(&mut self, owner: &str, span: Span, value: Option<Value<'a>>) -> Option<Fields<'a>> {
        let entries = match value {
            None => Vec::new(),
            Some(value) => self.kept(value.fields())?,
        };
        let entries = self.without_duplicates(entries, "field");
        Some(Fields { entries, ..Fields::new(owner, span) })
    }

    /// Reports that a required field is missing.
    pub fn missing(&mut self, fields: &Fields<'_>, name: &str) {
        if fields.is_partial {
            return;
        }
        let message = format!("`{}` needs the field `{name}`", fields.owner);
        let hint = (name == "format").then(|| "write `format: 1`".to_owned());
        self.report(Diagnostic::new(fields.span, message).hint_of(hint));
    }

    /// Reports the fields that the record does not have.
    pub fn finish(&mut self, fields: Fields<'_>) {
        for entry in &fields.entries {
            let message = format!("unknown field `{}` in `{}`", entry.name.escape_debug(), fields.owner);
            let hint = match suggest(&entry.name, fields.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("`{}` has: {}", fields.owner, fields.known.join(", ")),
            };
            self.report(Diagnostic::new(entry.name_span, message).hint(hint));
        }
    }

    /// Returns the entries with each name once; `what` names such an entry in the message.
    pub fn without_duplicates<'a>(&mut self, entries: Vec<Named<'a>>, what: &str) -> Vec<Named<'a>> {
        let mut kept: Vec<Named<'a>> = Vec::with_capacity(entries.len());
        for entry in entries {
            if kept.iter().any(|other| other.name == entry.name) {
                let message = format!("{what} `{}` is given twice", entry.name.escape_debug());
                self.report(Diagnostic::new(entry.name_span, message).hint("remove one of the two"));
            } else {
                kept.push(entry);
            }
        }
        kept
    }

    /// Returns a string unchanged.
    pub fn string(&mut self, value: Value<'_>, expected: &str) -> Option<Spanned<String>> {
        if !value.is_string() {
            self.report(value.unexpected(expected).hint_of(value.in_quotes()));
            return None;
        }
        let text: String = self.kept(value.parse(expected))?;
        if text.contains('\0') {
            self.report(Diagnostic::new(value.span(), "a NUL in a string"));
            return None;
        }
        Some(Spanned { value: text, span: value.span() })
    }

    /// Reads one of some bare words.
    pub fn choice<T: Copy>(&mut self, value: Value<'_>, choices: &[(&'static str, T)]) -> Option<T> {
        let word = value.call().filter(|call| call.arguments.is_none()).map(|call| call.name);
        if let Some((_, choice)) = choices.iter().find(|(name, _)| Some(*name) == word) {
            return Some(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let mut diagnostic = value.unexpected(&format!("one of {}", names.join(", ")));
        diagnostic.hint = word.and_then(|word| suggest(word, names)).map(|near| format!("did you mean `{near}`?"));
        self.report(diagnostic);
        None
    }

    /// Reads the one argument of `Name(argument)`.
    pub fn argument<'a>(&mut self, name: &str, arguments: Value<'a>, span: Span) -> Option<Value<'a>> {
        let arguments = self.kept(arguments.positional())?;
        let [argument] = arguments.as_slice() else {
            self.report(Diagnostic::new(span, format!("`{name}` takes one string")));
            return None;
        };
        Some(*argument)
    }
}

impl Reader<'_> {
    /// Reads the options of the call at `span` with `read`. Calls it without fields if there are none.
    pub fn with_options<T>(
        &mut self,
        owner: &str,
        span: Span,
        read: impl FnOnce(&mut Self, &mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        let text = self.take_options(span.start);
        let value = text.as_deref().map(Value::whole);
        let mut fields = self.fields(owner, span, value)?;
        let result = read(self, &mut fields);
        self.finish(fields);
        result
    }

    /// Takes the options of the call that begins at `call`: a text of its own, in which they have the places that they
    /// have in the file.
    pub fn take_options(&mut self, call: usize) -> Option<String> {
        let options = self.options.iter_mut().find(|options| options.call == call)?;
        options.is_read = true;
        let place = options.span;
        let written = self.text.get(place.start + 1..place.end).unwrap_or_default();
        Some(format!("{}({written})", " ".repeat(place.start)))
    }

    /// Adds fields to a record that has others; each name once.
    pub fn extend<'a>(&mut self, fields: &mut Fields<'a>, more: Fields<'a>) {
        let entries = std::mem::take(&mut fields.entries).into_iter().chain(more.entries).collect();
        fields.entries = self.without_duplicates(entries, "field");
    }

    /// Reports options that no field takes. Where there are mistakes, some of them may have kept a field from being read.
    pub fn report_unread_options(&mut self) {
        if !self.diagnostics.is_empty() {
            return;
        }
        let unread: Vec<Span> =
            self.options.iter().filter(|options| !options.is_read).map(|options| options.span).collect();
        for span in unread {
            let text =
                "options are for the sources of files in an image, `files: {\"/path\": File(\"path\", mode: 0o755)}`";
            self.report(
                Diagnostic::new(Span { start: span.start + 1, end: span.end }, "unexpected options").hint(text),
            );
        }
    }
}
