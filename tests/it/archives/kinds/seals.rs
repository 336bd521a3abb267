//! The seal is missing, broken, or not one that the gate accepts, rows 26 and 27. An archive gets what a directory gets.

use serde_json::{Value, json};

use crate::archives::kit::{Kind, members, project};
use crate::archives::sample::Draft;
use crate::archives::tar::{SIZE, dir, file, hardlink, symlink, typed};
use crate::harness::{Project, SealAs, now};

const ENVELOPE: &str = ".cacheseal/deps/seal.json";
const MANIFEST: &str = ".cacheseal/deps/0.mtree";
const NO_SEAL: &[&str] = &["no-seal"];
const SEAL: &[&str] = &["malformed-seal"];
/// `unpack` meets a root before it has met the whole of a seal.
const NOT_FIRST: &[&str] = &["seal-not-first"];
/// What stands in the place of the envelope is no file of a seal, and without an envelope there is none.
const NO_FILE: &[&str] = &["malformed-seal", "no-seal"];
const SHAPE: &[&str] = &["malformed-envelope"];
const MANIFESTS: &[&str] = &["manifest-mismatch"];

fn edit_envelope(draft: &mut Draft, edit: impl FnOnce(&mut Value)) {
    let mut envelope = serde_json::from_slice(&draft.contents(ENVELOPE)).unwrap();
    edit(&mut envelope);
    draft.refill(ENVELOPE, envelope.to_string());
}

/// Seals the trees once more, as another or at another time.
fn reseal(project: &Project, said: SealAs<'_>) {
    std::fs::remove_dir_all(project.seal_path()).unwrap();
    project.seal_as(said);
}

