//! What an entry could do if it were written by somebody else: the half of a report that says why it matters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Places below home, and what reads them.
const HOME: &[(&str, &str)] = &[
    (".bashrc", SHELL),
    (".bash_aliases", SHELL),
    (".bash_login", SHELL),
    (".bash_logout", SHELL),
    (".bash_profile", SHELL),
    (".profile", SHELL),
    (".kshrc", SHELL),
    (".login", SHELL),
    (".cshrc", SHELL),
    (".tcshrc", SHELL),
    (".zlogin", SHELL),
    (".zlogout", SHELL),
    (".zprofile", SHELL),
    (".zshenv", SHELL),
    (".zshrc", SHELL),
    (".config/fish", SHELL),
    (".circlerc", SHELL),
    (".pam_environment", "sets variables of the next login"),
    (".ssh", "decides how ssh connects and whom it trusts"),
    (".gnupg", "decides whose signatures gpg trusts"),
    (".netrc", "decides with which credentials tools download"),
    (".curlrc", "decides how curl downloads"),
    (".wgetrc", "decides how wget downloads"),
    (".gitconfig", "can make git run programs"),
    (".config/git", "can make git run programs"),
    (".git-credentials", "decides with which credentials git connects"),
    (".npmrc", "decides where npm downloads from, and can make it run programs"),
    (".npm", "is npm's cache"),
    (".yarnrc", "decides which yarn runs and where it downloads from"),
    (".yarnrc.yml", "decides which yarn runs and where it downloads from"),
    (".yarn", "holds what yarn runs and installs"),
    (".config/pnpm", "decides where pnpm downloads from"),
    (".bunfig.toml", "decides where bun downloads from and what it runs first"),
    (".node_modules", "is searched by every `require` of node"),
    (".node_libraries", "is searched by every `require` of node"),
    (".nvm", "decides which node runs"),
    (".volta", "decides which node runs"),
    (".cargo/config.toml", "can make cargo run programs"),
    (".cargo/config", "can make cargo run programs"),
    (".cargo/credentials.toml", "decides with which credentials cargo publishes"),
    (".cargo/credentials", "decides with which credentials cargo publishes"),
    (".cargo/env", SHELL),
    (".cargo/bin", PROGRAMS),
    (".cargo", "is read by cargo"),
    (".rustup", "decides which Rust toolchain runs"),
    (".gradle/init.d", "runs in every gradle build"),
    (".gradle/init.gradle", "runs in every gradle build"),
    (".gradle/gradle.properties", "can make gradle run programs"),
    (".gradle", "holds what gradle runs and builds with"),
    (".m2/settings.xml", "decides where maven downloads from"),
    (".m2", "holds what maven runs and builds with"),
    (".mavenrc", "runs before every maven build"),
    (".sbt", "runs in every sbt build"),
    (".ivy2", "holds what sbt and ivy build with"),
    (".config/pip", "decides where pip downloads from"),
    (".pip", "decides where pip downloads from"),
    (".pydistutils.cfg", "decides how python packages are installed"),
    (".pypirc", "decides where python packages are published"),
    (".config/uv", "decides where uv downloads from"),
    (".config/pypoetry", "decides where poetry downloads from"),
    (".pyenv", "decides which python runs"),
    (".local/lib", "is imported by every python of this user"),
    (".local/bin", PROGRAMS),
    ("bin", PROGRAMS),
    ("go/bin", PROGRAMS),
    (".config/go", "decides how go downloads and builds"),
    ("go", "holds what go builds with"),
    (".gemrc", "decides where gem downloads from"),
    (".gem", "is loaded by every ruby of this user"),
    (".bundle", "decides how bundler installs"),
    (".rbenv", "decides which ruby runs"),
    (".asdf", "decides which programs run"),
    (".asdfrc", "decides which programs run"),
    (".tool-versions", "decides which programs run"),
    (".config/mise", "decides which programs run"),
    (".sdkman", "decides which java runs"),
    (".composer", "decides how composer installs"),
    (".docker", "decides how docker connects, and can make it run programs"),
    (".kube", "decides where kubectl connects, and can make it run programs"),
    (".aws", "decides with which credentials aws connects, and can make it run programs"),
    (".config/gcloud", "decides with which credentials gcloud connects"),
    (".azure", "decides with which credentials az connects"),
    (".terraformrc", "decides which providers terraform runs"),
    (".config/systemd", "starts with the session"),
    (".config/autostart", "starts with the session"),
    (".config", "is configuration that tools read"),
    (".local", "is data that tools read"),
    (".cache", "is a cache that no seal covers"),
];

