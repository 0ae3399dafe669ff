//! A generated Go module of any size, for measurements and tests. Each package has 20 files, of which a build for Linux
//! reads 8. It imports two others, so that a command reaches all of them.

use std::fs;
use std::io;
use std::path::Path;

/// Files in each package.
pub const FILES: usize = 20;

/// Writes a module with so many packages, a command `cmd/big` and a build.ron into `root`.
pub fn generate(root: &Path, packages: usize, go: &str) -> io::Result<()> {
    let write = |path: String, text: &str| -> io::Result<()> {
        let path = root.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)
    };
    write("go.mod".to_owned(), "module example.com/big\n\ngo 1.22\n")?;
    write(
        "cmd/big/main.go".to_owned(),
        "package main\n\nimport (\n\t\"fmt\"\n\n\t\"example.com/big/p/p0000\"\n)\n\nfunc main() { fmt.Println(p0000.Sum()) }\n",
    )?;
    write(
        "build.ron".to_owned(),
        &format!(
            "(format: 1, project: \"big\", go: {go}, platforms: [\"linux/amd64\", \"linux/arm64\"],\n targets: {{\"big\": GoBuild(packages: [\"./cmd/big\"], ldflags: [\"-s\", \"-w\"])}})\n"
        ),
    )?;
    for index in 0..packages {
        let name = format!("p{index:04}");
        let below: Vec<String> = [2 * index + 1, 2 * index + 2]
            .into_iter()
            .filter(|other| *other < packages)
            .map(|other| format!("p{other:04}"))
            .collect();
        let imports: String = below.iter().map(|other| format!("\t\"example.com/big/p/{other}\"\n")).collect();
        let sums: String = below.iter().map(|other| format!(" + {other}.Sum()")).collect();
        let file = |file: String| format!("p/{name}/{file}");
        write(
            file("sum.go".to_owned()),
            &format!(
                "// Package {name} is generated.\npackage {name}\n\nimport (\n\t\"embed\"\n{imports})\n\n//go:embed data/*.txt\nvar data embed.FS\n\n// Sum adds up.\nfunc Sum() int {{\n\t_ = data\n\treturn F1({index}) + F2({index}) + F3({index}) + F4({index}) + F5({index}){sums}\n}}\n"
            ),
        )?;
        for number in 1..=5 {
            let body: String = (0..20).map(|line| format!("\tx = x*{} + {line}\n", line + number)).collect();
            write(
                file(format!("f{number}.go")),
                &format!(
                    "package {name}\n\n// F{number} computes.\nfunc F{number}(x int) int {{\n{body}\treturn x\n}}\n"
                ),
            )?;
            write(
                file(format!("f{number}_test.go")),
                &format!(
                    "package {name}\n\nimport \"testing\"\n\nfunc TestF{number}(t *testing.T) {{ F{number}(1) }}\n"
                ),
            )?;
        }
        for os in ["windows", "darwin", "plan9"] {
            write(file(format!("other_{os}.go")), &format!("package {name}\n\nconst os = \"{os}\"\n"))?;
        }
        for number in 1..=2 {
            write(file(format!("data/{number}.txt")), &format!("{name} {number}\n"))?;
            write(file(format!("testdata/{number}.golden")), &format!("{name} {number}\n"))?;
        }
        write(file("README.md".to_owned()), &format!("# {name}\n"))?;
        write(file("notes.txt".to_owned()), "not embedded\n")?;
    }
    Ok(())
}
