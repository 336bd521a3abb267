//! Every tampering, and the code it must get.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::bench::Bench;
use super::{forgery, tampering};
use crate::base::{Code, Exit};
use crate::cli::failure::Failure;

/// One tampering.
pub(super) struct Attempt {
    /// What is done, in words.
    pub(super) what: &'static str,
    pub(super) tamper: fn(&Bench) -> Result<(), Failure>,
    /// When the cache is verified, in hours after it was sealed.
    pub(super) hours_later: i64,
    /// The one code that it must be refused with.
    pub(super) code: Code,
}

/// What came of one attempt.
pub(super) struct Tried {
    attempt: Attempt,
    exit: Exit,
    codes: Vec<Code>,
}

impl Tried {
    /// Refused, for the one reason that it was meant to show.
    pub(super) fn as_expected(&self) -> bool {
        self.codes == [self.attempt.code] && self.exit == self.attempt.code.exit()
    }

    pub(super) fn text(&self) -> String {
        let codes: Vec<_> = self.codes.iter().map(|code| code.as_str()).collect();
        let found = if codes.is_empty() { "trusted".to_owned() } else { codes.join(", ") };
        if self.as_expected() {
            format!("refused  {found:<20} {}", self.attempt.what)
        } else {
            format!("NOT SO   {found:<20} {}: expected {}", self.attempt.what, self.attempt.code)
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "tampering": self.attempt.what, "expected": self.attempt.code.as_str(), "exit": self.exit.number(),
            "codes": self.codes.iter().map(|code| code.as_str()).collect::<Vec<_>>(), "asExpected": self.as_expected(),
        })
    }
}

impl Attempt {
    /// Makes sample and seal anew, tampers, and verifies.
    pub(super) fn run(self, bench: &Bench) -> Result<Tried, Failure> {
        bench.reset()?;
        (self.tamper)(bench)?;
        let verified = bench.verify_sample(bench.now + SignedDuration::from_hours(self.hours_later))?;
        let codes = verified.refusals.counts().map(|(code, _)| code).collect();
        Ok(Tried { attempt: self, exit: verified.exit(), codes })
    }
}

fn attempt(what: &'static str, tamper: fn(&Bench) -> Result<(), Failure>, code: Code) -> Attempt {
    Attempt { what, tamper, hours_later: 0, code }
}

/// All of them: the tree first (threat T1), then replays, mixtures and forgeries (T2, T3).
pub(super) fn attempts() -> Vec<Attempt> {
    let mut all = tree();
    all.extend(replays());
    all.extend(forgeries());
    all
}

fn tree() -> Vec<Attempt> {
    use tampering as t;
    vec![
        attempt("one byte of a file changed, size and times as before", t::change_byte, Code::DigestMismatch),
        attempt("a file cut short", t::truncate, Code::DigestMismatch),
        attempt("an empty file filled", t::fill_empty, Code::DigestMismatch),
        attempt("the contents of two files exchanged", t::exchange, Code::DigestMismatch),
        attempt("a file grown to 1 TiB that takes no space", t::grow_sparse, Code::DigestMismatch),
        attempt("a file with a line feed in its name changed", t::change_strange_name, Code::DigestMismatch),
        attempt("a file added", t::add_file, Code::ExtraEntry),
        attempt("a hidden file added", t::add_hidden, Code::ExtraEntry),
        attempt("an empty directory added", t::add_directory, Code::ExtraEntry),
        attempt("a file named as a seal added", t::add_seal_lookalike, Code::ExtraEntry),
        attempt("a file removed", t::remove_file, Code::MissingEntry),
        attempt("an empty directory removed", t::remove_directory, Code::MissingEntry),
        attempt("all contents removed", t::remove_all, Code::MissingEntry),
        attempt("the whole root removed", t::remove_root, Code::MissingEntry),
        attempt("a file made executable", t::set_executable, Code::ModeMismatch),
        attempt("a program made not executable", t::clear_executable, Code::ModeMismatch),
        attempt("a setuid bit added", t::set_setuid, Code::ForbiddenMode),
        attempt("a file made writable by everybody", t::open_file_to_all, Code::ForbiddenMode),
        attempt("a directory made writable by everybody", t::open_directory_to_all, Code::ForbiddenMode),
        attempt("a file replaced by a link to an equal one", t::file_to_link, Code::TypeMismatch),
        attempt("a link replaced by the file it named", t::link_to_file, Code::TypeMismatch),
        attempt("a directory replaced by a link to an equal one", t::directory_to_link, Code::TypeMismatch),
        attempt("a file replaced by a directory", t::file_to_directory, Code::TypeMismatch),
        attempt("a link pointed elsewhere", t::retarget_link, Code::LinkMismatch),
        attempt("a link respelt, leading to the same file", t::respell_link, Code::LinkMismatch),
        attempt("a file replaced by a fifo", t::file_to_fifo, Code::SpecialFile),
        attempt("a fifo added", t::add_fifo, Code::SpecialFile),
        attempt("a file also linked from outside", t::link_from_outside, Code::HardlinkOutside),
        attempt("the root replaced by a link to an equal one", t::root_to_link, Code::UnsafeRoot),
    ]
}

