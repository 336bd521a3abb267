//! Imports point left only, and nowhere in a circle. Paths are read from the text and followed through re-exports to
//! the file that defines the item, so that a facade (`mod.rs`) does not count as a user of what it only hands on.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::{Module, Unit};
use super::{SourceFile, assert_none, repository};

/// The rooms and their ranks: a room imports only rooms of a lower rank.
const RANKS: [(&str, u8); 15] = [
    ("base", 0),
    ("identity", 1),
    ("seal", 2),
    ("policy", 2),
    ("tree", 3),
    ("archive", 3),
    ("lockfile", 4),
    ("verify", 5),
    ("cache", 6),
    ("checkout", 7),
    ("report", 7),
    ("guard", 8),
    ("audit", 8),
    ("drill", 8),
    ("cli", 9),
];

/// File `from` needs what file `to` defines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    from: Module,
    to: Module,
    in_test: bool,
}

/// `src/seal/manifest/mod.rs` is `seal::manifest`, `src/lib.rs` the crate itself.
fn module_of(path: &str) -> Option<Module> {
    let path = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let path = path.strip_suffix("mod").or_else(|| path.strip_suffix("lib")).unwrap_or(path);
    Some(path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect())
}

/// The module that defines what `path` names, followed through at most `hops` re-exports.
fn defining(units: &BTreeMap<Module, Unit>, path: &[String], hops: u8) -> Module {
    let is_module = |length: &usize| units.contains_key(&path[..*length]);
    let length = (0..=path.len()).rev().find(is_module).unwrap_or(0);
    let (module, rest) = path.split_at(length);
    let binding = rest.first().and_then(|name| units.get(module)?.bindings.get(name));
    match binding {
        Some(target) if hops > 0 => {
            let target: Vec<_> = target.iter().chain(&rest[1..]).cloned().collect();
            defining(units, &target, hops - 1)
        }
        _ => module.to_vec(),
    }
}

/// Who needs whom in `src/`. `main.rs` is another crate and needs only this one.
fn edges(files: &[SourceFile]) -> BTreeSet<Edge> {
    let mut units = BTreeMap::new();
    for file in files.iter().filter(|file| file.is("rs") && file.path != "src/main.rs") {
        if let Some(module) = module_of(&file.path) {
            units.insert(module.clone(), Unit::read(&file.text(), module));
        }
    }
    let mut edges = BTreeSet::new();
    for (from, unit) in &units {
        for import in &unit.paths {
            let to = defining(&units, &import.path, 8);
            if to != *from {
                edges.insert(Edge { from: from.clone(), to, in_test: import.in_test });
            }
        }
    }
    edges
}

/// Imports that do not point left; tests are held to it too.
fn misdirected(files: &[SourceFile]) -> Vec<String> {
    let rank = |room: &str| RANKS.iter().find(|(name, _)| *name == room).map(|(_, rank)| *rank);
    let mut offences = BTreeSet::new();
    for Edge { from, to, .. } in edges(files) {
        let Some(room) = from.first() else { continue };
        match to.first() {
            None => offences.insert(format!("{} imports lib.rs: what rooms share lies in a room", from.join("::"))),
            // Rooms without a rank are reported once, below.
            Some(target) if target != room && rank(room).zip(rank(target)).is_some_and(|(from, to)| to >= from) => {
                offences.insert(format!("{} imports {target}: `{room}` may not", from.join("::")))
            }
            Some(_) => continue,
        };
    }
    let rooms = files.iter().filter_map(|file| file.path.strip_prefix("src/")?.split_once('/')).map(|(room, _)| room);
    offences.extend(rooms.filter(|room| rank(room).is_none()).map(|room| format!("src/{room}: a room without a rank")));
    offences.into_iter().collect()
}

/// Circles between the files and folders of one folder, for each folder.
fn circles(files: &[SourceFile]) -> Vec<String> {
    // Within each folder, who needs whom; a folder's facade stands as `mod`.
    let mut graphs: BTreeMap<Module, BTreeSet<(String, String)>> = BTreeMap::new();
    for Edge { from, to, in_test } in edges(files) {
        let common = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
        let name = |module: &Module| module.get(common).map_or("mod", String::as_str).to_owned();
        if !in_test {
            graphs.entry(from[..common].to_vec()).or_default().insert((name(&from), name(&to)));
        }
    }
    let mut offences = Vec::new();
    for (folder, mut graph) in graphs {
        // Who needs nobody that is left, or is needed by nobody, is in no circle.
        loop {
            let (needing, needed): (BTreeSet<_>, BTreeSet<_>) = graph.iter().cloned().unzip();
            let before = graph.len();
            graph.retain(|(from, to)| needing.contains(to) && needed.contains(from));
            if graph.len() == before {
                break;
            }
        }
        if !graph.is_empty() {
            let arrows: Vec<_> = graph.iter().map(|(from, to)| format!("{from} -> {to}")).collect();
            offences.push(format!("a circle in src/{}: {}", folder.join("/"), arrows.join(", ")));
        }
    }
    offences
}

