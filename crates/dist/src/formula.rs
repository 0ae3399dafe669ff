//! A formula for Homebrew, as text. No value of it can leave its string.

use std::fmt::Write as _;

/// A formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formula {
    /// Its name: a lower-case letter, then these, digits, `+`, `-`, `_`, `.` and `@`.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Address of the project.
    pub homepage: String,
    /// The version of the archives.
    pub version: String,
    /// The licence, in the terms of SPDX.
    pub licence: Option<String>,
    /// Formulas that it needs.
    pub dependencies: Vec<String>,
    /// The archives, one for each machine.
    pub archives: Vec<FormulaArchive>,
    /// Lines of Ruby that install it.
    pub install: Vec<String>,
    /// Lines of Ruby that test it.
    pub test: Vec<String>,
}

/// An archive of a formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormulaArchive {
    /// The machine that it is for.
    pub machine: FormulaMachine,
    /// Where it can be downloaded.
    pub url: String,
    /// Its digest in hexadecimal.
    pub sha256: String,
}

/// A machine that Homebrew knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FormulaMachine {
    /// macOS on Apple's own processors.
    MacosArm,
    /// macOS on those of Intel.
    MacosIntel,
    /// Linux on 64 bits of ARM.
    LinuxArm,
    /// Linux on 64 bits of Intel.
    LinuxIntel,
}

impl FormulaMachine {
    /// Returns the machine of a platform in Go's words; `None` if Homebrew knows none.
    pub fn of(os: &str, architecture: &str) -> Option<FormulaMachine> {
        match (os, architecture) {
            ("darwin", "arm64") => Some(FormulaMachine::MacosArm),
            ("darwin", "amd64") => Some(FormulaMachine::MacosIntel),
            ("linux", "arm64") => Some(FormulaMachine::LinuxArm),
            ("linux", "amd64") => Some(FormulaMachine::LinuxIntel),
            _ => None,
        }
    }

    /// Returns it in words, for a key.
    pub fn word(self) -> String {
        format!("{} {}", if self.is_macos() { "macos" } else { "linux" }, self.processor())
    }

    fn is_macos(self) -> bool {
        matches!(self, FormulaMachine::MacosArm | FormulaMachine::MacosIntel)
    }

    fn processor(self) -> &'static str {
        match self {
            FormulaMachine::MacosArm | FormulaMachine::LinuxArm => "arm",
            FormulaMachine::MacosIntel | FormulaMachine::LinuxIntel => "intel",
        }
    }
}

impl Formula {
    /// Returns the text of the file.
    pub fn text(&self) -> String {
        let mut text =
            format!("# Made with the release; changes are lost.\nclass {} < Formula\n", class_name(&self.name));
        let mut line = |word: &str, value: &str| writeln!(text, "  {word} {value}").unwrap_or_default();
        line("desc", &quoted(&self.description));
        line("homepage", &quoted(&self.homepage));
        line("version", &quoted(&self.version));
        if let Some(licence) = &self.licence {
            line("license", &licence_terms(licence));
        }
        let mut dependencies: Vec<String> = self.dependencies.iter().map(|name| quoted(name)).collect();
        match (self.has(true), self.has(false)) {
            (true, false) => dependencies.push(":macos".to_owned()),
            (false, true) => dependencies.push(":linux".to_owned()),
            _ => {}
        }
        if !dependencies.is_empty() {
            text.push('\n');
            dependencies.iter().for_each(|name| text.push_str(&format!("  depends_on {name}\n")));
        }
        for (is_macos, word) in [(true, "on_macos"), (false, "on_linux")] {
            let mut archives: Vec<&FormulaArchive> =
                self.archives.iter().filter(|archive| archive.machine.is_macos() == is_macos).collect();
            archives.sort_by_key(|archive| archive.machine);
            if archives.is_empty() {
                continue;
            }
            text.push_str(&format!("\n  {word} do\n"));
            for archive in archives {
                text.push_str(&format!(
                    "    on_{} do\n      url {}\n      sha256 {}\n    end\n",
                    archive.machine.processor(),
                    quoted(&archive.url),
                    quoted(&archive.sha256)
                ));
            }
            text.push_str("  end\n");
        }
        for (begin, lines) in [("def install", &self.install), ("test do", &self.test)] {
            if !lines.is_empty() {
                text.push_str(&format!("\n  {begin}\n"));
                lines.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
                text.push_str("  end\n");
            }
        }
        text + "end\n"
    }

    fn has(&self, is_macos: bool) -> bool {
        self.archives.iter().any(|archive| archive.machine.is_macos() == is_macos)
    }
}

/// Returns a line of Ruby that installs an executable.
pub fn install_line(executable: &str) -> String {
    format!("bin.install {}", quoted(executable))
}

