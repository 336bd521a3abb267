//! The perimeter: every place that tools read without being told to, and that a restore could write.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::iter;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::meaning::{Meanings, known_in_home};
use crate::tree::{Exceptions, Reach, Sight, is_there, resolve};

/// The process's surroundings, as the later steps of the job have them too.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The effective user id.
    pub user: u32,
    /// Home, canonical.
    pub home: Option<PathBuf>,
    /// The home that the system knows of this user: ssh looks there, whatever HOME says.
    pub account_home: Option<PathBuf>,
    /// Where relative paths begin.
    pub working_directory: PathBuf,
    /// The program file of this process: the verifier itself.
    pub program: Option<PathBuf>,
    /// The variables of [`VARIABLES`] that are set and not empty.
    pub variables: BTreeMap<&'static str, OsString>,
}

/// What the guard is about.
#[derive(Debug, Clone, Default)]
pub struct Territory {
    /// The policy's directory, canonical.
    pub policy_directory: PathBuf,
    /// The policy, the key files that it names and the list of revocations: written, they are `policy-changed`.
    pub policy_files: Vec<PathBuf>,
    /// The lockfiles of all caches.
    pub lockfiles: Vec<PathBuf>,
    /// Roots of the other caches of the policy.
    pub others: Vec<(String, PathBuf)>,
    /// Places that are not watched, by the command line.
    pub allowed: Vec<PathBuf>,
    /// Places that are watched beside the known ones, by the command line.
    pub watched: Vec<PathBuf>,
}

/// How a variable names places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// One file or directory, with all below it.
    Place,
    /// Several, with colons between them.
    Places,
    /// Directories in which programs are looked for.
    Programs,
}

const SHELL: &str = "runs at the next shell";

