//! Which packages of a lockfile must be there. Where one is not, Node.js takes another version from further up, or the
//! code that asks for it takes another way: `node_modules` is used in place, so what is missing is a change too.

use std::collections::BTreeSet;

use super::lock::{MODULES, Package, PackageLock};
use crate::base::Json;
use crate::lockfile::System;
use crate::policy::Installed;

/// The locations that npm fills on this system, leaving out what the policy says is left out.
pub(super) fn needed<'a>(lock: &'a PackageLock, installed: &Installed, system: System) -> BTreeSet<&'a str> {
    let mut walk = Walk { lock, installed, system, reached: BTreeSet::new(), waiting: Vec::new() };
    for (location, package) in &lock.packages {
        if location.split('/').any(|name| name == MODULES) {
            continue;
        }
        let is_wanted = installed.workspaces.as_ref().is_none_or(|workspaces| {
            let named = |name: &str| workspaces.iter().any(|workspace| workspace == name);
            if location.is_empty() { named(".") } else { named(location) || named(&package.name) }
        });
        if is_wanted {
            walk.waiting.push((location, package));
            walk.links_to(location);
        }
    }
    while let Some((location, package)) = walk.waiting.pop() {
        walk.dependencies(location, package);
    }
    walk.reached
}

struct Walk<'a, 'i> {
    lock: &'a PackageLock,
    installed: &'i Installed,
    system: System,
    reached: BTreeSet<&'a str>,
    /// Packages whose dependencies have not been looked at.
    waiting: Vec<(&'a str, &'a Package)>,
}

impl<'a> Walk<'a, '_> {
    fn omits(&self, kind: &str) -> bool {
        self.installed.omit.iter().any(|omitted| omitted == kind)
    }

    /// npm links to each workspace that it installs.
    fn links_to(&mut self, target: &str) {
        let is_link = |package: &Package| package.link && package.resolved.as_deref() == Some(target);
        let links = self.lock.packages.iter().filter(|(_, package)| is_link(package));
        self.reached.extend(links.map(|(location, _)| location.as_str()));
    }

    fn dependencies(&mut self, location: &str, package: &'a Package) {
        let is_of_checkout = !location.split('/').any(|name| name == MODULES);
        let optional = names(&package.json, "optionalDependencies");
        for name in names(&package.json, "dependencies").difference(&optional) {
            self.reach((location, package), name, false);
        }
        if is_of_checkout && !self.omits("dev") {
            for name in names(&package.json, "devDependencies") {
                self.reach((location, package), name, false);
            }
        }
        if !self.omits("peer") {
            let peers = names(&package.json, "peerDependencies");
            for name in peers.difference(&optional_peers(&package.json)) {
                self.reach((location, package), name, false);
            }
        }
        if !self.omits("optional") {
            for name in optional {
                self.reach((location, package), name, true);
            }
        }
    }

    /// Follows a dependency to the location that Node.js finds it at.
    fn reach(&mut self, from: (&str, &Package), name: &str, is_optional: bool) {
        let Some((location, package)) = self.lock.resolve(from.0, name) else { return };
        if is_optional && !self.installs(from.1, (location, package), &mut BTreeSet::new()) {
            return;
        }
        if self.reached.insert(location) {
            // What a link leads to has its own place in the checkout.
            let target = package.resolved.as_deref().filter(|_| package.link);
            let target = target.and_then(|target| self.lock.packages.get_key_value(target));
            self.waiting.push(target.map_or((location, package), |(location, package)| (location.as_str(), package)));
        }
    }

    /// Whether npm surely installs an optional package that another asks for: it fits this system, as does all that it
    /// needs, and none of it has a script that may fail.
    fn installs(&self, by: &Package, one: (&'a str, &'a Package), seen: &mut BTreeSet<&'a str>) -> bool {
        let (location, package) = one;
        if !seen.insert(location) {
            return true;
        }
        if package.has_install_script || !self.fits(&package.json) || !runs(&package.json, &by.json) {
            return false;
        }
        let optional = names(&package.json, "optionalDependencies");
        names(&package.json, "dependencies")
            .difference(&optional)
            .all(|name| self.lock.resolve(location, name).is_none_or(|next| self.installs(package, next, seen)))
    }

    /// Whether a package is surely for this system. Which C library there is, is not known here.
    fn fits(&self, json: &Json) -> bool {
        let allows = |field: &str, value: &str| {
            let words = texts(json, field);
            let refused = words.iter().any(|word| word.strip_prefix('!') == Some(value));
            let named = words.iter().filter(|word| !word.starts_with('!')).collect::<Vec<_>>();
            !refused && (named.is_empty() || named.iter().any(|word| **word == value || **word == "any"))
        };
        field(json, "libc").is_none() && allows("os", self.system.node_os()) && allows("cpu", self.system.node_arch())
    }
}

