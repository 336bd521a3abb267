//! Manifests that the job's own key has signed, rows 47 to 49: what is not in the one canonical form is refused, and
//! nothing of it is used.

use crate::harness::{Project, SealAs};
use crate::rows::each;

const HEAD: &str = "#mtree v2.0\n. type=dir mode=0755\n";
const DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The line of a file of no bytes; its digest never gets to be compared.
fn file(path: &str) -> String {
    format!("{path} type=file mode=0644 size=0 blake3digest={DIGEST}\n")
}

fn sealed() -> Project {
    let project = Project::new();
    project.seal_as(SealAs::default());
    project
}

/// The verdict on the first root's manifest.
fn verify(project: &Project, text: &[u8], entries: u64, bytes: u64) -> (u8, Vec<&'static str>) {
    project.resign_manifest(text, entries, bytes);
    let (exit, codes) = project.judge().verdict();
    (exit, codes.into_iter().collect())
}

#[test]
fn a_signed_manifest_that_is_not_canonical_is_refused() {
    let project = sealed();
    let directory = "./d type=dir mode=0755\n";
    let cases: Vec<(&str, String)> = vec![
        ("row 47: above the root", file("./..")),
        ("row 47: out of the root", file("./../x")),
        ("row 47: back into the root", format!("{directory}{}", file("./d/../x"))),
        ("row 47: escaped dots", file("./\\056\\056/x")),
        ("row 47: absolute", file("/etc/passwd")),
        ("row 47: absolute below the root's mark", file(".//etc/passwd")),
        ("row 47: a dot", file("./.")),
        ("row 47: a dot inside", format!("{directory}{}", file("./d/./x"))),
        ("row 47: two slashes", format!("{directory}{}", file("./d//x"))),
        ("row 47: a slash at the end", format!("{directory}{}", file("./d/"))),
        ("row 47: no name", file("./")),
        ("row 47: no mark of the root", file("x")),
        ("row 47: the root twice", ". type=dir mode=0755\n".to_owned()),
        ("row 47: NUL", file("./x\\000")),
        ("row 47: a raw backslash", file("./a\\b")),
        ("row 47: an escape too large", file("./\\777")),
        ("row 47: an escape that is not needed", file("./\\141")),
        ("row 47: a raw tab", file("./a\tb")),
        ("row 47: a raw letter beyond ASCII", file("./caf\u{e9}")),
        ("row 48: twice", file("./x").repeat(2)),
        ("row 48: twice, with two digests", file("./x") + &file("./x").replace("00", "11")),
        ("row 48: not sorted", file("./b") + &file("./a")),
        ("row 48: sorted by text, not by bytes", file("./a") + &file("./A")),
        ("row 48: a file as a directory", file("./a") + &file("./a/b")),
        ("row 48: a link as a directory", format!("./a type=link link=x\n{}", file("./a/b"))),
        ("row 48: no directory", file("./d/x")),
        ("a line without an end", file("./x").trim_end().to_owned()),
        ("an empty line", format!("\n{}", file("./x"))),
        ("a comment", format!("# x\n{}", file("./x"))),
        ("carriage returns", file("./x").replace('\n', "\r\n")),
        ("defaults", format!("/set type=file\n{}", file("./x"))),
        ("two spaces", file("./x").replacen(' ', "  ", 1)),
        ("a space at the end", file("./x").replace('\n', " \n")),
        ("a keyword more", file("./x").replace('\n', " uid=0\n")),
        ("keywords in another order", format!("./x mode=0644 type=file size=0 blake3digest={DIGEST}\n")),
        ("setuid", file("./x").replace("0644", "4755")),
        ("a mode that is never written", file("./x").replace("0644", "0600")),
        ("a directory of another mode", "./d type=dir mode=0777\n".to_owned()),
        ("a fifo", "./x type=fifo mode=0644\n".to_owned()),
        ("a size with a sign", file("./x").replace("size=0", "size=-1")),
        ("a size with a zero before it", file("./x").replace("size=0", "size=00")),
        ("a size of 2^63", file("./x").replace("size=0", "size=9223372036854775808")),
        ("a size of 2^64", file("./x").replace("size=0", "size=18446744073709551616")),
        ("no digest", file("./x").replace(&format!(" blake3digest={DIGEST}"), "")),
        ("row 39: another algorithm", file("./x").replace("blake3digest", "sha256digest")),
        ("row 39: a weaker one", file("./x").replace("blake3digest", "md5digest")),
        ("row 40: upper-case hex", file("./x").replace("00\n", "AA\n")),
        ("row 40: a digit less", file("./x").replace("00\n", "0\n")),
        ("row 40: a digit more", file("./x").replace("00\n", "000\n")),
        ("a link without text", "./x type=link link=\n".to_owned()),
        ("a link with NUL", "./x type=link link=a\\000\n".to_owned()),
        ("a link with a mode", "./x type=link mode=0755 link=a\n".to_owned()),
    ];
    each(cases, |(what, lines)| {
        let entries = 1 + lines.lines().count() as u64;
        let found = verify(&project, format!("{HEAD}{lines}").as_bytes(), entries, 0);
        assert_eq!(found, (10, vec!["malformed-manifest"]), "{what}");
    });
}

