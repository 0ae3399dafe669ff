//! `Pins`: what each name of an image is pinned to. It knows no file.

use std::collections::{BTreeMap, BTreeSet};

use rondel_buildfile::{Span, TargetName, suggest};
use rondel_engine::{StepContext, StepError};
use rondel_names::ImageReference;

use crate::image::facts::{FoundName, UpstreamImage};
use crate::nodes::Program;
use crate::resolve::yaml::KO;

/// The tag that is meant if none is written.
const LATEST: &str = "latest";

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
    /// The Go programs that it holds.
    pub programs: Vec<Program>,
}

/// A place to which another image is pushed.
#[derive(Clone, Debug)]
pub(crate) struct OtherPush {
    pub target: TargetName,
    pub to: ImageReference,
}

/// A full name of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    tag: String,
    /// The name to write; `None` for the one that stands there.
    name: Option<String>,
    digest: String,
    /// Index of the image.
    image: usize,
}

impl Candidate {
    fn is_same(&self, other: &Candidate) -> bool {
        (&self.name, &self.digest) == (&other.name, &other.digest)
    }

    /// Returns what is written, without the name that stands there.
    fn words(&self) -> String {
        format!("{}{}", self.name.as_ref().map(|name| format!("{name}@")).unwrap_or_default(), self.digest)
    }
}

/// What names are pinned to, when the images are made.
pub(crate) struct Pins {
    /// By registry and repository, in the order of the images.
    names: BTreeMap<String, Vec<Candidate>>,
    /// The first name of each image, with its digest.
    references: Vec<Option<String>>,
    /// The digests of each image: of its index, and at the places where it is found.
    digests: Vec<BTreeSet<String>>,
    /// Import paths of programs, and the image that holds each; read on request.
    programs: Vec<(String, usize)>,
    targets: Vec<TargetName>,
    /// Full names that other targets push, by registry and repository: tag and target.
    others: BTreeMap<String, Vec<(String, TargetName)>>,
}

/// A name that is pinned.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// The name with its digest.
    pub reference: String,
    /// Indices of the images that it is a name of.
    pub images: Vec<usize>,
    /// Another target, which pushes the tag that is written.
    pub other: Option<TargetName>,
}

impl Pins {
    /// Reads what the images are.
    pub fn new(images: &[PinnedImage], others: &[OtherPush], context: &StepContext<'_>) -> Result<Pins, StepError> {
        let targets = images.iter().map(|image| image.target.clone()).collect();
        let (names, references, digests) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut pins = Pins { names, references, digests, programs: Vec::new(), targets, others: BTreeMap::new() };
        let mut own_names = Vec::new();
        for (index, image) in images.iter().enumerate() {
            let facts = image.image.facts(context)?;
            for found in &facts.names {
                pins.add(found, None, found.digest.clone(), index);
            }
            let first = facts.names.first();
            if let (Some(local), Some(first)) = (&image.local, first) {
                own_names.push((local.facts(context)?.names, first.clone(), index));
            }
            let found = facts.names.iter().map(|found| found.digest.clone());
            pins.digests.push(found.chain([facts.digest.clone()]).collect());
            pins.references.push(first.map(FoundName::reference));
        }
        // Where a name leads to the image itself, it is not another word for what a push sends.
        for (names, first, index) in own_names {
            for found in names {
                pins.add(&found, Some(first.name.clone()), first.digest.clone(), index);
            }
        }
        for other in others {
            let name = other.to.full_repository();
            let tag = other.to.tag().unwrap_or(LATEST).to_owned();
            if pins.names.contains_key(&name) {
                pins.others.entry(name).or_default().push((tag, other.target.clone()));
            }
        }
        Ok(pins)
    }

    fn add(&mut self, found: &FoundName, name: Option<String>, digest: String, image: usize) {
        if let Some(key) = canonical(&found.name) {
            let candidate = Candidate { tag: found.tag.clone(), name, digest, image };
            self.names.entry(key).or_default().push(candidate);
        }
    }

    /// Reads the import paths of programs, for names that begin with `ko://`.
    pub fn read_programs(&mut self, images: &[PinnedImage], context: &StepContext<'_>) -> Result<(), StepError> {
        for (index, image) in images.iter().enumerate() {
            for program in &image.programs {
                self.programs.extend(program.import_path(context)?.map(|path| (path, index)));
            }
        }
        Ok(())
    }

