//! An installed distribution against its proven wheel: each file of the wheel at the place that installers put it to,
//! and the files that they write themselves. The top of `site-packages` is everybody's, `*.dist-info` is one's own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Cursor, Read};

use sha2::{Digest as _, Sha256};

use super::home::Site;
use super::lock::Package;
use super::name::Name;
use super::record::{self, Row};
use super::scripts::{EntryPoint, PLACEHOLDER, after_first_line, entry_points};
use crate::base::{EntryPath, Json};
use crate::lockfile::{EntryId, Files, Finding, Findings, Forest, Member, MemberKind, UnpackError, zip};
use crate::tree::{Kind, Unread};

/// Names in `*.dist-info` that installers write, whatever the wheel has.
const WRITTEN: [&str; 6] = ["RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"];

/// The longest text of entry points that is read, and the longest script that is made of one.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// The longest script of a wheel whose first line is replaced, and the longest `RECORD`.
const SCRIPT_BYTES_MAX: u64 = 64 << 20;

/// Levels of objects in uv's notes.
const UV_DEPTH_MAX: usize = 4;

/// The longest first line of a script.
const FIRST_LINE_MAX: u64 = 4_096;

/// A wheel whose digest was proven.
pub(super) struct Wheel<'w> {
    pub(super) name: &'w str,
    pub(super) bytes: Vec<u8>,
}

/// A distribution installed in a site.
#[derive(Debug)]
pub(super) struct Install {
    pub(super) site: Site,
    /// Its `*.dist-info`.
    pub(super) info: EntryId,
}

/// Where a member goes.
struct Target {
    /// The entry there; none if there is nothing.
    entry: Option<EntryId>,
    /// The place, if it is in the roots at all.
    place: Option<Vec<u8>>,
    /// As `RECORD` names it.
    record: String,
}

/// What is known so far.
struct Comparison<'c> {
    forest: &'c Forest,
    install: &'c Install,
    shown: String,
    name: String,
    seen: BTreeMap<EntryId, Option<Finding>>,
    missing: BTreeSet<Vec<u8>>,
    rows: BTreeMap<String, Row>,
    entry_points: Vec<EntryPoint>,
    /// Files that installers write and that are executable in the wheel.
    executable: BTreeSet<&'static str>,
}

impl Install {
    /// Compares it with a proven wheel of its release.
    pub(super) fn compare(
        &self,
        forest: &Forest,
        package: &Package,
        wheel: &Wheel<'_>,
        is_copy: bool,
        files: &mut dyn Files,
        findings: &mut Findings,
    ) {
        let Some(info) = std::str::from_utf8(forest.name(self.info)).ok() else { return };
        let stem = info.strip_suffix(".dist-info").unwrap_or(info);
        let mut comparison = Comparison {
            forest,
            install: self,
            shown: package.shown(),
            name: stem.split('-').next().unwrap_or(stem).to_owned(),
            seen: BTreeMap::new(),
            missing: BTreeSet::new(),
            rows: BTreeMap::new(),
            entry_points: Vec::new(),
            executable: BTreeSet::new(),
        };
        let result = zip(&wheel.bytes, &mut |mut member| comparison.member(stem, &mut member, files));
        match result {
            Ok(()) => {
                comparison.scripts(files);
                comparison.written(package, wheel, files);
                comparison.finish(is_copy, findings);
            }
            Err(error) => {
                for entry in forest.below(self.info) {
                    findings.unproven(entry, format!("in the directory of {}: {error}", comparison.shown));
                }
            }
        }
    }
}

