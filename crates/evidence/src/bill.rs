//! `Bill`: what an artefact is made of, before a document form is chosen.

use rondel_cas::Digest;
use serde::{Deserialize, Serialize};

/// What an artefact is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// Name of the project.
    pub project: String,
    /// The artefact itself is the first; the others come in the order of the document.
    pub components: Vec<Component>,
    /// How components belong together, by their positions.
    pub relations: Vec<(usize, Relation, usize)>,
}

/// Version of an encoded bill, for keys.
pub const BILL_FORMAT: &str = "bill-1";

/// One part of an artefact, or the artefact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// What it is.
    pub kind: ComponentKind,
    /// Its name in its own world: a file, a module path, a package.
    pub name: String,
    /// Its version; empty if there is none.
    pub version: String,
    /// Its package URL, if it has a public name.
    pub purl: Option<String>,
    /// Its licence as an SPDX expression, if the authors' own text says one.
    pub licence: Option<String>,
    /// Digest of exactly these bytes: of a file, or of an image's manifest.
    pub digest: Option<Digest>,
    /// What else is known of it, in its own terms.
    pub facts: Vec<Fact>,
}

/// What a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ComponentKind {
    /// A program.
    Executable,
    /// A file with programs in it.
    Archive,
    /// An image of one platform.
    Image,
    /// A module or library.
    Module,
    /// A package of a distribution.
    Package,
    /// The distribution.
    OperatingSystem,
    /// A program that made others and is in none.
    Toolchain,
}

/// Something that is known of a component and has no field in the documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// `go.sum`
    pub name: String,
    /// `h1:…`
    pub value: String,
    /// What the value is, for readers who do not know the name.
    pub note: Option<String>,
}

/// How one component belongs to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Relation {
    /// The first was made from the sources of the second.
    GeneratedFrom,
    /// The second is linked into the first.
    Links,
    /// The second is in the first.
    Contains,
    /// The second made the first, and is not in it.
    BuiltWith,
}

impl Bill {
    /// Returns a bill with nothing but its subject.
    pub fn of(project: &str, subject: Component) -> Bill {
        Bill { project: project.to_owned(), components: vec![subject], relations: Vec::new() }
    }

    /// Adds a part of the component at `whole`; returns its position. A component that is there twice, as a module of two
    /// executables, is listed once.
    pub fn add(&mut self, whole: usize, relation: Relation, part: Component) -> usize {
        let position = self.place(part);
        if !self.relations.contains(&(whole, relation, position)) {
            self.relations.push((whole, relation, position));
        }
        position
    }

    fn place(&mut self, part: Component) -> usize {
        let known = self.components.iter().skip(1).position(|other| *other == part).map(|index| index + 1);
        known.unwrap_or_else(|| {
            self.components.push(part);
            self.components.len() - 1
        })
    }

    /// Adds another bill as a part of this one's subject: the executable of an image, with its modules.
    pub fn add_bill(&mut self, relation: Relation, other: &Bill) {
        let Some(subject) = other.components.first() else { return };
        let mut places = vec![self.add(0, relation, subject.clone())];
        places.extend(other.components.iter().skip(1).map(|component| self.place(component.clone())));
        for (whole, relation, part) in &other.relations {
            let relation = (places[*whole], *relation, places[*part]);
            if !self.relations.contains(&relation) {
                self.relations.push(relation);
            }
        }
    }

    /// Returns the bill as bytes, for other steps: canonical, so that equal bills are equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }

    /// Reads what `encode` wrote. `None` for anything else, also for positions that are none.
    pub fn decode(bytes: &[u8]) -> Option<Bill> {
        let bill: Bill = serde_json::from_slice(bytes).ok()?;
        let count = bill.components.len();
        let is_sound = count > 0 && bill.relations.iter().all(|(whole, _, part)| *whole < count && *part < count);
        is_sound.then_some(bill)
    }
}

impl Component {
    /// Returns a component that has only a name.
    pub fn named(kind: ComponentKind, name: &str) -> Component {
        Component {
            kind,
            name: name.to_owned(),
            version: String::new(),
            purl: None,
            licence: None,
            digest: None,
            facts: Vec::new(),
        }
    }
}

impl Fact {
    /// Returns a fact that needs no note.
    pub fn new(name: &str, value: &str) -> Fact {
        Fact { name: name.to_owned(), value: value.to_owned(), note: None }
    }
}
