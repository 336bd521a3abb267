//! `[gate.NAME]`: what a consuming job demands.

use std::collections::BTreeMap;

use toml::Spanned;

use super::located::field;
use super::shape::{GateShape, Number, Text, Texts, WordOrList};
use super::signer::UnresolvedSigner;
use super::source::{Source, did_you_mean, quoted};
use super::{Cache, Glob, Located, MaxAge, MinCoverage, PolicyError};
use crate::base::Code;

/// What a cache must be for a job to use it. A field that is not written stands where the name does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The name.
    pub name: Located<String>,
    /// The proofs that are demanded: at least one.
    pub require: Located<Require>,
    /// Names of the signers whose seals are accepted: defined in the policy, each once, at least one where a
    /// signature is demanded.
    pub signers: Located<Vec<String>>,
    /// How many of them must have signed, each counted once.
    pub threshold: Located<usize>,
    /// How old a seal may be.
    pub max_age: Located<MaxAge>,
    /// Whether the sealed lockfile digests must be the checkout's.
    pub lockfile: Located<LockfileRule>,
    /// Where symbolic links may lead.
    pub links: Located<LinkRule>,
    /// Where the other names of a hard-linked file may lie.
    pub hardlinks: Located<LinkRule>,
    /// Whether an entry that no lockfile proves is refused.
    pub unproven: Located<Unproven>,
    /// The share of the cache that lockfiles must prove.
    pub min_lockfile_coverage: Located<MinCoverage>,
    /// Names and values that a seal must say, as given to `seal --bind`.
    pub bindings: Located<BTreeMap<String, String>>,
}

/// The proofs that a gate demands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Require {
    /// A seal by signers of the gate.
    pub signature: bool,
    /// The lockfile names what is there.
    pub lockfile: bool,
}

/// What is done about an entry that no lockfile proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproven {
    /// It is refused.
    Refuse,
    /// It is counted.
    Allow,
    /// A regular file without executable bit is counted at these places; anything else is refused.
    At(Vec<Glob>),
}

/// How the sealed lockfiles compare with the checkout's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockfileRule {
    /// The same bytes.
    Exact,
    /// Not compared: an older lockfile's cache is authentic, though stale.
    Any,
}

/// Where links may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkRule {
    /// Anywhere.
    Any,
    /// Symbolic links: nowhere out of their root. Hard links: nowhere out of the cache's roots.
    Inside,
}

const LINK_WORDS: [(&str, LinkRule); 2] = [("any", LinkRule::Any), ("inside", LinkRule::Inside)];

/// Most patterns of `unproven`.
const PLACES_MAX: usize = 64;
const LOCKFILE_WORDS: [(&str, LockfileRule); 2] = [("exact", LockfileRule::Exact), ("any", LockfileRule::Any)];

impl Gate {
    pub(super) fn read(
        source: &Source,
        name: Text,
        mut shape: GateShape,
        signers: &BTreeMap<String, UnresolvedSigner>,
        caches: &BTreeMap<String, Cache>,
    ) -> Result<Self, PolicyError> {
        let table = name.span().start;
        let require = field(table, shape.require.take(), |require| {
            read_require(source, &evidence(source, &name, "require", require)?)
        })?;
        check_fields(source, &shape, *require)?;
        let signed = require.signature;
        let accepted = field(table, shape.signers, |accepted| match accepted {
            accepted if signed => evidence(source, &name, "signers", accepted),
            _ => Ok(Vec::new()),
        })?;
        let max_age = field(table, shape.max_age, |age| read_max_age(source, &name, age.as_ref(), signed))?;
        let signers = accepted.map(|accepted| read_signers(source, accepted, signers))?;
        let lockfile = if signed { LockfileRule::Exact } else { LockfileRule::Any };
        Ok(Self {
            threshold: field(table, shape.threshold, |threshold| read_threshold(source, threshold, signers.len()))?,
            signers,
            max_age,
            lockfile: field(table, shape.lockfile, |rule| source.word(rule.as_ref(), LOCKFILE_WORDS, lockfile))?,
            links: field(table, shape.links, |rule| source.word(rule.as_ref(), LINK_WORDS, LinkRule::Any))?,
            hardlinks: field(table, shape.hardlinks, |rule| source.word(rule.as_ref(), LINK_WORDS, LinkRule::Inside))?,
            unproven: field(table, shape.unproven, |places| read_unproven(source, places, *require, caches))?,
            min_lockfile_coverage: field(table, shape.min_lockfile_coverage, |share| {
                read_share(source, share.as_ref(), *require)
            })?,
            bindings: field(table, shape.bindings, |bindings| read_bindings(source, bindings))?,
            require,
            name: Located::new(name),
        })
    }

