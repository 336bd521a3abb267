//! The outcome of `verify` and `unpack`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::{Code, Exit, Refusal, Refusals};
use crate::cache::{ArchiveVerification, Facts, Unpacked, Verification};
use crate::identity::KeyId;
use crate::tree::Confinement;
use crate::verify::{Amount, Coverage, Rule};

/// The version of every report in JSON: fields are only ever added.
pub(super) const VERSION: u8 = 1;

/// The word for an outcome.
#[must_use]
pub fn verdict(exit: Exit) -> &'static str {
    match exit {
        Exit::Ok => "trusted",
        Exit::Miss => "miss",
        exit if exit.is_refusal() => "refused",
        _ => "undecided",
    }
}

/// The outcome of `verify` or `unpack`. As JSON it is what `--format json` shows, and what a guard sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyReport {
    /// The version of the form.
    pub version: u8,
    /// The verb.
    pub command: String,
    /// The word for the outcome, which is fixed before anything is shown.
    pub verdict: String,
    /// The exit status: the outcome's, but for a miss that is allowed and a report that could not be written.
    pub exit: Exit,
    /// The cache's name.
    pub cache: String,
    /// The gate's name.
    pub gate: String,
    /// The first reasons against the cache, worst first.
    pub refusals: Vec<Refusal>,
    /// How many there are of each code.
    pub counts: BTreeMap<Code, u64>,
    /// What the seal says, if it was opened.
    pub seal: Option<SealReport>,
    /// How much each proof covers, where there was a lockfile proof.
    pub coverage: Option<CoverageReport>,
    /// What will soon be a reason to refuse.
    pub warnings: Vec<String>,
    /// Every rule that was applied, where that is wanted.
    pub rules: Option<Vec<Rule>>,
    /// What a guard would have refused first if it did more than report.
    pub candidates: Option<Vec<Refusal>>,
    /// How many there are of each code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_counts: Option<BTreeMap<Code, u64>>,
    /// What was done with a refused cache, in words; empty if nothing.
    pub disposal: Vec<String>,
    /// Reports that could not be written to their files, in words.
    pub unwritten: Vec<String>,
    /// What there is to say of an archive, if one was verified.
    pub archive: Option<ArchiveReport>,
    /// What came of the archive, if it was to be unpacked.
    pub unpacked: Option<UnpackReport>,
}

/// What a trusted seal says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SealReport {
    /// Who signed.
    pub signers: Vec<Signed>,
    /// When, RFC 3339.
    pub sealed_at: String,
    /// From where.
    pub source: SourceReport,
    /// What.
    pub roots: Vec<SealedRootReport>,
    /// Symlinks whose text leads out of their root.
    pub links_leaving: u64,
}

/// An accepted signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The name in the policy.
    pub signer: String,
    /// The id of the key that was used.
    pub keyid: String,
}

/// Where a seal says that it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SourceReport {
    /// The CI system.
    pub ci: Option<String>,
    /// The ref.
    #[serde(rename = "ref")]
    pub ref_: Option<String>,
    /// The commit.
    pub revision: Option<String>,
    /// The job.
    pub job: Option<String>,
    /// The run of the job.
    pub run: Option<String>,
}

/// A root as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SealedRootReport {
    /// As the policy writes it.
    pub path: String,
    /// Whether it was there.
    pub present: bool,
    /// The algorithm of the digests.
    pub digest: String,
    /// Entries in it.
    pub entries: u64,
    /// Bytes of its files.
    pub bytes: u64,
}

/// How much each proof covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CoverageReport {
    /// All of the cache.
    pub total: Amount,
    /// What the lockfiles prove.
    pub lockfile: Amount,
    /// What the seal proves.
    pub signature: Amount,
    /// What neither proves.
    pub unproven: Amount,
    /// What the lockfiles name by a digest that proves nothing.
    pub weak: Amount,
    /// What contradicts the lockfiles.
    pub mismatched: Amount,
    /// Packages that the lockfiles name.
    pub packages: usize,
    /// The first entries that no lockfile proves.
    pub entries: Vec<UnprovenReport>,
}

/// An entry that no lockfile proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UnprovenReport {
    /// Where it is.
    #[serde(with = "crate::base::exact")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub place: Vec<u8>,
    /// Whether it can be run.
    pub nature: String,
    /// Why it is not proven.
    pub reason: String,
}

/// What there is to say of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArchiveReport {
    /// The home that it has, escaped; empty for its top.
    pub home: Option<String>,
    /// The checkout that it has, escaped; empty for its top.
    pub checkout: Option<String>,
    /// Whether it was read to its end.
    pub read_whole: bool,
}

