//! What `move.sh` does where something is in its way: nothing of anybody else's is moved, opened or deleted, and nothing
//! of the cache is lost.

use serde_json::{Value, json};

use super::travelling::site_with;
use super::{Push, Site, Told, file};

/// Of all kinds; the last two lie where the user may not put or take anything.
const ROOTS: &str = r#"["node_modules", "a/b/c", "~/.cache/tool", "/opt/sticky/store", "/opt/closed/store"]"#;

/// What every script begins with: the orb's own scripts, and the roots with a file `one` in each.
const TOOLS: &str = r"
sudo install -d -m 0755 /opt/closed && sudo install -d -m 1777 /opt/sticky
move() { PARAM_MOVE=$1 PARAM_CACHE=npm PARAM_POLICY=cacheseal.toml /bin/bash -p -eo pipefail move.sh; }
prepare() { PARAM_CACHES=$1 /bin/bash -p -eo pipefail guard_prepare.sh; }
roots='.cacheseal/npm node_modules a/b/c /home/circleci/.cache/tool'
fill() { for root in $roots; do rm -rf $root; mkdir -p $root; echo 1 >$root/one; done; }
are_there() { for root in $roots; do test -f $root/one; done; }
t=~/.cacheseal-npm
";

/// Runs a script in a job, beside the scripts of the orb.
fn run(script: &str) -> (Site, Told) {
    let site = site_with("cacheseal.toml", ROOTS, "package-lock.json");
    for name in ["move.sh", "guard_prepare.sh"] {
        site.write(&format!("repository/{name}"), std::fs::read(file("orb/src/scripts").join(name)).unwrap());
    }
    site.commit("scripts");
    let config = super::one_job([json!({ "run": { "name": "Script", "command": format!("{TOOLS}\n{script}") } })]);
    let told = site.run(&Push { config: Some(&config), ..Push::of("main") });
    told.expect("success");
    (site, told)
}

