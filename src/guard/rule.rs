//! Why a place is watched.

use std::fmt;
use std::path::PathBuf;

use crate::base::Escaped;

/// The rule that watches a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    Home,
    AccountHome,
    Checkout,
    WorkingDirectory,
    Above,
    AboveHome,
    /// A path in the value of the variable of this name.
    Variable(String),
    Path,
    /// What a program on PATH belongs to.
    Program(PathBuf),
    Temporary,
    System,
    Verifier,
    Cache(String),
    Lockfile,
    Git,
    /// Where the link of this path leads.
    Link(PathBuf),
    CommandLine,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |path: &PathBuf| Escaped(path.as_os_str().as_encoded_bytes()).to_string();
        match self {
            Self::Home => f.write_str("home"),
            Self::AccountHome => f.write_str("the home that the system's list of users has"),
            Self::Checkout => f.write_str("the checkout"),
            Self::WorkingDirectory => f.write_str("the working directory"),
            Self::Above => f.write_str("directories above the checkout"),
            Self::AboveHome => f.write_str("directories above home"),
            Self::Variable(name) => write!(f, "named by ${}", Escaped(name.as_bytes())),
            Self::Path => f.write_str("directories on PATH"),
            Self::Program(path) => write!(f, "what `{}` on PATH belongs to", escaped(path)),
            Self::Temporary => f.write_str("temporary directories"),
            Self::System => f.write_str("the system's configuration and local programs"),
            Self::Verifier => f.write_str("the guard's own program"),
            Self::Cache(name) => write!(f, "roots of the cache `{name}`"),
            Self::Lockfile => f.write_str("lockfiles"),
            Self::Git => f.write_str("what git reads for the checkout"),
            Self::Link(path) => write!(f, "where `{}` leads", escaped(path)),
            Self::CommandLine => f.write_str("named by --watch"),
        }
    }
}
