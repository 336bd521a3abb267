//! What ends a drill before its verdict.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::base::{Code, Escaped};
use crate::cache::SealError;
use crate::policy::PolicyError;

/// Why a drill could not be run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DrillError {
    /// The drill's own directory would lie in the one that is only read.
    #[error("expected a directory that does not contain {}, found {}", shown(.above), shown(.real))]
    Inside {
        /// Where the drill's directory was to be made.
        above: PathBuf,
        /// The directory that is only read.
        real: PathBuf,
    },
    /// A file of the drill could not be read.
    #[error("{}: {error}", shown(.path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file of the drill could not be written or changed.
    #[error("{}: {error}", shown(.path))]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The policy of the drill was not accepted.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// No seal could be made.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The untouched sample was refused: a drill where everything is refused shows nothing.
    #[error("the untouched sample was refused: {}", words(.0))]
    SampleRefused(Vec<Code>),
}

impl DrillError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Inside { .. } => Code::Usage,
            Self::Unreadable { .. } => Code::Unreadable,
            Self::Unwritable { .. } => Code::Unwritable,
            Self::Policy(error) => error.code(),
            Self::Seal(error) => error.code(),
            Self::SampleRefused(_) => Code::DrillFailed,
        }
    }

    /// What could not be written at `path`.
    pub(super) fn unwritable(path: &Path, error: io::Error) -> Self {
        Self::Unwritable { path: path.to_owned(), error }
    }
}

/// A path for messages, quoted and harmless.
fn shown(path: &Path) -> String {
    format!("`{}`", Escaped(path.as_os_str().as_encoded_bytes()))
}

fn words(codes: &[Code]) -> String {
    codes.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(", ")
}
