//! `BaseConfig`: what a base image sets, and how an image on it inherits that (as `docker build` does it).

use std::collections::BTreeMap;

use rondel_cas::Digest;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::document::{Descriptor, DocumentError, digest_of};
use crate::image_config::ImageConfig;

/// `PATH` where nothing sets it.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The configuration of a base image for one platform.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseConfig {
    /// `linux`
    pub os: String,
    /// `arm64`
    pub architecture: String,
    /// `v8`
    pub variant: Option<String>,
    /// RFC 3339, as the base has it.
    pub created: Option<String>,
    /// What a container of the base is started with.
    pub settings: BaseSettings,
    /// Diff IDs of the layers, lowest first.
    pub diff_ids: Vec<String>,
    /// One entry a layer, and those of steps that made none; empty if the base's own do not fit its layers.
    pub history: Vec<Value>,
}

/// A base image for one platform, as it came from its registry.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseImage {
    /// Its name and the digest of its manifest, which the image on it is annotated with.
    pub origin: Option<(String, Digest)>,
    /// Its configuration.
    pub config: BaseConfig,
    /// Lowest first, with their media types of the OCI specification.
    pub layers: Vec<(String, Digest)>,
}

/// What a container of a base is started with.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BaseSettings {
    /// `uid:gid` or a name.
    #[serde(deserialize_with = "null_is_default")]
    pub user: String,
    /// `8080/tcp`
    #[serde(deserialize_with = "keys")]
    pub exposed_ports: Vec<String>,
    /// `NAME=value`
    #[serde(deserialize_with = "null_is_default")]
    pub env: Vec<String>,
    /// Program and arguments.
    #[serde(deserialize_with = "null_is_default")]
    pub entrypoint: Vec<String>,
    /// Default arguments.
    #[serde(deserialize_with = "null_is_default")]
    pub cmd: Vec<String>,
    /// Working directory.
    #[serde(deserialize_with = "null_is_default")]
    pub working_dir: String,
    /// Labels.
    #[serde(deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// Paths of volumes.
    #[serde(deserialize_with = "keys")]
    pub volumes: Vec<String>,
    /// `SIGQUIT`
    #[serde(deserialize_with = "null_is_default")]
    pub stop_signal: String,
    /// Docker's health check, as it is.
    pub healthcheck: Option<Value>,
    /// Docker's shell for commands in one string.
    #[serde(deserialize_with = "null_is_default")]
    pub shell: Vec<String>,
    /// Steps that only `docker build` would run.
    #[serde(deserialize_with = "null_is_default")]
    pub on_build: Vec<String>,
}

#[derive(Deserialize)]
struct WireConfig {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    created: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    config: BaseSettings,
    rootfs: WireRootfs,
    #[serde(default, deserialize_with = "null_is_default")]
    history: Vec<Value>,
}

#[derive(Deserialize)]
struct WireRootfs {
    #[serde(default, deserialize_with = "null_is_default")]
    diff_ids: Vec<String>,
}

/// Go writes `null` for what is empty.
fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a set in Go's form: `{"8080/tcp": {}}`.
fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let set = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?;
    Ok(set.unwrap_or_default().into_keys().collect())
}

impl BaseConfig {
    /// Reads the configuration of an image with this number of layers.
    pub fn parse(bytes: &[u8], layers: usize) -> Result<BaseConfig, DocumentError> {
        let wire: WireConfig = serde_json::from_slice(bytes)
            .map_err(|error| DocumentError::new(format!("no configuration of an image: {error}")))?;
        for diff_id in &wire.rootfs.diff_ids {
            digest_of(diff_id, 0)?;
        }
        if wire.rootfs.diff_ids.len() != layers {
            let count = wire.rootfs.diff_ids.len();
            return Err(DocumentError::new(format!("the configuration has {count} layers, the manifest {layers}")));
        }
        let makes_layer = |entry: &&Value| entry.get("empty_layer").and_then(Value::as_bool) != Some(true);
        let is_fitting = wire.history.iter().filter(makes_layer).count() == layers;
        Ok(BaseConfig {
            os: wire.os,
            architecture: wire.architecture,
            variant: wire.variant.filter(|variant| !variant.is_empty()),
            created: wire.created.filter(|created| is_time(created)),
            settings: wire.config,
            diff_ids: wire.rootfs.diff_ids,
            history: if is_fitting { wire.history } else { Vec::new() },
        })
    }
}

