//! Policies and seals in a few words, for tables: what a policy demands, what a seal says, and the codes.
//!
//! Both are lists of `name=value`, separated by `; `. What is not said is as in a seal that the gate `g` trusts. Where a
//! value is TOML, `{-2}` in it is the day before yesterday.
//!
//! The demands of a policy, each value in TOML as it stands in the policy:
//!
//! | Word | Meaning |
//! | --- | --- |
//! | `project`, `roots`, `lockfiles`, `digest` | fields of the project and of the cache `deps` |
//! | `valid` | fields of the first key of the signer `job`, which has a second key, `job-new` |
//! | `caches`, `refs`, `jobs` | the scope of the signer `job` |
//! | `second.valid`, `second.refs`, … | the same for the signer `second`, and so for `third` and `other` |
//! | `signers`, `threshold`, `max_age`, `lockfile`, `bindings` | fields of the gate; its only signer is `job` |
//!
//! Demands beside the policy:
//!
//! | Word | Meaning |
//! | --- | --- |
//! | `revoke` | what `keys/revoked.toml` has: `key NAME`, `before HOURS SIGNER`, `manifest` (the first of the seal), `another manifest` |
//! | `list` | the same in a list of `--revocations` |
//! | `here` | the checkout: `other-lockfile`, `no-lockfile`, or `pinned` for `--policy-sha256` alone |
//!
//! What a seal says:
//!
//! | Word | Meaning |
//! | --- | --- |
//! | `by` | keys, separated by commas: the first one seals, the others add their signatures; `stranger` is in no policy |
//! | `ref`, `job` | branch and name of the CI job |
//! | `age` | how long ago, in hours |
//! | `platform` | `os/arch` |
//! | `bind` | bindings, `name=value`, separated by commas |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use cacheseal::base::{Digest, Limits};
use cacheseal::policy::{Revocations, entry_text};
use cacheseal::seal::envelope::{UnverifiedEnvelope, add_signature};
use cacheseal::seal::statement::{Platform, Source};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan as _};

use crate::harness::{Project, Run, SealAs, Verdict, key, now};

/// `name=value` pairs.
pub(crate) type Words = BTreeMap<String, String>;

/// Signers and the keys of each, besides `job`; `job` has a second key too.
const OTHERS: [&str; 3] = ["second", "third", "other"];

/// Splits a list of words.
pub(crate) fn words(text: &str) -> Words {
    let pairs = text.split("; ").filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap()).collect()
}

/// The day so many days from today, UTC.
pub(crate) fn day(from_today: i32) -> Date {
    now().to_zoned_datetime(TimeZone::UTC).date().checked_add(from_today.days()).unwrap()
}

/// Puts days into a text: `{-2}` is the day before yesterday.
fn with_days(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        if let Some((days, after)) = after.split_once('}').and_then(|(days, after)| Some((days.parse().ok()?, after))) {
            out.push_str(&day(days).to_string());
            rest = after;
        } else {
            out.push('{');
            rest = after;
        }
    }
    out + rest
}

/// The policy of these demands.
pub(crate) fn policy(demands: &Words) -> String {
    let or = |name: &str, otherwise: &str| demands.get(name).map_or(otherwise, String::as_str).to_owned();
    let fields = |prefix: &str, names: &[&str]| {
        let field = |name: &&str| Some(format!("{name} = {}\n", demands.get(&format!("{prefix}{name}"))?));
        names.iter().filter_map(field).collect::<String>()
    };
    let scope = ["caches", "refs", "jobs"];
    let valid = |name: &str| demands.get(name).map_or(String::new(), |fields| format!(", {fields}"));
    let mut text = format!(
        "version = 1\nproject = {}\n\n[cache.deps]\nroots = {}\nlockfiles = {}\n{}\n",
        or("project", "\"github.com/acme/app\""),
        or("roots", "[\"deps\", \"~/store\"]"),
        or("lockfiles", "[\"deps.lock\"]"),
        fields("", &["digest"]),
    );
    let _ = write!(
        text,
        "[signer.job]\nkeys = [{{ file = \"keys/job.pub\"{} }}, {{ file = \"keys/job-new.pub\" }}]\n{}\n",
        valid("valid"),
        fields("", &scope)
    );
    for name in OTHERS {
        let fields = fields(&format!("{name}."), &scope);
        let valid = valid(&format!("{name}.valid"));
        let _ = write!(text, "[signer.{name}]\nkeys = [{{ file = \"keys/{name}.pub\"{valid} }}]\n{fields}\n");
    }
    let _ = write!(
        text,
        "[gate.g]\nrequire = [\"signature\"]\nsigners = {}\nmax_age = {}\nlockfile = {}\n{}",
        or("signers", "[\"job\"]"),
        or("max_age", "\"7d\""),
        or("lockfile", "\"any\""),
        fields("", &["threshold", "bindings"]),
    );
    with_days(&text)
}

