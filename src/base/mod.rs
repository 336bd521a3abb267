//! The words every other room shares: codes, digests, entry paths, limits, refusals. Imports nothing of ours.

mod buffer;
mod code;
mod digest;
mod display;
#[doc(hidden)]
pub mod exact;
mod json;
mod limits;
mod path;
mod refusal;
mod subtree;

#[doc(hidden)]
pub use buffer::{Buffer, Bytes};
pub use code::{Code, Exit};
#[doc(hidden)]
pub use digest::Hasher;
pub use digest::{Algorithm, Digest};
pub use display::{Escaped, plural};
#[doc(hidden)]
pub use json::{Json, JsonError};
pub use limits::Limits;
#[doc(hidden)]
pub use path::{EntryPath, PathError, escape_into, split_name, unescape};
pub use refusal::{Refusal, Refusals, Stream, place};
#[doc(hidden)]
pub use subtree::{Subtree, SubtreeHasher, Subtrees};
