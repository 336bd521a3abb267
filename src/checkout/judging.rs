//! Verifying a cache of an opened checkout, as the library, the command line and a guard do it.

use super::context::Context;
use super::failure::Failure;
use super::open::{Checkout, Trust};
use crate::base::Code;
use crate::cache::{Verification, VerifyRequest, verify_cache};
use crate::verify::Rule;

/// Why a policy is believed.
pub(crate) struct Belief {
    /// That, as the first of the rules.
    pub(crate) rule: Rule,
    /// Whether the lockfiles on disk can be believed, too.
    pub(crate) lockfiles_pinned: bool,
}

/// What is asked of a cache.
pub(crate) struct Asked<'a> {
    /// The cache's name.
    pub(crate) cache: &'a str,
    /// The gate's name.
    pub(crate) gate: &'a str,
    /// Whether to keep what is trusted, for a look whether it stays as it is.
    pub(crate) keep: bool,
}

impl Checkout {
    /// Verifies a cache at a gate: its roots and its seal, as they are on disk now. A cache is trusted if and only if
    /// the verification has no refusal.
    ///
    /// # Errors
    ///
    /// If nothing could be decided: the policy has no such cache or gate, or a lockfile that the gate needs cannot be
    /// read.
    pub fn verify(&self, cache: &str, gate: &str, context: &Context) -> Result<Verification, Failure> {
        self.verify_as(&Asked { cache, gate, keep: false }, self.belief(), context)
    }

    /// Why this checkout is believed, by what it was opened with.
    fn belief(&self) -> Belief {
        let (expected, origin) = match self.trust {
            Trust::Sha256(pin) => (format!("policy and the files it names of sha256 {pin}"), "--policy-sha256"),
            Trust::Checkout => ("a checkout that nothing has written to".to_owned(), "--trust-checkout"),
        };
        let found = format!("sha256 {}", self.digest);
        let rule = Rule { code: Code::PolicyChanged, expected, found, met: true, origin: origin.to_owned() };
        // The digest covers policy and keys, not the lockfiles.
        Belief { rule, lockfiles_pinned: self.trust == Trust::Checkout }
    }

    /// The same, believed for another reason.
    pub(crate) fn verify_as(
        &self,
        asked: &Asked<'_>,
        belief: Belief,
        context: &Context,
    ) -> Result<Verification, Failure> {
        let edge = self.policy.edge(asked.cache, asked.gate)?;
        let is_proven = edge.gate.require.lockfile && belief.lockfiles_pinned;
        let locked = is_proven.then(|| self.locked(edge.cache, &context.limits)).transpose()?;
        let mut verification = verify_cache(&VerifyRequest {
            workspace: &self.workspace,
            edge: &edge,
            roots: self.roots(asked.cache),
            lockfiles_pinned: belief.lockfiles_pinned,
            locked: locked.as_ref(),
            now: context.now,
            platform: context.platform.clone(),
            keep: asked.keep,
            options: context.options(),
        });
        verification.rules.insert(0, belief.rule);
        Ok(verification)
    }
}
