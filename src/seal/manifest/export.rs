//! Manifests in the forms of other tools.

use super::{Entry, Manifest, Node, SIGNATURE};
use crate::base::Algorithm;

/// mtree(5) as NetBSD's `mtree -p ROOT -f FILE` checks it: names with glob characters escaped too, since it
/// would match them as patterns, and BLAKE3 digests left out, since it does not know them.
#[must_use]
pub fn mtree(manifest: &Manifest) -> Vec<u8> {
    let mut out = SIGNATURE.as_bytes().to_vec();
    out.extend_from_slice(b". type=dir mode=0755\n");
    let mut entries = manifest.entries();
    while let Some(entry) = entries.next_entry() {
        out.extend_from_slice(b"./");
        escape_globs(&mut out, entry.path);
        match entry.record.node {
            Node::File { size, executable, digest } => {
                let mode = if executable { "0755" } else { "0644" };
                out.extend_from_slice(format!(" type=file mode={mode} size={size}").as_bytes());
                if manifest.algorithm() == Algorithm::Sha256 {
                    out.extend_from_slice(format!(" sha256digest={digest}").as_bytes());
                }
            }
            Node::Directory(_) => out.extend_from_slice(b" type=dir mode=0755"),
            Node::Link(target) => {
                out.extend_from_slice(b" type=link link=");
                crate::base::escape_into(&mut out, entry.listing.link(target));
            }
        }
        out.push(b'\n');
    }
    out
}

fn escape_globs(out: &mut Vec<u8>, name: &[u8]) {
    for byte in name {
        match byte {
            b'*' | b'?' | b'[' => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
            byte => crate::base::escape_into(out, std::slice::from_ref(byte)),
        }
    }
}

/// Lines for `sha256sum -c` or `b3sum --check`, run inside the root: files only, names that hold a backslash or
/// a line break escaped as those tools write them, with a backslash in front of the line.
#[must_use]
pub fn digest_lines(manifest: &Manifest) -> Vec<u8> {
    let mut out = Vec::new();
    let mut entries = manifest.entries();
    while let Some(entry) = entries.next_entry() {
        push_digest_line(&mut out, &entry);
    }
    out
}

fn push_digest_line(out: &mut Vec<u8>, entry: &Entry<'_, '_>) {
    let Node::File { digest, .. } = entry.record.node else { return };
    if entry.path.iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'\r')) {
        out.push(b'\\');
    }
    out.extend_from_slice(digest.to_string().as_bytes());
    out.extend_from_slice(b"  ./");
    for byte in entry.path {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            byte => out.push(*byte),
        }
    }
    out.push(b'\n');
}