impl Comparison<'_> {
    fn member(&mut self, stem: &str, member: &mut Member<'_>, files: &mut dyn Files) -> Result<(), UnpackError> {
        let MemberKind::File { .. } = member.kind else { return Ok(()) };
        let executable = member.executable();
        let path = std::str::from_utf8(member.path).ok().filter(|path| EntryPath::new(path.as_bytes()).is_ok());
        let Some(path) = path else { return Ok(()) };
        let below = |end: &str| path.strip_prefix(stem)?.strip_prefix(end);
        if let Some(name) = below(".dist-info/").and_then(|rest| WRITTEN.iter().find(|name| **name == rest)) {
            // uv writes these over the files of the wheel, whose bits stay.
            if executable != Some(false) {
                self.executable.insert(name);
            }
            return Ok(());
        }
        if let Some((scheme, rest)) = below(".data/").and_then(|rest| rest.split_once('/')) {
            let Some(target) = self.data_target(scheme, rest) else { return Ok(()) };
            if scheme == "scripts" {
                return self.script(&target, member, files);
            }
            return self.file(target, executable, member.size, member.content, files);
        }
        let is_entry_points = below(".dist-info/") == Some("entry_points.txt") && member.size <= TEXT_BYTES_MAX;
        let target = self.target(self.install.site.packages, path.as_bytes(), path.to_owned());
        if is_entry_points {
            let mut text = Vec::new();
            member.content.read_to_end(&mut text)?;
            self.entry_points = entry_points(&String::from_utf8_lossy(&text));
            if Name::new(&self.name).is_some_and(|name| name.as_str() == "pip") {
                self.scripts_of_pip();
            }
            return self.file(target, executable, member.size, &mut Cursor::new(text), files);
        }
        self.file(target, executable, member.size, member.content, files)
    }

    fn target(&self, directory: EntryId, path: &[u8], record: String) -> Target {
        let place = [&self.forest.place(directory)[..], b"/", path].concat();
        Target { entry: self.forest.find(directory, path), place: Some(place), record }
    }

    /// Where a file of `*.data` goes; `None` for a scheme that is not known.
    fn data_target(&self, scheme: &str, rest: &str) -> Option<Target> {
        let below = match scheme {
            "purelib" | "platlib" => {
                return Some(self.target(self.install.site.packages, rest.as_bytes(), rest.to_owned()));
            }
            "scripts" => format!("bin/{rest}"),
            "data" => rest.to_owned(),
            "headers" => {
                format!("include/site/{}/{}/{rest}", self.install.site.python, self.name)
            }
            _ => return None,
        };
        let record = format!("../../../{below}");
        Some(match &self.install.site.prefix {
            Some(prefix) => self.target(prefix.directory, below.as_bytes(), record),
            None => Target { entry: None, place: None, record },
        })
    }

    /// Compares a file that is installed as it is. `executable`: `None` where installers differ.
    fn file(
        &mut self,
        target: Target,
        executable: Option<bool>,
        size: u64,
        content: &mut dyn BufRead,
        files: &mut dyn Files,
    ) -> Result<(), UnpackError> {
        let mut content = Hashed { inner: content, sha256: Sha256::new() };
        let finding = match target.entry {
            None => {
                io::copy(&mut content, &mut io::sink())?;
                self.missing.extend(target.place);
                None
            }
            Some(entry) => {
                let found = self.forest.kind(entry);
                let finding = if found == Kind::File {
                    self.contents(entry, executable, size, &mut content, files).ok()
                } else {
                    Some(self.mismatch("a file", found.noun()))
                };
                self.seen.insert(entry, finding.clone());
                finding
            }
        };
        let row = match finding {
            Some(Finding::Proven) | None => Row::of(&content.sha256.finalize(), size),
            Some(_) => Row::Anything,
        };
        self.rows.insert(target.record, row);
        Ok(())
    }

    fn contents(
        &self,
        entry: EntryId,
        executable: Option<bool>,
        size: u64,
        content: &mut dyn BufRead,
        files: &mut dyn Files,
    ) -> Result<Finding, Unread> {
        let (equal, facts) = files.compare(entry, size, content)?;
        if !equal {
            let other = if facts.size == size { "other " } else { "" };
            let found = format!("a file of {} {other}bytes", facts.size);
            return Ok(self.mismatch(&format!("a file of {size} bytes"), &found));
        }
        if executable.is_some_and(|executable| executable != facts.executable) {
            let text = |executable| if executable { "executable" } else { "not executable" };
            return Ok(self.mismatch(text(!facts.executable), text(facts.executable)));
        }
        Ok(Finding::Proven)
    }

    /// Compares a script of the wheel, whose first line may have been replaced.
    fn script(&mut self, target: &Target, member: &mut Member<'_>, files: &mut dyn Files) -> Result<(), UnpackError> {
        let mut start = Vec::new();
        (&mut *member.content).take(PLACEHOLDER.len() as u64).read_to_end(&mut start)?;
        let target = Target { entry: target.entry, place: target.place.clone(), record: target.record.clone() };
        if start != PLACEHOLDER {
            let mut whole = io::BufReader::new(Cursor::new(start).chain(&mut *member.content));
            return self.file(target, None, member.size, &mut whole, files);
        }
        self.rows.insert(target.record, Row::Anything);
        let Some(entry) = target.entry else {
            self.missing.extend(target.place);
            return Ok(());
        };
        let mut rest = Vec::new();
        (&mut *member.content).take(SCRIPT_BYTES_MAX).read_to_end(&mut rest)?;
        let rest = rest.split_inclusive(|byte| *byte == b'\n').skip(1).flatten().copied().collect::<Vec<u8>>();
        let Some(installed) = self.text(entry, SCRIPT_BYTES_MAX + FIRST_LINE_MAX, files) else { return Ok(()) };
        let end = installed.iter().position(|byte| *byte == b'\n').map_or(installed.len(), |end| end + 1);
        let finding = if installed.get(end..) != Some(&rest[..]) {
            self.mismatch("the script of the wheel", "another")
        } else if after_first_line(&installed, &self.install.site).is_some() {
            Finding::Proven
        } else {
            Finding::Unproven("its first line does not name the Python of this environment".into())
        };
        self.seen.insert(entry, Some(finding));
        Ok(())
    }

    /// A file that is short enough to be read whole. What is not is noted as unproven.
    fn text(&mut self, entry: EntryId, max: u64, files: &mut dyn Files) -> Option<Vec<u8>> {
        if self.forest.kind(entry) != Kind::File {
            let finding = self.mismatch("a file", self.forest.kind(entry).noun());
            self.seen.insert(entry, Some(finding));
            return None;
        }
        match files.bytes(entry, max) {
            Ok(Some(bytes)) => return Some(bytes),
            Ok(None) => {
                self.seen.insert(entry, Some(Finding::Unproven("longer than installers write it".into())));
            }
            Err(Unread) => {
                self.seen.insert(entry, None);
            }
        }
        None
    }

    /// Installers write pip's command once more for each version of Python: `pip3.12`.
    fn scripts_of_pip(&mut self) {
        let Some(pip) = self.entry_points.iter().find(|point| point.name == "pip").cloned() else { return };
        let version = self.install.site.python.strip_prefix("python").unwrap_or_default();
        let major = version.split('.').next().unwrap_or_default();
        for name in [format!("pip{major}"), format!("pip{version}")] {
            if !self.entry_points.iter().any(|point| point.name == name) {
                self.rows.insert(format!("../../../bin/{name}"), Row::Perhaps);
                self.entry_points.push(EntryPoint { name, ..pip.clone() });
            }
        }
    }

    /// The scripts that installers make of entry points.
    fn scripts(&mut self, files: &mut dyn Files) {
        for point in std::mem::take(&mut self.entry_points) {
            self.rows.entry(format!("../../../bin/{}", point.name)).or_insert(Row::Anything);
            let Some(prefix) = &self.install.site.prefix else { continue };
            let path = format!("bin/{}", point.name);
            let Some(entry) = self.forest.find(prefix.directory, path.as_bytes()) else { continue };
            let Some(contents) = self.text(entry, TEXT_BYTES_MAX, files) else { continue };
            let finding = if point.is_script(&contents, &self.install.site) {
                self.rows.insert(format!("../../../bin/{}", point.name), Row::of_bytes(&contents));
                Finding::Proven
            } else {
                Finding::Unproven("not the script of an entry point as pip, uv or Poetry write it".into())
            };
            self.seen.insert(entry, Some(finding));
        }
    }

    /// What installers write into `*.dist-info`; `RECORD` last, which names the others.
    fn written(&mut self, package: &Package, wheel: &Wheel<'_>, files: &mut dyn Files) {
        let info = String::from_utf8_lossy(self.forest.name(self.install.info)).into_owned();
        self.rows.insert(format!("{info}/RECORD"), Row::None);
        for name in WRITTEN.iter().rev() {
            let Some(entry) = self.forest.find(self.install.info, name.as_bytes()) else { continue };
            let Some(contents) = self.text(entry, SCRIPT_BYTES_MAX, files) else { continue };
            let executable = files.look(entry).is_ok_and(|facts| facts.executable);
            let known = match *name {
                "uv_cache.json" => is_uv_cache(&contents),
                "INSTALLER" => is_installer(&contents),
                "REQUESTED" => contents.is_empty(),
                "direct_url.json" => is_direct_url(&contents, package, wheel),
                "RECORD" => match std::str::from_utf8(&contents) {
                    Ok(text) => record::check(text, std::mem::take(&mut self.rows)),
                    Err(_) => Err("bytes that are not UTF-8".to_owned()),
                }
                .map_err(|what| self.seen.insert(entry, Some(Finding::Unproven(what.into()))))
                .is_ok(),
                _ => false,
            };
            if *name != "RECORD" {
                self.rows.insert(format!("{info}/{name}"), Row::of_bytes(&contents));
            }
            if known && (!executable || self.executable.contains(name)) {
                self.seen.insert(entry, Some(Finding::Proven));
            } else {
                let reason = format!("`{name}`, not as it follows from the wheel");
                self.seen.entry(entry).or_insert(Some(Finding::Unproven(reason.into())));
            }
        }
    }

    fn mismatch(&self, expected: &str, found: &str) -> Finding {
        Finding::Mismatch { expected: format!("{expected}, of {}", self.shown), found: found.to_owned() }
    }

    fn finish(self, is_copy: bool, findings: &mut Findings) {
        for entry in self.forest.below(self.install.info) {
            if !self.seen.contains_key(&entry) && self.forest.kind(entry) != Kind::Directory {
                let expected = format!("nothing: it is not in {}", self.shown);
                findings.mismatch(entry, expected, self.forest.kind(entry).noun());
            }
        }
        for (entry, finding) in self.seen {
            if is_copy {
                findings.copy(entry);
            }
            if let Some(finding) = finding {
                findings.push(entry, finding);
            }
        }
        for place in self.missing {
            findings.missing(place, format!("a file, of {}", self.shown));
        }
    }
}

