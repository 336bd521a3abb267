//! A whole cache: sealing its roots, verifying them, taking them away. Brings tree, policy and judgement together.

mod archived;
mod checkout_lockfiles;
mod cosigning;
mod links;
mod loading;
mod lockfiles;
mod packing;
mod place;
mod proving;
mod rechecking;
mod sealing;
mod unpacking;
mod unread_seal;
mod unverified;
mod verifying;

pub use archived::{ArchiveRequest, ArchiveVerification, verify_archive};
pub use cosigning::{Vouched, cosign};
pub(crate) use loading::{ByNobody, Loader, SealFiles, UnverifiedSeal, sealed_roots};
pub use packing::{PackError, PackRequest, Packed, pack};
pub use place::{RootState, Workspace};
pub use rechecking::{Kept, KeptRoot, Recheck, RecheckRequest, recheck};
pub use sealing::{SealError, SealRequest, Sealed, seal_cache};
pub use unpacking::{UnpackError, UnpackRequest, Unpacked, unpack};
pub use verifying::{Facts, Verification, VerifyRequest, verify_cache};
