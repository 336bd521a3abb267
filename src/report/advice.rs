//! What to do about the worst refusal, for the person who ran the command.

use std::borrow::Cow;

use crate::base::{Code, Escaped, Exit};

/// Who asks, and what is known.
#[derive(Debug, Clone, Copy)]
pub enum Asker<'a> {
    /// A job that seals its own files: what is wrong is its own doing.
    Maker,
    /// Somebody who packs what was sealed before.
    Packer,
    /// Who verifies files, and by whom the seal is, if it is genuine.
    Verifier {
        /// The first accepted signer.
        sealed_by: Option<&'a str>,
        /// Whether they are in an archive.
        of_archive: bool,
    },
}

impl Asker<'_> {
    /// Who verifies files of which nothing is known.
    pub const VERIFIER: Self = Self::Verifier { sealed_by: None, of_archive: false };
}

/// How bits go that nobody may have.
const CLEAR_BITS: &str = "`chmod -R o-w,a-s,-t DIRECTORY`";

/// One line.
pub(super) fn advice(code: Code, asker: Asker<'_>) -> Cow<'static, str> {
    match asker {
        Asker::Maker => maker(code),
        Asker::Packer if code.exit() == Exit::Changed => {
            "the files changed after they were sealed: restore or reinstall them, and seal again only if the change is yours".into()
        }
        Asker::Verifier { of_archive: true, .. } if code == Code::UnprovenEntry => {
            "unpack the archive and run `verify` on the directories".into()
        }
        Asker::Verifier { sealed_by: Some(signer), .. } if code.exit() == Exit::Changed => genuine(code, signer),
        Asker::Packer | Asker::Verifier { .. } => verifier(code).into(),
    }
}

/// For a job that seals: nothing was sealed, and nobody else is to blame.
fn maker(code: Code) -> Cow<'static, str> {
    match code {
        Code::ForbiddenMode => format!("take these bits away with {CLEAR_BITS}, and seal again").into(),
        Code::SpecialFile => {
            "remove what is neither file, directory nor symlink, and seal again: `find DIRECTORY ! -type f ! -type d ! -type l -delete`".into()
        }
        Code::UnsafeRoot => {
            "make it a real directory, or name in `roots` the one that the link leads to; then seal again".into()
        }
        Code::WrongRef | Code::WrongJob => {
            "seal in a job that `refs` and `jobs` of the signer allow, or change them in the policy; where CI does not say from what ref it runs, a signer with `refs` cannot seal".into()
        }
        Code::WrongCache => "add the cache to `caches` of the signer, or seal with the key of another one".into(),
        Code::Expired => {
            "make a new key with `cacheseal key new`, name it in the policy beside the old one, and give its private half to this job".into()
        }
        Code::NotYetValid => "seal with a key that is good today, or correct `valid_from` in the policy".into(),
        Code::Revoked => {
            "if the key is recalled, give this job a new one; if these files are, change the lockfile, install into empty roots, and seal again".into()
        }
        Code::HardlinkOutside => {
            "install by copies instead of hard links (pnpm: `--package-import-method copy`), or say `hardlinks = \"any\"` at the gates".into()
        }
        Code::ChangedWhileRead => "let nothing write into the roots while they are sealed, and seal again".into(),
        code if code.exit() == Exit::Changed => "put right what is named above, and seal again".into(),
        code => verifier(code).into(),
    }
}

/// The seal is good, and the files are not what was sealed.
fn genuine(code: Code, signer: &str) -> Cow<'static, str> {
    let signer = Escaped(signer.as_bytes());
    match code {
        Code::ForbiddenMode => format!(
            "the seal by `{signer}` is genuine, but others may write there now, as after a restore with umask 0000: \
             take these bits away with {CLEAR_BITS} right after the restore, and verify again"
        ),
        Code::HardlinkOutside
        | Code::ChangedAfterVerify
        | Code::LinkEscapes
        | Code::UnsafeRoot
        | Code::ChangedWhileRead => verifier(code).to_owned(),
        _ => format!(
            "the seal by `{signer}` is genuine; the files were changed after it, so do not use them: look in the restore \
             step for the job that saved this entry, and change the prefix of the cache key in the CI configuration, so that it is never restored again"
        ),
    }
    .into()
}

