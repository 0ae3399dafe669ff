//! The environment of a process, in four classes.
//!
//! Processes start with an empty environment. A variable is in one of four classes:
//!
//! - *keyed*: it changes results. Name and value are in the key.
//! - *located*: it names a place on this machine. A placeholder is in the key.
//! - *passed*: it says how to reach the world, not what to make. Its name is in the key, set or not.
//! - *secret*: its name is in the key. Its value is nowhere but in the process.

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
}

/// The value of a variable that a target declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvironmentValue {
    /// In the key.
    Plain(String),
    /// Never shown or stored.
    Secret(String),
}

/// The variables of one process.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: Vec<(String, Option<String>, Class)>,
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
                };
                (name.clone(), shown)
            })
            .collect();
        pairs.sort();
        pairs
    }

    /// Returns the names of the secret variables.
    pub fn secret_names(&self) -> Vec<String> {
        let secret = self.variables.iter().filter(|(.., class)| *class == Class::Secret);
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
}
