//! The one value that pins a policy.

use std::collections::BTreeMap;

use crate::base::Digest;

/// The digest that `--policy-sha256` pins: SHA-256 over the lines that `sha256sum` prints for `files`, the policy
/// and the key files it names, sorted by the bytes of their names. So stock tools can check it:
/// `LC_ALL=C sha256sum cacheseal.toml keys/a.pub | sha256sum`.
#[must_use]
pub fn policy_digest(files: &BTreeMap<String, Vec<u8>>) -> Digest {
    let lines: String = files.iter().map(|(name, bytes)| line(name, Digest::sha256(bytes))).collect();
    Digest::sha256(lines.as_bytes())
}

/// A line of sha256sum. It marks a name with a backslash, a line feed or a carriage return by a leading backslash
/// and escapes those, so that no name can forge another line.
fn line(name: &str, digest: Digest) -> String {
    if name.contains(['\\', '\n', '\r']) {
        let name = name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
        return format!("\\{digest}  {name}\n");
    }
    format!("{digest}  {name}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(files: &[(&str, &str)]) -> String {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
        policy_digest(&files).to_string()
    }

    // Expected values are what GNU coreutils 9.1 printed.
    #[test]
    fn stock_tools_give_the_same() {
        assert_eq!(digest(&[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(
            digest(&[("keys/a.pub", "key a\n"), ("cacheseal.toml", "version = 1\n"), ("keys/B.pub", "key B\n")]),
            "523ddf175a69ae96dbde4352aaa112dd54d6f4e03a7af48b2b2f6fe1b69a001e"
        );
        assert_eq!(
            digest(&[("od\\d\n\rname", "x")]),
            "d9aa87a6c61c19e2fa85b25d33c6a5147b22f3ed160d36b92746a26ffaddfe0e"
        );
    }

    #[test]
    fn a_name_cannot_forge_a_line() {
        let honest = [("a", "1"), ("b", "2")];
        let forged = format!("a\n{}  b", Digest::sha256(b"2"));
        assert_ne!(digest(&honest), digest(&[(&forged, "1")]));
    }
}
