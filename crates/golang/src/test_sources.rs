//! Tests whose log does not tell all that they read, by their sources.
//!
//! Go's log of a test begins and ends with `m.Run`, and has some calls of package os only. So sources are searched for what
//! may read beside it. The search errs to the safe side: it reads no Go, it looks for words. It sees the sources of
//! local packages; those of downloaded modules don't read a project's files before a test runs, as a rule.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rondel_cas::{MEMORY_MAX, read_at_most};

/// Words of sources that read beside the log, and what they are.
const UNLOGGED: &[(&str, &str)] = &[
    ("\"syscall\"", "they make system calls"),
    ("\"golang.org/x/sys", "they make system calls"),
    ("os.Readlink(", "`os.Readlink` is in no log"),
    ("os.Link(", "`os.Link` is in no log"),
    (".Chdir()", "`File.Chdir` is in no log"),
];

/// Words of sources that read files, or start programs that do.
const READERS: &[&str] = &[
    "os.Open",
    "os.ReadFile",
    "os.ReadDir",
    "os.Stat(",
    "os.Lstat(",
    "os.DirFS(",
    "os.OpenRoot(",
    "os.CopyFS(",
    "ioutil.Read",
    "filepath.Walk",
    "filepath.Glob(",
    "filepath.EvalSymlinks(",
    "exec.Command",
    "os.StartProcess(",
    ".ParseFiles(",
    ".ParseGlob(",
    "fs.WalkDir(",
    "http.Dir(",
    "http.ServeFile(",
];

/// Calls of variables of packages that read nothing.
const PURE: &[&str] = &[
    "regexp.MustCompile(",
    "regexp.MustCompilePOSIX(",
    "errors.New(",
    "fmt.Errorf(",
    "fmt.Sprintf(",
    "flag.Bool(",
    "flag.String(",
    "flag.Int(",
    "flag.Duration(",
    "strings.Repeat(",
    "strings.NewReplacer(",
    "time.Duration(",
    "make(",
    "new(",
    "len(",
    "big.NewInt(",
    "[]byte(",
    "time.Date(",
    "reflect.TypeOf(",
    "reflect.TypeFor[",
    "strings.TrimSpace(",
];

/// What is known of the sources of one package.
#[derive(Default)]
struct Package {
    /// Last parts of the import paths that they name.
    imports: BTreeSet<String>,
    /// True if they read files, or a package that they import may.
    may_read: bool,
    /// The first source that runs something before the tests.
    early: Option<String>,
}

/// Returns why the log of tests made of these Go files does not tell everything, in words. `is_own` says which belong to
/// the tested package itself.
pub(crate) fn unlogged<'a>(files: impl Iterator<Item = (&'a Path, bool)>) -> Option<String> {
    let mut packages: BTreeMap<&Path, Package> = BTreeMap::new();
    for (path, is_own) in files.filter(|(path, _)| path.extension().is_some_and(|ending| ending == "go")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // It was read before, so it is there; if not, nothing is known of it.
        let Ok(source) = read_at_most(path, MEMORY_MAX) else { return Some(format!("`{name}` could not be read")) };
        let source = String::from_utf8_lossy(&source);
        if let Some((_, why)) = UNLOGGED.iter().find(|(word, _)| source.contains(word)) {
            return Some(format!("{why} (`{name}`)"));
        }
        if is_own && name.ends_with("_test.go") && source.contains("func TestMain(") {
            return Some(format!("`TestMain` in `{name}` may read before and after the log"));
        }
        let package = packages.entry(path.parent().unwrap_or(Path::new("/"))).or_default();
        package.may_read |= READERS.iter().any(|word| source.contains(word));
        package.imports.extend(imports(&source).map(str::to_owned));
        if package.early.is_none() && runs_before_tests(&source) {
            package.early = Some(name.into_owned());
        }
    }
    spread(&mut packages);
    let mut early = packages.values().filter(|package| package.may_read).filter_map(|package| package.early.as_ref());
    early.next().map(|name| format!("`{name}` may read before the log begins"))
}

/// Marks the packages that import one which may read. Packages are known by the last parts of their names: two of one
/// name are taken for each other.
fn spread(packages: &mut BTreeMap<&Path, Package>) {
    let name_of = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    loop {
        let readers: BTreeSet<String> =
            packages.iter().filter(|(_, package)| package.may_read).map(|(path, _)| name_of(path)).collect();
        let mut changed = false;
        for package in packages.values_mut().filter(|package| !package.may_read) {
            package.may_read = package.imports.iter().any(|import| readers.contains(import));
            changed |= package.may_read;
        }
        if !changed {
            return;
        }
    }
}

/// Returns the last parts of the import paths of a source, and of other texts in quotes before its first function.
fn imports(source: &str) -> impl Iterator<Item = &str> {
    let lines = source.lines().take_while(|line| !line.starts_with("func "));
    let quoted = lines.filter_map(|line| line.split('"').nth(1));
    quoted.filter_map(|path| path.rsplit('/').next())
}

