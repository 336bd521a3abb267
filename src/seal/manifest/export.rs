//! Manifests in the forms of other tools.

use super::{Entry, Manifest, Node, SIGNATURE};
use crate::base::Algorithm;

/// mtree(5) as NetBSD's `mtree -p ROOT -f FILE` checks it: BLAKE3 digests left out, since it does not know them, and
/// names that it would match as patterns written so that they match themselves alone.
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

/// mtree decodes a name, then takes it for a pattern if it holds a glob character, where a backslash makes the next
/// character stand for itself. Other names are compared as they are.
fn escape_globs(out: &mut Vec<u8>, path: &[u8]) {
    for (number, name) in path.split(|byte| *byte == b'/').enumerate() {
        if number > 0 {
            out.push(b'/');
        }
        let is_pattern = name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
        for byte in name {
            if is_pattern && matches!(byte, b'*' | b'?' | b'[' | b'\\') {
                crate::base::escape_into(out, b"\\");
            }
            crate::base::escape_into(out, std::slice::from_ref(byte));
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
