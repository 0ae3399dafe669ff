//! `VulnerabilitiesStep`: what scans have found is held against a rule. What does not count becomes an OpenVEX document for
//! each image of a push.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use rondel_buildfile::{Platform, Span, TargetName};
use rondel_cas::{Digest, MEMORY_MAX, RelativePath, read_at_most};
use rondel_engine::{
    ActionSpec, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepContext, StepError, UserError,
};
use rondel_evidence::{
    Subject, VulnerabilityStatement, VulnerabilityStatements, VulnerabilityStatus, image_purl, statement,
};
use rondel_golang::{Reach, VULNERABILITIES_FORMAT, Vulnerability};

use crate::base::layout::find;

/// The meaning of a check and of its documents. A change of either changes the text.
const FORMAT: &str = "rondel-no-known-vulnerability-1";
/// Number of vulnerabilities that a refusal describes.
const NAMED_MAX: usize = 10;

pub(crate) struct VulnerabilitiesStep {
    /// The target whose policy it is.
    pub target: TargetName,
    /// The builds that were scanned, in the order of the upstream steps, each with its platform.
    pub scanned: Vec<(String, Platform)>,
    pub reachable_only: bool,
    /// Reasons by names.
    pub accepted: BTreeMap<String, String>,
    /// What is said of images.
    pub statements: Option<ImageStatements>,
    /// Place of the rule.
    pub span: Span,
}

/// Where the documents about the images of a push come from and go.
#[derive(Clone)]
pub(crate) struct ImageStatements {
    /// Name of the image's target.
    pub image: String,
    /// Where it goes, without tags: `registry.example/team/app`, each once.
    pub repositories: Vec<String>,
    /// Directory of the layout, relative to the workspace.
    pub layout: RelativePath,
    pub platforms: Vec<Platform>,
    /// Who says it: the name of the project.
    pub author: String,
    /// The time of the image, RFC 3339.
    pub time: String,
    /// Directory of the documents, relative to the workspace.
    pub out: RelativePath,
}

/// A vulnerability in what a build is made of.
struct Found<'a> {
    build: &'a str,
    platform: &'a Platform,
    vulnerability: Vulnerability,
}

impl ImageStatements {
    /// Returns the name of the document about a platform.
    pub fn file(platform: &Platform) -> Result<RelativePath, UserError> {
        let name = format!("{}.openvex.json", platform.directory_name());
        RelativePath::new(&name).map_err(|error| UserError::input(error.to_string()))
    }

    fn manifest(&self, platform: &Platform, context: &StepContext<'_>) -> Result<Digest, StepError> {
        let layout = self.layout.below(&context.workspace.root);
        let wrong = |error| StepError::failed(format!("`{}`: {error}", self.layout)).hint("run again with --force");
        Ok(find(&layout, platform).map_err(wrong)?.image.manifest.digest)
    }
}