#[test]
fn a_signed_manifest_begins_with_its_two_lines() {
    let project = sealed();
    each(
        [
            ("row 49: nothing", String::new()),
            ("row 49: the first line alone", "#mtree v2.0\n".to_owned()),
            ("no first line", ". type=dir mode=0755\n".to_owned()),
            ("another version", HEAD.replace("2.0", "1.0")),
            ("a byte order mark", format!("\u{feff}{HEAD}")),
            ("row 46: zeros", "\0".repeat(512)),
            ("carriage returns", HEAD.replace('\n', "\r\n")),
            ("a root of another mode", HEAD.replace("0755", "0777")),
            ("a root that is a file", HEAD.replace("dir", "file")),
        ],
        |(what, text)| {
            assert_eq!(verify(&project, text.as_bytes(), 1, 0), (10, vec!["malformed-manifest"]), "{what}");
        },
    );
}

/// The totals that people see were signed too.
#[test]
fn a_manifest_has_the_entries_and_bytes_that_the_statement_says() {
    let project = sealed();
    let text = format!("{HEAD}{}", file("./x"));
    for (entries, bytes) in [(1, 0), (3, 0), (2, 1), (0, 0), (u64::MAX, u64::MAX)] {
        let found = verify(&project, text.as_bytes(), entries, bytes);
        assert_eq!(found, (10, vec!["malformed-manifest"]), "{entries} {bytes}");
    }
}

/// Row 49: a canonical manifest of nothing names nothing, so everything is too much.
#[test]
fn an_empty_manifest_trusts_nothing() {
    let project = sealed();
    assert_eq!(verify(&project, HEAD.as_bytes(), 1, 0), (11, vec!["extra-entry"]));
}

/// Row 43.
#[test]
fn a_signed_manifest_beyond_the_limits_is_refused() {
    let project = sealed();
    let long = file(&format!("./{}", "n".repeat(65_536)));
    assert_eq!(verify(&project, format!("{HEAD}{long}").as_bytes(), 2, 0), (13, vec!["path-too-long"]));
    let link = format!("./x type=link link={}\n", "t".repeat(4_097));
    assert_eq!(verify(&project, format!("{HEAD}{link}").as_bytes(), 2, 0), (13, vec!["path-too-long"]));
    let mut path = String::from(".");
    let mut deep = String::from(HEAD);
    for _ in 0..4_098 {
        path.push_str("/d");
        deep.extend([&path, " type=dir mode=0755\n"]);
    }
    assert_eq!(verify(&project, deep.as_bytes(), 4_099, 0), (13, vec!["too-deep"]));
}

/// Rows 47 and 51: a name that only looks like a path, or like a line, is one name.
#[test]
fn canonical_spellings_of_awkward_names_are_read() {
    let project = sealed();
    for path in ["./\\012.", "./...", "./C:\\134x", "./\\134056", "./\\377", "./..x"] {
        let (exit, codes) = verify(&project, format!("{HEAD}{}", file(path)).as_bytes(), 2, 0);
        // It is not in the tree, and the tree is not in it.
        assert_eq!((exit, codes), (11, vec!["extra-entry", "missing-entry"]), "{path}");
    }
}
