//! How a registry is reached: as declared, or by the rules that Docker's tools share.

use std::collections::BTreeMap;

use rondel_fetch::is_loopback;
use rondel_names::ImageReference;

/// What is declared of one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Hosts that are asked first, in order: `mirror.example`, `http://127.0.0.1:5000`.
    pub mirrors: Vec<String>,
    /// Whether it speaks plain HTTP; `None` for what its host says: on loopback it does.
    pub plain_http: Option<bool>,
}

/// One server to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The name of the server, for accounts and for people.
    pub host: String,
    /// `https://registry.example`
    pub url: String,
}

/// The registry of Docker's own images answers under another name than it is called by.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

impl Endpoint {
    /// Returns the servers that have `reference`, in the order in which they are asked.
    pub fn of(reference: &ImageReference, declared: &BTreeMap<String, Access>) -> Vec<Endpoint> {
        let access = declared.get(reference.registry()).cloned().unwrap_or_default();
        let mirrors = access.mirrors.iter().map(|mirror| match mirror.split_once("://") {
            Some((scheme, host)) => {
                let host = host.trim_end_matches('/');
                Endpoint { host: host.to_owned(), url: format!("{scheme}://{host}") }
            }
            None => Endpoint::at(mirror, declared.get(mirror).and_then(|access| access.plain_http)),
        });
        mirrors.chain([Endpoint::own(reference, declared)]).collect()
    }

    /// Returns the server that takes what is pushed to `reference`; mirrors take nothing.
    pub fn own(reference: &ImageReference, declared: &BTreeMap<String, Access>) -> Endpoint {
        let host = reference.registry();
        Endpoint::at(host, declared.get(host).and_then(|access| access.plain_http))
    }

    fn at(host: &str, plain_http: Option<bool>) -> Endpoint {
        let name = if host == DOCKER_HUB.0 { DOCKER_HUB.1 } else { host };
        let scheme = if plain_http.unwrap_or_else(|| is_loopback(host)) { "http" } else { "https" };
        Endpoint { host: host.to_owned(), url: format!("{scheme}://{name}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_in_their_order() {
        let declared = BTreeMap::from([
            (
                "docker.io".to_owned(),
                Access { mirrors: vec!["m.example".into(), "http://n.example:1/".into()], plain_http: None },
            ),
            ("m.example".to_owned(), Access { mirrors: Vec::new(), plain_http: Some(true) }),
        ]);
        let urls = |text: &str| -> Vec<String> {
            let reference = ImageReference::new(text).unwrap();
            Endpoint::of(&reference, &declared).into_iter().map(|endpoint| endpoint.url).collect()
        };
        assert_eq!(urls("alpine"), ["http://m.example", "http://n.example:1", "https://registry-1.docker.io"]);
        assert_eq!(urls("m.example/a"), ["http://m.example"]);
        assert_eq!(urls("registry.example/a"), ["https://registry.example"]);
        assert_eq!(urls("localhost:5000/a"), ["http://localhost:5000"]);
        assert_eq!(urls("127.1.2.3:5000/a"), ["http://127.1.2.3:5000"]);
        assert_eq!(urls("[::1]:5000/a"), ["http://[::1]:5000"]);
        assert_eq!(urls("localhost.example/a"), ["https://localhost.example"]);
        let declared =
            BTreeMap::from([("localhost:1".to_owned(), Access { mirrors: Vec::new(), plain_http: Some(false) })]);
        let found = Endpoint::of(&ImageReference::new("localhost:1/a").unwrap(), &declared);
        assert_eq!(found[0].url, "https://localhost:1");
    }
}