/// What uv notes of a wheel that it took from a directory: when it was written. Nothing of it is run.
fn is_uv_cache(contents: &[u8]) -> bool {
    let Ok(Json::Object(fields)) = Json::parse(contents, UV_DEPTH_MAX) else { return false };
    fields.iter().all(|(name, value)| match (name.as_str(), value) {
        ("timestamp", Json::Object(parts)) => parts.iter().all(|(name, value)| {
            matches!(name.as_str(), "secs_since_epoch" | "nanos_since_epoch") && matches!(value, Json::Unsigned(_))
        }),
        ("timestamp" | "commit" | "tags", Json::Null) => true,
        ("env" | "directories", Json::Object(none)) => none.is_empty(),
        _ => false,
    })
}

/// What pip, uv and Poetry write into `INSTALLER`; Poetry writes its version.
fn is_installer(contents: &[u8]) -> bool {
    let version = contents.strip_prefix(b"Poetry ");
    matches!(contents, b"pip\n" | b"uv")
        || version.is_some_and(|version| {
            !version.is_empty() && version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
        })
}

/// What pip writes into `direct_url.json` for a wheel that the lockfile has by its URL.
fn is_direct_url(contents: &[u8], package: &Package, wheel: &Wheel<'_>) -> bool {
    let Some(url) = package.files.get(wheel.name).and_then(|file| file.url.as_deref()) else { return false };
    let sha256 = hex::encode(Sha256::digest(&wheel.bytes));
    let url = serde_json::Value::from(url);
    let text = format!(
        r#"{{"archive_info": {{"hash": "sha256={sha256}", "hashes": {{"sha256": "{sha256}"}}}}, "url": {url}}}"#
    );
    contents == text.as_bytes()
}

/// Contents that are hashed as they are read.
struct Hashed<'h> {
    inner: &'h mut dyn BufRead,
    sha256: Sha256,
}

impl Read for Hashed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Hashed<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    #[expect(clippy::indexing_slicing, reason = "no more is consumed than was filled; a panic is a refusal")]
    fn consume(&mut self, amount: usize) {
        // What was filled is still there: this reads nothing.
        if let Ok(filled) = self.inner.fill_buf() {
            self.sha256.update(&filled[..amount]);
        }
        self.inner.consume(amount);
    }
}
