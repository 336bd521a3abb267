//! How Cargo names the directory of a registry: the host of its index, a dash, and a hash of its URL.

use std::hash::{Hash as _, Hasher};

use rustc_stable_hash::StableSipHasher128;

use super::lock::Source;

/// crates.io as a lockfile writes it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The sparse index of crates.io, which Cargo reads unless told otherwise. Lockfiles never name it.
const CRATES_IO_SPARSE: &str = "sparse+https://index.crates.io/";

/// Its directories by the hash of Cargo before 1.85, by the sparse index and by git.
const CRATES_IO_BEFORE: [&str; 2] = ["index.crates.io-6f17d22bba15001f", "github.com-1ecc6299db9ec823"];

/// The kinds of sources that are registries, by their place in Cargo's own enumeration.
const REGISTRY: isize = 2;
const SPARSE_REGISTRY: isize = 3;

/// The directories that Cargo keeps the packages of a source in, below `registry/cache` and `registry/src`. Other
/// registries than crates.io are known by the hash of Cargo since 1.85.
pub(super) fn directories(source: &Source) -> Vec<String> {
    let Source::Registry(text) = source else { return Vec::new() };
    let mut names: Vec<_> = directory(text).into_iter().collect();
    if text == CRATES_IO {
        names.extend(directory(CRATES_IO_SPARSE));
        names.extend(CRATES_IO_BEFORE.map(str::to_owned));
    }
    names
}

fn directory(source: &str) -> Option<String> {
    let (kind, url) = match source.strip_prefix("registry+") {
        Some(url) => (REGISTRY, url),
        None => (SPARSE_REGISTRY, source),
    };
    Some(format!("{}-{}", host(url)?, short_hash(kind, url)))
}

/// The host of a URL, without user and port, in lower case.
fn host(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let end = host.rfind(':').filter(|colon| host.rfind(']').is_none_or(|bracket| bracket < *colon));
    Some(host.get(..end.unwrap_or(host.len()))?.to_ascii_lowercase())
}

/// Cargo's `short_hash`, of a kind of source and a URL.
fn short_hash(kind: isize, url: &str) -> String {
    let mut hasher = StableSipHasher128::new();
    hasher.write_isize(kind);
    url.hash(&mut hasher);
    hex::encode(Hasher::finish(&hasher).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_named_as_cargo_names_them() {
        let names = |url: &str| directories(&Source::Registry(url.to_owned()));
        // The second is in Cargo's own tests, as are the last two of its versions before 1.85.
        assert_eq!(
            names(CRATES_IO),
            [
                "github.com-25cdd57fae9f0462",
                "index.crates.io-1949cf8c6b5b557f",
                "index.crates.io-6f17d22bba15001f",
                "github.com-1ecc6299db9ec823"
            ]
        );
        // Cargo 1.95 made this one.
        assert_eq!(names("sparse+http://127.0.0.1:8123/"), ["127.0.0.1-9925123e00abf8a4"]);
        assert!(names("registry+https://user@Example.com:8443/index")[0].starts_with("example.com-"));
        assert!(names("sparse+https://[::1]:8080/")[0].starts_with("[::1]-"));
        assert_eq!(names("registry+nonsense"), [""; 0]);
    }
}
