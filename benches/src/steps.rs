//! What its surroundings cost a command with a key: links to its programs, a working tree, Landlock. Compared with the
//! same command under `sandbox: Off`, in turns. Each run is forced.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::contenders::{Contender, Lab};
use crate::statistics::{Samples, table};

/// Numbers of input files.
const SIZES: &[usize] = &[10, 1_000, 10_000];

/// Measures commands with and without outputs, for each number of inputs.
pub(crate) fn steps(lab: &Lab, rounds: usize) -> Result<()> {
    for &count in SIZES {
        // Not below `target`: where a directory's part of the disk is crowded, making a file takes ext4 ten times as long.
        let tree = std::env::temp_dir().join("rondel-bench").join(format!("steps-{count}"));
        generate(&tree, count)?;
        let mut environment: BTreeMap<String, String> = lab.environment();
        environment.insert("RONDEL_CACHE_DIR".into(), tree.join("../steps-cache").display().to_string());
        let program = lab.rondel.display().to_string();
        let contender = |target: &str| {
            let words = [program.as_str(), "--quiet", "--force", target];
            Contender::new(target, &tree, &words, environment.clone())
        };
        let names = ["check, sandbox: Off", "check", "make, sandbox: Off", "make"];
        let contenders = ["check-off", "check", "make-off", "make"].map(contender);
        let mut samples = names.map(Samples::new);
        for round in 0..=rounds {
            for (contender, samples) in contenders.iter().zip(&mut samples) {
                let seconds = contender.run()?;
                if round > 0 {
                    samples.push(seconds);
                }
            }
        }
        println!("\n{count} inputs; a command that reads them all: in the project (check), with an output (make)");
        table(&samples);
    }
    Ok(())
}

fn generate(tree: &Path, count: usize) -> Result<()> {
    let _ = fs::remove_dir_all(tree);
    for number in 0..count {
        let directory = tree.join(format!("src/d{:03}", number / 50));
        if number % 50 == 0 {
            fs::create_dir_all(&directory)?;
        }
        fs::write(directory.join(format!("f{:02}.c", number % 50)), format!("int f{number};\n").repeat(40))?;
    }
    let mut targets = String::new();
    for (name, field) in [("", ""), ("-off", ", sandbox: Off")] {
        let script = "find src -name '*.c' | xargs cat | cksum";
        targets.push_str(&format!(
            "\"check{name}\": Shell(script: \"{script}\", inputs: [\"src/**\"]{field}),\n\"make{name}\": Shell(script: \
             \"{script} > out{name}\", inputs: [\"src/**\"], outputs: [\"out{name}\"]{field}),\n"
        ));
    }
    let text = format!("(format: 1, project: \"steps\", go: System, targets: {{{targets}}})\n");
    Ok(fs::write(tree.join("build.ron"), text)?)
}
