//! `verification-metadata.xml`, schemas 1.0 to 1.3.

use std::collections::{BTreeMap, BTreeSet};

use super::xml::{self, Event};
use crate::base::{EntryPath, Escaped};
use crate::lockfile::{Checksum, HashAlgorithm, LockfileError, LockfileText};

/// The name space of the schema.
const NAME_SPACE: &str = "https://schema.gradle.org/dependency-verification";

/// Its versions.
const SCHEMAS: [&str; 4] = ["1.0", "1.1", "1.2", "1.3"];

/// The artifacts of one or several files.
#[derive(Debug, Default)]
pub struct VerificationMetadata {
    artifacts: BTreeMap<String, Artifact>,
}

/// One artifact: a file of one version of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Group, name and version of the component, and the name of the file, with `/` between them.
    pub path: String,
    /// Digests, each of which is trusted. None where the artifact is trusted by signatures alone.
    pub checksums: Vec<Checksum>,
    /// File and line, for people.
    pub origin: String,
}

impl Artifact {
    /// `com.example/lib/1.0/lib-1.0.jar (gradle/verification-metadata.xml:9)`
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} ({})", self.path, self.origin)
    }
}

impl VerificationMetadata {
    /// Reads all files of a cache.
    pub fn read(files: &[LockfileText<'_>]) -> Result<Self, LockfileError> {
        let mut metadata = Self::default();
        for file in files {
            for (line, artifact) in read_one(file)? {
                if let Some(known) = metadata.artifacts.get(&artifact.path)
                    && known.checksums != artifact.checksums
                {
                    let message =
                        format!("expected each artifact with one list of digests, found another at {}", known.origin);
                    return Err(file.malformed(line, message));
                }
                metadata.artifacts.insert(artifact.path.clone(), artifact);
            }
        }
        Ok(metadata)
    }

    /// The artifacts, sorted by path.
    #[must_use]
    pub fn artifacts(&self) -> impl ExactSizeIterator<Item = &Artifact> {
        self.artifacts.values()
    }
}

/// What is open, from the root on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Root,
    Components,
    Component,
    Artifact,
    Digest(HashAlgorithm),
    /// An element whose contents say nothing about digests.
    Other,
}

struct Reader<'r, 't> {
    file: &'r LockfileText<'t>,
    open: Vec<Open>,
    component: String,
    found: Vec<(usize, Artifact)>,
    paths: BTreeSet<String>,
}

fn read_one(file: &LockfileText<'_>) -> Result<Vec<(usize, Artifact)>, LockfileError> {
    let events = xml::read(file.text).map_err(|(offset, message)| file.malformed(file.line(offset), message))?;
    let mut lines = file.lines();
    let mut reader =
        Reader { file, open: Vec::new(), component: String::new(), found: Vec::new(), paths: BTreeSet::new() };
    for event in events {
        match event {
            Event::Start { offset, name, attributes } => reader.start(lines.of(offset), &name, &attributes)?,
            Event::End => {
                if reader.open.pop() == Some(Open::Artifact)
                    && let Some((_, artifact)) = reader.found.last_mut()
                {
                    artifact.checksums.sort();
                    artifact.checksums.dedup();
                }
            }
            Event::Text { offset } => {
                if reader.open.last() != Some(&Open::Other) {
                    return Err(file.malformed(lines.of(offset), "expected elements, found text"));
                }
            }
        }
    }
    Ok(reader.found)
}

impl Reader<'_, '_> {
    fn start(&mut self, line: usize, name: &str, attributes: &[(String, String)]) -> Result<(), LockfileError> {
        let attribute = |key: &str| {
            let value = attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
            value.ok_or_else(|| self.file.malformed(line, format!("expected `{key}` in `<{name}>`, found none")))
        };
        let next = match (self.open.last(), name) {
            (None, "verification-metadata") => {
                self.check_schema(line, attributes)?;
                Open::Root
            }
            (Some(Open::Root), "components") => Open::Components,
            (Some(Open::Root), "configuration")
            | (Some(Open::Other), _)
            | (Some(Open::Artifact), "md5" | "pgp" | "ignored-keys") => Open::Other,
            (Some(Open::Components), "component") => {
                self.component = [attribute("group")?, attribute("name")?, attribute("version")?].join("/");
                Open::Component
            }
            (Some(Open::Component), "artifact") => {
                let path = format!("{}/{}", self.component, attribute("name")?);
                // Group, name, version and file name: names of directories and of one file.
                if EntryPath::new(path.as_bytes()).is_err() || path.matches('/').count() != 3 {
                    let shown = Escaped(path.as_bytes()).to_string();
                    let message = format!("expected names of a group, a module, a version and a file, found `{shown}`");
                    return Err(self.file.malformed(line, message));
                }
                let artifact = Artifact { path, checksums: Vec::new(), origin: self.file.origin(line) };
                if !self.paths.insert(artifact.path.clone()) {
                    let message =
                        format!("expected each artifact once, found `{}` again", Escaped(artifact.path.as_bytes()));
                    return Err(self.file.malformed(line, message));
                }
                self.found.push((line, artifact));
                Open::Artifact
            }
            (Some(Open::Artifact), word) if HashAlgorithm::from_word(word).is_some() => {
                let Some(algorithm) = HashAlgorithm::from_word(word) else {
                    return Err(self.file.malformed(line, "expected a digest, found another element"));
                };
                let value = attribute("value")?;
                self.digest(line, algorithm, value)?;
                Open::Digest(algorithm)
            }
            (Some(Open::Digest(algorithm)), "also-trust") => {
                let (algorithm, value) = (*algorithm, attribute("value")?);
                self.digest(line, algorithm, value)?;
                Open::Other
            }
            (_, other) => {
                return Err(self
                    .file
                    .unsupported(line, format!("expected elements that are known, found `<{other}>`")));
            }
        };
        self.open.push(next);
        Ok(())
    }

    fn digest(&mut self, line: usize, algorithm: HashAlgorithm, value: &str) -> Result<(), LockfileError> {
        let Some(checksum) = Checksum::from_hex(algorithm, value) else {
            let message = format!("expected {algorithm} in hex digits, found `{}`", Escaped(value.as_bytes()));
            return Err(self.file.malformed(line, message));
        };
        if let Some((_, artifact)) = self.found.last_mut() {
            artifact.checksums.push(checksum);
        }
        Ok(())
    }

    fn check_schema(&self, line: usize, attributes: &[(String, String)]) -> Result<(), LockfileError> {
        let text = |key: &str| attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        if text("xmlns") != Some(NAME_SPACE) {
            return Err(self.file.unsupported(line, format!("expected the name space {NAME_SPACE}, found another")));
        }
        let schema = text("xsi:schemaLocation").and_then(|location| location.rsplit_once("dependency-verification-"));
        let version = schema.and_then(|(_, file)| file.trim().strip_suffix(".xsd"));
        match (text("xsi:schemaLocation"), version) {
            (None, _) => Ok(()),
            (_, Some(version)) if SCHEMAS.contains(&version) => Ok(()),
            (Some(location), _) => {
                let shown = Escaped(location.as_bytes()).to_string();
                Err(self.file.unsupported(line, format!("expected a schema from 1.0 to 1.3, found `{shown}`")))
            }
        }
    }
}
