//! Paths as the policy spells them: roots, and the files of the checkout that it names.

use crate::base::{Code, EntryPath, Escaped, PathError};

/// Components that no path of the policy may have, in any case: file systems that fold case know them by
/// other spellings. What lies below them is git's own, or comes with the cache.
const RESERVED: [&str; 2] = [".git", ".cacheseal"];

/// Characters that shells and other tools expand in paths.
const EXPANDED: [char; 5] = ['$', '*', '?', '[', ']'];

/// Where a root's first component lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootBase {
    /// The user's home directory: written `~/…`.
    Home,
    /// The directory of the policy file: written without a leading `~/` or `/`.
    Policy,
    /// The root of the file system: written `/…`.
    Filesystem,
}

/// A root as the policy writes it: one or more components below a base, none of them empty, `.`, `..`,
/// `.git` or `.cacheseal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootPath {
    /// The text of the policy; also the name of the root's manifest in a seal.
    pub spelling: String,
    /// What the components are below of.
    pub base: RootBase,
    /// The names from the base down.
    pub components: Vec<String>,
}

/// Why a text is not a root, or not the path of a file of the checkout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpellingError {
    /// No text.
    #[error("expected a path, found an empty string")]
    Empty,
    /// A base without a directory below it.
    #[error("expected a directory below home, the policy's directory or `/`, found `{0}` itself")]
    Base(String),
    /// Something that another program would expand.
    #[error("expected a path in which only a leading `~/` stands for something else, found `{found}` in `{}`", Escaped(.path.as_bytes()))]
    Expansion {
        /// What would expand.
        found: String,
        /// The whole path.
        path: String,
    },
    /// A component that leads elsewhere.
    #[error("expected a name between slashes, found `{}`, which {error}", Escaped(.path.as_bytes()))]
    Component {
        /// What the component is.
        error: PathError,
        /// The whole path.
        path: String,
    },
    /// A backslash, a control character or an invisible one.
    #[error("expected printable characters other than the backslash, found `{}`", Escaped(.0.as_bytes()))]
    Character(String),
    /// A directory of git's, or of the seals.
    #[error("expected a path outside `.git` and `.cacheseal`, found `{}`", Escaped(.0.as_bytes()))]
    Reserved(String),
    /// A file's path that does not start in the policy's directory.
    #[error("expected a path relative to the policy's directory, found `{}`", Escaped(.0.as_bytes()))]
    NotRelative(String),
}

impl SpellingError {
    /// The stable code when the text is a root: `forbidden-root` where the root cannot be sealed safely,
    /// `malformed-policy` where it is no path.
    #[must_use]
    pub fn root_code(&self) -> Code {
        match self {
            Self::Base(_)
            | Self::Expansion { .. }
            | Self::Reserved(_)
            | Self::Component { error: PathError::DotComponent, .. } => Code::ForbiddenRoot,
            Self::Empty | Self::Component { .. } | Self::Character(_) | Self::NotRelative(_) => Code::MalformedPolicy,
        }
    }
}

impl RootPath {
    /// Reads a root. Nothing but a leading `~/` expands.
    pub fn parse(spelling: &str) -> Result<Self, SpellingError> {
        if ["~", "/", "."].contains(&spelling) {
            return Err(SpellingError::Base(spelling.to_owned()));
        }
        let (base, path) = if let Some(path) = spelling.strip_prefix("~/") {
            (RootBase::Home, path)
        } else if let Some(path) = spelling.strip_prefix('/') {
            (RootBase::Filesystem, path)
        } else if spelling.starts_with('~') {
            let user = spelling.split('/').next().unwrap_or(spelling);
            return Err(SpellingError::Expansion {
                found: Escaped(user.as_bytes()).to_string(),
                path: spelling.to_owned(),
            });
        } else {
            (RootBase::Policy, spelling)
        };
        let components = components(spelling, path)?;
        Ok(Self { spelling: spelling.to_owned(), base, components })
    }
}

/// Checks the path of a lockfile or key file: relative, below the policy's directory, nothing expands.
pub(super) fn check_file(path: &str) -> Result<(), SpellingError> {
    if path.starts_with(['/', '~']) {
        return Err(SpellingError::NotRelative(path.to_owned()));
    }
    components(path, path).map(drop)
}

