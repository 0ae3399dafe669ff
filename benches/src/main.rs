//! Side-by-side measurements against what a user would run instead: bare `go build`, ko, BuildKit, GoReleaser.
//!
//! `cargo run --release -p rondel-benches [scale|inputs|steps|tests|bases|push|release|watch] [ROUNDS] [warm|cold]`. All contenders take turns in one run on copies of
//! the sample service, each warm, so noise affects all alike; the ratios count, not the times. A contender that is not
//! on this machine is left out and named.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a bench starts programs and prints")]

mod bases;
mod contenders;
mod generated;
mod go_test;
mod inputs;
mod push;
mod release;
mod scale;
mod statistics;
mod steps;
mod watch;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::contenders::{Contender, Lab};
use crate::statistics::{Samples, table};

fn main() -> Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let mode = words
        .first()
        .filter(|word| {
            ["scale", "inputs", "steps", "tests", "bases", "push", "release", "watch"].contains(&word.as_str())
        })
        .cloned();
    if mode.is_some() {
        words.remove(0);
    }
    let rounds: usize = words.first().map_or(Ok(10), |text| text.parse()).context("ROUNDS is a number")?;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("benches/ is in the repository")?;
    let lab = Lab::set_up(repository)?;
    match mode.as_deref() {
        Some("scale") => return scale::scale(&lab, rounds),
        Some("steps") => return steps::steps(&lab, rounds),
        Some("bases") => return bases::bases(&lab, rounds),
        Some("push") => return push::push(&lab, rounds),
        Some("watch") => return watch::watch(&lab, rounds),
        Some("release") => {
            let has = |wanted: &str| words.iter().any(|word| word == wanted);
            let part = match (has("warm"), has("cold")) {
                (true, _) => release::Part::Warm,
                (false, true) => release::Part::Cold,
                (false, false) => release::Part::All,
            };
            return release::release(&lab, rounds, part);
        }
        Some("tests") => return go_test::go_test(&lab, rounds),
        Some(_) => return inputs::inputs(&lab, rounds),
        None => {}
    }
    let contenders = lab.contenders()?;
    println!("machine: {} cores, {rounds} rounds, contenders take turns", std::thread::available_parallelism()?);
    println!(
        "rondel writes an OCI layout; ko pushes to a registry on loopback, on a base from there; BuildKit fills the daemon's store\n"
    );

    println!("nothing changed");
    let mut samples = measure(&contenders, rounds, |_, _| Ok(()))?;
    samples.push(lab.cargo_xtask(repository, rounds)?);
    table(&samples);

    println!("\none function body of one file changed (internal/api/health.go)");
    table(&measure(&contenders, rounds, |contender, round| edit(&contender.tree, round))?);

    println!("\none platform restored from the cache (linux/arm64, its outputs deleted)");
    table(&[lab.restore(rounds)?]);

    println!("\nfrom nothing: empty Go build cache, modules and toolchain there");
    table(&lab.cold(3.min(rounds))?);

    println!("\nmemory");
    lab.memory()?;
    Ok(())
}

/// Each contender once a round, in turns; the first round is not counted.
fn measure(
    contenders: &[Contender],
    rounds: usize,
    before: impl Fn(&Contender, usize) -> Result<()>,
) -> Result<Vec<Samples>> {
    let mut samples: Vec<Samples> = contenders.iter().map(|contender| Samples::new(&contender.name)).collect();
    for round in 0..=rounds {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            before(contender, round)?;
            let seconds = contender.run()?;
            if round > 0 {
                samples.push(seconds);
            }
        }
    }
    Ok(samples)
}

/// Changes a number in a function's body: a real change of the compiled code, the same for all contenders.
fn edit(tree: &Path, round: usize) -> Result<()> {
    let path: PathBuf = tree.join("internal/api/health.go");
    let text = std::fs::read_to_string(&path)?;
    let line = text.lines().position(|line| line.contains("\"status\":")).context("health.go answers a status")?;
    let stamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
    let lines: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(number, text)| {
            if number == line {
                format!("\t\t\"status\":         \"ok\", // {round}\n\t\t\"bench\": \"{stamp}\",")
            } else {
                text.to_owned()
            }
        })
        .filter(|text| !text.starts_with("\t\t\"bench\": ") || text.contains('\n'))
        .collect();
    std::fs::write(&path, lines.join("\n") + "\n")?;
    Ok(())
}
