//! `export`.

use serde_json::{Value, json};

use super::arguments::{ExportArguments, ExportForm};
use super::outcome::Outcome;
use super::sealed::FoundSeal;
use super::system::to_stderr;
use crate::base::{Code, Exit, Limits};
use crate::checkout::Failure;
use crate::report::{ExportReport, Head};
use crate::seal::manifest::{digest_lines, mtree};

pub(super) fn run(arguments: &ExportArguments, limits: &Limits) -> Result<Outcome, Failure> {
    let seal = FoundSeal::open(&arguments.seal, limits)?;
    let bytes = match arguments.form {
        ExportForm::SigstoreBundle => sigstore_bundle(&seal)?,
        form => listing(&seal, form, arguments.root.as_deref(), limits)?,
    };
    let _ = to_stderr(b"note: exported without verifying the seal\n");
    let content = String::from_utf8_lossy(&bytes).into_owned();
    let report = ExportReport { head: Head::of("export", Exit::Ok), verified: false, content };
    Ok(Outcome { output: bytes, ..Outcome::of(Exit::Ok, String::new(), &report).into_product() })
}

fn listing(seal: &FoundSeal, form: ExportForm, root: Option<&str>, limits: &Limits) -> Result<Vec<u8>, Failure> {
    let (_, manifest) = seal.manifest(root, limits)?;
    let (tool, algorithm) = match form {
        ExportForm::Mtree => return Ok(mtree(&manifest)),
        ExportForm::B3sum => ("b3sum", crate::base::Algorithm::Blake3),
        _ => ("sha256sum", crate::base::Algorithm::Sha256),
    };
    if manifest.algorithm() != algorithm {
        let message = format!("expected a seal with {algorithm} digests for `{tool}`, found {}", manifest.algorithm());
        return Err(Failure::new(Code::UnsupportedExport, message)
            .hint(format!("set `digest = \"{algorithm}\"` for the cache and seal it anew")));
    }
    Ok(digest_lines(&manifest))
}

/// A Sigstore bundle in its key form (protobuf-specs v0.3): the envelope as it is, one signature, the key by hint.
fn sigstore_bundle(seal: &FoundSeal) -> Result<Vec<u8>, Failure> {
    let keyids: Vec<&str> = seal.seal.envelope.unverified_keyids().collect();
    let [keyid] = keyids.as_slice() else {
        let message = format!("expected a seal with one signature, as Sigstore bundles have, found {}", keyids.len());
        return Err(Failure::new(Code::UnsupportedExport, message));
    };
    let envelope: Value = serde_json::from_slice(&seal.seal.bytes)
        .map_err(|error| Failure::new(Code::MalformedEnvelope, error.to_string()))?;
    // Readers of bundles refuse unknown fields, so only the three that DSSE defines go in.
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "publicKey": { "hint": keyid } },
        "dsseEnvelope": {
            "payload": envelope.get("payload"),
            "payloadType": envelope.get("payloadType"),
            "signatures": envelope.get("signatures"),
        },
    });
    let mut text = format!("{bundle:#}").into_bytes();
    text.push(b'\n');
    Ok(text)
}