pub(crate) const KINDS: &[Kind] = &[
    members("seal-missing", 10, NO_SEAL, |d| d.remove_all(".cacheseal/deps")).unpacked(12, NOT_FIRST),
    members("envelope-missing", 10, NO_SEAL, |d| d.remove(ENVELOPE)).unpacked(12, NOT_FIRST),
    members("envelope-of-another-name", 10, NO_FILE, |d| {
        let envelope = d.contents(ENVELOPE);
        d.replace(ENVELOPE, [file(".cacheseal/deps/Seal.json", envelope)]);
    })
    .unpacked(10, &["malformed-seal", "seal-not-first"]),
    members("envelope-empty", 10, SHAPE, |d| d.refill(ENVELOPE, "")),
    members("envelope-cut", 10, SHAPE, |d| {
        let envelope = d.contents(ENVELOPE);
        d.refill(ENVELOPE, &envelope[..envelope.len() / 2]);
    }),
    members("envelope-of-zeros", 10, SHAPE, |d| d.refill(ENVELOPE, [0; 700])),
    members("envelope-in-an-array", 10, SHAPE, |d| {
        let envelope = d.contents(ENVELOPE);
        d.refill(ENVELOPE, [b"[", &envelope[..], b"]"].concat());
    }),
    members("envelope-twice-in-one-file", 10, SHAPE, |d| {
        let envelope = d.contents(ENVELOPE);
        d.refill(ENVELOPE, [&envelope[..], &envelope].concat());
    }),
    members("envelope-larger-than-any", 13, &["seal-too-large"], |d| {
        let envelope = d.contents(ENVELOPE);
        d.refill(ENVELOPE, [&envelope[..], &vec![b' '; 1 << 20]].concat());
    }),
    members("payload-changed", 10, &["signature-mismatch"], |d| {
        edit_envelope(d, |envelope| {
            let payload = envelope["payload"].as_str().unwrap().replacen('e', "f", 1);
            envelope["payload"] = payload.into();
        });
    }),
    members("signatures-stripped", 10, &["no-signature"], |d| {
        edit_envelope(d, |envelope| envelope["signatures"] = json!([]));
    }),
    members("envelope-as-link", 10, NO_FILE, |d| d.replace(ENVELOPE, [symlink(ENVELOPE, "../../deps/seal.json")]))
        .unpacked(10, &["malformed-seal", "seal-not-first"]),
    members("envelope-as-directory", 10, NO_FILE, |d| d.replace(ENVELOPE, [dir(format!("{ENVELOPE}/"))]))
        .unpacked(10, &["malformed-seal", "seal-not-first"]),
    members("envelope-as-fifo", 10, NO_FILE, |d| d.replace(ENVELOPE, [typed(ENVELOPE, b'6')]))
        .unpacked(10, &["malformed-seal", "seal-not-first"]),
    members("envelope-as-hard-link", 10, NO_FILE, |d| d.replace(ENVELOPE, [hardlink(ENVELOPE, MANIFEST)]))
        .unpacked(10, &["malformed-seal", "seal-not-first"])
        .seal_first(),
    members("seal-with-a-further-file", 10, SEAL, |d| d.after(ENVELOPE, [file(".cacheseal/deps/evil", "x")])),
    members("seal-with-a-directory", 10, SEAL, |d| d.after(ENVELOPE, [dir(".cacheseal/deps/evil/")])),
    members("seal-with-a-file-in-a-directory", 10, SEAL, |d| d.after(ENVELOPE, [file(".cacheseal/deps/a/b", "x")])),
    members("seal-with-a-further-file-before-it", 10, SEAL, |d| d.begin([file(".cacheseal/deps/evil", "x")])),
    members("seal-with-a-further-file-of-eight-gibibytes", 10, SEAL, |d| {
        d.after(ENVELOPE, [file(".cacheseal/deps/evil", "x").base256(SIZE, 8 << 30)]);
    })
    .seal_first(),
    members("seal-with-a-further-manifest", 10, SEAL, |d| {
        let manifest = d.contents(MANIFEST);
        d.after(ENVELOPE, [file(".cacheseal/deps/2.mtree", manifest)]);
    }),
    members("manifest-missing", 10, MANIFESTS, |d| d.remove(MANIFEST)).unpacked(12, NOT_FIRST),
    members("manifest-changed", 10, MANIFESTS, |d| {
        let text = String::from_utf8(d.contents(MANIFEST)).unwrap();
        d.refill(MANIFEST, text.replace("mode=0755", "mode=0644"));
    }),
    members("manifest-empty", 10, MANIFESTS, |d| d.refill(MANIFEST, "")),
    members("manifests-exchanged", 10, MANIFESTS, |d| {
        let (one, other) = (d.contents(MANIFEST), d.contents(".cacheseal/deps/1.mtree"));
        d.refill(MANIFEST, other);
        d.refill(".cacheseal/deps/1.mtree", one);
    }),
    members("manifest-as-link", 10, &["malformed-seal", "manifest-mismatch"], |d| {
        d.replace(MANIFEST, [symlink(MANIFEST, "1.mtree")]);
    })
    .unpacked(10, &["malformed-seal", "seal-not-first"]),
    members("seal-alone", 11, &["missing-entry"], |d| {
        d.remove_all("deps");
        d.remove_all("store");
    }),
    members("seal-missing-and-a-stray", 15, &["no-seal", "stray-entry"], |d| {
        d.remove_all(".cacheseal/deps");
        d.add([file("evil", "x")]);
    })
    .unpacked(12, NOT_FIRST),
    // Another seal in the place of the right one.
    project("sealed-by-a-stranger", 10, &["unknown-signer"], |p| {
        p.sign_as("stranger", cacheseal::seal::statement::PAYLOAD_TYPE, &p.payload());
    }),
    project("sealed-by-another-job", 10, &["signer-not-accepted"], |p| {
        reseal(p, SealAs { key: "other", ..SealAs::default() });
    }),
    project("sealed-for-another-project", 10, &["wrong-project"], |p| {
        p.resign(|statement| statement["predicate"]["project"] = "github.com/evil/app".into());
    }),
    project("sealed-as-another-cache", 10, &["wrong-cache"], |p| {
        p.resign(|statement| statement["predicate"]["cache"] = "other".into());
    }),
    project("sealed-for-another-platform", 10, &["wrong-platform"], |p| {
        p.resign(|statement| statement["predicate"]["platform"]["os"] = "plan9".into());
    }),
    project("sealed-long-ago", 10, &["too-old"], |p| {
        reseal(p, SealAs { now: now() - jiff::SignedDuration::from_hours(24 * 8), ..SealAs::default() });
    }),
    project("sealed-for-another-lockfile", 10, &["stale-lockfile"], |p| p.write("deps.lock", "left-pad 1.3.1\n"))
        .more(&["--gate", "exact"]),
    project("manifest-of-another-form", 10, &["malformed-manifest"], |p| {
        p.resign_manifest(b"#mtree\n. type=dir\n", 1, 0);
    }),
    project("trees-changed-since", 11, &["digest-mismatch", "extra-entry", "missing-entry"], |p| {
        p.write("deps/pkg/index.js", "evil\n");
        p.write("deps/evil.js", "evil\n");
        std::fs::remove_file(p.path("deps/tool")).unwrap();
    }),
];
