//! Digests as lockfiles write them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

/// A digest algorithm that lockfiles use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgorithm {
    /// SHA-1: two files with one digest can be made, so it proves nothing.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The word that lockfiles write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The algorithm of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == word)
    }

    /// Whether nobody can make two files with one digest.
    #[must_use]
    pub fn is_strong(self) -> bool {
        self != Self::Sha1
    }

    fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One digest and its algorithm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum {
    /// The algorithm.
    pub algorithm: HashAlgorithm,
    /// Its output.
    pub value: Vec<u8>,
}

impl Checksum {
    /// Reads hex digits of either case, exactly as many as the algorithm has.
    #[must_use]
    pub fn from_hex(algorithm: HashAlgorithm, text: &str) -> Option<Self> {
        let value = hex::decode(text).ok().filter(|value| value.len() == algorithm.len())?;
        Some(Self { algorithm, value })
    }

    /// Reads one hash of a Subresource Integrity string: `sha512-` and base64. Options after `?` are no part of it.
    #[must_use]
    pub fn from_sri(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once('-')?;
        let algorithm = HashAlgorithm::from_word(word)?;
        let base64 = rest.split('?').next()?;
        let value = STANDARD.decode(base64).ok().filter(|value| value.len() == algorithm.len())?;
        Some(Self { algorithm, value })
    }

    /// The digits in lower-case hex.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(&self.value)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.hex())
    }
}

/// The digests that a lockfile accepts for one file: one of them is enough, but a weak one only where there is no
/// strong one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected(Vec<Checksum>);

/// How a file compares with the digests of a lockfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// It has a strong one.
    Proven,
    /// It has a weak one, and there is no strong one.
    Weak(HashAlgorithm),
    /// It has none of those that count.
    Mismatch {
        /// Those that count.
        expected: String,
        /// What it has.
        found: String,
    },
}

impl Expected {
    /// Any of these. Where a strong digest is among them, weak ones do not count.
    #[must_use]
    pub fn any_of(checksums: impl IntoIterator<Item = Checksum>) -> Self {
        let mut all: Vec<_> = checksums.into_iter().collect();
        if all.iter().any(|checksum| checksum.algorithm.is_strong()) {
            all.retain(|checksum| checksum.algorithm.is_strong());
        }
        all.sort();
        all.dedup();
        Self(all)
    }

    /// Any of the hashes of a Subresource Integrity string; `None` where there is none, or one cannot be read.
    #[must_use]
    pub fn from_sri(text: &str) -> Option<Self> {
        let checksums: Option<Vec<_>> = text.split_ascii_whitespace().map(Checksum::from_sri).collect();
        checksums.filter(|checksums| !checksums.is_empty()).map(Self::any_of)
    }

    /// Whether there is no digest at all: nothing can be proven then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The digests.
    pub fn checksums(&self) -> impl Iterator<Item = &Checksum> {
        self.0.iter()
    }

    /// A hasher for the algorithms that are needed.
    #[must_use]
    pub fn hasher(&self) -> ManyHasher {
        ManyHasher::new(self.0.iter().map(|checksum| checksum.algorithm))
    }

    /// Holds the digests of a file against these.
    #[must_use]
    pub fn judge(&self, found: &[Checksum]) -> Match {
        match self.0.iter().find(|checksum| found.contains(checksum)) {
            Some(checksum) if checksum.algorithm.is_strong() => Match::Proven,
            Some(checksum) => Match::Weak(checksum.algorithm),
            None => Match::Mismatch { expected: list(&self.0), found: list(found) },
        }
    }

    /// Holds bytes against these.
    #[must_use]
    pub fn judge_bytes(&self, bytes: &[u8]) -> Match {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        self.judge(&hasher.finish())
    }
}

fn list(checksums: &[Checksum]) -> String {
    let texts: Vec<_> = checksums.iter().map(ToString::to_string).collect();
    if texts.is_empty() { "no digest".to_owned() } else { texts.join(" or ") }
}

/// Several digests of one stream of bytes.
#[derive(Debug, Default)]
pub struct ManyHasher {
    sha1: Option<sha1::Sha1>,
    sha256: Option<sha2::Sha256>,
    sha384: Option<sha2::Sha384>,
    sha512: Option<sha2::Sha512>,
}

