//! The side that asks. No answer, or none that can be believed, is a refusal.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::arguments::{
    GuardCheckArguments, GuardRecheckArguments, GuardWaitArguments, PolicyArgument, SealArguments, VerifyArguments,
};
use super::super::differences::Differences;
use super::super::judging::refused;
use super::super::outcome::Outcome;
use super::super::system::job;
use super::failure_file::{self, understood};
use crate::base::{Code, Digest, Exit, Limits, Refusal, Refusals, plural};
use crate::checkout::{Checkout, Context, Failure, named_revocations, shown, split};
use crate::guard::{Answer, Demand, Question, Recheck, Sealing, Silence, SocketName, ask_with, of_wire, to_wire};
use crate::report::{Guarding, Head, UnansweredReport, VerifyReport, listing_text};
use crate::seal::statement::{SealedRoot, Statement};

/// How long a guard may be silent. It gives a sign of life every five seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two attempts to reach a guard that is not there yet.
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no answer: an error of the checkout, that the guard or the command line tells, or a silence.
pub(super) enum Unanswered {
    Failure(Failure),
    Silence(Silence),
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// The name of the guard of a policy, and the user that it works for.
pub(super) fn name_of(policy: &Path) -> Result<(SocketName, u32), Failure> {
    let (directory, file) = split(policy)?;
    let user = rustix::process::geteuid().as_raw();
    Ok((SocketName::of(user, &directory.join(file), &job()), user))
}

fn ask_once(policy: &Path, question: &Question, patience: Duration) -> Result<Answer, Unanswered> {
    ask_once_with(policy, question, None, patience)
}

fn ask_once_with(
    policy: &Path,
    question: &Question,
    file: Option<&File>,
    patience: Duration,
) -> Result<Answer, Unanswered> {
    let (name, user) = name_of(policy)?;
    let until_end = matches!(question, Question::Stop);
    let answer = ask_with(&name, user, &to_wire(question), file.map(AsFd::as_fd), patience, until_end)
        .map_err(Unanswered::Silence)?;
    understood(of_wire(&answer)).map_err(|failure| failure.map_or_else(strange, Unanswered::Failure))
}

fn strange() -> Unanswered {
    Unanswered::Silence(replaced())
}

fn replaced() -> Silence {
    Silence::Replaced("a process that answers something else".to_owned())
}

/// A silence as the refusal that it is.
fn refusal(policy: &Path, silence: &Silence) -> Refusal {
    let (code, expected) = match silence {
        Silence::Replaced(_) => (Code::GuardReplaced, "the guard that was started before the restore"),
        _ => (Code::GuardGone, "a guard that was started before the restore, and lives"),
    };
    Refusal::new(code, policy.as_os_str().as_encoded_bytes(), expected, silence.to_string())
}

/// The outcome of a command that got no answer.
fn unanswered(command: &'static str, policy: &Path, why: Unanswered) -> Result<Outcome, Failure> {
    match why {
        Unanswered::Failure(failure) => Err(failure),
        Unanswered::Silence(silence) => {
            let mut refusals = Refusals::new(1);
            refusals.push(refusal(policy, &silence));
            Ok(refused_outcome(command, &refusals))
        }
    }
}

fn refused_outcome(command: &'static str, refusals: &Refusals) -> Outcome {
    let exit = refusals.exit();
    let (refusals, counts) = refusals.clone().into_parts();
    let text = format!("refused: {command}\n{}", listing_text(&refusals, &counts));
    Outcome::of(exit, text, &UnansweredReport { head: Head::with(command, exit, "refused"), refusals, counts })
}

/// Waits for a guard. Nothing was restored yet, so the policy on disk can be believed: the guard must have the same.
pub(super) fn wait(arguments: &GuardWaitArguments, context: &Context) -> Result<Outcome, Failure> {
    let policy = &arguments.policy.policy;
    let checkout = Checkout::load(policy, context)?;
    for cache in &arguments.caches {
        checkout.policy.cache(cache)?;
    }
    let hello = match first_answer(arguments, context)? {
        Ok(Answer::Guarding(hello)) => hello,
        Ok(_) => return unanswered("guard wait", policy, strange()),
        Err(Unanswered::Silence(Silence::Nobody)) => {
            let silence = Silence::Gone(format!(
                "nobody answered within {}",
                plural(arguments.timeout.into(), "second", "seconds")
            ));
            return unanswered("guard wait", policy, Unanswered::Silence(silence));
        }
        Err(why) => return unanswered("guard wait", policy, why),
    };
    let mut refusals = Refusals::new(1);
    if hello.policy != checkout.digest.to_string() {
        let expected = format!("a guard with the policy that is on disk, sha256 {}", checkout.digest);
        let found = format!("one with sha256 {}", hello.policy);
        refusals.push(Refusal::new(Code::GuardReplaced, policy.as_os_str().as_encoded_bytes(), expected, found));
    }
    if let Some(cache) = unguarded(arguments, &hello) {
        let expected = format!("a guard of cache `{cache}`");
        let found = format!("one of {}", hello.caches.join(", "));
        refusals.push(Refusal::new(Code::GuardReplaced, cache.as_str(), expected, found));
    }
    if !refusals.is_empty() {
        return Ok(refused_outcome("guard wait", &refusals));
    }
    Ok(Outcome::of(Exit::Ok, hello.text(), &hello.said_by("guard wait", "guarding")))
}

/// The first of the caches waited for that a guard has not.
fn unguarded<'a>(arguments: &'a GuardWaitArguments, hello: &Guarding) -> Option<&'a String> {
    arguments.caches.iter().find(|cache| !hello.caches.contains(cache))
}

