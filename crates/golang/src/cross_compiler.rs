//! The C compilers that make programs for other platforms: their usual names, what lies beside one, and what Debian calls
//! the package with it. It knows names only, no files and no keys.

use rondel_names::Platform;

/// Platforms whose cross compilers have a usual name: the prefix of the programs, and the package of Debian. An empty
/// package is not in Debian; llvm-mingw has programs of these names.
const PREFIXES: &[(&str, &str, &str)] = &[
    ("linux/386", "i686-linux-gnu", "gcc-i686-linux-gnu"),
    ("linux/amd64", "x86_64-linux-gnu", "gcc-x86-64-linux-gnu"),
    ("linux/arm", "arm-linux-gnueabihf", "gcc-arm-linux-gnueabihf"),
    ("linux/arm/v5", "arm-linux-gnueabi", "gcc-arm-linux-gnueabi"),
    // Debian's hard-float port begins with ARMv7.
    ("linux/arm/v6", "arm-linux-gnueabi", "gcc-arm-linux-gnueabi"),
    ("linux/arm64", "aarch64-linux-gnu", "gcc-aarch64-linux-gnu"),
    ("linux/loong64", "loongarch64-linux-gnu", "gcc-loongarch64-linux-gnu"),
    ("linux/mips", "mips-linux-gnu", "gcc-mips-linux-gnu"),
    ("linux/mips64", "mips64-linux-gnuabi64", "gcc-mips64-linux-gnuabi64"),
    ("linux/mips64le", "mips64el-linux-gnuabi64", "gcc-mips64el-linux-gnuabi64"),
    ("linux/mipsle", "mipsel-linux-gnu", "gcc-mipsel-linux-gnu"),
    ("linux/ppc64", "powerpc64-linux-gnu", "gcc-powerpc64-linux-gnu"),
    ("linux/ppc64le", "powerpc64le-linux-gnu", "gcc-powerpc64le-linux-gnu"),
    ("linux/riscv64", "riscv64-linux-gnu", "gcc-riscv64-linux-gnu"),
    ("linux/s390x", "s390x-linux-gnu", "gcc-s390x-linux-gnu"),
    ("windows/386", "i686-w64-mingw32", "gcc-mingw-w64-i686"),
    ("windows/amd64", "x86_64-w64-mingw32", "gcc-mingw-w64-x86-64"),
    ("windows/arm", "armv7-w64-mingw32", ""),
    ("windows/arm64", "aarch64-w64-mingw32", ""),
];

/// C compilers of this machine, the first that is there counts.
pub const NATIVE_C_COMPILERS: [&str; 3] = ["gcc", "cc", "clang"];

/// What the programs of a cross compiler begin with: `aarch64-linux-gnu` of `aarch64-linux-gnu-gcc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossPrefix {
    prefix: String,
    package: &'static str,
}

impl CrossPrefix {
    /// Returns the usual prefix for a platform, by its variant if there is one for that.
    pub fn usual(platform: &Platform) -> Option<CrossPrefix> {
        let (exact, base) = (platform.to_string(), platform.base().to_string());
        let of = |name: &str| PREFIXES.iter().find(|(platform, ..)| *platform == name);
        let (_, prefix, package) = of(&exact).or_else(|| of(&base))?;
        Some(CrossPrefix { prefix: (*prefix).to_owned(), package })
    }

    /// Returns the prefix of a compiler's command, if its name has one.
    pub(crate) fn of_command(words: &[String]) -> Option<CrossPrefix> {
        let (_, name) = split_path(words.first()?);
        let (prefix, _) = split_compiler(name)?;
        let prefix = prefix.strip_suffix('-').filter(|prefix| !prefix.is_empty())?;
        Some(CrossPrefix { prefix: prefix.to_owned(), package: "" })
    }

    /// Returns the name of the C compiler.
    pub fn c_compiler(&self) -> String {
        format!("{}-gcc", self.prefix)
    }

    /// Returns how the C compiler is installed, in words.
    pub fn installation(&self) -> String {
        match self.package {
            "" => "install it (llvm-mingw has it)".to_owned(),
            package => format!("install it (Debian: `apt install {package}`)"),
        }
    }

    /// Returns the names of a pkg-config that finds packages for the platform only.
    pub(crate) fn pkg_config_programs(&self) -> Vec<String> {
        self.library_names().map(|name| format!("{name}-pkg-config")).collect()
    }

    /// Returns the directories where packages for the platform are described, the most usual first. The last one holds
    /// those for all architectures.
    pub(crate) fn pkg_config_directories(&self) -> Vec<String> {
        let own = self.library_names().flat_map(|name| {
            [format!("/usr/local/lib/{name}/pkgconfig"), format!("/usr/lib/{name}/pkgconfig")]
                .into_iter()
                .chain([format!("/usr/{name}/lib/pkgconfig")])
        });
        own.chain(["/usr/share/pkgconfig".to_owned()]).collect()
    }

