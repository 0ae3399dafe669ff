//! A bill of materials as the bytes of a document.

use crate::bill::{Bill, BillForm};
use crate::cyclonedx::cyclonedx_document;
use crate::spdx::spdx_document;

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