    /// Returns what the value of a scalar is pinned to; `None` if it names none of the images. The error says why it
    /// can't be pinned, and what to do.
    pub fn of(&self, value: &str) -> Result<Option<Pinned>, (String, String)> {
        if let Some(path) = value.strip_prefix(KO) {
            return self.of_package(path).map(Some);
        }
        let Some((own_name, tag)) = name_and_tag(value) else { return Ok(None) };
        let Some(name) = canonical(own_name) else { return Ok(None) };
        let Some(candidates) = self.names.get(&name) else { return Ok(None) };
        let (meant, is_exact) = meant(candidates, tag);
        let Some((first, rest)) = meant.split_first() else { return Ok(None) };
        if rest.iter().any(|other| !first.is_same(other)) {
            return Err(self.ambiguous(value, candidates, &meant, is_exact));
        }
        let written = first.name.as_deref().unwrap_or(own_name);
        let mut others = self.others.get(&name).into_iter().flatten().filter(|_| !is_exact);
        Ok(Some(Pinned {
            reference: format!("{written}@{}", first.digest),
            images: self.equal(&first.digest),
            other: others.find(|(other, _)| Some(other.as_str()) == tag).map(|(_, target)| target.clone()),
        }))
    }

    /// Returns the error for a name of several images that differ.
    fn ambiguous(&self, value: &str, all: &[Candidate], meant: &[&Candidate], is_exact: bool) -> (String, String) {
        let images = BTreeSet::from_iter(meant.iter().map(|candidate| candidate.image));
        let images = Vec::from_iter(images);
        let message = format!("`{value}` can be the image of {}, which differ", self.listed(&images));
        let tags = BTreeSet::from_iter(visible(all).into_iter().map(|candidate| &candidate.tag));
        let tags: Vec<String> = tags.into_iter().map(|tag| format!("`:{tag}`")).collect();
        let hint = match (is_exact, meant.iter().any(|candidate| candidate.name.is_some())) {
            (_, true) => "write the name that it is pushed to".to_owned(),
            (true, false) => "give the images different tags, or leave all but one of them out of `images`".to_owned(),
            (false, false) => format!("write a tag that one of them has: {}", tags.join(", ")),
        };
        (message, hint)
    }

    fn of_package(&self, path: &str) -> Result<Pinned, (String, String)> {
        let found = self.programs.iter().filter(|(program, _)| program == path).map(|(_, image)| *image);
        let mut images: Vec<usize> = found.collect();
        images.dedup();
        let mut references: Vec<(&String, usize)> =
            images.iter().filter_map(|image| Some((self.references[*image].as_ref()?, *image))).collect();
        references.dedup_by_key(|(reference, _)| *reference);
        match (references.as_slice(), images.as_slice()) {
            ([(reference, _)], _) if images.iter().all(|image| self.references[*image].is_some()) => {
                Ok(Pinned { reference: (*reference).clone(), images, other: None })
            }
            ([], [image, ..]) => {
                let target = &self.targets[*image];
                let hint = format!("give `{target}` a name with `tags`, or name a `Push` of it in `images`");
                Err((format!("`{KO}{path}` is the image of `{target}`, which has no name"), hint))
            }
            (_, [_, ..]) => {
                let hint = "leave all but one of them out of `images`".to_owned();
                Err((format!("`{KO}{path}` is in the images of {}", self.listed(&images)), hint))
            }
            (_, []) => {
                let mut all: Vec<&str> = self.programs.iter().map(|(program, _)| program.as_str()).collect();
                all.sort_unstable();
                all.dedup();
                let hint = match (suggest(path, all.iter().copied()), all.first()) {
                    (Some(near), _) => format!("did you mean `{KO}{near}`?"),
                    (None, Some(_)) => format!("they hold {}", all.join(", ")),
                    (None, None) => "they hold no program that a `GoBuild` makes".to_owned(),
                };
                let listed = self.listed(&Vec::from_iter(0..self.targets.len()));
                Err((format!("`{KO}{path}` is in none of the images of {listed}"), hint))
            }
        }
    }

