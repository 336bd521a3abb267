//! Where roots and seals are found in archives.

use super::*;

fn root(spelling: &str) -> RootPath {
    RootPath::parse(spelling).unwrap()
}

fn layout(roots: &[&str], mapped: &[(&str, usize)]) -> Layout {
    let roots: Vec<_> = roots.iter().map(|spelling| root(spelling)).collect();
    let mapped: Vec<_> = mapped.iter().map(|(name, root)| (name.as_bytes().to_vec(), *root)).collect();
    Layout::new("deps", &roots, &mapped, &Expected::default())
}

fn place(layout: &mut Layout, name: &str) -> String {
    match layout.place(name.as_bytes()).map(|(_, place)| place) {
        Ok(Place::Root(index, path)) => format!("{index}:{}", Escaped(path.as_bytes())),
        Ok(Place::Seal(path)) => format!("seal:{}", Escaped(path.as_bytes())),
        Ok(Place::Elsewhere) => "elsewhere".to_owned(),
        Err(obstacle) => obstacle.code.to_string(),
    }
}

#[test]
fn one_home_and_one_checkout_are_found() {
    let roots = ["~/.cargo/registry", "vendor", "/opt/tools"];
    for (home, checkout, top) in [("home/ci/", "home/ci/project/", ""), ("", "", ""), ("home/", "checkout/", "root/")] {
        let mut layout = layout(&roots, &[]);
        for (name, expected) in [
            (format!("{checkout}.cacheseal/deps/seal.json"), "seal:seal.json"),
            (format!("{home}.cargo/registry"), "0:"),
            (format!("{home}.cargo/registry/a/vendor/b"), "0:a/vendor/b"),
            (format!("{checkout}vendor/x/vendor/y"), "1:x/vendor/y"),
            (format!("{top}opt/tools/z"), "2:z"),
            (format!("{home}.cargo/config.toml"), "elsewhere"),
            ("else/.cargo/registry/a".to_owned(), "ambiguous-layout"),
            ("else/vendor".to_owned(), "ambiguous-layout"),
            ("else/.cacheseal/deps".to_owned(), "ambiguous-layout"),
            (format!("{checkout}.cacheseal/other/seal.json"), "elsewhere"),
            ("../vendor".to_owned(), "unsafe-path"),
        ] {
            assert_eq!(place(&mut layout, &name), expected, "{name}");
        }
        let is_passage = |path: String| layout.is_passage(&canonical(path.as_bytes()).unwrap());
        assert!(is_passage(format!("{home}.cargo")) && is_passage(format!("{checkout}.cacheseal")));
        assert!(!is_passage(format!("{home}.ssh")) && is_passage(".".to_owned()));
    }
}

#[test]
fn the_outermost_root_is_met_first() {
    let mut layout = layout(&["node_modules"], &[]);
    assert_eq!(place(&mut layout, "app/node_modules/a/node_modules/b"), "0:a/node_modules/b");
    assert_eq!(place(&mut layout, "app/.cacheseal/deps/seal.json"), "seal:seal.json");
}

#[test]
fn a_member_that_fits_two_roots_is_ambiguous() {
    assert_eq!(place(&mut layout(&["~/a", "a"], &[]), "a/b"), "ambiguous-layout");
    assert_eq!(place(&mut layout(&["~/a", "a"], &[("a", 1)]), "a/b"), "1:b");
    // Where the checkout is known, only home can be meant.
    let mut packed = layout(&["~/a", "a"], &[]);
    for (name, expected) in [
        ("checkout/.cacheseal/deps/seal.json", "seal:seal.json"),
        ("checkout/a/b", "1:b"),
        ("home/a/b", "0:b"),
        ("else/a/b", "ambiguous-layout"),
    ] {
        assert_eq!(place(&mut packed, name), expected, "{name}");
    }
}

#[test]
fn a_root_of_the_file_system_stays_where_it_was_met_first() {
    for (first, then) in [("opt/tools/a", "root/opt/tools/b"), ("root/opt/tools/a", "opt/tools/b")] {
        let mut layout = layout(&["/opt/tools"], &[]);
        for (name, expected) in [
            (first, "0:a"),
            ("checkout/.cacheseal/deps/seal.json", "seal:seal.json"),
            (then, "ambiguous-layout"),
            (first, "0:a"),
        ] {
            assert_eq!(place(&mut layout, name), expected, "{name} after {first}");
        }
    }
    // Only `pack` writes `/` as `root`; in any other archive it is somebody's home.
    let mut other = layout(&["/opt/tools"], &[]);
    assert_eq!(place(&mut other, "home/ci/project/.cacheseal/deps/seal.json"), "seal:seal.json");
    assert_eq!(place(&mut other, "root/opt/tools/a"), "elsewhere");
    let mut packed = layout(&["/opt/tools"], &[]);
    assert_eq!(place(&mut packed, "root/opt/tools/a"), "0:a");
    assert_eq!(place(&mut packed, "home/ci/project/.cacheseal/deps/seal.json"), "ambiguous-layout");
}

