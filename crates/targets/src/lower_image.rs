//! Lowering of `Image`: layers, configuration, layout, and the loading of it.

use std::collections::BTreeMap;

use rondel_buildfile::{Created, FileSource, GitQuery, Image, Platform, Spanned, Target, TargetKind, Text};
use rondel_engine::NodeId;
use rondel_golang::Host;
use rondel_oci::{ImageConfig, Reference, zoneinfo_environment};

use crate::docker::DockerSocket;
use crate::lower::{Lowering, Lowers, Waits, image_path, only_output, path, probe_url};
use crate::request::LowerError;
use crate::steps::image::ImageStep;
use crate::steps::layer::{LayerContents, LayerStep};
use crate::steps::load::LoadStep;
use crate::steps::probe::{PROBE_PATH, ProbeStep};

impl Lowering<'_> {
    /// The nodes of an image: the layout, and the loading of it.
    pub(crate) fn image(
        &mut self,
        target: &Target,
        image: &Image,
        waits: &Waits,
        _wanted: bool,
    ) -> Lowers<Vec<NodeId>> {
        let name = target.name.value.clone();
        let platforms = self.platforms(image.platforms.as_ref(), target, true)?;
        let shared = self.shared_layers(target, image, waits)?;
        let mut inputs: Vec<NodeId> = shared.iter().map(|(node, _)| *node).collect();
        let mut layers_of = Vec::with_capacity(platforms.len());
        for platform in &platforms {
            let mut layers: Vec<(usize, String)> =
                shared.iter().enumerate().map(|(index, (_, what))| (index, what.clone())).collect();
            if let Some(node) = self.output_layer(target, image, waits, platform)? {
                layers.push((inputs.len(), "outputs".to_owned()));
                inputs.push(node);
            }
            layers_of.push((platform.clone(), layers));
        }
        let out = only_output(target, self.request.file)?;
        let host = Host::current();
        let loadable = platforms.iter().position(|platform| platform.architecture() == host.architecture).unwrap_or(0);
        let step = self.step(&|| {
            let config = self.image_config(target, image)?;
            let mut annotations: BTreeMap<String, String> = config
                .labels
                .iter()
                .filter(|(name, _)| name.starts_with("org.opencontainers.image."))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            annotations
                .entry("org.opencontainers.image.title".to_owned())
                .or_insert_with(|| self.request.file.project.value.clone());
            Ok(Box::new(ImageStep {
                config,
                annotations,
                tags: self.image_tags(&image.tags)?,
                platforms: layers_of.clone(),
                loadable,
                out: out.clone(),
            }))
        })?;
        let layout = self.add(
            target,
            name.to_string(),
            Waits { after: waits.after.clone(), downloads: Vec::new() },
            inputs,
            false,
            step,
        );
        let load = LoadStep { docker: None, socket: DockerSocket::find(self.request.environment), layout: out };
        let load = self.add(target, format!("{name}: docker"), Waits::default(), vec![layout], false, Box::new(load));
        Ok(vec![layout, load])
    }

    /// Names of an image, each once.
    pub(crate) fn image_tags(&self, texts: &[Text]) -> Lowers<Vec<Reference>> {
        let mut tags = Vec::new();
        for text in texts {
            let tag = self.variables.text(text).map_err(|error| error.at(text.span))?;
            let tag =
                Reference::new(&tag).map_err(|error| LowerError::configuration(error.to_string()).at(text.span))?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    /// The layers that all platforms have in common: the base and the files of the tree.
    pub(crate) fn shared_layers(
        &mut self,
        target: &Target,
        image: &Image,
        waits: &Waits,
    ) -> Lowers<Vec<(NodeId, String)>> {
        let name = &target.name.value;
        let zones = if image.tzdata { Some(self.go()?) } else { None };
        let base = self.layer(target, "base", LayerContents::StaticBase(zones), Vec::new(), &Waits::default());
        let mut layers = vec![(base, "static base".to_owned())];
        let mut files = Vec::new();
        for (place, source) in &image.files {
            if let FileSource::File(file) = &source.value {
                files.push((image_path(place)?, path(file).map_err(|error| error.at(source.span))?));
            }
        }
        if !files.is_empty() {
            let contents = LayerContents::Tree { root: self.root.clone(), files, excluded: Vec::new() };
            let node = self.layer(target, "files", contents, Vec::new(), waits);
            layers.push((node, format!("files of {name}")));
        }
        Ok(layers)
    }

    pub(crate) fn layer(
        &mut self,
        target: &Target,
        what: &str,
        contents: LayerContents,
        inputs: Vec<NodeId>,
        waits: &Waits,
    ) -> NodeId {
        let label = format!("{}: {what} layer", target.name.value);
        let step = LayerStep {
            contents,
            name: format!("{}/{}", target.name.value, what.replace('/', "_")),
            threads: self.request.threads,
        };
        self.add_hidden(target.name.value.as_str(), label, inputs, waits.after.clone(), Box::new(step))
    }

    /// The layer of what other steps made for one platform, the health probe among it.
    pub(crate) fn output_layer(
        &mut self,
        target: &Target,
        image: &Image,
        waits: &Waits,
        platform: &Platform,
    ) -> Lowers<Option<NodeId>> {
        let (mut places, mut inputs) = (Vec::new(), Vec::new());
        for (place, source) in &image.files {
            let FileSource::Output(name) = &source.value else { continue };
            let file = self.request.file;
            let producer =
                file.targets.iter().find(|target| target.name.value == *name).expect("checked when the file was read");
            let node = if let TargetKind::GoBuild(build) = &producer.kind {
                let declared = build.platforms.as_ref().or(Some(&file.platforms)).filter(|list| !list.is_empty());
                if declared.is_some_and(|list| !list.iter().any(|other| other.value == *platform)) {
                    return Err(LowerError::configuration(format!(
                        "`{}` is for {platform}, and `{name}` is not",
                        target.name.value
                    ))
                    .at(source.span)
                    .hint(format!("add {platform} to the platforms of `{name}`")));
                }
                let waits = self.waits_of(producer)?;
                self.go_build_for(producer, build, &waits, std::slice::from_ref(platform))?[platform]
            } else {
                self.target(name, false)?[0]
            };
            places.push(image_path(place)?);
            inputs.push(node);
        }
        if image.health.is_some() {
            places.push(path(PROBE_PATH)?);
            inputs.push(self.probe(platform)?);
        }
        if places.is_empty() {
            return Ok(None);
        }
        let contents = LayerContents::Outputs(places);
        let what = format!("{platform} outputs");
        Ok(Some(self.layer(
            target,
            &what,
            contents,
            inputs,
            &Waits { after: waits.after.clone(), downloads: Vec::new() },
        )))
    }

    pub(crate) fn probe(&mut self, platform: &Platform) -> Lowers<NodeId> {
        if let Some(node) = self.probes.get(platform) {
            return Ok(*node);
        }
        let label = format!("health probe ({platform})");
        let step = Box::new(ProbeStep { go: self.go()?, platform: platform.clone() });
        let node = self.add_hidden("health probe", label, Vec::new(), Vec::new(), step);
        self.probes.insert(platform.clone(), node);
        Ok(node)
    }

    pub(crate) fn image_config(&self, target: &Target, image: &Image) -> Lowers<ImageConfig> {
        let mut environment: Vec<(String, String)> = vec![
            ("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            ("SSL_CERT_FILE".to_owned(), "/etc/ssl/certs/ca-certificates.crt".to_owned()),
        ];
        if image.tzdata {
            environment.push(zoneinfo_environment());
        }
        for (name, value) in self.variables.pairs(&image.env)? {
            environment.retain(|(other, _)| *other != name);
            environment.push((name, value));
        }
        let mut entrypoint = self.variables.texts(&image.entrypoint)?;
        let command = self.variables.texts(&image.cmd)?;
        if entrypoint.is_empty() && command.is_empty() {
            let outputs: Vec<&Spanned<String>> = image
                .files
                .iter()
                .filter(|(_, source)| matches!(source.value, FileSource::Output(_)))
                .map(|(place, _)| place)
                .collect();
            let [only] = outputs.as_slice() else {
                return Err(LowerError::configuration(format!("`{}` does not say what it starts", target.name.value))
                    .at(target.name.span)
                    .hint("give it an `entrypoint`"));
            };
            entrypoint.push(only.value.clone());
        }
        let health = image.health.as_ref().map(|health| rondel_oci::Health {
            command: vec![format!("/{PROBE_PATH}"), probe_url(health)],
            interval_s: health.interval_s.get(),
            timeout_s: health.timeout_s.get(),
            start_period_s: health.start_period_s.get(),
            retries: health.retries,
        });
        let user = self.variables.optional(image.user.as_ref())?.unwrap_or_else(|| "65532:65532".to_owned());
        if !is_known_user(&user) {
            let span = image.user.as_ref().map_or(target.name.span, |user| user.span);
            return Err(LowerError::configuration(format!("`{user}` is no user of the static base"))
                .at(span)
                .hint("write numbers, \"10001:10001\", or `nonroot`, `nobody`, `root`"));
        }
        Ok(ImageConfig {
            user,
            ports: image
                .ports
                .iter()
                .map(|port| if port.value.contains('/') { port.value.clone() } else { format!("{}/tcp", port.value) })
                .collect(),
            environment,
            entrypoint,
            command,
            directory: self.variables.optional(image.workdir.as_ref())?.unwrap_or_default(),
            labels: self.variables.pairs(&image.labels)?.into_iter().collect(),
            health,
            created_s: self.created(&image.created)?,
        })
    }

    pub(crate) fn created(&self, created: &Created) -> Lowers<u64> {
        match created {
            Created::Epoch => Ok(0),
            Created::CommitTime => {
                self.variables.git(GitQuery::CommitTimestamp).and_then(|text| text.parse().ok()).ok_or_else(|| {
                    LowerError::environment("`created: CommitTime`, but git has no commit here")
                        .hint("write `created: Epoch`")
                })
            }
            Created::Environment(name) => match self.request.environment.get(name).filter(|value| !value.is_empty()) {
                None => Ok(0),
                // 9999-12-31: later years do not fit into RFC 3339.
                Some(value) => value.parse().ok().filter(|seconds| *seconds < 253_402_300_800_u64).ok_or_else(|| {
                    LowerError::environment(format!("{name} is `{value}`: expected whole seconds since 1970"))
                }),
            },
        }
    }
}

/// Numbers, or a name that the static base has.
fn is_known_user(user: &str) -> bool {
    let known = |part: &str| part.parse::<u32>().is_ok() || matches!(part, "root" | "nobody" | "nonroot");
    let mut parts = user.split(':');
    parts.clone().count() <= 2 && parts.all(known)
}
