//! One attack a test: an attacker's job restores the honest cache, poisons it, and saves it under a longer key, which
//! wins. The release job has to stop at its verification, with the right status and codes and before any code of the
//! attacker's has run. The same job without verification has to run that code, or the attack shows nothing.

use serde_json::{Value, json};

use super::{Push, Site};

/// Where the release job finds out.
pub(super) const AT_NPM: &str = "Verify the cache npm at the gate release";
pub(super) const AT_CARGO: &str = "Verify the cache cargo at the gate release";

/// Keys of today's lockfiles; the attacker's are longer.
pub(super) const NPM_KEY: &str = "npm-v1-{{ checksum \"package-lock.json\" }}";
pub(super) const CARGO_KEY: &str = "cargo-v1-{{ checksum \"Cargo.lock\" }}";

/// Shell functions for the attacker's scripts: `js` and `sh` are code that leaves the mark.
const TOOLS: &str = r#"
js="require('fs').writeFileSync('/tmp/owned', '');"
sh=': >/tmp/owned'
# What an honest job has saved, at its places.
for saved in ~/.cacheseal-*/; do
    if [ -d "${saved}home" ]; then cp -a "${saved}home/." ~; fi
    if [ -d "${saved}checkout" ]; then cp -a "${saved}checkout/." .; fi
    rm -rf "$saved"
done
# A program: its path, then the lines of a shell script.
program() { mkdir -p "$(dirname "$1")" && printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod +x "$1"; }
"#;

/// What an honest npm cache consists of.
const HONEST: [&str; 2] = ["node_modules", ".cacheseal/npm"];

/// What the attacker does in their job, and what comes of it.
struct Attack<'a> {
    script: &'a str,
    /// What is saved beside the honest cache.
    also: &'a [&'a str],
    exit: i64,
    codes: &'a [&'a str],
}

impl Attack<'_> {
    #[track_caller]
    fn check(&self) {
        let site = Site::sealed();
        site.poison(self.script, &[&HONEST[..], self.also].concat());
        site.refused(AT_NPM, self.exit, "npm", self.codes);
    }
}

impl Site {
    /// Has the attacker's job save `paths` after a script, as the newest cache of npm.
    pub(super) fn poison(&self, script: &str, paths: &[&str]) {
        self.run_attack(&attack(NPM_KEY, script, &format!("{NPM_KEY}-newer"), paths));
    }

    pub(super) fn run_attack(&self, config: &Value) {
        self.run(&Push { config: Some(config), ..Push::of("main") }).expect("success");
    }

    /// Asserts that the release job stops at a verification, and that it would have run the attacker's code else.
    #[track_caller]
    pub(super) fn refused(&self, at: &str, exit: i64, cache: &str, codes: &[&str]) {
        let told = self.run(&Push::of("release"));
        let job = told.job("release");
        job.stopped_at(at, exit);
        assert!(!job.is_owned(), "the attacker's code ran: {}", job.shown());
        assert_eq!(job.codes(cache), codes.iter().map(|code| (*code).to_owned()).collect(), "{}", job.shown());
        assert!(job.directory.join("test-results/cacheseal.xml").exists(), "{}", job.shown());
        let told = self.run(&Push::of("unprotected"));
        assert!(told.job("unprotected").is_owned(), "the attack does not work: {}", told.shown());
    }
}

/// The attacker's configuration. Their branch can have any.
pub(super) fn attack(restored: &str, script: &str, key: &str, paths: &[&str]) -> Value {
    json!({
        "version": 2.1,
        "jobs": { "attack": {
            "docker": [{ "image": "cimg/node:lts" }],
            "steps": [
                "checkout",
                { "restore_cache": { "key": restored } },
                { "run": { "name": "Poison", "command": format!("{TOOLS}{script}") } },
                { "save_cache": { "key": key, "paths": paths } },
            ],
        } },
        "workflows": { "main": { "jobs": ["attack"] } },
    })
}

macro_rules! attacks {
    ($($name:ident: $script:expr, [$($also:expr),*], $exit:literal, [$($code:literal),+];)+) => {
        $(#[test] fn $name() {
            Attack { script: $script, also: &[$($also),*], exit: $exit, codes: &[$($code),+] }.check();
        })+
    };
}

