//! Media types of the OCI image specification (1.1).

/// Of one image, and of a document about one.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Of an image's configuration.
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Of the index over all platforms.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Of layers that are written here.
pub(crate) const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The same in zstd.
pub(crate) const ZSTD_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
