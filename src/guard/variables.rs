//! The paths in the value of a variable.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// Longest name in a directory: what has a longer one is no path that could ever be there.
const NAME_BYTES_MAX: usize = 255;
const PATH_BYTES_MAX: usize = 4096;

/// What separates a path from what stands before or after it, beside blanks.
const SEPARATORS: &[u8] = b":,;='\"`()[]{}<>|";

/// What is part of a name or ends one, as in `jar:file:/x.jar!/y`, `file:///x?v=1` or a pattern of names.
const DOUBTFUL: &[u8] = b"!?#&";

/// Every path in a value that is absolute or leads up or home, each once: the value as a whole, its parts between colons
/// and between quotes, and those between all separators and blanks, each after the letters of an option, with percent
/// signs and backslashes as they are and resolved. What is relative begins at `here`, `~` is `home`. What follows
/// `scheme://` is on another machine, but for `file://`.
pub(super) fn paths_in(value: &OsStr, here: &Path, home: Option<&Path>) -> BTreeSet<PathBuf> {
    let local = without_addresses(value.as_bytes());
    let base = |path: &[u8]| match (path.strip_prefix(b"~/"), home) {
        (Some(below), Some(home)) => home.join(OsStr::from_bytes(below)),
        // `join` takes an absolute path as it is.
        _ => here.join(OsStr::from_bytes(path)),
    };
    let mut pieces = vec![local.clone()];
    for ends in [&b":"[..], b"'\"`"] {
        pieces.extend(local.split(|byte| ends.contains(byte)).map(<[u8]>::to_vec));
    }
    pieces.extend(words(&local));
    let shorter = |piece: &Vec<u8>| piece.split(|byte| DOUBTFUL.contains(byte)).next().map(<[u8]>::to_vec);
    let shorter: Vec<_> = pieces.iter().filter_map(shorter).collect();
    pieces.extend(shorter);
    let decoded: Vec<_> = pieces.iter().filter_map(|piece| decoded(piece)).collect();
    pieces.iter().chain(&decoded).filter_map(|piece| path_of(piece)).map(base).collect()
}

/// The file names without a directory in a value.
pub(super) fn names_in(value: &OsStr) -> impl Iterator<Item = OsString> {
    words(value.as_bytes()).into_iter().filter(|word| !word.is_empty()).map(OsString::from_vec)
}

/// What stands between separators and blanks, and the same where a backslash takes their meaning from them.
#[expect(clippy::indexing_slicing, reason = "positions were found in the same value; a panic is a refusal")]
fn words(value: &[u8]) -> Vec<Vec<u8>> {
    let is_end = |byte: &u8| SEPARATORS.contains(byte) || byte.is_ascii_whitespace();
    let plain = |word: &[u8]| word.iter().rposition(|byte| *byte != b'\\').map_or(0, |last| last + 1);
    let mut words: Vec<_> = value.split(is_end).map(|word| word[..plain(word)].to_vec()).collect();
    let (mut word, mut bytes) = (Vec::new(), value.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => word.extend(bytes.next()),
            byte if is_end(byte) => words.push(std::mem::take(&mut word)),
            byte => word.push(*byte),
        }
    }
    words.push(word);
    words
}

/// A piece with `%20` and the like resolved, if it has any.
#[expect(clippy::indexing_slicing, reason = "positions were found in the same value; a panic is a refusal")]
fn decoded(piece: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = piece;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = &after[byte.map_or(0, |_| 2)..];
    }
    (bytes != piece).then_some(bytes)
}

fn path_of(piece: &[u8]) -> Option<&[u8]> {
    // `@/x`, `!/x`, `-I/x`, `-isystem../x`
    let is_mark = |byte: &&u8| byte.is_ascii_punctuation() && !b"-/.~_".contains(byte) && !SEPARATORS.contains(byte);
    let path = piece.get(piece.iter().take_while(is_mark).count()..)?;
    let is_option = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    let letters = if path.starts_with(b"-") { path.iter().take_while(is_option).count() } else { 0 };
    let path = path.get(letters..)?;
    // A pattern of names stands for what is in the directory above it.
    let path = match path.iter().position(|byte| *byte == b'*') {
        Some(star) => path.get(..path.iter().take(star).rposition(|byte| *byte == b'/')?)?,
        None => path,
    };
    let names = || path.split(|byte| *byte == b'/');
    let leads = path.starts_with(b"/") || path.starts_with(b"./") || path.starts_with(b"~/");
    let is_path = leads || names().any(|name| name == b"..");
    let too_long = path.len() > PATH_BYTES_MAX || names().any(|name| name.len() > NAME_BYTES_MAX);
    (is_path && !too_long && !path.contains(&0)).then_some(path)
}