/// Variables that name places which tools read, and what those places mean.
const PLACES: &[(&str, Names, &str)] = &[
    ("PATH", Names::Programs, "is on PATH"),
    ("BASH_ENV", Names::Place, SHELL),
    ("CIRCLE_SHELL_ENV", Names::Place, SHELL),
    ("ENV", Names::Place, SHELL),
    ("ZDOTDIR", Names::Place, SHELL),
    ("LD_PRELOAD", Names::Places, "is loaded into every program"),
    ("LD_LIBRARY_PATH", Names::Places, "is loaded into programs"),
    ("XDG_CONFIG_HOME", Names::Place, "is configuration that tools read"),
    ("XDG_DATA_HOME", Names::Place, "is data that tools read"),
    ("XDG_CACHE_HOME", Names::Place, "is a cache that no seal covers"),
    ("GIT_CONFIG_GLOBAL", Names::Place, "can make git run programs"),
    ("GIT_CONFIG_SYSTEM", Names::Place, "can make git run programs"),
    ("GIT_TEMPLATE_DIR", Names::Place, "can make git run programs"),
    ("GIT_EXEC_PATH", Names::Place, "can make git run programs"),
    ("GIT_DIR", Names::Place, "is what git takes for the history of the checkout"),
    ("GNUPGHOME", Names::Place, "decides whose signatures gpg trusts"),
    ("NETRC", Names::Place, "decides with which credentials tools download"),
    ("CURL_HOME", Names::Place, "decides how curl downloads"),
    ("SSL_CERT_FILE", Names::Place, "decides whom TLS trusts"),
    ("SSL_CERT_DIR", Names::Places, "decides whom TLS trusts"),
    ("NODE_EXTRA_CA_CERTS", Names::Place, "decides whom TLS trusts"),
    ("NODE_PATH", Names::Places, "is searched by every `require` of node"),
    ("NPM_CONFIG_USERCONFIG", Names::Place, NPM),
    ("npm_config_userconfig", Names::Place, NPM),
    ("NPM_CONFIG_GLOBALCONFIG", Names::Place, NPM),
    ("npm_config_globalconfig", Names::Place, NPM),
    ("NPM_CONFIG_PREFIX", Names::Place, "holds programs that npm has installed"),
    ("npm_config_prefix", Names::Place, "holds programs that npm has installed"),
    ("NPM_CONFIG_CACHE", Names::Place, "is npm's cache"),
    ("npm_config_cache", Names::Place, "is npm's cache"),
    ("YARN_RC_FILENAME", Names::Place, "decides which yarn runs and where it downloads from"),
    ("YARN_GLOBAL_FOLDER", Names::Place, "holds what yarn runs and installs"),
    ("PNPM_HOME", Names::Place, "holds programs that pnpm has installed"),
    ("BUN_INSTALL", Names::Place, "holds programs that bun has installed"),
    ("DENO_DIR", Names::Place, "holds what deno runs"),
    ("NVM_DIR", Names::Place, "decides which node runs"),
    ("VOLTA_HOME", Names::Place, "decides which node runs"),
    ("CARGO_HOME", Names::Place, "is read by cargo"),
    ("CARGO_INSTALL_ROOT", Names::Place, "holds programs that cargo has installed"),
    ("RUSTUP_HOME", Names::Place, "decides which Rust toolchain runs"),
    ("GOPATH", Names::Places, "holds what go builds with"),
    ("GOROOT", Names::Place, "is the go toolchain"),
    ("GOBIN", Names::Place, "holds programs that go has installed"),
    ("GOENV", Names::Place, "decides how go downloads and builds"),
    ("GOMODCACHE", Names::Place, "holds what go builds with"),
    ("GOCACHE", Names::Place, "holds what go has built"),
    ("PYTHONPATH", Names::Places, "is imported by every python"),
    ("PYTHONHOME", Names::Places, "is imported by every python"),
    ("PYTHONSTARTUP", Names::Place, "runs in every interactive python"),
    ("PYTHONUSERBASE", Names::Place, "is imported by every python of this user"),
    ("VIRTUAL_ENV", Names::Place, "holds what python runs and imports"),
    ("CONDA_PREFIX", Names::Place, "holds what python runs and imports"),
    ("PYENV_ROOT", Names::Place, "decides which python runs"),
    ("PIP_CONFIG_FILE", Names::Place, "decides where pip downloads from"),
    ("PIP_CACHE_DIR", Names::Place, "is pip's cache"),
    ("UV_CACHE_DIR", Names::Place, "is uv's cache"),
    ("UV_CONFIG_FILE", Names::Place, "decides where uv downloads from"),
    ("POETRY_HOME", Names::Place, "holds what poetry runs"),
    ("POETRY_CACHE_DIR", Names::Place, "is poetry's cache"),
    ("GEM_HOME", Names::Place, "is loaded by every ruby"),
    ("GEM_PATH", Names::Places, "is loaded by every ruby"),
    ("RUBYLIB", Names::Places, "is loaded by every ruby"),
    ("BUNDLE_PATH", Names::Place, "holds what bundler has installed"),
    ("BUNDLE_APP_CONFIG", Names::Place, "decides how bundler installs"),
    ("BUNDLE_USER_HOME", Names::Place, "decides how bundler installs"),
    ("RBENV_ROOT", Names::Place, "decides which ruby runs"),
    ("PERL5LIB", Names::Places, "is loaded by every perl"),
    ("ASDF_DATA_DIR", Names::Place, "decides which programs run"),
    ("MISE_DATA_DIR", Names::Place, "decides which programs run"),
    ("GRADLE_USER_HOME", Names::Place, "holds what gradle runs and builds with"),
    ("GRADLE_HOME", Names::Place, "holds what gradle runs"),
    ("MAVEN_HOME", Names::Place, "holds what maven runs"),
    ("M2_HOME", Names::Place, "holds what maven runs"),
    ("JAVA_HOME", Names::Place, "is the java that runs"),
    ("SDKMAN_DIR", Names::Place, "decides which java runs"),
    ("ANDROID_HOME", Names::Place, "is the Android toolchain"),
    ("COMPOSER_HOME", Names::Place, "decides how composer installs"),
    ("DOCKER_CONFIG", Names::Place, "decides how docker connects, and can make it run programs"),
    ("KUBECONFIG", Names::Places, "decides where kubectl connects, and can make it run programs"),
    ("AWS_CONFIG_FILE", Names::Place, "decides with which credentials aws connects, and can make it run programs"),
    ("AWS_SHARED_CREDENTIALS_FILE", Names::Place, "decides with which credentials aws connects"),
    ("GOOGLE_APPLICATION_CREDENTIALS", Names::Place, "decides with which credentials gcloud connects"),
    ("TF_CLI_CONFIG_FILE", Names::Place, "decides which providers terraform runs"),
    ("HELM_PLUGINS", Names::Place, "runs with helm"),
];

const NPM: &str = "decides where npm downloads from, and can make it run programs";

/// The variables that name places, for whoever reads the environment.
pub const VARIABLES: [&str; PLACES.len()] = {
    let mut names = [""; PLACES.len()];
    let mut at = 0;
    while at < PLACES.len() {
        names[at] = PLACES[at].0;
        at += 1;
    }
    names
};

