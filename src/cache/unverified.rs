//! The documents of a seal, compared with each other and the policy, but signed by nobody in particular.

use super::loading::{ByNobody, Loader, UnverifiedSeal, sealed_roots};
use super::place::Workspace;
use crate::base::{Bytes, Code, Escaped, Limits, Refusals};
use crate::policy::{Cache, Policy};
use crate::seal::ENVELOPE;
use crate::seal::manifest::Manifest;
use crate::seal::statement::Statement;

/// A seal of a cache: consistent in itself, for the cache and the roots that the policy names. Anybody may have made it.
pub(super) struct UnverifiedDocuments {
    pub(super) seal: UnverifiedSeal,
    /// One for each root, `None` for one that was absent.
    pub(super) manifests: Vec<Option<Document>>,
}

/// A manifest, and the very bytes that it was read from.
pub(super) struct Document {
    pub(super) name: String,
    pub(super) bytes: Bytes,
    pub(super) manifest: Manifest,
}

impl UnverifiedDocuments {
    /// Reads the seal of `cache` from its place.
    pub(super) fn open(
        workspace: &Workspace,
        policy: &Policy,
        cache: &Cache,
        limits: &Limits,
    ) -> Result<Self, Refusals> {
        let mut refusals = Refusals::new(limits.refusals_max);
        let mut loader = Loader::of_cache(&cache.name, limits, &mut refusals);
        match documents(&mut loader, workspace, policy, cache) {
            Some(documents) if refusals.is_empty() => Ok(documents),
            _ => Err(refusals),
        }
    }
}

fn documents(
    loader: &mut Loader<'_>,
    workspace: &Workspace,
    policy: &Policy,
    cache: &Cache,
) -> Option<UnverifiedDocuments> {
    let Some(directory) = loader.directory(workspace, &cache.name).ok()? else {
        loader.refuse(Code::NoSeal, "", "a seal", "nothing");
        return None;
    };
    let seal = loader.open(&directory, &mut ByNobody)?;
    identity(loader, &seal.statement, policy, cache);
    let mut manifests = Vec::new();
    for (root, manifest) in sealed_roots(&seal.statement) {
        let document = match manifest {
            None => None,
            Some((name, subject)) => {
                let (manifest, bytes) = loader.manifest(&directory, root, name, subject)?;
                Some(Document { name: name.to_owned(), bytes, manifest })
            }
        };
        manifests.push(document);
    }
    Some(UnverifiedDocuments { seal, manifests })
}

/// It is a seal of this cache: a reader of the archive looks for the roots where the policy has them.
fn identity(loader: &mut Loader<'_>, statement: &Statement, policy: &Policy, cache: &Cache) {
    let predicate = &statement.predicate;
    let list = |paths: &mut dyn Iterator<Item = &str>| {
        paths.map(|path| format!("`{}`", Escaped(path.as_bytes()))).collect::<Vec<_>>().join(", ")
    };
    let sealed = list(&mut predicate.roots.iter().map(|root| root.path.as_str()));
    let wanted = list(&mut cache.roots.iter().map(|root| root.spelling.as_str()));
    for (code, what, wanted, sealed) in [
        (
            Code::WrongProject,
            "project ",
            format!("`{}`", policy.project()),
            list(&mut [predicate.project.as_str()].into_iter()),
        ),
        (Code::WrongCache, "cache ", format!("`{}`", cache.name), list(&mut [predicate.cache.as_str()].into_iter())),
        (Code::WrongRoot, "roots ", wanted, sealed),
    ] {
        if wanted != sealed {
            loader.refuse(code, ENVELOPE, format!("{what}{wanted}"), format!("{what}{sealed}"));
        }
    }
}
