//! The `Authorization` header of a registry: user and password, or a token from the server that the registry names
//! (Docker's token authentication).

use base64::Engine as _;
use rondel_fetch::{Fetcher, Method, Request, percent_escaped};
use serde::Deserialize;

use crate::access::Endpoint;
use crate::accounts::{Account, Accounts};
use crate::challenge::Challenge;
use crate::error::RegistryError;

/// Maximum size of the answer of a token server in bytes.
const TOKEN_BYTES_MAX: u64 = 1 << 20;

/// What is asked of a server, and what for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose<'a> {
    pub endpoint: &'a Endpoint,
    pub repository: &'a str,
    /// For one who writes: the repositories whose blobs may be used again.
    pub writes: Option<&'a [String]>,
}

impl Purpose<'_> {
    /// Returns the scopes of a token, in Docker's words; `asked` is the one that the server names.
    fn scopes(&self, asked: Option<String>) -> Vec<String> {
        let Some(sources) = self.writes else {
            return vec![asked.unwrap_or_else(|| format!("repository:{}:pull", self.repository))];
        };
        let own = format!("repository:{}:pull,push", self.repository);
        let others = sources.iter().filter(|source| *source != self.repository);
        let mut scopes = vec![own];
        scopes.extend(others.map(|source| format!("repository:{source}:pull")));
        // One that is named in other words: `push,pull`, or a service of its own.
        let is_known = |scope: &String| scope.starts_with(&format!("repository:{}:", self.repository));
        scopes.extend(asked.filter(|scope| !is_known(scope)));
        scopes
    }
}

/// Somebody who wants to read or write a repository.
pub(crate) struct Asker<'a> {
    pub fetcher: &'a Fetcher,
    pub accounts: &'a Accounts,
    pub purpose: Purpose<'a>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    #[serde(default)]
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Asker<'_> {
    /// Returns the header that answers one of the challenges.
    pub fn authorization(&self, challenges: &[&str], go_on: &dyn Fn() -> bool) -> Result<String, RegistryError> {
        let Purpose { endpoint, repository, .. } = self.purpose;
        let failed = |message: String| RegistryError::Failed {
            host: endpoint.host.clone(),
            what: repository.to_owned(),
            message,
        };
        let ask = |method: Method, url: String, headers: Vec<(&'static str, String)>, body: Vec<u8>| {
            let request = Request { method, url, headers, body, bytes_max: TOKEN_BYTES_MAX };
            let outcome = self.fetcher.call(request, go_on);
            outcome.map_err(|error| RegistryError::of_fetch(error, &endpoint.host, repository))
        };
        let challenge = challenges.iter().find_map(|header| Challenge::parse(header));
        let account = self.accounts.of(&endpoint.host)?;
        let (realm, service, scope) = match challenge {
            Some(Challenge::Basic) => {
                return account
                    .as_ref()
                    .and_then(basic)
                    .ok_or_else(|| denied(self.accounts, &self.purpose, "it wants a user and a password"));
            }
            Some(Challenge::Bearer { realm, service, scope }) => (realm, service, scope),
            None => return Err(failed("it answered 401 and does not say what it wants".to_owned())),
        };
        if !realm.starts_with("https://") && !endpoint.url.starts_with("http://") {
            return Err(failed(format!("it wants passwords sent in the clear, to `{}`", realm.escape_debug())));
        }
        let scopes = self.purpose.scopes(scope);
        let mut query: Vec<(&str, String)> = service.map(|service| ("service", service)).into_iter().collect();
        let response = match &account {
            Some(Account::IdentityToken(token)) => {
                query.extend([("grant_type", "refresh_token".to_owned()), ("client_id", "rondel".to_owned())]);
                query.extend([("scope", scopes.join(" ")), ("refresh_token", token.clone())]);
                let kind = ("Content-Type", "application/x-www-form-urlencoded".to_owned());
                ask(Method::POST, realm, vec![kind], encode(&query).into_bytes())?
            }
            account => {
                query.extend(scopes.into_iter().map(|scope| ("scope", scope)));
                let separator = if realm.contains('?') { '&' } else { '?' };
                let url = format!("{realm}{separator}{}", encode(&query));
                let header = account.as_ref().and_then(basic).map(|header| ("Authorization", header));
                ask(Method::GET, url, header.into_iter().collect(), Vec::new())?
            }
        };
        match response.status {
            200..=299 => {}
            401 | 403 => return Err(denied(self.accounts, &self.purpose, "the account is refused")),
            status => return Err(failed(format!("its token server answered {status}{}", words(&response.body)))),
        }
        // The answer holds a secret, so that no word of it is shown.
        let answer: Option<TokenAnswer> = serde_json::from_slice(&response.body).ok();
        let token = answer.and_then(|answer| answer.token.or(answer.access_token)).filter(|token| is_token(token));
        token.map(|token| format!("Bearer {token}")).ok_or_else(|| failed("its token server gave no token".to_owned()))
    }
}

/// Returns true for what fits into a header.
fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

fn basic(account: &Account) -> Option<String> {
    match account {
        Account::Password { user, password } => {
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            Some(format!("Basic {pair}"))
        }
        Account::IdentityToken(_) => None,
    }
}

/// Returns a query with everything but letters and digits escaped.
fn encode(query: &[(&str, String)]) -> String {
    query.iter().map(|(name, value)| format!("{name}={}", percent_escaped(value))).collect::<Vec<_>>().join("&")
}

/// Returns the error for a repository that the account of the registry does not open.
pub(crate) fn denied(accounts: &Accounts, purpose: &Purpose<'_>, message: &str) -> RegistryError {
    let account = accounts.of(&purpose.endpoint.host).ok().flatten();
    RegistryError::Denied {
        host: purpose.endpoint.host.clone(),
        who: account.map_or_else(|| "anyone".to_owned(), |account| format!("`{}`", account.name())),
        verb: if purpose.writes.is_some() { "write to" } else { "read" },
        what: purpose.repository.to_owned(),
        message: format!(": {message}"),
    }
}

/// Returns the registry's own words for an error, behind a colon.
pub(crate) fn words(body: &[u8]) -> String {
    let answer: Option<ErrorAnswer> = serde_json::from_slice(body).ok();
    let first = answer.and_then(|answer| answer.errors.into_iter().next());
    let text = first.map(|entry| if entry.message.is_empty() { entry.code } else { entry.message });
    let text: String = text.unwrap_or_default().chars().take(200).collect();
    if text.is_empty() { text } else { format!(": {}", text.escape_debug()) }
}