#[test]
fn home_and_checkout_are_where_they_are_expected() {
    for (name, code) in [
        ("home/ci/project/vendor/a", None),
        ("usr/lib/vendor/a", Some(Code::AmbiguousLayout)),
        ("home/ci/.npm/a", None),
        ("usr/.npm/a", Some(Code::AmbiguousLayout)),
    ] {
        let mut layout = layout(&["vendor", "~/.npm"], &[]);
        assert!(place(&mut layout, name).ends_with(":a"), "{name}");
        assert_eq!(layout.unexpected().map(|obstacle| obstacle.code), code, "{name}");
    }
    let given = |path: &str| Some(canonical(path.as_bytes()).unwrap());
    let expected = Expected { home: given("opt/me"), checkout: given("usr/lib") };
    let mut layout = Layout::new("deps", &[root("vendor"), root("~/.npm")], &[], &expected);
    for (name, expected) in [
        ("usr/lib/vendor/a", "0:a"),
        ("opt/me/.npm/a", "1:a"),
        ("vendor/a", "ambiguous-layout"),
        (".npm/a", "ambiguous-layout"),
    ] {
        assert_eq!(place(&mut layout, name), expected, "{name}");
    }
    assert_eq!(layout.unexpected(), None);
}

#[test]
fn all_parts_are_in_the_directory_that_the_orb_saves() {
    for home in ["", "home/circleci/", "Users/distiller/", "root/"] {
        let mut layout = layout(&["~/.npm", "vendor", "/opt/tools"], &[]);
        for (name, expected) in [
            (".cacheseal-deps", "elsewhere"),
            (".cacheseal-deps/checkout/.cacheseal/deps/seal.json", "seal:seal.json"),
            (".cacheseal-deps/home/.npm/a", "0:a"),
            (".cacheseal-deps/checkout/vendor/b", "1:b"),
            (".cacheseal-deps/root/opt/tools/c", "2:c"),
            (".cacheseal-deps/home/.ssh/rc", "elsewhere"),
            // Beside it is no second one.
            (".npm/a", "ambiguous-layout"),
            ("project/vendor/b", "ambiguous-layout"),
            (".cacheseal-other/checkout/x", "elsewhere"),
        ] {
            assert_eq!(place(&mut layout, &format!("{home}{name}")), expected, "{home}{name}");
        }
        let is_passage = |path: &str| layout.is_passage(&canonical(format!("{home}{path}").as_bytes()).unwrap());
        assert!(is_passage(".cacheseal-deps") && is_passage(".cacheseal-deps/checkout/.cacheseal"));
        assert!(!is_passage(".cacheseal-deps/home/.ssh") && !is_passage(".cacheseal-other"));
    }
    // Of another cache, below no home, or after a part that lies elsewhere, it is a name like any other.
    for (first, name, expected) in [
        ("home/ci/x", "home/ci/.cacheseal-other/checkout/vendor/b", "0:b"),
        ("vendor/a", "home/ci/.cacheseal-deps/checkout/vendor/b", "ambiguous-layout"),
        ("usr/x", "usr/.cacheseal-deps/checkout/vendor/b", "0:b"),
    ] {
        let mut layout = layout(&["vendor"], &[]);
        place(&mut layout, first);
        assert_eq!(place(&mut layout, name), expected, "{name}");
        assert_eq!(layout.unexpected().is_some(), expected == "0:b", "{name}");
    }
}

#[test]
fn the_longest_name_is_mapped_first() {
    for roots in [["~/store", "deps"], ["deps", "~/store"]] {
        let store = roots.iter().position(|root| *root == "~/store").unwrap();
        let mut layout = layout(&roots, &[("/home/runner", 1 - store), ("/home/runner/store", store)]);
        assert_eq!(place(&mut layout, "/home/runner/store/a"), format!("{store}:a"));
        assert_eq!(place(&mut layout, "/home/runner/a"), format!("{}:a", 1 - store));
    }
}

#[test]
fn mapped_names_need_not_be_safe() {
    let mut layout = layout(&["~/.npm", "deps"], &[("/home/runner/.npm", 0), ("../../deps", 1)]);
    assert_eq!(place(&mut layout, "/home/runner/.npm/a"), "0:a");
    assert_eq!(place(&mut layout, "../../deps/b"), "1:b");
    assert_eq!(place(&mut layout, "../../deps/../b"), "unsafe-path");
    assert_eq!(place(&mut layout, "/home/runner/.npmrc"), "unsafe-path");
    let paths = ["/home/runner/.npm/a", "../../deps/a"].map(|name| layout.place(name.as_bytes()).unwrap().0);
    assert_ne!(paths[0], paths[1]);
}