/// A filled project with the policy that demands nothing, and all keys.
pub(crate) fn project() -> Project {
    let project = Project::empty(&policy(&Words::new()));
    for name in OTHERS.into_iter().chain(["job-new", "stranger"]) {
        project.write_private_key(name);
        if name != "stranger" {
            project.write(&format!("keys/{name}.pub"), key(name).public().to_pem());
        }
    }
    project.fill();
    project
}

/// Makes the seal that says this. The binary makes it, unless it is to tell another time or platform.
pub(crate) fn seal(project: &Project, said: &Words) {
    seal_where(project, said, said.contains_key("age") || said.contains_key("platform"));
}

fn seal_where(project: &Project, said: &Words, in_process: bool) {
    let by = said.get("by").map_or("job", String::as_str);
    let mut keys = by.split(',');
    let first = keys.next().unwrap();
    if in_process {
        seal_in_process(project, said, first);
    } else {
        seal_by_binary(project, said, first, &[]).verdict().expect(0, &[]);
    }
    for name in keys {
        let envelope = fs::read(project.envelope_path()).unwrap();
        let envelope = UnverifiedEnvelope::parse(&envelope, &Limits::STANDARD).unwrap();
        fs::write(project.envelope_path(), add_signature(&envelope, &key(name))).unwrap();
    }
}

fn bindings(said: &Words) -> impl Iterator<Item = (&str, &str)> {
    let all = said.get("bind").map_or("", String::as_str);
    all.split(',').filter_map(|pair| pair.split_once('='))
}

fn seal_in_process(project: &Project, said: &Words, by: &str) {
    let age = said.get("age").map_or(0, |hours| hours.parse().unwrap());
    let platform = said.get("platform").and_then(|platform| platform.split_once('/'));
    let defaults = SealAs::default();
    project.seal_as(SealAs {
        key: by,
        now: now() - SignedDuration::from_hours(age),
        platform: platform
            .map_or(defaults.platform, |(os, arch)| Platform { os: os.to_owned(), arch: arch.to_owned() }),
        source: Source {
            ref_: said.get("ref").map(|branch| match branch.strip_prefix("pull/") {
                Some(number) => format!("refs/pull/{number}/head"),
                None => format!("refs/heads/{branch}"),
            }),
            job: said.get("job").cloned(),
            ..Source::default()
        },
        bindings: bindings(said).map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    });
}

/// `seal deps` in a job that is called so, on a branch that is called so.
pub(crate) fn seal_by_binary(project: &Project, said: &Words, by: &str, more: &[&str]) -> Run {
    let mut command = project.command();
    command.args(["seal", "deps", "--format", "json", "--key", project.private_key(by).to_str().unwrap()]).args(more);
    for (name, value) in bindings(said) {
        command.args(["--bind", &format!("{name}={value}")]);
    }
    command.env("CIRCLECI", "true");
    for (variable, word) in [("CIRCLE_BRANCH", "ref"), ("CIRCLE_JOB", "job")] {
        if let Some(value) = said.get(word) {
            command.env(variable, value);
        }
    }
    Run::of(command.output().unwrap())
}

