//! Ports and addresses as Dockerfiles and compose files write them. Knows neither.

/// Returns `8080/tcp` for `8080` or `53/udp`.
pub(crate) fn port(word: &str) -> Option<String> {
    let word = word.trim_matches(['"', '\'']);
    let (number, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let number: u16 = number.parse().ok().filter(|number| *number > 0)?;
    let protocol = protocol.to_ascii_lowercase();
    matches!(protocol.as_str(), "tcp" | "udp" | "sctp").then(|| format!("{number}/{protocol}"))
}

/// Returns port and path of the address in the words of a health check, if it is one of this container.
pub(crate) fn health_of(command: &str) -> Option<(u16, String)> {
    let (_, rest) = command.split_once("http://")?;
    let end = rest.find(|c: char| c.is_whitespace() || "\"'`|;,)&".contains(c)).unwrap_or(rest.len());
    let address = &rest[..end];
    let (host, path) = address.find('/').map_or((address, "/"), |slash| address.split_at(slash));
    let (host, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    let is_own = matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0" | "[::1]");
    let is_path = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-~?=%".contains(c));
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    (is_own && is_path).then(|| (port, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        for (command, health) in [
            ("CMD [\"curl\",\"-f\",\"http://127.0.0.1/\"]", Some((80, "/"))),
            ("CMD curl http://localhost:90", Some((90, "/"))),
            ("CMD curl http://other:90/x", None),
            ("CMD curl https://localhost/x", None),
            ("CMD curl http://localhost:$PORT/x", None),
            ("CMD curl http://localhost/\u{7}", None),
        ] {
            assert_eq!(health_of(command), health.map(|(port, path)| (port, path.to_owned())), "{command}");
        }
    }
}