/// Names that tools look for in every directory above the one they run in.
const ABOVE: &[&str] = &[
    ".git",
    ".cargo",
    "Cargo.toml",
    "rust-toolchain",
    "rust-toolchain.toml",
    "rustfmt.toml",
    ".rustfmt.toml",
    "clippy.toml",
    "node_modules",
    "package.json",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".yarn",
    ".pnp.cjs",
    ".pnp.loader.mjs",
    "pnpm-workspace.yaml",
    ".pnpmfile.cjs",
    "lerna.json",
    "nx.json",
    "turbo.json",
    "tsconfig.json",
    "babel.config.js",
    "babel.config.json",
    ".babelrc",
    ".eslintrc",
    ".eslintrc.js",
    ".eslintrc.json",
    ".prettierrc",
    "postcss.config.js",
    "jest.config.js",
    ".browserslistrc",
    "bunfig.toml",
    "deno.json",
    "go.mod",
    "go.work",
    "pyproject.toml",
    "setup.cfg",
    "tox.ini",
    "pytest.ini",
    "conftest.py",
    "uv.toml",
    "pip.conf",
    ".python-version",
    ".node-version",
    ".nvmrc",
    ".ruby-version",
    ".java-version",
    ".tool-versions",
    ".mise.toml",
    "mise.toml",
    ".envrc",
    ".env",
    "Gemfile",
    ".bundle",
    ".rspec",
    "settings.gradle",
    "settings.gradle.kts",
    "gradle.properties",
    ".mvn",
    "WORKSPACE",
    "MODULE.bazel",
    ".bazelrc",
    ".editorconfig",
    ".gitattributes",
    ".gitignore",
];

/// The system's own places that a restore as root, or into an image that lets others write, could reach.
const SYSTEM: &[&str] = &["/etc", "/usr/local", "/opt"];

/// Of a home that is the file system itself: what the kernel shows there is no file of anybody's.
const KERNEL: &[&str] = &["/proc", "/sys", "/dev"];

/// What to look at, what to leave out, and what it all means.
#[derive(Debug)]
pub(super) struct Perimeter {
    pub(super) sights: Vec<Sight>,
    allowed: Vec<PathBuf>,
    policy_files: Vec<PathBuf>,
    verifier: Option<PathBuf>,
    programs: Vec<PathBuf>,
    meanings: Meanings,
}

impl Perimeter {
    /// Finds the places. Reads no file; resolves the symlinks on the way to each.
    pub(super) fn of(surroundings: &Surroundings, territory: &Territory) -> Self {
        let checkout = top_of_checkout(&territory.policy_directory);
        let mut meanings = Meanings::of(surroundings.home.as_deref(), &checkout);
        let mut sights = Sights::default();
        for path in SYSTEM {
            sights.tree(Path::new(path));
        }
        sights.home(surroundings.home.as_deref());
        if let Some(home) = &surroundings.account_home {
            sights.tree(&home.join(".ssh"));
            meanings.set(&home.join(".ssh"), "decides how ssh connects and whom it trusts");
        }
        sights.tree(&checkout);
        for above in checkout.ancestors().skip(1) {
            for name in ABOVE {
                let path = above.join(name);
                if surroundings.home.as_deref() != Some(above) {
                    meanings.set(&path, "is found by tools that look above the checkout");
                }
                sights.tree(&path);
            }
        }
        let programs = sights.variables(surroundings, &mut meanings);
        for (cache, root) in &territory.others {
            sights.tree(root);
            meanings.set(root, format!("belongs to the cache `{cache}`"));
        }
        for lockfile in &territory.lockfiles {
            meanings.set(lockfile, "decides which dependencies belong into a cache");
        }
        for path in &territory.watched {
            sights.tree(path);
        }
        if let Some(program) = &surroundings.program {
            sights.add(program, Reach::Entry);
        }
        Self {
            sights: sights.apart(),
            allowed: territory
                .allowed
                .iter()
                .map(|path| resolve(path))
                .chain(KERNEL.iter().map(PathBuf::from))
                .collect(),
            policy_files: territory.policy_files.clone(),
            verifier: surroundings.program.clone(),
            programs,
            meanings,
        }
    }

    /// What is left out of a look at the perimeter: what is allowed, and `apart`, which is watched by itself.
    pub(super) fn exceptions(&self, apart: impl Iterator<Item = PathBuf>) -> Exceptions {
        Exceptions::new(apart.chain(self.allowed.iter().cloned()))
    }

    /// Whether a file decides about trust.
    pub(super) fn is_of_policy(&self, path: &Path) -> bool {
        self.policy_files.iter().any(|file| file == path)
    }

    /// What an entry could do, now that it was created or changed (`written`), or removed.
    pub(super) fn meaning(&self, path: &Path, written: bool) -> String {
        if self.verifier.as_deref() == Some(path) {
            return "is the verifier itself".to_owned();
        }
        let at = path.parent().and_then(|parent| self.programs.iter().position(|directory| directory == parent));
        match (at, path.file_name()) {
            (Some(at), Some(name)) => self.program(at, name, written),
            _ => self.meanings.get(path).to_owned(),
        }
    }

