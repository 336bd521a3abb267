//! The lockfile proof of a whole cache: outline, plan, claims side by side, and what is left over.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::base::Refusals;
use crate::lockfile::{
    Claim, EntryId, Files, Finding, Findings, Forest, LockedSet, Plan, RootTree, ScratchPool, System,
};
use crate::policy::Installed;
use crate::tree::{Directory, FactTable, FileFacts, HardLinks, Kind, Options, Outline, Reader, Unread, outline};

/// A root that is to be proven.
pub(super) struct ProvenRoot<'a> {
    /// The root as the policy writes it.
    pub(super) spelling: &'a str,
    /// The components of its path.
    pub(super) components: &'a [String],
    /// Its handle; nothing for one that is absent.
    pub(super) directory: Option<&'a Directory>,
}

/// What a proof found out.
pub(super) struct Proof {
    /// The roots and what is in them.
    pub(super) forest: Forest,
    /// What is known of the files of each root.
    pub(super) facts: Vec<FactTable>,
    /// What is known of the entries of each root, by their numbers.
    pub(super) findings: Vec<Vec<Option<Finding>>>,
    /// Places where something of a package is not, and what.
    pub(super) missing: Vec<(Vec<u8>, String)>,
    /// Entries of packages that are proven elsewhere too.
    pub(super) copies: BTreeSet<EntryId>,
    /// What no honest tree has, and what could not be read.
    pub(super) refusals: Refusals,
    /// Files with more than one name.
    pub(super) hardlinks: HardLinks,
}

/// Files that are looked at by one thread before it takes the next.
const LEFT_OVER_CHUNK: usize = 512;

/// Proves what can be proven of the roots.
pub(super) fn prove(
    roots: &[ProvenRoot<'_>],
    locked: &LockedSet,
    installed: &Installed,
    options: &Options<'_>,
) -> std::io::Result<Proof> {
    // An error comes before any refusal: one that was told is not taken back.
    let opened: Vec<_> =
        roots.iter().map(|root| root.directory.map(Directory::reopen).transpose()).collect::<Result<_, _>>()?;
    let mut refusals = options.refusals();
    let mut forest = Forest::default();
    for (root, opened) in roots.iter().zip(opened) {
        let outline = match opened {
            Some(directory) => {
                let outlined = outline(directory, root.spelling, options);
                refusals.append(outlined.refusals);
                outlined.outline
            }
            None => Outline::default(),
        };
        let (spelling, components) = (root.spelling.to_owned(), root.components.to_vec());
        forest.roots.push(RootTree { spelling, components, outline });
    }
    let facts: Vec<_> = forest.roots.iter().map(|root| FactTable::new(&root.outline)).collect();
    let (planned, done) = run(
        &Work { roots, forest: &forest, facts: &facts, options, scratch: ScratchPool::default() },
        locked,
        installed,
    );
    let mut findings: Vec<Vec<Option<Finding>>> =
        forest.roots.iter().map(|root| vec![None; root.outline.len()]).collect();
    let (mut missing, mut copies, mut hardlinks) = (Vec::new(), BTreeSet::new(), HardLinks::default());
    for done in done {
        refusals.append(done.refusals);
        hardlinks.append(done.hardlinks);
        missing.extend(done.findings.missing);
        for copy in done.findings.copies.iter().chain(&planned.copies) {
            copies.insert(*copy);
            copies.extend(forest.below(*copy));
        }
        note(&mut findings, done.findings.entries);
    }
    note(&mut findings, planned.entries);
    missing.extend(planned.missing);
    Ok(Proof { forest, facts, findings, missing, copies, refusals, hardlinks })
}

/// What the names alone say, and what each thread found out.
fn run(work: &Work<'_>, locked: &LockedSet, installed: &Installed) -> (Findings, Vec<Done>) {
    let mut plan = Plan::new(work.forest, installed, System::here());
    locked.plan(&mut plan);
    (plan.findings, work.run(plan.claims))
}

#[expect(clippy::indexing_slicing, reason = "findings are about entries of the forest; a panic is a refusal")]
fn note(all: &mut [Vec<Option<Finding>>], entries: Vec<(EntryId, Finding)>) {
    for (entry, finding) in entries {
        let slot = &mut all[entry.root][entry.node as usize];
        *slot = Some(match slot.take() {
            Some(before) => before.and(finding),
            None => finding,
        });
    }
}

struct Work<'a> {
    roots: &'a [ProvenRoot<'a>],
    forest: &'a Forest,
    facts: &'a [FactTable],
    options: &'a Options<'a>,
    scratch: ScratchPool,
}

/// What one thread found out.
struct Done {
    findings: Findings,
    refusals: Refusals,
    hardlinks: HardLinks,
}

