//! `guard recheck`, as the guard answers it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::context::Context;
use super::super::failure::Failure;
use super::duty::State;
use crate::base::{Code, Escaped, Exit, Limits, Refusals, plural};
use crate::cache::{Kept, RecheckRequest, recheck};
use crate::guard::{Recheck, Rendered, Unkept};
use crate::policy::Glob;
use crate::report::{counts_json, refusals_json, refusals_text};
use crate::tree::Counts;

/// One cache, and how it was looked at.
struct Looked {
    name: String,
    entries: u64,
    counts: Counts,
}

impl State {
    /// Compares what was verified with what is there.
    pub(super) fn recheck(&self, asked: &Recheck, limits: &Limits) -> Result<Rendered, Failure> {
        let new_allowed: Result<Vec<_>, _> = asked.new_allowed.iter().map(|text| Glob::parse(text)).collect();
        let new_allowed = new_allowed.map_err(|error| Failure::new(Code::Usage, format!("`--allow-new`: {error}")))?;
        let names = if asked.caches.is_empty() { self.caches() } else { asked.caches.clone() };
        let mut refusals = Refusals::new(limits.refusals_max);
        let mut all = Vec::new();
        for name in names {
            self.guarded(&name)?;
            let kept = match self.guard.kept(&name) {
                Ok(kept) => kept,
                Err(Unkept::Refused(refusal)) => {
                    refusals.push(refusal);
                    continue;
                }
                Err(Unkept::Unsealed) => return Err(unsealed(&name)),
            };
            let found = recheck(&self.request(&name, kept, asked, &new_allowed, limits));
            refusals.append(found.refusals);
            all.push(Looked { name, entries: kept.entries(), counts: found.counts });
        }
        Ok(rendered(&all, asked.full, &refusals))
    }

    fn request<'a>(
        &'a self,
        name: &str,
        kept: &'a Kept,
        asked: &Recheck,
        new_allowed: &'a [Glob],
        limits: &'a Limits,
    ) -> RecheckRequest<'a> {
        RecheckRequest {
            workspace: &self.setup.workspace,
            home: Context::of_process().home_directory(),
            kept,
            roots: self.setup.roots(name),
            full: asked.full,
            new_allowed,
            options: Context::options(asked.threads, limits),
        }
    }
}

/// A lockfile proof says nothing of an entry that is read again by itself.
fn unsealed(cache: &str) -> Failure {
    let message =
        format!("expected a cache whose seal says what each entry is; `{cache}` was trusted for its lockfiles");
    Failure::new(Code::Usage, message)
        .hint(format!("verify it once more: `cacheseal verify {cache} --gate GATE --guard`"))
        .hint("name the other caches to look at those")
}

fn rendered(all: &[Looked], full: bool, refusals: &Refusals) -> Rendered {
    let exit = refusals.exit();
    let verdict = match exit {
        Exit::Ok => "unchanged",
        Exit::Miss => "miss",
        _ => "refused",
    };
    let mut text = match exit {
        Exit::Ok => "unchanged: what was verified is as it was\n",
        Exit::Miss => "miss: nothing was verified\n",
        _ => "refused: not everything is known to be as it was verified\n",
    }
    .to_owned();
    for looked in all {
        text.push_str(&looked.text());
    }
    text.push_str(&refusals_text(refusals));
    let json = json!({
        "version": 1, "command": "guard recheck", "verdict": verdict, "exit": exit.number(), "full": full,
        "caches": all.iter().map(Looked::json).collect::<Vec<_>>(),
        "refusals": refusals_json(refusals), "counts": counts_json(refusals),
    });
    Rendered { exit, text, json, junit: String::new() }
}

impl Looked {
    fn text(&self) -> String {
        let Counts { unread, touched, recent, untried, demanded, new } = self.counts;
        let name = Escaped(self.name.as_bytes());
        let mut text = format!("  cache `{name}`, {}\n", plural(self.entries, "entry", "entries"));
        for (count, what) in [
            (unread, "not read: the file system vouches for what was read before"),
            (touched, "read: something has touched it since then"),
            (recent, "read: it was written just before it was verified"),
            (untried, "read: its file system does not note every write"),
            (demanded, "read: `--full`, or sealed in this job"),
        ] {
            if count > 0 {
                let _ = writeln!(text, "    {} {what}", plural(count, "file", "files"));
            }
        }
        if new > 0 {
            let _ = writeln!(text, "    {} allowed, and not judged", plural(new, "new entry", "new entries"));
        }
        text
    }

    fn json(&self) -> Value {
        let Counts { unread, touched, recent, untried, demanded, new } = self.counts;
        json!({
            "cache": self.name, "entries": self.entries, "unread": unread, "touched": touched, "recent": recent,
            "untried": untried, "demanded": demanded, "new": new,
        })
    }
}