impl BaseImage {
    /// Returns the image with this configuration and these layers of its manifest.
    pub fn new(config: BaseConfig, layers: &[Descriptor]) -> Result<BaseImage, DocumentError> {
        let typed = |layer: &Descriptor| Ok((oci_layer_type(&layer.media_type)?.to_owned(), layer.digest));
        let layers = layers.iter().map(typed).collect::<Result<_, DocumentError>>()?;
        Ok(BaseImage { origin: None, config, layers })
    }

    /// Returns the history of its layers; one that says little if the base has none that fits.
    pub(crate) fn history(&self) -> Vec<Value> {
        if !self.config.history.is_empty() {
            return self.config.history.clone();
        }
        self.layers.iter().map(|_| json!({"created_by": "base"})).collect()
    }
}

/// Returns true for what RFC 3339 is written with: it is shown, and gets into build.lock.
fn is_time(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_digit() || b"-:.+TZtz".contains(&byte))
}

/// Returns the OCI specification's name of a layer's media type. The bytes are the same under Docker's name.
fn oci_layer_type(media_type: &str) -> Result<&'static str, DocumentError> {
    match media_type {
        "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => {
            Ok("application/vnd.oci.image.layer.v1.tar")
        }
        "application/vnd.oci.image.layer.v1.tar+gzip" | "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            Ok("application/vnd.oci.image.layer.v1.tar+gzip")
        }
        "application/vnd.oci.image.layer.v1.tar+zstd" | "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
            Ok("application/vnd.oci.image.layer.v1.tar+zstd")
        }
        other => {
            let shown = other.escape_debug();
            Err(DocumentError::new(format!("a layer of the type `{shown}`, which is no plain, gzip or zstd tar")))
        }
    }
}

impl BaseSettings {
    /// Returns the settings of an image on this base that sets `own`: what it does not set is the base's.
    pub fn inherited_by(&self, own: &ImageConfig) -> ImageConfig {
        let mut merged = own.clone();
        let or = |own: &str, base: &str| if own.is_empty() { base.to_owned() } else { own.to_owned() };
        merged.user = or(&own.user, &self.user);
        merged.directory = or(&own.directory, &self.working_dir);
        merged.stop_signal = or(&own.stop_signal, &self.stop_signal);
        merged.environment = self.env.iter().map(|entry| pair(entry)).collect();
        // As BuildKit does it for a base without one.
        let sets_path = |environment: &[(String, String)]| environment.iter().any(|(name, _)| name == "PATH");
        if !sets_path(&merged.environment) && !sets_path(&own.environment) {
            merged.environment.push(("PATH".to_owned(), DEFAULT_PATH.to_owned()));
        }
        for (name, value) in &own.environment {
            // A variable keeps its place, as with `ENV`.
            match merged.environment.iter_mut().find(|(other, _)| other == name) {
                Some((_, other)) => other.clone_from(value),
                None => merged.environment.push((name.clone(), value.clone())),
            }
        }
        // A program takes the default arguments of another away.
        if own.entrypoint.is_empty() {
            merged.entrypoint.clone_from(&self.entrypoint);
            if own.command.is_empty() {
                merged.command.clone_from(&self.cmd);
            }
        }
        merged.labels = self.labels.clone();
        merged.labels.extend(own.labels.clone());
        merged.ports = union(&self.exposed_ports, &own.ports);
        merged.volumes = union(&self.volumes, &own.volumes);
        merged.inherited_health = if own.health.is_none() { self.healthcheck.clone() } else { None };
        merged.shell = self.shell.clone();
        merged
    }
}

/// One setting of an image, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedSetting {
    /// `user`, `env PATH`, `port 80/tcp`
    pub name: String,
    /// Its value; empty where the name says all.
    pub value: String,
    /// True if the base says so.
    pub is_inherited: bool,
}

