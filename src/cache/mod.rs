//! A whole cache: sealing its roots, verifying them, taking them away. Brings tree, policy and judgement together.

mod place;
mod seal;
mod verify;

pub use place::{RootState, Workspace};
pub use seal::{SealError, SealRequest, Sealed, seal};
pub use verify::{Facts, Verification, VerifyRequest, verify};
