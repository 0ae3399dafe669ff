//! Lowering of what runs programs: Docker, compose, commands.

use std::time::Duration;

use rondel_buildfile::{
    Command, ComposeUp, DockerBuild, DockerRun, EnvironmentName, Makes, Process, ProcessEnvironment, Shell, SourcePath,
    Target, TargetKind, TargetName, Text, TextSource,
};
use rondel_cas::GlobSet;
use rondel_engine::{Node, NodeId, OutputKind};
use rondel_process::find_tool;

use crate::docker::Docker;
use crate::lower::{Lowering, Lowers, Waits, only_output, output_path, path, probe_url};
use crate::request::LowerError;
use crate::steps::compose::{Compose, ComposeUpStep};
use crate::steps::docker_build::DockerBuildStep;
use crate::steps::docker_run::DockerRunStep;
use crate::steps::exec::ExecStep;
use crate::steps::load::LoadStep;
use crate::steps::probe::PROBE_PATH;

/// The words of a command, or the one script of a shell.
struct Commands<'a> {
    words: &'a [&'a Text],
    is_shell: bool,
}

impl Lowering<'_> {
    pub(crate) fn docker(&self) -> Lowers<Docker> {
        Docker::find(self.request.environment, &self.root)
    }

    pub(crate) fn docker_build(&mut self, target: &Target, build: &DockerBuild, waits: Waits) -> Lowers<NodeId> {
        let docker = self.docker()?;
        let step = self.step(&|| {
            Ok(Box::new(DockerBuildStep {
                docker: docker.clone(),
                name: target.name.value.to_string(),
                dockerfile: self.root.join(&build.dockerfile.value),
                context: build
                    .context
                    .as_ref()
                    .map_or_else(|| self.root.clone(), |context| self.root.join(&context.value)),
                build_args: self.variables.pairs(&build.build_args)?,
                stage: self.variables.optional(build.target.as_ref())?,
                tags: self.image_tags(&build.tags)?.iter().map(ToString::to_string).collect(),
            }))
        })?;
        Ok(self.add(target, target.name.value.to_string(), waits, Vec::new(), true, step))
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
        if target.makes() != Makes::ImageLayout {
            return Ok(layout);
        }
        let out = only_output(target, self.request.file)?;
        let step = LoadStep { docker: Some(docker.clone()), socket: None, layout: out };
        let node = Node::new(format!("{name}: into docker"), name.to_string(), "Image", Box::new(step));
        Ok(self.graph.add(Node { title: format!("{name}: docker"), inputs: vec![layout], ..node }))
    }

    /// The health check that the image of `name` brings.
    pub(crate) fn health_of(&self, name: &TargetName) -> Option<rondel_buildfile::Health> {
        let target = self.request.file.targets.iter().find(|target| target.name.value == *name)?;
        let TargetKind::Image(image) = &target.kind else { return None };
        image.health.clone()
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
            health_timeout: Duration::from_secs(run.health_timeout_s.get()),
            detach: run.detach,
        };
        Ok(self.add(target, target.name.value.to_string(), waits, vec![image], true, Box::new(step)))
    }

    pub(crate) fn compose(
        &self,
        file: &SourcePath,
        env: &ProcessEnvironment,
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
            wait_timeout_s: up.wait_timeout_s.get(),
        };
        Ok(self.add(target, target.name.value.to_string(), waits, inputs, true, Box::new(step)))
    }

    pub(crate) fn shell(&mut self, target: &Target, shell: &Shell, waits: Waits) -> Lowers<NodeId> {
        let command = Commands { words: &[&shell.script], is_shell: true };
        self.process(target, &command, &shell.process, waits, Vec::new())
    }

    pub(crate) fn exec(
        &mut self,
        target: &Target,
        command: &Command,
        process: &Process,
        waits: Waits,
        wanted: bool,
    ) -> Lowers<NodeId> {
        let arguments = self.arguments(wanted);
        let words: Vec<&Text> = command.iter().map(|word| &**word).collect();
        self.process(target, &Commands { words: &words, is_shell: false }, process, waits, arguments)
    }

    fn process(
        &mut self,
        target: &Target,
        &Commands { words, is_shell }: &Commands<'_>,
        exec: &Process,
        waits: Waits,
        arguments: Vec<String>,
    ) -> Lowers<NodeId> {
        let (mut tools, mut inputs) = (Vec::new(), Vec::new());
        for (position, word) in words.iter().enumerate() {
            if let TextSource::Tool { name } = &word.source {
                tools.push((position, inputs.len()));
                inputs.push(self.tool(name).map_err(|error| error.at(word.span))?);
            }
        }
        let starts_go = !is_shell && words[0].as_literal() == Some("go");
        let go = if starts_go || !tools.is_empty() {
            let go = self.go()?;
            let platform = go.own_platform()?;
            Some((go, platform))
        } else {
            None
        };
        let request = self.request;
        let search_path = request.environment.get("PATH").cloned().unwrap_or_default();
        let directory =
            exec.dir.as_ref().map_or_else(|| self.root.clone(), |directory| self.root.join(&directory.value));
        let excluded = self.declared_outputs(Some(target))?;
        let mut outputs = Vec::new();
        for output in target.outputs(request.file) {
            let Some(written) = output.written else { continue };
            let kind = if output.is_directory { OutputKind::Directory } else { OutputKind::File };
            outputs.push((output_path(written)?, path(&output.path)?, kind));
        }
        let downloads = if go.is_some() { self.downloads(&waits)? } else { waits.downloads };
        let step = self.step(&|| {
            let mut command = self.command_words(words)?;
            if is_shell {
                command = vec!["sh".to_owned(), "-eu".to_owned(), "-c".to_owned(), command.remove(0)];
            }
            command.extend(arguments.iter().cloned());
            // A program by name must be there before anything runs; one by path may be what another step makes.
            let is_tool = tools.iter().any(|(position, _)| *position == 0);
            if !starts_go && !is_tool && !command[0].contains('/') {
                find_tool(&command[0], &search_path, &directory).map_err(|error| {
                    let error = LowerError::environment(error.to_string()).at(target.name.span);
                    error.hint("install it, or correct `command`")
                })?;
            }
            let globs = exec.inputs.as_ref().map(|globs| globs.iter().map(|glob| glob.value.as_str()));
            let caller = |name: &EnvironmentName| (name.value.clone(), request.environment.get(&name.value).cloned());
            Ok(Box::new(ExecStep {
                root: self.root.clone(),
                directory: directory.clone(),
                directory_key: exec.dir.as_ref().map_or_else(|| ".".to_owned(), |path| path.value.clone()),
                command,
                inputs: globs.map(|globs| GlobSet::new(globs, excluded.clone())),
                outputs: outputs.clone(),
                env: self.variables.environment(&exec.env)?,
                passed: exec.pass_env.iter().map(caller).collect(),
                path: search_path.clone(),
                home: request.environment.get("HOME").cloned(),
                tools: tools.clone(),
                go: go.clone(),
                has_arguments: !arguments.is_empty(),
            }))
        })?;
        let waits = Waits { after: waits.after, downloads };
        Ok(self.add(target, target.name.value.to_string(), waits, inputs, true, step))
    }

    /// The words of a command; a tool is a placeholder, `{tool:NAME}`.
    fn command_words(&self, words: &[&Text]) -> Lowers<Vec<String>> {
        let word = |text: &&Text| match &text.source {
            TextSource::Tool { name } => Ok(format!("{{tool:{name}}}")),
            TextSource::Template(_)
            | TextSource::Environment { .. }
            | TextSource::Git { .. }
            | TextSource::Secret { .. } => self.variables.text(text).map_err(|error| error.at(text.span)),
        };
        words.iter().map(word).collect()
    }
}
