//! How a container is started: the flags of `docker run` from the fields of build.ron. What is safe is the default, and each
//! relaxation is a field.

use std::io;

use rondel_cas::Digest;
use rondel_engine::EnvironmentValue;
use rondel_process::CommandLine;

use crate::docker::Docker;
use crate::docker::container_labels::ContainerLabels;

/// How a container is started.
pub(crate) struct ContainerSettings {
    /// What marks it.
    pub labels: ContainerLabels,
    pub args: Vec<String>,
    pub user: Option<String>,
    pub publish: Vec<String>,
    pub host_gateway: bool,
    pub env: Vec<(String, EnvironmentValue)>,
    /// Name and contents of each file below `/run/secrets`.
    pub secrets: Vec<(String, String)>,
    pub volumes: Vec<String>,
    pub tmpfs: Vec<String>,
    pub network: Option<String>,
    /// Networks that it joins beside that one.
    pub networks: Vec<String>,
    pub memory: Option<String>,
    pub cpus: Option<String>,
    pub pids_limit: Option<u32>,
    pub read_only: bool,
    pub cap_add: Vec<String>,
    pub new_privileges: bool,
    pub init: bool,
    /// True if the container has the terminal.
    pub is_interactive: bool,
}

impl ContainerSettings {
    /// Returns the digest of everything that a container of `image` is started from; `None` if a secret belongs to it.
    pub fn key(&self, image: &str) -> Option<String> {
        let mut words = self.flags();
        for (name, value) in &self.env {
            match value {
                EnvironmentValue::Plain(value) => words.push(format!("--env={name}={value}")),
                EnvironmentValue::Sealed { seal, .. } => words.push(format!("--env={name}#{seal}")),
                EnvironmentValue::Secret(_) => return None,
            }
        }
        words.extend(self.networks.iter().map(|network| format!("--network={network}")));
        words.push(image.to_owned());
        words.extend(self.args.iter().cloned());
        let words = serde_json::to_vec(&words).expect("texts");
        self.secrets.is_empty().then(|| Digest::of(&words).to_string())
    }

    /// Returns the command that begins with `words`. Writes the files of secrets that it names.
    pub fn line(&self, docker: &Docker, words: &[&str], image: &str) -> io::Result<CommandLine> {
        let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        arguments.extend(self.flags());
        arguments.extend(self.key(image).map(|key| format!("--label=rondel.key={key}")));
        for (name, path) in self.labels.write_secrets(&self.secrets)? {
            arguments.push(format!("--volume={}:/run/secrets/{name}:ro", path.display()));
        }
        let mut secrets = Vec::new();
        for (name, value) in &self.env {
            match value {
                EnvironmentValue::Plain(value) => arguments.push(format!("--env={name}={value}")),
                EnvironmentValue::Secret(value) | EnvironmentValue::Sealed { value, .. } => {
                    arguments.push(format!("--env={name}"));
                    secrets.push((name.clone(), value.clone()));
                }
            }
        }
        arguments.push(image.to_owned());
        arguments.extend(self.args.iter().cloned());
        let mut line = docker.command(arguments);
        line.secret_names = secrets.iter().map(|(name, _)| name.clone()).collect();
        Ok(line.environment(secrets))
    }

    /// Returns the flags that hold no secret.
    fn flags(&self) -> Vec<String> {
        let mut flags = vec![format!("--init={}", self.init)];
        let mut flag = |name: &str, value: &str| flags.push(format!("--{name}={value}"));
        for label in self.labels.all() {
            flag("label", &label);
        }
        for (name, value) in [
            ("user", &self.user),
            ("network", &self.network),
            ("memory", &self.memory),
            ("cpus", &self.cpus),
            ("pids-limit", &self.pids_limit.map(|limit| limit.to_string())),
        ] {
            if let Some(value) = value {
                flag(name, value);
            }
        }
        if self.read_only {
            flag("read-only", "true");
            flag("tmpfs", "/tmp");
        }
        for place in &self.tmpfs {
            flag("tmpfs", place);
        }
        flag("cap-drop", "ALL");
        for capability in &self.cap_add {
            flag("cap-add", capability);
        }
        if !self.new_privileges {
            flag("security-opt", "no-new-privileges");
        }
        for port in &self.publish {
            flag("publish", &on_loopback(port));
        }
        if self.host_gateway {
            flag("add-host", "host.docker.internal:host-gateway");
        }
        for volume in &self.volumes {
            flag("volume", volume);
        }
        flags
    }
}

/// Publishes `8080:8080` on loopback; `0.0.0.0:8080:8080` is for the world.
pub(crate) fn on_loopback(port: &str) -> String {
    if port.matches(':').count() == 1 { format!("127.0.0.1:{port}") } else { port.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::on_loopback;

    #[test]
    fn ports_are_on_loopback_unless_said_otherwise() {
        assert_eq!(on_loopback("8080:80"), "127.0.0.1:8080:80");
        assert_eq!(on_loopback("0.0.0.0:8080:80"), "0.0.0.0:8080:80");
        assert_eq!(on_loopback("80"), "80");
    }
}
