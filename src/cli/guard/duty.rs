//! What a guard answers. Everything that decides is in its memory since before the restore.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use clap::ValueEnum as _;
use serde_json::{Value, json};

use super::super::arguments::OnRefusal;
use super::super::failure::Failure;
use super::super::judging::{Demand, Rendered, dispose, judge, rendered};
use super::super::setup::Setup;
use crate::base::{Code, Digest, Escaped, Exit, Limits, Refusals, plural};
use crate::cache::Verification;
use crate::guard::{Guard, Settled, Strays};
use crate::policy::Revocations;
use crate::report::{candidates_text, counts_json, refusals_json, refusals_text};
use crate::verify::{Amount, Coverage, Rule};

/// A guard on duty.
pub(super) struct Duty {
    state: Mutex<State>,
    limits: Limits,
}

struct State {
    setup: Setup,
    guard: Guard,
}

/// What a guard says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) policy: String,
    pub(super) caches: Vec<String>,
    pub(super) watched: u64,
    pub(super) unreadable: u64,
    pub(super) process: u64,
    pub(super) report_only: bool,
}

/// What is asked of a guard.
#[derive(Debug)]
pub(super) enum Question {
    Hello,
    Stop,
    Check {
        report_only: bool,
    },
    /// Lists of revocations come with their names and texts.
    Verify {
        demand: Demand,
        revocations: Vec<(String, String)>,
    },
    /// Roots that are elsewhere come with the directories that stand for them.
    Base {
        cache: String,
        elsewhere: Vec<(String, String)>,
    },
}

/// What a guard answers.
pub(super) enum Answer {
    Hello(Hello),
    Rendered(Rendered),
    /// The roots may be sealed, by the policy of this digest.
    Granted(Digest),
    Refused(Refusals),
    Failure(Failure),
}

impl Duty {
    pub(super) fn new(setup: Setup, guard: Guard, limits: Limits) -> Self {
        Self { state: Mutex::new(State { setup, guard }), limits }
    }

    /// Answers one question; the second says whether that was the last.
    pub(super) fn answer(&self, question: &Value) -> (Value, bool) {
        let Some(question) = Question::of_json(question) else {
            let failure = Failure::new(Code::Internal, "expected a question that this guard knows");
            return (Answer::Failure(failure).to_json(), false);
        };
        // A question that ended in a panic may have left anything behind.
        let Ok(mut state) = self.state.lock() else {
            let failure = Failure::new(Code::Internal, "the guard failed at an earlier question");
            return (Answer::Failure(failure).to_json(), false);
        };
        let stop = matches!(question, Question::Stop);
        (state.answer(&question, &self.limits).unwrap_or_else(Answer::Failure).to_json(), stop)
    }

    pub(super) fn hello(&self) -> Hello {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).hello()
    }
}

impl State {
    fn answer(&mut self, question: &Question, limits: &Limits) -> Result<Answer, Failure> {
        Ok(match question {
            Question::Hello | Question::Stop => Answer::Hello(self.hello()),
            Question::Check { report_only } => Answer::Rendered(self.check(*report_only)),
            Question::Verify { demand, revocations } => Answer::Rendered(self.verify(demand, revocations, limits)?),
            Question::Base { cache, elsewhere } => {
                self.guarded(cache)?;
                let elsewhere: Vec<_> = elsewhere.iter().map(|(root, place)| (root.clone(), place.into())).collect();
                let objections = self.guard.objections(cache, &elsewhere);
                if objections.is_empty() { Answer::Granted(self.setup.digest) } else { Answer::Refused(objections) }
            }
        })
    }

    fn hello(&self) -> Hello {
        let (watched, unreadable) = self.guard.extent();
        Hello {
            policy: self.setup.digest.to_string(),
            caches: self.guard.caches().to_vec(),
            watched,
            unreadable,
            process: u64::from(std::process::id()),
            report_only: self.guard.is_report_only(),
        }
    }

    /// Of other caches the guard knows that they must not change, and nothing else.
    fn guarded(&self, cache: &str) -> Result<(), Failure> {
        self.setup.policy.cache(cache)?;
        if self.guard.caches().iter().any(|guarded| guarded == cache) {
            return Ok(());
        }
        let message = format!("expected one of the caches that the guard watches ({}), found `{cache}`", self.names());
        Err(Failure::new(Code::Usage, message).hint("name it at `cacheseal guard start`"))
    }

    fn names(&self) -> String {
        self.guard.caches().iter().map(|cache| format!("`{cache}`")).collect::<Vec<_>>().join(", ")
    }

