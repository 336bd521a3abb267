//! Sizes, forgotten files, lifted fences, reasons of dependencies.

use std::collections::BTreeSet;

use super::tokens::{Token, tokens};
use super::{SourceFile, assert_none, repository};

const LINES_MAX: usize = 500;

/// The rooms that touch files.
const ROOMS_WITH_FILES: [&str; 5] = ["src/tree/", "src/checkout/", "src/guard/", "src/drill/", "src/cli/"];

/// The one file left of `cli` that reads clock and environment, for those who use the library.
const CONTEXT: &str = "src/checkout/context.rs";

fn too_long(file: &SourceFile) -> Option<String> {
    let lines = file.text().lines().count();
    (lines > LINES_MAX).then(|| format!("{}: {lines} lines; split it, {LINES_MAX} are the most", file.path))
}

/// Files that no `mod` line names: never compiled, their tests never run.
fn forgotten(files: &[SourceFile]) -> Vec<String> {
    let is_declared = |path: &str| {
        let Some((directory, name)) = path.trim_end_matches("/mod.rs").trim_end_matches(".rs").rsplit_once('/') else {
            return true;
        };
        let parents = ["/mod.rs", "/lib.rs", "/main.rs", ".rs"].map(|end| format!("{directory}{end}"));
        let declares = |file: &SourceFile| {
            let text = file.text();
            let tokens = tokens(&text);
            tokens.windows(3).any(|at| at == [Token::Word("mod"), Token::Word(name), Token::Mark(';')])
        };
        files.iter().filter(|file| parents.contains(&file.path)).any(declares)
    };
    let is_root = |path: &str| ["/lib.rs", "/main.rs", "build.rs"].iter().any(|root| path.ends_with(root));
    let orphans = files.iter().filter(|file| !is_root(&file.path) && !is_declared(&file.path));
    orphans.map(|file| format!("{}: no `mod` line names it", file.path)).collect()
}

/// Rooms that keep nothing from one call to the next.
fn is_pure(path: &str) -> bool {
    path.starts_with("src/") && !["src/cli/", "src/guard/", "src/main.rs"].iter().any(|place| path.starts_with(place))
}

/// Whether what follows the word `static` is a name and a type: a lifetime has neither.
fn names_a_static(following: &[Token<'_>]) -> bool {
    let [Token::Word(name), Token::Mark(':'), ..] = following else { return false };
    name.chars().all(|letter| !letter.is_lowercase())
}

/// The fence of `clippy.toml` lifted in a room that it is there for. A room with files lifts it as a whole, so what
/// only the command line may use is looked for by name.
fn lifted(file: &SourceFile) -> Vec<String> {
    let text = file.text();
    let tokens = tokens(&text);
    let is_in_cli = file.path.starts_with("src/cli/") || ["src/main.rs", CONTEXT].contains(&file.path.as_str());
    let has_files = is_in_cli || ROOMS_WITH_FILES.iter().any(|room| file.path.starts_with(room));
    let mut offences = BTreeSet::new();
    for (at, token) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let next = match tokens[at + 1..] {
            [Token::Colons, Token::Word(next), ..] => next,
            [Token::Colons, ..] => "*",
            _ => "",
        };
        match (*word, next) {
            ("disallowed_types", _) => offences.insert("lifts the fence against networks".to_owned()),
            ("clippy", "disallowed_methods" | "print_stdout" | "print_stderr" | "exit") if !has_files => {
                offences.insert(format!("lifts `{next}`: the core takes bytes, time and environment as arguments"))
            }
            ("rustix", "net") if !file.path.starts_with("src/guard/") => {
                offences.insert("uses `rustix::net`: the one socket is the guard's".to_owned())
            }
            ("static", _) if is_pure(&file.path) && names_a_static(&tokens[at + 1..]) => {
                offences.insert("has a static: what outlives a call is an argument".to_owned())
            }
            // An address that leads out of this machine.
            ("AddressFamily", family) if family != "UNIX" && family != "*" && !family.is_empty() => {
                offences.insert(format!("uses the address family {family}"))
            }
            ("SocketAddrAny" | "SocketAddrV4" | "SocketAddrV6" | "SocketAddrInet", _) => {
                offences.insert("uses an address that leads out of this machine".to_owned())
            }
            ("SystemTime" | "Instant" | "getrandom" | "available_parallelism", _)
            | ("env", "*" | "var" | "var_os" | "vars" | "vars_os" | "args" | "args_os" | "current_dir" | "home_dir")
            | ("process", "*" | "exit" | "abort" | "id" | "Command")
            | ("Timestamp" | "ZonedDateTime", "now")
                if !is_in_cli =>
            {
                offences.insert(format!("uses `{word}`, which is the command line's alone"))
            }
            _ => continue,
        };
    }
    offences.into_iter().map(|what| format!("{}: {what}", file.path)).collect()
}

/// Dependencies of a `Cargo.toml` without a comment on the line above that says what they are for.
fn unexplained(file: &SourceFile) -> Vec<String> {
    let text = file.text();
    let mut previous = "";
    let mut in_dependencies = false;
    let mut offences = Vec::new();
    for line in text.lines().map(str::trim) {
        let mut names_one = in_dependencies && !line.starts_with('#') && line.contains('=');
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            in_dependencies = table.ends_with("dependencies");
            // `[dependencies.name]`
            names_one = table.contains("dependencies.");
        }
        if names_one && !previous.starts_with('#') {
            offences.push(format!("{}: `{line}` has no comment above that says why", file.path));
        }
        previous = line;
    }
    offences
}

fn sources(files: Vec<SourceFile>, under: &[&str]) -> Vec<SourceFile> {
    files.into_iter().filter(|file| file.is("rs") && under.iter().any(|under| file.path.starts_with(under))).collect()
}

