//! Stable codes and the exit status that each one leads to.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Exit status of the process: part of the public interface, never renumbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Exit {
    /// Trusted, sealed, or nothing differs.
    Ok = 0,
    /// A bug, or a drill in which a tampering survived.
    Internal = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Nothing was restored, or there is nothing to seal.
    Miss = 3,
    /// A file could not be read or written; nothing was decided.
    Io = 4,
    /// Our own policy or key is malformed.
    Setup = 5,
    /// No seal, signature, signer, age or binding that the gate accepts.
    Untrusted = 10,
    /// The contents differ from the seal.
    Changed = 11,
    /// An archive that different programs may read differently, or that would write where it should not.
    UnsafeArchive = 12,
    /// A limit was exceeded.
    Limit = 13,
    /// The contents are not what the lockfile asks for, or nothing says that they are.
    Lockfile = 14,
    /// Something outside the roots is written or changed, the policy among it; or nobody is left who would know.
    Stray = 15,
    /// The policy works, but a lint found something.
    Findings = 20,
}

impl Exit {
    /// Rank when several apply: 15 > 10 > 12 > 13 > 11 > 14 > 4 > 3. A higher rank wins.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Miss => 1,
            Self::Io => 2,
            Self::Lockfile => 3,
            Self::Changed => 4,
            Self::Limit => 5,
            Self::UnsafeArchive => 6,
            Self::Untrusted => 7,
            Self::Stray => 8,
            // Errors that end a command before any verdict; never mixed with the ones above.
            Self::Setup => 9,
            Self::Usage => 10,
            Self::Internal => 11,
            Self::Findings => 12,
        }
    }

    /// The number that the process returns.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The status of a number.
    #[must_use]
    pub fn of_number(number: u64) -> Option<Self> {
        Code::ALL.iter().map(|code| code.exit()).chain([Self::Ok]).find(|exit| u64::from(exit.number()) == number)
    }

    /// Whether this status is a refusal: a decided no.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        (Self::Untrusted.number()..Self::Findings.number()).contains(&self.number())
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $exit:ident;)*) => {
        /// Every refusal and error has one stable code: the same word in text, JSON, tests and the
        /// section of `docs/VERIFY.md` that explains it. Declared worst first: reports sort by it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// All codes, worst first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The kebab-case word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The code of a word.
            #[must_use]
            pub fn of_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == word)
            }

            /// The exit status that this code alone leads to.
            #[must_use]
            pub fn exit(self) -> Exit {
                match self { $(Self::$variant => Exit::$exit),* }
            }
        }
    };
}