/// The components of `path`, which is `spelling` without its base.
fn components(spelling: &str, path: &str) -> Result<Vec<String>, SpellingError> {
    if spelling.is_empty() {
        return Err(SpellingError::Empty);
    }
    // What Escaped would change is what a reader of the policy could not see as it is.
    if Escaped(spelling.as_bytes()).to_string() != spelling {
        return Err(SpellingError::Character(spelling.to_owned()));
    }
    if let Some(found) = spelling.chars().find(|character| EXPANDED.contains(character)) {
        return Err(SpellingError::Expansion { found: found.to_string(), path: spelling.to_owned() });
    }
    let mut components = Vec::new();
    for component in path.split('/') {
        EntryPath::check_name(component.as_bytes())
            .map_err(|error| SpellingError::Component { error, path: spelling.to_owned() })?;
        if RESERVED.iter().any(|reserved| component.eq_ignore_ascii_case(reserved)) {
            return Err(SpellingError::Reserved(spelling.to_owned()));
        }
        components.push(component.to_owned());
    }
    Ok(components)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_lie_below_one_of_three_bases() {
        for (spelling, base, components) in [
            ("~/.cargo/registry", RootBase::Home, &[".cargo", "registry"][..]),
            ("~/a b", RootBase::Home, &["a b"]),
            ("/opt/cache", RootBase::Filesystem, &["opt", "cache"]),
            ("node_modules", RootBase::Policy, &["node_modules"]),
            ("a/~/b~", RootBase::Policy, &["a", "~", "b~"]),
            (".github/.gitx", RootBase::Policy, &[".github", ".gitx"]),
            ("caf\u{e9}", RootBase::Policy, &["caf\u{e9}"]),
        ] {
            let root = RootPath::parse(spelling).unwrap();
            assert_eq!((root.spelling.as_str(), root.base), (spelling, base));
            assert_eq!(root.components, components);
        }
    }

    #[test]
    fn what_is_not_a_root_is_refused() {
        for (spelling, code, fragment) in [
            ("", Code::MalformedPolicy, "empty string"),
            ("~", Code::ForbiddenRoot, "found `~` itself"),
            ("/", Code::ForbiddenRoot, "found `/` itself"),
            (".", Code::ForbiddenRoot, "found `.` itself"),
            ("..", Code::ForbiddenRoot, "`.` or `..`"),
            ("../x", Code::ForbiddenRoot, "`.` or `..`"),
            ("./x", Code::ForbiddenRoot, "`.` or `..`"),
            ("~/x/../y", Code::ForbiddenRoot, "`.` or `..`"),
            ("/..", Code::ForbiddenRoot, "`.` or `..`"),
            ("~/", Code::MalformedPolicy, "empty component"),
            ("//x", Code::MalformedPolicy, "empty component"),
            ("x//y", Code::MalformedPolicy, "empty component"),
            ("x/", Code::MalformedPolicy, "empty component"),
            ("~root/x", Code::ForbiddenRoot, "found `~root` in"),
            ("~~", Code::ForbiddenRoot, "found `~~` in"),
            ("$HOME/x", Code::ForbiddenRoot, "found `$` in `$HOME/x`"),
            ("x/${Y}", Code::ForbiddenRoot, "found `$`"),
            ("x/*", Code::ForbiddenRoot, "found `*`"),
            ("x?", Code::ForbiddenRoot, "found `?`"),
            ("[x]", Code::ForbiddenRoot, "found `[`"),
            ("x]", Code::ForbiddenRoot, "found `]`"),
            (".git", Code::ForbiddenRoot, "outside `.git`"),
            ("x/.git/y", Code::ForbiddenRoot, "outside `.git`"),
            ("x/.GIT", Code::ForbiddenRoot, "outside `.git`"),
            ("~/.cacheseal", Code::ForbiddenRoot, "outside `.git`"),
            ("/x/.CacheSeal/y", Code::ForbiddenRoot, "outside `.git`"),
            ("a\\b", Code::MalformedPolicy, "`a\\\\b`"),
            ("a\nb", Code::MalformedPolicy, "`a\\nb`"),
            ("a\0b", Code::MalformedPolicy, "`a\\u{0}b`"),
            ("a\u{202e}b", Code::MalformedPolicy, "`a\\u{202e}b`"),
        ] {
            let error = RootPath::parse(spelling).unwrap_err();
            assert_eq!(error.root_code(), code, "{spelling}");
            assert!(error.to_string().contains(fragment), "{spelling}: {error}");
        }
    }

    #[test]
    fn files_lie_below_the_policy() {
        for path in ["Cargo.lock", "keys/a b.pub", "a/b/c", "x~"] {
            assert_eq!(check_file(path), Ok(()), "{path}");
        }
        for path in ["", "/etc/x", "~/x", "~x", "../x", "a/..", "a/", "a//b", "a\nb", "a\\b", "*.lock", "keys/$X"] {
            assert!(check_file(path).is_err(), "{path}");
        }
        // A restore writes there, so a key in it would be the attacker's.
        assert!(matches!(check_file(".cacheseal/key.pub"), Err(SpellingError::Reserved(_))));
        assert!(matches!(check_file(".git/key.pub"), Err(SpellingError::Reserved(_))));
    }
}
