//! `Pins`: what each name of an image is pinned to. It knows no file.

use std::collections::BTreeMap;

use rondel_buildfile::{Span, TargetName, suggest};
use rondel_engine::{StepContext, StepError, UserError};
use rondel_names::ImageReference;

use crate::image::facts::UpstreamImage;
use crate::resolve::import_paths::means;
use crate::resolve::yaml::KO;

/// An image that names are pinned to.
#[derive(Clone, Debug)]
pub(crate) struct PinnedImage {
    /// The target that makes or pushes it.
    pub target: TargetName,
    /// Place of the reference in build.ron.
    pub span: Span,
    pub image: UpstreamImage,
    /// The image that a push sends; its own names stand for the first place of the push.
    pub local: Option<UpstreamImage>,
    /// Patterns of the Go packages whose programs it holds.
    pub packages: Vec<String>,
}

/// What a name is pinned to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pin {
    /// The name to write; `None` for the one that stands there.
    name: Option<String>,
    digest: String,
    /// Index of the image.
    image: usize,
}

/// What names are pinned to, when the images are made.
pub(crate) struct Pins {
    /// By registry and repository.
    names: BTreeMap<String, Pin>,
    /// Names of several images, by registry and repository.
    ambiguous: BTreeMap<String, Vec<usize>>,
    /// Patterns of packages, the reference of their image and its index.
    packages: Vec<(String, Option<String>, usize)>,
    targets: Vec<TargetName>,
}

/// A name that is pinned.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// The name with its digest.
    pub reference: String,
    /// Index of the image.
    pub image: usize,
}

impl Pins {
    /// Reads what the images are.
    pub fn new(images: &[PinnedImage], context: &StepContext<'_>) -> Result<Pins, StepError> {
        let targets = images.iter().map(|image| image.target.clone()).collect();
        let mut pins = Pins { names: BTreeMap::new(), ambiguous: BTreeMap::new(), packages: Vec::new(), targets };
        for (index, image) in images.iter().enumerate() {
            let facts = image.image.facts(context)?;
            for found in &facts.names {
                let pin = Pin { name: None, digest: found.digest.clone(), image: index };
                let known = canonical(&found.name).map(|name| pins.names.insert(name, pin));
                if let Some(Some(known)) =
                    known.filter(|known| known.as_ref().is_some_and(|known| known.digest != found.digest))
                {
                    let (one, other) = (&images[known.image].target, &image.target);
                    let message = format!("`{one}` and `{other}` are both named `{}`, and differ", found.name);
                    return Err(StepError::User(
                        UserError::input(message).at(image.span).hint("name one of them in `images`"),
                    ));
                }
            }
            let first = facts.names.first().map(|name| name.reference());
            pins.packages.extend(image.packages.iter().map(|pattern| (pattern.clone(), first.clone(), index)));
        }
        for (index, image) in images.iter().enumerate() {
            let Some(local) = &image.local else { continue };
            let facts = image.image.facts(context)?;
            let Some(first) = facts.names.first() else { continue };
            for found in local.facts(context)?.names {
                let Some(name) = canonical(&found.name) else { continue };
                match pins.names.get(&name) {
                    Some(known) if known.name.is_none() => continue,
                    Some(known) => {
                        let all = pins.ambiguous.entry(name.clone()).or_insert_with(|| vec![known.image]);
                        all.push(index);
                    }
                    None => {}
                }
                let pin = Pin { name: Some(first.name.clone()), digest: first.digest.clone(), image: index };
                pins.names.insert(name, pin);
            }
        }
        Ok(pins)
    }

    /// Returns what the value of a scalar is pinned to; `None` if it names none of the images. The error says why it
    /// can't be pinned, and what to do.
    pub fn of(&self, value: &str) -> Result<Option<Pinned>, (String, String)> {
        if let Some(path) = value.strip_prefix(KO) {
            return self.of_package(path).map(Some);
        }
        let Some(own_name) = name_of(value) else { return Ok(None) };
        let Some(name) = canonical(own_name) else { return Ok(None) };
        if let Some(images) = self.ambiguous.get(&name) {
            let hint = "write the name that it is pushed to".to_owned();
            return Err((format!("`{value}` is the image of {}", self.listed(images)), hint));
        }
        let Some(pin) = self.names.get(&name) else { return Ok(None) };
        let name = pin.name.as_deref().unwrap_or(own_name);
        Ok(Some(Pinned { reference: format!("{name}@{}", pin.digest), image: pin.image }))
    }

