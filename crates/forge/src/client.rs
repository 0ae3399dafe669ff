//! `Client`: questions to a forge, with its token, patience, and a clear word when it fails. It knows answers by their
//! status, and not what they are about.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rondel_fetch::{FetchError, Fetcher, Method, Request, Response};
use serde::Deserialize;
use serde_json::Value;

use crate::error::ForgeError;
use crate::place::{ForgeKind, Place};
use crate::token::Token;

/// Maximum size of an answer in bytes; a page of releases with long notes has some megabytes.
const ANSWER_MAX: u64 = 64 << 20;
/// How often a limit is waited for during one question.
const LIMITS_MAX: u32 = 5;
/// How long GitHub asks to wait after a limit that it gives no time for.
const LIMIT_UNTOLD: u64 = 60;

/// How long a forge is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How often a question is asked while the forge fails.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles each time.
    pub first: Duration,
    /// The longest wait for the end of a limit.
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { attempts: 5, first: Duration::from_millis(500), longest: Duration::from_secs(120) }
    }
}

/// What happens to the user while a forge is asked.
pub struct Watcher<'a> {
    /// Gets the bytes that went and those in all; returns whether to go on.
    pub progress: &'a (dyn Fn(u64, u64) -> bool + Sync),
    /// Gets a sentence, if something takes longer than it should.
    pub say: &'a (dyn Fn(String) + Sync),
}

/// A forge, with the right to write to one repository.
pub struct Client {
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) place: Place,
    pub(crate) token: Token,
    pub(crate) patience: Patience,
    /// For what is downloaded to be compared.
    pub(crate) scratch: PathBuf,
}

/// A request that brought no success.
pub(crate) enum Trouble {
    /// An answer with another status.
    Answer(Box<Response>),
    /// No answer.
    Fetch(FetchError),
}

/// A question of a few bytes.
pub(crate) struct Question<'a> {
    pub method: Method,
    pub url: String,
    pub body: Option<Value>,
    /// What people know it as: `the release v1.2`.
    pub what: &'a str,
    /// True if a second one does no harm, should the first have been heard.
    pub is_repeatable: bool,
}

/// What GitHub and Gitea say of an error.
#[derive(Deserialize)]
struct ErrorAnswer {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Value,
}

impl Client {
    /// Returns a client. `scratch` is a directory for downloads that are compared and removed.
    pub fn new(fetcher: Arc<Fetcher>, place: Place, token: Token, patience: Patience, scratch: PathBuf) -> Client {
        Client { fetcher, place, token, patience, scratch }
    }