    fn check(&mut self, report_only: bool) -> Rendered {
        let strays = self.guard.strays(None);
        let decides = !report_only && !self.guard.is_report_only();
        if decides {
            self.guard.note_strays(&strays);
        }
        let found = &strays.refusals;
        let total = plural(found.total(), "stray write", "stray writes");
        let (exit, verdict, text) = match (decides, found.is_empty()) {
            (true, true) => (Exit::Ok, "clean", "clean: nothing was written outside the roots of".to_owned()),
            (true, false) => (found.exit(), "refused", format!("refused: {total} outside the roots of")),
            (false, _) => (Exit::Ok, "reported", format!("reported: {total} outside the roots of")),
        };
        let list = if decides { refusals_text(found) } else { candidates_text(found) };
        let none = Refusals::new(0);
        let (refusals, candidates) = if decides { (found, &none) } else { (&none, found) };
        let json = json!({
            "version": 1, "command": "guard check", "verdict": verdict, "exit": exit.number(),
            "caches": self.guard.caches(), "watched": self.guard.extent().0,
            "refusals": refusals_json(refusals), "counts": counts_json(refusals),
            "candidates": refusals_json(candidates),
        });
        Rendered { exit, text: format!("{text} {}\n{list}", self.names()), json, junit: String::new() }
    }

    fn verify(&mut self, demand: &Demand, lists: &[(String, String)], limits: &Limits) -> Result<Rendered, Failure> {
        self.guarded(&demand.cache)?;
        for (name, text) in lists {
            // Lists only add up, so what is added once may stay.
            self.setup.policy.recall(Revocations::parse(name, text.as_bytes())?);
        }
        // First: what is read later is then at least as new as what was looked at.
        let strays = self.guard.strays(Some(&demand.cache));
        let mut verification = judge(demand, &self.setup, self.believed(&strays), true, limits)?;
        verification.rules.insert(1, no_strays(&strays));
        let settled = match verification.exit() {
            Exit::Ok if leaves_unproven(&verification) => Settled::Unproven,
            Exit::Ok => Settled::Trusted,
            Exit::Miss => Settled::Miss,
            _ => Settled::Refused,
        };
        let found = strays.refusals.clone();
        let report_only = self.guard.is_report_only();
        let clean = report_only || found.is_empty();
        if !report_only {
            verification.refusals.append(found.clone());
        }
        self.guard.settle(&demand.cache, settled, strays);
        // From here on nothing changes the verdict.
        let mut disposal = Vec::new();
        if verification.exit().is_refusal() {
            let (told, gone) = dispose(demand, &self.setup);
            disposal = told;
            if gone && clean {
                self.guard.disposed(&demand.cache);
            }
        }
        Ok(rendered(demand, &verification, report_only.then_some(&found), disposal))
    }

    /// Why the policy is believed, as the first of the rules.
    fn believed(&self, strays: &Strays) -> Rule {
        let met = !strays.refusals.has(Code::PolicyChanged);
        let found = format!("sha256 {}, {} on disk", self.setup.digest, if met { "still" } else { "no longer" });
        let expected = "policy and the files it names as they were before the restore".to_owned();
        Rule { code: Code::PolicyChanged, expected, found, met, origin: "--guard".to_owned() }
    }
}

/// Whether a gate that wants no signature has let something pass that nothing proves.
fn leaves_unproven(verification: &Verification) -> bool {
    let proven = |coverage: &Coverage| coverage.unproven == Amount::default();
    verification.facts.is_none() && !verification.coverage.as_ref().is_some_and(proven)
}

fn no_strays(strays: &Strays) -> Rule {
    let count = strays.refusals.total();
    Rule {
        code: Code::StrayWrite,
        expected: "nothing written outside roots and seal".to_owned(),
        found: plural(count, "stray write", "stray writes"),
        met: count == 0,
        origin: "--guard".to_owned(),
    }
}

impl Hello {
    pub(super) fn text(&self) -> String {
        let names: Vec<_> = self.caches.iter().map(|cache| format!("`{}`", Escaped(cache.as_bytes()))).collect();
        let noun = if names.len() == 1 { "cache" } else { "caches" };
        let mut text = format!(
            "guarding: {noun} {} (process {})\n  {} outside the roots watched\n",
            names.join(", "),
            self.process,
            plural(self.watched, "entry", "entries"),
        );
        if self.unreadable > 0 {
            let _ = writeln!(text, "  {} could not be read", plural(self.unreadable, "place", "places"));
        }
        if self.report_only {
            text.push_str("  report only: stray writes decide nothing\n");
        }
        text
    }

    /// The answer of a command.
    pub(super) fn json(&self, command: &str, verdict: &str) -> Value {
        json!({
            "version": 1, "command": command, "verdict": verdict, "exit": 0, "caches": self.caches,
            "watched": self.watched, "unreadable": self.unreadable, "pid": self.process, "policy": self.policy,
            "reportOnly": self.report_only,
        })
    }

    fn of_json(value: &Value) -> Option<Self> {
        let caches = value.get("caches")?.as_array()?;
        Some(Self {
            policy: value.get("policy")?.as_str()?.to_owned(),
            caches: caches.iter().map(|cache| cache.as_str().map(str::to_owned)).collect::<Option<_>>()?,
            watched: value.get("watched")?.as_u64()?,
            unreadable: value.get("unreadable")?.as_u64()?,
            process: value.get("pid")?.as_u64()?,
            report_only: value.get("reportOnly")?.as_bool()?,
        })
    }
}

