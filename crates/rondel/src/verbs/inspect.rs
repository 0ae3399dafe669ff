//! `inspect`: describes an executable or an image, from its own contents and from Rondel's records; or an image and its
//! documents, as a registry has them.

use std::path::{Path, PathBuf};

use rondel_buildfile::Makes;
use rondel_cas::{Digest, read_at_most};
use rondel_diff::{LayoutImage, layer_files, read_layout};
use rondel_engine::{StepRecord, Workspace, audit_mark, records};
use rondel_golang::{BuildInfo, EXECUTABLE_MAX};
use rondel_names::{ImageReference, Platform};
use rondel_targets::ImageMetadata;
use serde_json::{Value, json};

use crate::cli::groups::TextOrJson;
use crate::cli::option::{option, options};
use crate::cli::verb::{Arguments, Call, Holds, Verb};
use crate::exit::{Exit, Failure};
use crate::program;
use crate::session::Session;
use crate::ui::{bytes_text, print_data, without_control_sequences};
use published::{Asked, document_text, inert, json_for_terminals};

pub(super) mod published;

options! {
    /// Options of `inspect`.
    struct Options {
        /// print what is known as
        format: TextOrJson = option("format").value("FORMAT"),
        /// print a document about an image in a registry: `sbom`, `provenance`, or its name, type or digest
        show: Option<String> = option("show").value("DOCUMENT"),
        /// with --show: a document about the image of this platform
        platform: Vec<Platform> = option("platform").value("OS/ARCH"),
    }
}

/// Prints descriptions of files, layouts, or the artefacts of a target.
pub(crate) struct Inspect;

impl Verb for Inspect {
    const NAME: &'static str = "inspect";
    const ABOUT: &'static str = "what an executable or image is made of, and how it was made";
    const ARGUMENTS: Arguments = Arguments {
        holds: Holds::TargetsOrPaths,
        least: 1,
        most: usize::MAX,
        forms: &["PATH or TARGET…", "REFERENCE…"],
        needed: "a file, an OCI layout, a target or an image in a registry",
        docs: &[
            ("PATH", "an executable, or a directory with an OCI layout"),
            ("TARGET", "a target of build.ron"),
            ("REFERENCE", "an image in a registry, and the documents about it: `registry.example/team/app:1`"),
        ],
    };
    const EXAMPLE: &'static str = "inspect image";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        let references = call.words.iter().map(|word| {
            let is_target = session.as_ref().is_ok_and(|session| session.target(word).is_some());
            if is_target { None } else { published::reference(call.context, word) }
        });
        let references: Vec<_> = references.collect();
        if references.iter().all(Option::is_some) {
            let asked = Asked::new(session.as_ref().ok(), call.context);
            let found: Result<Vec<_>, Failure> = references.into_iter().flatten().collect();
            return published(&asked, &found?, call);
        }
        if let Some(position) = references.iter().position(Option::is_some) {
            let word = &call.words[position];
            return Err(Failure::usage(format!("`{word}` is in a registry, and other words are not"))
                .hint("ask for images of registries alone"));
        }
        if call.options.show.is_some() || !call.options.platform.is_empty() {
            return Err(Failure::usage("--show and --platform are for images in registries".to_owned())
                .hint("name one: `registry.example/team/app:1`"));
        }
        inspect(&session?, call)
    }
}

fn published(asked: &Asked, references: &[ImageReference], call: &Call<'_, Options>) -> Result<Exit, Failure> {
    if let Some(wanted) = &call.options.show {
        let [only] = references else { return Err(Failure::usage("--show takes one image".to_owned())) };
        asked.show(only, wanted, &call.options.platform)?;
        return Ok(Exit::Done);
    }
    let found: Result<Vec<Value>, Failure> = references.iter().map(|reference| asked.describe(reference)).collect();
    print_descriptions(&found?, call);
    Ok(Exit::Done)
}

fn inspect(session: &Session<'_>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
    let workspace = session.workspace();
    let mut found = Vec::new();
    for word in call.words {
        for path in places(session, word)? {
            found.push(if path.is_dir() { layout(&path, &workspace)? } else { file(&path, &workspace)? });
        }
    }
    print_descriptions(&found, call);
    Ok(Exit::Done)
}