impl BaseSettings {
    /// Returns each setting of an image on this base that sets `own`, and where it comes from.
    pub fn explained(&self, own: &ImageConfig) -> Vec<ExplainedSetting> {
        let merged = self.inherited_by(own);
        let mut found = Vec::new();
        let mut put = |name: String, value: String, is_inherited: bool| {
            found.push(ExplainedSetting { name, value, is_inherited });
        };
        let list = |words: &[String]| serde_json::to_string(words).expect("plain data");
        for (name, merged, own) in [
            ("user", &merged.user, &own.user),
            ("workdir", &merged.directory, &own.directory),
            ("stop_signal", &merged.stop_signal, &own.stop_signal),
        ] {
            if !merged.is_empty() {
                put(name.to_owned(), merged.clone(), own.is_empty());
            }
        }
        for (name, merged, own) in
            [("entrypoint", &merged.entrypoint, &own.entrypoint), ("cmd", &merged.command, &own.command)]
        {
            if !merged.is_empty() {
                put(name.to_owned(), list(merged), own.is_empty());
            }
        }
        for (name, value) in &merged.environment {
            let is_own = own.environment.iter().any(|(other, _)| other == name);
            put(format!("env {name}"), value.clone(), !is_own);
        }
        for (name, value) in &merged.labels {
            put(format!("label {name}"), value.clone(), !own.labels.contains_key(name));
        }
        for (what, merged, own) in [("port", &merged.ports, &own.ports), ("volume", &merged.volumes, &own.volumes)] {
            merged.iter().for_each(|entry| put(format!("{what} {entry}"), String::new(), !own.contains(entry)));
        }
        match (&own.health, &merged.inherited_health) {
            (Some(health), _) => put("health".to_owned(), list(&health.command), false),
            (None, Some(health)) => put("health".to_owned(), health["Test"].to_string(), true),
            (None, None) => {}
        }
        found
    }
}

fn pair(entry: &str) -> (String, String) {
    let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
    (name.to_owned(), value.to_owned())
}

