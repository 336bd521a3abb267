//! Which directories of Python's tools the roots are, or hold.

use crate::lockfile::{EntryId, Forest, RootTree};
use crate::tree::Kind;

/// A directory that packages are installed into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Site {
    /// The `site-packages`.
    pub(super) packages: EntryId,
    /// `python3.12`, the directory that it is in.
    pub(super) python: String,
    /// The virtual environment that it is of, where that is in the roots.
    pub(super) prefix: Option<Prefix>,
}

/// A virtual environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prefix {
    /// Its directory.
    pub(super) directory: EntryId,
    /// The end of its absolute path, as far as the policy says it: it begins with a slash.
    pub(super) path_end: String,
    /// Whether that is the whole of its path.
    pub(super) is_whole: bool,
}

/// What there is in the roots.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Directories with nothing but files: a wheelhouse.
    pub(super) wheelhouses: Vec<EntryId>,
    /// Directories of one URL each in Poetry's `artifacts`.
    pub(super) artifacts: Vec<EntryId>,
    /// pip's caches.
    pub(super) pip: Vec<EntryId>,
    /// uv's caches.
    pub(super) uv: Vec<EntryId>,
    /// Poetry's caches, as a whole.
    pub(super) poetry: Vec<EntryId>,
    /// Virtual environments.
    pub(super) environments: Vec<EntryId>,
    /// Directories that packages are installed into.
    pub(super) sites: Vec<Site>,
}

impl Places {
    pub(super) fn of(forest: &Forest) -> Self {
        let mut places = Self::default();
        for (root, tree) in forest.roots() {
            let names: Vec<&str> = tree.components.iter().map(String::as_str).collect();
            match names.as_slice() {
                [.., "pypoetry"] => {
                    places.poetry.push(root);
                    if let Some(artifacts) = forest.find(root, b"artifacts") {
                        places.add_artifacts(forest, artifacts);
                    }
                    if let Some(environments) = forest.find(root, b"virtualenvs") {
                        places.add_environments(forest, environments, tree);
                    }
                }
                [.., "pypoetry", "artifacts"] => places.add_artifacts(forest, root),
                [.., "pypoetry", "virtualenvs"] => places.add_environments(forest, root, tree),
                [.., ".cache" | "Caches", "pip"] => places.pip.push(root),
                [.., ".cache" | "Caches", "uv"] | [.., ".uv-cache" | ".uv_cache"] => places.uv.push(root),
                [.., "pypoetry", "virtualenvs", _] | [.., ".venv" | "venv" | ".virtualenv" | "virtualenv"] => {
                    places.add_environment(forest, root, tree, "");
                }
                [.., python, "site-packages" | "dist-packages"] => {
                    places.sites.push(Site { packages: root, python: (*python).to_owned(), prefix: None });
                }
                _ if is_flat(forest, root) => places.wheelhouses.push(root),
                _ => {}
            }
        }
        places
    }

    /// `artifacts/aa/bb/cc/rest/`, where the four together are the SHA-256 of what Poetry knows of the URL.
    fn add_artifacts(&mut self, forest: &Forest, artifacts: EntryId) {
        let mut level = vec![artifacts];
        for length in [2, 2, 2, 58] {
            let is_part = |entry: &EntryId| {
                let name = forest.name(*entry);
                forest.kind(*entry) == Kind::Directory
                    && name.len() == length
                    && name.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            };
            level = level.iter().flat_map(|entry| forest.children(*entry)).filter(is_part).collect();
        }
        self.artifacts.extend(level);
    }

    fn add_environments(&mut self, forest: &Forest, directory: EntryId, tree: &RootTree) {
        for environment in forest.children(directory) {
            if forest.kind(environment) == Kind::Directory {
                let below = forest.place(environment);
                let below = below.strip_prefix(tree.spelling.as_bytes()).unwrap_or_default();
                if let Ok(below) = std::str::from_utf8(below) {
                    self.add_environment(forest, environment, tree, below);
                }
            }
        }
    }

    /// `below` is the environment's path below the root, with a slash before it.
    fn add_environment(&mut self, forest: &Forest, environment: EntryId, tree: &RootTree, below: &str) {
        self.environments.push(environment);
        let Some(lib) = forest.find(environment, b"lib") else { return };
        for python in forest.children(lib) {
            let Some(packages) = forest.find(python, b"site-packages") else { continue };
            let Ok(python) = std::str::from_utf8(forest.name(python)) else { continue };
            let version = python.strip_prefix("python").unwrap_or_default();
            if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
                continue;
            }
            let prefix = Prefix {
                directory: environment,
                path_end: format!("/{}{below}", tree.components.join("/")),
                is_whole: tree.spelling.starts_with('/'),
            };
            self.sites.push(Site { packages, python: python.to_owned(), prefix: Some(prefix) });
        }
    }
}

/// Whether a directory has files in it and nothing else.
fn is_flat(forest: &Forest, directory: EntryId) -> bool {
    forest.children(directory).all(|entry| forest.kind(entry) == Kind::File)
}