/// What came of an archive that was to be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnpackReport {
    /// Whether roots and seal are in their places.
    pub in_place: bool,
    /// How far its reader was confined; nothing if nothing was read.
    pub confinement: Option<String>,
    /// What was replaced and could not be removed.
    pub left: Vec<String>,
}

/// Refusals as reports list them.
pub type Findings = (Vec<Refusal>, BTreeMap<Code, u64>);

impl VerifyReport {
    /// The outcome of a verification. `rules` has it show those too, and a miss may be `allowed`.
    #[must_use]
    pub fn new(command: &str, (cache, gate): (&str, &str), found: Verification, rules: bool, allowed: bool) -> Self {
        let outcome = found.exit();
        let (refusals, counts) = found.refusals.into_parts();
        Self {
            version: VERSION,
            command: command.to_owned(),
            verdict: verdict(outcome).to_owned(),
            exit: if outcome == Exit::Miss && allowed { Exit::Ok } else { outcome },
            cache: cache.to_owned(),
            gate: gate.to_owned(),
            refusals,
            counts,
            warnings: found.facts.as_ref().map(|facts| facts.warnings.clone()).unwrap_or_default(),
            seal: found.facts.as_ref().map(SealReport::of),
            coverage: found.coverage.as_ref().map(CoverageReport::of),
            rules: rules.then_some(found.rules),
            candidates: None,
            candidate_counts: None,
            disposal: Vec::new(),
            unwritten: Vec::new(),
            archive: None,
            unpacked: None,
        }
    }

    /// The outcome for an archive.
    #[must_use]
    pub fn of_archive(
        command: &str,
        names: (&str, &str),
        found: ArchiveVerification,
        rules: bool,
        allowed: bool,
    ) -> Self {
        let ArchiveVerification { verification, home, checkout, read_whole } = found;
        let archive = Some(ArchiveReport { home, checkout, read_whole });
        Self { archive, ..Self::new(command, names, verification, rules, allowed) }
    }

    /// The outcome of `unpack`.
    #[must_use]
    pub fn of_unpacked(names: (&str, &str), found: Unpacked, rules: bool) -> Self {
        let Unpacked { archive, confinement, left } = found;
        let report = Self::of_archive("unpack", names, archive, rules, false);
        let confinement = confinement.map(|confinement: Confinement| confinement.as_str().to_owned());
        let unpacked = Some(UnpackReport { in_place: report.exit == Exit::Ok, confinement, left });
        Self { unpacked, ..report }
    }

    /// The same, with what would have been refused and what was done with a refused cache.
    #[must_use]
    pub fn with(self, candidates: Option<Refusals>, disposal: Vec<String>) -> Self {
        let (candidates, candidate_counts) = candidates.map(Refusals::into_parts).unzip();
        Self { candidates, candidate_counts, disposal, ..self }
    }

    /// Whether nothing was restored, which is allowed.
    pub(super) fn is_allowed_miss(&self) -> bool {
        self.exit == Exit::Ok && self.verdict == verdict(Exit::Miss)
    }
}

impl SealReport {
    fn of(facts: &Facts) -> Self {
        let predicate = &facts.statement.predicate;
        let source = &predicate.source;
        let signed = |(name, key): &(String, KeyId)| Signed { signer: name.clone(), keyid: key.to_string() };
        Self {
            signers: facts.signers.iter().map(signed).collect(),
            sealed_at: predicate.sealed_at.to_string(),
            source: SourceReport {
                ci: source.ci.clone(),
                ref_: source.ref_.clone(),
                revision: source.revision.clone(),
                job: source.job.clone(),
                run: source.run.clone(),
            },
            roots: predicate
                .roots
                .iter()
                .map(|root| SealedRootReport {
                    path: root.path.clone(),
                    present: root.manifest.is_some(),
                    digest: root.digest.as_str().to_owned(),
                    entries: root.entries,
                    bytes: root.bytes,
                })
                .collect(),
            links_leaving: facts.links_leaving,
        }
    }
}

impl CoverageReport {
    fn of(coverage: &Coverage) -> Self {
        let entries = coverage.entries.iter().map(|entry| UnprovenReport {
            place: entry.place.clone(),
            nature: entry.nature.as_str().to_owned(),
            reason: entry.reason.to_string(),
        });
        Self {
            total: coverage.total,
            lockfile: coverage.lockfile,
            signature: coverage.signature,
            unproven: coverage.unproven,
            weak: coverage.weak,
            mismatched: coverage.mismatched,
            packages: coverage.packages,
            entries: entries.collect(),
        }
    }
}
