//! The steps of a `GoGenerate`: generators run in a copy of the module, and what they make is compared with the tree, or
//! put into it.

mod difference;
mod generators;
mod placing;
mod programs;
mod sources;

pub(crate) use generators::GeneratorsStep;
pub(crate) use placing::PlacingStep;
pub(crate) use programs::Programs;
pub(crate) use sources::Sources;
