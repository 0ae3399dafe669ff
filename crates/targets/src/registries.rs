//! `Registries`: the way to registries, as build.ron declares it and the user's accounts have it; opened when the first
//! step needs it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use rondel_buildfile::{BuildFile, RegistryAccess, Spanned};
use rondel_engine::StepError;
use rondel_fetch::{Credentials, Fetcher};
use rondel_process::Cancellation;
use rondel_registry::{Access, Accounts, Registry, RegistryError};

/// The way to registries, for all steps of a build.
pub struct Registries {
    environment: BTreeMap<String, String>,
    declared: BTreeMap<String, Access>,
    registry: OnceLock<Registry>,
}

impl Registries {
    /// Nothing is read and nothing asked yet.
    pub fn new(file: &BuildFile, environment: &BTreeMap<String, String>) -> Registries {
        let access = |(host, access): &(Spanned<String>, RegistryAccess)| {
            let mirrors = access.mirrors.iter().map(|mirror| mirror.as_str().to_owned()).collect();
            (host.value.clone(), Access { mirrors, plain_http: access.plain_http })
        };
        Registries {
            environment: environment.clone(),
            declared: file.registries.iter().map(access).collect(),
            registry: OnceLock::new(),
        }
    }

    /// Returns the way without a build.ron.
    pub fn undeclared(environment: &BTreeMap<String, String>) -> Registries {
        Registries { environment: environment.clone(), declared: BTreeMap::new(), registry: OnceLock::new() }
    }

    /// Returns the client; it reads the user's accounts when it is first needed.
    pub(crate) fn registry(&self, cancellation: &Cancellation) -> Result<&Registry, StepError> {
        if let Some(registry) = self.registry.get() {
            return Ok(registry);
        }
        let certificates = self.environment.get("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
        let accounts = Accounts::of_user(&self.environment, cancellation).map_err(step_error)?;
        let fetcher = Fetcher::new(certificates, Credentials::default());
        Ok(self.registry.get_or_init(|| Registry::new(fetcher, accounts, self.declared.clone())))
    }
}

/// Returns a registry's failure as that of a step.
pub(crate) fn step_error(error: RegistryError) -> StepError {
    if matches!(error, RegistryError::Interrupted) {
        return StepError::Interrupted;
    }
    let found = StepError::environment(error.to_string());
    match error.hint() {
        Some(hint) => found.hint(hint),
        None => found,
    }
}