    /// Returns the parts of the key: each name, and what it is pinned to. A tag is one where it decides.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        let of = |candidate: &Candidate| {
            let images: Vec<String> = self.equal(&candidate.digest).iter().map(ToString::to_string).collect();
            match self.targets.len() {
                1 => candidate.words(),
                _ => format!("{} of {}", candidate.words(), images.join(", ")),
            }
        };
        for (name, candidates) in &self.names {
            let all = visible(candidates);
            if all.iter().all(|other| other.is_same(all[0])) && !self.others.contains_key(name) {
                settings.insert(format!("image {name}"), of(all[0]));
                continue;
            }
            // Any other tag stands for the first name of each image.
            let firsts: Vec<String> = meant(candidates, None).0.into_iter().map(of).collect();
            settings.insert(format!("image {name}"), firsts.join("; "));
            for candidate in all {
                let setting: &mut String = settings.entry(format!("image {name}:{}", candidate.tag)).or_default();
                setting.push_str(if setting.is_empty() { "" } else { "; " });
                setting.push_str(&of(candidate));
            }
            for (tag, target) in self.others.get(name).into_iter().flatten() {
                settings.insert(format!("other image {name}:{tag}"), target.to_string());
            }
        }
        settings
    }

    /// Returns the names that may stand where no image is looked for, without the default registry, and the digests
    /// that each is pinned to.
    pub fn names(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.names.iter().map(|(name, candidates)| {
            let name =
                name.strip_prefix("docker.io/library/").or_else(|| name.strip_prefix("docker.io/")).unwrap_or(name);
            (name, candidates.iter().map(|candidate| candidate.digest.as_str()).collect())
        })
    }

    /// Returns the first name of the image at `index`, with its digest.
    pub fn reference(&self, index: usize) -> Option<&str> {
        self.references[index].as_deref()
    }

    /// Returns the images with this digest.
    fn equal(&self, digest: &str) -> Vec<usize> {
        let images = self.digests.iter().enumerate().filter(|(_, digests)| digests.contains(digest));
        images.map(|(index, _)| index).collect()
    }

    fn listed(&self, images: &[usize]) -> String {
        images.iter().map(|image| format!("`{}`", self.targets[*image])).collect::<Vec<_>>().join(", ")
    }
}

/// Returns the candidates that count: names of the images themselves, or else those of images that are pushed.
fn visible(candidates: &[Candidate]) -> Vec<&Candidate> {
    let direct: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.name.is_none()).collect();
    if direct.is_empty() { candidates.iter().collect() } else { direct }
}

/// Returns the candidates that a name with this tag means, and whether they have it. If none has it, any tag stands for
/// the first name of each image.
fn meant<'c>(candidates: &'c [Candidate], tag: Option<&str>) -> (Vec<&'c Candidate>, bool) {
    let mut all = visible(candidates);
    let exact: Vec<&Candidate> = all.iter().copied().filter(|candidate| Some(candidate.tag.as_str()) == tag).collect();
    if !exact.is_empty() {
        return (exact, true);
    }
    let mut known = BTreeSet::new();
    all.retain(|candidate| known.insert(candidate.image));
    (all, false)
}

/// Returns registry and repository.
fn canonical(name: &str) -> Option<String> {
    ImageReference::new(name).ok().map(|reference| reference.full_repository())
}