fn print_descriptions(found: &[Value], call: &Call<'_, Options>) {
    if call.options.format == TextOrJson::Json {
        let text = serde_json::to_string_pretty(found).expect("plain data");
        print_data(&format!("{}\n", json_for_terminals(&text)));
    } else {
        for (index, value) in found.iter().enumerate() {
            let gap = if index > 0 { "\n" } else { "" };
            let text = text_of(value, call.global.verbose);
            let lines = text.lines().map(|line| format!("{}\n", without_control_sequences(line)));
            print_data(&format!("{gap}{}", lines.collect::<String>()));
        }
    }
}

/// Returns a path unchanged; for a target, returns the paths in its output directory.
fn places(session: &Session<'_>, word: &str) -> Result<Vec<PathBuf>, Failure> {
    let target = session.target(word);
    let Some(target) = target else {
        let path = session.context.directory.join(word);
        return if path.exists() { Ok(vec![path]) } else { Err(session.unknown_target(word, &[], &[])) };
    };
    match target.makes() {
        Makes::Executables | Makes::ImageLayout => {}
        Makes::Nothing | Makes::DaemonImage | Makes::Files { .. } | Makes::Processes => {
            return Err(Failure::usage(format!(
                "`{word}` is a `{}`: it makes no executable and no image",
                target.kind.word()
            )));
        }
    }
    let directory = session
        .file
        .outputs_of(target)
        .first()
        .map_or_else(|| session.root.clone(), |out| session.root.join(&out.path));
    if directory.join("oci-layout").is_file() {
        return Ok(vec![directory]);
    }
    let mut files = Vec::new();
    for platform in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
        let entries = std::fs::read_dir(platform.path()).into_iter().flatten().flatten().map(|entry| entry.path());
        files.extend(entries.filter(|path| path.is_file() && !is_document(path)));
    }
    files.sort();
    if files.is_empty() {
        return Err(Failure::usage(format!("`{word}` has not been built"))
            .hint(format!("`{} {word}` builds it", program::name())));
    }
    Ok(files)
}

fn file(path: &Path, workspace: &Workspace) -> Result<Value, Failure> {
    let bytes = read_at_most(path, EXECUTABLE_MAX)
        .map_err(|error| Failure::usage(format!("failed to read `{}`: {error}", path.display())))?;
    let digest = Digest::of(&bytes);
    let mut value = json!({"path": path.display().to_string(), "digest": digest.oci(), "size_bytes": bytes.len()});
    let info = BuildInfo::of(&bytes);
    let made = made_by(workspace, &digest);
    if info.is_none() && made.is_empty() {
        return Err(Failure::usage(format!(
            "`{}` has no build information, and no record here names it",
            path.display()
        ))
        .hint("inspect takes Go executables, files that Rondel made here, and OCI layouts"));
    }
    if let Some(info) = info {
        value["go"] = build_info(&info);
    }
    value["made_by"] = json!(made);
    Ok(value)
}

fn build_info(info: &BuildInfo) -> Value {
    let module = |module: &rondel_golang::ModuleVersion| {
        let mut value = json!({"path": module.path, "version": module.version, "sum": module.sum});
        if let Some(by) = &module.replaced_by {
            value["replaced_by"] = json!({"path": by.path, "version": by.version, "sum": by.sum});
        }
        value
    };
    json!({
        "version": info.go_version,
        "package": info.path,
        "module": info.main.as_ref().map(module),
        "dependencies": info.dependencies.iter().map(module).collect::<Vec<_>>(),
        "settings": info.settings.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
    })
}

/// Returns the steps whose last result holds these bytes.
fn made_by(workspace: &Workspace, digest: &Digest) -> Vec<Value> {
    let mut made = Vec::new();
    for record in records(&workspace.state) {
        let (Some(key), Some(step)) = (record.action, &record.step) else { continue };
        let Ok(Some(result)) = workspace.results.get_action_result(&key) else { continue };
        let holds = result.outputs.iter().any(|output| output.entry.contents() == Some(digest));
        if holds {
            let mut value = step_value(&step.to_string(), &key, &record, result.duration_ms);
            if let Some(mark) = audit_mark(&workspace.state, step) {
                value["not_reproducible"] = json!(mark.summary());
            }
            made.push(value);
        }
    }
    made
}

