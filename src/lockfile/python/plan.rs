//! What is in the roots, by its names alone.

use std::collections::{BTreeMap, BTreeSet};

use sha2::Digest as _;

use super::home::{Places, Site};
use super::installed::Install;
use super::lock::{Package, PythonLock};
use super::marker::Environment;
use super::name::{Name, Release, Version, is_archive, source_releases, wheel_release};
use super::wheel::{Archive, Distribution, Unzipped};
use crate::lockfile::{EntryId, Forest, Plan};
use crate::tree::Kind;

pub(super) fn plan<'a>(lock: &'a PythonLock, plan: &mut Plan<'a>) {
    let places = Places::of(plan.forest);
    let mut finder = Finder { lock, forest: plan.forest, found: BTreeMap::new() };
    for directory in &places.wheelhouses {
        for file in plan.forest.children(*directory) {
            finder.archive(file, plan);
        }
    }
    for directory in &places.artifacts {
        finder.artifacts(*directory, plan);
    }
    for root in &places.pip {
        finder.pip(*root, plan);
    }
    for root in &places.uv {
        finder.uv(*root, plan);
    }
    for site in &places.sites {
        finder.site(site, plan);
        finder.missing(site, plan);
    }
    for root in places.poetry {
        plan.unproven(root, "what Poetry keeps for itself: no lockfile speaks of it");
    }
    for environment in places.environments {
        plan.unproven(environment, "no locked wheel has it: what makes an environment says which Python runs");
    }
    for distribution in finder.found.into_values() {
        plan.claim(distribution);
    }
}

struct Finder<'a> {
    lock: &'a PythonLock,
    forest: &'a Forest,
    found: BTreeMap<&'a Release, Distribution<'a>>,
}