/// What the guard answers once there is one, or why the one that was started in the background says it did not start.
/// That one may still be on its way when an earlier guard of this job, which has other caches, answers in its place.
fn first_answer(arguments: &GuardWaitArguments, context: &Context) -> Result<Result<Answer, Unanswered>, Failure> {
    let policy = &arguments.policy.policy;
    let allowed = Duration::from_secs(arguments.timeout.into());
    let begun = Instant::now();
    loop {
        let failed = arguments.failure_file.as_deref().and_then(|path| failure_file::read(path, policy, context));
        if let Some(failure) = failed {
            return Err(failure);
        }
        let left = allowed.saturating_sub(begun.elapsed()).max(PAUSE);
        let answer = ask_once(policy, &Question::Hello, left);
        let may_change = match &answer {
            Err(Unanswered::Silence(Silence::Nobody | Silence::Gone(_))) => true,
            Ok(Answer::Guarding(hello)) => arguments.failure_file.is_some() && unguarded(arguments, hello).is_some(),
            _ => false,
        };
        if !may_change || begun.elapsed() + PAUSE >= allowed {
            return Ok(answer);
        }
        std::thread::sleep(PAUSE);
    }
}

pub(super) fn check(arguments: &GuardCheckArguments) -> Result<Outcome, Failure> {
    let question = Question::Check { report_only: arguments.report_only };
    ask_for_verdict("guard check", &arguments.policy.policy, &question)
}

pub(super) fn recheck(arguments: &GuardRecheckArguments) -> Result<Outcome, Failure> {
    let question = Question::Recheck(Recheck {
        caches: arguments.caches.clone(),
        new_allowed: arguments.allow_new.iter().map(ToString::to_string).collect(),
        full: arguments.full,
        threads: arguments.walk.threads,
    });
    ask_for_verdict("guard recheck", &arguments.policy.policy, &question)
}

fn ask_for_verdict(command: &'static str, policy: &Path, question: &Question) -> Result<Outcome, Failure> {
    match ask_once(policy, question, PATIENCE) {
        Ok(Answer::Checked(report)) => Ok(Outcome::of(report.exit, report.text(), &report)),
        Ok(Answer::Rechecked(report)) => Ok(Outcome::of(report.exit, report.text(), &report)),
        Ok(_) => unanswered(command, policy, strange()),
        Err(why) => unanswered(command, policy, why),
    }
}

pub(super) fn stop(arguments: &PolicyArgument) -> Result<Outcome, Failure> {
    match ask_once(&arguments.policy, &Question::Stop, PATIENCE) {
        Ok(Answer::Guarding(hello)) => {
            let text = format!("stopped: the guard of {}\n", hello.caches.join(", "));
            Ok(Outcome::of(Exit::Ok, text, &hello.said_by("guard stop", "stopped")))
        }
        Ok(_) => unanswered("guard stop", &arguments.policy, strange()),
        Err(why) => unanswered("guard stop", &arguments.policy, why),
    }
}

