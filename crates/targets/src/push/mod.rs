//! Images on their way to registries: what there is to send, what goes where, the documents beside them, and the
//! file that names what was pushed.

mod at_once;
mod content;
mod documents;
mod merged_index;
mod own_documents;
mod refs;
mod signature_tags;
mod signed;
mod step;

pub use step::PushMetadata;

pub(crate) use content::read_index;
pub(crate) use documents::{DeclaredDocument, DocumentOrigin};
pub(crate) use own_documents::{Destinations, Pushed, StatementOfPush, bundle_annotations, own_documents};
pub(crate) use refs::RefsStep;
pub(crate) use step::PushStep;
