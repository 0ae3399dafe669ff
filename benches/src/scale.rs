//! A module of 2,000 packages with 40,000 files: no-op, edit, cold build, a second platform, `verify`. Each is compared
//! with a bare `go build` with the same flags and a cache of its own, in turns.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::contenders::{Contender, Lab};
use crate::generated::{FILES, generate};
use crate::statistics::{Samples, table};

const PACKAGES: usize = 2_000;
/// Number of rounds for measurements of a minute and more.
const COLD_ROUNDS: usize = 2;

/// Two copies of the module, and how each side builds it.
struct Big<'l> {
    lab: &'l Lab,
    root: PathBuf,
}

/// Measures all of it.
pub(crate) fn scale(lab: &Lab, rounds: usize) -> Result<()> {
    let big = Big { lab, root: lab.root.join("big") };
    let _ = fs::remove_dir_all(&big.root);
    for tree in ["bare", "rondel"] {
        let tree = big.root.join(tree);
        generate(&tree, PACKAGES, "Version(\"1.22.12\")")?;
        fs::copy(lab.repository().join("build.lock"), tree.join("build.lock"))?;
    }
    println!("{PACKAGES} packages, {} files, of which a build reads {}", PACKAGES * FILES, PACKAGES * 8);

    println!("\nfrom nothing");
    table(&[
        timed("bare go build", &big.bare("amd64"))?,
        timed("rondel", &big.rondel(&["big", "--platform", "linux/amd64"]))?,
    ]);
    let (one, other) =
        (fs::read(big.root.join("bare.out"))?, fs::read(big.root.join("rondel/dist/big/linux_amd64/big"))?);
    println!("  the same bytes: {}", one == other);
    ensure!(one == other, "rondel and a bare `go build` with the same flags made different bytes");

    println!("\na second platform, the first one there");
    table(&[
        timed("bare go build", &big.bare("arm64"))?,
        timed("rondel", &big.rondel(&["big", "--platform", "linux/arm64"]))?,
    ]);

    println!("\nnothing changed");
    // New files are not trusted to stay unchanged.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let (bare, rondel) = (big.bare("amd64"), big.rondel(&["big", "--platform", "linux/amd64"]));
    table(&in_turns(rounds, &bare, &rondel, |_| Ok(()))?);

    println!("\none function body of one file changed");
    table(&in_turns(rounds, &bare, &rondel, |round| {
        ["bare", "rondel"].iter().try_for_each(|tree| edit(&big.root.join(tree), round))
    })?);

    println!("\nverify: of what is there already; and from nothing, so that it builds twice");
    let (mut cold, mut warm, mut both) = (
        Samples::new("bare go build, from nothing"),
        Samples::new("rondel verify big"),
        Samples::new("rondel verify big, from nothing"),
    );
    for _ in 0..COLD_ROUNDS {
        let _ = fs::remove_dir_all(big.root.join("cache-bare"));
        cold.push(bare.run()?);
        for path in ["rondel-cache/go/build", "rondel-cache/v1", "rondel/.rondel", "rondel/dist"] {
            let _ = fs::remove_dir_all(big.root.join(path));
        }
        let verify = big.rondel(&["verify", "big", "--platform", "linux/amd64"]);
        both.push(verify.run()?);
        warm.push(verify.run()?);
    }
    table(&[cold, warm, both]);
    Ok(())
}

/// Runs both sides in turns, each round after `before`; the first one changes. The first round is not counted.
fn in_turns(
    rounds: usize,
    bare: &Contender,
    rondel: &Contender,
    before: impl Fn(usize) -> Result<()>,
) -> Result<[Samples; 2]> {
    let mut samples = [Samples::new("bare go build"), Samples::new("rondel")];
    for round in 0..=rounds {
        before(round)?;
        let (one, other) = if round % 2 == 0 {
            let one = bare.run()?;
            (one, rondel.run()?)
        } else {
            let other = rondel.run()?;
            (bare.run()?, other)
        };
        if round > 0 {
            samples[0].push(one);
            samples[1].push(other);
        }
    }
    Ok(samples)
}

fn timed(name: &str, contender: &Contender) -> Result<Samples> {
    let mut samples = Samples::new(name);
    samples.push(contender.run()?);
    Ok(samples)
}

fn edit(tree: &Path, round: usize) -> Result<()> {
    let path = tree.join("p/p1999/f1.go");
    let text = fs::read_to_string(&path)?;
    let lines = text.lines().enumerate().map(|(number, line)| match number {
        4 => format!("\tx = x*1 + {round}000"),
        _ => line.to_owned(),
    });
    fs::write(&path, lines.collect::<Vec<_>>().join("\n") + "\n")?;
    Ok(())
}

impl Big<'_> {
    fn bare(&self, architecture: &str) -> Contender {
        let mut environment: BTreeMap<String, String> = self.lab.go_environment("unused");
        environment.insert("GOARCH".into(), architecture.into());
        environment.insert("GOCACHE".into(), self.root.join("cache-bare").display().to_string());
        let out = self.root.join(if architecture == "amd64" { "bare.out" } else { "bare.arm64.out" });
        let out = out.display().to_string();
        let words =
            ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-buildid= -s -w", "-o", &out, "./cmd/big"];
        Contender::new("bare go build", &self.root.join("bare"), &words, environment)
    }

    fn rondel(&self, words: &[&str]) -> Contender {
        let mut environment = self.lab.environment();
        let cache = self.root.join("rondel-cache");
        let _ = fs::create_dir_all(cache.join("go"));
        // The toolchain is not measured.
        let toolchains = cache.join("go/toolchains");
        if !toolchains.exists() {
            let _ = std::os::unix::fs::symlink(self.lab.cache.join("go/toolchains"), toolchains);
        }
        environment.insert("RONDEL_CACHE_DIR".into(), cache.display().to_string());
        environment.insert("DOCKER_HOST".into(), "unix:///nonexistent".into());
        let program = self.lab.rondel.display().to_string();
        let words: Vec<&str> = std::iter::once(program.as_str()).chain(words.iter().copied()).collect();
        Contender::new("rondel", &self.root.join("rondel"), &words, environment)
    }
}
