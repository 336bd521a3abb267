//! The directory of a seal that no gate asks for. Nothing in it is believed, but it lies in the checkout, where test
//! runners and other tools look for files: it may hold what a seal holds, in its form, and nothing else.

use super::loading::{Loader, Refused};
use super::place::Workspace;
use crate::base::{Algorithm, Code, Escaped, Limits, Refusals};
use crate::policy::Cache;
use crate::seal::ENVELOPE;
use crate::seal::envelope::UnverifiedEnvelope;
use crate::seal::manifest::Manifest;
use crate::seal::statement::manifest_name;
use crate::tree::{Kind, SealDirectory};

/// Whether the cache has a directory for a seal. Refuses everything in it that has not the form of a seal.
pub(super) fn judge_form(workspace: &Workspace, cache: &Cache, limits: &Limits, refusals: &mut Refusals) -> bool {
    let mut loader = Loader::of_cache(&cache.name, limits, refusals);
    match loader.directory(workspace, &cache.name) {
        Ok(Some(directory)) => {
            loader.modes(&directory);
            judge(&mut loader, &directory, cache.roots.len(), limits);
            true
        }
        Ok(None) => false,
        Err(Refused) => true,
    }
}

fn judge(loader: &mut Loader<'_>, directory: &SealDirectory, roots: usize, limits: &Limits) {
    let manifests: Vec<_> = (0..roots).map(manifest_name).collect();
    let is_file = |name: &str| directory.names().contains(&(name.as_bytes().to_vec(), Kind::File));
    for (name, kind) in directory.names() {
        let is_known = name == ENVELOPE.as_bytes() || manifests.iter().any(|one| one.as_bytes() == name);
        if !is_known || *kind != Kind::File {
            let expected = "only `seal.json` and a manifest for each root, regular files";
            loader.refuse(Code::ExtraEntry, &Escaped(name).to_string(), expected, kind.noun());
        }
    }
    if let Some(bytes) = loader.envelope(directory)
        && let Err(error) = UnverifiedEnvelope::parse(&bytes, limits)
    {
        loader.refuse(error.code(), ENVELOPE, "an envelope in canonical form", error.to_string());
    }
    for name in manifests.iter().filter(|name| is_file(name)) {
        let Some((bytes, _)) = loader.manifest_bytes(directory, name, "a manifest that stays as it is") else {
            continue;
        };
        // Which digest a seal uses is its own word, and no gate asks for it here.
        let parse = |algorithm| Manifest::parse(&bytes, algorithm, limits).map(drop);
        if let Err(error) = parse(Algorithm::Blake3).or_else(|error| parse(Algorithm::Sha256).map_err(|_| error)) {
            loader.refuse(error.code(), name, "a manifest in canonical form", error.to_string());
        }
    }
}
