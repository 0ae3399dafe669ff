//! `watch`: builds targets again whenever something that they are made from changes. Processes and containers among them go on
//! until what replaces them is made.
//!
//! A notification is only a hint. Each build looks at everything itself and runs what is affected. So a hint too many costs one
//! look, and the next build makes up for a lost one.

mod keys;
mod news;
mod places;
mod started;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rondel_engine::{Outcome, Summary};
use rondel_process::Cancellation;
use rondel_supervise::Proxies;
use rondel_targets::Request;
use rondel_watch::{Changes, Watcher};

use crate::before_build::settle;
use crate::cli::groups::{AnalysisOptions, BuildOptions, GlobalOptions};
use crate::exit::{Exit, Failure};
use crate::recorder::Recorder;
use crate::runner::{Runner, exit_of, prepare};
use crate::session::{ProcessContext, Session};
use crate::signals;
use crate::ui::{Shown, print_failure, print_line, sink, without_control_sequences};
use keys::Keys;
use news::{News, Told};
use started::Started;

/// How often keys and signals are looked at.
const INTERVAL: Duration = Duration::from_millis(50);
/// How long a change of git's own files is waited for: it holds this lock while it writes others.
const GIT_PATIENCE: Duration = Duration::from_secs(10);

/// What is watched, and how it is built.
pub(crate) struct Watch<'a> {
    pub context: &'a ProcessContext,
    pub global: &'a GlobalOptions,
    pub analysis: &'a AnalysisOptions,
    pub build: &'a BuildOptions,
    /// The targets, as they were named.
    pub words: &'a [String],
    /// Words after `--`.
    pub rest: &'a [String],
}

/// What a watch knows from one build to the next.
struct State {
    watcher: Watcher,
    news: News,
    places: BTreeSet<PathBuf>,
    proxies: Proxies,
    started: Started,
    /// As long as it is here, a build of this workspace asks it before it looks.
    #[cfg(target_os = "linux")]
    vouching: Option<rondel_watch::Vouching>,
    cancellation: Cancellation,
    builds: u32,
    /// When the last build began, and when its steps had ended.
    begun: SystemTime,
    ended: SystemTime,
    /// What has changed during it in directories that are watched only since.
    unseen: Changes,
}

/// What makes the next build begin.
enum Next {
    Build,
    Quit,
}

