//! A cache travels in one directory of home, and is put into its places before it is verified: wherever home, checkout
//! and policy are, and however many roots there are. What an attacker does with that directory.

use serde_json::{Value, json};

use super::attacks::{AT_NPM, NPM_KEY};
use super::{Push, Site, Told};

/// A job that has the key, fills the roots and saves, then a job that restores and verifies. Both show what there is.
struct Project<'a> {
    policy: &'a str,
    /// What the job that restores has beside: a directory of its own.
    restoring: Value,
    /// Commands of both jobs, of the one that saves, and of both at the end.
    before: &'a str,
    fill: &'a str,
    show: &'a str,
}

impl Project<'_> {
    fn config(&self) -> Value {
        let run = |name: &str, command: &str| json!({ "run": { "name": name, "command": command } });
        let install = json!({ "cacheseal/install": { "binary": "/opt/image/cacheseal" } });
        let guard = json!({ "cacheseal/guard": { "caches": "npm", "no_restore": true, "policy": self.policy } });
        let save = json!({ "cacheseal/save": { "cache": "npm", "key": "travels", "policy": self.policy } });
        let restore = json!({ "cacheseal/restore": {
            "cache": "npm", "gate": "release", "key": "travels", "policy": self.policy, "on_miss": "fail",
        } });
        let recheck = json!({ "cacheseal/recheck": { "policy": self.policy, "on_miss": "fail" } });
        let (before, show) = (run("Before", self.before), run("Show", self.show));
        let saving = json!(["checkout", install, before, guard, run("Fill", self.fill), save, show]);
        let job = |steps: Value| json!({ "docker": [{ "image": "cimg/base:stable" }], "steps": steps });
        let mut restoring = job(json!(["checkout", install, before, restore, show, recheck]));
        restoring.as_object_mut().unwrap().extend(self.restoring.as_object().unwrap().clone());
        json!({
            "version": 2.1,
            "orbs": { "cacheseal": "cacheseal/cacheseal@0.1" },
            "jobs": { "save": job(saving), "restore": restoring },
            "workflows": { "main": { "jobs": [
                { "save": { "context": "deps-signing" } },
                { "restore": { "requires": ["save"] } },
            ] } },
        })
    }

    #[track_caller]
    fn check(&self, site: &Site) -> Told {
        let told = site.run(&Push { config: Some(&self.config()), ..Push::of("main") });
        told.expect("success");
        assert!(told.job("restore").step(AT_NPM).output.contains("trusted: cache `npm`"), "{}", told.shown());
        assert!(told.job("restore").codes("npm").is_empty(), "{}", told.shown());
        told
    }
}

/// A policy with these roots, at a place in the repository.
pub(super) fn site_with(policy: &str, roots: &str, lockfile: &str) -> Site {
    let site = Site::bare();
    site.write_sample();
    let text = format!(
        "version = 1\nproject = \"github.com/acme/app\"\n[cache.npm]\nroots = {roots}\nlockfiles = [\"{lockfile}\"]\n\
         [signer.deps-main]\nkeys = [{{ file = \"keys/deps.pub\" }}]\n[gate.release]\nrequire = [\"signature\"]\n\
         signers = [\"deps-main\"]\nmax_age = \"7d\"\n"
    );
    let directory = policy.rsplit_once('/').map_or("", |(directory, _)| directory);
    site.write(&format!("repository/{policy}"), text);
    site.write(&format!("repository/{directory}/{lockfile}"), "locked");
    site.write(&format!("repository/{directory}/keys/deps.pub"), crate::harness::key("deps").public().to_pem());
    site.commit("an application");
    let key = json!({ "CACHESEAL_KEY": crate::harness::key("deps").to_line().to_string() });
    site.write_context("deps-signing", &key, "");
    site
}

const NOTHING_LEFT: &str = "! ls -d ~/.cacheseal-* 2>/dev/null";