impl ManyHasher {
    /// A hasher for these algorithms.
    #[must_use]
    pub fn new(algorithms: impl IntoIterator<Item = HashAlgorithm>) -> Self {
        let mut hasher = Self::default();
        for algorithm in algorithms {
            match algorithm {
                HashAlgorithm::Sha1 => hasher.sha1 = Some(sha1::Sha1::new()),
                HashAlgorithm::Sha256 => hasher.sha256 = Some(sha2::Sha256::new()),
                HashAlgorithm::Sha384 => hasher.sha384 = Some(sha2::Sha384::new()),
                HashAlgorithm::Sha512 => hasher.sha512 = Some(sha2::Sha512::new()),
            }
        }
        hasher
    }

    /// Reads the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.sha1 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.sha256 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.sha384 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.sha512 {
            hasher.update(bytes);
        }
    }

    /// The digests, one for each algorithm.
    #[must_use]
    pub fn finish(self) -> Vec<Checksum> {
        let values = [
            (HashAlgorithm::Sha1, self.sha1.map(|hasher| hasher.finalize().to_vec())),
            (HashAlgorithm::Sha256, self.sha256.map(|hasher| hasher.finalize().to_vec())),
            (HashAlgorithm::Sha384, self.sha384.map(|hasher| hasher.finalize().to_vec())),
            (HashAlgorithm::Sha512, self.sha512.map(|hasher| hasher.finalize().to_vec())),
        ];
        values.into_iter().filter_map(|(algorithm, value)| Some(Checksum { algorithm, value: value? })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-4 and its examples: the digests of "abc".
    const ABC: [(HashAlgorithm, &str); 4] = [
        (HashAlgorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (HashAlgorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            HashAlgorithm::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            HashAlgorithm::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ];

    #[test]
    fn known_answers_and_every_spelling() {
        for (algorithm, hex) in ABC {
            let checksum = Checksum::from_hex(algorithm, hex).unwrap();
            assert_eq!(checksum, Checksum::from_hex(algorithm, &hex.to_uppercase()).unwrap());
            let sri = format!("{algorithm}-{}", STANDARD.encode(&checksum.value));
            assert_eq!(Checksum::from_sri(&sri).as_ref(), Some(&checksum));
            assert_eq!(Checksum::from_sri(&format!("{sri}?option")).as_ref(), Some(&checksum));
            assert_eq!(Checksum::from_hex(algorithm, &hex[2..]), None);
            assert_eq!(HashAlgorithm::from_word(algorithm.as_str()), Some(algorithm));
            let judged = Expected::any_of([checksum]).judge_bytes(b"abc");
            assert_eq!(judged == Match::Proven, algorithm.is_strong(), "{judged:?}");
        }
        for text in
            ["", "sha512", "sha512-", "md5-kAFQmDzST7DWlj99KOF/cg==", "sha1-qZk+NkcGgWq6PiVxeFDCbJzQ2J", "SHA1-x"]
        {
            assert_eq!(Checksum::from_sri(text), None, "{text}");
        }
    }

    #[test]
    fn a_weak_digest_counts_only_where_there_is_no_strong_one() {
        let [sha1, sha256, ..] = ABC.map(|(algorithm, hex)| Checksum::from_hex(algorithm, hex).unwrap());
        let other = Checksum { algorithm: HashAlgorithm::Sha256, value: vec![0; 32] };
        let judge = |all: &[&Checksum]| Expected::any_of(all.iter().map(|sum| (*sum).clone())).judge_bytes(b"abc");
        assert_eq!(judge(&[&sha1]), Match::Weak(HashAlgorithm::Sha1));
        assert_eq!(judge(&[&sha1, &sha256]), Match::Proven);
        assert_eq!(judge(&[&other, &sha256]), Match::Proven);
        // A file that has the weak digest and not the strong one is not the locked one.
        assert!(matches!(judge(&[&sha1, &other]), Match::Mismatch { .. }));
        assert!(matches!(judge(&[]), Match::Mismatch { .. }));
    }
}
