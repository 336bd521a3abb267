//! The first bytes of an archive, which other programs take for something else before they take it for a tar.

use super::error::Fault;
use super::header::{BLOCK, Form, Header};
use crate::base::{Code, Escaped};

/// How the formats and filters that libarchive knows begin, as far as they could begin the name of a member.
const SIGNATURES: &[&[u8]] = &[
    b"begin ",
    b"begin-base64 ",
    b"BZh",
    b"\x1f\x8b",
    b"\x1f\x9d",
    b"\xfd7zXZ\0",
    b"]\0\0",
    b"LZIP",
    b"LRZI",
    b"\x89LZO",
    b"GRZip",
    b"\x04\"M\x18",
    b"\x02!L\x18",
    b"\x28\xb5\x2f\xfd",
    b"\xed\xab\xee\xdb",
    b"7z\xbc\xaf\x27\x1c",
    b"!<arch>",
    b"MSCF",
    b"070701",
    b"070702",
    b"070707",
    b"\xc7\x71",
    b"\x71\xc7",
    b"#mtree",
    b"Rar!",
    b"WARC/",
    b"xar!",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"PK00PK",
    b"\x7fELF",
];
/// The same for `LHa`, behind two bytes of any kind.
const AT_TWO: [&[u8]; 3] = [b"-lh", b"-lz", b"-pm"];

/// Refuses a first header by which a program may take the archive for another kind of file: one without a magic, whose
/// checksum alone makes it a tar, and one that begins as another kind does.
pub(super) fn check_first(block: &[u8; BLOCK], header: &Header) -> Result<(), Fault> {
    if header.form == Form::V7 {
        let expected = "the magic of ustar or GNU in the first header";
        return Err(Fault::new(Code::MalformedHeader, expected, "one as before POSIX, without any"));
    }
    let name: Vec<u8> = block.iter().take(100).copied().take_while(|byte| *byte != 0).collect();
    let is_signed = SIGNATURES.iter().any(|signature| block.starts_with(signature));
    let is_signed = is_signed || AT_TWO.iter().any(|signature| block[2..].starts_with(signature));
    // A format of lines of text may begin in any of them.
    if is_signed || name.iter().any(u8::is_ascii_control) {
        let found = format!("`{}`, which begins another kind of file", Escaped(&name));
        return Err(Fault::new(
            Code::NotAnArchive,
            "the name of a first member that begins no other kind of file",
            found,
        ));
    }
    Ok(())
}
