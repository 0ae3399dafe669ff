//! The text of build.ron for a surveyed repository. Comments hold what could not be told.

use rondel_buildfile::BuildFile;

use crate::files::relative;
use crate::linker_flags::{Query, Stamp};
use crate::modules::Modules;
use crate::programs::{Program, target_name};
use crate::{Survey, SurveyError};

/// Characters of a comment's text; longer ones are cut.
const COMMENT_MAX: usize = 200;

/// Names of the targets that are not of a program.
const FIXED: &[&str] = &["image", "images", "build", "test", "vet", "up", "down"];

/// A program with the names of its targets.
struct Built<'s> {
    program: &'s Program,
    target: String,
    image: String,
}

/// Returns build.ron, which this Rondel of `version` can read.
pub fn build_ron(survey: &Survey, version: &str) -> Result<String, SurveyError> {
    let built = built(survey);
    let mut text = String::new();
    text.push_str(
        "// Written by `init` from what this repository says. Every kind and field: docs/build-ron.md of Rondel.\n",
    );
    notes(&mut text, "", survey.notes.iter().map(String::as_str));
    let others = survey.modules.others.iter().map(|directory| if directory.is_empty() { "." } else { directory });
    let others: Vec<&str> = others.take(20).collect();
    if !others.is_empty() {
        let note = format!("Modules that nothing here builds: {}", others.join(", "));
        // Those beside or above `root` need another `root` first.
        let below = survey.modules.others.iter().find_map(|other| relative(other, &survey.modules.root));
        let how =
            below.map(|directory| format!("A target with `module: \"{}\"` is of such a module.", comment(directory)));
        notes(&mut text, "", [note.as_str()].into_iter().chain(how.as_deref()));
    }
    text.push_str("(\n    format: 1,\n");
    text.push_str(&format!("    project: \"{}\",\n", survey.project));
    if !survey.modules.root.is_empty() {
        text.push_str(&format!("    root: \"{}\",\n", survey.modules.root));
    }
    let (go, why) = &survey.modules.go;
    let why = why.as_ref().map(|why| format!(" // {}", comment(why))).unwrap_or_default();
    text.push_str(&format!("    go: {go},{why}\n"));
    if survey.modules.has_go_work {
        text.push_str("    go_work: \"go.work\",\n");
    }
    text.push_str("    vars: {\n");
    for query in queries(survey) {
        let (name, variable, default) = query.words();
        text.push_str(&format!("        \"{variable}\": Git({name}, \"{default}\"),\n"));
    }
    text.push_str("    },\n    targets: {\n");
    for one in &built {
        text.push_str(&go_build(survey, one));
    }
    for (index, one) in built.iter().enumerate() {
        text.push_str(&image(survey, one, index == 0));
    }
    text.push_str(&groups(&built));
    let packages = packages(&survey.modules);
    text.push_str(&format!("        \"test\": GoTest(doc: \"Go tests\", packages: [{packages}]),\n"));
    text.push_str(&format!("        \"vet\": GoVet(doc: \"go vet\", packages: [{packages}]),\n"));
    text.push_str(&services(survey, &built));
    text.push_str("    },\n)\n");
    match BuildFile::parse(&text, version) {
        Ok(_) => Ok(text),
        Err(diagnostics) => {
            let why = diagnostics.into_iter().next().map(|one| one.message).unwrap_or_default();
            let hint = "this is a bug in Rondel; write build.ron by hand, as README.md shows";
            Err(SurveyError::new(format!("what was found makes no build.ron: {why}"), hint))
        }
    }
}

/// Returns the targets, in the order of the file.
pub(crate) fn targets(survey: &Survey) -> Vec<String> {
    let built = built(survey);
    let mut targets: Vec<String> = built.iter().map(|one| one.target.clone()).collect();
    targets.extend(built.iter().map(|one| one.image.clone()));
    if built.len() > 1 {
        targets.extend(["build", "images"].map(str::to_owned));
    }
    targets.extend(["test", "vet"].map(str::to_owned));
    if compose_file(survey).is_some() {
        targets.extend(["up", "down"].map(str::to_owned));
    }
    targets
}

impl Survey {
    /// Returns the targets that have a place in `dist`.
    pub(crate) fn outputs(&self) -> Vec<String> {
        built(self).into_iter().flat_map(|one| [one.target, one.image]).collect()
    }
}

fn built(survey: &Survey) -> Vec<Built<'_>> {
    let mut taken: Vec<String> = FIXED.iter().map(|name| (*name).to_owned()).collect();
    let is_one = survey.programs.len() == 1;
    let mut built = Vec::new();
    for program in &survey.programs {
        let target = target_name(program, &taken);
        taken.push(target.clone());
        let image = if is_one { "image".to_owned() } else { format!("{target}-image") };
        taken.push(image.clone());
        built.push(Built { program, target, image });
    }
    built
}

fn queries(survey: &Survey) -> Vec<Query> {
    // Images are tagged with it.
    let mut queries = vec![Query::Describe];
    for stamp in survey.flags.stamps.values() {
        if let Stamp::Git(query) = stamp {
            queries.push(*query);
        }
    }
    queries.sort();
    queries.dedup();
    queries
}