    /// Debian's libraries for a 386 are in directories of another name than its compiler.
    fn library_names(&self) -> impl Iterator<Item = &str> {
        let other = (self.prefix == "i686-linux-gnu").then_some("i386-linux-gnu");
        [self.prefix.as_str()].into_iter().chain(other)
    }
}

/// Architectures by the first part of a compiler's machine, each with those that its programs can be for: with `-m32` and
/// the like.
const MACHINES: &[(&str, &[&str])] = &[
    ("aarch64", &["arm64"]),
    ("arm64", &["arm64"]),
    ("x86_64", &["amd64", "386"]),
    ("i386", &["amd64", "386"]),
    ("i686", &["amd64", "386"]),
    ("arm", &["arm"]),
    ("riscv64", &["riscv64"]),
    ("s390x", &["s390x"]),
    ("powerpc64le", &["ppc64le", "ppc64"]),
];

/// Returns true if a compiler whose machine this is (`aarch64-linux-gnu`) surely makes no programs for `platform`.
pub(crate) fn is_for_something_else(machine: &str, platform: &Platform) -> bool {
    let (architecture, rest) = machine.split_once('-').unwrap_or((machine, ""));
    let of_machine = MACHINES.iter().find(|(name, _)| *name == architecture).map(|(_, architectures)| *architectures);
    let other_architecture = of_machine.is_some_and(|architectures| !architectures.contains(&platform.architecture()));
    let is_windows = rest.contains("mingw") || rest.contains("windows");
    let is_linux = rest.contains("linux") && !rest.contains("android");
    let other_os = match platform.os() {
        "linux" => is_windows,
        "windows" => is_linux,
        _ => is_linux || is_windows,
    };
    other_architecture || other_os
}

/// Returns the command of the C++ compiler that belongs to a C compiler: `g++` to `gcc`, `zig c++` to `zig cc`.
pub(crate) fn cxx_command(words: &[String]) -> Option<Vec<String>> {
    let (directory, name) = split_path(words.first()?);
    let mut found = words.to_vec();
    if name == "zig" {
        *found.get_mut(1).filter(|word| word.as_str() == "cc")? = "c++".to_owned();
        return Some(found);
    }
    let (prefix, rest) = split_compiler(name)?;
    let (c, cxx) = COMPILERS.iter().find(|(c, _)| rest.starts_with(c))?;
    found[0] = format!("{directory}{prefix}{cxx}{}", &rest[c.len()..]);
    Some(found)
}

/// Names of C compilers, and of the C++ compiler of each.
const COMPILERS: &[(&str, &str)] = &[("clang", "clang++"), ("gcc", "g++"), ("cc", "c++")];

/// Splits a compiler's name: `aarch64-linux-gnu-gcc-12` into what precedes `gcc-12`, and that.
fn split_compiler(name: &str) -> Option<(&str, &str)> {
    let version = |text: &str| text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '.'));
    COMPILERS.iter().find_map(|(c, _)| {
        let at = name.rfind(c)?;
        let (prefix, rest) = name.split_at(at);
        let is_word = prefix.is_empty() || prefix.ends_with('-');
        (is_word && version(&rest[c.len()..])).then_some((prefix, rest))
    })
}

/// Splits a path after the last slash.
fn split_path(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('/').map_or(0, |at| at + 1))
}

/// Splits a command as the go command splits `CC`: at white space, except in words that begin with a quote. Returns `None`
/// if a quote is not closed.
pub fn split_command(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '\'' | '"' => {
                let (word, after) = rest[1..].split_once(first)?;
                words.push(word.to_owned());
                rest.len() - after.len()
            }
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                words.push(rest[..end].to_owned());
                end
            }
        };
        rest = rest[end..].trim_start();
    }
    Some(words)
}

