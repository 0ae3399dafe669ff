//! Documents about artefacts: bills of materials (SPDX, CycloneDX), licences, provenance (in-toto, SLSA),
//! what is known of vulnerabilities (OpenVEX).
//!
//! A document follows from its subject alone: it holds no time of day, host, path or random word, so the same artefact has
//! the same document everywhere. This crate knows no target, no Go and no image: what is in an artefact is handed in.

mod attestation;
mod bill;
mod cyclonedx;
mod document;
mod expression;
mod licences;
mod openvex;
mod provenance;
mod rpm;
mod spdx;
mod statement;
mod summary;
mod system_packages;

pub use attestation::{SIGNED, image_purl, statement};
pub use bill::{BILL_FORMAT, Bill, BillForm, Component, ComponentKind, Fact, Relation};
pub use cyclonedx::cyclonedx_document;
pub use expression::{and_expression, is_expression};
pub use licences::{LICENCES_FORMAT, is_licence_file, licence_of_files, licence_of_text};
pub use openvex::{VulnerabilityStatement, VulnerabilityStatements, VulnerabilityStatus};
pub use provenance::{Material, Provenance, Subject, without_userinfo};
pub use spdx::spdx_document;
pub use statement::{STATEMENT_MAX, StatedBuild, Statement, StatementError};
pub use summary::VerificationSummary;
pub use system_packages::{OsRelease, SYSTEM_PACKAGES_FORMAT, SystemPackages, is_package_database};
