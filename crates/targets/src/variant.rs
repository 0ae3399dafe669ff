//! Variants of platforms, as images have them.

use rondel_buildfile::Platform;

/// Returns the variant for the image specification: always that of `GOARM`, others if they are declared.
pub(crate) fn oci_variant(platform: &Platform) -> Option<String> {
    match (platform.architecture(), platform.variant()) {
        ("arm", None) => Some("v7".to_owned()),
        ("amd64" | "arm" | "arm64", Some(variant)) => Some(variant.trim_end_matches(".0").to_owned()),
        _ => None,
    }
}
