//! What is left out of a look.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::policy::Glob;

/// `/` has no slash after it in paths of what is in it.
pub(super) fn key_of(directory: &Path) -> Vec<u8> {
    match directory.as_os_str().as_bytes() {
        b"/" => Vec::new(),
        bytes => bytes.to_vec(),
    }
}

/// Paths that are not looked at, and nothing below them.
#[derive(Debug, Clone, Default)]
pub struct Exceptions {
    /// Names by the path of their directory.
    names: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>,
    patterns: Vec<Pattern>,
    /// What no pattern takes out.
    kept: Vec<PathBuf>,
}

/// A pattern for paths below a directory.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// The directory, absolute and without links.
    pub above: PathBuf,
    /// What matches the path from there on. It has no `**`, so it matches one number of components.
    pub rest: Glob,
}

impl Exceptions {
    /// The absolute paths that are left out.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut names: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for path in paths {
            if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
                names.entry(key_of(parent)).or_default().insert(name.as_bytes().to_vec());
            }
        }
        Self { names, ..Self::default() }
    }

    /// What a pattern matches is left out as well, unless it is or holds one of `kept`.
    #[must_use]
    pub fn with_patterns(self, patterns: Vec<Pattern>, kept: Vec<PathBuf>) -> Self {
        Self { patterns, kept, ..self }
    }

    /// Whether `path` is one of them or lies below one.
    #[must_use]
    pub fn cover(&self, path: &Path) -> bool {
        path.ancestors().any(|path| {
            let parent = path.parent().zip(path.file_name());
            parent.is_some_and(|(parent, name)| self.within(&key_of(parent)).hold(name.as_bytes()))
        })
    }

    /// What is left out of one directory.
    pub(super) fn within<'a>(&'a self, directory: &'a [u8]) -> Within<'a> {
        let patterns = self.patterns.iter().filter_map(|pattern| Some((pattern, pattern.below(directory)?)));
        Within { directory, names: self.names.get(directory), patterns: patterns.collect(), kept: &self.kept }
    }
}

impl Pattern {
    /// The way from the pattern's directory to `directory`, with a slash after it, if it could match names in there.
    fn below<'a>(&self, directory: &'a [u8]) -> Option<&'a [u8]> {
        let rest = directory.strip_prefix(key_of(&self.above).as_slice())?;
        let way = match rest.strip_prefix(b"/") {
            Some(way) => way,
            None if rest.is_empty() => rest,
            None => return None,
        };
        let names = |text: &[u8]| text.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).count();
        (names(way) + 1 == names(self.rest.to_string().as_bytes())).then_some(way)
    }
}

/// What is left out of one directory.
pub(super) struct Within<'a> {
    directory: &'a [u8],
    names: Option<&'a BTreeSet<Vec<u8>>>,
    patterns: Vec<(&'a Pattern, &'a [u8])>,
    kept: &'a [PathBuf],
}

impl Within<'_> {
    /// Whether a name is left out.
    pub(super) fn hold(&self, name: &[u8]) -> bool {
        self.names.is_some_and(|names| names.contains(name)) || (!self.patterns.is_empty() && self.match_pattern(name))
    }

    fn match_pattern(&self, name: &[u8]) -> bool {
        let matched = self.patterns.iter().any(|(pattern, way)| match way {
            [] => pattern.rest.matches_bytes(name),
            way => pattern.rest.matches_bytes(&[way, b"/".as_slice(), name].concat()),
        });
        matched && {
            let path = [self.directory, b"/", name].concat();
            !self.kept.iter().any(|kept| kept.starts_with(Path::new(std::ffi::OsStr::from_bytes(&path))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_out_neither_what_is_kept_nor_what_holds_it() {
        let pattern = |above: &str, rest: &str| Pattern { above: above.into(), rest: Glob::parse(rest).unwrap() };
        let exceptions = Exceptions::new(["/etc/x".into()]).with_patterns(
            vec![pattern("/tmp", "a*"), pattern("/", "srv/*/log"), pattern("/srv", "*")],
            vec!["/tmp/all/home".into(), "/srv/app".into()],
        );
        for (path, covered) in [
            ("/etc/x", true),
            ("/etc/x/y", true),
            ("/etc/xy", false),
            ("/tmp/agent", true),
            ("/tmp/agent/x", true),
            ("/tmp/b/agent", false),
            ("/tmp", false),
            ("/tmp/all", false),
            ("/tmp/all/other", false),
            ("/tmp/all/home", false),
            ("/srv/app/log", true),
            ("/srv/app/x", false),
            ("/srv/other", true),
            ("/srv", false),
        ] {
            assert_eq!(exceptions.cover(Path::new(path)), covered, "{path}");
        }
    }
}
