//! Where tools keep what they download, and where they have been told to keep it.

use std::path::{Path, PathBuf};

use crate::checkout::Context;
use crate::cli::system::variable;

/// A variable that moves a directory, and where that is without it. Of several for one root the first that is set
/// counts, as it does for the tool.
const MOVED: [(&str, &str); 19] = [
    ("CARGO_HOME", "~/.cargo"),
    ("GOMODCACHE", "~/go/pkg/mod"),
    ("GOPATH", "~/go"),
    ("UV_CACHE_DIR", "~/.cache/uv"),
    ("PIP_CACHE_DIR", "~/.cache/pip"),
    ("POETRY_CACHE_DIR", "~/.cache/pypoetry"),
    ("PRE_COMMIT_HOME", "~/.cache/pre-commit"),
    ("GRADLE_USER_HOME", "~/.gradle"),
    ("NUGET_PACKAGES", "~/.nuget/packages"),
    ("BUNDLE_PATH", "vendor/bundle"),
    ("COMPOSER_VENDOR_DIR", "vendor"),
    ("npm_config_cache", "~/.npm"),
    ("npm_config_store_dir", "~/.local/share/pnpm/store"),
    ("PNPM_HOME", "~/.local/share/pnpm"),
    ("YARN_GLOBAL_FOLDER", "~/.yarn/berry"),
    ("BUN_INSTALL_CACHE_DIR", "~/.bun/install/cache"),
    ("BUN_INSTALL", "~/.bun"),
    ("XDG_DATA_HOME", "~/.local/share"),
    ("XDG_CACHE_HOME", "~/.cache"),
];

/// A root of the table where a variable puts it, as a policy spells it.
pub(super) fn relocated(root: &str, here: &Path, context: &Context) -> String {
    let moved = MOVED.iter().find_map(|(name, usual)| {
        let rest = below(root, usual)?;
        let value = variable(name).filter(|value| !value.is_empty())?;
        // Of several, Go fills the first.
        let first = value.split(':').next().filter(|_| *name == "GOPATH").map(str::to_owned);
        Some((first.unwrap_or(value), rest))
    });
    let Some((value, rest)) = moved else { return root.to_owned() };
    // What is relative to the project is so in a policy too, and what is relative to anything else cannot be told.
    let place = if root.starts_with('~') { PathBuf::from(value) } else { here.join(value) };
    if !place.is_absolute() {
        return root.to_owned();
    }
    // Without `.` and a slash at the end.
    let mut place = std::fs::canonicalize(&place).unwrap_or_else(|_| place.components().collect());
    if !rest.is_empty() {
        place.push(rest);
    }
    let in_home = || Some(Path::new("~").join(place.strip_prefix(context.home_directory()?).ok()?));
    let in_project = || place.strip_prefix(here).ok().map(Path::to_path_buf);
    in_project().or_else(in_home).unwrap_or_else(|| place.clone()).to_string_lossy().into_owned()
}

/// The cache of Yarn: in the project, or where Yarn 4 keeps it if nobody says otherwise.
pub(super) fn of_yarn<'a>(root: &'a str, here: &Path) -> &'a str {
    let read = |name: &str| std::fs::read_to_string(here.join(name)).unwrap_or_default();
    let version = |line: &str| line.strip_prefix("  version: ")?.parse::<u32>().ok();
    let is_local = root != ".yarn/cache"
        || here.join(root).is_dir()
        || read(".yarnrc.yml").lines().any(|line| line.trim_end() == "enableGlobalCache: false")
        || read("yarn.lock").lines().find_map(version).is_none_or(|version| version < 8);
    if is_local { root } else { "~/.yarn/berry/cache" }
}

/// What of a path lies below a directory, empty for the directory itself.
pub(super) fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(directory)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// Whether one of two roots is the other or holds it: a policy has no such roots.
pub(super) fn touch(one: &str, other: &str) -> bool {
    below(one, other).or_else(|| below(other, one)).is_some()
}