fn verifier(code: Code) -> &'static str {
    match code {
        Code::NothingRestored => "go on without the cache, or say `--allow-miss`",
        Code::PolicyChanged => {
            "if you changed the policy, pin what `cacheseal policy digest` prints now, or start the guard after the change; else look at what changed it"
        }
        Code::GuardGone => "start a guard before the restore, and let nothing end it before this step",
        Code::GuardReplaced => "stop: something in this job answers in the guard's place",
        Code::StrayWrite => "stop: a restore wrote, or something else, where no cache has anything to write",
        Code::UnverifiedRoots => {
            "restore one cache at a time and verify it at once, before another is restored and before anything is installed; if that is so already, an archive wrote into the roots of another cache: do not use these files"
        }
        Code::UnverifiedBase => "verify the cache under the guard after restoring it, before anything is added to it",
        Code::WrongRoot | Code::WrongLockfile | Code::WrongProject | Code::WrongBinding | Code::WrongDigest => {
            "if the policy was changed after the cache was sealed, seal it again; else do not use it, and find out who saved it"
        }
        Code::UnknownSigner => {
            "if its key was replaced in the policy, have the job seal again with the new one; else do not use this cache, and find out who saved it"
        }
        Code::TruncatedArchive | Code::DamagedArchive => {
            "fetch the archive again; if it stays like this, do not use it"
        }
        Code::NoSeal => "save `.cacheseal` together with the roots, sealed by a trusted job",
        Code::TooOld | Code::StaleLockfile => "have a trusted job make and seal the cache anew",
        Code::UnpinnedLockfile => {
            "verify with `--guard`, or with `--trust-checkout` where nothing was restored, or use a gate with `lockfile = \"any\"`"
        }
        Code::Unreadable | Code::Unwritable | Code::DisposalFailed => {
            "nothing is trusted before this is put right; run again"
        }
        Code::SealNotFirst => {
            "verify it with `verify --archive`, or have `cacheseal pack` make one whose seal comes first"
        }
        Code::SparseFile => {
            "if the archive is yours, make it without holes: GNU tar without `-S`, bsdtar with `--no-read-sparse`"
        }
        Code::UnsupportedMember => {
            "if the archive is yours, make it without the options `-V`, `-g` and `-M` of GNU tar"
        }
        Code::MalformedHeader | Code::MalformedExtension | Code::AmbiguousHeader | Code::GlobalHeader => {
            "do not unpack the archive with any program; if it is yours, make it with GNU tar or bsdtar in their default formats"
        }
        Code::AmbiguousLayout => {
            "if the archive is yours, say where it has things with `--home`, `--checkout` or `--root`; else do not unpack it"
        }
        Code::LockfileMismatch => "do not use these files: somebody has changed them since they were downloaded",
        Code::UnprovenEntry | Code::LowCoverage => {
            "cache only what docs/LOCKFILES.md says can be proven, fill it from empty, or name the places in `unproven`"
        }
        Code::ChangedAfterVerify => {
            "publish nothing of this job: find out what wrote there, or allow new entries that the build makes with `--allow-new`"
        }
        Code::LinkEscapes => {
            "seal the cache without links that lead out of its roots, or let this gate say `links = \"any\"` by a reviewed change"
        }
        Code::UnsafeRoot => {
            "something else is in the place of a root: remove it before the restore, and find out what made it; a root is a real directory"
        }
        Code::ChangedWhileRead => "let nothing run beside the verification, and verify again",
        Code::HardlinkOutside => "copy instead of linking, or set `hardlinks = \"any\"` for this gate",
        code if code.exit() == Exit::Changed => {
            "do not use these files: change the prefix of the cache key in the CI configuration, so that they are never restored again, and have a trusted job seal new ones"
        }
        Code::Expired => {
            "have a trusted job seal the cache anew with a key that the policy names and that is still good"
        }
        Code::WrongRef | Code::WrongJob => {
            "do not use this cache: only seals of the refs and jobs that the policy gives its signers are accepted; find out who saved it"
        }
        _ => "do not use this cache; find out who saved it",
    }
}