/// A list of revocations in a few words.
pub(crate) fn revocation(project: &Project, what: &str) -> String {
    let text = match what.split(' ').collect::<Vec<_>>().as_slice() {
        ["key", name] => entry_text(&[("keyid", &key(name).public().id().to_string())], "leaked"),
        ["before", hours, name] => {
            let before = now() + SignedDuration::from_hours(hours.parse().unwrap());
            entry_text(&[("signer", name), ("before", &before.to_string())], "compromised")
        }
        ["manifest"] => {
            let manifest = fs::read(project.seal_path().join("0.mtree")).unwrap();
            entry_text(&[("manifest", &Digest::sha256(&manifest).to_string())], "malware")
        }
        ["another", "manifest"] => entry_text(&[("manifest", &Digest::sha256(b"").to_string())], "malware"),
        other => panic!("{other:?}"),
    };
    format!("version = 1\n{text}")
}

/// Makes policy and checkout as demanded.
fn prepare(project: &Project, demands: &Words) {
    project.write("cacheseal.toml", policy(demands));
    if let Some(what) = demands.get("revoke") {
        project.write("keys/revoked.toml", revocation(project, what));
    }
    match demands.get("here").map(String::as_str) {
        Some("other-lockfile") => project.write("deps.lock", "left-pad 1.3.1\n"),
        Some("no-lockfile") => fs::remove_file(project.path("deps.lock")).unwrap(),
        _ => {}
    }
}

fn is_pinned(demands: &Words) -> bool {
    demands.get("here").is_some_and(|here| here == "pinned")
}

/// Makes policy and checkout as demanded, and verifies in this process at the gate `g`: exit status and codes.
fn judged(project: &Project, demands: &Words) -> (u8, BTreeSet<&'static str>) {
    prepare(project, demands);
    let mut policy = project.policy();
    if let Some(what) = demands.get("list") {
        policy.recall(Revocations::parse("newer.toml", revocation(project, what).as_bytes()).unwrap());
    }
    project.judge_at("g", policy, !is_pinned(demands)).verdict()
}

/// Makes policy and checkout as demanded, and verifies with the binary at the gate `g`.
pub(crate) fn verdict(project: &Project, demands: &Words) -> Verdict {
    prepare(project, demands);
    let mut arguments = vec!["verify".to_owned(), "deps".to_owned(), "--gate".to_owned(), "g".to_owned()];
    if is_pinned(demands) {
        let pin = project.run(&["policy", "digest"]).stdout;
        arguments.extend(["--policy-sha256".to_owned(), pin.trim_end().to_owned()]);
    } else {
        arguments.push("--trust-checkout".to_owned());
    }
    if let Some(what) = demands.get("list") {
        let list = project.outside("newer.toml");
        fs::write(&list, revocation(project, what)).unwrap();
        arguments.extend(["--revocations".to_owned(), list.to_str().unwrap().to_owned()]);
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    project.json(&arguments)
}

/// The exit status of a refusal for its evidence with these codes, which spaces separate; none: it is trusted.
fn expected(codes: &str) -> (u8, BTreeSet<&str>) {
    let codes: BTreeSet<_> = codes.split(' ').filter(|code| !code.is_empty()).collect();
    (if codes.is_empty() { 0 } else { 10 }, codes)
}

/// Asserts that a seal gets exactly these codes, in this process.
#[track_caller]
pub(crate) fn expect(what: &str, demands: &Words, said: &Words, codes: &str) {
    let project = project();
    seal_where(&project, said, true);
    assert_eq!(judged(&project, demands), expected(codes), "{what}: {demands:?} {said:?}");
}

/// The same for a seal by these keys that was then tampered with.
#[track_caller]
pub(crate) fn expect_after(tamper: fn(&Project), demands: &Words, said: &Words, codes: &str) {
    let project = project();
    seal_where(&project, said, true);
    tamper(&project);
    assert_eq!(judged(&project, demands), expected(codes), "{demands:?} {said:?}");
}

/// The same as [`expect`] with the real binary.
#[track_caller]
pub(crate) fn expect_of_binary(what: &str, demands: &Words, said: &Words, codes: &str) {
    let project = project();
    seal(&project, said);
    let (exit, codes) = expected(codes);
    let codes: Vec<_> = codes.into_iter().collect();
    verdict(&project, demands).expect_of(format_args!("{what}: {demands:?} {said:?}"), exit.into(), &codes);
}