/// The value without addresses of other machines, which end at a blank, a quote, a comma, a semicolon or a bar, and where
/// a colon and an absolute path follow. Of a `file://`, only the machine is left out.
#[expect(clippy::indexing_slicing, reason = "positions were found in the same value; a panic is a refusal")]
fn without_addresses(value: &[u8]) -> Vec<u8> {
    let mut local = Vec::new();
    let mut rest = value;
    while let Some(at) = rest.windows(3).position(|three| three == b"://") {
        let (before, after) = (&rest[..at], &rest[at + 3..]);
        local.extend_from_slice(before);
        let is_file = before.to_ascii_lowercase().ends_with(b"file");
        let ends = |(at, byte): (usize, &u8)| {
            (is_file && *byte == b'/')
                || b"'\"`,;|".contains(byte)
                || byte.is_ascii_whitespace()
                || (*byte == b':' && after.get(at + 1) == Some(&b'/') && after.get(at + 2) != Some(&b'/'))
        };
        let end = after.iter().enumerate().position(ends).unwrap_or(after.len());
        if is_file {
            local.push(b':');
        }
        rest = &after[end..];
    }
    local.extend_from_slice(rest);
    local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_in_a_value_is_found() {
        for (value, paths) in [
            ("/srv/a", &["/srv/a"][..]),
            ("/srv/a:/srv/b::", &["/srv/a", "/srv/a:/srv/b::", "/srv/b"]),
            ("--max-old-space-size=4096 --require /srv/boot.js", &["/srv/boot.js"]),
            ("-javaagent:/srv/a.jar=x,y", &["/srv/a.jar", "/srv/a.jar=x,y"]),
            ("-r/srv/boot.rb -I/srv/lib", &["/srv/boot.rb", "/srv/boot.rb -I/srv/lib", "/srv/lib"]),
            ("@/srv/arguments", &["/srv/arguments"]),
            ("/srv/jars/*:/srv/x*/y", &["/srv", "/srv/jars"]),
            ("--require \"/srv/a b.js\"", &["/srv/a", "/srv/a b.js"]),
            ("{\"a\":\"/srv/x\",'/srv/y'}", &["/srv/x", "/srv/y"]),
            ("/srv/with blank", &["/srv/with", "/srv/with blank"]),
            ("https://host:80/srv/x", &[]),
            ("https://u:p@host/srv/x,/srv/y", &["/srv/y"]),
            ("git+ssh://host/x /srv/y", &["/srv/y"]),
            ("file:///srv/x", &["/srv/x"]),
            ("../up:./down", &["/app/../up", "/app/../up:./down", "/app/./down"]),
            ("en_US.UTF-8", &[]),
            ("a/b", &[]),
            ("|/bin/lesspipe %s", &["/bin/lesspipe"]),
            ("src/../../lib", &["/app/src/../../lib"]),
            ("~/x", &["/home/ci/x"]),
            ("file:///a%20b", &["/a b", "/a%20b"]),
            ("file://localhost/srv/x", &["/srv/x"]),
            ("https://a|file:///srv/x|https://b/c", &["/srv/x", "/srv/x|https"]),
            ("https://a/b:/srv/x", &["/srv/x"]),
            ("/srv/a\\ b", &["/srv/a", "/srv/a b", "/srv/a\\ b"]),
            ("jar:file:/srv/x.jar!/y", &["/srv/x.jar", "/srv/x.jar!/y"]),
            ("100%/x%zz/srv", &[]),
        ] {
            let found = paths_in(OsStr::new(value), Path::new("/app"), Some(Path::new("/home/ci")));
            let paths: BTreeSet<_> = paths.iter().map(PathBuf::from).collect();
            assert_eq!(found, paths, "{value}");
        }
        let long = format!("/srv/{}:/srv/a", "x".repeat(256));
        assert_eq!(paths_in(OsStr::new(&long), Path::new("/app"), None), [PathBuf::from("/srv/a")].into());
    }
}
