//! The fields of each kind of target; those that run `go` are in `go_kinds`.

use crate::TargetName;
use crate::fields::{Fields, Reader};
use crate::go_kinds::{go_build, go_test};
use crate::value::{Named, Value};
use crate::{
    Base, ComposeDown, ComposeUp, Created, Diagnostic, DockerBuild, DockerRun, Exec, FileSource, Health, Image, Limits,
    Platform, Span, Spanned, Target, TargetKind, Template, Text, TextSource, read, suggest,
};

const KINDS: &[&str] = &[
    "GoModDownload",
    "GoBuild",
    "GoTest",
    "Image",
    "DockerBuild",
    "DockerRun",
    "ComposeUp",
    "ComposeDown",
    "Exec",
    "Shell",
    "Group",
];

/// One target: its name, its common fields and its own.
pub(crate) fn target(reader: &mut Reader<'_>, entry: Named<'_>) -> Option<Target> {
    let name = match TargetName::new(&entry.name) {
        Ok(value) => Spanned { value, span: entry.name_span },
        Err(error) => {
            reader.report(Diagnostic::new(entry.name_span, error.to_string()));
            return None;
        }
    };
    let Some(call) = entry.value.call() else {
        reader.report(entry.value.unexpected("a kind of target, `GoBuild(…)` for example"));
        return None;
    };
    if !KINDS.contains(&call.name) {
        let hint = suggest(call.name, KINDS.iter().copied())
            .map_or_else(|| format!("kinds are: {}", KINDS.join(", ")), |near| format!("did you mean `{near}`?"));
        let message = format!("`{}` is not a kind of target", call.name);
        reader.report(Diagnostic::new(call.name_span, message).hint(hint));
        return None;
    }
    if call.name == "Shell" && call.arguments.is_some_and(|arguments| !arguments.is_named()) {
        return short_shell(reader, name, call.arguments?);
    }
    let mut fields = reader.fields(call.name, call.name_span, call.arguments)?;
    let doc = fields.take("doc").and_then(|value| reader.string(value, "a line of text")).map(|text| text.value);
    let after = fields.take("after");
    let after = reader.target_names(after);
    let private = fields.take("private");
    let private = reader.boolean(private, false);
    let limits = if call.name == "Group" { Limits::default() } else { limits(reader, &mut fields) };
    let kind = match call.name {
        "GoModDownload" => Some(TargetKind::GoModDownload(crate::GoModDownload {})),
        "GoBuild" => go_build(reader, &mut fields).map(TargetKind::GoBuild),
        "GoTest" => go_test(reader, &mut fields).map(TargetKind::GoTest),
        "Image" => image(reader, &mut fields).map(TargetKind::Image),
        "DockerBuild" => docker_build(reader, &mut fields).map(TargetKind::DockerBuild),
        "DockerRun" => docker_run(reader, &mut fields).map(TargetKind::DockerRun),
        "ComposeUp" => compose_up(reader, &mut fields).map(TargetKind::ComposeUp),
        "ComposeDown" => compose_down(reader, &mut fields).map(TargetKind::ComposeDown),
        "Exec" => exec(reader, &mut fields).map(TargetKind::Exec),
        "Shell" => shell(reader, &mut fields).map(|exec| TargetKind::Shell(crate::Shell { exec })),
        _ => group(reader, &mut fields).map(|targets| TargetKind::Group(crate::GroupTargets { targets })),
    };
    reader.finish(fields);
    Some(Target { name, doc, after, private, limits, kind: kind? })
}

