//! `verification-metadata.xml`, schemas 1.0 to 1.3.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::{Document, Error, Node};

use crate::base::{EntryPath, Escaped};
use crate::lockfile::{Artifact, Checksum, HashAlgorithm, Lines, LockfileError, LockfileText};

/// The name space of the schema.
const NAME_SPACE: &str = "https://schema.gradle.org/dependency-verification";

/// The name space of the attribute that says where a schema is.
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Its versions.
const SCHEMAS: [&str; 4] = ["1.0", "1.1", "1.2", "1.3"];

/// Most name spaces of a document, which every element below inherits. Gradle writes two.
const NAME_SPACES_MAX: usize = 16;

/// The artifacts of one or several files: group, name and version of the component, and the name of the file, with `/`
/// between them.
#[derive(Debug, Default)]
pub struct VerificationMetadata {
    artifacts: BTreeMap<String, Artifact>,
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

fn read_one(file: &LockfileText<'_>) -> Result<Vec<(usize, Artifact)>, LockfileError> {
    if file.text.matches("xmlns").nth(NAME_SPACES_MAX).is_some() {
        let message = format!("expected at most {NAME_SPACES_MAX} name spaces, found more");
        return Err(LockfileError::unsupported(file.file, None, message));
    }
    let document = Document::parse(file.text).map_err(|error| not_xml(file, &error))?;
    if let Some(node) = document.descendants().find(Node::is_pi) {
        let message = "expected an element or a comment, found a declaration";
        return Err(file.malformed(file.line(node.range().start), message));
    }
    let mut reader = Reader { file, lines: file.lines(), found: Vec::new(), paths: BTreeSet::new() };
    reader.document(document.root_element())?;
    Ok(reader.found)
}

/// What is not XML, or has a document type, which Gradle does not write.
fn not_xml(file: &LockfileText<'_>, error: &Error) -> LockfileError {
    let line = match error {
        Error::DtdDetected => file.line(file.text.find("<!DOCTYPE").unwrap_or_default()),
        Error::NoRootNode | Error::UnclosedRootNode | Error::UnexpectedEndOfStream => file.line(file.text.len()),
        error => usize::try_from(error.pos().row).unwrap_or(usize::MAX),
    };
    file.malformed(line, format!("expected XML, found another text: {}", Escaped(error.to_string().as_bytes())))
}

/// Goes through the elements in their order.
struct Reader<'r, 't> {
    file: &'r LockfileText<'t>,
    lines: Lines<'t>,
    found: Vec<(usize, Artifact)>,
    paths: BTreeSet<String>,
}

impl Reader<'_, '_> {
    fn document(&mut self, root: Node<'_, '_>) -> Result<(), LockfileError> {
        let line = self.line(root);
        if !has_plain_name(root) || root.tag_name().name() != "verification-metadata" {
            return Err(self.unknown(root));
        }
        self.check_schema(line, root)?;
        self.each(root, |reader, node, name| match name {
            "components" => reader.each(node, |reader, node, name| match name {
                "component" => reader.component(node),
                _ => Err(reader.unknown(node)),
            }),
            // What it says is no digest.
            "configuration" => Ok(()),
            _ => Err(reader.unknown(node)),
        })
    }

    fn component(&mut self, node: Node<'_, '_>) -> Result<(), LockfileError> {
        let names = [self.attribute(node, "group")?, self.attribute(node, "name")?, self.attribute(node, "version")?];
        let component = names.join("/");
        self.each(node, |reader, node, name| match name {
            "artifact" => reader.artifact(&component, node),
            _ => Err(reader.unknown(node)),
        })
    }

