//! `Accounts`: users and passwords of registries, where Docker's tools keep them: `config.json` of Docker, credential
//! helpers, and the file of podman.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use rondel_cas::{TEXT_MAX, read_at_most};
use rondel_process::{Cancellation, CommandLine, ProcessError, capture, find_tool};
use serde::Deserialize;

use crate::error::RegistryError;

/// The name under which Docker keeps the account of its own registry.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// The time that a credential helper has. Some ask the user's keyring.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// What a registry lets somebody in for. It has no `Debug`, so that no message holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Account {
    /// User and password.
    Password {
        /// The user's name.
        user: String,
        /// The password, or an access token in its place.
        password: String,
    },
    /// A token that is exchanged for others (OAuth 2).
    IdentityToken(String),
}

impl Account {
    /// Returns the name for people.
    pub(crate) fn name(&self) -> &str {
        match self {
            Account::Password { user, .. } => user,
            Account::IdentityToken(_) => "the token's owner",
        }
    }
}

/// All files with accounts, read once.
#[derive(Clone, Default)]
pub struct Accounts {
    /// In the order in which they are asked.
    files: Vec<ConfigFile>,
    /// For helpers, which find the user's keyring by it.
    environment: BTreeMap<String, String>,
    cancellation: Cancellation,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigFile {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default)]
    creds_store: Option<String>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Clone, Default, Deserialize)]
struct Auth {
    /// `user:password` in base64.
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
}

/// The answer of a credential helper (docker-credential-helpers, `get`).
#[derive(Deserialize)]
struct HelperAnswer {
    #[serde(rename = "Username", default)]
    username: String,
    #[serde(rename = "Secret", default)]
    secret: String,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Accounts").finish_non_exhaustive()
    }
}

impl Accounts {
    /// Reads the files of the user of `environment`. A file that is not there is no error.
    pub fn of_user(
        environment: &BTreeMap<String, String>,
        cancellation: &Cancellation,
    ) -> Result<Accounts, RegistryError> {
        let place = |name: &str| environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let docker = place("DOCKER_CONFIG").or_else(|| Some(place("HOME")?.join(".docker")));
        let podman =
            place("REGISTRY_AUTH_FILE").or_else(|| Some(place("XDG_RUNTIME_DIR")?.join("containers/auth.json")));
        let paths = docker.map(|directory| directory.join("config.json")).into_iter().chain(podman);
        let files = paths.filter_map(|path| read(&path).transpose()).collect::<Result<_, _>>()?;
        Ok(Accounts { files, environment: environment.clone(), cancellation: cancellation.clone() })
    }

    /// Returns the account for a registry, `docker.io` or `registry.example:5000`.
    pub fn of(&self, registry: &str) -> Result<Option<Account>, RegistryError> {
        let key = if registry == "docker.io" { DOCKER_HUB } else { registry };
        for file in &self.files {
            let helper = file.cred_helpers.get(key).or_else(|| file.cred_helpers.get(registry));
            if let Some(helper) = helper.or(file.creds_store.as_ref())
                && let Some(account) = self.ask(helper, key)?
            {
                return Ok(Some(account));
            }
            let exact = file.auths.get(key);
            let like = || file.auths.iter().find(|(name, _)| host_of(name) == host_of(key)).map(|(_, auth)| auth);
            if let Some(account) = exact.or_else(like).map(|auth| auth.account(registry)).transpose()?.flatten() {
                return Ok(Some(account));
            }
        }
        Ok(None)
    }

    /// Asks a credential helper, a program of the user's.
    fn ask(&self, helper: &str, server: &str) -> Result<Option<Account>, RegistryError> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if helper.is_empty() || !helper.bytes().all(is_name) {
            let message = format!("`{}` can't be the name of a credential helper", helper.escape_debug());
            return Err(RegistryError::Account(message));
        }
        let name = format!("docker-credential-{helper}");
        let failed = |why: &dyn fmt::Display| RegistryError::Account(format!("`{name}` gave no account: {why}"));
        let path = self.environment.get("PATH").map_or("", String::as_str);
        let program = find_tool(&name, path, Path::new("/")).map_err(|error| failed(&error))?;
        let mut line = CommandLine::new(program, "/").argument("get").environment(self.environment.clone());
        line.input = server.as_bytes().to_vec();
        line.timeout = Some(HELPER_TIMEOUT);
        let captured = capture(&line, &self.cancellation).map_err(|error| match error {
            ProcessError::Interrupted => RegistryError::Interrupted,
            error => failed(&error),
        })?;
        if !captured.finished.status.success() {
            // It says so on standard output, and in words that all helpers share.
            let told = String::from_utf8_lossy(&captured.stdout);
            if told.contains("credentials not found") {
                return Ok(None);
            }
            return Err(failed(&captured.finished.status));
        }
        // What it printed may be a secret, so that no word of it is shown.
        let answer: HelperAnswer =
            serde_json::from_slice(&captured.stdout).map_err(|_| failed(&"its answer is not what helpers give"))?;
        Ok(Some(match answer.username.as_str() {
            "<token>" => Account::IdentityToken(answer.secret),
            _ => Account::Password { user: answer.username, password: answer.secret },
        }))
    }
}

