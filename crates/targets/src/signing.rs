//! `Signer`: the key of a `Sign`, for the steps of a target. The public key is read by analysis and decides keys of steps; the
//! private one is read when something is signed for the first time in a run, and is in no key, log, record or output.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rondel_buildfile::{Sign, SigningKey, Text, TextSource};
use rondel_cas::{Digest, SMALL_MAX, read_text_at_most};
use rondel_engine::{ActionSpec, UserError};
use rondel_signatures::bundle::Bundle;
use rondel_signatures::dsse::Envelope;
use rondel_signatures::{CAN_SIGN, KeyError, PrivateKey, PublicKey};

use crate::analyzer::{Analyzed, Analyzer};

/// What signatures are. A change of their bytes changes the text.
const FORMAT: &str = "rondel-signature-1";

/// A key that signs.
pub(crate) struct Signer {
    public: PublicKey,
    /// Its file, as build.ron has it.
    public_path: String,
    key: KeyPlace,
    password: Option<Secret>,
    /// The private key, once it was read.
    read: OnceLock<Result<PrivateKey, UserError>>,
}

/// Where the private key is.
enum KeyPlace {
    Variable(Secret),
    File { written: String, path: PathBuf },
}

/// A secret of the environment, which may lack it.
struct Secret {
    name: String,
    value: Option<String>,
}

impl Secret {
    /// Returns the secret that a text names. Its value is hidden from now on.
    fn of(analyzer: &Analyzer<'_>, text: &Text) -> Analyzed<Secret> {
        let TextSource::Secret { name } = &text.source else {
            return Err(UserError::input("a key comes from `Secret(\"NAME\")`").at(text.span));
        };
        let is_set = analyzer.request.environment.contains_key(name);
        let value = if is_set { Some(analyzer.variables.secret(name, text.span)?) } else { None };
        Ok(Secret { name: name.clone(), value })
    }

    fn get(&self) -> Result<&str, UserError> {
        self.value.as_deref().ok_or_else(|| {
            UserError::environment(format!("the secret `{}` is not set, and there is something to sign", self.name))
                .hint(format!("put it into the environment variable {}", self.name))
        })
    }
}

impl Signer {
    /// Reads the public key of `sign`. An error says so if this program can't sign.
    pub fn of(analyzer: &Analyzer<'_>, sign: &Sign) -> Analyzed<Arc<Signer>> {
        let (path, span) = (&sign.public_key.value, sign.public_key.span);
        if !CAN_SIGN && analyzer.request.signatures.is_none() {
            let hint = "write `features = [\"signing\"]` beside `path` in xtask/Cargo.toml: rondel = { path = \"…\", features = [\"signing\"] }";
            return Err(UserError::input("`Sign` needs a program that was compiled with signing").at(span).hint(hint));
        }
        let text = analyzer.variables.sources().read(path).map_err(|error| error.at(span))?;
        let public = PublicKey::from_pem(&text).map_err(|error| {
            UserError::input(format!("`{path}` is no public key to sign for: {error}"))
                .at(span)
                .hint("`cosign generate-key-pair` writes `cosign.pub`; it belongs into the repository")
        })?;
        let key = match &sign.key {
            SigningKey::Secret(text) => KeyPlace::Variable(Secret::of(analyzer, text)?),
            // In a second build it is beside the original sources: a key is copied nowhere.
            SigningKey::File(written) => KeyPlace::File {
                path: analyzer.request.file.private_key(&analyzer.request.repository, &written.value),
                written: written.value.clone(),
            },
        };
        let password = sign.password.as_ref().map(|password| Secret::of(analyzer, password.text())).transpose()?;
        Ok(Arc::new(Signer { public, public_path: path.clone(), key, password, read: OnceLock::new() }))
    }

    /// Returns the name of the public key: the SHA-256 of it in hexadecimal.
    pub fn fingerprint(&self) -> String {
        self.public.fingerprint()
    }

    /// Adds the public key to a key: another one signs again.
    pub fn add_to(&self, spec: &mut ActionSpec) {
        spec.settings.insert("signatures".to_owned(), FORMAT.to_owned());
        spec.settings.insert("public key".to_owned(), format!("sha256:{}", self.public.fingerprint()));
    }

    /// Returns the public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Returns the private key. Only for a step that runs: a result that is stored needs none.
    pub fn private(&self) -> Result<&PrivateKey, UserError> {
        self.read.get_or_init(|| self.read_private()).as_ref().map_err(UserError::clone)
    }

    /// Returns the bundle of a file by its digest.
    pub fn sign_file(&self, file: &Digest) -> Result<Bundle, UserError> {
        Ok(Bundle::of_message(file, self.private()?))
    }

    /// Returns the bundle of an in-toto statement.
    pub fn sign_statement(&self, payload_type: &str, statement: &[u8]) -> Result<Bundle, UserError> {
        Ok(Bundle::of_envelope(Envelope::sign(payload_type, statement, self.private()?), &self.public))
    }

    fn read_private(&self) -> Result<PrivateKey, UserError> {
        let of_file;
        let (text, place) = match &self.key {
            KeyPlace::Variable(secret) => (secret.get()?, format!("the secret `{}`", secret.name)),
            KeyPlace::File { written, path } => {
                of_file = read_text_at_most(path, SMALL_MAX).map_err(|error| {
                    let message = format!("failed to read the private key `{written}`: {}", error.kind());
                    UserError::environment(message).hint("name the file of the key, relative to `root` or absolute")
                })?;
                (of_file.as_str(), format!("`{written}`"))
            }
        };
        // A key that is not encrypted needs no password, also where one is declared.
        let key = match (PrivateKey::from_pem(text, None), &self.password) {
            (Err(KeyError::NoPassword), Some(password)) => PrivateKey::from_pem(text, Some(password.get()?)),
            (read, _) => read,
        };
        let key = key.map_err(|error| {
            let found = UserError::environment(format!("{place} is no private key that can sign: {error}"));
            match error {
                KeyError::NoPassword => found.hint("write `password: Secret(\"COSIGN_PASSWORD\")` into `Sign`"),
                KeyError::WrongPassword => found.hint("look at the value of `password`: line ends count too"),
                KeyError::NotPem => {
                    found.hint("the variable holds the text of the key, and no path; KeyFile(\"…\") is a path")
                }
                _ => found.hint("`cosign generate-key-pair` makes a key"),
            }
        })?;
        if key.public_key() != self.public {
            let message = format!("{place} is not the private key of `{}`", self.public_path);
            let (own, other) = (self.public.fingerprint(), key.public_key().fingerprint());
            let hint =
                format!("the public key has the SHA-256 {}…, that of the private one {}…", &own[..16], &other[..16]);
            return Err(UserError::environment(message).hint(hint));
        }
        Ok(key)
    }
}
