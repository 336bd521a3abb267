//! A whole archive held against a seal: nothing but the sealed members is ever trusted.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use cacheseal::archive::{Expected, packed};
use cacheseal::base::{Algorithm, Digest, Limits};
use cacheseal::cache::{ArchiveRequest, Workspace, verify_archive};
use cacheseal::identity::SecretKey;
use cacheseal::policy::{Document, Policy};
use cacheseal::seal::envelope::sign;
use cacheseal::seal::manifest::{Listing, Manifest, Node};
use cacheseal::seal::statement::{PAYLOAD_TYPE, Platform, Predicate, SealedRoot, Source, Statement, Subject, Tool};
use cacheseal_fuzz::{accepted, header, mend_checksums, padded};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

const POLICY: &[u8] = b"version = 1
project = \"p\"
[cache.deps]
roots = [\"deps\"]
[signer.job]
keys = [{ file = \"job.pub\" }]
[gate.any]
require = [\"signature\"]
signers = [\"job\"]
max_age = \"7d\"
lockfile = \"any\"
";

struct Honest {
    policy: Policy,
    /// An archive with its seal first.
    archive: Vec<u8>,
}

static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let key = SecretKey::from_seed(Digest::sha256(b"fuzz").0.into());
    let files = BTreeMap::from([("job.pub".to_owned(), key.public().to_pem().into_bytes())]);
    let policy = Document::parse("cacheseal.toml", POLICY).unwrap().resolve(&files).unwrap();
    let mut listing = Listing::default();
    for (name, contents) in [("a", "aaa"), ("b", "bbbb")] {
        let digest = Algorithm::Blake3.digest(contents.as_bytes());
        listing.push(name.as_bytes(), Node::File { size: contents.len() as u64, executable: false, digest }).unwrap();
    }
    listing.push_link(b"l", b"a").unwrap();
    listing.finish();
    let manifest = Manifest::new(Algorithm::Blake3, vec![listing]);
    let totals = manifest.totals();
    let text = manifest.encode();
    let statement = Statement {
        subjects: vec![Subject { name: "deps".into(), sha256: Digest::sha256(&text) }],
        predicate: Predicate {
            project: "p".into(),
            cache: "deps".into(),
            roots: vec![SealedRoot {
                path: "deps".into(),
                manifest: Some("0.mtree".into()),
                digest: Algorithm::Blake3,
                entries: totals.entries,
                bytes: totals.bytes,
            }],
            lockfiles: Vec::new(),
            platform: platform(),
            bindings: BTreeMap::new(),
            source: Source::default(),
            sealed_at: Timestamp::UNIX_EPOCH,
            tool: Tool { name: "cacheseal".into(), version: "0".into() },
        },
    };
    let envelope = sign(PAYLOAD_TYPE, &statement.to_json(), &[&key]);
    let mut archive = Vec::new();
    let mut add = |name: String, contents: &[u8]| {
        archive.extend(header(name.as_bytes(), b'0', contents.len() as u64));
        archive.extend(padded(contents));
    };
    let top = packed::CHECKOUT;
    add(format!("{top}/.cacheseal/deps/seal.json"), &envelope);
    add(format!("{top}/.cacheseal/deps/0.mtree"), &text);
    add(format!("{top}/deps/a"), b"aaa");
    add(format!("{top}/deps/b"), b"bbbb");
    let mut link = header(format!("{top}/deps/l").as_bytes(), b'2', 0);
    link[157] = b'a';
    mend_checksums(&mut link);
    archive.extend(link);
    archive.extend([0; 1024]);
    Honest { policy, archive }
});

fn platform() -> Platform {
    Platform { os: "linux".into(), arch: "x86_64".into() }
}

fn is_trusted(archive: &[u8]) -> bool {
    let policy = &HONEST.policy;
    let edge = policy.edge("deps", "any").unwrap();
    let places = policy.place(None, std::path::Path::new("/"), "cacheseal.toml").unwrap();
    let request = ArchiveRequest {
        workspace: &Workspace::open(std::path::Path::new("/"), None).unwrap(),
        edge: &edge,
        roots: &places["deps"],
        name: "fuzz",
        seal: None,
        mapped: &[],
        expected: Expected::default(),
        now: Timestamp::UNIX_EPOCH,
        platform: platform(),
        window_log_max: 20,
        processors: 1,
        limits: &Limits::STANDARD,
        differences: None,
    };
    verify_archive(&request, archive).verification.refusals.is_empty()
}

fuzz_target!(|edits: &[u8]| {
    let honest = &HONEST.archive;
    // Edits of three bytes: a place in the archive, and what becomes of it.
    let mut edited = honest.clone();
    for edit in edits.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % edited.len();
        let block = at / 512 * 512;
        match edit[2] % 4 {
            0 | 1 => edited[at] = edit[3],
            2 if edited.len() > 2048 => drop(edited.drain(block..block + 512)),
            _ => {
                let copy = edited[block..block + 512].to_vec();
                let to = usize::from(edit[3]) * 512 % edited.len();
                edited.splice(to..to, copy);
            }
        }
    }
    mend_checksums(&mut edited);
    if is_trusted(&edited) {
        let sorted = |archive: &[u8]| {
            let mut members = accepted(archive).expect("what is trusted is accepted");
            // Directories on the way hold nothing, and the seal itself may be written in other ways.
            members.retain(|(name, kind, _)| {
                *kind != 'd' && name.windows(5).any(|window| window == b"deps/") && !name.ends_with(b"seal.json")
            });
            members.iter_mut().for_each(|(name, kind, _)| {
                let at = name.windows(5).position(|window| window == b"deps/").unwrap_or(0);
                name.drain(..at);
                *kind = if *kind == 'h' { 'f' } else { *kind };
            });
            members.sort();
            members
        };
        assert_eq!(sorted(&edited), sorted(honest));
    }
});
