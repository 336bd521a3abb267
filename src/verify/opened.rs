//! Opening a seal: signature first, then the payload from the very bytes that verified, then the rules.

use crate::base::{Code, Limits};
use crate::identity::{KeyId, PublicKey};
use crate::policy::{Edge, Signer};
use crate::seal::envelope::{Checked, UnverifiedEnvelope};
use crate::seal::statement::Statement;
use crate::verify::rules::{Consumer, check, key_rules, scope};
use crate::verify::trail::{Rule, Trail};

/// A seal whose signatures, signers and statement the gate accepts. Only [`judge_envelope`] makes one.
#[derive(Debug)]
pub struct TrustedSeal {
    statement: Statement,
    signers: Vec<(String, KeyId)>,
    warnings: Vec<String>,
}

impl TrustedSeal {
    /// What was signed.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The accepted signers whose signatures verified, with the key each used.
    #[must_use]
    pub fn signers(&self) -> &[(String, KeyId)] {
        &self.signers
    }

    /// What will soon be a reason to refuse: keys near their last day.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Judges the bytes of a `seal.json`. `None` if there is a refusal in the trail.
pub fn judge_envelope(
    bytes: &[u8],
    edge: &Edge<'_>,
    consumer: &Consumer,
    limits: &Limits,
    trail: &mut Trail,
) -> Option<TrustedSeal> {
    let envelope = match UnverifiedEnvelope::parse(bytes, limits) {
        Ok(envelope) => envelope,
        Err(error) => {
            trail.rule(error.code(), false, "a DSSE envelope in strict JSON", error.to_string(), "docs/FORMAT.md");
            return None;
        }
    };
    let keys = keys_of(&edge.signers);
    let checked = envelope.verified_by_name(&keys);
    let statement = open_statement(&envelope, &checked, edge, limits, trail)?;
    let counted = count_signers(&statement, edge, &checked, consumer, trail);
    check(&statement, edge, consumer, trail);
    let warnings = counted.iter().filter_map(|(signer, id)| warning(signer, *id, consumer)).collect();
    let signers = counted.iter().map(|(signer, id)| (signer.name.clone(), *id)).collect();
    trail.refusals().is_empty().then_some(TrustedSeal { statement, signers, warnings })
}

fn keys_of(signers: &[&Signer]) -> Vec<PublicKey> {
    signers.iter().flat_map(|signer| &signer.keys).map(|key| key.key.clone()).collect()
}

/// The statement, from the very bytes that a key of the gate signed.
fn open_statement(
    envelope: &UnverifiedEnvelope,
    checked: &Checked<'_>,
    edge: &Edge<'_>,
    limits: &Limits,
    trail: &mut Trail,
) -> Option<Statement> {
    let names: Vec<_> = edge.signers.iter().map(|signer| format!("`{}`", signer.name)).collect();
    let expected = format!("a signature by {}", names.join(" or "));
    let origin = edge.policy.origin(&edge.gate.signers);
    let Some(payload) = checked.payload() else {
        let (code, found) = unsigned(envelope, checked, edge);
        trail.rule(code, false, expected, found, origin);
        return None;
    };
    let by: Vec<_> = checked.verified().iter().map(|id| format!("key {}", id.short())).collect();
    trail.rule(Code::SignatureMismatch, true, expected, by.join(", "), origin);
    match Statement::parse(payload.payload_type(), payload.bytes(), limits) {
        Ok(statement) => Some(statement),
        Err(error) => {
            trail.rule(error.code(), false, "a statement that this version reads", error.to_string(), "docs/FORMAT.md");
            None
        }
    }
}

/// The distinct signers that count: a good signature, with a key that is in use and not recalled, by a signer
/// that may make this seal. Two keys of one signer count once.
fn count_signers<'e>(
    statement: &Statement,
    edge: &Edge<'e>,
    checked: &Checked<'_>,
    consumer: &Consumer,
    trail: &mut Trail,
) -> Vec<(&'e Signer, KeyId)> {
    let mut counted = Vec::new();
    let mut failed: Vec<Rule> = Vec::new();
    for signer in &edge.signers {
        let mut of_signer = Vec::new();
        let mut key_of_signer = None;
        for key in signer.keys.iter().filter(|key| checked.verified().contains(&key.key.id())) {
            let mut rules = key_rules(statement.predicate.sealed_at, consumer.now, edge.policy, signer, key);
            rules.extend(scope(&statement.predicate, edge.policy, signer));
            if rules.iter().all(|rule| rule.met) {
                key_of_signer = Some(key.key.id());
            } else {
                of_signer.extend(rules.iter().filter(|rule| !rule.met).cloned());
            }
            for rule in rules {
                trail.note(rule);
            }
        }
        match key_of_signer {
            Some(key) => counted.push((*signer, key)),
            None => failed.append(&mut of_signer),
        }
    }
    judge_count(&counted, &failed, edge, trail);
    counted
}

/// Too few signers: for the reasons that kept others from counting, and if more than one is wanted, for that.
fn judge_count(counted: &[(&Signer, KeyId)], failed: &[Rule], edge: &Edge<'_>, trail: &mut Trail) {
    let threshold = *edge.gate.threshold;
    let names: Vec<_> = counted.iter().map(|(signer, _)| format!("`{}`", signer.name)).collect();
    let found = if names.is_empty() { "none that counts".to_owned() } else { names.join(", ") };
    let rule = Rule {
        code: Code::ThresholdUnmet,
        expected: format!("{threshold} of {} distinct signers", edge.gate.signers.len()),
        found,
        met: counted.len() >= threshold,
        origin: edge.policy.origin(&edge.gate.threshold),
    };
    if !rule.met {
        for rule in failed {
            trail.refuse(rule);
        }
        if threshold > 1 || failed.is_empty() {
            trail.refuse(&rule);
        }
    }
    trail.note(rule);
}

/// Why no signature counts: none at all, a bad one, one by a signer of another gate, or a stranger's.
fn unsigned(envelope: &UnverifiedEnvelope, checked: &Checked<'_>, edge: &Edge<'_>) -> (Code, String) {
    if !checked.has_signatures() {
        return (Code::NoSignature, "no signature".to_owned());
    }
    if !checked.mismatched().is_empty() {
        return (Code::SignatureMismatch, "a signature that names such a key but does not verify".to_owned());
    }
    for signer in &edge.others {
        if envelope.verified_by_name(&keys_of(&[signer])).payload().is_some() {
            let found = format!("a signature by `{}`, which this gate does not accept", signer.name);
            return (Code::SignerNotAccepted, found);
        }
    }
    (Code::UnknownSigner, "only signatures that name no key of the policy".to_owned())
}

/// Says that a key's last day is near.
fn warning(signer: &Signer, id: KeyId, consumer: &Consumer) -> Option<String> {
    let key = signer.keys.iter().find(|key| key.key.id() == id)?;
    let until = key.validity.until.filter(|_| key.validity.ends_soon(consumer.now))?;
    Some(format!(
        "key {} of `{}` is valid until {until}: add a new key to the signer and seal with it",
        id.short(),
        signer.name
    ))
}