/// More roots than a step could ever name, of every kind, one of them absent and one that its owner may not write.
#[test]
fn six_roots_of_every_kind() {
    let roots = r#"["node_modules", "a/b/c", "~/.cache/tool", "~/go/pkg/mod", "/opt/tool/store", "~/absent"]"#;
    let site = site_with("cacheseal.toml", roots, "package-lock.json");
    let show = format!(
        "cat node_modules/one a/b/c/two ~/.cache/tool/three ~/go/pkg/mod/m/four /opt/tool/store/five
         test ! -e ~/absent && {NOTHING_LEFT}"
    );
    let fill = "mkdir -p node_modules a/b/c ~/.cache/tool ~/go/pkg/mod/m /opt/tool/store
        echo 1 >node_modules/one; echo 2 >a/b/c/two; echo 3 >~/.cache/tool/three; echo 4 >~/go/pkg/mod/m/four
        echo 5 >/opt/tool/store/five; chmod -R a-w ~/go/pkg/mod";
    // Where the job may not make what a root lies in, somebody has to make it before.
    let before = "sudo install -d -o circleci /opt/tool";
    let project = Project { policy: "cacheseal.toml", restoring: json!({}), before, fill, show: &show };
    let told = project.check(&site);
    assert_eq!(told.job("restore").step("Show").output.lines().collect::<Vec<_>>(), ["1", "2", "3", "4", "5"]);
    // And by hand, from the archive as it was saved.
    let archive = files_of(&site.path("store"), "tar.gz").remove(0);
    let mut verify = std::process::Command::new(env!("CARGO_BIN_EXE_cacheseal"));
    verify.args(["verify", "--archive", super::text(&archive), "--gate", "release"]);
    let output = verify.current_dir(site.path("repository")).output().unwrap();
    assert!(output.status.success(), "{}", super::told(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("home is `home/circleci/.cacheseal-npm/home` in the archive"), "{said}");
}

/// The files in a directory whose names end so.
fn files_of(directory: &std::path::Path, ending: &str) -> Vec<std::path::PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_str().unwrap().ends_with(ending)).collect()
}

/// Where a cache was saved does not decide where it goes: home and checkout can be others in the job that restores.
#[test]
fn the_checkout_of_the_job_that_restores_can_be_elsewhere() {
    let site = site_with("cacheseal.toml", r#"["node_modules", "~/.cache/tool"]"#, "package-lock.json");
    let fill = "mkdir -p node_modules ~/.cache/tool && echo 1 >node_modules/one && echo 2 >~/.cache/tool/two";
    let show = format!("cat node_modules/one ~/.cache/tool/two && pwd && {NOTHING_LEFT}");
    let restoring = json!({ "working_directory": "~/work/of/another" });
    let project = Project { policy: "cacheseal.toml", restoring, before: "true", fill, show: &show };
    let told = project.check(&site);
    assert!(told.job("restore").step("Show").output.contains("/work/of/another"), "{}", told.shown());
}

#[test]
fn a_policy_of_one_service_in_a_directory_of_its_own() {
    let policy = "services/api/cacheseal.toml";
    let site = site_with(policy, r#"["node_modules"]"#, "package-lock.json");
    let fill = "mkdir services/api/node_modules && echo 1 >services/api/node_modules/one";
    let show = format!("cat services/api/node_modules/one && test ! -e node_modules && {NOTHING_LEFT}");
    Project { policy, restoring: json!({}), before: "true", fill, show: &show }.check(&site);
}

/// Without its seal a cache stays where it is, and nothing takes the place of what was saved before.
#[test]
fn a_cache_without_a_seal_does_not_travel() {
    let site = site_with("cacheseal.toml", r#"["node_modules"]"#, "package-lock.json");
    let script = std::fs::read_to_string(super::file("orb/src/scripts/move.sh")).unwrap();
    let environment = json!({ "PARAM_CACHE": "npm", "PARAM_POLICY": "cacheseal.toml", "PARAM_MOVE": "collect" });
    let config = super::one_job([
        json!({ "run": { "name": "Fill", "command": "mkdir node_modules && echo 1 >node_modules/one" } }),
        json!({ "run": { "name": "Collect", "environment": environment, "command": script } }),
    ]);
    let told = site.run(&Push { config: Some(&config), ..Push::of("main") });
    told.job("job").stopped_at("Collect", 5);
    let said = &told.job("job").step("Collect").output;
    assert!(said.contains("expected the seal of npm; found none"), "{}", told.shown());
    let home = told.job("job").directory.join("home/circleci");
    assert!(home.join("project/node_modules/one").is_file() && !home.join(".cacheseal-npm").exists());
}

/// What an attacker saves as the travelling cache: `script` changes it, and `also` is saved beside.
struct Attack<'a> {
    script: &'a str,
    also: &'a [&'a str],
    exit: i64,
    codes: &'a [&'a str],
}

