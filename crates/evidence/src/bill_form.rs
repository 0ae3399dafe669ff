//! The forms of bills of materials: which there are, and the document of each. It knows no field of any.

use crate::bill::Bill;
use crate::cyclonedx::cyclonedx_document;
use crate::spdx::spdx_document;

/// Form of a bill of materials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BillForm {
    /// SPDX 2.3 in JSON.
    Spdx,
    /// CycloneDX 1.6 in JSON.
    CycloneDx,
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
    /// Returns the document, pretty-printed, with a line break at its end.
    pub fn document(&self, form: BillForm) -> Vec<u8> {
        let value = match form {
            BillForm::Spdx => spdx_document(self),
            BillForm::CycloneDx => cyclonedx_document(self),
        };
        let mut bytes = serde_json::to_vec_pretty(&value).expect("plain data");
        bytes.push(b'\n');
        bytes
    }
}

#[cfg(test)]
mod tests {
    use rondel_cas::Digest;

    use super::*;
    use crate::bill::{Component, ComponentKind, Fact, Relation};

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