fn limits(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Limits {
    let pool = fields.take("pool").and_then(|value| reader.string(value, "the name of a pool"));
    let retries = fields.take("retries").and_then(|value| {
        let retries = reader.kept(value.parse::<u32>("a number of tries"))?;
        if retries > 10 {
            reader.report(Diagnostic::new(value.span(), "expected at most 10 retries"));
        }
        Some(retries)
    });
    let timeout_s = fields.take("timeout_s").map(|value| reader.seconds(Some(value), 600));
    Limits { pool, retries: retries.unwrap_or(0), timeout_s }
}

/// An empty text that stands for one that could not be read.
pub(crate) fn empty_text(span: Span) -> Text {
    Text { source: TextSource::Template(Template::default()), span }
}

pub(crate) fn platforms(reader: &mut Reader<'_>, value: Option<Value<'_>>) -> Option<Vec<Spanned<Platform>>> {
    let value = value?;
    let items = reader.kept(value.list("a list of platforms"))?;
    if items.is_empty() {
        reader.report(Diagnostic::new(value.span(), "the list of platforms is empty"));
    }
    let mut result: Vec<Spanned<Platform>> = Vec::new();
    for item in items {
        if let Some(platform) = read::platform(reader, item) {
            if result.iter().any(|other| other.value == platform.value) {
                reader.report(Diagnostic::new(platform.span, format!("platform `{}` is given twice", platform.value)));
            } else {
                result.push(platform);
            }
        }
    }
    Some(result)
}

pub(crate) fn path(reader: &mut Reader<'_>, value: Option<Value<'_>>) -> Option<Spanned<String>> {
    value.and_then(|value| reader.string(value, "a path"))
}

fn image(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Image> {
    let base = fields.take("base");
    let base = reader.required(base, "base", fields);
    let base = base.and_then(|value| base_of(reader, value));
    let files = fields.take("files");
    let (env, labels, health) = (fields.take("env"), fields.take("labels"), fields.take("health"));
    let platforms_field = fields.take("platforms");
    let created = fields.take("created");
    let result = Image {
        base: base.unwrap_or(Base::Static),
        files: image_files(reader, files),
        entrypoint: {
            let value = fields.take("entrypoint");
            reader.texts(value)
        },
        command: {
            let value = fields.take("cmd");
            reader.texts(value)
        },
        user: {
            let value = fields.take("user");
            reader.optional_text(value)
        },
        directory: {
            let value = fields.take("workdir");
            reader.optional_text(value)
        },
        ports: {
            let value = fields.take("ports");
            ports(reader, value)
        },
        env: reader.environment(env, false),
        labels: reader.text_map(labels, false),
        health: health.and_then(|value| self::health(reader, value)),
        tags: {
            let value = fields.take("tags");
            reader.texts(value)
        },
        created: created.map_or(Some(Created::Epoch), |value| self::created(reader, value)).unwrap_or(Created::Epoch),
        tzdata: {
            let value = fields.take("tzdata");
            reader.boolean(value, false)
        },
        platforms: platforms(reader, platforms_field),
        out: {
            let value = fields.take("out");
            path(reader, value)
        },
    };
    base.map(|_| result)
}

fn base_of(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Base> {
    if let Some(call) = value.call()
        && matches!(call.name, "From" | "Layout")
    {
        let message = format!("`{}` can't be a base yet: `Static` is the only one", call.name);
        reader.report(
            Diagnostic::new(value.span(), message)
                .hint("for an image on top of another one, use a `DockerBuild` target"),
        );
        return None;
    }
    reader.choice(value, &[("Static", Base::Static)])
}

fn image_files(reader: &mut Reader<'_>, value: Option<Value<'_>>) -> Vec<(Spanned<String>, Spanned<FileSource>)> {
    let Some(entries) = value.and_then(|value| reader.kept(value.map("a map, `{\"/path\": Output(\"target\")}`")))
    else {
        return Vec::new();
    };
    let mut result = Vec::new();
    for entry in reader.without_duplicates(entries, "file") {
        let span = entry.value.span();
        let call = entry.value.call().filter(|call| matches!(call.name, "Output" | "File"));
        let Some((name, Some(arguments))) = call.map(|call| (call.name, call.arguments)) else {
            reader.report(entry.value.unexpected("`Output(\"target\")` or `File(\"path\")`"));
            continue;
        };
        let Some(arguments) = reader.kept(arguments.positional()) else { continue };
        let [argument] = arguments.as_slice() else {
            reader.report(Diagnostic::new(span, format!("`{name}` takes one string")));
            continue;
        };
        let source = match name {
            "Output" => reader.target_name(*argument).map(|target| FileSource::Output(target.value)),
            _ => reader.string(*argument, "a path").map(|path| FileSource::File(path.value)),
        };
        if let Some(value) = source {
            result.push((Spanned { value: entry.name, span: entry.name_span }, Spanned { value, span }));
        }
    }
    result
}

fn ports(reader: &mut Reader<'_>, value: Option<Value<'_>>) -> Vec<Spanned<String>> {
    let ports = reader.strings(value, "a port like \"8080/tcp\"");
    for port in &ports {
        let (number, protocol) = port.value.split_once('/').unwrap_or((&port.value, "tcp"));
        let sound = number.parse::<u16>().is_ok_and(|number| number > 0) && matches!(protocol, "tcp" | "udp" | "sctp");
        if !sound {
            let message = format!("`{}` is not a port", port.value.escape_debug());
            reader.report(Diagnostic::new(port.span, message).hint("write \"8080/tcp\""));
        }
    }
    ports
}

fn health(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Health> {
    let call = value.call().filter(|call| call.name == "Http");
    let Some(call) = call else {
        reader.report(value.unexpected("`Http(port: 8080, path: \"/health\")`"));
        return None;
    };
    let mut fields = reader.fields("Http", call.name_span, call.arguments)?;
    let port = fields.take("port");
    let port = reader.required(port, "port", &fields);
    let path = fields.take("path");
    let path = reader.required(path, "path", &fields);
    let interval = fields.take("interval_s");
    let timeout = fields.take("timeout_s");
    let retries = fields.take("retries");
    let start_period = fields.take("start_period_s");
    let health = Health {
        interval_s: reader.seconds(interval, 10),
        timeout_s: reader.seconds(timeout, 3),
        retries: retries.and_then(|value| reader.kept(value.parse("a number"))).unwrap_or(3),
        start_period_s: reader.seconds(start_period, 10),
        port: reader.kept(port?.parse("a port between 1 and 65535"))?,
        path: reader.string(path?, "a path that begins with `/`")?.value,
    };
    reader.finish(fields);
    let sound = health.path.starts_with('/') && health.path.chars().all(|character| character.is_ascii_graphic());
    if !sound || health.port == 0 {
        reader.report(Diagnostic::new(
            value.span(),
            "a health check needs a port above 0 and a path that begins with `/`",
        ));
        return None;
    }
    Some(health)
}

fn created(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Created> {
    let call = value.call();
    match call.as_ref().map(|call| (call.name, call.arguments)) {
        Some(("Epoch", None)) => Some(Created::Epoch),
        Some(("CommitTime", None)) => Some(Created::CommitTime),
        Some(("Env", Some(_))) => match reader.text(value)?.source {
            TextSource::Environment { name, default: None } => Some(Created::Environment(name)),
            _ => {
                reader.report(value.unexpected("`Env(\"SOURCE_DATE_EPOCH\")`"));
                None
            }
        },
        _ => {
            reader.report(value.unexpected("`Epoch`, `CommitTime` or `Env(\"SOURCE_DATE_EPOCH\")`"));
            None
        }
    }
}

fn docker_build(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<DockerBuild> {
    let dockerfile = fields.take("dockerfile").and_then(|value| reader.string(value, "a path"));
    let build_args = fields.take("build_args");
    Some(DockerBuild {
        dockerfile: dockerfile.unwrap_or(Spanned { value: "Dockerfile".to_owned(), span: Span::default() }),
        context: {
            let value = fields.take("context");
            path(reader, value)
        },
        build_args: reader.environment(build_args, false),
        stage: {
            let value = fields.take("target");
            reader.optional_text(value)
        },
        tags: {
            let value = fields.take("tags");
            reader.texts(value)
        },
    })
}

fn docker_run(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<DockerRun> {
    let image = fields.take("image");
    let image = reader.required(image, "image", fields);
    let image = image.and_then(|value| reader.target_name(value));
    let (env, health_field, timeout) = (fields.take("env"), fields.take("health"), fields.take("health_timeout_s"));
    let result = DockerRun {
        args: {
            let value = fields.take("args");
            reader.texts(value)
        },
        user: {
            let value = fields.take("user");
            reader.optional_text(value)
        },
        publish: {
            let value = fields.take("publish");
            reader.texts(value)
        },
        host_gateway: {
            let value = fields.take("host_gateway");
            reader.boolean(value, false)
        },
        env: reader.environment(env, true),
        volumes: {
            let value = fields.take("volumes");
            reader.texts(value)
        },
        network: {
            let value = fields.take("network");
            reader.optional_text(value)
        },
        read_only: {
            let value = fields.take("read_only");
            reader.boolean(value, true)
        },
        cap_add: {
            let value = fields.take("cap_add");
            reader.texts(value)
        },
        health: health_field.and_then(|value| health(reader, value)),
        health_timeout_s: reader.seconds(timeout, 60),
        detach: {
            let value = fields.take("detach");
            reader.boolean(value, false)
        },
        image: image?,
    };
    Some(result)
}

fn compose_up(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<ComposeUp> {
    let file = fields.take("file").and_then(|value| reader.string(value, "a path"));
    let images = fields.take("images");
    let (env, timeout) = (fields.take("env"), fields.take("wait_timeout_s"));
    let mut pairs = Vec::new();
    if let Some(entries) = images.and_then(|value| reader.kept(value.map("a map, `{\"service\": \"target\"}`"))) {
        for entry in reader.without_duplicates(entries, "service") {
            if let Some(target) = reader.target_name(entry.value) {
                pairs.push((Spanned { value: entry.name, span: entry.name_span }, target));
            }
        }
    }
    Some(ComposeUp {
        file: file.unwrap_or(Spanned { value: "docker-compose.yml".to_owned(), span: Span::default() }),
        images: pairs,
        wait: {
            let value = fields.take("wait");
            reader.boolean(value, true)
        },
        wait_timeout_s: reader.seconds(timeout, 120),
        env: reader.environment(env, true),
        project_name: {
            let value = fields.take("project_name");
            reader.optional_text(value)
        },
    })
}

fn compose_down(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<ComposeDown> {
    let file = fields.take("file").and_then(|value| reader.string(value, "a path"));
    let env = fields.take("env");
    Some(ComposeDown {
        file: file.unwrap_or(Spanned { value: "docker-compose.yml".to_owned(), span: Span::default() }),
        volumes: {
            let value = fields.take("volumes");
            reader.boolean(value, false)
        },
        env: reader.environment(env, true),
        project_name: {
            let value = fields.take("project_name");
            reader.optional_text(value)
        },
    })
}

fn exec(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Exec> {
    let command = fields.take("command");
    let command = reader.required(command, "command", fields);
    let mut exec = exec_common(reader, fields);
    let command = command?;
    let before = reader.diagnostics.len();
    exec.command = reader.command(command);
    if exec.command.is_empty() && reader.diagnostics.len() == before {
        reader.report(Diagnostic::new(command.span(), "`command` is empty"));
    }
    Some(exec)
}

fn shell(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Exec> {
    let script = fields.take("script");
    let script = reader.required(script, "script", fields);
    let mut exec = exec_common(reader, fields);
    exec.command = vec![reader.text(script?)?];
    Some(exec)
}

/// `Shell("…")`
fn short_shell(reader: &mut Reader<'_>, name: Spanned<TargetName>, arguments: Value<'_>) -> Option<Target> {
    let values = reader.kept(arguments.positional())?;
    let [script] = values.as_slice() else {
        reader.report(arguments.unexpected("one script, or named fields"));
        return None;
    };
    let mut empty = reader.fields("Shell", arguments.span(), None)?;
    let mut exec = exec_common(reader, &mut empty);
    exec.command = vec![reader.text(*script)?];
    let kind = TargetKind::Shell(crate::Shell { exec });
    Some(Target { name, doc: None, after: Vec::new(), private: false, limits: Limits::default(), kind })
}

fn exec_common(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Exec {
    let inputs = fields.take("inputs");
    let env = fields.take("env");
    let pass_env = fields.take("pass_env");
    let pass_env = reader.strings(pass_env, "the name of an environment variable");
    Exec {
        command: Vec::new(),
        inputs: inputs.map(|value| reader.strings(Some(value), "globs")),
        outputs: {
            let value = fields.take("outputs");
            reader.strings(value, "a path")
        },
        env: reader.environment(env, true),
        pass_env: pass_env.into_iter().filter(|name| reader.check_variable(name)).collect(),
        directory: {
            let value = fields.take("dir");
            path(reader, value)
        },
    }
}

fn group(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Vec<Spanned<TargetName>>> {
    let targets = fields.take("targets");
    let targets = reader.required(targets, "targets", fields)?;
    Some(reader.target_names(Some(targets)))
}