fn step_value(label: &str, key: &Digest, record: &StepRecord, duration_ms: u64) -> Value {
    let mut value = json!({"step": label, "key": key.oci(), "duration_ms": duration_ms});
    for name in ["argument", "environment", "setting", "tool", "input", "upstream"] {
        let lines =
            record.describe().into_iter().filter_map(|line| line.strip_prefix(name).map(|rest| rest.trim().to_owned()));
        value[format!("{name}s")] = json!(lines.collect::<Vec<_>>());
    }
    value
}

/// Returns what the image with this digest has from its base, by platform, if it was made here.
fn inherited(workspace: &Workspace, digest: &str) -> Option<ImageMetadata> {
    records(&workspace.state).into_iter().find_map(|record| {
        let result = workspace.results.get_action_result(&record.action?).ok()??;
        result.metadata.get::<ImageMetadata>().filter(|image| image.digest == digest)
    })
}

fn layout(path: &Path, workspace: &Workspace) -> Result<Value, Failure> {
    let wrong =
        |error: std::io::Error| Failure::usage(format!("`{}` is not a valid OCI layout: {error}", path.display()));
    let (digest, images) = read_layout(path).map_err(wrong)?;
    let mut platforms = Vec::new();
    let made = inherited(workspace, &digest);
    for image in &images {
        let mut value = platform(image).map_err(wrong)?;
        let from_base = made.as_ref().and_then(|made| made.inherited.get(&image.platform));
        value["inherited"] = json!(from_base);
        platforms.push(value);
    }
    Ok(json!({"path": path.display().to_string(), "digest": digest, "platforms": platforms}))
}

fn platform(image: &LayoutImage) -> std::io::Result<Value> {
    // A base has steps in its history that made no layer.
    let history = image.config["history"].as_array().into_iter().flatten();
    let history: Vec<&Value> = history.filter(|entry| entry["empty_layer"] != json!(true)).collect();
    let mut layers = Vec::new();
    for (index, (digest, size, place)) in image.layers.iter().enumerate() {
        let mut files = Vec::new();
        let mut executables = Vec::new();
        layer_files(place, &mut |name, size, contents| {
            files.push(json!({"path": format!("/{name}"), "size_bytes": size}));
            let mut head = [0_u8; 4];
            let count = contents.read(&mut head).unwrap_or(0);
            // ELF, Mach-O, PE: no other file is worth reading whole.
            let is_program = matches!(&head[..count], b"\x7fELF" | [0xcf, 0xfa, 0xed, 0xfe] | [b'M', b'Z', ..]);
            if is_program {
                let mut bytes = head[..count].to_vec();
                if contents.read_to_end(&mut bytes).is_ok()
                    && let Some(info) = BuildInfo::of(&bytes)
                {
                    let mut value = build_info(&info);
                    value["path"] = json!(format!("/{name}"));
                    value["digest"] = json!(Digest::of(&bytes).oci());
                    executables.push(value);
                }
            }
        })?;
        let what = history.get(index).map_or(&Value::Null, |entry| &entry["comment"]);
        layers.push(
            json!({"digest": digest, "size_bytes": size, "what": what, "files": files, "executables": executables}),
        );
    }
    Ok(json!({
        "platform": image.platform,
        "manifest": image.digest,
        "created": image.config["created"],
        "config": image.config["config"],
        "annotations": image.manifest["annotations"],
        "layers": layers,
    }))
}