    /// The demands of a job that adds its signature to a seal.
    pub(super) fn to_cosign(signers: Vec<String>, compares_lockfiles: bool) -> Self {
        Self {
            name: Located::nowhere("add-signature".to_owned()),
            require: Located::nowhere(Require { signature: true, lockfile: false }),
            signers: Located::nowhere(signers),
            threshold: Located::nowhere(1),
            max_age: Located::nowhere(MaxAge::longest()),
            lockfile: Located::nowhere(if compares_lockfiles { LockfileRule::Exact } else { LockfileRule::Any }),
            links: Located::nowhere(LinkRule::Any),
            hardlinks: Located::nowhere(LinkRule::Any),
            unproven: Located::nowhere(Unproven::Allow),
            min_lockfile_coverage: Located::nowhere(MinCoverage::NONE),
            bindings: Located::nowhere(BTreeMap::new()),
        }
    }
}

/// What the lockfiles do not prove may only be somewhere, or be anything, where a signature covers it.
fn read_unproven(
    source: &Source,
    unproven: Option<Spanned<WordOrList>>,
    require: Require,
    caches: &BTreeMap<String, Cache>,
) -> Result<Unproven, PolicyError> {
    let default = if require.signature { Unproven::Allow } else { Unproven::Refuse };
    let Some(unproven) = unproven else { return Ok(default) };
    let (start, unproven) = (unproven.span().start, unproven.into_inner());
    match unproven {
        WordOrList::Word(word) => match word.as_str() {
            "refuse" => Ok(Unproven::Refuse),
            "allow" if require.signature => Ok(Unproven::Allow),
            "allow" => {
                let message = "expected the places at which entries may be unproven where no signature is demanded, \
                               found `allow`";
                let error = source.error_at(Code::GateWithoutEvidence, start, message);
                Err(error.with_hint(
                    "write the places, like `unproven = [\"~/.cargo/registry/index/**\"]`, or add `signature` to `require`",
                ))
            }
            other => {
                let message = format_args!("expected `refuse`, `allow` or a list of places, found {}", quoted(other));
                Err(source.error_at(Code::MalformedPolicy, start, message))
            }
        },
        WordOrList::List(list) => {
            let list = Spanned::new(start..start, list);
            source.counted(&list, PLACES_MAX)?;
            source.unique(list.get_ref())?;
            let places = list.into_inner().into_iter().map(|place| read_place(source, &place, caches));
            Ok(Unproven::At(places.collect::<Result<_, _>>()?))
        }
    }
}

/// A pattern of places below a root, so that none of them is a whole cache by mistake.
fn read_place(source: &Source, text: &Text, caches: &BTreeMap<String, Cache>) -> Result<Glob, PolicyError> {
    let pattern = text.get_ref();
    let glob = Glob::parse(pattern).map_err(|error| source.error(Code::MalformedPolicy, text, error))?;
    let is_below = |root: &str| pattern.strip_prefix(root).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'));
    let mut roots = caches.values().flat_map(|cache| &cache.roots);
    if roots.any(|root| is_below(&root.spelling)) {
        return Ok(glob);
    }
    let expected = "a place below a root of a cache, written as the root is";
    Err(source.malformed(text, expected, quoted(pattern)))
}

/// A share is no evidence of its own: the rest may be anything.
fn read_share(source: &Source, share: Option<&Spanned<Number>>, require: Require) -> Result<MinCoverage, PolicyError> {
    let read = MinCoverage::read(source, share)?;
    match share {
        Some(share) if !require.signature => {
            let message = "expected everything to be proven where no signature is demanded, found \
                           `min_lockfile_coverage`";
            let error = source.error(Code::GateWithoutEvidence, share, message);
            Err(error.with_hint(
                "leave it out, and write the places where files may be unproven, like \
                 `unproven = [\"~/.cargo/registry/index/**\"]`, or add `signature` to `require`",
            ))
        }
        _ => Ok(read),
    }
}

/// How old a seal may be, which a gate that takes seals must say.
fn read_max_age(source: &Source, gate: &Text, age: Option<&Text>, signed: bool) -> Result<MaxAge, PolicyError> {
    match age {
        _ if !signed => Ok(MaxAge::longest()),
        Some(age) => age.get_ref().parse().map_err(|error| source.error(Code::MalformedPolicy, age, error)),
        None => Err(without(source, gate, "max_age")),
    }
}

