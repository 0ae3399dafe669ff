//! Parameters of targets in the analysis: whose values count while a text is evaluated.

use std::collections::BTreeSet;

use rondel_buildfile::{Target, TargetName, VariableName};
use rondel_engine::UserError;

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::variables::Scope;

impl<'a> Analyzer<'a> {
    /// Calls `work` with the kind of `target`. Meanwhile texts have the parameters of `target`.
    pub(crate) fn within<T>(
        &mut self,
        target: &'a Target,
        work: impl FnOnce(&mut Analyzer<'a>, &'a dyn Analyze) -> T,
    ) -> T {
        let outer = self.variables.enter(self.scope_of(target));
        let kind = self.behaviour(target);
        let result = work(self, kind);
        self.variables.enter(outer);
        result
    }

    /// Calls `work`, which only reads. Meanwhile texts have the parameters of `target`.
    pub(crate) fn in_scope<T>(&self, target: &Target, work: impl FnOnce() -> T) -> T {
        let outer = self.variables.enter(self.scope_of(target));
        let result = work();
        self.variables.enter(outer);
        result
    }

    /// Returns the parameters of `target`: the value of the command line, else the default.
    fn scope_of(&self, target: &Target) -> Scope {
        let given = self.request.parameters.get(&target.name.value);
        let value_of = |name: &VariableName, default: Option<&str>| {
            given.and_then(|values| values.get(name)).cloned().or_else(|| default.map(str::to_owned))
        };
        let params = target.common.params.iter().filter_map(|(name, param)| {
            let name = VariableName::new(&name.value).ok()?;
            let value = value_of(&name, param.default_value());
            Some((name, value))
        });
        params.collect()
    }

    /// Refuses values for a target that another one of this run needs too: there it has its defaults, and one run makes
    /// each target once.
    pub(crate) fn check_parameters(&self) -> Analyzed<()> {
        for (name, values) in &self.request.parameters {
            let target = self.find(name)?;
            let is_default = |(name, value): (&VariableName, &String)| {
                let param = target.common.params.iter().find(|(param, _)| param.value == name.as_str());
                param.is_some_and(|(_, param)| param.default_value() == Some(value))
            };
            if values.iter().all(is_default) {
                continue;
            }
            let others: BTreeSet<&TargetName> = self.request.targets.iter().filter(|other| *other != name).collect();
            if let Some(user) = others.into_iter().find(|other| self.needs(other, name)) {
                let message =
                    format!("`{user}` runs `{name}` with the defaults of its parameters, not with these values");
                return Err(
                    UserError::input(message).hint(format!("ask for `{user}` and `{name}` one after the other"))
                );
            }
        }
        Ok(())
    }
}
