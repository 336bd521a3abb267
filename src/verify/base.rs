//! Whether a signature would make more of a tree than what it rests on: nothing that only a signer of a weaker gate
//! has claimed becomes the word of a signer that a stricter gate accepts.

use std::collections::BTreeMap;

use crate::base::Escaped;
use crate::policy::{Gate, Policy};

/// The first gate that would accept the signature of `signer` for this cache although it would not have accepted what
/// the tree rests on, and what is wrong with that; `None` if the signer may sign.
///
/// `base_signers` are those whose signatures counted on the seal that the tree was verified by, `base_bindings` what
/// it says. `bindings_now` are those of the seal that is to be signed. A gate objects if
/// - it accepts none of `base_signers`, or
/// - a binding that it names had another value, or none, in the seal that the tree rests on.
#[must_use]
pub fn weaker_gate<'p>(
    policy: &'p Policy,
    cache: &str,
    signer: &str,
    base_signers: &[String],
    base_bindings: &BTreeMap<String, String>,
    bindings_now: &BTreeMap<String, String>,
) -> Option<(&'p Gate, String)> {
    policy.gates().filter(|gate| gate.signers.iter().any(|name| name == signer)).find_map(|gate| {
        // A gate that compares lockfiles is no gate for a cache without any.
        policy.edge(cache, &gate.name).ok()?;
        let why = unknown_signers(gate, base_signers).or_else(|| other_binding(gate, base_bindings, bindings_now))?;
        Some((gate, why))
    })
}

/// Who signed what the tree rests on, if the gate accepts none of them.
fn unknown_signers(gate: &Gate, base: &[String]) -> Option<String> {
    if base.iter().any(|name| gate.signers.contains(name)) {
        return None;
    }
    let names: Vec<_> = base.iter().map(|name| format!("`{name}`")).collect();
    Some(format!("only {}", if names.is_empty() { "files without a signature".to_owned() } else { names.join(", ") }))
}

/// The first binding of the gate that the seal which the tree rests on does not say as the new one does.
fn other_binding(gate: &Gate, base: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Option<String> {
    let name = gate.bindings.keys().find(|name| base.get(*name) != now.get(*name))?;
    let text = |bindings: &BTreeMap<String, String>| {
        bindings.get(name).map_or_else(
            || format!("no binding `{}`", Escaped(name.as_bytes())),
            |value| format!("binding `{}`", Escaped(format!("{name}={value}").as_bytes())),
        )
    };
    Some(format!("{} before, {} now", text(base), text(now)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digest;
    use crate::identity::SecretKey;
    use crate::policy::Document;

    /// `checker` is accepted by all but `pr`; `npm` has no lockfiles, so that the gate `exact` is none for it.
    const POLICY: &str = r#"version = 1
project = "app"
[cache.cargo]
roots = ["deps"]
lockfiles = ["Cargo.lock"]
[cache.npm]
roots = ["node_modules"]
[signer.builder]
keys = [{ file = "builder" }]
[signer.checker]
keys = [{ file = "checker" }]
[signer.pull]
keys = [{ file = "pull" }]
[gate.exact]
require = ["signature"]
signers = ["builder", "checker"]
max_age = "7d"
[gate.pr]
require = ["signature"]
signers = ["pull"]
max_age = "7d"
lockfile = "any"
[gate.proof]
require = ["lockfile"]
[gate.wide]
require = ["signature"]
signers = ["checker", "pull"]
max_age = "7d"
lockfile = "any"
bindings = { toolchain = "1.95" }
"#;

    fn policy() -> Policy {
        let document = Document::parse("cacheseal.toml", POLICY.as_bytes()).unwrap();
        let pem = |name: &str| SecretKey::from_seed(zeroize::Zeroizing::new(Digest::sha256(name.as_bytes()).0));
        let files =
            document.files().into_iter().map(|name| (name.to_owned(), pem(name).public().to_pem().into_bytes()));
        let files = files.collect();
        document.resolve(&files).unwrap()
    }

    fn bindings(text: &str) -> BTreeMap<String, String> {
        text.split(',').filter_map(|pair| pair.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    #[test]
    fn a_signature_makes_no_more_of_a_tree_than_it_rests_on() {
        let policy = policy();
        for (cache, signer, base, before, now, objects) in [
            ("cargo", "builder", "builder", "", "", None),
            ("cargo", "pull", "pull", "toolchain=1.95", "toolchain=1.95", None),
            // Nobody accepts them together with what the base has.
            ("cargo", "builder", "pull", "", "", Some(("exact", "only `pull`"))),
            ("cargo", "pull", "builder", "", "", Some(("pr", "only `builder`"))),
            ("cargo", "checker", "pull", "toolchain=1.95", "toolchain=1.95", Some(("exact", "only `pull`"))),
            ("npm", "checker", "pull", "toolchain=1.95", "toolchain=1.95", None),
            ("npm", "builder", "pull", "", "", None),
            // Each of these gates accepts one that signed before.
            ("cargo", "checker", "builder,pull", "", "", None),
            ("cargo", "checker", "checker", "", "", None),
            ("cargo", "checker", "builder", "", "", Some(("wide", "only `builder`"))),
            ("cargo", "checker", "", "", "", Some(("exact", "only files without a signature"))),
            // A binding that a gate names was the base's word too.
            ("cargo", "checker", "checker", "x=1", "toolchain=1.95", Some(("wide", "no binding `toolchain` before"))),
            ("npm", "pull", "pull", "toolchain=1.94", "toolchain=1.95", Some(("wide", "`toolchain=1.94` before"))),
            ("npm", "pull", "pull", "toolchain=1.95", "", Some(("wide", "no binding `toolchain` now"))),
            ("cargo", "builder", "builder", "toolchain=1.94", "toolchain=1.95", None),
            ("cargo", "checker", "checker", "image=a", "image=b", None),
        ] {
            let base: Vec<_> = base.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            let found = weaker_gate(&policy, cache, signer, &base, &bindings(before), &bindings(now));
            let what = format!("{cache} {signer} {base:?} {before:?} {now:?}: {found:?}");
            match (objects, found) {
                (None, None) => {}
                (Some((gate, said)), Some((found, why))) => {
                    assert_eq!(found.name.as_str(), gate, "{what}");
                    assert!(why.contains(said), "{what}");
                }
                _ => panic!("{what}"),
            }
        }
    }
}