/// Returns a reference without tag and digest, as it is written, and the tag if it is known. Tag and digest may also be
/// variables of compose or names of a template (`app:${TAG:-1}`). A name that is made of variables itself is none.
fn name_and_tag(reference: &str) -> Option<(&str, Option<&str>)> {
    let (fixed, rest) = reference.split_at(reference.find(['@', '$', '{']).unwrap_or(reference.len()));
    // Words after it, and not the name of a template.
    if rest.starts_with('@') && rest.contains(char::is_whitespace) && !rest.contains('{') {
        return None;
    }
    let start = fixed.rfind('/').map_or(0, |index| index + 1);
    let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    match (fixed[start..].find(':').map(|index| fixed.split_at(start + index)), rest.chars().next()) {
        (Some((_, tag)), _) if !tag[1..].bytes().all(is_tag) => None,
        (Some((name, tag)), None | Some('@')) if tag.len() > 1 => Some((name, Some(&tag[1..]))),
        (Some(_), None | Some('@')) => None,
        (Some((name, _)), Some(_)) => Some((name, None)),
        (None, None) => Some((fixed, Some(LATEST))),
        (None, Some('@')) => Some((fixed, None)),
        (None, Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    /// `push` sends `app`, `web` and `other` are images; `variant` pushes to the place of `push`.
    fn pins() -> Pins {
        let candidate = |tag: &str, name: Option<&str>, digest: &str, image| Candidate {
            tag: tag.to_owned(),
            name: name.map(str::to_owned),
            digest: digest.to_owned(),
            image,
        };
        let app = "r.example:5000/team/app";
        let names = [
            (app, vec![candidate("1", None, "sha256:11", 0)]),
            ("docker.io/library/app", vec![candidate("1", Some(app), "sha256:11", 0)]),
            ("docker.io/team/web", vec![candidate("1", None, "sha256:22", 1), candidate("1", None, "sha256:22", 2)]),
            (
                "docker.io/library/both",
                vec![
                    candidate("1", None, "sha256:22", 1),
                    candidate("latest", None, "sha256:22", 1),
                    candidate("1-debug", None, "sha256:33", 2),
                    candidate("x", None, "sha256:22", 1),
                    candidate("x", None, "sha256:33", 2),
                ],
            ),
            (
                "docker.io/library/sent",
                vec![candidate("1", Some(app), "sha256:11", 0), candidate("1", Some("s.example/a"), "sha256:11", 1)],
            ),
        ];
        let variant = ("1-debug".to_owned(), TargetName::new("variant").unwrap());
        Pins {
            names: names.into_iter().map(|(name, candidates)| (name.to_owned(), candidates)).collect(),
            digests: [&["sha256:11"][..], &["sha256:22"], &["sha256:22", "sha256:33"]]
                .map(|digests| digests.iter().map(|digest| (*digest).to_owned()).collect())
                .to_vec(),
            references: vec![Some(format!("{app}@sha256:11")), None, Some("team/web@sha256:22".to_owned())],
            programs: [("e.com/m/cmd/app", 0), ("e.com/m/cmd/web", 1), ("e.com/both", 0), ("e.com/both", 2)]
                .map(|(path, image)| (path.to_owned(), image))
                .to_vec(),
            targets: ["push", "web", "other"].map(|name| TargetName::new(name).unwrap()).to_vec(),
            others: [(app.to_owned(), vec![variant])].into(),
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
            ("app:1@sha256:00", "r.example:5000/team/app@sha256:11"),
            ("app@sha256:${D}", "r.example:5000/team/app@sha256:11"),
            // The tag decides between images of one repository; `latest` is meant if there is none.
            ("both:1", "both@sha256:22"),
            ("both", "both@sha256:22"),
            ("both:1-debug", "both@sha256:33"),
            ("both:1-debug@sha256:00", "both@sha256:33"),
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
            "app: see docs",
            "app:1 or another",
            "app:",
            "app:@sha256:00",
            "app@ see docs",
            "app{{ x }}",
            " app",
        ] {
            assert_eq!(pins.of(value), Ok(None), "{value}");
        }
    }

    /// An image is named by all that leads to the same one; a tag of another push is told.
    #[test]
    fn images_of_a_name() {
        let pins = pins();
        let of = |value: &str| pins.of(value).unwrap().unwrap();
        assert_eq!(of("team/web:5").images, [1, 2]);
        assert_eq!(of("both:1").images, [1, 2]);
        assert_eq!(of("both:1-debug").images, [2]);
        let other = |value: &str| of(value).other.map(|name| name.to_string());
        assert_eq!(other("r.example:5000/team/app:1-debug").as_deref(), Some("variant"));
        for value in ["r.example:5000/team/app:1", "r.example:5000/team/app:2", "r.example:5000/team/app", "team/web:5"]
        {
            assert_eq!(other(value), None, "{value}");
        }
    }

    #[test]
    fn names_that_can_not_be_pinned() {
        let pins = pins();
        let all = [
            "both:2",
            "both:x",
            "both:${TAG}",
            "sent:1",
            "ko://e.com/m/cmd/web",
            "ko://e.com/both",
            "ko://e.com/m2",
            "ko://e.com/m/cmd/ap",
            "ko://e.com/m/cmd/app/",
            "ko://e.com/m/cmd/app:v1",
            "ko://e.com/m/cmd/...",
            "ko://",
        ];
        let shown = |value: &str| pins.of(value).map_err(|(why, hint)| format!("{why}; {hint}")).unwrap_err();
        expect![[r#"
            `both:2` can be the image of `web`, `other`, which differ; write a tag that one of them has: `:1`, `:1-debug`, `:latest`, `:x`
            `both:x` can be the image of `web`, `other`, which differ; give the images different tags, or leave all but one of them out of `images`
            `both:${TAG}` can be the image of `web`, `other`, which differ; write a tag that one of them has: `:1`, `:1-debug`, `:latest`, `:x`
            `sent:1` can be the image of `push`, `web`, which differ; write the name that it is pushed to
            `ko://e.com/m/cmd/web` is the image of `web`, which has no name; give `web` a name with `tags`, or name a `Push` of it in `images`
            `ko://e.com/both` is in the images of `push`, `other`; leave all but one of them out of `images`
            `ko://e.com/m2` is in none of the images of `push`, `web`, `other`; they hold e.com/both, e.com/m/cmd/app, e.com/m/cmd/web
            `ko://e.com/m/cmd/ap` is in none of the images of `push`, `web`, `other`; did you mean `ko://e.com/m/cmd/app`?
            `ko://e.com/m/cmd/app/` is in none of the images of `push`, `web`, `other`; did you mean `ko://e.com/m/cmd/app`?
            `ko://e.com/m/cmd/app:v1` is in none of the images of `push`, `web`, `other`; did you mean `ko://e.com/m/cmd/app`?
            `ko://e.com/m/cmd/...` is in none of the images of `push`, `web`, `other`; did you mean `ko://e.com/m/cmd/app`?
            `ko://` is in none of the images of `push`, `web`, `other`; they hold e.com/both, e.com/m/cmd/app, e.com/m/cmd/web"#]].assert_eq(&all.map(shown).join("\n"));
    }
}