/// The Node.js that the first npm needs which writes these lockfiles.
const NODE: u32 = 10;

/// Whether a package surely runs by the Node.js that there is, which nobody has told: any that npm needs itself will do,
/// or the same as for the package that asks for it, which would not run without it.
fn runs(json: &Json, by: &Json) -> bool {
    let Some(engines) = field(json, "engines") else { return true };
    let version = match engines {
        Json::Object(fields) if fields.len() == 1 => text(engines, "node").and_then(|range| range.strip_prefix(">=")),
        _ => None,
    };
    let version = version.map(str::trim).filter(|version| version.bytes().all(|c| c == b'.' || c.is_ascii_digit()));
    let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| major <= NODE) || field(by, "engines") == Some(engines)
}

impl PackageLock {
    /// The package of a name that Node.js finds from a location: the nearest `node_modules` upwards that has it.
    fn resolve(&self, from: &str, name: &str) -> Option<(&str, &Package)> {
        let mut at = from;
        loop {
            let location = if at.is_empty() { format!("{MODULES}/{name}") } else { format!("{at}/{MODULES}/{name}") };
            if let Some((location, package)) = self.packages.get_key_value(&location) {
                return Some((location, package));
            }
            at = at.rsplit_once('/').map_or("", |(above, _)| above);
            if at.is_empty() && from.is_empty() {
                return None;
            }
            if at.is_empty() {
                let (location, package) = self.packages.get_key_value(&format!("{MODULES}/{name}"))?;
                return Some((location, package));
            }
        }
    }
}

fn field<'j>(json: &'j Json, name: &str) -> Option<&'j Json> {
    match json {
        Json::Object(fields) => Json::field(fields, name),
        _ => None,
    }
}

fn text<'j>(json: &'j Json, name: &str) -> Option<&'j str> {
    field(json, name)?.string(name).ok()
}

/// The names in a field of dependencies.
fn names<'j>(json: &'j Json, name: &str) -> BTreeSet<&'j str> {
    match field(json, name) {
        Some(Json::Object(fields)) => fields.iter().map(|(name, _)| name.as_str()).collect(),
        _ => BTreeSet::new(),
    }
}

/// The peers that a package can do without.
fn optional_peers(json: &Json) -> BTreeSet<&str> {
    let Some(Json::Object(fields)) = field(json, "peerDependenciesMeta") else { return BTreeSet::new() };
    let is_optional = |meta: &Json| field(meta, "optional") == Some(&Json::Bool(true));
    fields.iter().filter(|(_, meta)| is_optional(meta)).map(|(name, _)| name.as_str()).collect()
}

