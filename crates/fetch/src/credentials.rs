//! Credentials for a server: from the URL, or from netrc, by the rules of the go command.
//!
//! The caller decides whether to read netrc; without it, `Credentials::default()` holds nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use rondel_cas::{TEXT_MAX, read_text_at_most};

/// The machines of a netrc file: host, user, password.
#[derive(Clone, Default)]
pub struct Credentials {
    machines: Vec<(String, String, String)>,
}

impl Credentials {
    /// Reads the file that `NETRC` names, or `.netrc` in `HOME` of `environment`. Returns none if neither can be read.
    pub fn from_netrc(environment: &BTreeMap<String, String>) -> Credentials {
        let named = environment.get("NETRC").map(PathBuf::from);
        let path = named.or_else(|| environment.get("HOME").map(|home| PathBuf::from(home).join(".netrc")));
        let text = path.and_then(|path| read_text_at_most(&path, TEXT_MAX).ok());
        Credentials { machines: text.map(|text| parse(&text)).unwrap_or_default() }
    }

    /// Returns the `Authorization` header for `url`. As with the go command, netrc is for `https:` only.
    pub(crate) fn authorization(&self, url: &str) -> Option<String> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split('/').next()?;
        let (user, password) = match authority.rsplit_once('@') {
            Some((user, _)) => {
                let (user, password) = user.split_once(':').unwrap_or((user, ""));
                (unescape(user), unescape(password))
            }
            None if scheme == "https" => {
                let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
                let (_, user, password) = self.machines.iter().find(|(machine, ..)| machine == host)?;
                (user.clone(), password.clone())
            }
            None => return None,
        };
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        Some(format!("Basic {pair}"))
    }
}

/// Decodes percent escapes such as `%40`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = (first == b'%').then(|| tail.get(..2)).flatten();
        let code = code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads `machine HOST login USER password WORD`, in any lines; `macdef` ends the file, as with the go command.
fn parse(text: &str) -> Vec<(String, String, String)> {
    let mut machines = Vec::new();
    let mut current: Option<(String, String, String)> = None;
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "machine" => {
                machines.extend(current.take());
                current = words.next().map(|host| (host.to_owned(), String::new(), String::new()));
            }
            "login" => {
                if let (Some(machine), Some(value)) = (&mut current, words.next()) {
                    value.clone_into(&mut machine.1);
                }
            }
            "password" => {
                if let (Some(machine), Some(value)) = (&mut current, words.next()) {
                    value.clone_into(&mut machine.2);
                }
            }
            "default" | "macdef" => break,
            _ => {}
        }
    }
    machines.extend(current);
    machines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_url_and_from_netrc() {
        let credentials =
            Credentials { machines: parse("machine a.example login u password p\nmachine b.example\nlogin v\n") };
        let header = |url: &str| credentials.authorization(url);
        assert_eq!(header("https://a.example/x").as_deref(), Some("Basic dTpw"));
        assert_eq!(header("https://a.example:8443/x").as_deref(), Some("Basic dTpw"));
        assert_eq!(header("https://b.example/x").as_deref(), Some("Basic djo="));
        assert_eq!(header("http://a.example/x"), None, "never in the clear");
        assert_eq!(header("https://c.example/"), None);
        assert_eq!(header("http://me:pass%40word@c.example/").as_deref(), Some("Basic bWU6cGFzc0B3b3Jk"));
    }
}
