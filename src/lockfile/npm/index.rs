//! `index-v5`: for each thing that npm fetched, from where it was and which digest it had.

use std::collections::BTreeMap;

use sha1::Digest as _;

use super::lock::{Package, PackageLock};
use crate::base::{Digest, Json};
use crate::lockfile::{Checksum, Claim, EntryId, Expected, Files, Findings, Forest, Plan};
use crate::tree::Kind;

/// What the key of something that npm fetched begins with.
const KEY: &str = "make-fetch-happen:request-cache:";

/// Levels of objects that npm writes.
const DEPTH_MAX: usize = 8;

/// The longest value of a header.
const HEADER_MAX: usize = 256;

/// The longest file that is read: npm adds a line when it fetches something again.
const FILE_MAX: u64 = 1 << 20;

/// Headers that npm keeps and that say how an answer was asked for and how long it may be kept, but not where
/// something else is or how it is encoded.
const HEADERS: [&str; 11] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "vary",
];

/// The locked packages by the digests of their tarballs.
type ByDigest<'a> = BTreeMap<&'a Checksum, Vec<&'a Package>>;

/// Claims the index: each file that says of a locked tarball where it was fetched from.
pub(super) fn plan<'a>(locks: &'a [PackageLock], indexes: &[EntryId], plan: &mut Plan<'a>) {
    if indexes.is_empty() {
        return;
    }
    let mut by_digest: ByDigest<'a> = BTreeMap::new();
    for package in locks.iter().flat_map(|lock| lock.packages.values()) {
        for checksum in package.integrity.checksums().filter(|checksum| checksum.algorithm.is_strong()) {
            by_digest.entry(checksum).or_default().push(package);
        }
    }
    let forest = plan.forest;
    plan.claim(Index { forest, indexes: indexes.to_vec(), by_digest });
}

#[derive(Debug)]
struct Index<'a> {
    forest: &'a Forest,
    indexes: Vec<EntryId>,
    by_digest: ByDigest<'a>,
}

impl Claim for Index<'_> {
    fn prove(&self, files: &mut dyn Files, findings: &mut Findings) {
        for index in &self.indexes {
            for entry in self.forest.below(*index).filter(|entry| self.forest.kind(*entry) == Kind::File) {
                let Ok(facts) = files.look(entry) else { continue };
                if facts.executable {
                    continue;
                }
                let Ok(Some(bytes)) = files.bytes(entry, FILE_MAX) else { continue };
                let path: Vec<u8> = self.forest.path_from(*index, entry);
                let hash: Vec<u8> = path.into_iter().filter(|byte| *byte != b'/').collect();
                if self.judge(&hash, &bytes).is_some() {
                    findings.proven(entry);
                }
                files.give_back(bytes);
            }
        }
    }
}

impl Index<'_> {
    /// Whether every line of a file is about a locked tarball, and says of it what the lockfile says.
    fn judge(&self, hash: &[u8], bytes: &[u8]) -> Option<()> {
        let text = std::str::from_utf8(bytes).ok()?;
        for line in text.strip_prefix('\n')?.split('\n') {
            let (sum, json) = line.split_once('\t')?;
            if hex::encode(sha1::Sha1::digest(json)) != sum {
                return None;
            }
            let json = Json::parse(json.as_bytes(), DEPTH_MAX).ok()?;
            let fields = Object::of(&json, &["key", "integrity", "time", "size", "metadata"])?;
            let key = fields.text("key")?;
            let url = key.strip_prefix(KEY)?;
            let numbers = ["time", "size"].map(|name| fields.get(name));
            if Digest::sha256(key.as_bytes()).to_string().as_bytes() != hash
                || !numbers.iter().all(|number| matches!(number, Some(Json::Unsigned(_))))
            {
                return None;
            }
            let found = Expected::from_sri(fields.text("integrity")?)?;
            let mut checksums = found.checksums();
            let (checksum, None) = (checksums.next()?, checksums.next()) else { return None };
            if !self.by_digest.get(checksum)?.iter().any(|package| is_url_of(package, url)) {
                return None;
            }
            judge_metadata(fields.get("metadata")?, url)?;
        }
        Some(())
    }
}

/// Whether a tarball of the package is fetched from a URL: the one of the lockfile, or one of a registry that npm was
/// told to use.
fn is_url_of(package: &Package, url: &str) -> bool {
    let base = package.name.rsplit('/').next().unwrap_or_default();
    let end = format!("/{}/-/{base}-{}.tgz", package.name, package.version);
    let is_registry = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    package.resolved.as_deref() == Some(url) || is_registry.is_some_and(|rest| rest.ends_with(&end))
}

/// Whether what is noted of the request and its answer changes nothing about the contents.
fn judge_metadata(json: &Json, url: &str) -> Option<()> {
    let fields = Object::of(json, &["time", "url", "reqHeaders", "resHeaders", "options"])?;
    if fields.text("url")? != url {
        return None;
    }
    for headers in [fields.get("reqHeaders")?, fields.get("resHeaders")?] {
        for (name, value) in headers.object("headers").ok()? {
            let value = value.string("header").ok()?;
            let plain = value.len() <= HEADER_MAX && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if !plain || !HEADERS.contains(&name.as_str()) {
                return None;
            }
        }
    }
    let options = Object::of(fields.get("options")?, &["compress"])?;
    matches!(options.get("compress")?, Json::Bool(_)).then_some(())
}

/// An object with no other fields than those that npm writes.
struct Object<'j>(&'j [(String, Json)]);

impl<'j> Object<'j> {
    fn of(json: &'j Json, known: &[&str]) -> Option<Self> {
        let fields = json.object("an entry").ok()?;
        fields.iter().all(|(name, _)| known.contains(&name.as_str())).then_some(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&'j Json> {
        Json::field(self.0, name)
    }

    fn text(&self, name: &str) -> Option<&'j str> {
        self.get(name)?.string(name).ok()
    }
}
