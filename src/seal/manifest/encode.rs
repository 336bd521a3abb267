//! Writing manifests.

use super::{Entry, Manifest, Node, SIGNATURE};
use crate::base::{Algorithm, Digest, escape_into};

impl Manifest {
    /// The canonical text.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut whole = Vec::new();
        self.encode_pieces(usize::MAX, |text| {
            whole = text;
            None
        });
        whole
    }

    /// Gives the canonical text to `take` in pieces of whole lines, each but the last of `piece_bytes` or a little more.
    /// `take` gives memory for the next one, or nothing if it wants no more.
    pub fn encode_pieces(&self, piece_bytes: usize, mut take: impl FnMut(Vec<u8>) -> Option<Vec<u8>>) {
        let keyword = digest_keyword(self.algorithm);
        let mut text = Vec::new();
        text.extend_from_slice(SIGNATURE.as_bytes());
        text.extend_from_slice(b". type=dir mode=0755\n");
        let mut entries = self.entries();
        while let Some(entry) = entries.next_entry() {
            encode_line(&mut text, &entry, keyword);
            if text.len() >= piece_bytes {
                match take(text) {
                    Some(memory) => text = memory,
                    None => return,
                }
                text.clear();
            }
        }
        take(text);
    }
}

/// The mtree(5) keyword of a digest; `sha256digest` is a registered one, `blake3digest` is ours.
pub(super) fn digest_keyword(algorithm: Algorithm) -> &'static [u8] {
    match algorithm {
        Algorithm::Blake3 => b" blake3digest=",
        Algorithm::Sha256 => b" sha256digest=",
    }
}

fn encode_line(line: &mut Vec<u8>, entry: &Entry<'_, '_>, keyword: &[u8]) {
    line.extend_from_slice(b"./");
    escape_into(line, entry.path);
    match entry.record.node {
        Node::File { size, executable, digest } => {
            line.extend_from_slice(if executable {
                b" type=file mode=0755 size="
            } else {
                b" type=file mode=0644 size="
            });
            line.extend_from_slice(itoa::Buffer::new().format(size).as_bytes());
            line.extend_from_slice(keyword);
            let mut hex = [0; Digest::HEX_LEN];
            // 32 bytes always fill 64 digits.
            let _: Result<(), hex::FromHexError> = hex::encode_to_slice(digest.0, &mut hex);
            line.extend_from_slice(&hex);
        }
        Node::Directory(_) => line.extend_from_slice(b" type=dir mode=0755"),
        Node::Link(target) => {
            line.extend_from_slice(b" type=link link=");
            escape_into(line, entry.listing.link(target));
        }
    }
    line.push(b'\n');
}
