//! The environment of a process, in five classes.
//!
//! Processes start with an empty environment. A variable is in one of five classes:
//!
//! - *keyed*: it changes results. Name and value are in the key.
//! - *located*: it names a place on this machine. A placeholder is in the key.
//! - *passed*: it says how to reach the world, not what to make. Its name is in the key, set or not.
//! - *secret*: its name is in the key. Its value is nowhere but in the process.
//! - *sealed*: it changes results and may be a secret. Its name is in the key, and what [`Seal`](crate::Seal) makes of its
//!   value.

use std::collections::BTreeMap;

/// How a variable affects the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Changes results.
    Keyed,
    /// A path of this machine.
    Located,
    /// Access to the world, such as a proxy.
    Passed,
    /// A secret.
    Secret,
    /// Changes results, and may be a secret.
    Sealed,
}

/// The value of a variable that a target declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvironmentValue {
    /// In the key.
    Plain(String),
    /// Never shown or stored.
    Secret(String),
    /// Never shown or stored, but for its seal, which is in the key.
    Sealed {
        /// The value.
        value: String,
        /// Its seal.
        seal: String,
    },
}

/// The variables of one process.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: Vec<(String, Option<String>, Class)>,
    /// Seals of the sealed variables.
    seals: BTreeMap<String, String>,
}

impl Environment {
    /// Returns an empty environment.
    pub fn new() -> Environment {
        Environment::default()
    }

    /// Sets `name` and replaces its former value.
    pub fn set(&mut self, class: Class, name: &str, value: impl Into<String>) {
        self.set_optional(class, name, Some(value.into()));
    }

    /// Sets `name` to the value that a target declares.
    pub fn declare(&mut self, name: &str, value: &EnvironmentValue) {
        match value {
            EnvironmentValue::Plain(value) => self.set(Class::Keyed, name, value),
            EnvironmentValue::Secret(value) => self.set(Class::Secret, name, value),
            EnvironmentValue::Sealed { value, seal } => {
                self.set(Class::Sealed, name, value);
                self.seals.insert(name.to_owned(), seal.clone());
            }
        }
    }

    /// Declares `name`, which may have no value on this machine.
    pub fn set_optional(&mut self, class: Class, name: &str, value: Option<String>) {
        self.variables.retain(|(other, ..)| other != name);
        self.variables.push((name.to_owned(), value, class));
    }

    /// Returns the class and the value of `name`, if it has a value.
    pub fn get(&self, name: &str) -> Option<(Class, &str)> {
        let (_, value, class) = self.variables.iter().find(|(other, ..)| other == name)?;
        Some((*class, value.as_deref()?))
    }

    /// Returns the variables of the process.
    pub fn for_process(&self) -> Vec<(String, String)> {
        self.variables.iter().filter_map(|(name, value, _)| Some((name.clone(), value.clone()?))).collect()
    }

    /// Returns the names and values for the key, sorted by name. The first character separates the classes: a keyed
    /// value can't look like a placeholder.
    pub fn for_key(&self) -> Vec<(String, String)> {
        let mut pairs: Vec<(String, String)> = self
            .variables
            .iter()
            .map(|(name, value, class)| {
                let shown = match class {
                    Class::Keyed => value.as_ref().map_or_else(|| "-".to_owned(), |value| format!("={value}")),
                    Class::Located => "@located".to_owned(),
                    Class::Passed => "@passed".to_owned(),
                    Class::Secret => "@secret".to_owned(),
                    Class::Sealed => format!("#{}", self.seals.get(name).map_or("", String::as_str)),
                };
                (name.clone(), shown)
            })
            .collect();
        pairs.sort();
        pairs
    }

    /// Returns the names of the variables whose values are not shown.
    pub fn secret_names(&self) -> Vec<String> {
        let secret = self.variables.iter().filter(|(.., class)| matches!(class, Class::Secret | Class::Sealed));
        secret.map(|(name, ..)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only keyed values reach the key; of the other classes only the names do.
    #[test]
    fn four_classes() {
        let with = |class, value: &str| {
            let mut environment = Environment::new();
            environment.set(class, "X", value);
            environment.for_key()
        };
        assert_ne!(with(Class::Keyed, "1"), with(Class::Keyed, "2"));
        for class in [Class::Located, Class::Passed, Class::Secret] {
            assert_eq!(with(class, "canary-1"), with(class, "canary-2"));
            assert_ne!(with(class, "1"), with(Class::Keyed, "1"));
            assert_ne!(with(class, "1"), Environment::new().for_key());
        }
        assert_ne!(with(Class::Keyed, "@secret"), with(Class::Secret, ""));
    }

    /// Of a sealed value only the seal is in the key.
    #[test]
    fn the_seal_is_in_the_key() {
        let with = |value: &str, seal: &str| {
            let mut environment = Environment::new();
            environment.declare("X", &EnvironmentValue::Sealed { value: value.to_owned(), seal: seal.to_owned() });
            assert_eq!(environment.secret_names(), ["X"]);
            environment.for_key()
        };
        assert_eq!(with("canary", "1"), [("X".to_owned(), "#1".to_owned())]);
        assert_eq!(with("canary", "1"), with("other", "1"));
        assert_ne!(with("canary", "1"), with("canary", "2"));
    }
}