/// A text, or the texts of a list.
fn texts<'j>(json: &'j Json, name: &str) -> Vec<&'j str> {
    match field(json, name) {
        Some(Json::String(text)) => vec![text],
        Some(Json::Array(items)) => items.iter().filter_map(|item| item.string(name).ok()).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lockfile::LockfileText;

    const LINUX: System = System { os: "linux", arch: "x86_64" };

    fn lock(packages: &str) -> PackageLock {
        let text = format!("{{\"lockfileVersion\": 3, \"packages\": {{{packages}}}}}");
        let text = LockfileText::new("package-lock.json", text.as_bytes()).unwrap();
        PackageLock::read(&[text]).unwrap().remove(0)
    }

    fn needed_of(packages: &str, installed: &Installed) -> String {
        needed(&lock(packages), installed, LINUX).into_iter().collect::<Vec<_>>().join(" ").replace("node_modules/", "")
    }

    const SAMPLE: &str = r#"
        "": {"dependencies": {"a": "1"}, "devDependencies": {"d": "1"}, "optionalDependencies": {"mac": "1", "any": "1", "built": "1"}},
        "node_modules/a": {"dependencies": {"b": "1"}, "peerDependencies": {"p": "1", "q": "1"}, "peerDependenciesMeta": {"q": {"optional": true}}},
        "node_modules/a/node_modules/b": {"version": "1.0.0"},
        "node_modules/b": {"version": "2.0.0"},
        "node_modules/d": {"dependencies": {"b": "2"}},
        "node_modules/p": {}, "node_modules/q": {},
        "node_modules/mac": {"os": ["darwin"], "optional": true, "dependencies": {"only-mac": "1"}},
        "node_modules/only-mac": {"optional": true},
        "node_modules/any": {"os": ["!win32"], "cpu": ["x64", "arm64"], "optional": true, "dependencies": {"of-any": "1"}},
        "node_modules/of-any": {"optional": true},
        "node_modules/built": {"hasInstallScript": true, "optional": true}"#;

    #[test]
    fn what_npm_installs_here_is_needed() {
        let all = Installed::default();
        assert_eq!(needed_of(SAMPLE, &all), "a a/b any b d of-any p");
        let omit =
            |kinds: &[&str]| Installed { omit: kinds.iter().map(|kind| (*kind).to_owned()).collect(), ..all.clone() };
        assert_eq!(needed_of(SAMPLE, &omit(&["dev"])), "a a/b any of-any p");
        assert_eq!(needed_of(SAMPLE, &omit(&["optional", "peer"])), "a a/b b d");
        // Nothing is sure of a package that needs one for another system.
        let dragged = r#""": {"optionalDependencies": {"x": "1"}}, "node_modules/x": {"dependencies": {"y": "1"}},
                         "node_modules/y": {"cpu": ["arm64"]}"#;
        assert_eq!(needed_of(dragged, &all), "");
    }

    #[test]
    fn what_surely_runs_by_this_node_is_needed() {
        let needed = |engines: &str, by: &str| {
            let packages = format!(
                r#""": {{"dependencies": {{"a": "1"}}}},
                "node_modules/a": {{"optionalDependencies": {{"b": "1"}}{by}}},
                "node_modules/b": {{"optional": true, "dependencies": {{"c": "1"}}}},
                "node_modules/c": {{"optional": true, "engines": {engines}}}"#
            );
            needed_of(&packages, &Installed::default()) == "a b c"
        };
        for engines in [r#"{"node": ">=0.1.90"}"#, r#"{"node": ">= 10"}"#, r#"{"node": ">=10.13.0"}"#] {
            assert!(needed(engines, ""), "{engines}");
        }
        for engines in [
            r#"{"node": ">=12"}"#,
            r#"{"node": ">=4 <6"}"#,
            r#"{"node": "^8 || >=9"}"#,
            r#"{"npm": ">=1"}"#,
            r#"["node >= 1"]"#,
        ] {
            assert!(!needed(engines, ""), "{engines}");
        }
        // What runs the package that asks for it runs it too.
        let same = r#"{"node": ">=18", "npm": ">=8"}"#;
        let packages = |by: &str| {
            let asks = r#""": {"dependencies": {"a": "1"}}, "node_modules/b": {"optional": true, "engines": "#;
            format!(r#"{asks}{same}}}, "node_modules/a": {{"optionalDependencies": {{"b": "1"}}, "engines": {by}}}"#)
        };
        assert_eq!(needed_of(&packages(same), &Installed::default()), "a b");
        assert_eq!(needed_of(&packages(r#"{"node": ">=16"}"#), &Installed::default()), "a");
    }

    #[test]
    fn workspaces_are_all_needed_or_those_that_are_named() {
        let packages = r#"
            "": {"workspaces": ["one", "two"], "dependencies": {"r": "1"}}, "node_modules/r": {},
            "node_modules/one": {"resolved": "one", "link": true}, "one": {"name": "one", "dependencies": {"x": "1"}},
            "node_modules/two": {"resolved": "two", "link": true}, "two": {"devDependencies": {"x": "2"}},
            "node_modules/x": {}, "two/node_modules/x": {}"#;
        assert_eq!(needed_of(packages, &Installed::default()), "one r two x two/x");
        let only = |names: &[&str]| Installed {
            workspaces: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            ..Installed::default()
        };
        assert_eq!(needed_of(packages, &only(&["one"])), "one x");
        assert_eq!(needed_of(packages, &only(&["two", "."])), "r two two/x");
    }
}
