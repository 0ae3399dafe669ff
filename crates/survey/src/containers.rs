//! Ports, health route and Go of a Dockerfile; and what its last stage has besides, by name.

use rondel_targets::Dockerfile;

use crate::addresses::{health_of, port};
use crate::compose::ComposeFile;
use crate::files::{Files, below};

/// What is known of the container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Container {
    /// Version of an image of Go that the Dockerfile builds with.
    pub go: Option<String>,
    /// `8080/tcp`
    pub ports: Vec<String>,
    /// Port and path.
    pub health: Option<(u16, String)>,
    /// What was left, for people.
    pub left: Vec<String>,
    /// True if a Dockerfile copies from `dist`.
    pub copies_dist: bool,
}

/// Reads the Dockerfile of the module, of the top, or the only one.
pub(crate) fn read(files: &mut Files, root: &str) -> Container {
    let mut container = Container::default();
    let all = files.dockerfiles();
    let own = [below(root, "Dockerfile"), "Dockerfile".to_owned()];
    let chosen = own.iter().find(|path| all.contains(path)).or(if all.len() == 1 { all.first() } else { None });
    let Some(path) = chosen else {
        if all.len() > 1 {
            container.left.push(format!(
                "there are several Dockerfiles: {}",
                all.iter().take(8).cloned().collect::<Vec<_>>().join(", ")
            ));
        }
        return container;
    };
    let Some(text) = files.text(path) else { return container };
    container.read(path, &text);
    container
}

impl Container {
    fn read(&mut self, path: &str, text: &str) {
        let file = Dockerfile::parse(text);
        let froms = file.instructions.iter().filter(|one| one.word == "FROM");
        self.go = froms.clone().find_map(|from| go_image(&from.rest));
        let last = file.instructions.iter().rposition(|one| one.word == "FROM").unwrap_or(0);
        let mut besides: Vec<&str> = Vec::new();
        for one in &file.instructions[last..] {
            match one.word.as_str() {
                "EXPOSE" => one.rest.split_whitespace().for_each(|word| self.expose(path, word)),
                "HEALTHCHECK" if one.rest.trim().eq_ignore_ascii_case("none") => {}
                "HEALTHCHECK" => match health_of(&one.rest) {
                    Some(health) => self.health = Some(health),
                    None => self.left.push(format!("{path}: the health check has no plain address on this container")),
                },
                "COPY" | "ADD" if one.flags.iter().any(|flag| flag.starts_with("--from")) => {}
                "COPY" | "ADD" | "ENV" | "USER" | "VOLUME" | "CMD" | "WORKDIR" | "LABEL" | "STOPSIGNAL"
                    if !besides.contains(&one.word.as_str()) =>
                {
                    besides.push(&one.word);
                }
                _ => {}
            }
        }
        self.copies_dist = file.instructions.iter().any(|one| {
            matches!(one.word.as_str(), "COPY" | "ADD")
                && one.rest.split_whitespace().any(|word| word.trim_start_matches(['.', '/']).starts_with("dist"))
        });
        if !besides.is_empty() {
            self.left.push(format!("{path}: not taken over from the last stage: {}", besides.join(", ")));
        }
    }

    fn expose(&mut self, path: &str, word: &str) {
        match port(word) {
            Some(port) if !self.ports.contains(&port) => self.ports.push(port),
            Some(_) => {}
            None => self.left.push(format!("{path}: EXPOSE {word} is no plain port")),
        }
    }

    /// Adds what only the compose file says, of the one service that is built here.
    pub fn completed(mut self, compose: &ComposeFile) -> Container {
        if let [service] = compose.built.as_slice() {
            if self.ports.is_empty() {
                self.ports.clone_from(&service.ports);
            }
            self.health = self.health.or_else(|| service.health.clone());
        }
        self
    }
}

/// Returns the version of `golang:1.22.12-alpine AS build`.
fn go_image(from: &str) -> Option<String> {
    let image = from.split_whitespace().next()?;
    let (name, tag) = image.split('@').next()?.rsplit_once(':')?;
    let version = tag.split('-').next()?;
    let is_exact = version.split('.').count() == 3 && version.split('.').all(|part| part.parse::<u16>().is_ok());
    (name.rsplit('/').next() == Some("golang") && is_exact).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile() {
        let mut container = Container::default();
        container.read(
            "Dockerfile",
            "FROM docker.io/library/golang:1.23.4-alpine AS build\nEXPOSE 1\nFROM alpine\nCOPY --from=build /a /a\nCOPY dist/web /w\nENV A=1\n\
             EXPOSE 8080 53/udp $PORT\nHEALTHCHECK --interval=5s CMD wget -qO- http://localhost:8080/healthz || exit 1\n",
        );
        assert_eq!(container.go.as_deref(), Some("1.23.4"));
        assert_eq!(container.ports, ["8080/tcp", "53/udp"]);
        assert_eq!(container.health, Some((8080, "/healthz".to_owned())));
        assert!(container.copies_dist);
        assert_eq!(
            container.left,
            ["Dockerfile: EXPOSE $PORT is no plain port", "Dockerfile: not taken over from the last stage: COPY, ENV"]
        );
    }
}