/// Has the guard verify. Without one there is no verdict but a refusal, and nothing is touched.
pub(crate) fn ask_to_verify(
    arguments: &VerifyArguments,
    demand: &Demand,
    context: &Context,
    differences: &mut Option<Differences>,
) -> Result<VerifyReport, Failure> {
    let policy = &arguments.policy.policy;
    let mut revocations = Vec::new();
    for path in &arguments.revocations {
        // It is a list, so it is text.
        let text = String::from_utf8_lossy(&named_revocations(path, context)?.1).into_owned();
        revocations.push((path.to_string_lossy().into_owned(), text));
    }
    let file = differences.as_ref().and_then(Differences::file);
    let question = Question::Verify { demand: demand.clone(), revocations, differences: file.is_some() };
    let why = match ask_once_with(policy, &question, file, PATIENCE) {
        Ok(Answer::Verified(report)) => return Ok(*report),
        Ok(_) => strange(),
        Err(why) => why,
    };
    match why {
        Unanswered::Failure(failure) => Err(failure),
        Unanswered::Silence(silence) => {
            let note = "roots and seal were left alone: the guard that knows them does not answer";
            // What somebody wrote who gave no verdict belongs to none.
            *differences = differences.take().map(Differences::restart);
            let stream = differences.as_ref().and_then(Differences::stream);
            let context = Context { differences: stream, ..context.clone() };
            Ok(refused(demand, &context, refusal(policy, &silence), note))
        }
    }
}

/// Asks the guard whether the roots may be sealed: it vouches for what they were before the job filled them, and for
/// whom. `Ok(Err)` is a refusal; a policy that is not the one the guard has is one too.
pub(crate) fn ask_for_base(
    arguments: &SealArguments,
    digest: Digest,
    sealing: &Sealing<'_>,
    elsewhere: &[(PathBuf, String)],
    limits: &Limits,
) -> Result<Result<(), Refusals>, Failure> {
    let mut pairs = Vec::new();
    for (place, root) in elsewhere {
        let place = place.to_str().ok_or_else(|| {
            Failure::new(Code::Usage, format!("expected a directory whose name is text, found {}", shown(place)))
        })?;
        pairs.push((root.clone(), place.to_owned()));
    }
    let question = Question::Base {
        cache: arguments.cache.clone(),
        elsewhere: pairs,
        signer: sealing.signer.to_owned(),
        bindings: sealing.bindings.clone(),
    };
    ask_to_seal(&arguments.policy.policy, digest, &question, limits)
}

/// Has the guard take note of the seal that it allowed: from now on it watches the cache as it was sealed.
pub(crate) fn note_seal(
    arguments: &SealArguments,
    digest: Digest,
    statement: &Statement,
    limits: &Limits,
) -> Result<Result<(), Refusals>, Failure> {
    // Of roots that were sealed from elsewhere, the guard knows nothing at their places.
    let roots = statement.predicate.roots.iter().filter(|_| arguments.root.is_empty());
    // Subjects stand in the order of the roots that have a manifest.
    let mut subjects = statement.subjects.iter();
    let manifest = |root: &SealedRoot| Some((root.manifest.clone()?, subjects.next()?.sha256.to_string()));
    let manifests = roots.map(manifest).collect();
    let question = Question::Sealed { cache: arguments.cache.clone(), manifests };
    ask_to_seal(&arguments.policy.policy, digest, &question, limits)
}

fn ask_to_seal(
    policy: &Path,
    digest: Digest,
    question: &Question,
    limits: &Limits,
) -> Result<Result<(), Refusals>, Failure> {
    let refused = match ask_once(policy, question, PATIENCE) {
        Ok(Answer::Granted(granted)) if granted == digest.to_string() => return Ok(Ok(())),
        Ok(Answer::Granted(granted)) => {
            let expected = format!("the policy that the guard loaded, sha256 {granted}");
            let found = format!("sha256 {digest}");
            Refusal::new(Code::PolicyChanged, policy.as_os_str().as_encoded_bytes(), expected, found)
        }
        Ok(Answer::Refused(told)) if !told.is_empty() => {
            let mut refusals = Refusals::new(limits.refusals_max);
            refusals.extend(told);
            return Ok(Err(refusals));
        }
        Ok(_) => refusal(policy, &replaced()),
        Err(Unanswered::Failure(failure)) => return Err(failure),
        Err(Unanswered::Silence(silence)) => refusal(policy, &silence),
    };
    let mut refusals = Refusals::new(1);
    refusals.push(refused);
    Ok(Err(refusals))
}
