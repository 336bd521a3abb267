//! Content digests: BLAKE3 and SHA-256, both of 32 bytes.

use std::fmt;

use sha2::Digest as _;

/// The algorithm that a cache's policy names for file contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// BLAKE3 with its default output of 32 bytes.
    Blake3,
    /// SHA-256 (FIPS 180-4), for stock tools.
    Sha256,
}

impl Algorithm {
    /// The word in policy, statement and manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blake3 => "blake3",
            Self::Sha256 => "sha256",
        }
    }

    /// The algorithm of a word, if it is exactly one of ours.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Blake3, Self::Sha256].into_iter().find(|algorithm| algorithm.as_str() == word)
    }

    /// The digest of `bytes`.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> Digest {
        match self {
            Self::Blake3 => Digest(*blake3::hash(bytes).as_bytes()),
            Self::Sha256 => Digest(sha2::Sha256::digest(bytes).into()),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A 32-byte digest. Written as 64 lower-case hex digits, read only so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Length in hex digits.
    pub const HEX_LEN: usize = 64;

    /// Reads exactly 64 lower-case hex digits.
    #[must_use]
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        let values = <[u8; Self::HEX_LEN]>::try_from(text).ok()?.map(value_of);
        // What is no digit has a value that no digit has.
        if values.iter().fold(0, |all, value| all | value) > 0xf {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(values.as_chunks::<2>().0) {
            *byte = pair[0] << 4 | pair[1];
        }
        Some(Self(bytes))
    }

    /// The SHA-256 of `bytes`: what subjects, key ids and lockfiles use, whatever the cache's algorithm.
    #[must_use]
    pub fn sha256(bytes: &[u8]) -> Self {
        Algorithm::Sha256.digest(bytes)
    }

    /// The first 12 hex digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

/// The value of a lower-case hex digit; 0xff for what is none. A manifest has 64 digits for each file: without branches
/// and tables, many are read at once.
fn value_of(digit: u8) -> u8 {
    let (decimal, letter) = (digit.wrapping_sub(b'0'), digit.wrapping_sub(b'a'));
    // A sum that is checked would be one digit at a time.
    let rest = if letter < 6 { letter.wrapping_add(10) } else { 0xff };
    if decimal < 10 { decimal } else { rest }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// An incremental digest for contents that are read in pieces.
pub enum Hasher {
    /// BLAKE3 state, boxed for its size.
    Blake3(Box<blake3::Hasher>),
    /// SHA-256 state.
    Sha256(sha2::Sha256),
}

impl Hasher {
    /// A hasher that has read nothing.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Blake3 => Self::Blake3(Box::default()),
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
        }
    }

    /// Reads the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all that was read.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self {
            Self::Blake3(hasher) => Digest(*hasher.finalize().as_bytes()),
            Self::Sha256(hasher) => Digest(hasher.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-4 "abc"; BLAKE3 of "abc" from the reference implementation's paper vectors.
    const SHA256_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const BLAKE3_ABC: &str = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";

    #[test]
    fn known_answers_whole_and_in_pieces() {
        for (algorithm, expected) in [(Algorithm::Sha256, SHA256_ABC), (Algorithm::Blake3, BLAKE3_ABC)] {
            assert_eq!(algorithm.digest(b"abc").to_string(), expected);
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"a");
            hasher.update(b"bc");
            assert_eq!(hasher.finish().to_string(), expected);
        }
    }

    #[test]
    fn hex_is_lower_case_and_of_one_length() {
        assert!(Digest::from_hex(SHA256_ABC.as_bytes()).is_some());
        assert!(Digest::from_hex(SHA256_ABC.to_uppercase().as_bytes()).is_none());
        assert!(Digest::from_hex(&SHA256_ABC.as_bytes()[1..]).is_none());
        assert!(Digest::from_hex(b"").is_none());
        assert!(Digest::from_hex(&[SHA256_ABC.as_bytes(), b"00"].concat()).is_none());
        for place in 0..Digest::HEX_LEN {
            for byte in 0..=u8::MAX {
                let mut text = [b'0'; Digest::HEX_LEN];
                text[place] = byte;
                let value = char::from(byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
                let read = Digest::from_hex(&text);
                let expected = value.map(|_| String::from_utf8(text.to_vec()).unwrap());
                assert_eq!(read.map(|digest| digest.to_string()), expected, "{place} {byte}");
            }
        }
    }
}
