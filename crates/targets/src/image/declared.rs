//! The files that an `Image` declares, as its layers take them: places, parts of outputs, and what shows to be wrong
//! before anything runs. It reads no file.

use rondel_buildfile::{
    Attributes, BASE_DIRECTORIES, BASE_FILES, Base, Capability, Image, Makes, Origin, Output, Span, Spanned, Target,
    TargetName, UserNumbers, suggest,
};
use rondel_cas::RelativePath;
use rondel_engine::{StepError, UserError};
use rondel_golang::PROBE_PATH;

use crate::analyzer::{Analyzed, Analyzer, output_name, path};
use crate::image::added_users::AddedUser;
use crate::image::excluded::Excluded;
use crate::image::places::{Boundary, FilesLayer, MadeEntry, OutputPlace, Part, Placed, TreeFiles, with_span};

/// Returns all files of an image.
pub(crate) fn tree_files(analyzer: &Analyzer<'_>, target: &Target, image: &Image) -> Analyzed<TreeFiles> {
    let (root, users) = (analyzer.root.clone(), added_users(image));
    let layers = layer_names(image);
    let mut tree = TreeFiles { root, files: Vec::new(), outputs: Vec::new(), made: Vec::new(), users, layers };
    for (place, source) in &image.files {
        let (attributes, span) = (source.value.attributes.clone(), place.span);
        let (exclude, capabilities) =
            (Excluded::of(&source.value.exclude), Capability::bits(&source.value.capabilities));
        let place = image_path(place)?;
        let named =
            attributes.layer.as_ref().and_then(|layer| tree.layers.iter().position(|name| *name == layer.value));
        let is_output = matches!(source.value.origin, Origin::Output { .. });
        let layer = match named {
            Some(position) => FilesLayer::Named(position),
            None if is_output => FilesLayer::Outputs,
            None => FilesLayer::Tree,
        };
        match &source.value.origin {
            Origin::File(file) => {
                let path = path(file).map_err(|error| error.at(source.span))?;
                let placed = Placed { place, path, layer, exclude, capabilities, attributes, span: source.span };
                check_awaited(analyzer, target, (&placed.path, placed.span), Some(&placed.exclude))?;
                tree.files.push(placed);
            }
            Origin::Link(target) => {
                tree.made.push(MadeEntry { place, link: Some(target.clone()), layer, attributes, span });
            }
            Origin::Directory => tree.made.push(MadeEntry { place, link: None, layer, attributes, span }),
            Origin::Output { target: name, part } => {
                let producer = analyzer.find(name)?;
                let part = part_of(analyzer, producer, part.as_deref()).map_err(|error| error.at(source.span))?;
                let (producer, span) = (Some(name.clone()), source.span);
                tree.outputs.push(OutputPlace {
                    place,
                    producer,
                    part,
                    layer,
                    exclude,
                    capabilities,
                    attributes,
                    span,
                });
            }
        }
    }
    if image.has_probe() {
        let attributes = Attributes { mode: None, owner: None, layer: None };
        let (place, producer, span) = (path(PROBE_PATH)?, None, target.name.span);
        let (part, layer) = (Part::Only, FilesLayer::Probe);
        let (exclude, capabilities) = (Excluded::of(&[]), 0);
        tree.outputs.push(OutputPlace { place, producer, part, layer, exclude, capabilities, attributes, span });
    }
    tree.files.sort_by(|one, other| one.place.cmp(&other.place));
    check_places(analyzer, image, &tree)?;
    Ok(tree)
}

/// Returns the names of layers, each at its first place.
fn layer_names(image: &Image) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for layer in image.files.iter().filter_map(|(_, source)| source.value.attributes.layer.as_ref()) {
        if !names.contains(&layer.value) {
            names.push(layer.value.clone());
        }
    }
    names
}

/// Returns which of a target's outputs `Output("target", "wanted")` is. Executables have names that `go` knows.
fn part_of(analyzer: &Analyzer<'_>, producer: &Target, wanted: Option<&str>) -> Analyzed<Part> {
    let outputs = analyzer.request.file.outputs_of(producer);
    match (producer.makes(), wanted) {
        (Makes::Files { count: 1 }, None) => match outputs.as_slice() {
            [output] if output.is_directory => Ok(Part::Directory(output_name(output)?)),
            _ => Ok(Part::Only),
        },
        (Makes::Files { .. }, Some(wanted)) => {
            let named = |output: &Output<'_>| Ok((output_name(output)?, output.is_directory));
            let named: Vec<(RelativePath, bool)> = outputs.iter().map(named).collect::<Analyzed<_>>()?;
            declared_part(&producer.name.value, &named, &path(wanted)?)
        }
        (Makes::Executables, Some(wanted)) => Ok(Part::File(path(wanted)?)),
        _ => Ok(Part::Only),
    }
}