/// Returns a text as a string of Ruby, in which nothing is evaluated.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' | '#' => quoted.extend(['\\', character]),
            character if character.is_control() => {
                quoted.push_str(&format!("\\u{{{:x}}}", u32::from(character)));
            }
            character => quoted.push(character),
        }
    }
    quoted + "\""
}

/// Returns the name of the class, by the rules of Homebrew.
fn class_name(name: &str) -> String {
    let mut class = String::new();
    let mut is_begin = true;
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        let next_is = |wanted: &dyn Fn(char) -> bool, next: Option<&char>| next.is_some_and(|next| wanted(*next));
        match character {
            '-' | '_' | '.' if next_is(&|next| next.is_ascii_alphanumeric(), characters.peek()) => {
                is_begin = true;
                continue;
            }
            '+' => class.push('x'),
            '@' if next_is(&|next| next.is_ascii_digit(), characters.peek()) => class.push_str("AT"),
            character if is_begin => class.push(character.to_ascii_uppercase()),
            character => class.push(character),
        }
        is_begin = false;
    }
    class
}

/// Returns a licence: a name, or a list of names of which any or all count.
fn licence_terms(licence: &str) -> String {
    for (word, terms) in [(" OR ", "any_of"), (" AND ", "all_of")] {
        let names: Vec<&str> = licence.split(word).collect();
        let is_simple = names.iter().all(|name| !name.is_empty() && !name.contains([' ', '(', ')']));
        if names.len() > 1 && is_simple {
            let names: Vec<String> = names.into_iter().map(quoted).collect();
            return format!("{terms}: [{}]", names.join(", "));
        }
    }
    quoted(licence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formula() -> Formula {
        let archive = |machine, name: &str| FormulaArchive {
            machine,
            url: format!("https://example.com/{name}.tar.gz"),
            sha256: "ab".repeat(32),
        };
        Formula {
            name: "small".to_owned(),
            description: "Greets".to_owned(),
            homepage: "https://example.com".to_owned(),
            version: "1.2.3".to_owned(),
            licence: Some("MIT OR Apache-2.0".to_owned()),
            dependencies: vec!["git".to_owned()],
            archives: vec![
                archive(FormulaMachine::LinuxIntel, "linux_amd64"),
                archive(FormulaMachine::MacosIntel, "darwin_amd64"),
                archive(FormulaMachine::MacosArm, "darwin_arm64"),
            ],
            install: vec![install_line("small")],
            test: vec![r#"system bin/"small", "--version""#.to_owned()],
        }
    }

    #[test]
    fn the_whole_file() {
        let digest = "ab".repeat(32);
        let expected = format!(
            r##"# Made with the release; changes are lost.
class Small < Formula
  desc "Greets"
  homepage "https://example.com"
  version "1.2.3"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "git"

  on_macos do
    on_arm do
      url "https://example.com/darwin_arm64.tar.gz"
      sha256 "{digest}"
    end
    on_intel do
      url "https://example.com/darwin_amd64.tar.gz"
      sha256 "{digest}"
    end
  end

  on_linux do
    on_intel do
      url "https://example.com/linux_amd64.tar.gz"
      sha256 "{digest}"
    end
  end

  def install
    bin.install "small"
  end

  test do
    system bin/"small", "--version"
  end
end
"##
        );
        assert_eq!(formula().text(), expected);
    }

    #[test]
    fn one_system_needs_itself() {
        let mut formula = formula();
        formula.archives.truncate(1);
        formula.dependencies.clear();
        assert!(formula.text().contains("\n\n  depends_on :linux\n\n  on_linux do\n"), "{}", formula.text());
        formula.archives[0].machine = FormulaMachine::MacosArm;
        assert!(formula.text().contains("\n\n  depends_on :macos\n\n  on_macos do\n"), "{}", formula.text());
    }

    #[test]
    fn names_of_classes() {
        for (name, class) in [
            ("small", "Small"),
            ("small-tool_x.y", "SmallToolXY"),
            ("small@1.2", "SmallAT12"),
            ("c++filt", "Cxxfilt"),
            ("a-1b", "A1b"),
        ] {
            assert_eq!(class_name(name), class);
        }
    }

    #[test]
    fn nothing_leaves_its_string() {
        for (text, ruby) in [
            (r#"a" ; system("x") #"#, r##""a\" ; system(\"x\") \#""##),
            ("#{`x`} #$x #@y", r##""\#{`x`} \#$x \#@y""##),
            (r"\", r#""\\""#),
            ("a\nend\u{7f}", r#""a\u{a}end\u{7f}""#),
            ("ä", r#""ä""#),
        ] {
            assert_eq!(quoted(text), ruby);
        }
        assert_eq!(licence_terms("MIT"), r#""MIT""#);
        assert_eq!(licence_terms("A AND B"), r#"all_of: ["A", "B"]"#);
        assert_eq!(licence_terms("(A OR B) AND C"), r#""(A OR B) AND C""#);
    }
}