fn union(base: &[String], own: &[String]) -> Vec<String> {
    let mut all: Vec<String> = base.iter().chain(own).cloned().collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_without_a_path_gets_the_usual_one() {
        let environment = |config: &str, own: &[(&str, &str)]| {
            let pairs = own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let own = ImageConfig { environment: pairs.collect(), ..ImageConfig::default() };
            let merged = base(config, "[]", 1).unwrap().settings.inherited_by(&own).environment;
            merged.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        let usual = format!("PATH={DEFAULT_PATH}");
        assert_eq!(environment(r#"{"Env":["A=1"]}"#, &[("B", "2")]), ["A=1", &usual, "B=2"]);
        assert_eq!(environment("{}", &[("PATH", "/x")]), ["PATH=/x"]);
        assert_eq!(environment(r#"{"Env":["PATH="]}"#, &[]), ["PATH="]);
    }

    const ID: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn base(config: &str, history: &str, layers: usize) -> Result<BaseConfig, DocumentError> {
        let text = format!(
            r#"{{"os":"linux","architecture":"arm64","variant":"","created":"2024-01-01T00:00:00Z","config":{config},
                "rootfs":{{"type":"layers","diff_ids":["{ID}"]}},"history":{history}}}"#
        );
        BaseConfig::parse(text.as_bytes(), layers)
    }

    const FULL: &str = r#"{"User":"nginx","ExposedPorts":{"80/tcp":{}},"Env":["PATH=/bin","A=1","B=2","C"],
        "Entrypoint":["/entry"],"Cmd":["-x"],"WorkingDir":"/srv","Labels":{"l":"base","m":"base"},"Volumes":{"/v":{}},
        "StopSignal":"SIGQUIT","Healthcheck":{"Test":["CMD-SHELL","true"]},"Shell":["/bin/bash","-c"],"OnBuild":["RUN x"],
        "Image":"sha256:1","AttachStdin":false}"#;

    #[test]
    fn what_is_not_set_is_inherited() {
        let settings = base(FULL, "[]", 1).unwrap().settings;
        let merged = settings.inherited_by(&ImageConfig::default());
        assert_eq!(merged.user, "nginx");
        assert_eq!(merged.directory, "/srv");
        assert_eq!(merged.stop_signal, "SIGQUIT");
        assert_eq!((merged.entrypoint, merged.command), (vec!["/entry".to_owned()], vec!["-x".to_owned()]));
        assert_eq!((merged.ports, merged.volumes), (vec!["80/tcp".to_owned()], vec!["/v".to_owned()]));
        assert_eq!(merged.inherited_health.unwrap()["Test"][0], "CMD-SHELL");
        assert_eq!(merged.shell, ["/bin/bash", "-c"]);
    }

    #[test]
    fn what_is_set_wins() {
        let settings = base(FULL, "[]", 1).unwrap().settings;
        let text = |text: &str| text.to_owned();
        let own = ImageConfig {
            user: text("7:8"),
            environment: vec![(text("D"), text("4")), (text("A"), text("one"))],
            entrypoint: vec![text("/app")],
            labels: BTreeMap::from([(text("m"), text("own"))]),
            ports: vec![text("80/tcp"), text("443/tcp")],
            ..ImageConfig::default()
        };
        let merged = settings.inherited_by(&own);
        let environment: Vec<String> =
            merged.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(environment, ["PATH=/bin", "A=one", "B=2", "C=", "D=4"]);
        assert_eq!((merged.entrypoint, merged.command), (vec![text("/app")], Vec::<String>::new()));
        assert_eq!(merged.labels.into_values().collect::<Vec<_>>(), ["base", "own"]);
        assert_eq!(merged.ports, ["443/tcp", "80/tcp"]);
        assert_eq!(merged.user, "7:8");
        let explained = settings.explained(&own);
        let origin = |name: &str| explained.iter().find(|setting| setting.name == name).map(|it| it.is_inherited);
        for name in ["env PATH", "env B", "label l", "port 80/tcp", "volume /v", "stop_signal", "health", "workdir"] {
            assert_eq!(origin(name), Some(name != "port 80/tcp"), "{name}");
        }
        for name in ["user", "entrypoint", "env A", "env D", "label m", "port 443/tcp"] {
            assert_eq!(origin(name), Some(false), "{name}");
        }
        assert_eq!(origin("cmd"), None);
        // Arguments alone go to the base's program.
        let merged = settings.inherited_by(&ImageConfig { command: vec![text("-y")], ..ImageConfig::default() });
        assert_eq!((merged.entrypoint, merged.command), (vec![text("/entry")], vec![text("-y")]));
    }

    #[test]
    fn layers_of_docker_and_others() {
        let layer = |media_type: &str| Descriptor {
            media_type: media_type.to_owned(),
            digest: Digest::of(media_type.as_bytes()),
            platform: None,
            is_attestation: false,
        };
        let config = base("{}", "[]", 1).unwrap();
        let image =
            BaseImage::new(config.clone(), &[layer("application/vnd.docker.image.rootfs.diff.tar.gzip")]).unwrap();
        assert_eq!(image.layers[0].0, "application/vnd.oci.image.layer.v1.tar+gzip");
        assert_eq!(image.history(), [json!({"created_by": "base"})]);
        for foreign in ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "application/vnd.in-toto+json", ""]
        {
            let error = BaseImage::new(config.clone(), &[layer(foreign)]).unwrap_err().to_string();
            assert!(error.starts_with("a layer of the type"), "{error}");
        }
    }

    #[test]
    fn configurations_of_others() {
        let nulls = r#"{"Env":null,"Entrypoint":null,"Volumes":null,"Labels":null,"User":"","ExposedPorts":null}"#;
        assert_eq!(base(nulls, "null", 1).unwrap().settings, BaseSettings::default());
        let empty = base("null", r#"[{"created_by":"ADD"},{"created_by":"CMD","empty_layer":true}]"#, 1).unwrap();
        assert_eq!((empty.history.len(), empty.variant), (2, None));
        assert_eq!(base("{}", r#"[{"created_by":"ADD"},{"created_by":"RUN"}]"#, 1).unwrap().history.len(), 0);
        let text = r#"{"created":"\u001b[31m\n Pinned","rootfs":{"diff_ids":[]}}"#;
        assert_eq!(BaseConfig::parse(text.as_bytes(), 0).unwrap().created, None);
        let error = |found: Result<BaseConfig, DocumentError>| found.unwrap_err().to_string();
        assert_eq!(error(base("{}", "[]", 2)), "the configuration has 1 layers, the manifest 2");
        assert!(error(base("7", "[]", 1)).starts_with("no configuration of an image: "));
        assert!(error(BaseConfig::parse(br#"{"rootfs":{"diff_ids":["md5:1"]}}"#, 1)).contains("is no digest"));
    }
}
