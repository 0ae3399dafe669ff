//! Images of a step, as its layout tells them when the page is made.

use crate::run::Step;

/// An image of one platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Its platform.
    pub platform: String,
    /// Its layers, the lowest one first.
    pub layers: Vec<Layer>,
}

/// A layer of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// What made it, by the image's history.
    pub what: String,
    /// Its digest, `sha256:…`.
    pub digest: String,
    /// Number of bytes, as it is in the layout.
    pub size: u64,
}

/// Looks for the images of a step that made a layout; says why there are none.
pub type LayersOf<'a> = dyn Fn(&Step) -> Result<Vec<Image>, String> + 'a;