/// Places below the checkout, and what reads them.
const CHECKOUT: &[(&str, &str)] = &[
    (".git/hooks", "runs at one of the next git commands"),
    (".git/config", "can make git run programs"),
    (".git/modules", "is what git takes for the history of a submodule"),
    (".git", "is what git takes for the history of the checkout"),
    (".gitattributes", "can make git run filters"),
    (".gitmodules", "decides where submodules come from"),
    (".circleci", "is configuration of the CI system"),
    (".github", "is configuration of the CI system"),
    (".npmrc", "decides where npm downloads from, and can make it run programs"),
    (".yarnrc", "decides which yarn runs and where it downloads from"),
    (".yarnrc.yml", "decides which yarn runs and where it downloads from"),
    (".yarn", "holds what yarn runs and installs"),
    (".pnp.cjs", "is loaded by every node of the checkout"),
    (".pnpmfile.cjs", "runs in every pnpm install"),
    ("node_modules", "is loaded by every node of the checkout"),
    ("package.json", "decides what npm runs"),
    (".cargo", "can make cargo run programs"),
    ("build.rs", "runs in the next cargo build"),
    ("Cargo.toml", "decides what cargo builds with"),
    ("rust-toolchain", "decides which Rust toolchain runs"),
    ("rust-toolchain.toml", "decides which Rust toolchain runs"),
    ("Makefile", "runs at the next make"),
    ("makefile", "runs at the next make"),
    ("GNUmakefile", "runs at the next make"),
    ("conftest.py", "runs at the next pytest"),
    ("sitecustomize.py", "runs in every python that starts here"),
    ("setup.py", "runs in the next python build"),
    ("pyproject.toml", "decides what python builds with"),
    ("build.gradle", "runs in the next gradle build"),
    ("build.gradle.kts", "runs in the next gradle build"),
    ("settings.gradle", "runs in the next gradle build"),
    ("settings.gradle.kts", "runs in the next gradle build"),
    ("gradle", "holds what gradle runs"),
    (".mvn", "decides what maven runs"),
    ("Gemfile", "runs at the next bundle"),
    (".bundle", "decides how bundler installs"),
    (".envrc", "runs where direnv is"),
    (".env", "sets variables for tools that read it"),
    (".tool-versions", "decides which programs run"),
    ("vendor", "becomes part of the next build"),
];

/// Places of the system.
const SYSTEM: &[(&str, &str)] = &[
    ("/etc/ld.so.preload", "is loaded into every program"),
    ("/etc/ld.so.conf", "decides what is loaded into every program"),
    ("/etc/ld.so.conf.d", "decides what is loaded into every program"),
    ("/etc/ld.so.cache", "decides what is loaded into every program"),
    ("/etc/profile", SHELL),
    ("/etc/profile.d", SHELL),
    ("/etc/bash.bashrc", SHELL),
    ("/etc/bashrc", SHELL),
    ("/etc/bash", SHELL),
    ("/etc/zsh", SHELL),
    ("/etc/zshenv", SHELL),
    ("/etc/zprofile", SHELL),
    ("/etc/zshrc", SHELL),
    ("/etc/environment", "sets variables of the next login"),
    ("/etc/ssl", "decides whom TLS trusts"),
    ("/etc/pki", "decides whom TLS trusts"),
    ("/etc/ca-certificates", "decides whom TLS trusts"),
    ("/etc/ca-certificates.conf", "decides whom TLS trusts"),
    ("/etc/hosts", "decides where names lead"),
    ("/etc/resolv.conf", "decides where names lead"),
    ("/etc/nsswitch.conf", "decides where names lead"),
    ("/etc/passwd", "decides who may do what"),
    ("/etc/shadow", "decides who may do what"),
    ("/etc/group", "decides who may do what"),
    ("/etc/sudoers", "decides who may do what"),
    ("/etc/sudoers.d", "decides who may do what"),
    ("/etc/pam.d", "decides who may do what"),
    ("/etc/ssh", "decides how ssh connects and whom it trusts"),
    ("/etc/gitconfig", "can make git run programs"),
    ("/etc/npmrc", "decides where npm downloads from, and can make it run programs"),
    ("/etc/pip.conf", "decides where pip downloads from"),
    ("/etc/apt", "decides where apt installs from"),
    ("/etc/alternatives", "decides which program a name runs"),
    ("/etc/crontab", "runs by itself later"),
    ("/etc/cron.d", "runs by itself later"),
    ("/etc/cron.daily", "runs by itself later"),
    ("/etc/cron.hourly", "runs by itself later"),
    ("/etc/systemd", "starts with the system"),
    ("/etc/init.d", "starts with the system"),
    ("/etc", "is configuration of the system"),
    ("/usr/local/bin", PROGRAMS),
    ("/usr/local/sbin", PROGRAMS),
    ("/usr/local/lib", "is loaded by programs"),
    ("/usr/local/etc", "is configuration of the system"),
    ("/usr/local", "is used by programs beside those of the system"),
    ("/opt", "is used by programs beside those of the system"),
];

