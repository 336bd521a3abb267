//! Key files that the command line names.

use std::path::Path;

use crate::base::Code;
use crate::checkout::{Context, Failure, key_failure, shown};
use crate::identity::{KeyError, PublicKey, SecretKey};
use crate::tree::{ReadError, read_named_file};

/// The public half of a key file of either kind.
pub(super) fn read_public(path: &Path, context: &Context) -> Result<PublicKey, Failure> {
    let place = shown(path);
    let (bytes, _) = read_named_file(path, context.limits.setup_bytes_max).map_err(|error| match error {
        ReadError::Absent => Failure::new(Code::NoKey, format!("expected a key at {place}, but it is not there")),
        ReadError::Io(_) => Failure::new(Code::Unreadable, format!("{place}: {error}")),
        _ => Failure::new(Code::MalformedKey, format!("expected a key at {place}, but it {error}")),
    })?;
    let bytes = zeroize::Zeroizing::new(bytes);
    let public = |error: KeyError| key_failure(&place, &error);
    if bytes.windows(11).any(|window| window == b"PRIVATE KEY") {
        return SecretKey::from_pem(&bytes).map(|key| key.public()).map_err(public);
    }
    PublicKey::from_pem(&bytes).map_err(public)
}