attacks! {
    a_changed_file:
        "echo \"$js\" >>node_modules/left/index.js", [], 11, ["digest-mismatch"];
    a_changed_file_of_the_same_size_and_time:
        "file=node_modules/right/index.js && set -- $(stat -c '%s %Y' $file)
         printf \"%-$1s\" \"$js module.exports = 'right';\" >$file && touch -d \"@$2\" $file",
        [], 11, ["digest-mismatch"];
    an_extra_file:
        "mkdir node_modules/optional-plugin && echo \"$js\" >node_modules/optional-plugin/index.js", [],
        11, ["extra-entry"];
    a_link_that_became_a_program:
        "rm node_modules/.bin/left-cli && program node_modules/.bin/left-cli \"$sh\"", [], 11, ["type-mismatch"];
    a_symlinked_root:
        "mv node_modules ~/elsewhere && ln -s ~/elsewhere node_modules && echo \"$js\" >>~/elsewhere/left/index.js",
        ["~/elsewhere"], 15, ["stray-write", "unsafe-root"];
    a_cache_without_a_seal:
        "echo \"$js\" >>node_modules/left/index.js && rm -r .cacheseal", [], 10, ["no-seal"];
    a_cache_sealed_with_another_key:
        "echo \"$js\" >>node_modules/left/index.js && rm -r .cacheseal
         /opt/image/cacheseal key new mine --out ~/mine.key
         cp keys/mine.pub keys/deps.pub && sed -i '/^jobs/d' cacheseal.toml
         /opt/image/cacheseal seal npm --key ~/mine.key", [], 10, ["unknown-signer"];
    a_policy_and_key_that_fit_the_attackers_seal:
        "echo \"$js\" >>node_modules/left/index.js && rm -r .cacheseal
         /opt/image/cacheseal key new mine --out ~/mine.key
         cp keys/mine.pub keys/deps.pub && sed -i '/^jobs/d' cacheseal.toml
         /opt/image/cacheseal seal npm --key ~/mine.key", ["cacheseal.toml", "keys/deps.pub"],
        15, ["policy-changed", "unknown-signer"];
    a_key_that_fits_the_attackers_seal:
        "echo \"$js\" >>node_modules/left/index.js && rm -r .cacheseal
         /opt/image/cacheseal key new mine --out ~/mine.key
         cp keys/mine.pub keys/deps.pub
         CIRCLE_JOB=seal-npm /opt/image/cacheseal seal npm --key ~/mine.key", ["keys/deps.pub"],
        15, ["policy-changed", "unknown-signer"];
    a_start_up_file_of_every_shell:
        "echo \"$sh\" >>~/.bashrc", ["~/.bashrc"], 15, ["stray-write"];
    a_start_up_file_of_login_shells:
        "echo \"$sh\" >~/.bash_profile", ["~/.bash_profile"], 15, ["stray-write"];
    a_file_at_the_configured_bash_env:
        "echo \"$sh\" >~/.circlerc", ["~/.circlerc"], 15, ["stray-write"];
    a_program_that_shadows_npm:
        "program ~/bin/npm \"$sh\"", ["~/bin/npm"], 15, ["stray-write"];
    a_git_hook:
        "program .git/hooks/post-checkout \"$sh\"", [".git/hooks/post-checkout"], 15, ["stray-write"];
    a_setting_of_git_in_the_checkout:
        "git config core.fsmonitor \"touch /tmp/owned\"", [".git/config"], 15, ["stray-write"];
    a_setting_of_git_in_home:
        "git config --global core.fsmonitor \"touch /tmp/owned\"", ["~/.gitconfig"], 15, ["stray-write"];
    a_setting_of_npm_in_home:
        "program ~/.config/shell \"$sh\" && echo script-shell=/home/circleci/.config/shell >~/.npmrc",
        ["~/.npmrc", "~/.config/shell"], 15, ["stray-write"];
    a_setting_of_npm_in_the_checkout:
        "program ~/.config/shell \"$sh\" && echo script-shell=/home/circleci/.config/shell >.npmrc",
        [".npmrc", "~/.config/shell"], 15, ["stray-write"];
    a_source_file_of_the_checkout:
        "echo \"$js\" >>build.js", ["build.js"], 15, ["stray-write"];
    a_script_of_the_checkout:
        "sed -i 's/node build.js/touch .tmp.owned; &/; s/.tmp.owned/\\/tmp\\/owned/' package.json", ["package.json"],
        15, ["stray-write"];
    a_package_above_the_checkout:
        "mkdir -p ~/node_modules/optional-plugin && echo \"$js\" >~/node_modules/optional-plugin/index.js",
        ["~/node_modules"], 15, ["stray-write"];
    a_file_beside_the_seal_that_a_link_leads_to:
        "echo \"$js\" >.cacheseal/npm/index.js && ln -s ../.cacheseal/npm node_modules/optional-plugin", [],
        10, ["malformed-seal", "extra-entry"];
}
