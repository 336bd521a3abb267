//! The words every other room shares: codes, digests, entry paths, limits, refusals. Imports nothing of ours.

mod buffer;
mod code;
mod digest;
mod display;
pub mod exact;
mod json;
mod limits;
mod path;
mod refusal;
mod subtree;

pub use buffer::{Buffer, Bytes};
pub use code::{Code, Exit};
pub use digest::{Algorithm, Digest, Hasher};
pub use display::{Escaped, plural};
pub use json::{Json, JsonError};
pub use limits::Limits;
pub use path::{EntryPath, PathError, escape_into, split_name, unescape};
pub use refusal::{Refusal, Refusals, Stream, place};
pub use subtree::{Subtree, SubtreeHasher, Subtrees};
