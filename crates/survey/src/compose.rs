//! The services of a compose file that are built here, with their ports and health routes.

use saphyr_parser::{Event, Parser};

use crate::addresses::{health_of, port};
use crate::files::{COMPOSE, Files};
use crate::is_plain;

/// Nodes of a file; one with more is no compose file of people.
const NODES_MAX: usize = 50_000;
const DEPTH_MAX: usize = 64;

/// A compose file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ComposeFile {
    /// Its path, relative to the top.
    pub path: String,
    /// Services with `build`.
    pub built: Vec<Service>,
}

/// A service that is built here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Service {
    pub name: String,
    pub ports: Vec<String>,
    pub health: Option<(u16, String)>,
}

/// A value of YAML. An alias is `Nothing`: it is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Nothing,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Reads the first compose file of the module's directory, or of the top.
pub(crate) fn read(files: &mut Files, root: &str) -> Option<ComposeFile> {
    let path = files.named(root, COMPOSE).into_iter().chain(files.named("", COMPOSE)).next()?;
    let text = files.text(&path)?;
    let Some(file) = parse(&text) else {
        files.note(format!("`{path}` could not be read as YAML"));
        return None;
    };
    let mut built = Vec::new();
    for (name, service) in file.get("services").map(Node::entries).unwrap_or_default() {
        if service.get("build").is_some() && is_plain(name) {
            built.push(read_service(name, service));
        }
    }
    Some(ComposeFile { path, built })
}

fn read_service(name: &str, service: &Node) -> Service {
    let mut ports: Vec<String> = Vec::new();
    for field in ["ports", "expose"] {
        for node in service.get(field).map(Node::items).unwrap_or_default() {
            let written = match node {
                // Address, host's port and container's port.
                Node::Text(text) => text.rsplit(':').next().map(str::to_owned),
                Node::Map(_) => node
                    .get("target")
                    .and_then(Node::text)
                    .map(|target| format!("{target}/{}", node.get("protocol").and_then(Node::text).unwrap_or("tcp"))),
                Node::List(_) | Node::Nothing => None,
            };
            if let Some(port) = written.as_deref().and_then(port).filter(|port| !ports.contains(port)) {
                ports.push(port);
            }
        }
    }
    let health = service.get("healthcheck").and_then(|check| check.get("test")).and_then(|test| match test {
        Node::Text(text) => health_of(text),
        _ => test.items().iter().filter_map(Node::text).find_map(health_of),
    });
    Service { name: name.to_owned(), ports, health }
}

impl Node {
    fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    fn entries(&self) -> &[(String, Node)] {
        if let Node::Map(entries) = self { entries } else { &[] }
    }

    fn items(&self) -> &[Node] {
        if let Node::List(items) = self { items } else { &[] }
    }

    fn text(&self) -> Option<&str> {
        if let Node::Text(text) = self { Some(text) } else { None }
    }
}

/// A list or map that is being read; a map with the key whose value comes next.
enum Open {
    List(Vec<Node>),
    Map(Vec<(String, Node)>, Option<String>),
}

/// Returns the first document, or nothing for what is no YAML, too deep or too large.
fn parse(text: &str) -> Option<Node> {
    let mut open: Vec<Open> = Vec::new();
    for (count, event) in Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)).enumerate() {
        if count > NODES_MAX || open.len() > DEPTH_MAX {
            return None;
        }
        let node = match event.ok()?.0 {
            Event::Scalar(value, ..) => Node::Text(value.into_owned()),
            Event::Alias(_) => Node::Nothing,
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Vec::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop()? {
                Open::List(items) => Node::List(items),
                Open::Map(entries, _) => Node::Map(entries),
            },
            Event::DocumentStart(_) | Event::Nothing | Event::StreamStart => continue,
            Event::DocumentEnd | Event::StreamEnd => return Some(Node::Nothing),
        };
        match open.last_mut() {
            None => return Some(node),
            Some(Open::List(items)) => items.push(node),
            Some(Open::Map(entries, key)) => match (key.take(), node) {
                (Some(key), node) => entries.push((key, node)),
                (None, Node::Text(text)) => *key = Some(text),
                (None, _) => *key = Some(String::new()),
            },
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services() {
        let text = "services:\n  db:\n    image: postgres\n    ports: [5432]\n  api:\n    build: .\n    ports:\n      - \"127.0.0.1:80:8080\"\n      - 9090:9091/udp\n      - target: 7070\n    expose: [\"${P}\"]\n    healthcheck:\n      test: [\"CMD\", \"curl\", \"http://localhost:8080/up\"]\n";
        let file = parse(text).unwrap();
        let service = read_service("api", file.get("services").unwrap().get("api").unwrap());
        assert_eq!(service.ports, ["8080/tcp", "9091/udp", "7070/tcp"]);
        assert_eq!(service.health, Some((8080, "/up".to_owned())));
    }

    #[test]
    fn hostile_files() {
        assert_eq!(parse(&"[".repeat(100_000)), None);
        assert_eq!(parse(&"- a\n".repeat(100_000)), None);
        assert_eq!(parse("a: [1\n"), None);
        assert_eq!(parse(""), Some(Node::Nothing));
        assert_eq!(parse("a: &x [1]\nb: *x\n").unwrap().get("b"), Some(&Node::Nothing));
    }
}
