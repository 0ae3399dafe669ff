//! What marks the containers of a target of this checkout, and where the secrets are that they read as files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, require_own_directory};

/// What marks the containers of a target.
#[derive(Clone, Debug)]
pub(crate) struct ContainerLabels {
    project: String,
    target: String,
    /// Separates the containers of one checkout from those of another.
    workspace: String,
}

impl ContainerLabels {
    /// Returns the marks of a target of the checkout at `root`.
    pub fn new(project: &str, target: &str, root: &Path) -> ContainerLabels {
        ContainerLabels {
            project: project.to_owned(),
            target: target.to_owned(),
            workspace: Digest::of(root.to_string_lossy().as_bytes()).short(),
        }
    }

    /// Returns the labels, `name=value` each.
    pub fn all(&self) -> [String; 3] {
        [
            format!("rondel.project={}", self.project),
            format!("rondel.target={}", self.target),
            format!("rondel.workspace={}", self.workspace),
        ]
    }

    /// Returns what `docker ps` finds them by.
    pub fn filters(&self) -> impl Iterator<Item = String> + use<> {
        self.all().into_iter().map(|label| format!("--filter=label={label}"))
    }

    /// Returns the directory of the secrets that its containers read: in memory, where the system has a place for that.
    fn secrets_directory(&self) -> PathBuf {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let user = rondel_process::effective_user();
        let name = format!("{}-{}", self.workspace, self.target.replace('/', "%"));
        place.join(format!("rondel-{user}")).join(name)
    }

    /// Writes the secrets and returns the file of each. Only this user can enter the directory; the container sees the files alone,
    /// and whoever runs in it can read them.
    pub fn write_secrets(&self, secrets: &[(String, String)]) -> io::Result<Vec<(String, PathBuf)>> {
        if secrets.is_empty() {
            return Ok(Vec::new());
        }
        let directory = self.secrets_directory();
        let own = directory.parent().unwrap_or(&directory);
        make_private(own)?;
        self.remove_secrets();
        make_private(&directory)?;
        let mut files = Vec::new();
        for (name, value) in secrets {
            let path = directory.join(name);
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o444);
            options.open(&path)?.write_all(value.as_bytes())?;
            // The umask may have taken bits away.
            #[cfg(unix)]
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o444))?;
            files.push((name.clone(), path));
        }
        Ok(files)
    }

    /// Removes the secrets of containers that are gone.
    pub fn remove_secrets(&self) {
        let _ = fs::remove_dir_all(self.secrets_directory());
    }
}

/// Makes a directory that only this user can enter. Fails if there is a link, or somebody else's.
fn make_private(directory: &Path) -> io::Result<()> {
    require_own_directory(directory).map_err(|error| io::Error::other(error.to_string()))?;
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    require_own_directory(directory).map_err(|error| io::Error::other(error.to_string()))?;
    #[cfg(unix)]
    fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}
