//! `StepKey`: the identity of a step. Records, closures, locks, durations and limits use it; people see its `Display`.

use std::fmt;

use rondel_cas::Digest;
use rondel_names::{Platform, TargetName};
use serde::{Deserialize, Serialize};

/// Maximum length of a file name in bytes. Longer names are cut and get a digest.
const FILE_NAME_MAX: usize = 180;

/// The identity of a step in a workspace. A step of Rondel's own has no target, so no name in build.ron can clash with
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepKey {
    /// The target of the step; `None` if several targets share it.
    pub target: Option<TargetName>,
    /// Role in the target.
    pub role: Role,
    /// The platform, if the step is for one.
    pub platform: Option<Platform>,
}

/// Role of a step in its target: `layer outputs`, `sbom`. The main step has an empty role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Role(String);

impl Role {
    /// Returns the role of the step that people mean by the target's name.
    pub fn main() -> Role {
        Role::default()
    }

    /// Returns a role by its words.
    pub fn new(words: impl Into<String>) -> Role {
        Role(words.into())
    }

    /// Returns the words; empty for the main step.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl StepKey {
    /// Returns the main step of a target.
    pub fn main(target: &TargetName) -> StepKey {
        StepKey { target: Some(target.clone()), role: Role::main(), platform: None }
    }

    /// Returns another step of a target.
    pub fn of(target: &TargetName, role: impl Into<String>) -> StepKey {
        StepKey { role: Role::new(role), ..StepKey::main(target) }
    }

    /// Returns a step that belongs to no target.
    pub fn shared(role: impl Into<String>) -> StepKey {
        StepKey { target: None, role: Role::new(role), platform: None }
    }

    /// Returns the key for one platform.
    pub fn on(self, platform: &Platform) -> StepKey {
        StepKey { platform: Some(platform.clone()), ..self }
    }

    /// Returns the target's name; empty for a step of Rondel's own.
    pub fn target_text(&self) -> &str {
        self.target.as_ref().map_or("", TargetName::as_str)
    }

    /// Returns a file name that no other key has: `server@linux_amd64`, `image#layer outputs@linux_amd64`.
    pub fn file_name(&self) -> String {
        let mut name = escaped(self.target_text());
        if !self.role.0.is_empty() {
            name.push('#');
            name.push_str(&escaped(&self.role.0));
        }
        if let Some(platform) = &self.platform {
            name.push('@');
            name.push_str(&platform.directory_name());
        }
        if name.len() <= FILE_NAME_MAX {
            return name;
        }
        let end = (0..=FILE_NAME_MAX).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
        format!("{}~{}", &name[..end], Digest::of(name.as_bytes()).short())
    }
}

/// Escapes `/` as `+`, and other troublesome bytes as `%` with two digits.
fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'/' => result.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b' ' => result.push(char::from(byte)),
            other => result.push_str(&format!("%{other:02x}")),
        }
    }
    result
}

impl fmt::Display for StepKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.target, self.role.0.as_str()) {
            (None, role) => formatter.write_str(role)?,
            (Some(target), "") => write!(formatter, "{target}")?,
            (Some(target), role) => write!(formatter, "{target}: {role}")?,
        }
        self.platform.as_ref().map_or(Ok(()), |platform| write!(formatter, " ({platform})"))
    }
}

/// Form of a key in records.
#[derive(Serialize, Deserialize)]
struct Written {
    target: Option<String>,
    role: Role,
    platform: Option<String>,
}

impl Serialize for StepKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let target = self.target.as_ref().map(ToString::to_string);
        let platform = self.platform.as_ref().map(ToString::to_string);
        Written { target, role: self.role.clone(), platform }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StepKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<StepKey, D::Error> {
        use serde::de::Error;
        let written = Written::deserialize(deserializer)?;
        let target = written.target.map(|name| TargetName::new(&name)).transpose().map_err(D::Error::custom)?;
        let platform = written.platform.map(|name| Platform::new(&name)).transpose().map_err(D::Error::custom)?;
        Ok(StepKey { target, role: written.role, platform })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn how_keys_look() {
        let name = |text: &str| TargetName::new(text).unwrap();
        let platform = Platform::new("linux/arm/v7").unwrap();
        let keys = [
            StepKey::main(&name("server")),
            StepKey::main(&name("server")).on(&platform),
            StepKey::of(&name("a/b"), "layer outputs").on(&platform),
            StepKey::shared("tool example.com/x/cmd/y"),
            StepKey::main(&name("tools")),
            StepKey::shared("tools"),
            StepKey::shared("50% + #1"),
        ];
        let text: String = keys.iter().map(|key| format!("{key} | {}\n", key.file_name())).collect();
        expect![[r#"
            server | server
            server (linux/arm/v7) | server@linux_arm_v7
            a/b: layer outputs (linux/arm/v7) | a+b#layer outputs@linux_arm_v7
            tool example.com/x/cmd/y | #tool example.com+x+cmd+y
            tools | tools
            tools | #tools
            50% + #1 | #50%25 %2b %231
        "#]]
        .assert_eq(&text);
        for key in &keys {
            let json = serde_json::to_string(key).unwrap();
            assert_eq!(serde_json::from_str::<StepKey>(&json).unwrap(), *key);
        }
    }

    #[test]
    fn long_names_stay_apart() {
        let long = |end: &str| StepKey::shared(format!("tool {}{end}", "x/".repeat(200))).file_name();
        assert!(long("a").len() <= 255);
        assert_ne!(long("a"), long("b"));
    }
}