    /// Returns the headers of each question.
    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        let token = self.token.secret();
        match self.place.kind() {
            ForgeKind::GitHub => vec![
                ("Authorization", format!("Bearer {token}")),
                ("Accept", "application/vnd.github+json".to_owned()),
                ("X-GitHub-Api-Version", "2022-11-28".to_owned()),
            ],
            ForgeKind::Gitea => {
                vec![("Authorization", format!("token {token}")), ("Accept", "application/json".to_owned())]
            }
        }
    }

    /// Asks a question until it has an answer that is a success.
    pub(crate) fn ask(&self, question: &Question<'_>, watcher: &Watcher<'_>) -> Result<Response, ForgeError> {
        self.patiently(question.what, question.is_repeatable, watcher, &mut || {
            let mut headers = self.headers();
            let body = question.body.as_ref().map(|body| body.to_string().into_bytes());
            if body.is_some() {
                headers.push(("Content-Type", "application/json".to_owned()));
            }
            let (method, url, body) = (question.method.clone(), question.url.clone(), body.unwrap_or_default());
            let request = Request { method, url: url.clone(), headers, body, bytes_max: ANSWER_MAX };
            let response = self.fetcher.call(request, &|| (watcher.progress)(0, 0)).map_err(Trouble::Fetch)?;
            // A redirect was followed without the token: its end says nothing of what the token may see.
            let is_moved = response.url.split('?').next() != url.split('?').next();
            match response.status {
                200..=299 if !is_moved => Ok(response),
                _ if is_moved => Err(Trouble::Answer(Box::new(Response { status: 301, ..response }))),
                _ => Err(Trouble::Answer(Box::new(response))),
            }
        })
    }

    /// Makes a request until it succeeds. One that is not repeatable is made again only where the forge says that it did
    /// not hear the first.
    pub(crate) fn patiently<T>(
        &self,
        what: &str,
        is_repeatable: bool,
        watcher: &Watcher<'_>,
        make: &mut dyn FnMut() -> Result<T, Trouble>,
    ) -> Result<T, ForgeError> {
        let (mut attempt, mut limits) = (0, 0);
        loop {
            if !(watcher.progress)(0, 0) {
                return Err(ForgeError::Interrupted);
            }
            let trouble = match make() {
                Ok(found) => return Ok(found),
                Err(trouble) => trouble,
            };
            if let Trouble::Answer(response) = &trouble
                && let Some(seconds) = limit(response, SystemTime::now())
            {
                limits += 1;
                let host = self.place.host().to_owned();
                if limits > LIMITS_MAX || Duration::from_secs(seconds) > self.patience.longest {
                    return Err(ForgeError::Limited { host, seconds });
                }
                (watcher.say)(format!("{host} limits how often it is asked: waiting {seconds} s"));
                wait(Duration::from_secs(seconds), watcher)?;
                continue;
            }
            attempt += 1;
            let error = self.error(trouble, what);
            if !is_repeatable || attempt >= self.patience.attempts || !matches!(error, ForgeError::Failed { .. }) {
                return Err(error);
            }
            self.back_off(attempt, &error, watcher)?;
        }
    }

    /// Waits before the next attempt, longer each time, and says so.
    pub(crate) fn back_off(&self, attempt: u32, error: &ForgeError, watcher: &Watcher<'_>) -> Result<(), ForgeError> {
        let time = self.patience.first * (1 << attempt.saturating_sub(1).min(6));
        if time >= Duration::from_secs(1) {
            (watcher.say)(format!("{error}; trying again in {} s", time.as_secs()));
        }
        wait(time, watcher)
    }

    fn error(&self, trouble: Trouble, what: &str) -> ForgeError {
        let (host, what) = (self.place.host().to_owned(), what.to_owned());
        let response = match trouble {
            Trouble::Fetch(FetchError::Failed { message, .. }) => {
                return ForgeError::Failed { host, what, message: self.token.hidden_in(&message) };
            }
            Trouble::Fetch(FetchError::NotFound(_)) => return ForgeError::NotFound { host, what: self.repository() },
            Trouble::Fetch(FetchError::Write(error)) => {
                return ForgeError::Write { path: self.scratch.display().to_string(), error };
            }
            Trouble::Fetch(FetchError::Read(error)) => return ForgeError::Read { path: what, error },
            Trouble::Fetch(FetchError::Interrupted) => return ForgeError::Interrupted,
            Trouble::Answer(response) => response,
        };
        let message = self.token.hidden_in(&words(&response.body));
        match response.status {
            status @ (401 | 403) => {
                let hint = self.scope(&response);
                ForgeError::Denied { host, what: self.repository(), status, message, hint }
            }
            404 | 410 => ForgeError::NotFound { host, what: self.repository() },
            301 | 302 | 303 | 307 | 308 => {
                let what = format!("`{}`, which has another name now: write that one", self.repository());
                ForgeError::Refused { host, what, status: response.status, message }
            }
            status @ (408 | 500..) => {
                ForgeError::Failed { host, what, message: format!("it answered {status}{message}") }
            }
            status => ForgeError::Refused { host, what, status, message },
        }
    }

    fn repository(&self) -> String {
        self.place.repository().to_owned()
    }

    /// Returns what a token needs that was refused.
    fn scope(&self, response: &Response) -> String {
        let repository = self.place.repository();
        if response.status == 401 {
            return "the token is wrong or has run out: make a new one".to_owned();
        }
        match (self.place.kind(), response.header("x-accepted-github-permissions").map(plain)) {
            (ForgeKind::GitHub, Some(wanted)) if !wanted.is_empty() => {
                format!("the token needs `{wanted}` for {repository}")
            }
            (ForgeKind::GitHub, _) => format!(
                "the token needs `contents: write` for {repository} (a classic one `repo`; in GitHub Actions \
                 `permissions: contents: write`)"
            ),
            (ForgeKind::Gitea, _) => {
                format!("the token needs `write:repository`, and its owner the right to write to {repository}")
            }
        }
    }
}