impl VulnerabilitiesStep {
    fn found(&self, context: &StepContext<'_>) -> Result<Vec<Found<'_>>, StepError> {
        let mut found = Vec::new();
        for ((build, platform), upstream) in self.scanned.iter().zip(&context.upstream) {
            for artefact in &upstream.artefacts {
                let bytes = read_at_most(&artefact.path, MEMORY_MAX);
                let bytes = bytes.map_err(|error| StepError::unreadable(&artefact.path, &error))?;
                let all = Vulnerability::decode(&bytes).ok_or_else(|| {
                    StepError::failed(format!("`{}` is no list of vulnerabilities", artefact.path.display()))
                        .hint("run again with --force")
                })?;
                found.extend(all.into_iter().map(|vulnerability| Found { build, platform, vulnerability }));
            }
        }
        Ok(found)
    }

    /// Returns the reason for which a vulnerability does not count, if build.ron gives one for any of its names.
    fn accepted(&self, vulnerability: &Vulnerability) -> Option<&String> {
        let mut names = [&vulnerability.id].into_iter().chain(&vulnerability.aliases);
        names.find_map(|name| self.accepted.get(name))
    }

    fn counts(&self, vulnerability: &Vulnerability) -> bool {
        let is_near = !self.reachable_only || vulnerability.reach == Reach::Symbol;
        is_near && self.accepted(vulnerability).is_none()
    }

    fn refusal(&self, counting: &[&Found<'_>]) -> StepError {
        // The same one on several platforms is one.
        let mut all: BTreeMap<&Vulnerability, (BTreeSet<&str>, BTreeSet<String>)> = BTreeMap::new();
        for one in counting {
            let (builds, platforms) = all.entry(&one.vulnerability).or_default();
            builds.insert(one.build);
            platforms.insert(one.platform.to_string());
        }
        let list = |names: Vec<&str>| names.join(", ");
        let mut lines: Vec<String> = Vec::new();
        for (vulnerability, (builds, platforms)) in all.iter().take(NAMED_MAX) {
            let builds = list(builds.iter().copied().collect());
            let platforms = list(platforms.iter().map(String::as_str).collect());
            lines.push(format!("{} in `{builds}` ({platforms})", described(vulnerability)));
        }
        if all.len() > NAMED_MAX {
            lines.push(format!("and {} more", all.len() - NAMED_MAX));
        }
        let message = format!("`{}` wants no known vulnerability, and there is {}", self.target, lines.join("; "));
        let first = all.keys().next().expect("a refusal has a reason");
        let hint = format!(
            "{}; or say in `accepted` of the rule why it does not count: `{{\"{}\": \"…\"}}`",
            mend(first),
            first.id
        );
        StepError::User(UserError::input(message).at(self.span).hint(hint))
    }

    fn documents(&self, found: &[Found<'_>], images: &ImageStatements, job: &Job<'_>) -> Result<(), StepError> {
        for platform in &images.platforms {
            let digest = images.manifest(platform, job)?;
            let mut parts: BTreeMap<(String, String, String), &Vulnerability> = BTreeMap::new();
            for one in found.iter().filter(|one| one.platform == platform).map(|one| &one.vulnerability) {
                let known = parts.entry((one.id.clone(), one.module.clone(), one.version.clone())).or_insert(one);
                if one.reach > known.reach {
                    *known = one;
                }
            }
            // A document without a statement is none: the file is empty, and is not attached.
            let mut bytes = Vec::new();
            if !parts.is_empty() {
                let statements = VulnerabilityStatements {
                    author: images.author.clone(),
                    time: images.time.clone(),
                    products: images
                        .repositories
                        .iter()
                        .map(|repository| image_purl(repository, &digest.oci()))
                        .collect(),
                    digest,
                    statements: parts.into_values().map(|one| self.statement(one)).collect(),
                };
                let subject = Subject { name: format!("{} ({platform})", images.image), digest };
                bytes = statement(&subject, VulnerabilityStatements::PREDICATE, statements.document());
            }
            let path = ImageStatements::file(platform).map_err(StepError::User)?.below(job.staging);
            fs::write(&path, bytes).map_err(|error| StepError::unwritable(&path, &error))?;
        }
        Ok(())
    }

    fn statement(&self, of: &Vulnerability) -> VulnerabilityStatement {
        let status = match (self.accepted(of), of.reach) {
            (_, Reach::Module) => VulnerabilityStatus::NotPresent,
            // One that is called and that nothing excuses has been refused.
            (Some(reason), Reach::Symbol) => VulnerabilityStatus::Affected(reason.clone()),
            (_, Reach::Package | Reach::Symbol) => VulnerabilityStatus::NotReached,
        };
        VulnerabilityStatement {
            name: of.id.clone(),
            aliases: of.aliases.clone(),
            description: of.summary.clone(),
            part: of.purl(),
            status,
        }
    }
}

/// Returns a vulnerability in words.
fn described(of: &Vulnerability) -> String {
    let Vulnerability { id, summary, module, version, fixed, reach, way, .. } = of;
    let summary = if summary.is_empty() { String::new() } else { format!(" ({summary})") };
    let mended = fixed.as_ref().map(|fixed| format!(", mended in {fixed}")).unwrap_or_default();
    let reach = match reach {
        Reach::Module => ", in a package that is not used".to_owned(),
        Reach::Package => ", in code that is not called".to_owned(),
        Reach::Symbol => format!(", called by {}", way.join(" -> ")),
    };
    format!("{id}{summary} of {module}@{version}{mended}{reach}")
}

/// Returns how it is mended.
fn mend(of: &Vulnerability) -> String {
    match (&of.fixed, of.module.as_str()) {
        (Some(fixed), "stdlib" | "toolchain") => {
            format!("raise `go` to {} or later", fixed.trim_start_matches('v'))
        }
        (Some(fixed), module) => format!("run `go get {module}@{fixed}`"),
        (None, module) => format!("no version of {module} mends it: use something else"),
    }
}

impl Step for VulnerabilitiesStep {
    type Findings = ();

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared, StepError> {
        let mut spec = ActionSpec { arguments: vec!["no known vulnerability".to_owned()], ..ActionSpec::default() };
        let mut set = |name: String, value: String| spec.settings.insert(name, value);
        set("format".to_owned(), format!("{FORMAT} {VULNERABILITIES_FORMAT}"));
        set("reachable only".to_owned(), self.reachable_only.to_string());
        for (name, reason) in &self.accepted {
            set(format!("accepted {name}"), reason.clone());
        }
        if let Some(images) = &self.statements {
            set("image".to_owned(), images.image.clone());
            set("repositories".to_owned(), images.repositories.join(" "));
            set("author".to_owned(), images.author.clone());
            set("time".to_owned(), images.time.clone());
            for platform in &images.platforms {
                set(format!("manifest {platform}"), images.manifest(platform, query)?.oci());
            }
        }
        for ((build, platform), upstream) in self.scanned.iter().zip(&query.upstream) {
            for artefact in &upstream.artefacts {
                let slot = RelativePath::new(&format!("{build}/{}/{}", platform.directory_name(), artefact.name));
                let slot = slot.map_err(|error| StepError::failed(error.to_string()))?;
                spec.upstream.insert(slot, artefact.entry.clone());
            }
        }
        for (images, platform) in
            self.statements.iter().flat_map(|images| images.platforms.iter().map(move |one| (images, one)))
        {
            let name = ImageStatements::file(platform).map_err(StepError::User)?;
            let destination = images.out.join(&name);
            spec.outputs.push(OutputSpec { name, destination, kind: OutputKind::File });
        }
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, _prepared: &Prepared, job: &Job<'_>) -> Result<Report, StepError> {
        let found = self.found(job)?;
        let counting: Vec<&Found<'_>> = found.iter().filter(|one| self.counts(&one.vulnerability)).collect();
        if !counting.is_empty() {
            return Err(self.refusal(&counting));
        }
        let others: BTreeSet<&str> = found.iter().map(|one| one.vulnerability.id.as_str()).collect();
        if !others.is_empty() {
            let names: Vec<&str> = others.into_iter().collect();
            job.note(format!("known vulnerabilities that do not count: {}", names.join(", ")));
        }
        if let Some(images) = &self.statements {
            self.documents(&found, images, job)?;
        }
        Ok(Report::default())
    }
}