fn replays() -> Vec<Attempt> {
    use forgery as f;
    vec![
        Attempt {
            hours_later: 24 * 8,
            ..attempt("an old cache with its seal, eight days later", |_| Ok(()), Code::TooOld)
        },
        attempt("a seal from the future", f::from_the_future, Code::SealedInFuture),
        attempt("the cache of another lockfile", f::other_lockfile, Code::StaleLockfile),
        attempt("the cache of another branch", f::other_ref, Code::WrongRef),
        attempt("the cache of another platform", f::other_platform, Code::WrongPlatform),
        attempt("the cache of another project, sealed with the same key", f::other_project, Code::WrongProject),
        attempt("another cache of the project", f::other_cache, Code::WrongCache),
        attempt("an older tree under today's seal", f::other_tree, Code::DigestMismatch),
        attempt(
            "a changed tree with a manifest that fits it, in today's seal",
            f::other_manifest,
            Code::ManifestMismatch,
        ),
        attempt("the signature of another seal", f::other_signature, Code::SignatureMismatch),
    ]
}

fn forgeries() -> Vec<Attempt> {
    use forgery as f;
    vec![
        attempt("the seal removed", f::remove_seal, Code::NoSeal),
        attempt("the seal emptied", f::empty_seal, Code::MalformedEnvelope),
        attempt("the signature removed", f::remove_signature, Code::NoSignature),
        attempt("the signed statement changed", f::change_statement, Code::SignatureMismatch),
        attempt("sealed anew with an attacker's key", f::stranger_key, Code::UnknownSigner),
        attempt("sealed with an attacker's key under the job's key id", f::stranger_as_job, Code::SignatureMismatch),
        attempt(
            "sealed anew with the key of a job that the gate does not accept",
            f::other_key,
            Code::SignerNotAccepted,
        ),
        attempt("a file added to the seal", f::add_to_seal, Code::MalformedSeal),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_code_that_was_meant_is_a_refusal() {
        for (codes, exit, expected) in [
            (vec![Code::ExtraEntry], Exit::Changed, true),
            (vec![], Exit::Ok, false),
            (vec![Code::MissingEntry], Exit::Changed, false),
            (vec![Code::ExtraEntry, Code::MissingEntry], Exit::Changed, false),
            (vec![Code::ExtraEntry], Exit::Ok, false),
        ] {
            let tried = Tried { attempt: attempt("a file added", |_| Ok(()), Code::ExtraEntry), exit, codes };
            assert_eq!(tried.as_expected(), expected, "{}", tried.text());
            assert_eq!(tried.text().starts_with("refused "), expected, "{}", tried.text());
            assert_eq!(tried.json()["asExpected"], expected);
        }
    }
}