/// Returns true if a source calls something before `main`: in `init`, or for a variable of the package.
fn runs_before_tests(source: &str) -> bool {
    let mut is_in_block = false;
    for line in source.lines() {
        if line.starts_with("func init()") {
            return true;
        }
        match line.trim_end() {
            "var (" => is_in_block = true,
            ")" => is_in_block = false,
            _ => {}
        }
        let is_variable =
            line.starts_with("var ") || (is_in_block && line.starts_with('\t') && !line.starts_with("\t\t"));
        if is_variable
            && let Some((_, value)) = line.split_once('=')
            && calls(value)
        {
            return true;
        }
        // The end of a value of several lines: a function that is called at once.
        if line.starts_with("}()") || (is_in_block && line.starts_with("\t}()")) {
            return true;
        }
    }
    false
}

/// Returns true if a value may call a function that is not known to read nothing.
fn calls(value: &str) -> bool {
    let value = value.trim();
    if value.starts_with("func(") && !value.contains("}(") {
        return false;
    }
    let pure = PURE.iter().any(|call| value.starts_with(call));
    let calls = value.matches('(').count();
    calls > usize::from(pure)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn sources_that_read_beside_the_log() {
        let directory = std::env::temp_dir().join(format!("rondel-test-sources-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let reader = "func f() { os.ReadFile(name) }\n";
        for (name, source, is_own, expected) in [
            (
                "a_test.go",
                "func TestMain(m *testing.M) {}\n".to_owned(),
                true,
                Some("`TestMain` in `a_test.go` may read before and after the log"),
            ),
            ("a_test.go", "func TestMain(m *testing.M) {}\n".to_owned(), false, None),
            ("a.go", "import \"syscall\"\n".to_owned(), false, Some("they make system calls (`a.go`)")),
            ("a.go", "\tx, _ := os.Readlink(y)\n".to_owned(), false, Some("`os.Readlink` is in no log (`a.go`)")),
            (
                "a.go",
                format!("var data, _ = os.ReadFile(\"x\")\n{reader}"),
                true,
                Some("`a.go` may read before the log begins"),
            ),
            ("a.go", format!("var data = load(\"x\")\n{reader}"), true, Some("`a.go` may read before the log begins")),
            (
                "a.go",
                format!("var (\n\tdata = load(\"x\")\n)\n{reader}"),
                true,
                Some("`a.go` may read before the log begins"),
            ),
            ("a.go", format!("func init() {{}}\n{reader}"), true, Some("`a.go` may read before the log begins")),
            (
                "a.go",
                format!("var x = func() int {{\n\treturn 1\n}}()\n{reader}"),
                true,
                Some("`a.go` may read before the log begins"),
            ),
            (
                "a.go",
                format!("var re = regexp.MustCompile(`x(y)`)\n{reader}"),
                true,
                Some("`a.go` may read before the log begins"),
            ),
            ("a.go", format!("var re = regexp.MustCompile(`xy`)\n{reader}"), true, None),
            ("a.go", format!("var x = 1\nvar y func(int)\n{reader}"), true, None),
            ("a.go", "func init() {}\nvar x = f()\n".to_owned(), true, None),
            ("a.s", "func TestMain(".to_owned(), true, None),
        ] {
            let path = directory.join(name);
            fs::write(&path, &source).unwrap();
            let found = unlogged([(path.as_path(), is_own)].into_iter());
            assert_eq!(found.as_deref(), expected, "{source}");
            fs::remove_file(path).unwrap();
        }
        let gone = directory.join("gone.go");
        assert_eq!(unlogged([(gone.as_path(), true)].into_iter()).as_deref(), Some("`gone.go` could not be read"));
        fs::remove_dir_all(directory).unwrap();
    }

    /// What runs early is in one package, and what reads in another.
    #[test]
    fn packages_that_read_early_by_others() {
        let directory = std::env::temp_dir().join(format!("rondel-test-packages-{}", std::process::id()));
        let reader = "func f() { os.ReadFile(name) }\n";
        let write = |name: &str, source: &str| {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, source).unwrap();
            path
        };
        let config = write("config/config.go", &format!("package config\n{reader}"));
        let metrics = write("metrics/metrics.go", "package metrics\n\nvar total = NewCounter()\n");
        let between = write("between/b.go", "package between\n\nimport \"example.com/x/config\"\n");
        let server = write(
            "server/server.go",
            "package server\n\nimport (\n\t\"example.com/x/between\"\n)\n\nvar c = between.Load()\n",
        );
        let files = |paths: &[&std::path::PathBuf]| unlogged(paths.iter().map(|path| (path.as_path(), false)));
        assert_eq!(files(&[&config, &metrics]), None);
        let early = Some("`server.go` may read before the log begins".to_owned());
        assert_eq!(files(&[&server, &metrics, &between, &config]), early);
        assert_eq!(files(&[&server, &metrics, &between]), None);
        fs::remove_dir_all(directory).unwrap();
    }
}
