//! `guard recheck`, as the guard answers it.

use super::super::system::options;
use super::duty::State;
use crate::base::{Code, Refusals};
use crate::cache::{Kept, RecheckRequest, recheck};
use crate::checkout::{Context, Failure};
use crate::guard::{Recheck, Unkept};
use crate::policy::Glob;
use crate::report::{Looked, RecheckReport};

impl State {
    /// Compares what was verified with what is there.
    pub(super) fn recheck(&self, asked: &Recheck, context: &Context) -> Result<RecheckReport, Failure> {
        let new_allowed: Result<Vec<_>, _> = asked.new_allowed.iter().map(|text| Glob::parse(text)).collect();
        let new_allowed = new_allowed.map_err(|error| Failure::new(Code::Usage, format!("`--allow-new`: {error}")))?;
        let names = if asked.caches.is_empty() { self.caches() } else { asked.caches.clone() };
        let mut refusals = Refusals::new(context.limits.refusals_max);
        let mut all = Vec::new();
        for name in names {
            self.guarded(&name)?;
            let kept = match self.guard.kept(&name) {
                Ok(kept) => kept,
                Err(Unkept::Refused(refusal)) => {
                    refusals.push(refusal);
                    continue;
                }
                Err(Unkept::Unsealed) => return Err(unsealed(&name)),
            };
            let found = recheck(&self.request(&name, kept, asked, &new_allowed, context));
            refusals.append(found.refusals);
            all.push(Looked::new(name, kept.entries(), found.counts));
        }
        Ok(RecheckReport::new(all, asked.full, refusals))
    }

    fn request<'a>(
        &'a self,
        name: &str,
        kept: &'a Kept,
        asked: &Recheck,
        new_allowed: &'a [Glob],
        context: &'a Context,
    ) -> RecheckRequest<'a> {
        RecheckRequest {
            workspace: &self.checkout.workspace,
            home: context.home_directory(),
            kept,
            roots: self.checkout.roots(name),
            full: asked.full,
            new_allowed,
            options: options(asked.threads, context),
        }
    }
}

/// A lockfile proof says nothing of an entry that is read again by itself.
fn unsealed(cache: &str) -> Failure {
    let message =
        format!("expected a cache whose seal says what each entry is; `{cache}` was trusted for its lockfiles");
    Failure::new(Code::Usage, message)
        .hint(format!("verify it once more: `cacheseal verify {cache} --gate GATE --guard`"))
        .hint("name the other caches to look at those")
}