impl Attack<'_> {
    fn poison(&self) -> (Site, Told) {
        let site = Site::sealed();
        let paths = [&["~/.cacheseal-npm"][..], self.also].concat();
        let script = format!("cd ~/.cacheseal-npm && {}", self.script);
        let config = json!({
            "version": 2.1,
            "jobs": { "attack": { "docker": [{ "image": "cimg/node:lts" }], "steps": [
                "checkout",
                { "restore_cache": { "key": NPM_KEY } },
                { "run": { "name": "Poison", "command": script } },
                { "save_cache": { "key": format!("{NPM_KEY}-newer"), "paths": paths } },
            ] } },
            "workflows": { "main": { "jobs": ["attack"] } },
        });
        site.run_attack(&config);
        let told = site.run(&Push::of("release"));
        (site, told)
    }

    #[track_caller]
    fn check(&self) {
        let (_site, told) = self.poison();
        told.job("release").stopped_at(AT_NPM, self.exit);
        let codes = self.codes.iter().map(|code| (*code).to_owned()).collect();
        assert_eq!(told.job("release").codes("npm"), codes, "{}", told.shown());
    }
}

macro_rules! attacks {
    ($($name:ident: $script:expr, [$($also:expr),*], $exit:literal, [$($code:literal),+];)+) => {
        $(#[test] fn $name() {
            Attack { script: $script, also: &[$($also),*], exit: $exit, codes: &[$($code),+] }.check();
        })+
    };
}

attacks! {
    a_changed_file_of_the_travelling_cache:
        "echo '//' >>checkout/node_modules/left/index.js", [], 11, ["digest-mismatch"];
    a_travelling_cache_without_a_seal:
        "rm -r checkout/.cacheseal", [], 10, ["no-seal"];
    a_travelling_root_that_is_a_link:
        "mkdir ~/elsewhere && mv checkout/node_modules ~/elsewhere/n && ln -s ~/elsewhere/n checkout/node_modules",
        ["~/elsewhere"], 15, ["stray-write", "unsafe-root"];
    a_travelling_root_that_is_a_file:
        "rm -r checkout/node_modules && echo 1 >checkout/node_modules", [], 11, ["unsafe-root"];
    a_link_on_the_way_to_a_travelling_root:
        "mv checkout ~/elsewhere && ln -s ~/elsewhere checkout", ["~/elsewhere"], 15, ["stray-write", "nothing-restored"];
    a_travelling_cache_that_is_a_link:
        "mv ~/.cacheseal-npm ~/elsewhere && ln -s elsewhere ~/.cacheseal-npm", ["~/elsewhere"],
        15, ["stray-write", "nothing-restored"];
    a_root_that_is_there_beside_the_travelling_one:
        "cp -R checkout/node_modules ~/project && echo '//' >>~/project/node_modules/left/index.js", ["node_modules"],
        11, ["digest-mismatch"];
    a_travelling_cache_of_another_name:
        "cp -R . ~/.cacheseal-cargo", ["~/.cacheseal-cargo"], 15, ["stray-write"];
    a_policy_that_sends_the_travelling_roots_elsewhere:
        "cd ~/project && sed -i 's/\"node_modules\"/\"~\\/bin\"/' cacheseal.toml && cd ~/.cacheseal-npm
         mkdir -p home && mv checkout/node_modules home/bin", ["cacheseal.toml"],
        15, ["stray-write", "policy-changed", "missing-entry"];
}

/// What else lies in the directory goes nowhere, and is gone before anything runs.
#[test]
fn what_lies_beside_the_travelling_roots_is_not_kept() {
    let script = "mkdir -p home/.ssh checkout/.git/hooks && echo 1 >stray
                  echo 1 >home/.ssh/rc && echo 1 >checkout/.git/hooks/post-checkout";
    let attack = Attack { script, also: &[], exit: 0, codes: &[] };
    let (_site, told) = attack.poison();
    told.expect("success");
    let home = told.job("release").directory.join("home/circleci");
    for gone in [".cacheseal-npm", ".ssh/rc", "project/.git/hooks/post-checkout"] {
        assert!(home.join(gone).symlink_metadata().is_err(), "{gone}: {}", told.shown());
    }
}

/// An earlier job on the same machine has left a cache there, and this restore finds none.
#[test]
fn what_an_earlier_job_has_left_to_travel_is_taken_for_nothing() {
    let site = Site::sealed();
    let leave = "mkdir -p ~/.cacheseal-npm/checkout/node_modules/a && chmod -R a-w ~/.cacheseal-npm/checkout";
    let config = super::one_job([
        json!({ "run": { "name": "Left", "command": leave } }),
        json!({ "cacheseal/restore": { "cache": "npm", "gate": "release", "key": "nothing-has-this-key" } }),
        json!({ "run": { "name": "Show", "command": format!("test ! -e node_modules && {NOTHING_LEFT}") } }),
    ]);
    let told = site.run(&Push { config: Some(&config), ..Push::of("main") });
    told.expect("success");
    assert_eq!(told.job("job").codes("npm"), ["nothing-restored".to_owned()].into(), "{}", told.shown());
}