/// The version of questions and answers. Both sides are the same program, so another one is no guard of ours.
const PROTOCOL: u64 = 1;

impl Question {
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Hello => json!({ "protocol": PROTOCOL, "ask": "hello" }),
            Self::Stop => json!({ "protocol": PROTOCOL, "ask": "stop" }),
            Self::Check { report_only } => json!({ "protocol": PROTOCOL, "ask": "check", "reportOnly": report_only }),
            Self::Verify { demand, revocations } => json!({
                "protocol": PROTOCOL, "ask": "verify", "cache": demand.cache, "gate": demand.gate,
                "explain": demand.explain, "allowMiss": demand.allow_miss, "threads": demand.threads,
                "onRefusal": demand.on_refusal.to_possible_value().map(|value| value.get_name().to_owned()),
                "revocations": revocations,
            }),
            Self::Base { cache, elsewhere } => {
                json!({ "protocol": PROTOCOL, "ask": "base", "cache": cache, "elsewhere": elsewhere })
            }
        }
    }

    fn of_json(value: &Value) -> Option<Self> {
        if value.get("protocol")?.as_u64()? != PROTOCOL {
            return None;
        }
        let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        let flag = |name: &str| value.get(name)?.as_bool();
        Some(match value.get("ask")?.as_str()? {
            "hello" => Self::Hello,
            "stop" => Self::Stop,
            "check" => Self::Check { report_only: flag("reportOnly")? },
            "verify" => Self::Verify {
                demand: Demand {
                    cache: text("cache")?,
                    gate: text("gate")?,
                    explain: flag("explain")?,
                    allow_miss: flag("allowMiss")?,
                    on_refusal: OnRefusal::from_str(&text("onRefusal")?, false).ok()?,
                    threads: value.get("threads")?.as_u64()?.try_into().ok()?,
                },
                revocations: pairs(value.get("revocations")?)?,
            },
            "base" => Self::Base { cache: text("cache")?, elsewhere: pairs(value.get("elsewhere")?)? },
            _ => return None,
        })
    }
}

fn pairs(value: &Value) -> Option<Vec<(String, String)>> {
    let pair = |pair: &Value| match pair.as_array()?.as_slice() {
        [one, other] => Some((one.as_str()?.to_owned(), other.as_str()?.to_owned())),
        _ => None,
    };
    value.as_array()?.iter().map(pair).collect()
}

impl Answer {
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Hello(hello) => json!({ "protocol": PROTOCOL, "hello": hello.json("", "") }),
            Self::Rendered(rendered) => json!({ "protocol": PROTOCOL, "rendered": rendered.to_json() }),
            Self::Granted(policy) => json!({ "protocol": PROTOCOL, "granted": policy.to_string() }),
            Self::Refused(refusals) => {
                let one = |refusal: &crate::base::Refusal| {
                    json!([refusal.code.as_str(), hex::encode(&refusal.place), refusal.expected, refusal.found])
                };
                json!({ "protocol": PROTOCOL, "refused": refusals.iter().map(one).collect::<Vec<_>>() })
            }
            Self::Failure(failure) => json!({
                "protocol": PROTOCOL,
                "failure": { "code": failure.code.as_str(), "message": failure.message, "hints": failure.hints },
            }),
        }
    }

    pub(super) fn of_json(value: &Value, limits: &Limits) -> Option<Self> {
        let (protocol, rest) = (value.get("protocol")?.as_u64()?, value.as_object()?);
        if protocol != PROTOCOL {
            return None;
        }
        let of = |name: &str| rest.get(name);
        if let Some(hello) = of("hello") {
            return Hello::of_json(hello).map(Self::Hello);
        }
        if let Some(rendered) = of("rendered") {
            return Rendered::of_json(rendered).map(Self::Rendered);
        }
        if let Some(policy) = of("granted") {
            return Digest::from_hex(policy.as_str()?.as_bytes()).map(Self::Granted);
        }
        if let Some(listed) = of("refused") {
            let mut refusals = Refusals::new(limits.refusals_max);
            for one in listed.as_array()? {
                let text = |at: usize| one.get(at)?.as_str();
                let place = hex::decode(text(1)?).ok()?;
                refusals.push(crate::base::Refusal::new(Code::of_word(text(0)?)?, place, text(2)?, text(3)?));
            }
            return Some(Self::Refused(refusals)).filter(|_| !listed.as_array().is_some_and(Vec::is_empty));
        }
        let failure = of("failure")?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut told = Failure::new(Code::of_word(failure.get("code")?.as_str()?)?, text(failure.get("message")?)?);
        for hint in failure.get("hints")?.as_array()? {
            told = told.hint(text(hint)?);
        }
        Some(Self::Failure(told))
    }
}