/// The target of each link looks like what a root's way leads to. A file of somebody else's is linked into the directory.
#[test]
fn a_link_on_the_way_to_a_travelling_root_leads_nowhere() {
    let (_site, told) = run(r#"
        f=/opt/sticky/foreign
        for way in checkout checkout/a checkout/a/b checkout/.cacheseal home home/.cache root root/opt; do
            rm -rf $f $t
            mkdir -p $f/node_modules $f/a/b/c $f/b/c $f/c $f/.cacheseal/npm $f/npm $f/.cache/tool $f/tool \
                $f/opt/closed/store $f/closed/store "$(dirname $t/$way)"
            find $f -mindepth 1 -type d -empty -exec touch {}/one \;
            echo 1 >$f/locked && ln $f/locked $t/locked && chmod 0444 $f/locked && chmod 0555 $f/node_modules
            ln -s $f $t/$way
            find $f -printf '%p %m\n' | sort >/tmp/before
            move place
            find $f -printf '%p %m\n' | sort | diff /tmp/before -
            for root in $roots $t; do test ! -e $root; done
            chmod 0755 $f/node_modules
        done
    "#);
    let said = &told.job("job").step("Script").output;
    assert!(said.contains("a link or a closed directory is on the way to it"), "{said}");
}

#[test]
fn a_root_that_cannot_be_placed_is_told() {
    let (_site, told) = run(r"
        mkdir -p $t/root/opt/closed/store $t/checkout/node_modules && move place
        test -d node_modules && test ! -e $t
    ");
    let said = &told.job("job").step("Script").output;
    let lines: Vec<_> = said.lines().filter(|line| line.contains(" was not moved to ")).collect();
    assert!(matches!(lines[..], [line] if line.contains("was not moved to /opt/closed/store: ")), "{said}");
}

#[test]
fn nothing_is_collected_that_cannot_all_be_moved() {
    let (_site, told) = run(r#"
        refused() {
            local status=0
            move collect || status=$?
            test $status = 4 && are_there
        }
        fill && mkdir -p $t && echo 1 >$t/before
        chmod a-w a/b && refused && chmod u+w a/b
        sudo install -d -m 0777 /opt/closed/store && refused && sudo rmdir /opt/closed/store
        test "$(ls $t)" = before
        sudo install -d -m 0777 /opt/sticky/store && refused && sudo rmdir /opt/sticky/store
        # Home cannot be written, and then a root whose copy on another file system fails half way.
        rm -r $t && chmod a-w ~ && refused && test ! -e $t && chmod u+w ~
        mkdir -p /opt/sticky/store && echo 1 >/opt/sticky/store/one && sudo install -d -m 0700 /opt/sticky/store/two
        refused && test -f /opt/sticky/store/one && sudo rm -r /opt/sticky/store
        mkdir /opt/sticky/store && sudo mount -t tmpfs tmpfs /opt/sticky/store && refused
        sudo umount /opt/sticky/store
        move collect && for root in $roots /opt/sticky/store; do test ! -e $root; done
        move back && are_there && test -d /opt/sticky/store && test ! -e $t
    "#);
    let said = &told.job("job").step("Script").output;
    for why in [
        "a/b/c cannot be moved: this job may not write ./a/b",
        "/opt/closed/store cannot be moved: this job may not write /opt/closed",
        "/opt/sticky/store cannot be moved: it is somebody else's in a directory with the sticky bit",
        "nothing is saved, and all of the cache is where it was",
        "what was not put back is in /home/circleci/.cacheseal-npm, and stays there",
        "/opt/sticky/store cannot be moved: it is a mount point",
    ] {
        assert!(said.contains(why), "{why}: {said}");
    }
}

#[test]
fn what_cannot_be_put_back_is_kept_and_the_step_fails() {
    let (_site, told) = run(r"
        fill && move collect && for root in $roots; do test ! -e $root; done
        mkdir node_modules && echo 2 >node_modules/other && chmod a-w a
        status=0
        move back || status=$?
        test $status = 4 && test -f node_modules/other && test -f ~/.cache/tool/one
        test -f $t/checkout/node_modules/one && test ! -e $t/checkout/.cacheseal/npm
        prepare $'cargo\nnpm' && test ! -e $t
        # What this job has not collected is not put anywhere, and what is kept elsewhere is not looked at.
        mkdir -p $t/checkout/a/b/c && move back && test -d $t/checkout/a/b/c && prepare npm
    ");
    let said = &told.job("job").step("Script").output;
    assert!(said.contains("what was not put back is in /home/circleci/.cacheseal-npm, and stays there"), "{said}");
    assert!(said.contains("removed what an earlier job has left: /home/circleci/.cacheseal-npm\n"), "{said}");
}

/// A job that fills the roots and seals them by the job `seal`, and one that saves under a key that cannot be made.
fn sealing(save_key: &str) -> Value {
    let install = json!({ "cacheseal/install": { "binary": "/opt/image/cacheseal" } });
    let fill = json!({ "run": { "name": "Fill", "command": "mkdir -p x && echo 1 >x/one" } });
    let job = |steps: Value| json!({ "docker": [{ "image": "cimg/base:stable" }], "steps": steps });
    let persist = json!({ "persist_to_workspace": { "root": ".", "paths": ["x"] } });
    let guard = json!({ "cacheseal/guard": { "caches": "npm", "no_restore": true } });
    let save = json!({ "cacheseal/save": { "cache": "npm", "key": save_key } });
    json!({
        "version": 2.1,
        "orbs": { "cacheseal": "cacheseal/cacheseal@0.1" },
        "jobs": { "deps": job(json!(["checkout", fill, persist])), "save": job(json!(["checkout", install, guard, fill, save])) },
        "workflows": {
            "save": { "jobs": [{ "save": { "context": "deps-signing" } }] },
            "seal": { "jobs": ["deps", { "cacheseal/seal": {
                "name": "seal", "requires": ["deps"], "context": "deps-signing", "cache": "npm", "key": "sealed",
                "binary": "/opt/image/cacheseal",
            } }] },
        },
    })
}

fn seal_with(roots: &str, workflow: &str, key: &str) -> (Site, Told) {
    let site = site_with("cacheseal.toml", roots, "package-lock.json");
    let told = site.run(&Push { config: Some(&sealing(key)), ..Push::of(workflow) });
    (site, told)
}

#[test]
fn a_save_that_fails_leaves_the_roots_where_they_were() {
    let (_site, told) = seal_with(r#"["x"]"#, "save", "{{ checksum \"nosuch\" }}");
    told.expect("failed");
    let job = told.job("save");
    assert_eq!(job.step("Save the sealed cache npm").status, "failed", "{}", told.shown());
    assert_eq!(job.step("Put the cache npm back").status, "success", "{}", told.shown());
    let home = job.directory.join("home/circleci");
    assert!(home.join("project/x/one").is_file() && !home.join(".cacheseal-npm").exists(), "{}", told.shown());
}

#[test]
fn nothing_of_the_workspace_is_left_beside_the_key() {
    let (_site, told) = seal_with(r#"["x"]"#, "seal", "");
    told.expect("success");
    let home = told.job("seal").directory.join("home/circleci");
    for gone in ["project/x", "project/.cacheseal/npm", ".cacheseal-npm"] {
        assert!(!home.join(gone).exists(), "{gone}: {}", told.shown());
    }
}

#[test]
fn roots_that_are_one_place_of_the_workspace_are_refused() {
    for roots in [r#"["x", "~/x"]"#, r#"["~/x/y", "/x"]"#] {
        let (_site, told) = seal_with(roots, "seal", "");
        told.job("seal").stopped_at("Seal the cache npm", 5);
        let said = &told.job("seal").step("Seal the cache npm").output;
        assert!(said.contains("expected roots that are apart below the workspace"), "{}", told.shown());
    }
}

/// The step runs after every failure. What has failed before it is told there, and not by this one.
#[test]
fn where_no_program_was_installed_nothing_is_put_back() {
    let site = site_with("cacheseal.toml", ROOTS, "package-lock.json");
    site.write("repository/move.sh", std::fs::read(file("orb/src/scripts/move.sh")).unwrap());
    site.commit("scripts");
    let step = |name: &str, mode: &str| {
        let environment = json!({ "PARAM_MOVE": mode, "PARAM_CACHE": "npm", "PARAM_POLICY": "cacheseal.toml" });
        json!({ "run": { "name": name, "environment": environment, "command": "/bin/bash -p -eo pipefail move.sh" } })
    };
    let config = json!({
        "version": 2.1,
        "jobs": { "job": {
            "docker": [{ "image": "cimg/base:stable" }],
            "steps": ["checkout", step("Back", "back"), step("Place", "place")],
        } },
        "workflows": { "main": { "jobs": ["job"] } },
    });
    let told = site.run(&Push { config: Some(&config), ..Push::of("main") });
    told.job("job").stopped_at("Place", 5);
    assert_eq!(told.job("job").step("Back").output, "", "{}", told.shown());
}
