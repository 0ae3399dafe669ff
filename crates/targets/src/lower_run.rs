//! Lowering of what runs programs: Docker, compose, commands.

use std::path::Path;
use std::time::Duration;

use rondel_buildfile::{ComposeUp, DockerBuild, DockerRun, Exec, Spanned, Target, TargetKind, TargetName};
use rondel_engine::{GlobSet, Node, NodeId, OutputKind};
use rondel_oci::Reference;
use rondel_process::find_tool;

use crate::docker::Docker;
use crate::lower::{Lowering, Lowers, Waits, output_path, path, probe_url};
use crate::request::LowerError;
use crate::steps::compose::{Compose, ComposeUpStep};
use crate::steps::docker_build::DockerBuildStep;
use crate::steps::docker_run::DockerRunStep;
use crate::steps::exec::ExecStep;
use crate::steps::load::LoadStep;
use crate::steps::probe::PROBE_PATH;

impl Lowering<'_> {
    pub(crate) fn docker(&self) -> Lowers<Docker> {
        Docker::find(self.request.environment, &self.root)
    }

    pub(crate) fn docker_build(&mut self, target: &Target, build: &DockerBuild, waits: Waits) -> Lowers<NodeId> {
        let mut tags = Vec::new();
        for text in &build.tags {
            let tag = self.variables.text(text).map_err(|error| error.at(text.span))?;
            tags.push(
                Reference::new(&tag)
                    .map_err(|error| LowerError::configuration(error.to_string()).at(text.span))?
                    .to_string(),
            );
        }
        let step = DockerBuildStep {
            docker: self.docker()?,
            name: target.name.value.to_string(),
            dockerfile: self.root.join(&build.dockerfile.value),
            context: build.context.as_ref().map_or_else(|| self.root.clone(), |context| self.root.join(&context.value)),
            build_args: self.variables.pairs(&build.build_args)?,
            stage: self.variables.optional(build.stage.as_ref())?,
            tags,
        };
        Ok(self.add(target, target.name.value.to_string(), waits, Vec::new(), true, Box::new(step)))
    }

    /// The node whose facts name the image of `name` in the daemon.
    pub(crate) fn image_in_docker(&mut self, name: &TargetName, docker: &Docker) -> Lowers<NodeId> {
        let nodes = self.target(name, false)?;
        let [layout, _] = nodes.as_slice() else { return Ok(nodes[0]) };
        let layout = *layout;
        let target = self
            .request
            .file
            .targets
            .iter()
            .find(|target| target.name.value == *name)
            .expect("checked when the file was read");
        let TargetKind::Image(image) = &target.kind else { return Ok(layout) };
        let out = match &image.out {
            Some(out) => output_path(out)?,
            None => path(&format!("dist/{name}"))?,
        };
        let step = LoadStep { docker: Some(docker.clone()), socket: None, layout: out };
        Ok(self.graph.add(Node {
            label: format!("{name}: into docker"),
            title: format!("{name}: docker"),
            target: name.to_string(),
            hidden: false,
            streams: false,
            inputs: vec![layout],
            after: Vec::new(),
            on_miss: Vec::new(),
            step: Box::new(step),
        }))
    }

    /// The health check that the image of `name` brings.
    pub(crate) fn health_of(&self, name: &TargetName) -> Option<rondel_buildfile::Health> {
        let target = self.request.file.targets.iter().find(|target| target.name.value == *name)?;
        match &target.kind {
            TargetKind::Image(image) => image.health.clone(),
            _ => None,
        }
    }

    pub(crate) fn docker_run(
        &mut self,
        target: &Target,
        run: &DockerRun,
        waits: Waits,
        wanted: bool,
    ) -> Lowers<NodeId> {
        let docker = self.docker()?;
        let image = self.image_in_docker(&run.image.value, &docker)?;
        let probe = self.health_of(&run.image.value).map(|health| (format!("/{PROBE_PATH}"), probe_url(&health)));
        let mut args = self.variables.texts(&run.args)?;
        args.extend(self.arguments(wanted));
        let step = DockerRunStep {
            docker,
            project: self.request.file.project.value.clone(),
            target: target.name.value.to_string(),
            workspace: rondel_cas::Digest::of(self.request.root.to_string_lossy().as_bytes()).short(),
            args,
            user: self.variables.optional(run.user.as_ref())?,
            publish: self.variables.texts(&run.publish)?,
            host_gateway: run.host_gateway,
            env: self.variables.environment(&run.env)?,
            volumes: self.variables.texts(&run.volumes)?,
            network: self.variables.optional(run.network.as_ref())?,
            read_only: run.read_only,
            cap_add: self.variables.texts(&run.cap_add)?,
            health: run.health.clone(),
            probe,
            health_timeout: Duration::from_secs(run.health_timeout_s),
            detach: run.detach,
        };
        Ok(self.add(target, target.name.value.to_string(), waits, vec![image], true, Box::new(step)))
    }

    pub(crate) fn compose(
        &self,
        file: &Spanned<String>,
        env: &[(Spanned<String>, rondel_buildfile::Text)],
        project_name: Option<&rondel_buildfile::Text>,
    ) -> Lowers<Compose> {
        let path = self.root.join(&file.value);
        if !path.is_file() {
            return Err(LowerError::configuration(format!("there is no compose file `{}`", file.value)).at(file.span));
        }
        Ok(Compose {
            docker: self.docker()?,
            file: path,
            project_name: self
                .variables
                .optional(project_name)?
                .unwrap_or_else(|| self.request.file.project.value.clone()),
            env: self.variables.environment(env)?,
        })
    }

    pub(crate) fn compose_up(&mut self, target: &Target, up: &ComposeUp, waits: Waits) -> Lowers<NodeId> {
        let compose = self.compose(&up.file, &up.env, up.project_name.as_ref())?;
        let (mut images, mut inputs) = (Vec::new(), Vec::new());
        for (service, name) in &up.images {
            let health = self.health_of(&name.value).map(|health| vec![format!("/{PROBE_PATH}"), probe_url(&health)]);
            images.push((service.value.clone(), inputs.len(), health));
            inputs.push(self.image_in_docker(&name.value, &compose.docker)?);
        }
        let step = ComposeUpStep {
            compose,
            name: target.name.value.to_string(),
            images,
            wait: up.wait,
            wait_timeout_s: up.wait_timeout_s,
        };
        Ok(self.add(target, target.name.value.to_string(), waits, inputs, true, Box::new(step)))
    }

    pub(crate) fn exec(
        &mut self,
        target: &Target,
        exec: &Exec,
        is_shell: bool,
        waits: Waits,
        wanted: bool,
    ) -> Lowers<NodeId> {
        let mut command = self.variables.texts(&exec.command)?;
        if is_shell {
            command = vec!["sh".to_owned(), "-eu".to_owned(), "-c".to_owned(), command.remove(0)];
        }
        let arguments = self.arguments(wanted && !is_shell);
        let has_arguments = !arguments.is_empty();
        command.extend(arguments);
        let request = self.request;
        let search_path = request.environment.get("PATH").cloned().unwrap_or_default();
        let directory =
            exec.directory.as_ref().map_or_else(|| self.root.clone(), |directory| self.root.join(&directory.value));
        let go = if command[0] == "go" && !is_shell { Some(self.go()?) } else { None };
        // A program by name must be there before anything runs; one by path may be what another step makes.
        if go.is_none() && !command[0].contains('/') {
            find_tool(&command[0], &search_path, &directory).map_err(|error| {
                LowerError::environment(error.to_string()).at(target.name.span).hint("install it, or correct `command`")
            })?;
        }
        let excluded = self.declared_outputs()?;
        let mut outputs = Vec::new();
        for output in &exec.outputs {
            let below_root = output_path(output)?;
            let prefix = self.root.strip_prefix(&request.root).unwrap_or(Path::new(""));
            let destination = path(&prefix.join(below_root.as_str()).to_string_lossy())?;
            let kind = if output.value.ends_with('/') { OutputKind::Directory } else { OutputKind::File };
            outputs.push((below_root, destination, kind));
        }
        let downloads = if go.is_some() { self.downloads(&waits)? } else { waits.downloads };
        let step = ExecStep {
            root: self.root.clone(),
            directory,
            directory_key: exec.directory.as_ref().map_or_else(|| ".".to_owned(), |directory| directory.value.clone()),
            command,
            inputs: exec
                .inputs
                .as_ref()
                .map(|globs| GlobSet::new(globs.iter().map(|glob| glob.value.as_str()), excluded)),
            outputs,
            env: self.variables.environment(&exec.env)?,
            passed: exec
                .pass_env
                .iter()
                .map(|name| (name.value.clone(), request.environment.get(&name.value).cloned()))
                .collect(),
            path: search_path,
            home: request.environment.get("HOME").cloned(),
            timeout: exec.timeout_s.map(Duration::from_secs),
            go,
            has_arguments,
        };
        let waits = Waits { after: waits.after, downloads };
        Ok(self.add(target, target.name.value.to_string(), waits, Vec::new(), true, Box::new(step)))
    }
}