impl Auth {
    fn account(&self, registry: &str) -> Result<Option<Account>, RegistryError> {
        if let Some(token) = self.identitytoken.as_ref().filter(|token| !token.is_empty()) {
            return Ok(Some(Account::IdentityToken(token.clone())));
        }
        if let Some(encoded) = self.auth.as_ref().filter(|encoded| !encoded.is_empty()) {
            let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok();
            let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = text.as_deref().and_then(|text| text.split_once(':'));
            let Some((user, password)) = pair else {
                let message = format!("the `auth` of `{registry}` is not `user:password` in base64");
                return Err(RegistryError::Account(message));
            };
            // Docker pads it with zeros.
            let password = password.trim_end_matches('\0').to_owned();
            return Ok(Some(Account::Password { user: user.to_owned(), password }));
        }
        Ok(match (&self.username, &self.password) {
            (Some(user), Some(password)) => Some(Account::Password { user: user.clone(), password: password.clone() }),
            _ => None,
        })
    }
}

fn read(path: &Path) -> Result<Option<ConfigFile>, RegistryError> {
    let wrong = |why: String| RegistryError::Account(format!("failed to read `{}`: {why}", path.display()));
    match read_at_most(path, TEXT_MAX) {
        Ok(bytes) => {
            // An error of the reader would quote the text.
            let place = |error: serde_json::Error| wrong(format!("line {} is not as expected", error.line()));
            serde_json::from_slice(&bytes).map(Some).map_err(place)
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Returns the host of a key of `auths`, which may be a URL.
fn host_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn shown(accounts: &Accounts, registry: &str) -> String {
        match accounts.of(registry) {
            Ok(Some(Account::Password { user, password })) => format!("{user}:{password}"),
            Ok(Some(Account::IdentityToken(token))) => format!("token {token}"),
            Ok(None) => "none".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    fn accounts(directory: &Path, config: &str) -> Result<Accounts, RegistryError> {
        fs::create_dir_all(directory.join("bin")).unwrap();
        fs::write(directory.join("config.json"), config).unwrap();
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let environment = BTreeMap::from([
            ("DOCKER_CONFIG".to_owned(), text(directory.to_owned())),
            ("REGISTRY_AUTH_FILE".to_owned(), text(directory.join("podman.json"))),
            ("PATH".to_owned(), format!("{}:/usr/bin:/bin", text(directory.join("bin")))),
        ]);
        Accounts::of_user(&environment, &Cancellation::default())
    }

    #[test]
    fn files_of_docker_and_podman() {
        let directory = std::env::temp_dir().join(format!("rondel-accounts-{}", std::process::id()));
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        fs::create_dir_all(&directory).unwrap();
        let podman = format!(r#"{{"auths":{{"podman.example":{{"auth":"{}"}}}}}}"#, encode("p:q"));
        fs::write(directory.join("podman.json"), podman).unwrap();
        let config = format!(
            r#"{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{}"}}, "https://url.example/v2/": {{"auth": "{}"}},
                "plain.example:5000": {{"username": "u", "password": "pass:word"}}, "empty.example": {{}},
                "token.example": {{"identitytoken": "t", "auth": "x"}}, "broken.example": {{"auth": "canary-%%"}}}},
               "HttpHeaders": {{"a": "b"}}}}"#,
            encode("hub:secret"),
            encode("user:a:b\0\0"),
        );
        let found = accounts(&directory, &config).unwrap();
        for (registry, expected) in [
            ("docker.io", "hub:secret"),
            ("url.example", "user:a:b"),
            ("plain.example:5000", "u:pass:word"),
            ("plain.example", "none"),
            ("empty.example", "none"),
            ("token.example", "token t"),
            ("podman.example", "p:q"),
            ("broken.example", "the `auth` of `broken.example` is not `user:password` in base64"),
        ] {
            assert_eq!(shown(&found, registry), expected);
        }
        let error = accounts(&directory, "{\"auths\": \"canary\"}").unwrap_err().to_string();
        assert!(error.ends_with("config.json`: line 1 is not as expected"), "{error}");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn helpers() {
        let directory = std::env::temp_dir().join(format!("rondel-helpers-{}", std::process::id()));
        let config = r#"{"credsStore": "all", "credHelpers": {"one.example": "one", "bad.example": "../x",
            "gone.example": "gone", "odd.example": "odd", "angry.example": "angry"}, "auths": {"all.example": {}}}"#;
        let found = accounts(&directory, config).unwrap();
        let helper = |name: &str, script: &str| {
            let path = directory.join("bin").join(format!("docker-credential-{name}"));
            fs::write(&path, format!("#!/bin/sh\nserver=$(cat)\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        helper("one", r#"printf '{"ServerURL":"%s","Username":"%s","Secret":"one"}' "$server" "$1-$server""#);
        helper("odd", "echo canary");
        helper("angry", "echo canary; exit 3");
        helper(
            "all",
            r#"case $server in
            https://index.docker.io/v1/) echo '{"Username":"<token>","Secret":"hub"}' ;;
            *) echo 'credentials not found in native keychain'; exit 1 ;;
            esac"#,
        );
        for (registry, expected) in [
            ("one.example", "get-one.example:one"),
            ("docker.io", "token hub"),
            ("all.example", "none"),
            ("bad.example", "`../x` can't be the name of a credential helper"),
            (
                "gone.example",
                "`docker-credential-gone` gave no account: `docker-credential-gone` was not found on PATH",
            ),
            ("odd.example", "`docker-credential-odd` gave no account: its answer is not what helpers give"),
            ("angry.example", "`docker-credential-angry` gave no account: exit status: 3"),
        ] {
            assert_eq!(shown(&found, registry), expected);
        }
        fs::remove_dir_all(directory).unwrap();
    }
}