/// Returns the description for people.
fn text_of(value: &Value, verbose: bool) -> String {
    let is_published = value["reference"].is_string();
    let mut text = format!("{}\n", plain(&value[if is_published { "reference" } else { "path" }]));
    let mut line = |name: &str, value: String| {
        let value = if is_published { inert(&value) } else { value };
        text.push_str(&format!("  {name:<12} {value}\n"));
    };
    line("digest", plain(&value["digest"]));
    if is_published {
        line("type", plain(&value["media_type"]));
        for (name, value) in value["annotations"].as_object().into_iter().flatten() {
            line("annotation", format!("{name}={}", plain(value)));
        }
        documents_text(value, &mut line);
    }
    if let Some(size) = value["size_bytes"].as_u64() {
        line("size", format!("{size} bytes"));
    }
    if value["go"].is_object() {
        go_text(&value["go"], verbose, &mut line);
    }
    for made in value["made_by"].as_array().into_iter().flatten() {
        line("made by", plain(&made["step"]));
        line("key", plain(&made["key"]));
        if let Some(difference) = made["not_reproducible"].as_str() {
            line("audit", format!("not reproducible: {difference}"));
        }
        line("command", strings(&made["arguments"]).join(" "));
        for name in ["tools", "environments", "settings"] {
            for entry in strings(&made[name]) {
                line(name.trim_end_matches('s'), entry);
            }
        }
        let inputs = strings(&made["inputs"]);
        line("inputs", format!("{}{}", inputs.len(), if verbose { "" } else { " (--verbose lists them)" }));
        if verbose {
            inputs.into_iter().for_each(|input| line("", input));
        }
    }
    for platform in value["platforms"].as_array().into_iter().flatten() {
        platform_text(platform, verbose, &mut line);
    }
    text
}

fn go_text(go: &Value, verbose: bool, line: &mut dyn FnMut(&str, String)) {
    line("go", plain(&go["version"]));
    line("package", plain(&go["package"]));
    line("module", format!("{} {}", plain(&go["module"]["path"]), plain(&go["module"]["version"])));
    for pair in go["settings"].as_array().into_iter().flatten() {
        line("setting", format!("{}={}", plain(&pair[0]), plain(&pair[1])));
    }
    let dependencies: Vec<&Value> = go["dependencies"].as_array().into_iter().flatten().collect();
    line("depends on", format!("{} modules", dependencies.len()));
    for module in dependencies {
        let by = &module["replaced_by"];
        let by = if by.is_object() {
            format!(" => {} {}", plain(&by["path"]), plain(&by["version"]))
        } else {
            String::new()
        };
        let sum = if verbose { format!("  {}", plain(&module["sum"])) } else { String::new() };
        line("", format!("{} {}{by}{sum}", plain(&module["path"]), plain(&module["version"])));
    }
}

fn platform_text(platform: &Value, verbose: bool, line: &mut dyn FnMut(&str, String)) {
    line("platform", plain(&platform["platform"]));
    line("manifest", plain(&platform["manifest"]));
    line("created", plain(&platform["created"]));
    for name in ["base.name", "base.digest"] {
        let value = plain(&platform["annotations"][format!("org.opencontainers.image.{name}")]);
        if !value.is_empty() {
            line(&name.replace('.', " "), value);
        }
    }
    for (name, value) in platform["config"].as_object().into_iter().flatten() {
        line(&inert(&name.to_lowercase()), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    let inherited = strings(&platform["inherited"]);
    if !inherited.is_empty() {
        line("from base", inherited.join(", "));
    }
    for layer in platform["layers"].as_array().into_iter().flatten() {
        let files: Vec<&Value> = layer["files"].as_array().into_iter().flatten().collect();
        let size = bytes_text(layer["size_bytes"].as_u64().unwrap_or(0));
        // What is in a registry is not downloaded for it.
        let files_in = if layer["files"].is_array() { format!(", {} files", files.len()) } else { String::new() };
        line("layer", format!("{} {size}{files_in}: {}", plain(&layer["digest"]), plain(&layer["what"])));
        for file in files.iter().filter(|_| verbose) {
            line("", format!("{} {} bytes", plain(&file["path"]), file["size_bytes"]));
        }
        for go in layer["executables"].as_array().into_iter().flatten() {
            line("executable", plain(&go["path"]));
            go_text(go, verbose, line);
        }
    }
    documents_text(platform, line);
}

fn documents_text(value: &Value, line: &mut dyn FnMut(&str, String)) {
    for document in value["documents"].as_array().into_iter().flatten() {
        line("document", document_text(document));
    }
}

fn plain(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(plain).collect()
}

/// Returns true if a file is a bill of materials beside an executable.
fn is_document(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with(".spdx.json") || name.ends_with(".cdx.json")
}
