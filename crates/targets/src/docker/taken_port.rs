//! Who has a port that Docker could not take.

use rondel_process::listener_at;

/// Returns what to do about a port that is taken, if the lines of Docker's failure are about one.
pub(crate) fn taken_port(output: &[String]) -> Option<String> {
    let is_about = |line: &&String| {
        ["port is already allocated", "address already in use", "ports are not available"]
            .iter()
            .any(|words| line.contains(words))
    };
    let line = output.iter().find(is_about)?;
    let Some(port) = port_of(line) else {
        return Some("a port is taken: stop the program that listens there, or publish another one".to_owned());
    };
    let holder = listener_at(port).map_or_else(|| "another program".to_owned(), |holder| holder.to_string());
    // Docker's own proxy listens for a container.
    let who = if holder.contains("docker-proxy") { "`docker ps` tells which container" } else { "stop it" };
    Some(format!("port {port} is taken: {holder} listens there; {who}, or publish another port"))
}

/// Returns the number behind the last colon that one follows: `Bind for 127.0.0.1:8080 failed: port is already allocated`.
fn port_of(line: &str) -> Option<u16> {
    let number = |part: &str| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok().filter(|port| *port > 0)
    };
    line.split(':').skip(1).filter_map(number).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_in_the_words_of_docker() {
        for (line, port) in [
            (
                "docker: Error response from daemon: driver failed: Bind for 127.0.0.1:8080 failed: port is already allocated.",
                8080,
            ),
            ("Error starting userland proxy: listen tcp4 127.0.0.1:5432: bind: address already in use", 5432),
        ] {
            assert_eq!(port_of(line), Some(port));
            let hint = taken_port(&[line.to_owned()]).unwrap();
            assert!(hint.starts_with(&format!("port {port} is taken: ")), "{hint}");
        }
        assert_eq!(taken_port(&["no such image".to_owned()]), None);
    }
}
