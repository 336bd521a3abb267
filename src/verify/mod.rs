//! Judgement, pure: whether a seal is by whom the gate accepts, for what the checkout wants. `docs/VERIFY.md`
//! numbers the rules.

mod opened;
mod rules;
mod trail;

pub use opened::{TrustedSeal, judge_envelope};
pub use rules::{Checkout, Lockfiles, MAX_SKEW, key_rules, recalled_manifests, scope};
pub use trail::{Rule, Trail};
