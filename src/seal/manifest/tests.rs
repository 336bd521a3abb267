use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::base::{Algorithm, Code, Limits};

/// A tree to make manifests of: names to contents.
#[derive(Debug, Clone)]
enum Tree {
    File(u64, bool, [u8; 32]),
    Link(Vec<u8>),
    Directory(BTreeMap<Vec<u8>, Self>),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    // Names around the slash (0x2f) are where path order and directory order part.
    prop_oneof!["[ab+,./0-]{1,4}".prop_map(String::into_bytes), proptest::collection::vec(1_u8..=255, 1..6),].prop_map(
        |mut name| {
            name.iter_mut().filter(|byte| **byte == b'/').for_each(|byte| *byte = b'!');
            if name == b"." || name == b".." {
                name.push(b'x');
            }
            name
        },
    )
}

fn directory() -> impl Strategy<Value = BTreeMap<Vec<u8>, Tree>> {
    let leaf = prop_oneof![
        (0..u64::MAX >> 1, any::<bool>(), any::<[u8; 32]>()).prop_map(|(size, x, digest)| Tree::File(size, x, digest)),
        proptest::collection::vec(1_u8..=255, 1..9).prop_map(Tree::Link),
    ];
    let tree = leaf.prop_recursive(5, 60, 6, |inner| {
        proptest::collection::btree_map(name(), inner, 0..6).prop_map(Tree::Directory)
    });
    proptest::collection::btree_map(name(), tree, 0..8)
}

fn add(listings: &mut Vec<Listing>, index: usize, tree: &BTreeMap<Vec<u8>, Tree>) {
    let mut listing = Listing::default();
    for (name, child) in tree {
        match child {
            Tree::File(size, executable, digest) => {
                let node = Node::File { size: *size, executable: *executable, digest: Digest(*digest) };
                listing.push(name, node).unwrap();
            }
            Tree::Link(target) => listing.push_link(name, target).unwrap(),
            Tree::Directory(children) => {
                let child_index = listings.len();
                listings.push(Listing::default());
                listing.push(name, Node::Directory(u32::try_from(child_index).unwrap())).unwrap();
                add(listings, child_index, children);
            }
        }
    }
    listings[index] = listing;
}

fn manifest(tree: &BTreeMap<Vec<u8>, Tree>, algorithm: Algorithm) -> Manifest {
    let mut listings = vec![Listing::default()];
    add(&mut listings, 0, tree);
    Manifest::new(algorithm, listings)
}

