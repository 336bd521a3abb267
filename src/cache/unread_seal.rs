//! The directory of a seal that no gate asks for. Nothing in it is believed, but it lies in the checkout, where test
//! runners and other tools look for files: it may hold what a seal holds, in its form, and nothing else.

use super::opening::{code_of, forbidden_modes};
use super::place::Workspace;
use crate::base::{Algorithm, Code, Escaped, Limits, Refusal, Refusals};
use crate::policy::Cache;
use crate::seal::envelope::UnverifiedEnvelope;
use crate::seal::manifest::Manifest;
use crate::seal::statement::manifest_name;
use crate::seal::{ENVELOPE, SEALS};
use crate::tree::{Found, Kind, SealDirectory};

/// Whether the cache has a directory for a seal, and everything in it that has not the form of a seal.
pub(super) fn judge_form(workspace: &Workspace, cache: &Cache, limits: &Limits) -> (bool, Refusals) {
    let mut form =
        Form { place: format!("{SEALS}/{}", cache.name), limits, refusals: Refusals::new(limits.refusals_max) };
    let is_there = match SealDirectory::open(workspace.policy_directory(), &cache.name) {
        Ok(Found::Absent) => false,
        Ok(Found::There(directory)) => {
            forbidden_modes(&directory).for_each(|refusal| form.refusals.push(refusal));
            form.judge(&directory, cache.roots.len());
            true
        }
        Ok(Found::Unsafe { kind, .. }) => {
            form.refuse(Code::MalformedSeal, "", "a real directory below real directories", kind.noun());
            true
        }
        Err(error) => {
            form.refuse(Code::Unreadable, "", "a seal", error.to_string());
            true
        }
    };
    (is_there, form.refusals)
}

struct Form<'a> {
    place: String,
    limits: &'a Limits,
    refusals: Refusals,
}

impl Form<'_> {
    fn refuse(&mut self, code: Code, name: &str, expected: &str, found: impl Into<String>) {
        let place = if name.is_empty() { self.place.clone() } else { format!("{}/{name}", self.place) };
        self.refusals.push(Refusal::new(code, place, expected, found));
    }

    fn judge(&mut self, directory: &SealDirectory, roots: usize) {
        let manifests: Vec<_> = (0..roots).map(manifest_name).collect();
        let is_file = |name: &str| directory.names().contains(&(name.as_bytes().to_vec(), Kind::File));
        for (name, kind) in directory.names() {
            let is_known = name == ENVELOPE.as_bytes() || manifests.iter().any(|one| one.as_bytes() == name);
            if !is_known || *kind != Kind::File {
                let expected = "only `seal.json` and a manifest for each root, regular files";
                self.refuse(Code::ExtraEntry, &Escaped(name).to_string(), expected, kind.noun());
            }
        }
        match directory.file(ENVELOPE, self.limits.envelope_bytes_max) {
            Ok(bytes) => {
                if let Err(error) = UnverifiedEnvelope::parse(&bytes, self.limits) {
                    self.refuse(error.code(), ENVELOPE, "an envelope in canonical form", error.to_string());
                }
            }
            Err(error) => {
                let code = code_of(&error, Code::NoSeal, Code::SealTooLarge);
                self.refuse(code, ENVELOPE, "a regular file that stays as it is", format!("it {error}"));
            }
        }
        for name in manifests.iter().filter(|name| is_file(name)) {
            self.manifest(directory, name);
        }
    }

    fn manifest(&mut self, directory: &SealDirectory, name: &str) {
        match directory.manifest(name, self.limits.manifest_bytes_max) {
            Ok((bytes, _)) => {
                // Which digest a seal uses is its own word, and no gate asks for it here.
                let parse = |algorithm| Manifest::parse(&bytes, algorithm, self.limits).map(drop);
                if let Err(error) =
                    parse(Algorithm::Blake3).or_else(|error| parse(Algorithm::Sha256).map_err(|_| error))
                {
                    self.refuse(error.code(), name, "a manifest in canonical form", error.to_string());
                }
            }
            Err(error) => {
                let code = code_of(&error, Code::ManifestMismatch, Code::ManifestTooLarge);
                self.refuse(code, name, "a manifest that stays as it is", format!("it {error}"));
            }
        }
    }
}