codes! {
    /// Who answers for the guard is not the guard.
    GuardReplaced = "guard-replaced", Stray;
    /// No guard answers.
    GuardGone = "guard-gone", Stray;
    /// The policy or a file it names is not the one that was pinned, or that the guard loaded.
    PolicyChanged = "policy-changed", Stray;
    /// An entry outside the roots was created, changed or removed while a guard watched.
    StrayWrite = "stray-write", Stray;
    /// The roots or the seal of a guarded cache changed while no verification vouched for them.
    UnverifiedRoots = "unverified-roots", Stray;
    /// A member of an archive that lies outside the roots and the seal.
    StrayEntry = "stray-entry", Stray;
    /// There are files in the roots but no seal.
    NoSeal = "no-seal", Untrusted;
    /// The seal directory holds something other than `seal.json` and the manifests it names.
    MalformedSeal = "malformed-seal", Untrusted;
    /// `seal.json` is not a DSSE envelope in strict JSON.
    MalformedEnvelope = "malformed-envelope", Untrusted;
    /// The envelope carries no signature at all.
    NoSignature = "no-signature", Untrusted;
    /// A signature that names a key of the policy does not verify.
    SignatureMismatch = "signature-mismatch", Untrusted;
    /// No signature is by a key of the policy.
    UnknownSigner = "unknown-signer", Untrusted;
    /// Too few distinct signers.
    ThresholdUnmet = "threshold-unmet", Untrusted;
    /// Key, manifest or signer are on the list of what is recalled.
    Revoked = "revoked", Untrusted;
    /// The key was used, or is used now, after its last day.
    Expired = "expired", Untrusted;
    /// The key was used, or is used now, before its first day.
    NotYetValid = "not-yet-valid", Untrusted;
    /// The signature is by a signer that this gate does not accept.
    SignerNotAccepted = "signer-not-accepted", Untrusted;
    /// Payload or predicate are of a type made for another protocol.
    WrongType = "wrong-type", Untrusted;
    /// The signed payload is not a statement that this version reads.
    MalformedStatement = "malformed-statement", Untrusted;
    /// Sealed for another project.
    WrongProject = "wrong-project", Untrusted;
    /// Sealed as another cache, or by a signer that may not seal this one.
    WrongCache = "wrong-cache", Untrusted;
    /// The sealed roots are not the roots of the policy.
    WrongRoot = "wrong-root", Untrusted;
    /// Sealed with another digest algorithm than the policy's.
    WrongDigest = "wrong-digest", Untrusted;
    /// The sealed lockfile paths are not the ones of the policy.
    WrongLockfile = "wrong-lockfile", Untrusted;
    /// Sealed without a binding that the gate demands, or with another value.
    WrongBinding = "wrong-binding", Untrusted;
    /// Sealed for another operating system or processor.
    WrongPlatform = "wrong-platform", Untrusted;
    /// Sealed from a branch or tag that the signer may not seal from.
    WrongRef = "wrong-ref", Untrusted;
    /// Sealed by a job that the signer may not seal from.
    WrongJob = "wrong-job", Untrusted;
    /// The seal is older than the gate's `max_age`.
    TooOld = "too-old", Untrusted;
    /// The seal claims a time after now.
    SealedInFuture = "sealed-in-future", Untrusted;
    /// The sealed lockfile digests are not those of the checkout.
    StaleLockfile = "stale-lockfile", Untrusted;
    /// The gate compares lockfiles or proves by them, but nothing vouches for the checkout's.
    UnpinnedLockfile = "unpinned-lockfile", Untrusted;
    /// To be sealed under a guard that saw the roots neither empty nor verified.
    UnverifiedBase = "unverified-base", Untrusted;
    /// A manifest file is not the one that was signed.
    ManifestMismatch = "manifest-mismatch", Untrusted;
    /// A signed manifest is not in the canonical form.
    MalformedManifest = "malformed-manifest", Untrusted;
    /// Not an archive at all: no tar, and no gzip or Zstandard around one.
    NotAnArchive = "not-an-archive", UnsafeArchive;
    /// The compressed stream is broken.
    DamagedArchive = "damaged-archive", UnsafeArchive;
    /// The archive ends inside a member.
    TruncatedArchive = "truncated-archive", UnsafeArchive;
    /// The archive does not end with two blocks of zeros.
    MissingEnd = "missing-end", UnsafeArchive;
    /// Bytes after the end of the archive or of its compressed stream.
    TrailingData = "trailing-data", UnsafeArchive;
    /// The checksum of a tar header is wrong.
    ChecksumMismatch = "checksum-mismatch", UnsafeArchive;
    /// A tar header that is not as its format says.
    MalformedHeader = "malformed-header", UnsafeArchive;
    /// PAX records or a GNU long name that are not as their formats say.
    MalformedExtension = "malformed-extension", UnsafeArchive;
    /// A member that tar programs read in different ways.
    AmbiguousHeader = "ambiguous-header", UnsafeArchive;
    /// PAX records for all members that follow.
    GlobalHeader = "global-header", UnsafeArchive;
    /// A sparse file.
    SparseFile = "sparse-file", UnsafeArchive;
    /// A member of a type that no cache needs.
    UnsupportedMember = "unsupported-member", UnsafeArchive;
    /// A name that is absolute, has `..` or `.` in it, or is empty.
    UnsafePath = "unsafe-path", UnsafeArchive;
    /// The same path twice.
    DuplicateEntry = "duplicate-entry", UnsafeArchive;
    /// A member below a symlink or a file of the same archive.
    EntryBelowLink = "entry-below-link", UnsafeArchive;
    /// A hard link to something other than a file of the roots that came before it.
    UnsafeHardlink = "unsafe-hardlink", UnsafeArchive;
    /// More than one seal, home or checkout in one archive.
    AmbiguousLayout = "ambiguous-layout", UnsafeArchive;
    /// The seal does not come before what it is for, so nothing bounds what would be written.
    SealNotFirst = "seal-not-first", UnsafeArchive;
    /// The archive expands to more than is believed of any honest one.
    ExpansionLimit = "expansion-limit", Limit;
    /// Zstandard wants a larger window than was allowed.
    WindowTooLarge = "window-too-large", Limit;
    /// A tar extension header with more data than any honest name needs.
    ExtensionTooLarge = "extension-too-large", Limit;
    /// `seal.json` is larger than any honest one.
    SealTooLarge = "seal-too-large", Limit;
    /// More signatures than are ever checked.
    TooManySignatures = "too-many-signatures", Limit;
    /// A manifest is larger than the limit.
    ManifestTooLarge = "manifest-too-large", Limit;
    /// More entries than the limit.
    TooManyEntries = "too-many-entries", Limit;
    /// A path below a root is longer than the limit.
    PathTooLong = "path-too-long", Limit;
    /// Directories are nested deeper than the limit.
    TooDeep = "too-deep", Limit;
    /// A root, or a directory above it, is not a real directory.
    UnsafeRoot = "unsafe-root", Changed;
    /// A device, fifo or socket.
    SpecialFile = "special-file", Changed;
    /// Setuid, setgid or sticky on a file, or writable by others.
    ForbiddenMode = "forbidden-mode", Changed;
    /// An entry that the seal does not name.
    ExtraEntry = "extra-entry", Changed;
    /// Another type of entry than sealed.
    TypeMismatch = "type-mismatch", Changed;
    /// Other bytes than sealed.
    DigestMismatch = "digest-mismatch", Changed;
    /// A symlink with another target text than sealed.
    LinkMismatch = "link-mismatch", Changed;
    /// The owner's executable bit differs.
    ModeMismatch = "mode-mismatch", Changed;
    /// A sealed entry that is not there.
    MissingEntry = "missing-entry", Changed;
    /// An entry of a root that is not as it was when a guard trusted it.
    ChangedAfterVerify = "changed-after-verify", Changed;
    /// The entry changed while it was being read.
    ChangedWhileRead = "changed-while-read", Changed;
    /// A file that is also known by a name outside the roots.
    HardlinkOutside = "hardlink-outside", Changed;
    /// A symlink that leaves its root, at a gate that wants them inside.
    LinkEscapes = "link-escapes", Changed;
    /// The lockfile asks for something else at this place.
    LockfileMismatch = "lockfile-mismatch", Lockfile;
    /// An entry that no proof covers, at a gate that does not allow it.
    UnprovenEntry = "unproven-entry", Lockfile;
    /// The lockfile proves a smaller share of the cache than the gate wants.
    LowCoverage = "low-coverage", Lockfile;
    /// A file or directory could not be read.
    Unreadable = "unreadable", Io;
    /// A file could not be written.
    Unwritable = "unwritable", Io;
    /// A signal ended the run.
    Interrupted = "interrupted", Io;
    /// A refused cache could not be moved away.
    DisposalFailed = "disposal-failed", Io;
    /// Nothing was restored: no seal, and every root absent or empty.
    NothingRestored = "nothing-restored", Miss;
    /// Every root is absent or empty.
    NothingToSeal = "nothing-to-seal", Miss;
    /// There is no directory to drill on.
    NothingToDrill = "nothing-to-drill", Miss;
    /// The policy file is not there.
    NoPolicy = "no-policy", Setup;
    /// The policy is not TOML, or a field is unknown, missing or of the wrong kind.
    MalformedPolicy = "malformed-policy", Setup;
    /// A gate that could pass without evidence.
    GateWithoutEvidence = "gate-without-evidence", Setup;
    /// A root that cannot be sealed safely: relative tricks, the checkout, `.git`.
    ForbiddenRoot = "forbidden-root", Setup;
    /// Two roots where one contains the other.
    OverlappingRoots = "overlapping-roots", Setup;
    /// One key under two signers, or twice under one.
    SharedKey = "shared-key", Setup;
    /// The policy has no cache of that name.
    UnknownCache = "unknown-cache", Setup;
    /// The policy has no gate of that name.
    UnknownGate = "unknown-gate", Setup;
    /// Nothing says that the policy on disk can be believed.
    UnpinnedPolicy = "unpinned-policy", Setup;
    /// A guard is to start, and one is there already.
    GuardRunning = "guard-running", Setup;
    /// What is to be the environment of later steps is not the output of `env -0`.
    MalformedEnvironment = "malformed-environment", Setup;
    /// HOME is not set or not absolute, and a root begins with `~/`.
    NoHome = "no-home", Setup;
    /// A lockfile that the cache names is not in the checkout.
    NoLockfile = "no-lockfile", Setup;
    /// A lockfile that is not what its format says.
    MalformedLockfile = "malformed-lockfile", Setup;
    /// A lockfile of an ecosystem or version that this program does not read.
    UnsupportedLockfile = "unsupported-lockfile", Setup;
    /// A key file that the policy or the command line names is not there.
    NoKey = "no-key", Setup;
    /// The key file is not what openssl writes for Ed25519.
    MalformedKey = "malformed-key", Setup;
    /// The key is of another algorithm, or private where public is wanted, or the reverse.
    WrongKeyType = "wrong-key-type", Setup;
    /// The private key is protected by a passphrase.
    EncryptedKey = "encrypted-key", Setup;
    /// Anybody can sign for this public key: it has small order.
    WeakKey = "weak-key", Setup;
    /// Others can read the private key file.
    ExposedKey = "exposed-key", Setup;
    /// The key has already signed this seal.
    AlreadySigned = "already-signed", Setup;
    /// The file exists and is never overwritten.
    FileExists = "file-exists", Setup;
    /// The place of a root is taken.
    RootNotEmpty = "root-not-empty", Setup;
    /// The seal cannot be written in the form asked for.
    UnsupportedExport = "unsupported-export", Setup;
    /// The command line is wrong.
    Usage = "usage", Usage;
    /// Lint: a gate accepts a signer that may seal from pull requests.
    PullRequestSigner = "pull-request-signer", Findings;
    /// Lint: the last day of a key is over.
    ExpiredKey = "expired-key", Findings;
    /// Lint: a key of the policy is revoked.
    RevokedKey = "revoked-key", Findings;
    /// Lint: a gate takes seals older than `CircleCI` keeps caches.
    LongMaxAge = "long-max-age", Findings;
    /// Lint: a signer that no gate accepts.
    UnusedSigner = "unused-signer", Findings;
    /// Lint: a signer that may seal none of the caches.
    IdleSigner = "idle-signer", Findings;
    /// Lint: a pattern of `refs` that is no whole ref.
    ShortRef = "short-ref", Findings;
    /// Lint: a recall of a signer that the policy does not have.
    IdleRecall = "idle-recall", Findings;
    /// Lint: the last day of a key is at most 30 days away, and no other key of its signer outlives it.
    ExpiringKey = "expiring-key", Findings;
    /// A tampering was not refused as it must be.
    DrillFailed = "drill-failed", Internal;
    /// A bug: two of our own parts disagree.
    Internal = "internal", Internal;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Any code: a reader of one version meets those of the next.
#[cfg(feature = "schema")]
impl schemars::JsonSchema for Code {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let description = "A stable code: docs/VERIFY.md.";
        schemars::json_schema!({ "description": description, "type": "string", "pattern": "^[a-z0-9-]+$" })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Exit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Exit".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let description = "An exit status: docs/VERIFY.md.";
        schemars::json_schema!({ "description": description, "type": "integer", "minimum": 0, "maximum": 255 })
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Self::of_word(&word).ok_or_else(|| D::Error::custom("no code"))
    }
}

impl Serialize for Exit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

impl<'de> Deserialize<'de> for Exit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of_number(u64::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("no exit status"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kebab_case_and_unique() {
        let mut words: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(words.iter().all(|w| w.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        words.sort_unstable();
        let count = words.len();
        words.dedup();
        assert_eq!(words.len(), count);
    }

    #[test]
    fn refusals_outrank_io_and_io_outranks_a_miss() {
        let order = [
            Exit::Stray,
            Exit::Untrusted,
            Exit::UnsafeArchive,
            Exit::Limit,
            Exit::Changed,
            Exit::Lockfile,
            Exit::Io,
            Exit::Miss,
            Exit::Ok,
        ];
        assert!(order.windows(2).all(|pair| pair[0].rank() > pair[1].rank()));
    }
}