impl Watch<'_> {
    /// Builds until somebody quits. `session` is that of the first build.
    pub fn run(&self, session: Session<'_>) -> Result<Exit, Failure> {
        session.require_cache()?;
        let asked = session.asked(self.words)?;
        settle(&session, &asked.targets, self.build.yes)?;
        let cancellation = Cancellation::new();
        signals::forward_to(&cancellation);
        let mut state = State {
            watcher: Watcher::new(),
            news: News::default(),
            places: BTreeSet::new(),
            proxies: Proxies::default(),
            started: Started::default(),
            #[cfg(target_os = "linux")]
            vouching: None,
            cancellation,
            builds: 0,
            begun: SystemTime::now(),
            ended: SystemTime::now(),
            unseen: Changes::default(),
        };
        let keys = Keys::open();
        let root = session.root.clone();
        let mut session = Some(Ok(session));
        loop {
            let opened = session.take().unwrap_or_else(|| Session::open(self.context, self.global.file.as_deref()));
            if let Err(failure) = opened.and_then(|session| self.build_once(&session, &mut state)) {
                // Nothing was built, since build.ron is wrong for example: the next change may mend it.
                print_failure(self.context, &failure, self.context.wants_color(self.global.color));
                let own = [root.join(".rondel"), root.join("dist")];
                self.set_places(&mut state, &root, (None, &BTreeSet::new()), &own);
            }
            state.builds += 1;
            match self.wait(&mut state, keys.as_ref(), &root) {
                Next::Build => {}
                Next::Quit => break,
            }
        }
        drop(keys);
        self.end(&state, &root)
    }

    /// Builds once, and starts what goes on.
    fn build_once(&self, session: &Session<'_>, state: &mut State) -> Result<(), Failure> {
        state.begun = SystemTime::now();
        session.prepare_seal()?;
        let asked = session.asked(self.words)?;
        let request = Request {
            platforms: self.analysis.platforms(),
            arguments: self.rest.to_vec(),
            kept: Some(state.proxies.clone()),
            ..session.request(self.analysis, asked)
        };
        let analyzed = session.analyze_request(&request)?;
        state.proxies.let_others_go();
        let workspace = session.workspace();
        prepare(&workspace)?;
        #[cfg(target_os = "linux")]
        if state.vouching.is_none() {
            state.vouching = rondel_watch::Vouching::start(&workspace.state);
        }
        let own = own_places(session);
        state.news.set_own(own.clone());
        if state.builds == 0 {
            // What changes while the first build runs is not lost.
            self.set_places(state, &session.root, (None, &analyzed.seen), &own);
        }
        state.started.follow(session, &analyzed, &state.proxies, self.context.wants_color(self.global.color));
        let shown = Shown::Watching { is_first: state.builds == 0 };
        let sink = sink(self.context, self.global, self.build, shown);
        let recorder = Recorder::new(&session.file.project.value, self.words, self.build.jobs.number());
        let runner = Runner {
            context: self.context,
            options: self.build,
            cancellation: &state.cancellation,
            session,
            recorder: Some(&recorder),
        };
        let summary = runner.run(&analyzed, &workspace, sink.as_ref());
        state.ended = SystemTime::now();
        let summary = summary?;
        state.started.note(&analyzed, &summary);
        if has_run(&summary) {
            recorder.save(exit_of(&summary));
        }
        self.set_places(state, &session.root, (Some(&summary), &analyzed.seen), &own);
        self.tell(state, &summary);
        Ok(())
    }

    /// `built` is the last build with the files that values came from.
    fn set_places(
        &self,
        state: &mut State,
        root: &Path,
        built: (Option<&Summary>, &BTreeSet<PathBuf>),
        own: &[PathBuf],
    ) {
        let is_own = |place: &Path| own.iter().any(|own| place.starts_with(own));
        let known = places::Known { root, summary: built.0, seen: built.1, former: &state.places };
        let places = places::to_watch(&known, &is_own);
        let former = std::mem::replace(&mut state.places, places);
        let why = state.watcher.watch(&state.places);
        if !former.is_empty() {
            state.unseen = places::changed_since(state.begun, state.places.difference(&former), own);
        }
        if let Some(why) = why {
            self.say(&format!("warning: changes are looked for every half second: {why}"));
        }
    }

    /// Says what is watched, after a build in which something ran.
    fn tell(&self, state: &State, summary: &Summary) {
        if (has_run(summary) || state.builds == 0) && !state.cancellation.is_raised() {
            let count = state.watcher.count();
            let directories = if count == 1 { "directory" } else { "directories" };
            let how = if state.watcher.looks() { ", by looking" } else { "" };
            self.say(&format!("{:>12} {count} {directories}{how} (r: again, q: quit)", "Watching"));
        }
    }

    fn say(&self, text: &str) {
        if !self.global.quiet {
            print_line(text);
        }
    }

    /// Waits until something is news, or somebody presses a key.
    fn wait(&self, state: &mut State, keys: Option<&Keys>, root: &Path) -> Next {
        let mut told = Told::InBuild(state.ended);
        let mut begins: Option<Instant> = None;
        loop {
            if state.cancellation.is_raised() {
                return Next::Quit;
            }
            match keys.and_then(Keys::next) {
                Some('q') => return Next::Quit,
                Some('r') => return Next::Build,
                Some(_) | None => {}
            }
            if begins.is_some_and(|begins| Instant::now() >= begins) {
                return Next::Build;
            }
            let patience = if told == Told::Between { INTERVAL } else { Duration::ZERO };
            let mut changes = state.watcher.wait(patience);
            changes.add(std::mem::take(&mut state.unseen));
            if !changes.is_empty() {
                wait_for_git(&mut state.watcher, &mut changes, root);
                let warn = |path: &Path| {
                    let path = path.strip_prefix(root).unwrap_or(path).display().to_string();
                    let path = without_control_sequences(&path);
                    self.say(&format!(
                        "warning: `{path}` was written during each of the last builds; they wait longer and longer for it now\n                         hint: a step that writes what it reads never comes to an end: let it write somewhere else"
                    ));
                };
                match state.news.of(&changes, told, &warn) {
                    Some(Duration::ZERO) => return Next::Build,
                    Some(delay) => begins = Some(Instant::now() + delay),
                    None => {}
                }
            }
            told = Told::Between;
        }
    }

    /// Stops what stays only as long as somebody watches.
    fn end(&self, state: &State, root: &Path) -> Result<Exit, Failure> {
        let _finishing = state.cancellation.finishing();
        state.started.end();
        let exit = if state.cancellation.is_raised() { Exit::Interrupted } else { Exit::Done };
        let session = Session::open(self.context, self.global.file.as_deref());
        // With a build.ron that is wrong nothing tells what that is, and `stop` does it later.
        let Ok(session) = session else {
            self.say(&format!(
                "warning: `{}` can't be read: processes end, containers go on",
                root.join("build.ron").display()
            ));
            return Ok(exit);
        };
        started::stop(&session, &state.started, &|text| self.say(text));
        Ok(exit)
    }
}

/// Returns true if a step was needed.
fn has_run(summary: &Summary) -> bool {
    summary.outcomes.values().any(|outcome| matches!(outcome, Outcome::Ran | Outcome::Failed))
}

/// Returns the places in the workspace that only Rondel and Cargo write.
fn own_places(session: &Session<'_>) -> Vec<PathBuf> {
    let mut own = vec![session.root.join(".rondel")];
    own.extend(session.own_paths());
    let targets = session.file.targets.iter();
    own.extend(
        targets.flat_map(|target| session.file.outputs_of(target)).map(|output| session.root.join(&output.path)),
    );
    own
}

/// Waits while git exchanges files, so that a checkout is one change.
fn wait_for_git(watcher: &mut Watcher, changes: &mut Changes, root: &Path) {
    let lock = root.ancestors().map(|above| above.join(".git/index.lock"));
    let Some(lock) = lock.into_iter().find(|lock| lock.parent().is_some_and(Path::is_dir)) else { return };
    let begun = Instant::now();
    while lock.exists() && begun.elapsed() < GIT_PATIENCE {
        changes.add(watcher.wait(Duration::from_millis(20)));
    }
}
