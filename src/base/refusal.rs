//! Refusals: reasoned noes, collected as values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Code, Exit};

/// One reason against a cache. A code whose exit is [`Exit::Io`] says that something could not be decided;
/// it stands among the refusals because any of them is enough to withhold trust.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// What is wrong.
    pub code: Code,
    /// Where: a path as the policy spells its root, then the entry; or a field of the seal. Raw bytes: show through [`super::Escaped`].
    #[serde(with = "super::exact")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub place: Vec<u8>,
    /// What was expected there. Text that came from outside is already escaped in it.
    pub expected: String,
    /// What was found there. Text that came from outside is already escaped in it.
    pub found: String,
}

impl Refusal {
    /// A refusal at `place` with what was expected and what was found.
    pub fn new(code: Code, place: impl Into<Vec<u8>>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { code, place: place.into(), expected: expected.into(), found: found.into() }
    }

    fn text_bytes(&self) -> usize {
        self.place.len() + self.expected.len() + self.found.len()
    }
}

/// A refusal's place: the root as the policy writes it, then the entry.
#[must_use]
pub fn place(spelling: &str, path: &[u8]) -> Vec<u8> {
    let mut place = spelling.as_bytes().to_vec();
    if !path.is_empty() {
        place.push(b'/');
        place.extend_from_slice(path);
    }
    place
}

/// Text that is kept of the refusals of one code, bytes: a thousand of usual length have a fifth of it, and hostile
/// names of 64 KiB, each byte escaped, must not fill the memory.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Where every refusal goes as it is found, whether it is kept or not, and in whatever order the threads find them.
#[derive(Clone)]
pub struct Stream(Arc<dyn Fn(&Refusal) + Send + Sync>);

impl Stream {
    /// A stream into `take`.
    #[must_use]
    pub fn new(take: impl Fn(&Refusal) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

/// All refusals of a run, worst first. Each is counted; of each code the first `cap` by place are kept, fewer if their
/// texts are long, so that what is shown does not depend on the order in which threads met them.
#[derive(Debug, Clone)]
pub struct Refusals {
    cap: usize,
    counts: BTreeMap<Code, u64>,
    kept: BTreeMap<Code, Kept>,
    stream: Option<Stream>,
}

/// The first refusals of one code.
#[derive(Debug, Clone, Default)]
struct Kept {
    refusals: BTreeSet<Refusal>,
    text_bytes: usize,
    /// The first that was not kept: what comes after it is not kept either.
    end: Option<Refusal>,
}

impl Kept {
    fn insert(&mut self, refusal: Refusal, cap: usize) {
        if self.end.as_ref().is_some_and(|end| refusal >= *end) {
            return;
        }
        let bytes = refusal.text_bytes();
        if self.refusals.insert(refusal) {
            self.text_bytes += bytes;
        }
        while self.refusals.len() > cap || (self.text_bytes > TEXT_BYTES_MAX && self.refusals.len() > 1) {
            let Some(last) = self.refusals.pop_last() else { break };
            self.text_bytes -= last.text_bytes();
            self.end = Some(last);
        }
    }
}

impl Refusals {
    /// An empty collection that keeps at most `cap` refusals of each code.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self::streamed(cap, None)
    }

    /// The same, whose refusals also go to `stream`: each once, when it is pushed.
    #[must_use]
    pub fn streamed(cap: usize, stream: Option<&Stream>) -> Self {
        Self { cap, counts: BTreeMap::new(), kept: BTreeMap::new(), stream: stream.cloned() }
    }

    /// Adds one.
    pub fn push(&mut self, refusal: Refusal) {
        self.tell(&refusal);
        *self.counts.entry(refusal.code).or_default() += 1;
        self.keep(refusal);
    }

    /// Adds each of several.
    pub fn extend(&mut self, refusals: impl IntoIterator<Item = Refusal>) {
        refusals.into_iter().for_each(|refusal| self.push(refusal));
    }

    /// Adds all of another collection. Of one that has no stream of its own, the stream of this one gets what was kept:
    /// so it must be one that cannot hold more than that.
    pub fn append(&mut self, other: Self) {
        let is_told = other.stream.is_some();
        for (code, count) in other.counts {
            *self.counts.entry(code).or_default() += count;
        }
        for refusal in other.kept.into_values().flat_map(|kept| kept.refusals.into_iter().chain(kept.end)) {
            if !is_told {
                self.tell(&refusal);
            }
            self.keep(refusal);
        }
    }

    /// The same under one code.
    #[must_use]
    pub fn under(self, code: Code) -> Self {
        let mut all = Self::new(self.cap);
        if !self.is_empty() {
            all.counts.insert(code, self.total());
        }
        for refusal in self.kept.into_values().flat_map(|kept| kept.refusals.into_iter().chain(kept.end)) {
            all.keep(Refusal { code, ..refusal });
        }
        all
    }

    fn tell(&self, refusal: &Refusal) {
        if let Some(Stream(take)) = &self.stream {
            take(refusal);
        }
    }

    fn keep(&mut self, refusal: Refusal) {
        self.kept.entry(refusal.code).or_default().insert(refusal, self.cap);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Whether this code is among them.
    #[must_use]
    pub fn has(&self, code: Code) -> bool {
        self.counts.contains_key(&code)
    }

    /// How many there are, kept or not.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many of each code, worst first.
    pub fn counts(&self) -> impl Iterator<Item = (Code, u64)> {
        self.counts.iter().map(|(code, count)| (*code, *count))
    }

    /// The kept ones, worst first, then by place.
    pub fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.kept.values().flat_map(|kept| &kept.refusals)
    }

    /// The kept ones, and how many there are of each code.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Refusal>, BTreeMap<Code, u64>) {
        (self.kept.into_values().flat_map(|kept| kept.refusals).collect(), self.counts)
    }

