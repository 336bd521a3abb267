//! Cache archives: tar streams, plain or in gzip or Zstandard, read in one pass and without writing anything; and
//! written, in one form that all programs read alike.
//!
//! Tar is many formats, and programs differ in how they read them. Whoever verifies an archive in one way and unpacks
//! it in another has verified nothing, so everything that is not read alike by GNU tar, bsdtar, Python and Go is
//! refused. Sources: POSIX.1-1988 (ustar), POSIX.1-2001 (pax), the manual of GNU tar, RFC 1952 (gzip), RFC 8878
//! (Zstandard).

mod acl;
mod codec;
mod encode;
mod ends;
mod entries;
mod error;
mod extension;
mod framed;
mod frames;
mod header;
mod keys;
mod layout;
mod pool;
mod reader;
mod route;
mod shape;
mod signature;
mod stream;
#[cfg(test)]
mod tests;
mod unverified;
mod write;

pub use encode::{Compression, Encoder};
pub use entries::{Admitted, Contents, Entries, Kind, Obstacle, canonical};
pub use error::ArchiveError;
pub use layout::{Expected, Layout, Place, packed};
pub use reader::{Member, MemberKind, Reader};
pub use route::Route;
pub use stream::{CodecOptions, Stream, unwrapped};
pub use unverified::{UnverifiedArchive, UnverifiedKind, UnverifiedMember};
pub use write::Writer;
