//! Reading statements. Only bytes that a trusted key signed are judged by, and still nothing is guessed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    PAYLOAD_TYPE, PREDICATE_TYPE, Platform, Predicate, STATEMENT_TYPE, SealedLockfile, SealedRoot, Source, Statement,
    Subject, Tool, manifest_name,
};
use crate::base::{Algorithm, Code, Digest, Escaped, Json, JsonError, Limits};

/// Why a payload is not a statement of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// A type of another protocol.
    #[error("`{field}` must be `{expected}`, found `{}`", Escaped(.found.as_bytes()))]
    Type {
        /// Which of the three types.
        field: &'static str,
        /// The one type that is read.
        expected: &'static str,
        /// The type that was there.
        found: String,
    },
    /// Not strict JSON, or a field is missing or of the wrong kind.
    #[error("expected a statement in JSON: {0}")]
    Json(#[from] JsonError),
    /// A field that this version does not know: a rule could stand there that it does not apply.
    #[error("`{object}` has the field `{}`, which this version does not read", Escaped(.field.as_bytes()))]
    UnknownField {
        /// The object.
        object: &'static str,
        /// The field.
        field: String,
    },
    /// A text or list that says nothing.
    #[error("`{field}` must not be empty")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// A path that appears twice.
    #[error("`{field}` has `{}` twice, expected each path once", Escaped(.path.as_bytes()))]
    Duplicate {
        /// The list.
        field: &'static str,
        /// The path.
        path: String,
    },
    /// Not a SHA-256 digest.
    #[error("`sha256` must be 64 lower-case hex digits, found `{}`", Escaped(.found.as_bytes()))]
    Sha256 {
        /// What was there.
        found: String,
    },
    /// No digest algorithm of ours.
    #[error("`digest` of a root must be `blake3` or `sha256`, found `{}`", Escaped(.found.as_bytes()))]
    Algorithm {
        /// What was there.
        found: String,
    },
    /// A manifest under another name than its place gives it.
    #[error("the manifest of root {index} must be `{index}.mtree`, found `{}`", Escaped(.found.as_bytes()))]
    ManifestName {
        /// The root, counted from 0.
        index: usize,
        /// The name that was there.
        found: String,
    },
    /// An absent root with contents.
    #[error("root {index} has no manifest: expected 0 entries and 0 bytes, found {entries} and {bytes}")]
    AbsentRoot {
        /// The root, counted from 0.
        index: usize,
        /// Its entries.
        entries: u64,
        /// Its bytes.
        bytes: u64,
    },
    /// Subjects and roots do not agree.
    #[error("`subject` must name the roots that have a manifest, each once and in their order")]
    Subjects,
    /// Not an instant in the one spelling that is written.
    #[error("`sealedAt` must be RFC 3339 in UTC, like `2026-01-31T12:00:00Z`, found `{}`", Escaped(.found.as_bytes()))]
    SealedAt {
        /// What was there.
        found: String,
    },
}

impl StatementError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Type { .. } => Code::WrongType,
            _ => Code::MalformedStatement,
        }
    }
}

impl Statement {
    /// Parses a payload of the given type. Unknown fields are ignored in the statement and its subjects, as the
    /// in-toto specification demands, and refused in the predicate and everything below it.
    pub fn parse(payload_type: &str, bytes: &[u8], limits: &Limits) -> Result<Self, StatementError> {
        check_type("payloadType", PAYLOAD_TYPE, payload_type)?;
        let json = Json::parse(bytes, limits.json_depth_max)?;
        let statement = Object::open("statement", &json)?;
        check_type("_type", STATEMENT_TYPE, statement.required("_type")?.string("_type")?)?;
        check_type("predicateType", PREDICATE_TYPE, statement.required("predicateType")?.string("predicateType")?)?;
        let subjects = statement.list("subject", Subject::parse)?;
        let predicate = Predicate::parse(statement.required("predicate")?)?;
        check_subjects(&subjects, &predicate.roots)?;
        Ok(Self { subjects, predicate })
    }
}

fn check_type(field: &'static str, expected: &'static str, found: &str) -> Result<(), StatementError> {
    if found == expected {
        return Ok(());
    }
    Err(StatementError::Type { field, expected, found: found.to_owned() })
}

fn check_subjects(subjects: &[Subject], roots: &[SealedRoot]) -> Result<(), StatementError> {
    let sealed = roots.iter().filter(|root| root.manifest.is_some()).map(|root| &root.path);
    if subjects.is_empty() {
        return Err(StatementError::Empty { field: "subject" });
    }
    if subjects.iter().map(|subject| &subject.name).eq(sealed) { Ok(()) } else { Err(StatementError::Subjects) }
}

fn check_unique<'p>(field: &'static str, paths: impl Iterator<Item = &'p String>) -> Result<(), StatementError> {
    let mut seen = BTreeSet::new();
    for path in paths {
        if !seen.insert(path) {
            return Err(StatementError::Duplicate { field, path: path.clone() });
        }
    }
    Ok(())
}

impl Subject {
    fn parse(json: &Json) -> Result<Self, StatementError> {
        let subject = Object::open("subject", json)?;
        // A digest set may name other algorithms beside; consumers use the one they know.
        let digest = Object::open("digest", subject.required("digest")?)?;
        Ok(Self { name: subject.text("name")?, sha256: digest.sha256()? })
    }
}