    fn artifact(&mut self, component: &str, node: Node<'_, '_>) -> Result<(), LockfileError> {
        let line = self.line(node);
        let path = format!("{component}/{}", self.attribute(node, "name")?);
        let shown = Escaped(path.as_bytes());
        // Group, name, version and file name: names of directories and of one file.
        if EntryPath::new(path.as_bytes()).is_err() || path.matches('/').count() != 3 {
            let message = format!("expected names of a group, a module, a version and a file, found `{shown}`");
            return Err(self.file.malformed(line, message));
        }
        if !self.paths.insert(path.clone()) {
            return Err(self.file.malformed(line, format!("expected each artifact once, found `{shown}` again")));
        }
        let mut checksums = Vec::new();
        self.each(node, |reader, node, name| match (HashAlgorithm::from_word(name), name) {
            (Some(algorithm), _) => {
                checksums.push(reader.digest(algorithm, node)?);
                reader.each(node, |reader, node, name| match name {
                    "also-trust" => {
                        checksums.push(reader.digest(algorithm, node)?);
                        Ok(())
                    }
                    _ => Err(reader.unknown(node)),
                })
            }
            (None, "md5" | "pgp" | "ignored-keys") => Ok(()),
            _ => Err(reader.unknown(node)),
        })?;
        checksums.sort();
        checksums.dedup();
        self.found.push((line, Artifact { path, checksums, origin: self.file.origin(line) }));
        Ok(())
    }

    /// Goes through the elements in one, between which there is nothing but white space and comments.
    fn each<'a, 'i>(
        &mut self,
        parent: Node<'a, 'i>,
        mut take: impl FnMut(&mut Self, Node<'a, 'i>, &'a str) -> Result<(), LockfileError>,
    ) -> Result<(), LockfileError> {
        for node in parent.children() {
            if node.is_element() {
                let is_known = has_plain_name(node) && node.tag_name().namespace() == Some(NAME_SPACE);
                let name = if is_known { node.tag_name().name() } else { "" };
                take(self, node, name)?;
            } else if node.is_text() && !node.text().unwrap_or_default().chars().all(is_space) {
                let line = self.line(node);
                return Err(self.file.malformed(line, "expected elements, found text"));
            }
        }
        Ok(())
    }

    fn digest(&mut self, algorithm: HashAlgorithm, node: Node<'_, '_>) -> Result<Checksum, LockfileError> {
        let value = self.attribute(node, "value")?;
        Checksum::from_hex(algorithm, value).ok_or_else(|| {
            let message = format!("expected {algorithm} in hex digits, found `{}`", Escaped(value.as_bytes()));
            self.file.malformed(self.lines.of(node.range().start), message)
        })
    }

    fn attribute<'a>(&mut self, node: Node<'a, '_>, key: &str) -> Result<&'a str, LockfileError> {
        node.attribute(key).ok_or_else(|| {
            let message = format!("expected `{key}` in `<{}>`, found none", node.tag_name().name());
            self.file.malformed(self.lines.of(node.range().start), message)
        })
    }

    fn unknown(&mut self, node: Node<'_, '_>) -> LockfileError {
        let (line, name) = (self.line(node), Escaped(node.tag_name().name().as_bytes()));
        self.file.unsupported(line, format!("expected elements that are known, found `<{name}>`"))
    }

    fn line(&mut self, node: Node<'_, '_>) -> usize {
        self.lines.of(node.range().start)
    }

    fn check_schema(&self, line: usize, root: Node<'_, '_>) -> Result<(), LockfileError> {
        if root.tag_name().namespace() != Some(NAME_SPACE) {
            return Err(self.file.unsupported(line, format!("expected the name space {NAME_SPACE}, found another")));
        }
        let Some(location) = root.attribute((INSTANCE, "schemaLocation")) else { return Ok(()) };
        let schema = location.rsplit_once("dependency-verification-");
        match schema.and_then(|(_, file)| file.trim().strip_suffix(".xsd")) {
            Some(version) if SCHEMAS.contains(&version) => Ok(()),
            _ => {
                let shown = Escaped(location.as_bytes()).to_string();
                Err(self.file.unsupported(line, format!("expected a schema from 1.0 to 1.3, found `{shown}`")))
            }
        }
    }
}

/// Whether an element's name is written without a prefix, as Gradle reads it.
fn has_plain_name(node: Node<'_, '_>) -> bool {
    let text = node.document().input_text().get(node.range()).unwrap_or_default();
    text.strip_prefix('<').is_some_and(|rest| rest.starts_with(node.tag_name().name()))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}