/// Returns the number of seconds that a limit lasts, if the answer tells of one.
fn limit(response: &Response, now: SystemTime) -> Option<u64> {
    if !matches!(response.status, 403 | 429) {
        return None;
    }
    let number = |name: &str| response.header(name).and_then(|value| value.trim().parse::<u64>().ok());
    if let Some(seconds) = number("retry-after") {
        return Some(seconds);
    }
    if let (Some(0), Some(reset)) = (number("x-ratelimit-remaining"), number("x-ratelimit-reset")) {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        // The clocks of two machines differ a little.
        return Some(reset.saturating_sub(now) + 1);
    }
    let told = words(&response.body).to_lowercase();
    (response.status == 429 || told.contains("rate limit")).then_some(LIMIT_UNTOLD)
}

fn wait(time: Duration, watcher: &Watcher<'_>) -> Result<(), ForgeError> {
    let begun = Instant::now();
    while begun.elapsed() < time {
        if !(watcher.progress)(0, 0) {
            return Err(ForgeError::Interrupted);
        }
        std::thread::sleep(Duration::from_millis(50).min(time.saturating_sub(begun.elapsed())));
    }
    Ok(())
}

/// Returns the forge's own words for an error, behind a colon.
fn words(body: &[u8]) -> String {
    let Ok(answer) = serde_json::from_slice::<ErrorAnswer>(body) else { return String::new() };
    let mut parts = vec![answer.message];
    for entry in answer.errors.as_array().into_iter().flatten() {
        let texts = ["field", "code", "message"].into_iter().filter_map(|name| entry.get(name)?.as_str());
        parts.push(texts.collect::<Vec<_>>().join(" "));
    }
    let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    if text.is_empty() { text } else { format!(": {}", plain(&text)) }
}

/// Returns words of others, short and without control characters.
fn plain(text: &str) -> String {
    text.chars().take(300).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response {
        let mut response =
            Response { url: String::new(), status, headers: Default::default(), body: body.as_bytes().to_vec() };
        for (name, value) in headers {
            response.headers.insert(*name, value.parse().unwrap());
        }
        response
    }

    #[test]
    fn limits_and_how_long_they_last() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let reset = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1030")];
        assert_eq!(limit(&answer(403, &reset, ""), now), Some(31));
        assert_eq!(limit(&answer(429, &[("retry-after", "7")], ""), now), Some(7));
        assert_eq!(
            limit(&answer(403, &[], r#"{"message":"You have exceeded a secondary rate limit"}"#), now),
            Some(60)
        );
        assert_eq!(limit(&answer(403, &[], r#"{"message":"Resource not accessible"}"#), now), None);
        let some_left = [("x-ratelimit-remaining", "9"), ("x-ratelimit-reset", "1030")];
        assert_eq!(limit(&answer(403, &some_left, ""), now), None);
        assert_eq!(limit(&answer(500, &[("retry-after", "7")], ""), now), None);
    }

    #[test]
    fn the_words_of_a_forge() {
        let body = br#"{"message":"Validation Failed","errors":[{"resource":"Release","code":"already_exists","field":"tag_name"}]}"#;
        assert_eq!(words(body), ": Validation Failed, tag_name already_exists");
        assert_eq!(words(b"{\"message\":\"a\\u001b[31mb\"}"), ": a\\u{1b}[31mb");
        assert_eq!(words(b"<html>"), "");
        assert_eq!(words(br#"{"message":"x","errors":"y"}"#), ": x");
    }
}
