//! `GoTest` against `go test` of just the packages that an edit affects: 200 packages, one edited. Both have a warm build
//! cache of their own, and take turns.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::contenders::{Contender, Lab, turns};
use crate::statistics::table;

const PACKAGES: usize = 200;

/// Measures a no-op, and one edited package that no other imports and one that ten import.
pub(crate) fn go_test(lab: &Lab, rounds: usize) -> Result<()> {
    let trees = ["tests-rondel", "tests-go"].map(|name| lab.root.join(name));
    let mut environment = lab.environment();
    environment.insert("RONDEL_CACHE_DIR".into(), lab.root.join("tests-cache").display().to_string());
    environment.insert("GOCACHE".into(), lab.root.join("tests-gocache").display().to_string());
    environment.insert("GOFLAGS".into(), "-buildvcs=false".into());
    for tree in &trees {
        generate(tree)?;
    }
    let program = lab.rondel.display().to_string();
    let rondel = Contender::new("Rondel, all packages", &trees[0], &[&program, "--quiet", "test"], environment.clone());
    let all = Contender::new("go test ./...", &trees[1], &["go", "test", "./..."], environment.clone());
    for contender in [&rondel, &all] {
        contender.run()?;
    }
    println!("{PACKAGES} packages; nothing changed");
    table(&turns(&[&rondel, &all], rounds, &|_| Ok(()))?);
    let importers: Vec<String> = (1..=10).map(|number| format!("./p{number:03}")).collect();
    for (title, edited, affected) in [
        ("one edited, which no other imports", "p150", vec!["./p150".to_owned()]),
        ("one edited, which ten others import", "p000", [vec!["./p000".to_owned()], importers].concat()),
    ] {
        let words: Vec<&str> = ["go", "test"].into_iter().chain(affected.iter().map(String::as_str)).collect();
        let some = Contender::new("go test of the affected", &trees[1], &words, environment.clone());
        println!("\n{title}");
        // Also other than in an earlier run of this bench, whose results are still known.
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let edit = |round: usize| {
            trees.iter().try_for_each(|tree| replace(&tree.join(edited).join("p.go"), &format!("edit {now} {round};")))
        };
        table(&turns(&[&some, &rondel, &all], rounds, &edit)?);
    }
    Ok(())
}

/// Changes what the package's function returns. (After an edit of comments Go's own cache finds the same test binary.)
fn replace(path: &Path, text: &str) -> Result<()> {
    let whole = fs::read_to_string(path)?;
    let (before, after) = whole.split_once("\"edit").context("the mark is there")?;
    let after = after.split_once('"').context("the mark ends")?.1;
    Ok(fs::write(path, format!("{before}\"{text}\"{after}"))?)
}

fn generate(tree: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(tree);
    fs::create_dir_all(tree)?;
    fs::write(tree.join("go.mod"), "module example.com/tests\n\ngo 1.22\n")?;
    fs::write(
        tree.join("build.ron"),
        "(format: 1, project: \"tests\", go: System, targets: {\"test\": GoTest(packages: [\"./...\"])})\n",
    )?;
    for number in 0..PACKAGES {
        let name = format!("p{number:03}");
        let directory = tree.join(&name);
        fs::create_dir_all(directory.join("testdata"))?;
        fs::write(directory.join("testdata/fixture"), &name)?;
        let (import, call) = match number {
            1..=10 => ("\t\"example.com/tests/p000\"\n", "p000.Text()"),
            _ => ("", "\"edit;\""),
        };
        fs::write(
            directory.join("p.go"),
            format!(
                "package {name}\n\nimport (\n{import}\t\"net/http\"\n)\n\n// Text is tested.\nfunc Text() string {{ return \
                 http.MethodGet + {call} }}\n"
            ),
        )?;
        fs::write(
            directory.join("p_test.go"),
            format!(
                "package {name}\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestText(t *testing.T) {{\n\tif _, err := \
                 os.ReadFile(\"testdata/fixture\"); err != nil || Text() == \"\" {{\n\t\tt.Fatal(err)\n\t}}\n}}\n"
            ),
        )?;
    }
    Ok(())
}