/// The order of the rooms that there are, as documents show it.
fn order(files: &[SourceFile]) -> String {
    let exists = |room: &str| files.iter().any(|file| file.path.starts_with(&format!("src/{room}/")));
    let mut ranks: BTreeMap<u8, Vec<&str>> = BTreeMap::new();
    for (room, rank) in RANKS.iter().filter(|(room, _)| exists(room)) {
        ranks.entry(*rank).or_default().push(room);
    }
    ranks.into_values().map(|rooms| rooms.join(", ")).collect::<Vec<_>>().join(" <- ")
}

fn samples(files: &[(&str, &str)]) -> Vec<SourceFile> {
    files.iter().map(|(path, text)| SourceFile::sample(&format!("src/{path}"), text)).collect()
}

#[test]
fn imports_that_point_right_are_reported() {
    let base = ("base/mod.rs", "");
    for (path, text, count) in [
        ("seal/a.rs", "use crate::base::Code;", 0),
        ("seal/a.rs", "use crate::{base, policy::Policy};", 1),
        ("seal/a.rs", "fn f() { crate::verify::g(); }", 1),
        ("seal/a.rs", "fn f() -> super::super::cli::Args {}", 1),
        ("seal/a.rs", "use super::super::{base::{Code, Exit}, tree as t};", 1),
        ("seal/a.rs", "// use crate::cli;\nconst A: &str = \"crate::cli::x\";", 0),
        ("policy/a.rs", "use crate::seal::Seal;", 1),
        ("tree/a.rs", "use crate::archive::pack;", 1),
        ("archive/a.rs", "use crate::tree::walk;", 1),
        ("audit/a.rs", "use crate::guard;", 1),
        ("tree/a.rs", "#[cfg(test)] mod tests { use crate::verify::Verdict; }", 1),
        ("tree/a.rs", "#[cfg(test)] mod tests { use super::super::super::cli::Args; }", 1),
        ("verify/a.rs", "use crate::seal_all;", 1),
        ("cli/a.rs", "use crate::{report, audit, verify, lockfile, archive, tree};", 0),
        ("utils/a.rs", "", 1),
    ] {
        let rooms = RANKS.iter().map(|(room, _)| (format!("{room}/mod.rs"), "mod a;"));
        let mut files: Vec<_> = rooms.map(|(path, text)| SourceFile::sample(&format!("src/{path}"), text)).collect();
        files.extend(samples(&[("lib.rs", ""), base, (path, text)]));
        let offences = misdirected(&files);
        assert_eq!(offences.len(), count, "{path}: {text}: {offences:?}");
    }
}

#[test]
fn circles_are_reported() {
    let facade = "mod a;\nmod b;\npub use a::{A, make};\npub(crate) use b::B;\n";
    for (text, a, b, count) in [
        (facade, "use super::B;", "", 0),
        (facade, "use super::B;", "use super::A;", 1),
        (facade, "use super::b::B;", "fn f() { super::make() }", 1),
        (facade, "use crate::seal::{B as C};", "use crate::seal::a;", 1),
        (facade, "fn f() -> crate::seal::B {}", "#[cfg(test)] mod tests { use super::super::A; use super::*; }", 0),
        // The facade defines something of its own, which a file may use as long as the facade does not use the file.
        ("mod a;\npub use a::A;\npub struct S;", "use super::S;", "", 0),
        ("mod a;\npub use a::A;\npub struct S(A);", "use super::S;", "", 1),
        ("mod a;\npub struct S;\nfn f() { a::g() }", "use super::*;", "", 1),
    ] {
        let files = samples(&[("lib.rs", "pub mod seal;"), ("seal/mod.rs", text), ("seal/a.rs", a), ("seal/b.rs", b)]);
        let offences = circles(&files);
        assert_eq!(offences.len(), count, "{text}\n{a}\n{b}\n{offences:?}");
    }
}

#[test]
fn circles_between_folders_are_reported() {
    let files = samples(&[
        ("lib.rs", "pub mod seal;\npub mod tree;\npub fn f() { seal::f() }"),
        ("seal/mod.rs", "pub mod inner;\npub mod outer;"),
        ("seal/inner/mod.rs", "mod deep;"),
        ("seal/inner/deep.rs", "use crate::seal::outer::Outer;"),
        ("seal/outer.rs", "use super::inner::Inner;"),
        ("tree/mod.rs", "use crate::f;"),
    ]);
    assert_eq!(circles(&files).len(), 1);
    let back = samples(&[("seal/mod.rs", "use crate::seal;\npub fn f() { crate::g() }")]);
    let files: Vec<_> = files.into_iter().filter(|file| file.path != "src/seal/mod.rs").chain(back).collect();
    assert_eq!(circles(&files).len(), 2);
}

#[test]
fn imports_point_left_only() {
    assert_none(&misdirected(&repository()));
}

#[test]
fn nothing_imports_in_a_circle() {
    let files = repository();
    // A reader that finds nothing would report nothing.
    assert!(edges(&files).len() > 10);
    assert_none(&circles(&files));
}

#[test]
fn documents_show_the_order_of_the_rooms() {
    let files = repository();
    let order = order(&files);
    for (path, before) in [("docs/ARCHITECTURE.md", "\n"), ("src/lib.rs", "\n//! ")] {
        let file = files.iter().find(|file| file.path == path).unwrap();
        assert!(file.text().contains(&format!("{before}{order}\n")), "{path} does not say: {order}");
    }
}