impl<'a> Finder<'a> {
    fn text(&self, entry: EntryId) -> &'a str {
        std::str::from_utf8(self.forest.name(entry)).unwrap_or_default()
    }

    /// The locked release that a file is of, by its name.
    fn locked(&self, file: &str) -> Option<(&'a Release, &'a Package)> {
        let releases = wheel_release(file).map_or_else(|| source_releases(file), |release| vec![release]);
        releases.into_iter().find_map(|release| self.release(&release))
    }

    fn release(&self, release: &Release) -> Option<(&'a Release, &'a Package)> {
        self.lock.release(release)
    }

    fn distribution(&mut self, release: &'a Release, package: &'a Package) -> &mut Distribution<'a> {
        let forest = self.forest;
        self.found.entry(release).or_insert_with(|| Distribution {
            forest,
            package,
            archives: Vec::new(),
            installs: Vec::new(),
            unzipped: Vec::new(),
        })
    }

    /// A file that may be a wheel or a source distribution.
    fn archive(&mut self, file: EntryId, plan: &mut Plan<'a>) {
        let name = self.text(file);
        if self.forest.kind(file) != Kind::File || !is_archive(name) {
            return;
        }
        match self.locked(name) {
            Some((release, package)) => self.archive_of(file, name, release, package, plan),
            None => plan.unproven(file, "not of a release that the lockfile has"),
        }
    }

    fn archive_of(
        &mut self,
        file: EntryId,
        name: &str,
        release: &'a Release,
        package: &'a Package,
        plan: &mut Plan<'a>,
    ) {
        match package.expected(name) {
            None => plan.unproven(file, format!("not among the files of {}", package.shown())),
            Some(expected) if expected.is_empty() => {
                plan.unproven(file, format!("{} has no digest of it that is read here", package.shown()));
            }
            Some(expected) => {
                let archive = Archive { file, name: name.to_owned(), expected };
                self.distribution(release, package).archives.push(archive);
            }
        }
    }

    /// The files that Poetry keeps for one URL: Poetry takes the best of them without asking which release it is of.
    fn artifacts(&mut self, directory: EntryId, plan: &mut Plan<'a>) {
        let files: Vec<_> = self.forest.children(directory).collect();
        let mut releases: Vec<_> = files.iter().map(|file| self.locked(self.text(*file)).map(|(of, _)| of)).collect();
        releases.sort();
        releases.dedup();
        if releases.len() > 1 {
            for file in files {
                plan.unproven(file, "beside a file of another release, in the directory of one URL");
            }
            return;
        }
        for file in files {
            self.archive(file, plan);
        }
    }

    /// pip's cache: downloads by the digest of their URL, where the lockfile has URLs; wheels that were built here.
    fn pip(&mut self, root: EntryId, plan: &mut Plan<'a>) {
        for (release, package) in self.lock.packages() {
            for (name, file) in &package.files {
                let Some(url) = &file.url else { continue };
                let key = hex::encode(sha2::Sha224::digest(url.as_bytes()));
                let mut path = "http-v2".to_owned();
                for digit in key.chars().take(5) {
                    path.push('/');
                    path.push(digit);
                }
                if let Some(body) = self.forest.find(root, format!("{path}/{key}.body").as_bytes()) {
                    self.archive_of(body, name, release, package, plan);
                }
            }
        }
        for (area, reason) in [
            (
                "http-v2",
                "a response of a server, named by a URL: the lockfile has the files of some, not their headers",
            ),
            ("wheels", "built here from a source distribution: no lockfile has its digest"),
        ] {
            if let Some(area) = self.forest.find(root, area.as_bytes()) {
                plan.unproven(area, reason);
            }
        }
        plan.unproven(root, "what pip keeps for itself: no lockfile speaks of it");
    }

    /// uv's cache: `wheels-v*/<index>/<name>/<version>-<tags>`, a symlink to what was unpacked in `archive-v0`.
    fn uv(&mut self, root: EntryId, plan: &mut Plan<'a>) {
        for area in self.forest.children(root) {
            if !self.forest.name(area).starts_with(b"wheels-v") {
                continue;
            }
            for pointer in self.forest.below(area) {
                if self.forest.kind(pointer) == Kind::Link {
                    self.uv_pointer(root, pointer);
                }
            }
        }
        if let Some(archives) = self.forest.find(root, b"archive-v0") {
            plan.unproven(archives, "unpacked by uv from a wheel that is not in the roots as a file");
        }
        plan.unproven(root, "what uv keeps for itself: no lockfile speaks of it");
    }

    fn uv_pointer(&mut self, root: EntryId, pointer: EntryId) -> Option<()> {
        let link = std::str::from_utf8(self.forest.link(pointer)?).ok()?;
        let path = self.forest.path_from(root, pointer);
        let mut parts: Vec<&str> = std::str::from_utf8(&path).ok()?.split('/').collect();
        let (version_and_tags, name) = (parts.pop()?, *parts.last()?);
        for part in link.split('/') {
            match part {
                ".." => drop(parts.pop()?),
                part => parts.push(part),
            }
        }
        let ["archive-v0", id] = parts.as_slice() else { return None };
        let directory = self.forest.find(root, format!("archive-v0/{id}").as_bytes())?;
        let (version, _) = version_and_tags.split_once('-')?;
        let (release, package) = self.release(&(Name::new(name)?, Version::new(version)?))?;
        self.distribution(release, package).unzipped.push(Unzipped { pointer, directory });
        Some(())
    }

    /// Tells of releases that must be installed, and are not.
    fn missing(&self, site: &Site, plan: &mut Plan<'a>) {
        if self.forest.children(site.packages).next().is_none() {
            return;
        }
        let numbers = site.python.strip_prefix("python").and_then(|version| version.split_once('.'));
        let python = numbers.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let environment = Environment { system: plan.system, python, extras: plan.installed.extras.as_deref() };
        let there: BTreeSet<Release> =
            self.forest.children(site.packages).filter_map(|entry| self.info(entry)).collect();
        for release in self.lock.needed(plan.installed, &environment) {
            if there.contains(release) {
                continue;
            }
            if let Some((_, package)) = self.lock.release(release) {
                let name = format!("/{}-{}.dist-info", package.name, package.version);
                let place = [&self.forest.place(site.packages)[..], name.as_bytes()].concat();
                plan.wanted(place, &package.shown(), "groups` or `extras");
            }
        }
    }

    /// The release of a `name-version.dist-info`.
    fn info(&self, entry: EntryId) -> Option<Release> {
        let (name, version) = self.text(entry).strip_suffix(".dist-info")?.split_once('-')?;
        Some((Name::new(name)?, Version::new(version)?))
    }

    /// A `site-packages`: one `name-version.dist-info` for each release.
    fn site(&mut self, site: &Site, plan: &mut Plan<'a>) {
        for entry in self.forest.children(site.packages) {
            if !self.text(entry).ends_with(".dist-info") {
                continue;
            }
            match self.info(entry).and_then(|release| self.release(&release)) {
                Some((release, package)) => {
                    let install = Install { site: site.clone(), info: entry };
                    self.distribution(release, package).installs.push(install);
                }
                None => plan.unproven(entry, "not of a release that the lockfile has"),
            }
        }
        for entry in self.forest.below(site.packages) {
            let is_compiled = self.forest.name(entry).ends_with(b".pyc")
                && self.forest.parent(entry).is_some_and(|parent| self.forest.name(parent) == b"__pycache__");
            if is_compiled {
                plan.unproven(entry, "compiled here: Python runs it without comparing it with its source");
            }
        }
        plan.unproven(site.packages, "in no wheel of the lockfile that is in the roots as a file");
    }
}
