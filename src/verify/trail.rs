//! Every rule that was applied: what was compared, and the line of the policy that it came from.

use serde::{Deserialize, Serialize};

use crate::base::{Code, Refusal, Refusals};

/// One rule, applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The code that it refuses with.
    pub code: Code,
    /// What it wants.
    pub expected: String,
    /// What there was.
    pub found: String,
    /// Whether it is met.
    pub met: bool,
    /// File and line of the policy, or where else it comes from.
    pub origin: String,
}

/// The rules in the order in which they were applied, and the refusals of those that were not met.
#[derive(Debug, Clone)]
pub struct Trail {
    place: String,
    rules: Vec<Rule>,
    refusals: Refusals,
}

impl Trail {
    /// An empty trail. `place` is where its refusals say the seal is.
    #[must_use]
    pub fn new(place: impl Into<String>, cap: usize) -> Self {
        Self { place: place.into(), rules: Vec::new(), refusals: Refusals::new(cap) }
    }

    /// Notes a rule; refuses where it is not met.
    pub fn rule(
        &mut self,
        code: Code,
        met: bool,
        expected: impl Into<String>,
        found: impl Into<String>,
        origin: impl Into<String>,
    ) -> bool {
        let rule = Rule { code, expected: expected.into(), found: found.into(), met, origin: origin.into() };
        if !met {
            self.refusals.push(Refusal::new(code, self.place.as_str(), rule.expected.as_str(), rule.found.as_str()));
        }
        self.rules.push(rule);
        met
    }

    /// Notes a rule without refusing: another rule decides whether it matters.
    pub fn note(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// Adds a refusal whose rule was noted before.
    pub fn refuse(&mut self, rule: &Rule) {
        self.refusals.push(Refusal::new(rule.code, self.place.as_str(), rule.expected.as_str(), rule.found.as_str()));
    }

    /// The refusals so far.
    #[must_use]
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Rules and refusals.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Rule>, Refusals) {
        (self.rules, self.refusals)
    }
}