    fn program(&self, at: usize, name: &OsStr, written: bool) -> String {
        let shown = crate::base::Escaped(name.as_bytes());
        let later = || self.programs.iter().skip(at + 1).any(|directory| is_there(&directory.join(name)));
        match written {
            true if later() => format!("shadows `{shown}` on PATH"),
            true => format!("runs as `{shown}`, found on PATH"),
            false => format!("ran as `{shown}`, found on PATH"),
        }
    }
}

/// The nearest directory above with a `.git`, which is what build tools and git take for the checkout.
fn top_of_checkout(policy_directory: &Path) -> PathBuf {
    let is_top = |path: &&Path| path.parent().is_some() && is_there(&path.join(".git"));
    policy_directory.ancestors().find(is_top).unwrap_or(policy_directory).to_path_buf()
}

#[derive(Default)]
struct Sights(Vec<Sight>);

impl Sights {
    fn tree(&mut self, path: &Path) {
        self.add(path, Reach::Tree);
    }

    fn add(&mut self, path: &Path, reach: Reach) {
        let resolved = resolve(path);
        if resolved != path {
            // The symlink that leads there is a way to lead elsewhere.
            self.0.push(Sight { path: path.to_path_buf(), reach: Reach::Entry });
        }
        // A place that turns out to be the whole file system is a mistake of whoever named it.
        let reach = if resolved.parent().is_none() { Reach::Names } else { reach };
        self.0.push(Sight { path: resolved, reach });
    }

    fn home(&mut self, home: Option<&Path>) {
        let Some(home) = home.filter(|home| home.is_absolute()) else { return };
        self.tree(home);
        // Home holds these itself, unless they lead out of it, or home is the file system.
        for name in known_in_home() {
            let path = home.join(name);
            let leads_out = std::fs::symlink_metadata(&path).is_ok_and(|entry| entry.is_symlink());
            if leads_out || home.parent().is_none() {
                self.tree(&path);
            }
        }
    }

    /// The places that variables name; gives back the directories on PATH, in its order.
    fn variables(&mut self, surroundings: &Surroundings, meanings: &mut Meanings) -> Vec<PathBuf> {
        let mut programs = Vec::new();
        for (variable, names, meaning) in PLACES {
            let Some(value) = surroundings.variables.get(variable) else { continue };
            let parts: Vec<&[u8]> = match names {
                Names::Place => iter::once(value.as_bytes()).collect(),
                Names::Places => value.as_bytes().split(|byte| *byte == b':').filter(|part| !part.is_empty()).collect(),
                // An empty part is the working directory.
                Names::Programs => value.as_bytes().split(|byte| *byte == b':').collect(),
            };
            for part in parts {
                let path = surroundings.working_directory.join(OsStr::from_bytes(part));
                if *names == Names::Programs {
                    self.add(&path, Reach::Names);
                    programs.push(resolve(&path));
                } else {
                    self.tree(&path);
                    meanings.set(&resolve(&path), *meaning);
                }
            }
        }
        programs
    }

    /// Each place once: none that another holds already.
    fn apart(mut self) -> Vec<Sight> {
        // By components, so that what a directory holds follows it; of one place the most of it comes first.
        self.0.sort_by(|one, other| one.path.cmp(&other.path).then(other.reach.cmp(&one.reach)));
        let mut apart: Vec<Sight> = Vec::new();
        let mut tree: Option<PathBuf> = None;
        for sight in self.0 {
            let held = tree.as_ref().is_some_and(|tree| sight.path.starts_with(tree));
            if held || apart.last().is_some_and(|last| last.path == sight.path) {
                continue;
            }
            if sight.reach == Reach::Tree {
                tree = Some(sight.path.clone());
            }
            apart.push(sight);
        }
        apart
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(sights: Sights) -> Vec<(String, Reach)> {
        sights.apart().into_iter().map(|sight| (sight.path.to_string_lossy().into_owned(), sight.reach)).collect()
    }

    #[test]
    fn no_place_is_looked_at_twice() {
        let mut sights = Sights::default();
        for (path, reach) in [
            ("/none/a/b", Reach::Names),
            ("/none/a", Reach::Tree),
            ("/none/a-b", Reach::Entry),
            ("/none/c", Reach::Entry),
            ("/none/c", Reach::Names),
            ("/none/c/d", Reach::Tree),
        ] {
            sights.0.push(Sight { path: path.into(), reach });
        }
        let expected = [
            ("/none/a", Reach::Tree),
            ("/none/a-b", Reach::Entry),
            ("/none/c", Reach::Names),
            ("/none/c/d", Reach::Tree),
        ];
        assert_eq!(paths(sights), expected.map(|(path, reach)| (path.to_owned(), reach)));
    }

    #[test]
    fn variables_are_read_once() {
        let mut names = VARIABLES.to_vec();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
