//! `[cache.NAME]`: directories that are sealed together.

use toml::Spanned;

use super::path::check_file;
use super::shape::{CacheShape, Text};
use super::source::Source;
use super::{PolicyError, RootPath};
use crate::base::{Algorithm, Code};

/// Most roots of a cache. Honest ones have a handful; each costs a manifest and a line of the statement.
const ROOTS_MAX: usize = 64;

/// A named set of directories, and the lockfiles that say what belongs into them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// The name.
    pub name: String,
    /// The directories, in the policy's order: the order of the manifests in a seal.
    pub roots: Vec<Spanned<RootPath>>,
    /// Paths relative to the policy's directory, in the policy's order.
    pub lockfiles: Vec<String>,
    /// The algorithm of content digests in the manifests.
    pub digest: Algorithm,
    /// Where the fields stand.
    pub lines: CacheLines,
}

/// The lines of a cache's fields; that of its name where a field is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLines {
    /// `[cache.NAME]`
    pub name: usize,
    /// `roots`
    pub roots: usize,
    /// `lockfiles`
    pub lockfiles: usize,
    /// `digest`
    pub digest: usize,
}

impl Cache {
    pub(super) fn read(source: &Source, name: &Text, shape: CacheShape) -> Result<Self, PolicyError> {
        source.counted(&shape.roots, ROOTS_MAX)?;
        let own = source.line(name);
        let lines = CacheLines {
            name: own,
            roots: source.line(&shape.roots),
            lockfiles: source.line_or(shape.lockfiles.as_ref(), own),
            digest: source.line_or(shape.digest.as_ref(), own),
        };
        let roots = shape.roots.into_inner().into_iter().map(|root| read_root(source, &root));
        let roots = roots.collect::<Result<_, _>>()?;
        let lockfiles = shape.lockfiles.map(Spanned::into_inner).unwrap_or_default();
        for lockfile in &lockfiles {
            check_file(lockfile.get_ref()).map_err(|error| source.error(Code::MalformedPolicy, lockfile, error))?;
        }
        source.unique(&lockfiles)?;
        let algorithms = [Algorithm::Blake3, Algorithm::Sha256].map(|algorithm| (algorithm.as_str(), algorithm));
        Ok(Self {
            name: name.get_ref().clone(),
            roots,
            lockfiles: lockfiles.into_iter().map(Spanned::into_inner).collect(),
            digest: source.word(shape.digest.as_ref(), algorithms, Algorithm::Blake3)?,
            lines,
        })
    }
}

fn read_root(source: &Source, text: &Text) -> Result<Spanned<RootPath>, PolicyError> {
    match RootPath::parse(text.get_ref()) {
        Ok(root) => Ok(Spanned::new(text.span(), root)),
        Err(error) => Err(source.error(error.root_code(), text, error)),
    }
}
