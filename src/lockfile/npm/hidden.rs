//! `node_modules/.package-lock.json`: what npm has installed, in its own words.

use std::collections::{BTreeMap, BTreeSet};

use super::lock::{MODULES, PackageLock};
use crate::base::Json;
use crate::lockfile::{Claim, EntryId, Files, Findings, Forest};

/// Levels of objects and arrays that npm writes.
const DEPTH_MAX: usize = 64;

/// The longest record that is read.
const FILE_MAX: u64 = 64 << 20;

/// Fields that npm may leave out: where a package comes from, if it was told to; and which C library a package is for,
/// before npm 11.
const LEFT_OUT: [&str; 2] = ["resolved", "libc"];

/// A claim that npm's record says of each package in a `node_modules` what the lockfile says, and of no other.
#[derive(Debug)]
pub(super) struct HiddenLock<'a> {
    pub(super) forest: &'a Forest,
    pub(super) file: EntryId,
    pub(super) modules: EntryId,
    pub(super) lock: &'a PackageLock,
}

impl Claim for HiddenLock<'_> {
    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        let Ok(facts) = files.look(self.file) else { return };
        let Ok(bytes) = files.bytes(self.file, FILE_MAX) else { return };
        let Some(bytes) = bytes.filter(|_| !facts.executable) else {
            return findings.unproven(self.file, "not npm's record: executable, or longer than any lockfile");
        };
        let judged = Json::parse(&bytes, DEPTH_MAX).map_err(|error| error.0).and_then(|json| self.judge(&json));
        match judged {
            Ok(()) => findings.proven(self.file),
            Err(what) => findings.unproven(self.file, format!("not npm's record of the locked packages: {what}")),
        }
    }
}

impl HiddenLock<'_> {
    fn judge(&self, json: &Json) -> Result<(), String> {
        for (field, value) in json.object("the record").map_err(|error| error.0)? {
            let known = match (field.as_str(), value) {
                ("name" | "version", Json::String(_)) | ("requires", Json::Bool(true)) | ("packages", _) => true,
                ("lockfileVersion", Json::Unsigned(version)) => matches!(version, 2 | 3),
                _ => false,
            };
            if !known {
                return Err("a field that npm does not write".to_owned());
            }
        }
        let fields = json.object("the record").map_err(|error| error.0)?;
        let packages = Json::required(fields, "packages").and_then(|value| value.object("packages"));
        let packages = packages.map_err(|error| error.0)?;
        for (location, entry) in packages {
            let said = fields_of(entry);
            let mut locked = self.lock.packages.get(location).map(|package| fields_of(&package.json));
            for field in LEFT_OUT.into_iter().filter(|field| !said.contains_key(field)) {
                locked.as_mut().and_then(|locked| locked.remove(field));
            }
            if locked != Some(said) {
                return Err("it says of a package what the lockfile does not say".to_owned());
            }
        }
        let listed: BTreeSet<&str> = packages.iter().map(|(location, _)| location.as_str()).collect();
        for location in self.lock.packages.keys() {
            let Some(path) = location.strip_prefix(MODULES).and_then(|rest| rest.strip_prefix('/')) else { continue };
            let there = self.forest.find(self.modules, path.as_bytes()).is_some();
            if there != listed.contains(location.as_str()) {
                return Err("it does not name exactly the packages that are there".to_owned());
            }
        }
        Ok(())
    }
}

/// What is said of a package, in any order.
fn fields_of(json: &Json) -> BTreeMap<&str, &Json> {
    match json {
        Json::Object(fields) => fields.iter().map(|(name, value)| (name.as_str(), value)).collect(),
        _ => BTreeMap::new(),
    }
}
