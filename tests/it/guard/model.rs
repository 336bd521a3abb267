//! Random jobs against a model of their own. The model knows every byte on the disk and what was really sealed; it
//! knows nothing of change times, looks or standings. What the guard lets pass must be what the model allows.

mod job;

use std::cell::Cell;

use cacheseal::tree::Disposal;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use self::job::{Job, archives, roots, seal_of};
use crate::forge::remove;
use crate::harness::{Project, share};

/// Three caches; one root lies in home, below directories that come with it. `strict` accepts one signer, `pr` both.
const POLICY: &str = r#"version = 1
project = "github.com/acme/app"

[cache.a]
roots = ["a", "~/.a/store"]

[cache.b]
roots = ["~/.b/deep/store"]

[cache.c]
roots = ["c"]

[signer.job]
keys = [{ file = "keys/job.pub" }]

[signer.other]
keys = [{ file = "keys/other.pub" }]

[gate.strict]
require = ["signature"]
signers = ["job"]
max_age = "7d"
lockfile = "any"

[gate.pr]
require = ["signature"]
signers = ["job", "other"]
max_age = "7d"
lockfile = "any"
"#;

const CACHES: [&str; 3] = ["a", "b", "c"];
const SIGNERS: [&str; 2] = ["job", "other"];
const GATES: [&str; 2] = ["strict", "pr"];

/// What a restore brings.
#[derive(Debug, Clone, Copy)]
enum Archive {
    /// What a signer has sealed.
    Sealed(usize),
    /// The same with one file changed.
    Changed(usize),
    /// The same without its seal.
    Unsealed(usize),
    /// Nothing.
    Empty,
}

/// What else happens.
#[derive(Debug, Clone, Copy)]
enum Step {
    Restore(usize, Archive, Option<Place>),
    Verify(usize, usize, Disposal),
    Check,
    /// The job looks whether what was verified is as it was.
    Recheck(usize, bool),
    /// Anybody writes: a restore that nobody verifies, or the job.
    Write(Place),
    Remove(usize),
    Seal(usize, usize),
    /// The guard is killed or stopped, and another one started.
    Restart(bool),
}

/// A place for one more file, or for other contents of one.
#[derive(Debug, Clone, Copy)]
enum Place {
    Root(usize, bool),
    SealOf(usize),
    Home,
    Checkout,
    Policy,
    Aside,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = prop_oneof![
        4 => (0..3_usize, any::<bool>()).prop_map(|(cache, new)| Place::Root(cache, new)),
        1 => (0..3_usize).prop_map(Place::SealOf),
        1 => Just(Place::Home),
        1 => Just(Place::Checkout),
        1 => Just(Place::Policy),
        1 => Just(Place::Aside),
    ];
    let archive = prop_oneof![
        6 => (0..2_usize).prop_map(Archive::Sealed),
        1 => (0..2_usize).prop_map(Archive::Changed),
        1 => (0..2_usize).prop_map(Archive::Unsealed),
        2 => Just(Archive::Empty),
    ];
    let disposal = prop_oneof![Just(Disposal::Keep), Just(Disposal::Quarantine), Just(Disposal::Purge)];
    let also = prop_oneof![6 => Just(None), 1 => place.clone().prop_map(Some)];
    let step = prop_oneof![
        6 => (0..3_usize, archive, also).prop_map(|(cache, archive, also)| Step::Restore(cache, archive, also)),
        8 => (0..3_usize, 0..2_usize, disposal).prop_map(|(cache, gate, disposal)| Step::Verify(cache, gate, disposal)),
        2 => Just(Step::Check),
        2 => (0..3_usize, any::<bool>()).prop_map(|(cache, full)| Step::Recheck(cache, full)),
        2 => place.prop_map(Step::Write),
        1 => (0..3_usize).prop_map(Step::Remove),
        5 => (0..3_usize, 0..2_usize).prop_map(|(cache, signer)| Step::Seal(cache, signer)),
        1 => any::<bool>().prop_map(Step::Restart),
    ];
    proptest::collection::vec(step, 3..14)
}

/// Runs a job; how many verdicts trusted a cache, how many seals were made, and how many looks found what was verified.
fn run(no_restore: bool, steps: &[Step]) -> [u32; 3] {
    let project = Project::empty(POLICY);
    let mut job = Job::begin(&project, no_restore);
    for step in steps {
        match *step {
            Step::Restore(cache, archive, also) => {
                job.restore(cache, archive);
                if let Some(place) = also {
                    job.write(place);
                }
            }
            Step::Verify(cache, gate, disposal) => job.verify(cache, gate, disposal),
            Step::Check => job.check(),
            Step::Recheck(cache, full) => job.recheck(cache, full),
            Step::Write(place) => job.write(place),
            Step::Remove(cache) => {
                for root in roots(&project, cache) {
                    remove(&root);
                }
                remove(&seal_of(&project, cache));
            }
            Step::Seal(cache, signer) => job.seal(cache, signer),
            Step::Restart(no_restore) => job.restart(no_restore),
        }
    }
    (0..CACHES.len()).for_each(|cache| job.recheck(cache, false));
    [job.trusted, job.sealed, job.unchanged]
}

#[test]
fn what_the_guard_lets_pass_is_what_the_model_allows() {
    archives();
    let cases = share(if cfg!(feature = "judges") { 20_000 } else { 400 });
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let counts = Cell::new([0; 3]);
    let each = |(no_restore, steps): (bool, Vec<Step>)| {
        let (counted, more) = (counts.get(), run(no_restore, &steps));
        counts.set(std::array::from_fn(|at| counted[at] + more[at]));
        Ok(())
    };
    TestRunner::new(config).run(&(any::<bool>(), steps()), each).unwrap();
    // None is so rare that the property says little; of few cases, chance decides about that.
    if cases < 1_000 {
        return;
    }
    let [trusted, sealed, unchanged] = counts.get();
    let told = format!("{trusted} trusted, {sealed} sealed, {unchanged} unchanged of {cases}");
    assert!(trusted > cases / 50 && sealed > cases / 50 && unchanged > cases / 200, "{told}");
}