/// From 1 to the number of signers that the gate accepts: more could never be met.
fn read_threshold(source: &Source, threshold: Option<Spanned<u64>>, signers: usize) -> Result<usize, PolicyError> {
    let Some(threshold) = threshold else { return Ok(1) };
    match usize::try_from(*threshold.get_ref()) {
        Ok(0) => {
            let message = "expected a threshold of at least 1, found 0, which would let everything pass";
            Err(source.error(Code::GateWithoutEvidence, &threshold, message))
        }
        Ok(number) if number <= signers => Ok(number),
        _ => {
            let expected = format_args!("a threshold of at most {signers}, the number of `signers`");
            Err(source.malformed(&threshold, expected, threshold.get_ref()))
        }
    }
}

fn read_bindings(
    source: &Source,
    bindings: Option<Spanned<BTreeMap<Text, Text>>>,
) -> Result<BTreeMap<String, String>, PolicyError> {
    let mut read = BTreeMap::new();
    for (name, value) in bindings.map(Spanned::into_inner).unwrap_or_default() {
        for text in [&name, &value] {
            if text.get_ref().is_empty() {
                return Err(source.malformed(text, "a name and a value", "an empty string"));
            }
        }
        read.insert(name.into_inner(), value.into_inner());
    }
    Ok(read)
}

/// A list without which, or empty, the gate would let everything pass.
fn evidence(source: &Source, gate: &Text, field: &str, list: Option<Texts>) -> Result<Vec<Text>, PolicyError> {
    match list {
        None => Err(without(source, gate, field)),
        Some(list) if list.get_ref().is_empty() => {
            let message = format_args!("expected at least one item in `{field}`, found an empty list");
            Err(source.error(Code::GateWithoutEvidence, &list, message))
        }
        Some(list) => Ok(list.into_inner()),
    }
}

fn without(source: &Source, gate: &Text, field: &str) -> PolicyError {
    let message = format_args!("expected a gate with `{field}`, found {} without it", quoted(gate.get_ref()));
    let example = match field {
        "require" => "`require = [\"signature\"]`, `[\"lockfile\"]` or both",
        "signers" => "`signers = [\"…\"]`, the signers whose seals this gate accepts",
        _ => "`max_age = \"7d\"`, how old a seal may be",
    };
    source.error(Code::GateWithoutEvidence, gate, message).with_hint(format!("add {example}"))
}

fn read_require(source: &Source, require: &[Text]) -> Result<Require, PolicyError> {
    let mut read = Require::default();
    for proof in require {
        match proof.get_ref().as_str() {
            "signature" => read.signature = true,
            "lockfile" => read.lockfile = true,
            other => return Err(source.malformed(proof, "`signature` or `lockfile`", quoted(other))),
        }
    }
    source.unique(require)?;
    Ok(read)
}

/// Fields that say something of a proof which the gate does not demand would be read as if it did.
fn check_fields(source: &Source, shape: &GateShape, require: Require) -> Result<(), PolicyError> {
    let of_signature = [
        ("signers", shape.signers.as_ref().map(Spanned::span)),
        ("threshold", shape.threshold.as_ref().map(Spanned::span)),
        ("max_age", shape.max_age.as_ref().map(Spanned::span)),
        ("lockfile", shape.lockfile.as_ref().map(Spanned::span)),
        ("bindings", shape.bindings.as_ref().map(Spanned::span)),
    ];
    let of_lockfile = [
        ("unproven", shape.unproven.as_ref().map(Spanned::span)),
        ("min_lockfile_coverage", shape.min_lockfile_coverage.as_ref().map(Spanned::span)),
    ];
    let fields = of_signature.into_iter().map(|field| (field, "signature", require.signature));
    for ((field, span), proof, demanded) in fields.chain(of_lockfile.map(|field| (field, "lockfile", require.lockfile)))
    {
        if let (Some(span), false) = (span, demanded) {
            let message = format_args!("expected `{field}` where `require` has `{proof}`, found it where it has not");
            return Err(source.error_at(Code::MalformedPolicy, span.start, message));
        }
    }
    Ok(())
}

fn read_signers(
    source: &Source,
    accepted: Vec<Text>,
    signers: &BTreeMap<String, UnresolvedSigner>,
) -> Result<Vec<String>, PolicyError> {
    for name in &accepted {
        if !signers.contains_key(name.get_ref()) {
            let error = source.malformed(name, "a signer that the policy defines", quoted(name.get_ref()));
            return Err(PolicyError {
                hint: did_you_mean(name.get_ref(), signers.keys().map(String::as_str)),
                ..error
            });
        }
    }
    source.unique(&accepted)?;
    Ok(accepted.into_iter().map(Spanned::into_inner).collect())
}