/// Joins words so that the go command splits them again. A word with white space and both kinds of quotes can't be joined.
pub(crate) fn join_command<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let quoted = |word: &str| {
        let is_plain = !word.is_empty() && !word.contains(char::is_whitespace) && !word.starts_with(['\'', '"']);
        match (is_plain, word.contains('\''), word.contains('"')) {
            (true, ..) => Some(word.to_owned()),
            (false, false, _) => Some(format!("'{word}'")),
            (false, true, false) => Some(format!("\"{word}\"")),
            (false, true, true) => None,
        }
    };
    let words: Option<Vec<String>> = words.into_iter().map(quoted).collect();
    Some(words?.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_usual_name_is_for_a_platform() {
        for (platform, prefix, _) in PREFIXES {
            let found = CrossPrefix::usual(&Platform::new(platform).unwrap()).unwrap();
            assert_eq!(found.c_compiler(), format!("{prefix}-gcc"));
        }
        let of = |text: &str| CrossPrefix::usual(&Platform::new(text).unwrap()).map(|prefix| prefix.c_compiler());
        assert_eq!(of("linux/arm/v7").unwrap(), "arm-linux-gnueabihf-gcc");
        assert_eq!(of("linux/amd64/v3").unwrap(), "x86_64-linux-gnu-gcc");
        assert_eq!((of("darwin/arm64"), of("android/arm64"), of("freebsd/amd64")), (None, None, None));
    }

    #[test]
    fn what_belongs_to_a_compiler() {
        let of = |text: &str| {
            let words = split_command(text).unwrap();
            let prefix = CrossPrefix::of_command(&words).map(|prefix| prefix.prefix).unwrap_or_default();
            (prefix, cxx_command(&words).map(|words| words.join(" ")).unwrap_or_default())
        };
        let expected = |prefix: &str, cxx: &str| (prefix.to_owned(), cxx.to_owned());
        assert_eq!(of("aarch64-linux-gnu-gcc"), expected("aarch64-linux-gnu", "aarch64-linux-gnu-g++"));
        assert_eq!(of("/x-gcc/bin/arm-none-gcc-12.2"), expected("arm-none", "/x-gcc/bin/arm-none-g++-12.2"));
        assert_eq!(of("zig cc -target a-b"), expected("", "zig c++ -target a-b"));
        assert_eq!(of("clang --target=x"), expected("", "clang++ --target=x"));
        assert_eq!(of("o64-clang"), expected("o64", "o64-clang++"));
        for other in ["tcc", "zig run", "mycompiler", "gcc-wrapper"] {
            assert_eq!(of(other), expected("", ""), "{other}");
        }
    }

    #[test]
    fn places_of_packages() {
        let directories =
            |text: &str| CrossPrefix::usual(&Platform::new(text).unwrap()).unwrap().pkg_config_directories();
        let places = |name: &str| {
            [
                format!("/usr/local/lib/{name}/pkgconfig"),
                format!("/usr/lib/{name}/pkgconfig"),
                format!("/usr/{name}/lib/pkgconfig"),
            ]
        };
        let of_all = "/usr/share/pkgconfig".to_owned();
        let arm64: Vec<String> = places("aarch64-linux-gnu").into_iter().chain([of_all.clone()]).collect();
        assert_eq!(directories("linux/arm64"), arm64);
        let of_386 = places("i686-linux-gnu").into_iter().chain(places("i386-linux-gnu")).chain([of_all]);
        assert_eq!(directories("linux/386"), of_386.collect::<Vec<_>>());
    }

    #[test]
    fn compilers_for_something_else() {
        let is = |machine: &str, platform: &str| is_for_something_else(machine, &Platform::new(platform).unwrap());
        for (machine, platform) in [
            ("x86_64-linux-gnu", "linux/arm64"),
            ("aarch64-linux-gnu", "linux/amd64"),
            ("x86_64-w64-mingw32", "linux/amd64"),
            ("x86_64-linux-gnu", "windows/amd64"),
            ("aarch64-linux-gnu", "darwin/arm64"),
            ("arm-linux-gnueabihf", "linux/arm64"),
        ] {
            assert!(is(machine, platform), "{machine} {platform}");
        }
        for (machine, platform) in [
            ("x86_64-linux-gnu", "linux/386"),
            ("aarch64-unknown-linux-musl", "linux/arm64"),
            ("arm-linux-gnueabi", "linux/arm/v6"),
            ("arm64-apple-darwin23", "darwin/arm64"),
            ("aarch64-linux-android21", "android/arm64"),
            ("x86_64-w64-windows-gnu", "windows/amd64"),
            ("riscv64-linux-gnu", "linux/riscv64"),
            ("weird", "linux/arm64"),
            ("", "linux/arm64"),
        ] {
            assert!(!is(machine, platform), "{machine} {platform}");
        }
    }

    #[test]
    fn words_of_a_command() {
        let words = split_command(" zig  cc '-a b' \"c'd\" e'f ").unwrap();
        assert_eq!(words, ["zig", "cc", "-a b", "c'd", "e'f"]);
        assert_eq!(split_command(&join_command(words.iter().map(String::as_str)).unwrap()).unwrap(), words);
        assert_eq!(split_command("'gcc"), None);
        assert_eq!(split_command(" "), Some(Vec::new()));
        assert_eq!(join_command(["a b'\""]), None);
    }
}
