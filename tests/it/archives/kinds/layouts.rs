//! More than one place for one thing, row 61.

use crate::archives::kit::{Kind, members};
use crate::archives::sample::Draft;
use crate::archives::tar::{Item, NAME, dir, file, pax, symlink};

/// All that lies below is refused for that: it is not missing as well, and the seal among it is none.
const ABOVE: &[&str] = &["entry-below-link", "no-seal", "stray-entry"];
const AMBIGUOUS: &[&str] = &["ambiguous-layout"];

/// The members whose labels begin so, with `prefix` in front of their names.
fn copies(draft: &Draft, start: &str, prefix: &str) -> Vec<Item> {
    let below = format!("{start}/");
    let is_below = |item: &&Item| item.label == start || item.label.starts_with(&below);
    let renamed = |item: &Item| {
        let name = item.get(NAME);
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        item.clone().with(NAME, [prefix.as_bytes(), &name[..end]].concat())
    };
    draft.tar.items.iter().filter(is_below).map(renamed).collect()
}

pub(crate) const KINDS: &[Kind] = &[
    members("second-seal-elsewhere", 12, AMBIGUOUS, |d| {
        let second = copies(d, ".cacheseal/deps", "other/");
        d.add(second);
    }),
    members("second-envelope-elsewhere", 12, AMBIGUOUS, |d| {
        let envelope = d.contents(".cacheseal/deps/seal.json");
        d.add([file("other/.cacheseal/deps/seal.json", envelope)]);
    }),
    members("second-home", 12, AMBIGUOUS, |d| d.add([file("home/other/store/blob", "x")])).circle(),
    members("second-checkout", 12, AMBIGUOUS, |d| d.add([file("home/circleci/other/deps/tool", "x")])).circle(),
    members("checkout-among-programs", 12, &["ambiguous-layout", "forbidden-mode"], |d| {
        below(d, "usr/lib/");
        d.begin([dir("usr/").mode(0o777)]);
    }),
    members("checkout-nowhere-known", 12, AMBIGUOUS, |d| below(d, "opt/app/")),
    members("checkout-in-a-hidden-directory", 12, AMBIGUOUS, |d| below(d, "home/circleci/.npm/")),
    members("home-among-programs", 12, AMBIGUOUS, |d| {
        for item in &mut d.tar.items {
            if item.label.starts_with("store") {
                let name = format!("usr/{}", item.label);
                item.set(NAME, name);
            }
        }
    }),
    members("checkout-other-than-expected", 10, &["ambiguous-layout", "no-seal"], |_| {})
        .more(&["--checkout", "home/circleci/project"])
        .unpacked(12, &["ambiguous-layout", "seal-not-first"]),
    members("home-other-than-expected", 12, &["ambiguous-layout", "missing-entry"], |_| {})
        .more(&["--home", "/home/circleci/"]),
    members("line-end-on-the-way-to-the-checkout", 12, UNSAFE_WAY, |d| {
        below(d, "home/a\nb/");
        d.begin([pax(&[("mtime", b"1")])]);
    }),
    members("control-character-on-the-way-to-home", 12, &["missing-entry", "unsafe-path"], |d| {
        for item in &mut d.tar.items {
            if item.label.starts_with("store") {
                let name = format!("home/\x1b[2J/{}", item.label);
                item.set(NAME, name);
            }
        }
    })
    .seal_first(),
    members("bytes-that-are-no-text-on-the-way", 12, UNSAFE_WAY, |d| {
        for item in &mut d.tar.items {
            let name = [b"home/\xe9/", item.label.as_bytes()].concat();
            item.set(NAME, name);
        }
    }),
    members("directory-above-as-link", 15, ABOVE, |d| {
        d.begin([symlink("home/circleci", "../root")]);
    })
    .circle(),
    members("directory-above-as-file", 15, ABOVE, |d| {
        d.begin([file("home", "x")]);
    })
    .circle(),
    members("root-as-link", 12, &["entry-below-link", "type-mismatch"], |d| {
        d.replace("deps", [symlink("deps", "../elsewhere")]);
    }),
    members("root-as-link-alone", 11, &["type-mismatch"], |d| {
        d.remove_all("store");
        d.add([symlink("store", "../elsewhere")]);
    }),
    members("root-as-file", 11, &["type-mismatch"], |d| {
        d.remove_all("store");
        d.add([file("store", "x")]);
    }),
    members("absent-root-as-link", 11, &["extra-entry"], |d| d.add([symlink("never", "store")])),
    members("absent-root-as-file", 11, &["extra-entry"], |d| d.add([file("never", "x")])),
    members("roots-of-another-checkout", 12, &["ambiguous-layout", "missing-entry"], elsewhere).seal_first(),
    members("seal-of-another-checkout", 10, &["ambiguous-layout", "no-seal"], elsewhere).seal_last(),
];

/// What no place is known for is not in a root, nor is it a seal.
const UNSAFE_WAY: &[&str] = &["nothing-restored", "unsafe-path"];

/// Moves everything to another place.
fn below(draft: &mut Draft, prefix: &str) {
    for item in &mut draft.tar.items {
        let name = format!("{prefix}{}", item.label);
        item.set(NAME, name);
    }
}

/// Moves one root away from the seal and the other.
fn elsewhere(draft: &mut Draft) {
    draft.replace("deps", [dir("elsewhere/deps/")]);
    draft.remove_all("deps");
}
