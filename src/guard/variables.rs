//! The paths in the value of a variable.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Longest name in a directory: what has a longer one is no path that could ever be there.
const NAME_BYTES_MAX: usize = 255;
const PATH_BYTES_MAX: usize = 4096;

/// Every absolute path in a value, each once: the value as a whole, its parts between colons and between quotes, and
/// those between colons, commas, semicolons, equals signs, quotes, brackets and blanks, after the letters of an option or
/// an `@`. What is `..`, or begins with `./` or `../`, begins at `here`; a star stands for what is in the directory above
/// it. What follows `scheme://` is on another machine, but for `file://`.
pub(super) fn paths_in(value: &OsStr, here: &Path) -> BTreeSet<PathBuf> {
    let local = without_addresses(value.as_bytes());
    let whole = std::iter::once(local.as_slice());
    let colons = local.split(|byte| *byte == b':');
    let pieces = local.split(|byte| b":,;='\"`()[]{}<>|".contains(byte) || byte.is_ascii_whitespace());
    let quoted = local.split(|byte| b"'\"`".contains(byte));
    whole.chain(colons).chain(quoted).chain(pieces).filter_map(|piece| path_of(piece, here)).collect()
}

fn path_of(piece: &[u8], here: &Path) -> Option<PathBuf> {
    let letters = |rest: &'_ [u8]| rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let start = match piece {
        // `-I/x`, `-rF`
        [b'-', rest @ ..] => 1 + letters(rest),
        [b'@', ..] => 1,
        _ => 0,
    };
    let path = piece.get(start..)?;
    let path = match path.iter().position(|byte| *byte == b'*') {
        Some(star) => path.get(..path.iter().take(star).rposition(|byte| *byte == b'/')?)?,
        None => path,
    };
    let is_path = path.starts_with(b"/") || path.starts_with(b"./") || path.starts_with(b"../") || path == b"..";
    let too_long =
        path.len() > PATH_BYTES_MAX || path.split(|byte| *byte == b'/').any(|name| name.len() > NAME_BYTES_MAX);
    // `join` takes an absolute path as it is.
    (is_path && !too_long && !path.contains(&0)).then(|| here.join(OsStr::from_bytes(path)))
}

/// The value without addresses of other machines, which end at a blank, a quote, a comma or a semicolon.
fn without_addresses(value: &[u8]) -> Vec<u8> {
    let mut local = Vec::new();
    let mut rest = value;
    while let Some(at) = rest.windows(3).position(|three| three == b"://") {
        let (before, after) = (rest.get(..at).unwrap_or_default(), rest.get(at + 3..).unwrap_or_default());
        local.extend_from_slice(before);
        if before.to_ascii_lowercase().ends_with(b"file") {
            local.push(b':');
            rest = after;
        } else {
            let end = after.iter().position(|byte| b"'\"`,;".contains(byte) || byte.is_ascii_whitespace());
            rest = after.get(end.unwrap_or(after.len())..).unwrap_or_default();
        }
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
        ] {
            let found = paths_in(OsStr::new(value), Path::new("/app"));
            let paths: BTreeSet<_> = paths.iter().map(PathBuf::from).collect();
            assert_eq!(found, paths, "{value}");
        }
        let long = format!("/srv/{}:/srv/a", "x".repeat(256));
        assert_eq!(paths_in(OsStr::new(&long), Path::new("/app")), [PathBuf::from("/srv/a")].into());
    }
}