#[test]
fn a_long_file_is_reported() {
    assert_eq!(too_long(&SourceFile::sample("a.rs", &"\n".repeat(500))), None);
    assert!(too_long(&SourceFile::sample("a.rs", &"\n".repeat(501))).is_some());
}

#[test]
fn no_source_file_is_too_long() {
    assert_none(&sources(repository(), &["src/", "tests/"]).iter().filter_map(too_long).collect::<Vec<_>>());
}

#[test]
fn a_forgotten_file_is_reported() {
    let main = SourceFile::sample("tests/it/main.rs", "mod a; // mod b;\n#[cfg(test)] mod c;");
    let files = ["a.rs", "a/x.rs", "b.rs", "c/mod.rs"].map(|path| format!("tests/it/{path}"));
    let all: Vec<_> = files.iter().map(|path| SourceFile::sample(path, "")).chain([main]).collect();
    let offences = forgotten(&all);
    assert_eq!(offences.len(), 2, "{offences:?}");
    assert!(offences[0].starts_with("tests/it/a/x.rs") && offences[1].starts_with("tests/it/b.rs"));
}

#[test]
fn no_file_is_forgotten() {
    assert_none(&forgotten(&sources(repository(), &["src/", "tests/it/"])));
}

#[test]
fn a_lifted_fence_is_reported() {
    for (path, text, count) in [
        ("src/seal/mod.rs", "#![expect(clippy::disallowed_methods, reason = \"…\")]", 1),
        ("src/seal/a.rs", "#[allow(clippy::print_stdout)]", 1),
        ("src/tree/mod.rs", "#![expect(clippy::disallowed_methods, reason = \"…\")]", 0),
        ("src/cli/mod.rs", "#![expect(clippy::disallowed_types)]", 1),
        ("src/tree/a.rs", "getrandom::fill(&mut seed)", 1),
        ("src/tree/a.rs", "std::env::var(\"HOME\")", 1),
        ("src/tree/a.rs", "use std::{env, fs}; env::var_os(\"HOME\")", 1),
        ("src/tree/a.rs", "use std::env::{self, var};", 1),
        ("src/tree/a.rs", "use std::time::SystemTime;", 1),
        ("src/tree/a.rs", "jiff::Timestamp::now()", 1),
        ("src/checkout/open.rs", "jiff::Timestamp::now()", 1),
        ("src/checkout/context.rs", "jiff::Timestamp::now()", 0),
        ("src/cache/a.rs", "std::thread::available_parallelism()", 1),
        ("src/seal/a.rs", "static POOL: Mutex<Pool> = Mutex::new(Pool::new());", 1),
        ("src/seal/a.rs", "fn f(text: &'static str) -> &'static str { text }", 0),
        ("src/tree/a.rs", "std::process::exit(0)", 1),
        ("src/cli/a.rs", "rustix::net::socket_with(AddressFamily::UNIX)", 1),
        ("src/guard/a.rs", "use rustix::net::{AddressFamily, SocketAddrUnix}; AddressFamily::UNIX", 0),
        ("src/guard/a.rs", "rustix::net::socket(AddressFamily::INET6)", 1),
        ("src/guard/a.rs", "use std::net::SocketAddrV4;", 1),
        ("src/report/a.rs", "env!(\"CARGO_PKG_VERSION\"); std::time::Duration::ZERO", 0),
        ("src/cli/a.rs", "std::env::var(\"HOME\"); std::process::id(); getrandom::fill(&mut seed)", 0),
    ] {
        assert_eq!(lifted(&SourceFile::sample(path, text)).len(), count, "{path}: {text}");
    }
}

#[test]
fn fences_are_lifted_only_where_they_may_be() {
    assert_none(&sources(repository(), &["src/"]).iter().flat_map(lifted).collect::<Vec<_>>());
}

/// Who runs into the fence reads in its reason where files may be touched.
#[test]
fn the_fence_names_the_rooms_with_files() {
    let rooms: Vec<_> = ROOMS_WITH_FILES.iter().map(|room| room.trim_matches('/').trim_start_matches("src/")).collect();
    let expected = format!("only {} and {} touch files: take bytes as an argument", rooms[..4].join(", "), rooms[4]);
    let fence = repository().into_iter().find(|file| file.path == "clippy.toml").unwrap().text();
    let of_files: Vec<_> = fence.lines().filter(|line| line.contains("touch files")).collect();
    assert!(of_files.len() > 40);
    let others = of_files.into_iter().filter(|line| !line.contains(&expected));
    assert_none(&others.map(str::to_owned).collect::<Vec<_>>());
}

#[test]
fn a_dependency_without_a_reason_is_reported() {
    for (text, count) in [
        ("[dependencies]\n# Why.\na = \"1\"\n", 0),
        ("[dependencies]\na = \"1\"\n# Why.\nb = \"1\"\nc = \"1\"\n", 2),
        ("[target.'cfg(unix)'.dev-dependencies]\na = { version = \"1\" }\n", 1),
        ("[dependencies.a]\nversion = \"1\"\n", 1),
        ("[features]\njudges = []\n", 0),
    ] {
        assert_eq!(unexplained(&SourceFile::sample("Cargo.toml", text)).len(), count, "{text}");
    }
}

#[test]
fn every_dependency_has_a_reason() {
    let files = repository();
    let manifests: Vec<_> = files.iter().filter(|file| file.path.ends_with("Cargo.toml")).collect();
    assert!(manifests.len() >= 2);
    assert_none(&manifests.into_iter().flat_map(unexplained).collect::<Vec<_>>());
}
