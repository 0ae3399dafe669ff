//! Configuration, manifest and index by the OCI image specification (1.1), in canonical JSON: compact, fields in a
//! fixed order, maps sorted.

use std::collections::BTreeMap;

use rondel_cas::Digest;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::base_config::BaseImage;
use crate::image_config::ImageConfig;
use crate::layer::Layer;
use crate::media_types::{INDEX, MANIFEST};

/// Annotation of an image on another one, by the OCI specification: the name of that.
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// Its digest.
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// The image of one platform.
#[derive(Clone, Debug)]
pub struct PlatformImage {
    /// `GOOS`
    pub os: String,
    /// `GOARCH`
    pub architecture: String,
    /// `v7` of `linux/arm/v7`.
    pub variant: Option<String>,
    /// What the layers lie on; the settings it does not override are inherited.
    pub base: Option<BaseImage>,
    /// Lowest first, each with a description.
    pub layers: Vec<(Layer, String)>,
}

impl PlatformImage {
    /// Returns all layers, those of the base first, with their media types.
    pub(crate) fn all_layers(&self) -> Vec<(&str, Digest)> {
        let base = self.base.iter().flat_map(|base| &base.layers);
        let base = base.map(|(media_type, digest)| (media_type.as_str(), *digest));
        base.chain(self.layers.iter().map(|(layer, _)| (layer.compression.media_type(), layer.digest))).collect()
    }
}

/// RFC 3339 in UTC.
pub fn created_text(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01 (Howard Hinnant's civil_from_days).
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Returns the configuration of one platform's image.
pub(crate) fn config_json(config: &ImageConfig, image: &PlatformImage) -> Vec<u8> {
    #[derive(Serialize)]
    struct Config<'a> {
        created: &'a str,
        architecture: &'a str,
        os: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        variant: Option<&'a str>,
        config: Map<String, Value>,
        rootfs: Value,
        history: Vec<Value>,
    }
    let created = created_text(config.created_s);
    let inherited = image.base.as_ref().map(|base| base.config.settings.inherited_by(config));
    let config = inherited.as_ref().unwrap_or(config);
    let base = image.base.as_ref();
    let mut diff_ids = base.map(|base| base.config.diff_ids.clone()).unwrap_or_default();
    diff_ids.extend(image.layers.iter().map(|(layer, _)| layer.diff_id.oci()));
    let mut history = base.map(BaseImage::history).unwrap_or_default();
    let own = image.layers.iter();
    history.extend(own.map(|(_, what)| json!({"created": created, "created_by": "rondel", "comment": what})));
    to_json(&Config {
        created: &created,
        architecture: &image.architecture,
        os: &image.os,
        variant: image.variant.as_deref(),
        config: container_json(config),
        rootfs: json!({"type": "layers", "diff_ids": diff_ids}),
        history,
    })
}

/// Returns what containers are started with.
fn container_json(config: &ImageConfig) -> Map<String, Value> {
    let mut process = Map::new();
    let mut put = |name: &str, value: Value| process.insert(name.to_owned(), value);
    if !config.user.is_empty() {
        put("User", json!(config.user));
    }
    if !config.ports.is_empty() {
        let ports: BTreeMap<&str, Value> = config.ports.iter().map(|port| (port.as_str(), json!({}))).collect();
        put("ExposedPorts", json!(ports));
    }
    let environment: Vec<String> = config.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    put("Env", json!(environment));
    for (name, list) in [("Entrypoint", &config.entrypoint), ("Cmd", &config.command)] {
        if !list.is_empty() {
            put(name, json!(list));
        }
    }
    put("WorkingDir", json!(if config.directory.is_empty() { "/" } else { &config.directory }));
    if !config.labels.is_empty() {
        put("Labels", json!(config.labels));
    }
    if let Some(health) = &config.health {
        let nanoseconds = |seconds: u64| seconds * 1_000_000_000;
        let test: Vec<&str> = std::iter::once("CMD").chain(health.command.iter().map(String::as_str)).collect();
        put(
            "Healthcheck",
            json!({
                "Test": test,
                "Interval": nanoseconds(health.interval_s),
                "Timeout": nanoseconds(health.timeout_s),
                "StartPeriod": nanoseconds(health.start_period_s),
                "Retries": health.retries,
            }),
        );
    } else if let Some(health) = &config.inherited_health {
        put("Healthcheck", health.clone());
    }
    if !config.volumes.is_empty() {
        let volumes: BTreeMap<&str, Value> = config.volumes.iter().map(|path| (path.as_str(), json!({}))).collect();
        put("Volumes", json!(volumes));
    }
    if !config.stop_signal.is_empty() {
        put("StopSignal", json!(config.stop_signal));
    }
    if !config.shell.is_empty() {
        put("Shell", json!(config.shell));
    }
    process
}

/// Returns the manifest of one platform's image.
pub(crate) fn manifest_json(config: &Digest, image: &PlatformImage, annotations: &BTreeMap<String, String>) -> Vec<u8> {
    let layers: Vec<Value> =
        image.all_layers().iter().map(|(media_type, digest)| descriptor(media_type, digest)).collect();
    let mut annotations = annotations.clone();
    if let Some((name, digest)) = image.base.as_ref().and_then(|base| base.origin.as_ref()) {
        annotations.entry(BASE_NAME.to_owned()).or_insert_with(|| name.clone());
        annotations.entry(BASE_DIGEST.to_owned()).or_insert_with(|| digest.oci());
    }
    to_json(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": layers,
        "annotations": annotations,
    }))
}

/// Returns the index over all platforms.
pub(crate) fn index_json(manifests: &[(Digest, &PlatformImage)], annotations: &BTreeMap<String, String>) -> Vec<u8> {
    let manifests: Vec<Value> = manifests
        .iter()
        .map(|(digest, image)| {
            let mut entry = descriptor(MANIFEST, digest);
            entry["platform"] = json!({"architecture": image.architecture, "os": image.os});
            if let Some(variant) = &image.variant {
                entry["platform"]["variant"] = json!(variant);
            }
            entry
        })
        .collect();
    to_json(&json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": manifests,
        "annotations": annotations,
    }))
}

pub(crate) fn descriptor(media_type: &str, digest: &Digest) -> Value {
    json!({"mediaType": media_type, "digest": digest.oci(), "size": digest.size()})
}

pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data")
}

#[cfg(test)]
mod tests {
    use super::created_text;

    #[test]
    fn times() {
        assert_eq!(created_text(0), "1970-01-01T00:00:00Z");
        assert_eq!(created_text(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(created_text(1_795_478_399), "2026-11-23T23:59:59Z");
        assert_eq!(created_text(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