impl Predicate {
    fn parse(json: &Json) -> Result<Self, StatementError> {
        let predicate = Object::closed(
            "predicate",
            json,
            &["project", "cache", "roots", "lockfiles", "platform", "bindings", "source", "sealedAt", "tool"],
        )?;
        let roots = parse_roots(&predicate)?;
        let lockfiles = predicate.list("lockfiles", SealedLockfile::parse)?;
        check_unique("lockfiles", lockfiles.iter().map(|lockfile| &lockfile.path))?;
        Ok(Self {
            project: predicate.text("project")?,
            cache: predicate.text("cache")?,
            roots,
            lockfiles,
            platform: Platform::parse(predicate.required("platform")?)?,
            bindings: parse_bindings(predicate.required("bindings")?)?,
            source: Source::parse(predicate.required("source")?)?,
            sealed_at: parse_instant(&predicate.text("sealedAt")?)?,
            tool: Tool::parse(predicate.required("tool")?)?,
        })
    }
}

fn parse_roots(predicate: &Object<'_>) -> Result<Vec<SealedRoot>, StatementError> {
    let roots = predicate.list("roots", SealedRoot::parse)?;
    check_unique("roots", roots.iter().map(|root| &root.path))?;
    for (index, root) in roots.iter().enumerate() {
        match &root.manifest {
            Some(name) if *name != manifest_name(index) => {
                return Err(StatementError::ManifestName { index, found: name.clone() });
            }
            None if (root.entries, root.bytes) != (0, 0) => {
                return Err(StatementError::AbsentRoot { index, entries: root.entries, bytes: root.bytes });
            }
            _ => {}
        }
    }
    Ok(roots)
}

impl SealedRoot {
    fn parse(json: &Json) -> Result<Self, StatementError> {
        let root = Object::closed("roots", json, &["path", "manifest", "digest", "entries", "bytes"])?;
        let manifest = match root.required("manifest")? {
            Json::Null => None,
            name => Some(name.string("manifest")?.to_owned()),
        };
        let algorithm = root.text("digest")?;
        Ok(Self {
            path: root.text("path")?,
            manifest,
            digest: Algorithm::from_word(&algorithm).ok_or(StatementError::Algorithm { found: algorithm })?,
            entries: root.required("entries")?.unsigned("entries")?,
            bytes: root.required("bytes")?.unsigned("bytes")?,
        })
    }
}

impl SealedLockfile {
    fn parse(json: &Json) -> Result<Self, StatementError> {
        let lockfile = Object::closed("lockfiles", json, &["path", "digest"])?;
        let digest = Object::closed("digest", lockfile.required("digest")?, &["sha256"])?;
        Ok(Self { path: lockfile.text("path")?, sha256: digest.sha256()? })
    }
}

impl Platform {
    fn parse(json: &Json) -> Result<Self, StatementError> {
        let platform = Object::closed("platform", json, &["os", "arch"])?;
        Ok(Self { os: platform.text("os")?, arch: platform.text("arch")? })
    }
}

impl Source {
    fn parse(json: &Json) -> Result<Self, StatementError> {
        let source = Object::closed("source", json, &["ci", "ref", "revision", "job", "run"])?;
        Ok(Self {
            ci: source.optional_text("ci")?,
            ref_: source.optional_text("ref")?,
            revision: source.optional_text("revision")?,
            job: source.optional_text("job")?,
            run: source.optional_text("run")?,
        })
    }
}

impl Tool {
    fn parse(json: &Json) -> Result<Self, StatementError> {
        let tool = Object::closed("tool", json, &["name", "version"])?;
        Ok(Self { name: tool.text("name")?, version: tool.text("version")? })
    }
}

fn parse_bindings(json: &Json) -> Result<BTreeMap<String, String>, StatementError> {
    let pairs = json.object("bindings")?.iter().map(|(name, value)| {
        let value = value.string("bindings")?;
        if name.is_empty() || value.is_empty() {
            return Err(StatementError::Empty { field: "bindings" });
        }
        Ok((name.clone(), value.to_owned()))
    });
    pairs.collect()
}

/// Reads the one spelling that is written: `Z`, no sign before the year, no fraction that ends in a zero.
fn parse_instant(text: &str) -> Result<Timestamp, StatementError> {
    let instant = text.parse::<Timestamp>().ok();
    instant
        .filter(|instant| instant.to_string() == text && !text.starts_with('-'))
        .ok_or_else(|| StatementError::SealedAt { found: text.to_owned() })
}

/// A JSON object that is being read.
struct Object<'j> {
    fields: &'j [(String, Json)],
}

impl<'j> Object<'j> {
    fn open(name: &'static str, json: &'j Json) -> Result<Self, StatementError> {
        Ok(Self { fields: json.object(name)? })
    }

    /// Opens an object that must not have other fields than these.
    fn closed(name: &'static str, json: &'j Json, known: &[&str]) -> Result<Self, StatementError> {
        let object = Self::open(name, json)?;
        match object.fields.iter().find(|(field, _)| !known.contains(&field.as_str())) {
            Some((field, _)) => Err(StatementError::UnknownField { object: name, field: field.clone() }),
            None => Ok(object),
        }
    }

    fn required(&self, field: &str) -> Result<&'j Json, StatementError> {
        Ok(Json::required(self.fields, field)?)
    }

    fn text(&self, field: &'static str) -> Result<String, StatementError> {
        match self.required(field)?.string(field)? {
            "" => Err(StatementError::Empty { field }),
            text => Ok(text.to_owned()),
        }
    }

    fn optional_text(&self, field: &'static str) -> Result<Option<String>, StatementError> {
        Json::field(self.fields, field).map(|_| self.text(field)).transpose()
    }

    fn sha256(&self) -> Result<Digest, StatementError> {
        let text = self.text("sha256")?;
        Digest::from_hex(text.as_bytes()).ok_or(StatementError::Sha256 { found: text })
    }

    fn list<T>(
        &self,
        field: &'static str,
        parse: fn(&Json) -> Result<T, StatementError>,
    ) -> Result<Vec<T>, StatementError> {
        self.required(field)?.array(field)?.iter().map(parse).collect()
    }
}
