//! Reading the policy's text.

use std::collections::BTreeMap;

use toml::Spanned;

use super::shape::{GuardShape, Named, PolicyShape, Table, Text};
use super::signer::UnresolvedSigner;
use super::source::{Source, quoted};
use super::text::{read_shape, read_text};
use super::{Cache, Gate, Located, PathPattern, Policy, PolicyError, REVOCATIONS, Revocations};
use crate::base::{Code, Escaped};

/// Longest name of a cache, signer or gate, bytes: it becomes a directory and stands in every report.
const NAME_BYTES_MAX: usize = 64;

/// Most patterns of what a guard leaves alone: each is held against every directory.
const ALLOWED_MAX: usize = 64;

/// A policy whose form is right. The key files that it names have not been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    source: Source,
    project: Located<String>,
    caches: BTreeMap<String, Cache>,
    signers: BTreeMap<String, UnresolvedSigner>,
    gates: BTreeMap<String, Gate>,
    allowed: Vec<Located<PathPattern>>,
}

impl Document {
    /// Reads the policy's text: TOML 1.1 in UTF-8, version 1. `file_name` is the policy's name in its directory.
    pub fn parse(file_name: &str, text: &[u8]) -> Result<Self, PolicyError> {
        let source = read_text(file_name, text)?;
        let shape: PolicyShape = read_shape(&source)?;
        check_project(&source, &shape.project)?;
        let caches = read_named(&source, "cache", shape.cache, |name, cache| Cache::read(&source, name, cache))?;
        let signers = read_named(&source, "signer", shape.signer, |_, signer| UnresolvedSigner::read(&source, signer))?;
        let gates =
            read_named(&source, "gate", shape.gate, |name, gate| Gate::read(&source, name, gate, &signers, &caches))?;
        let allowed = read_allowed(&source, shape.guard)?;
        let document = Self { project: Located::new(shape.project), caches, signers, gates, allowed, source };
        document.check_key_files()?;
        Ok(document)
    }

    /// The key files that the policy names, relative to its directory: sorted by their bytes, each once.
    #[must_use]
    pub fn files(&self) -> Vec<&str> {
        let mut files: Vec<_> = self.key_files().map(|(_, file)| file.as_str()).collect();
        files.sort_unstable();
        files
    }

    /// Takes the bytes of the key files by the names of [`Document::files`]: Ed25519 public keys, none of them twice;
    /// and of [`REVOCATIONS`], if there is such a list. Other files in `files` are not looked at, so that the map
    /// which [`super::policy_digest`] pins can be given.
    pub fn resolve(self, files: &BTreeMap<String, Vec<u8>>) -> Result<Policy, PolicyError> {
        let source = self.source;
        let mut seen = BTreeMap::new();
        let signers = self.signers.into_iter().map(|(name, signer)| {
            let signer = signer.resolve(&source, &name, files, &mut seen)?;
            Ok((name, signer))
        });
        let signers = signers.collect::<Result<_, PolicyError>>()?;
        let revocations = match files.get(REVOCATIONS) {
            Some(text) => Revocations::parse(REVOCATIONS, text)?,
            None => Revocations::default(),
        };
        let Self { project, caches, gates, allowed, .. } = self;
        Ok(Policy { source, project, caches, signers, gates, revocations, allowed })
    }

    fn key_files(&self) -> impl Iterator<Item = (&str, &Located<String>)> {
        self.signers
            .iter()
            .flat_map(|(name, signer)| signer.key_files.iter().map(move |(file, _)| (name.as_str(), file)))
    }

    /// No key file stands twice, and none is the policy itself.
    fn check_key_files(&self) -> Result<(), PolicyError> {
        let source = &self.source;
        let mut seen = BTreeMap::new();
        for (signer, file) in self.key_files() {
            if *file == source.file {
                return Err(source.malformed(file, "a key file", "the policy itself"));
            }
            if let Some((other, first)) = seen.insert(&file.value, (signer, file)) {
                let message = format!(
                    "expected a key under one signer and once, found {} under {} (line {}) and {}",
                    quoted(file),
                    quoted(other),
                    source.line(first),
                    quoted(signer),
                );
                return Err(source.error(Code::SharedKey, file, message));
            }
        }
        Ok(())
    }
}

/// The project is compared with every seal's, so it must look like what it is.
fn check_project(source: &Source, project: &Text) -> Result<(), PolicyError> {
    let text = project.get_ref();
    let printable = Escaped(text.as_bytes()).to_string() == *text;
    if !text.is_empty() && printable && !text.contains(char::is_whitespace) {
        return Ok(());
    }
    let expected = "a name like `github.com/acme/app`, printable and without spaces";
    Err(source.malformed(project, expected, quoted(text)))
}

/// Reads what a guard leaves alone.
fn read_allowed(source: &Source, guard: Option<Table<GuardShape>>) -> Result<Vec<Located<PathPattern>>, PolicyError> {
    let Some(allow) = guard.and_then(|Table(guard)| guard.allow) else { return Ok(Vec::new()) };
    source.counted(&allow, ALLOWED_MAX)?;
    source.unique(allow.get_ref())?;
    let read = |text: Text| match PathPattern::parse(text.get_ref()) {
        Ok(pattern) => Ok(Located::new(Spanned::new(text.span(), pattern))),
        Err(error) => Err(source.error(Code::MalformedPolicy, &text, error)),
    };
    allow.into_inner().into_iter().map(read).collect()
}

/// Reads the tables of one kind, by name.
fn read_named<S, T>(
    source: &Source,
    kind: &str,
    tables: Named<S>,
    read: impl Fn(Text, S) -> Result<T, PolicyError>,
) -> Result<BTreeMap<String, T>, PolicyError> {
    let mut items = BTreeMap::new();
    for (name, Table(shape)) in tables {
        check_name(source, kind, &name)?;
        items.insert(name.get_ref().clone(), read(name, shape)?);
    }
    Ok(items)
}

fn check_name(source: &Source, kind: &str, name: &Text) -> Result<(), PolicyError> {
    let text = name.get_ref();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(());
    }
    let expected = format_args!("a {kind}'s name of 1 to {NAME_BYTES_MAX} characters `a-z`, `0-9` and `-`");
    Err(source.malformed(name, expected, quoted(text)))
}
