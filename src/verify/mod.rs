//! Judgement, pure: whether a seal is by whom the gate accepts, for what the checkout wants. `docs/VERIFY.md`
//! numbers the rules.

mod base;
mod coverage;
mod opened;
mod rules;
mod trail;

pub use base::weaker_gate;
pub use coverage::{Amount, Coverage, Judge, Judged, Judgement, Nature, UnprovenFile};
pub use opened::{TrustedSeal, judge_envelope};
pub use rules::{Consumer, Lockfiles, MAX_SKEW, key_rules, recalled_manifests, scope};
pub use trail::{Rule, Trail};