/// Variables whose files every program or shell runs.
const VARIABLES: &[(&str, &str)] = &[
    ("BASH_ENV", SHELL),
    ("CIRCLE_SHELL_ENV", SHELL),
    ("ENV", SHELL),
    ("ZDOTDIR", SHELL),
    ("LD_PRELOAD", "is loaded into every program"),
    ("LD_AUDIT", "is loaded into every program"),
    ("LD_LIBRARY_PATH", "is loaded into programs"),
];

const SHELL: &str = "runs at the next shell";
const PROGRAMS: &str = "lies where programs are looked for";

/// What places mean, the nearest one above an entry first.
#[derive(Debug, Clone, Default)]
pub(super) struct Meanings(BTreeMap<PathBuf, String>);

impl Meanings {
    /// What is known of the system, of a home and of a checkout.
    pub(super) fn of(home: Option<&Path>, checkout: &Path) -> Self {
        let mut meanings = Self::default();
        for (path, text) in SYSTEM {
            meanings.set(Path::new(path), *text);
        }
        if let Some(home) = home {
            meanings.set(home, "lies in home, where tools look for what is theirs");
            for (name, text) in HOME {
                meanings.set(&home.join(name), *text);
            }
        }
        meanings.set(checkout, "becomes part of the next build");
        for (name, text) in CHECKOUT {
            meanings.set(&checkout.join(name), *text);
        }
        meanings
    }

    /// Says what a place means. What was said of it before no longer counts.
    pub(super) fn set(&mut self, path: &Path, text: impl Into<String>) {
        self.0.insert(path.to_path_buf(), text.into());
    }

    /// The same, of a place of which nothing was said.
    pub(super) fn set_default(&mut self, path: &Path, text: &str) {
        self.0.entry(path.to_path_buf()).or_insert_with(|| text.to_owned());
    }

    /// Says of a place that a variable names it, where nothing else is known of it or of what holds it.
    pub(super) fn set_named(&mut self, path: &Path, variable: &str) {
        if !path.ancestors().any(|above| self.0.contains_key(above)) {
            let known = VARIABLES.iter().find(|(name, _)| *name == variable);
            let told =
                format!("is named by ${}, for whichever tool reads that", crate::base::Escaped(variable.as_bytes()));
            self.0.insert(path.to_path_buf(), known.map_or(told, |(_, text)| (*text).to_owned()));
        }
    }

    /// What an entry could do.
    pub(super) fn get(&self, path: &Path) -> &str {
        let nearest = path.ancestors().find_map(|above| self.0.get(above));
        nearest.map_or("is read by whoever looks there", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_place_speaks() {
        let meanings = Meanings::of(Some(Path::new("/home/ci")), Path::new("/home/ci/app"));
        for (path, text) in [
            ("/home/ci/.bashrc", SHELL),
            ("/home/ci/.cargo/config.toml", "can make cargo run programs"),
            ("/home/ci/.cargo/other", "is read by cargo"),
            ("/home/ci/new", "lies in home, where tools look for what is theirs"),
            ("/home/ci/app/.git/hooks/post-checkout", "runs at one of the next git commands"),
            ("/home/ci/app/.git/HEAD", "is what git takes for the history of the checkout"),
            ("/home/ci/app/src/a.rs", "becomes part of the next build"),
            ("/etc/profile.d/x.sh", SHELL),
            ("/etc/x", "is configuration of the system"),
            ("/srv/x", "is read by whoever looks there"),
        ] {
            assert_eq!(meanings.get(Path::new(path)), text, "{path}");
        }
    }

    #[test]
    fn no_place_stands_twice() {
        for table in [HOME, CHECKOUT, SYSTEM, VARIABLES] {
            let mut names: Vec<_> = table.iter().map(|(name, _)| name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }
}