    fn of_package(&self, path: &str) -> Result<Pinned, (String, String)> {
        let exact = self.packages.iter().filter(|(pattern, ..)| pattern == path);
        let mut found: Vec<_> = exact.collect();
        if found.is_empty() {
            found = self.packages.iter().filter(|(pattern, ..)| means(pattern, path)).collect();
        }
        let mut images: Vec<usize> = found.iter().map(|(.., image)| *image).collect();
        images.dedup();
        match (found.first(), images.as_slice()) {
            (Some((_, Some(reference), image)), [_]) => Ok(Pinned { reference: reference.clone(), image: *image }),
            (Some((_, None, image)), [_]) => {
                let target = &self.targets[*image];
                let hint = format!("give `{target}` a name with `tags`, or name a `Push` of it in `images`");
                Err((format!("`{KO}{path}` is the image of `{target}`, which has no name"), hint))
            }
            (Some(_), _) => {
                let hint = "leave all but one of them out of `images`".to_owned();
                Err((format!("`{KO}{path}` is in the images of {}", self.listed(&images)), hint))
            }
            (None, _) => {
                let all = || self.packages.iter().map(|(pattern, ..)| pattern.as_str());
                let hint = match (suggest(path, all()), all().next()) {
                    (Some(near), _) => format!("did you mean `{KO}{near}`?"),
                    (None, Some(_)) => format!("they hold {}", all().collect::<Vec<_>>().join(", ")),
                    (None, None) => "they hold no program that a `GoBuild` makes".to_owned(),
                };
                Err((
                    format!(
                        "`{KO}{path}` is in none of the images of {}",
                        self.listed(&Vec::from_iter(0..self.targets.len()))
                    ),
                    hint,
                ))
            }
        }
    }

    /// Returns the parts of the key: each name, and what it is pinned to.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let name = |(name, pin): (&String, &Pin)| {
            let written = pin.name.as_ref().map(|name| format!("{name}@")).unwrap_or_default();
            (format!("image {name}"), format!("{written}{}", pin.digest))
        };
        let mut settings: BTreeMap<String, String> = self.names.iter().map(name).collect();
        for (name, images) in &self.ambiguous {
            settings.insert(format!("image {name}"), format!("{} images", images.len()));
        }
        for (pattern, reference, image) in &self.packages {
            let reference = reference.as_deref().unwrap_or("no name");
            settings.insert(format!("{KO}{pattern} in image {image}"), reference.to_owned());
        }
        settings
    }

    /// Returns the names that may stand where no image is looked for: those with a registry or a path.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().map(|(name, pin)| {
            let name =
                name.strip_prefix("docker.io/library/").or_else(|| name.strip_prefix("docker.io/")).unwrap_or(name);
            (name, pin.digest.as_str())
        })
    }

    fn listed(&self, images: &[usize]) -> String {
        images.iter().map(|image| format!("`{}`", self.targets[*image])).collect::<Vec<_>>().join(", ")
    }
}

/// Returns registry and repository.
fn canonical(name: &str) -> Option<String> {
    ImageReference::new(name).ok().map(|reference| format!("{}/{}", reference.registry(), reference.repository()))
}

