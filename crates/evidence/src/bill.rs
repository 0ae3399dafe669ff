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

/// Form of a bill of materials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BillForm {
    /// SPDX 2.3 in JSON.
    Spdx,
    /// CycloneDX 1.6 in JSON.
    CycloneDx,
}

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

impl BillForm {
    /// Returns the ending of a file of this form: `.spdx.json`.
    pub fn ending(self) -> &'static str {
        match self {
            BillForm::Spdx => ".spdx.json",
            BillForm::CycloneDx => ".cdx.json",
        }
    }

    /// Returns the version of the document's form, for keys.
    pub fn format(self) -> &'static str {
        match self {
            BillForm::Spdx => "SPDX-2.3 rondel-2",
            BillForm::CycloneDx => "CycloneDX-1.6 rondel-1",
        }
    }

    /// Returns the media type of a document of this form.
    pub fn media_type(self) -> &'static str {
        match self {
            BillForm::Spdx => "application/spdx+json",
            BillForm::CycloneDx => "application/vnd.cyclonedx+json",
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str) -> Bill {
        let mut subject = Component::named(ComponentKind::Executable, name);
        subject.digest = Some(Digest::of(name.as_bytes()));
        let mut bill = Bill::of("p", subject);
        let mut module = Component::named(ComponentKind::Module, "example.com/a");
        module.version = "v1.0.0".to_owned();
        module.purl = Some("pkg:golang/example.com/a@v1.0.0".to_owned());
        module.licence = Some("MIT".to_owned());
        let note = Some("a hash over a directory".to_owned());
        module.facts.push(Fact { name: "go.sum".to_owned(), value: "h1:abc=".to_owned(), note });
        bill.add(0, Relation::Links, module);
        let mut both = Component::named(ComponentKind::Module, "example.com/b");
        both.licence = Some("Apache-2.0 AND MIT".to_owned());
        bill.add(0, Relation::Links, both);
        bill.add(0, Relation::BuiltWith, Component::named(ComponentKind::Toolchain, "go"));
        bill
    }

    fn text(bill: &Bill, form: BillForm) -> String {
        String::from_utf8(bill.document(form)).unwrap()
    }

    #[test]
    fn both_forms() {
        let bill = program("x");
        expect_test::expect_file!["expected/program.spdx.json"].assert_eq(&text(&bill, BillForm::Spdx));
        expect_test::expect_file!["expected/program.cdx.json"].assert_eq(&text(&bill, BillForm::CycloneDx));
    }

    #[test]
    fn what_two_programs_share_is_listed_once() {
        let mut image = Bill::of("p", Component::named(ComponentKind::Image, "image"));
        image.add_bill(Relation::Contains, &program("x"));
        image.add_bill(Relation::Contains, &program("y"));
        let names: Vec<&str> = image.components.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["image", "x", "example.com/a", "example.com/b", "go", "y"]);
        let of =
            |whole: usize| image.relations.iter().filter(|one| one.0 == whole).map(|one| one.2).collect::<Vec<_>>();
        assert_eq!((of(0), of(1), of(5)), (vec![1, 5], vec![2, 3, 4], vec![2, 3, 4]));
    }

    #[test]
    fn a_bill_is_read_again() {
        let bill = program("x");
        assert_eq!(Bill::decode(&bill.encode()), Some(bill.clone()));
        let mut broken = bill.clone();
        broken.relations.push((0, Relation::Links, 99));
        assert_eq!(Bill::decode(&broken.encode()), None);
        assert_eq!(Bill::decode(&Bill { components: Vec::new(), relations: Vec::new(), ..bill }.encode()), None);
        assert_eq!(Bill::decode(b"{}"), None);
    }

    /// Whatever changes in a bill changes what identifies its documents.
    #[test]
    fn other_contents_are_another_document() {
        let (one, mut other) = (program("x"), program("x"));
        other.components[1].facts[0].value = "h1:abd=".to_owned();
        let value = |bill: &Bill, form| serde_json::from_slice::<serde_json::Value>(&bill.document(form)).unwrap();
        let id = |bill: &Bill| value(bill, BillForm::Spdx)["documentNamespace"].clone();
        let serial = |bill: &Bill| value(bill, BillForm::CycloneDx)["serialNumber"].clone();
        assert!(id(&one) != id(&other) && serial(&one) != serial(&other));
        assert!(id(&one) == id(&program("x")) && serial(&one) == serial(&program("x")));
    }
}
