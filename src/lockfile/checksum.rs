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
