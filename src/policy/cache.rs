//! `[cache.NAME]`: directories that are sealed together.

use toml::Spanned;

use super::located::field;
use super::path::check_file;
use super::shape::{CacheShape, InstalledShape, Table, Text, Texts};
use super::source::{Source, quoted};
use super::{Located, PolicyError, RootPath};
use crate::base::{Algorithm, Code};

/// Most roots of a cache. Honest ones have a handful; each costs a manifest and a line of the statement.
const ROOTS_MAX: usize = 64;

/// A named set of directories, and the lockfiles that say what belongs into them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// The name.
    pub name: Located<String>,
    /// The directories, in the policy's order: the order of the manifests in a seal.
    pub roots: Located<Vec<Located<RootPath>>>,
    /// Paths relative to the policy's directory, in the policy's order.
    pub lockfiles: Located<Vec<String>>,
    /// The algorithm of content digests in the manifests.
    pub digest: Located<Algorithm>,
    /// What of the lockfiles is installed in trees that are used in place.
    pub installed: Installed,
}

/// What a project leaves out on purpose when it installs: everything that the lockfiles have must be there, but for this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed {
    /// Kinds of npm's dependencies that are left out.
    pub omit: Vec<String>,
    /// The workspaces that are installed; all where it is not written.
    pub workspaces: Option<Vec<String>>,
    /// The groups of dependencies that are installed; all where it is not written.
    pub groups: Option<Vec<String>>,
    /// The extras that are installed; all where it is not written.
    pub extras: Option<Vec<String>>,
}

/// What `omit` may name: what `npm ci --omit` takes.
const OMIT: [&str; 3] = ["dev", "optional", "peer"];

impl Cache {
    pub(super) fn read(source: &Source, name: Text, shape: CacheShape) -> Result<Self, PolicyError> {
        source.counted(&shape.roots, ROOTS_MAX)?;
        let table = name.span().start;
        let roots = Located::new(shape.roots)
            .map(|roots| roots.into_iter().map(|root| read_root(source, &root)).collect::<Result<_, _>>())?;
        let lockfiles = field(table, shape.lockfiles, |lockfiles| read_lockfiles(source, lockfiles))?;
        let algorithms = [Algorithm::Blake3, Algorithm::Sha256].map(|algorithm| (algorithm.as_str(), algorithm));
        Ok(Self {
            name: Located::new(name),
            roots,
            lockfiles,
            digest: field(table, shape.digest, |digest| source.word(digest.as_ref(), algorithms, Algorithm::Blake3))?,
            installed: shape
                .installed
                .map(|Table(shape)| Installed::read(source, shape))
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

fn read_lockfiles(source: &Source, lockfiles: Option<Texts>) -> Result<Vec<String>, PolicyError> {
    let lockfiles = lockfiles.map(Spanned::into_inner).unwrap_or_default();
    for lockfile in &lockfiles {
        check_file(lockfile.get_ref()).map_err(|error| source.error(Code::MalformedPolicy, lockfile, error))?;
    }
    source.unique(&lockfiles)?;
    Ok(lockfiles.into_iter().map(Spanned::into_inner).collect())
}

impl Installed {
    fn read(source: &Source, shape: InstalledShape) -> Result<Self, PolicyError> {
        let list = |texts: Option<Texts>| -> Result<Option<Vec<String>>, PolicyError> {
            let Some(texts) = texts else { return Ok(None) };
            source.unique(texts.get_ref())?;
            Ok(Some(texts.into_inner().into_iter().map(Spanned::into_inner).collect()))
        };
        for word in shape.omit.iter().flat_map(Spanned::get_ref) {
            if !OMIT.contains(&word.get_ref().as_str()) {
                return Err(source.malformed(word, "`dev`, `optional` or `peer`", quoted(word.get_ref())));
            }
        }
        Ok(Self {
            omit: list(shape.omit)?.unwrap_or_default(),
            workspaces: list(shape.workspaces)?,
            groups: list(shape.groups)?,
            extras: list(shape.extras)?,
        })
    }
}

fn read_root(source: &Source, text: &Text) -> Result<Located<RootPath>, PolicyError> {
    match RootPath::parse(text.get_ref()) {
        Ok(root) => Ok(Located::new(Spanned::new(text.span(), root))),
        Err(error) => Err(source.error(error.root_code(), text, error)),
    }
}