fn paths(tree: &BTreeMap<Vec<u8>, Tree>, prefix: &[u8], out: &mut Vec<Vec<u8>>) {
    for (name, child) in tree {
        let path = [prefix, name].concat();
        out.push(path.clone());
        if let Tree::Directory(children) = child {
            paths(children, &[&path, &b"/"[..]].concat(), out);
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_written_again_the_same(tree in directory(), sha in any::<bool>()) {
        let algorithm = if sha { Algorithm::Sha256 } else { Algorithm::Blake3 };
        let written = manifest(&tree, algorithm);
        let text = written.encode();
        let read = Manifest::parse(&text, algorithm, &Limits::STANDARD).unwrap();
        prop_assert_eq!(&read.encode(), &text);
        prop_assert_eq!(read.totals(), written.totals());
    }

    #[test]
    fn pieces_are_the_text_cut_after_lines(tree in directory(), piece_bytes in 1_usize..400, wanted in 1_usize..9) {
        let manifest = manifest(&tree, Algorithm::Blake3);
        let text = manifest.encode();
        let mut pieces = Vec::new();
        manifest.encode_pieces(piece_bytes, |piece| {
            pieces.push(piece);
            Some(b"left from another".to_vec())
        });
        prop_assert_eq!(pieces.concat(), text);
        for piece in &pieces[..pieces.len() - 1] {
            let lines = piece.strip_suffix(b"\n").expect("whole lines");
            let last = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            prop_assert!(piece.len() >= piece_bytes && (last < piece_bytes || pieces[0] == *piece));
        }
        let mut taken = 0;
        manifest.encode_pieces(piece_bytes, |_| {
            taken += 1;
            (taken < wanted).then(Vec::new)
        });
        prop_assert_eq!(taken, wanted.min(pieces.len()));
    }

    #[test]
    fn entries_come_in_the_order_of_their_whole_paths(tree in directory()) {
        let manifest = manifest(&tree, Algorithm::Blake3);
        let mut expected = Vec::new();
        paths(&tree, b"", &mut expected);
        expected.sort();
        let mut found = Vec::new();
        let mut entries = manifest.entries();
        while let Some(entry) = entries.next_entry() {
            found.push(entry.path.to_vec());
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn whatever_parses_encodes_to_the_same_bytes(
        tree in directory(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let mut text = manifest(&tree, Algorithm::Blake3).encode();
        for (at, byte, kind) in edits {
            let at = at.index(text.len());
            match kind {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => { text.remove(at); }
            }
            if text.is_empty() { break; }
        }
        let read = Manifest::parse(&text, Algorithm::Blake3, &Limits::STANDARD).ok();
        prop_assert!(read.as_ref().is_none_or(|read| read.encode() == text));
    }
}

const DIGEST: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn refused(lines: &str) -> Code {
    let text = format!("#mtree v2.0\n. type=dir mode=0755\n{}", lines.replace("HEX", DIGEST));
    Manifest::parse(text.as_bytes(), Algorithm::Blake3, &Limits::STANDARD).expect_err(lines).code()
}

#[test]
fn lines_that_are_not_canonical_are_refused() {
    for line in [
        "./a type=file mode=0644 size=1 blake3digest=HEX",
        "\n",
        "a type=dir mode=0755\n",
        "./ type=dir mode=0755\n",
        ". type=dir mode=0755\n",
        "./. type=dir mode=0755\n",
        "./.. type=dir mode=0755\n",
        "./a/ type=dir mode=0755\n",
        ".//a type=dir mode=0755\n",
        "./a//b type=dir mode=0755\n",
        "./a type=dir mode=0755\n./a//b type=dir mode=0755\n",
        "./a type=dir mode=0755\n./a/../b type=dir mode=0755\n",
        "/a type=dir mode=0755\n",
        "./a\\000 type=dir mode=0755\n",
        "./\\141 type=dir mode=0755\n",
        "./a type=dir mode=0700\n",
        "./a type=dir mode=0755 \n",
        "./a  type=dir mode=0755\n",
        "./a mode=0755 type=dir\n",
        "./a type=dir mode=0755\r\n",
        "# comment\n",
        "/set type=file\n",
        "./a type=fifo mode=0644\n",
        "./a type=link link=\n",
        "./a type=link link=b c\n",
        "./a type=link link=\\000\n",
        "./a type=link mode=0777 link=b\n",
        "./a type=file mode=0600 size=1 blake3digest=HEX\n",
        "./a type=file mode=0644 size=01 blake3digest=HEX\n",
        "./a type=file mode=0644 size=+1 blake3digest=HEX\n",
        "./a type=file mode=0644 size=-1 blake3digest=HEX\n",
        "./a type=file mode=0644 size= blake3digest=HEX\n",
        "./a type=file mode=0644 size=9223372036854775808 blake3digest=HEX\n",
        "./a type=file mode=0644 size=1 blake3digest=hex\n",
        "./a type=file mode=0644 size=1 blake3digest=HEX0\n",
        "./a type=file mode=0644 size=1 sha256digest=HEX\n",
        "./a type=file mode=0644 size=1 md5digest=00112233445566778899aabbccddeeff\n",
        "./a type=file mode=0644 size=1\n",
        "./a type=file mode=0644 size=1 blake3digest=HEX uid=0\n",
        "./b type=dir mode=0755\n./a type=dir mode=0755\n",
        "./a type=dir mode=0755\n./a type=dir mode=0755\n",
        "./a type=link link=b\n./a/c type=dir mode=0755\n",
        "./a/b type=dir mode=0755\n",
    ] {
        assert_eq!(refused(line), Code::MalformedManifest, "{line}");
    }
    let upper = format!("./a type=file mode=0644 size=1 blake3digest={}\n", DIGEST.to_uppercase());
    assert_eq!(refused(&upper), Code::MalformedManifest);
}

#[test]
fn a_manifest_is_not_empty_and_begins_with_its_root() {
    for text in
        ["", "#mtree v2.0\n", "#mtree\n. type=dir mode=0755\n", ". type=dir mode=0755\n", "\u{feff}#mtree v2.0\n"]
    {
        let error = Manifest::parse(text.as_bytes(), Algorithm::Blake3, &Limits::STANDARD).unwrap_err();
        assert_eq!(error.code(), Code::MalformedManifest, "{text}");
    }
    let root = b"#mtree v2.0\n. type=dir mode=0755\n";
    let manifest = Manifest::parse(root, Algorithm::Blake3, &Limits::STANDARD).unwrap();
    assert_eq!(manifest.totals(), Totals { entries: 1, bytes: 0 });
}

#[test]
fn limits_have_codes_of_their_own() {
    let limits = Limits { entries_max: 3, path_bytes_max: 8, depth_max: 2, link_bytes_max: 4, ..Limits::STANDARD };
    for (lines, code) in [
        ("./a type=dir mode=0755\n./b type=dir mode=0755\n./c type=dir mode=0755\n", Code::TooManyEntries),
        ("./123456789 type=dir mode=0755\n", Code::PathTooLong),
        ("./a type=link link=12345\n", Code::PathTooLong),
        ("./a type=dir mode=0755\n./a/b type=dir mode=0755\n./a/b/c type=dir mode=0755\n", Code::TooManyEntries),
    ] {
        let text = format!("#mtree v2.0\n. type=dir mode=0755\n{lines}");
        let error = Manifest::parse(text.as_bytes(), Algorithm::Blake3, &limits).unwrap_err();
        assert_eq!(error.code(), code, "{lines}");
    }
    let deep =
        "./a type=dir mode=0755\n./a/b type=dir mode=0755\n./a/b/c type=dir mode=0755\n./a/b/c/d type=dir mode=0755\n";
    let text = format!("#mtree v2.0\n. type=dir mode=0755\n{deep}");
    let limits = Limits { depth_max: 2, ..Limits::STANDARD };
    let error = Manifest::parse(text.as_bytes(), Algorithm::Blake3, &limits).unwrap_err();
    assert_eq!((error.line, error.code()), (6, Code::TooDeep));
}