/// Returns the declared output that `wanted` is: its path, its last component, or a path in a directory.
fn declared_part(target: &TargetName, outputs: &[(RelativePath, bool)], wanted: &RelativePath) -> Analyzed<Part> {
    let part = |(path, is_directory): &(RelativePath, bool)| match is_directory {
        true => Part::Directory(path.clone()),
        false => Part::File(path.clone()),
    };
    if let Some(exact) = outputs.iter().find(|(path, _)| path == wanted) {
        return Ok(part(exact));
    }
    if outputs.iter().any(|(path, is_directory)| *is_directory && wanted.is_within(path)) {
        return Ok(Part::Within(wanted.clone()));
    }
    let called: Vec<&(RelativePath, bool)> =
        outputs.iter().filter(|(path, _)| path.file_name() == wanted.as_str()).collect();
    let names: Vec<&str> = outputs.iter().map(|(path, _)| path.as_str()).collect();
    match (called.as_slice(), outputs) {
        ([only], _) => Ok(part(only)),
        // As in commands, a path is one in the only directory.
        ([], [(path, true)]) => Ok(Part::Within(path.join(wanted))),
        ([], _) => {
            let error = UserError::input(format!("`{target}` declares no output `{wanted}`"));
            Err(error.hint(match suggest(wanted.as_str(), names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`? its outputs are: {}", names.join(", ")),
                None => format!("its outputs are: {}", names.join(", ")),
            }))
        }
        (several, _) => {
            let names: Vec<&str> = several.iter().map(|(path, _)| path.as_str()).collect();
            let message = format!("several outputs of `{target}` are called `{wanted}`: {}", names.join(", "));
            Err(UserError::input(message).hint(format!("write `Output(\"{target}\", \"{}\")`", names[0])))
        }
    }
}

/// Refuses what shows in the tree as it is now: links out of the workspace, and files below files. What other steps make
/// is checked later.
fn check_places(analyzer: &Analyzer<'_>, image: &Image, tree: &TreeFiles) -> Analyzed<()> {
    let of_user = |error| match error {
        StepError::User(error) => Some(error),
        StepError::Command { .. } | StepError::Foreground { .. } | StepError::Interrupted => None,
    };
    let declared = || {
        let files = tree.files.iter().map(|other| (&other.place, other.span));
        let made = tree.made.iter().map(|other| (&other.place, other.span));
        files.chain(made).chain(tree.outputs.iter().map(|other| (&other.place, other.span)))
    };
    for output in tree.outputs.iter().filter(|output| output.part.is_file()) {
        if let Some((place, span)) =
            declared().find(|(place, _)| *place != &output.place && place.is_within(&output.place))
        {
            let message = format!("`/{place}` is below `/{}`, which is a file", output.place);
            return Err(UserError::input(message).at(span).hint("give one of them another path"));
        }
    }
    let Ok(boundary) = Boundary::new(&analyzer.root, &analyzer.request.root, &[]) else { return Ok(()) };
    for placed in &tree.files {
        if !placed.path.below(&analyzer.root).exists() {
            continue;
        }
        let real = match boundary.resolve(&placed.path) {
            Ok(real) => real,
            Err(error) => return of_user(with_span(error, placed.span)).map_or(Ok(()), Err),
        };
        let is_below = |place: &RelativePath| *place != placed.place && place.is_within(&placed.place);
        if !real.place.is_dir()
            && let Some((place, span)) = declared().find(|(place, _)| is_below(place))
        {
            let message = format!("`/{place}` is below `/{}`, which is a file", placed.place);
            return Err(UserError::input(message).at(span).hint("give one of them another path"));
        }
        // What another base holds shows when it is there.
        if image.base != Base::Static {
            continue;
        }
        let is_base_file = BASE_FILES.contains(&format!("/{}", placed.place).as_str());
        let is_base_directory = BASE_DIRECTORIES.contains(&format!("/{}", placed.place).as_str());
        if real.place.is_dir() && is_base_file || !real.place.is_dir() && is_base_directory {
            let (here, there) = if is_base_file { ("directory", "file") } else { ("file", "directory") };
            let message = format!("`/{}` is a {there} of the image, and `{}` is a {here}", placed.place, placed.path);
            return Err(UserError::input(message).at(placed.span).hint("give it another path"));
        }
    }
    Ok(())
}

/// Refuses a file that another target writes, but for what is left out, unless the image waits for that target.
pub(crate) fn check_awaited(
    analyzer: &Analyzer<'_>,
    target: &Target,
    (path, span): (&RelativePath, Span),
    exclude: Option<&Excluded>,
) -> Analyzed<()> {
    let awaited = analyzer.waited_for(target);
    let place = path.below(&analyzer.root);
    for other in &analyzer.request.file.targets {
        if awaited.contains(&other.name.value) {
            continue;
        }
        for output in analyzer.request.file.outputs_of(other) {
            let written = analyzer.request.root.join(&output.path);
            let inner = written.strip_prefix(&place).ok().and_then(std::path::Path::to_str);
            if exclude.zip(inner).is_some_and(|(exclude, inner)| exclude.has_all_of(inner)) {
                continue;
            }
            if written.starts_with(&place) || place.starts_with(&written) {
                let name = &other.name.value;
                let message =
                    format!("`{path}` holds the output of `{name}`, which `{}` does not wait for", target.name.value);
                let hint = format!("write `Output(\"{name}\")`, or `after: [\"{name}\"]`");
                return Err(UserError::input(message).at(span).hint(hint));
            }
        }
    }
    Ok(())
}

/// Returns the users that an image adds to those of its base.
pub(crate) fn added_users(image: &Image) -> Vec<AddedUser> {
    let user = |(name, numbers): &(Spanned<String>, UserNumbers)| AddedUser {
        name: name.value.clone(),
        numbers: *numbers,
        span: name.span,
    };
    let mut users: Vec<AddedUser> = image.users.iter().map(user).collect();
    // The order in build.ron says nothing.
    users.sort_by(|one, other| one.name.cmp(&other.name));
    users
}

/// A path in an image, without its slash.
fn image_path(text: &Spanned<String>) -> Analyzed<RelativePath> {
    path(text.value.trim_start_matches('/')).map_err(|error| error.at(text.span))
}
