use std::path::Path;

use super::*;
use crate::base::Code;

const HOME: &str = "/home/u";
const DIR: &str = "/home/u/src/app";

fn roots(a: &[&str], b: &[&str]) -> Policy {
    let list = |roots: &[&str]| roots.iter().map(|root| format!("\"{root}\"")).collect::<Vec<_>>().join(", ");
    policy(&format!(
        "version = 1\nproject = \"p\"\n[cache.a]\nroots = [{}]\nlockfiles = [\"sub/Cargo.lock\"]\n[cache.b]\nroots = [{}]\n\
         [signer.s]\nkeys = [{{ file = \"keys/s.pub\" }}]\n",
        list(a),
        list(b),
    ))
}

fn place(policy: &Policy) -> Result<BTreeMap<String, Vec<PlacedRoot>>, PolicyError> {
    policy.place(Some(Path::new(HOME)), Path::new(DIR), "cacheseal.toml")
}

#[test]
fn roots_are_placed_by_cache_in_order() {
    let placed = place(&roots(&["~/.cargo/x", "/opt/y", "target"], &["~/.npm", "keys2", "sub/node_modules"])).unwrap();
    let shown: Vec<_> = placed
        .iter()
        .flat_map(|(cache, roots)| roots.iter().map(move |root| (cache.as_str(), root)))
        .map(|(cache, root)| (cache, root.root.spelling.as_str(), root.absolute.to_str().unwrap()))
        .collect();
    assert_eq!(
        shown,
        [
            ("a", "~/.cargo/x", "/home/u/.cargo/x"),
            ("a", "/opt/y", "/opt/y"),
            ("a", "target", "/home/u/src/app/target"),
            ("b", "~/.npm", "/home/u/.npm"),
            ("b", "keys2", "/home/u/src/app/keys2"),
            ("b", "sub/node_modules", "/home/u/src/app/sub/node_modules"),
        ]
    );
}

#[test]
fn roots_that_touch_are_refused() {
    for (a, b, inner, fragment) in [
        (&["x", "x"][..], &["y"][..], (4, 15), "found `x` (cache `a`, line 4) again, after `x` (cache `a`, line 4)"),
        (&["x"], &["x"], (7, 10), "found `x` (cache `b`, line 7) again, after `x` (cache `a`, line 4)"),
        (&["x"], &["x/y"], (7, 10), "found `x/y` (cache `b`, line 7) inside `x` (cache `a`, line 4)"),
        (&["x/y/z"], &["x"], (4, 10), "found `x/y/z` (cache `a`, line 4) inside `x` (cache `b`, line 7)"),
        (&["~/src/app/x"], &["x"], (7, 10), "again, after `~/src/app/x`"),
        (&["/home/u/.npm"], &["~/.npm/z"], (7, 10), "found `~/.npm/z` (cache `b`, line 7) inside `/home/u/.npm`"),
    ] {
        let error = place(&roots(a, b)).unwrap_err();
        assert_eq!(error.code(), Code::OverlappingRoots, "{a:?} {b:?}");
        let (line, column) = inner;
        assert_eq!(error.position, Some(Position { line, column }), "{a:?} {b:?}");
        assert!(error.message.contains(fragment), "{error}");
    }
    // Beginning with the same letters is not lying inside.
    assert!(place(&roots(&["x"], &["x-y", "xy", "y/x"])).is_ok());
}

#[test]
fn roots_that_hold_what_decides_are_refused() {
    for (root, what) in [
        ("/home/u/src/app/cacheseal.toml", "the policy `cacheseal.toml`"),
        ("cacheseal.toml", "the policy `cacheseal.toml`"),
        ("keys", "the key file `keys/s.pub`"),
        ("keys/s.pub", "the key file `keys/s.pub`"),
        ("sub", "the lockfile `sub/Cargo.lock`"),
        ("sub/Cargo.lock", "the lockfile `sub/Cargo.lock`"),
        ("/home/u/src/app", "the policy's directory"),
        ("~/src", "the policy's directory"),
        ("/home/u", "the policy's directory"),
        ("/home", "the policy's directory"),
    ] {
        let error = place(&roots(&["x"], &[root])).unwrap_err();
        assert_eq!(error.code(), Code::ForbiddenRoot, "{root}");
        assert_eq!(error.position, Some(Position { line: 7, column: 10 }), "{root}");
        let message = format!("expected a root apart from {what}, found `{root}`, which contains it");
        assert_eq!(error.message, message);
    }
}

#[test]
fn home_is_no_root_wherever_the_policy_lies() {
    for root in ["/home/u", "/home"] {
        let error = roots(&["x"], &[root]).place(Some(Path::new(HOME)), Path::new("/srv"), "p.toml").unwrap_err();
        assert_eq!((error.code(), error.position.map(|at| at.line)), (Code::ForbiddenRoot, Some(7)), "{root}");
        assert!(error.message.contains("apart from home"), "{error}");
    }
    // With no key and no lockfile, the policy's own directory still counts.
    let bare = policy("version = 1\nproject = 'p'\n[cache.a]\nroots = ['/srv']\n");
    assert_eq!(bare.place(None, Path::new("/srv/app"), "p.toml").unwrap_err().code(), Code::ForbiddenRoot);
    assert!(bare.place(None, Path::new("/srv-shop"), "p.toml").is_ok());
}

#[test]
fn home_is_needed_only_for_roots_below_it() {
    let below_home = roots(&["x"], &["y", "~/.npm"]);
    for home in [None, Some(""), Some("home/u"), Some("/home/../u")] {
        let error = below_home.place(home.map(Path::new), Path::new(DIR), "cacheseal.toml").unwrap_err();
        assert_eq!((error.code(), error.position), (Code::NoHome, Some(Position { line: 7, column: 15 })), "{home:?}");
        let elsewhere = roots(&["x"], &["/opt/y"]);
        assert!(elsewhere.place(home.map(Path::new), Path::new(DIR), "cacheseal.toml").is_ok(), "{home:?}");
    }
    assert!(below_home.place(Some(Path::new("/")), Path::new(DIR), "cacheseal.toml").is_ok());
}

#[test]
fn a_policy_directory_that_is_not_absolute_decides_nothing() {
    for directory in ["", "app", "/a/../b"] {
        let error = roots(&["x"], &["y"]).place(None, Path::new(directory), "cacheseal.toml").unwrap_err();
        assert_eq!(error.code(), Code::Internal, "{directory}");
    }
}
