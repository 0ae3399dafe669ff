//! Ten thousand and a hundred thousand input files of one step: without changes, and hashed from scratch. Compared with
//! `git status`, ninja, and the kernel's time for a `stat` of each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::contenders::{Contender, Lab};
use crate::statistics::{Samples, table};

const FILES_PER_DIRECTORY: usize = 50;

/// Measures both sizes.
pub(crate) fn inputs(lab: &Lab, rounds: usize) -> Result<()> {
    let optimised = lab.optimised()?.display().to_string();
    for count in [10_000, 100_000] {
        let tree = lab.root.join(format!("inputs-{count}"));
        let files = generate(&tree, count)?;
        let environment = environment(lab, &tree);
        let xtask = lab.rondel.display().to_string();
        let rondel =
            |name: &str, program: &str| Contender::new(name, &tree, &[program, "--quiet", "x"], environment.clone());
        let mut contenders = vec![rondel("rondel, as cargo xtask", &xtask), rondel("rondel, optimised", &optimised)];
        for (name, words) in [("git status", &["git", "status", "--porcelain"][..]), ("ninja", &["ninja", "--quiet"])] {
            let contender = Contender::new(name, &tree, words, environment.clone());
            match contender.run() {
                Ok(_) => contenders.push(contender),
                Err(error) => println!("left out: {error:#}"),
            }
        }
        contenders[0].run()?;
        // New files have to age before their stat data is believed.
        std::thread::sleep(std::time::Duration::from_secs(3));
        println!("\n{count} files, nothing changed");
        let mut samples = vec![Samples::new("stat of each, two threads")];
        samples.extend(contenders.iter().map(|contender| Samples::new(&contender.name)));
        for round in 0..=rounds {
            let floor = on_two_threads(&files, |file| drop(fs::symlink_metadata(file)));
            let times: Vec<f64> = contenders.iter().map(Contender::run).collect::<Result<_>>()?;
            if round > 0 {
                samples
                    .iter_mut()
                    .zip(std::iter::once(floor).chain(times))
                    .for_each(|(samples, time)| samples.push(time));
            }
        }
        table(&samples);

        with_a_watch(&contenders[0], count, rounds)?;

        println!("\n{count} files, hashed from nothing (the snapshot is gone)");
        let mut samples = vec![
            Samples::new("read + SHA-256, two threads"),
            Samples::new("rondel, as cargo xtask"),
            Samples::new("rondel, optimised"),
        ];
        for round in 0..=rounds {
            let mut times = vec![on_two_threads(&files, |file| drop(fs::read(file).map(Sha256::digest)))];
            for contender in &contenders[..2] {
                fs::remove_file(tree.join(".rondel/snapshot.4"))?;
                times.push(contender.run()?);
            }
            if round > 0 {
                samples.iter_mut().zip(times).for_each(|(samples, time)| samples.push(time));
            }
        }
        table(&samples);
        println!("\nmemory");
        lab.memory_of(&contenders[0])?;
        fs::remove_file(tree.join(".rondel/snapshot.4"))?;
        lab.memory_of(&contenders[0])?;
    }
    Ok(())
}

/// The same no-op while a `watch` of the tree is there.
fn with_a_watch(contender: &Contender, count: usize, rounds: usize) -> Result<()> {
    let mut watch = contender.with_words(&["watch", "x"]).stderr(Stdio::null()).spawn()?;
    std::thread::sleep(Duration::from_secs(2));
    // It is told twice what a look finds, before it vouches for it.
    for _ in 0..3 {
        contender.run()?;
        std::thread::sleep(Duration::from_secs(2));
    }
    println!("\n{count} files, nothing changed, with a `watch` of the tree");
    let mut samples = vec![Samples::new("rondel, as cargo xtask")];
    for round in 0..=rounds {
        let time = contender.run()?;
        if round > 0 {
            samples[0].push(time);
        }
    }
    table(&samples);
    Command::new("kill").args(["-INT", &watch.id().to_string()]).status()?;
    watch.wait()?;
    Ok(())
}

fn environment(lab: &Lab, tree: &Path) -> BTreeMap<String, String> {
    let mut environment = lab.environment();
    environment.insert("RONDEL_CACHE_DIR".into(), tree.join("../inputs-cache").display().to_string());
    environment
}

/// A step that reads all files, an equivalent ninja file, and a git repository with all of them in its index.
fn generate(tree: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let _ = fs::remove_dir_all(tree);
    let mut files = Vec::with_capacity(count);
    let mut ninja = String::from("rule touch\n  command = touch $out\nbuild ninja.out: touch");
    for number in 0..count {
        let directory =
            format!("src/a{:03}/p{:02}", number / FILES_PER_DIRECTORY / 20, number / FILES_PER_DIRECTORY % 20);
        if number % FILES_PER_DIRECTORY == 0 {
            fs::create_dir_all(tree.join(&directory))?;
        }
        let name = format!("{directory}/f{:02}.c", number % FILES_PER_DIRECTORY);
        let path = tree.join(&name);
        fs::write(&path, format!("int f{number}(void) {{ return {number}; }}\n").repeat(20))?;
        files.push(path);
        write!(ninja, " {name}")?;
    }
    fs::write(tree.join("build.ninja"), ninja + "\n")?;
    fs::write(
        tree.join("build.ron"),
        r#"(format: 1, project: "inputs", go: System, targets: {"x": Exec(command: ["touch", "out"], inputs: ["src/**"], outputs: ["out"])})"#,
    )?;
    fs::write(tree.join(".gitignore"), ".rondel\nout\nninja.out\n.ninja*\n")?;
    for words in [
        &["init", "--quiet"][..],
        &["add", "--all"],
        &["-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "-m", "x"],
    ] {
        ensure!(Command::new("git").args(words).current_dir(tree).status()?.success(), "git {words:?} failed");
    }
    Ok(files)
}

/// Returns the seconds for `work` with each of `files` on two threads.
fn on_two_threads(files: &[PathBuf], work: impl Fn(&PathBuf) + Sync) -> f64 {
    const AT_ONCE: usize = 64;
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let begin = next.fetch_add(AT_ONCE, Ordering::Relaxed);
                    if begin >= files.len() {
                        return;
                    }
                    files[begin..files.len().min(begin + AT_ONCE)].iter().for_each(&work);
                }
            });
        }
    });
    begun.elapsed().as_secs_f64()
}
