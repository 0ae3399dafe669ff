//! `Challenge`: what a registry asks for when it answers 401 (RFC 9110, section 11.6.1; Docker's token authentication).

/// One scheme with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token, which the server at `realm` gives out.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// Reads a `WWW-Authenticate` header. Of several schemes the first known one counts.
    pub fn parse(header: &str) -> Option<Challenge> {
        let header = header.trim();
        let (scheme, rest) = header.split_once(char::is_whitespace).unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        for (name, value) in parameters(rest) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                "scope" => scope = Some(value),
                _ => {}
            }
        }
        Some(Challenge::Bearer { realm: realm?, service, scope })
    }
}

/// Reads `name="value", name=value`; a backslash in quotes takes the next character as it is.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut characters = text.chars().peekable();
    loop {
        while characters.next_if(|character| character.is_whitespace() || *character == ',').is_some() {}
        let mut name = String::new();
        while let Some(character) = characters.next_if(|character| *character != '=' && *character != ',') {
            name.push(character);
        }
        if characters.next() != Some('=') {
            return found;
        }
        let mut value = String::new();
        if characters.next_if_eq(&'"').is_some() {
            while let Some(character) = characters.next() {
                match character {
                    '"' => break,
                    '\\' => value.extend(characters.next()),
                    character => value.push(character),
                }
            }
        } else {
            while let Some(character) = characters.next_if(|character| *character != ',') {
                value.push(character);
            }
        }
        found.push((name.trim().to_owned(), value.trim().to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            Some(Challenge::Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope) })
        };
        for (header, expected) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            ("Digest realm=\"x\"", None),
            ("Bearer service=\"s\"", None),
            (
                r#"Bearer realm="https://a.example/token",service="s",scope="repository:a/b:pull,push""#,
                bearer("https://a.example/token", Some("s"), Some("repository:a/b:pull,push")),
            ),
            (
                r#"bearer Realm=https://a.example/t , error="invalid \"token\"""#,
                bearer("https://a.example/t", None, None),
            ),
            (r#"Bearer realm="unfinished"#, bearer("unfinished", None, None)),
            ("Bearer realm", None),
            ("", None),
        ] {
            assert_eq!(Challenge::parse(header), expected, "{header}");
        }
    }
}