impl Work<'_> {
    fn files(&self) -> TreeFiles<'_> {
        let parts = self.roots.iter().zip(&self.forest.roots).zip(self.facts);
        let readers = parts.map(|((root, tree), facts)| {
            Some(Reader::new(root.directory?, &tree.spelling, &tree.outline, facts, self.options.refusals()))
        });
        TreeFiles {
            readers: readers.collect(),
            spare: Vec::new(),
            scratch: self.scratch.clone(),
            package_bytes_max: self.options.limits.package_bytes_max,
        }
    }

    /// Proves all claims, then looks at the files that no claim has looked at.
    fn run(&self, claims: Vec<Box<dyn Claim + '_>>) -> Vec<Done> {
        let mut first = self.files();
        let mut sized: Vec<_> = claims
            .into_iter()
            .map(|claim| {
                let size = claim.archive().and_then(|archive| first.look(archive).ok()).map_or(0, |facts| facts.size);
                (size, claim)
            })
            .collect();
        sized.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
        let (next_claim, next_chunk) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let chunks = self.chunks();
        let work = |mut files: TreeFiles<'_>| {
            let mut findings = Findings::default();
            while let Some((_, claim)) = sized.get(next_claim.fetch_add(1, Ordering::Relaxed)) {
                claim.prove(&mut files, &mut findings);
            }
            while let Some(chunk) = chunks.get(next_chunk.fetch_add(1, Ordering::Relaxed)) {
                self.look_at(chunk, &mut files);
            }
            files.done(findings, self.options.refusals())
        };
        std::thread::scope(|scope| {
            let mut handles = Vec::new();
            for _ in 1..self.options.threads.min(self.options.processors) {
                let files = self.files();
                // Where the system gives no more threads, those that run do all the work.
                match std::thread::Builder::new().spawn_scoped(scope, || work(files)) {
                    Ok(handle) => handles.push(handle),
                    Err(_) => break,
                }
            }
            let mut all = vec![work(first)];
            for handle in handles {
                match handle.join() {
                    Ok(done) => all.push(done),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            all
        })
    }

    /// Ranges of entries of each root.
    fn chunks(&self) -> Vec<(usize, std::ops::Range<u32>)> {
        let mut chunks = Vec::new();
        for (root, tree) in self.forest.roots.iter().enumerate() {
            let len = tree.outline.len();
            for start in (0..len).step_by(LEFT_OVER_CHUNK) {
                let end = (start + LEFT_OVER_CHUNK).min(len);
                if let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(end)) {
                    chunks.push((root, start..end));
                }
            }
        }
        chunks
    }

    fn look_at(&self, (root, nodes): &(usize, std::ops::Range<u32>), files: &mut TreeFiles<'_>) {
        for node in nodes.clone() {
            let entry = EntryId { root: *root, node };
            if self.forest.kind(entry) == Kind::File {
                // A reader refuses by itself what it cannot look at.
                let _ = files.look(entry);
            }
        }
    }
}

/// The files of all roots, for one thread.
struct TreeFiles<'a> {
    readers: Vec<Option<Reader<'a>>>,
    /// Memory for the next file that is read as a whole.
    spare: Vec<u8>,
    scratch: ScratchPool,
    package_bytes_max: u64,
}

/// Memory for files that is kept for the next one, bytes.
const SPARE_MAX: usize = 4 << 20;

impl<'a> TreeFiles<'a> {
    fn reader(&mut self, entry: EntryId) -> Result<&mut Reader<'a>, Unread> {
        self.readers.get_mut(entry.root).and_then(Option::as_mut).ok_or(Unread)
    }

    fn done(self, findings: Findings, refusals: Refusals) -> Done {
        let mut done = Done { findings, refusals, hardlinks: HardLinks::default() };
        for reader in self.readers.into_iter().flatten() {
            let (refusals, hardlinks) = reader.into_parts();
            done.refusals.append(refusals);
            done.hardlinks.append(hardlinks);
        }
        done
    }
}

impl Files for TreeFiles<'_> {
    fn look(&mut self, entry: EntryId) -> Result<FileFacts, Unread> {
        self.reader(entry)?.look(entry.node)
    }

    fn read(&mut self, entry: EntryId, take: &mut dyn FnMut(&[u8])) -> Result<FileFacts, Unread> {
        self.reader(entry)?.read(entry.node, take)
    }

    fn compare(&mut self, entry: EntryId, size: u64, expected: &mut dyn BufRead) -> Result<(bool, FileFacts), Unread> {
        self.reader(entry)?.compare(entry.node, size, expected)
    }

    fn bytes(&mut self, entry: EntryId, max: u64) -> Result<Option<Vec<u8>>, Unread> {
        if self.look(entry)?.size > max {
            return Ok(None);
        }
        let mut bytes = std::mem::take(&mut self.spare);
        self.reader(entry)?.append_to(entry.node, &mut bytes)?;
        Ok(Some(bytes))
    }

    fn package_bytes_max(&self) -> u64 {
        self.package_bytes_max
    }

    fn scratch(&self) -> ScratchPool {
        self.scratch.clone()
    }

    fn give_back(&mut self, mut bytes: Vec<u8>) {
        if bytes.capacity() <= SPARE_MAX {
            bytes.clear();
            self.spare = bytes;
        }
    }
}