    /// The exit status that wins among them; [`Exit::Ok`] if there is none.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.counts.keys().map(|code| code.exit()).max_by_key(|exit| exit.rank()).unwrap_or(Exit::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extra(place: &str) -> Refusal {
        Refusal::new(Code::ExtraEntry, place, "", "")
    }

    #[test]
    fn what_is_kept_does_not_depend_on_the_order() {
        let mut forward = Refusals::new(2);
        let mut backward = Refusals::new(2);
        for place in ["a", "b", "c", "d"] {
            forward.push(extra(place));
        }
        for place in ["d", "c", "b", "a"] {
            backward.push(extra(place));
        }
        assert_eq!(forward.total(), 4);
        assert!(forward.iter().eq([&extra("a"), &extra("b")]));
        assert!(forward.iter().eq(backward.iter()));
    }

    #[test]
    fn a_stream_gets_each_refusal_once_whatever_is_kept() {
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let into = Arc::clone(&told);
        let stream = Stream::new(move |refusal| into.lock().unwrap().push(refusal.clone()));
        let mut all = Refusals::streamed(1, Some(&stream));
        let mut part = Refusals::streamed(1, Some(&stream));
        let mut silent = Refusals::new(1);
        all.push(extra("b"));
        part.extend(["d", "a", "c"].map(extra));
        silent.push(extra("e"));
        all.append(part);
        all.append(silent);
        assert_eq!((all.total(), all.iter().count()), (5, 1));
        assert_eq!(*told.lock().unwrap(), ["b", "d", "a", "c", "e"].map(extra));
    }

    #[test]
    fn long_texts_are_counted_and_not_all_kept() {
        let long = |place: &str| Refusal::new(Code::ExtraEntry, place, "", "x".repeat(TEXT_BYTES_MAX / 2));
        let all = [long("a"), extra("b"), long("c"), extra("d"), extra("e")];
        for turn in 0..all.len() {
            let mut found = Refusals::new(9);
            let mut other = Refusals::new(9);
            for (at, refusal) in all.iter().cycle().skip(turn).take(all.len()).enumerate() {
                if at % 2 == 0 { &mut found } else { &mut other }.push(refusal.clone());
            }
            found.append(other);
            assert_eq!(found.total(), 5);
            assert!(found.iter().eq(&all[..2]), "{turn}");
        }
        let mut one = Refusals::new(9);
        one.push(Refusal::new(Code::ExtraEntry, "a", "", "x".repeat(2 * TEXT_BYTES_MAX)));
        assert_eq!(one.iter().count(), 1);
    }

    #[test]
    fn under_one_code_none_is_lost() {
        let mut all = Refusals::new(2);
        all.extend(["c", "a", "b"].map(extra));
        all.push(Refusal::new(Code::Unreadable, "d", "", ""));
        let all = all.under(Code::MissingEntry);
        assert_eq!(all.counts().collect::<Vec<_>>(), [(Code::MissingEntry, 4)]);
        assert_eq!(all.iter().map(|refusal| refusal.place.as_slice()).collect::<Vec<_>>(), [b"a", b"b"]);
        assert!(Refusals::new(2).under(Code::MissingEntry).is_empty());
    }

    #[test]
    fn the_worst_comes_first_and_decides() {
        let mut all = Refusals::new(9);
        all.push(Refusal::new(Code::Unreadable, "a", "", ""));
        assert_eq!(all.exit(), Exit::Io);
        all.push(extra("b"));
        assert_eq!(all.exit(), Exit::Changed);
        let mut other = Refusals::new(9);
        other.push(Refusal::new(Code::TooOld, "seal.json", "", ""));
        all.append(other);
        assert_eq!(all.exit(), Exit::Untrusted);
        assert_eq!(all.iter().next().map(|refusal| refusal.code), Some(Code::TooOld));
    }
}