fn go_build(survey: &Survey, one: &Built<'_>) -> String {
    let mut text = format!("        \"{}\": GoBuild(\n", one.target);
    text.push_str(&format!("            doc: \"Static executable of {}\",\n", one.program.package));
    text.push_str(&format!("            packages: [\"{}\"],\n", one.program.package));
    if !survey.flags.plain.is_empty() {
        let flags: Vec<String> = survey.flags.plain.iter().map(|flag| format!("\"{flag}\"")).collect();
        text.push_str(&format!("            ldflags: [{}],\n", flags.join(", ")));
    }
    if !survey.flags.stamps.is_empty() {
        text.push_str("            stamp: {\n");
        for (name, stamp) in &survey.flags.stamps {
            let value = match stamp {
                Stamp::Git(query) => format!("{{{}}}", query.words().1),
                Stamp::Text(text) => text.clone(),
            };
            text.push_str(&format!("                \"{name}\": \"{value}\",\n"));
        }
        text.push_str("            },\n");
    }
    notes(&mut text, "            ", survey.flags.left.iter().map(String::as_str));
    text.push_str("        ),\n");
    text
}

fn image(survey: &Survey, one: &Built<'_>, is_first: bool) -> String {
    let container = &survey.container;
    let mut text = format!("        \"{}\": Image(\n", one.image);
    text.push_str(&format!("            doc: \"Container image of {}, built without Docker\",\n", one.target));
    text.push_str("            base: Static,\n");
    text.push_str(&format!("            files: {{\"/app/{}\": Output(\"{}\")}},\n", one.target, one.target));
    let ports: Vec<String> = container.ports.iter().map(|port| format!("\"{port}\"")).collect();
    let health = container.health.as_ref().map(|(port, path)| format!("Http(port: {port}, path: \"{path}\")"));
    if survey.programs.len() == 1 {
        if !ports.is_empty() {
            text.push_str(&format!("            ports: [{}],\n", ports.join(", ")));
        }
        if let Some(health) = &health {
            text.push_str(&format!("            health: {health},\n"));
        }
    } else if is_first && !(ports.is_empty() && health.is_none()) {
        let of = "the program that these are of can't be told:";
        let health = health.map(|health| format!(" health: {health}")).unwrap_or_default();
        notes(&mut text, "            ", [format!("{of} ports: [{}]{health}", ports.join(", ")).as_str()]);
    }
    let name = image_name(&one.target);
    text.push_str(&format!("            tags: [\"{name}:{{version}}\", \"{name}:latest\"],\n"));
    if is_first {
        notes(&mut text, "            ", container.left.iter().map(String::as_str));
    }
    text.push_str("        ),\n");
    text
}

/// Returns the groups of several programs.
fn groups(built: &[Built<'_>]) -> String {
    if built.len() < 2 {
        return String::new();
    }
    let list = |names: Vec<&str>| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let programs = list(built.iter().map(|one| one.target.as_str()).collect());
    let images = list(built.iter().map(|one| one.image.as_str()).collect());
    format!(
        "        \"build\": Group(doc: \"All programs\", targets: [{programs}]),\n        \
         \"images\": Group(doc: \"All images\", targets: [{images}]),\n"
    )
}

/// Returns the compose file relative to `root`, if it is in there.
fn compose_file(survey: &Survey) -> Option<&str> {
    survey.compose.as_ref().and_then(|compose| relative(&compose.path, &survey.modules.root))
}

fn services(survey: &Survey, built: &[Built<'_>]) -> String {
    let Some(compose) = &survey.compose else { return String::new() };
    let mut text = String::new();
    let Some(file) = compose_file(survey) else {
        notes(
            &mut text,
            "        ",
            [format!("{} is outside of `root`, where no target reaches it", compose.path).as_str()],
        );
        return text;
    };
    let names: Vec<&str> = compose.built.iter().map(|service| service.name.as_str()).collect();
    let images = match (names.as_slice(), built) {
        ([service], [one]) => format!(" images: {{\"{service}\": \"{}\"}},", one.image),
        _ => String::new(),
    };
    if images.is_empty() && !names.is_empty() {
        let note =
            format!("which image each service runs can't be told: images: {{SERVICE: IMAGE}} for {}", names.join(", "));
        notes(&mut text, "        ", [note.as_str()]);
    }
    text.push_str(&format!("        \"up\": ComposeUp(doc: \"The services of {file}\", file: \"{file}\",{images}),\n"));
    text.push_str(&format!("        \"down\": ComposeDown(doc: \"Stops what `up` started\", file: \"{file}\"),\n"));
    text.replace(",),\n", "),\n")
}

/// Returns the patterns of all packages: a workspace has them by module.
fn packages(modules: &Modules) -> String {
    let patterns = modules.all.iter().filter_map(|(directory, _)| match relative(directory, &modules.root)? {
        "" => Some("\"./...\"".to_owned()),
        inside => Some(format!("\"./{inside}/...\"")),
    });
    patterns.collect::<Vec<_>>().join(", ")
}

/// Returns a name that registries take.
fn image_name(target: &str) -> String {
    let name = target.to_lowercase();
    let parts: Vec<&str> = name.split(['.', '_', '-']).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "image".to_owned() } else { parts.join("-") }
}

fn notes<'n>(text: &mut String, indent: &str, notes: impl IntoIterator<Item = &'n str>) {
    for note in notes {
        text.push_str(&format!("{indent}// {}\n", comment(note)));
    }
}

/// Returns a text that stays in its line and shows what it is.
fn comment(text: &str) -> String {
    let shown = text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' });
    shown.take(COMMENT_MAX).collect()
}