/// Returns a reference without tag and digest, as it is written. These may be anything, also a variable of compose
/// (`app:${TAG:-1}`): they are replaced. A name that is made of variables itself is none.
fn name_of(reference: &str) -> Option<&str> {
    let fixed = &reference[..reference.find(['@', '$', '{']).unwrap_or(reference.len())];
    let start = fixed.rfind('/').map_or(0, |index| index + 1);
    match fixed[start..].find(':') {
        Some(index) => Some(&fixed[..start + index]),
        None => Some(fixed).filter(|_| fixed.len() == reference.len() || reference[fixed.len()..].starts_with('@')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn pins() -> Pins {
        let pin = |name: Option<&str>, digest: &str, image| Pin {
            name: name.map(str::to_owned),
            digest: digest.to_owned(),
            image,
        };
        let names = [
            ("r.example:5000/team/app", pin(None, "sha256:11", 0)),
            ("docker.io/library/app", pin(Some("r.example:5000/team/app"), "sha256:11", 0)),
            ("docker.io/team/web", pin(None, "sha256:22", 1)),
            ("docker.io/library/both", pin(None, "sha256:22", 1)),
        ];
        let package =
            |pattern: &str, reference: Option<&str>, image| (pattern.to_owned(), reference.map(str::to_owned), image);
        Pins {
            names: names.into_iter().map(|(name, pin)| (name.to_owned(), pin)).collect(),
            ambiguous: [("docker.io/library/both".to_owned(), vec![0, 1])].into(),
            packages: vec![
                package("e.com/m/cmd/app", Some("r.example:5000/team/app@sha256:11"), 0),
                package("e.com/m/...", None, 1),
                package("e.com/both", None, 0),
                package("e.com/both", None, 1),
            ],
            targets: ["push", "web"].map(|name| TargetName::new(name).unwrap()).to_vec(),
        }
    }

    #[test]
    fn names_with_any_tag() {
        let pins = pins();
        for (value, expected) in [
            ("r.example:5000/team/app", "r.example:5000/team/app@sha256:11"),
            ("r.example:5000/team/app:v1", "r.example:5000/team/app@sha256:11"),
            ("r.example:5000/team/app:v1@sha256:00", "r.example:5000/team/app@sha256:11"),
            ("r.example:5000/team/app@sha256:TODO", "r.example:5000/team/app@sha256:11"),
            ("r.example:5000/team/app:${TAG:-a/b:c}", "r.example:5000/team/app@sha256:11"),
            ("r.example:5000/team/app:{{ .Tag }}", "r.example:5000/team/app@sha256:11"),
            ("app:1", "r.example:5000/team/app@sha256:11"),
            ("docker.io/app", "r.example:5000/team/app@sha256:11"),
            // As it is written.
            ("team/web:2", "team/web@sha256:22"),
            ("index.docker.io/team/web", "index.docker.io/team/web@sha256:22"),
            ("ko://e.com/m/cmd/app", "r.example:5000/team/app@sha256:11"),
        ] {
            assert_eq!(pins.of(value).unwrap().map(|pinned| pinned.reference).as_deref(), Some(expected), "{value}");
        }
        for value in [
            "",
            "r.example/team/app",
            "team/app",
            "apps",
            "app${X}",
            "${APP}",
            "${APP}:1",
            "{{ .Image }}:1",
            "a b",
            "App",
            "r.example:5000/team/app/x",
            "@sha256:11",
            ":1",
            "other:1",
            "Ko://e.com/m/cmd/app",
        ] {
            assert_eq!(pins.of(value), Ok(None), "{value}");
        }
    }

    #[test]
    fn names_that_can_not_be_pinned() {
        let pins = pins();
        let all =
            ["both:1", "ko://e.com/m/cmd/other", "ko://e.com/both", "ko://e.com/m2", "ko://e.com/m/cmd/ap", "ko://"];
        let shown = |value: &str| pins.of(value).map_err(|(why, hint)| format!("{why}; {hint}")).unwrap_err();
        expect![[r#"
            `both:1` is the image of `push`, `web`; write the name that it is pushed to
            `ko://e.com/m/cmd/other` is the image of `web`, which has no name; give `web` a name with `tags`, or name a `Push` of it in `images`
            `ko://e.com/both` is in the images of `push`, `web`; leave all but one of them out of `images`
            `ko://e.com/m2` is in none of the images of `push`, `web`; they hold e.com/m/cmd/app, e.com/m/..., e.com/both, e.com/both
            `ko://e.com/m/cmd/ap` is the image of `web`, which has no name; give `web` a name with `tags`, or name a `Push` of it in `images`
            `ko://` is in none of the images of `push`, `web`; they hold e.com/m/cmd/app, e.com/m/..., e.com/both, e.com/both"#]].assert_eq(&all.map(shown).join("\n"));
    }
}
