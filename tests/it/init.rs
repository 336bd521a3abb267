//! `init`: what it writes works as it is, and nothing is overwritten.

use std::fs;
use std::process::Stdio;

use crate::forge::remove;
use crate::guard::of_the_machine;
use crate::harness::{Project, copy_tree};

/// A project without a policy.
fn bare(lockfiles: &[&str]) -> Project {
    let project = Project::empty("");
    for name in ["cacheseal.toml", "keys", "deps.lock"] {
        remove(&project.path(name));
    }
    for name in lockfiles {
        project.write(name, "x\n");
    }
    project
}

#[test]
fn without_a_lockfile_there_is_nothing_to_begin_with() {
    let project = bare(&[]);
    project.json(&["init"]).expect_error(5, "no-lockfile");
    assert_eq!(fs::read_dir(project.root()).unwrap().count(), 0);
    assert_eq!(fs::read_dir(project.home()).unwrap().count(), 0);
}

#[test]
fn what_init_writes_seals_and_verifies() {
    let caches = [("Cargo.lock", "cargo"), ("package-lock.json", "npm"), ("go.sum", "go"), ("Gemfile.lock", "bundler")];
    for (lockfile, cache) in caches {
        let project = bare(&[lockfile]);
        let init = project.json(&["init", "--project", "github.com/acme/app"]);
        assert_eq!(init.code, Some(0), "{:#}", init.json);
        let private = init.json["private"].as_str().unwrap();
        assert!(private.starts_with(fs::canonicalize(project.home()).unwrap().to_str().unwrap()), "{private}");
        fill(&project, cache);
        project.json(&["seal", cache, "--key", private]).expect(0, &[]);
        project.json(&["verify", cache, "--gate", "ci", "--trust-checkout"]).expect(0, &[]);
        let pin = project.run(&["policy", "digest"]).stdout;
        project.json(&["verify", cache, "--gate", "ci", "--policy-sha256", pin.trim_end()]).expect(0, &[]);
        assert!(fs::read_to_string(project.path(".gitignore")).unwrap().lines().any(|line| line == ".cacheseal/"));
    }
}

/// The arguments of each command of ours that a text holds.
fn commands(text: &str) -> Vec<Vec<&str>> {
    let steps = text.lines().filter(|line| line.trim_start().starts_with("- run:"));
    let commands = steps.filter_map(|line| Some(line.split_once("cacheseal ")?.1));
    commands.map(|command| command.trim_end_matches(" }").split_whitespace().collect()).collect()
}

#[test]
fn the_steps_that_init_prints_work() {
    let project = bare(&["Cargo.lock", "package-lock.json"]);
    let init = project.run(&["init"]);
    let policy = fs::read_to_string(project.path("cacheseal.toml")).unwrap();
    project.write("cacheseal.toml", format!("{policy}\n[guard]\nallow = {:?}\n", of_the_machine()));
    let steps = commands(&init.stdout);
    let verbs: Vec<_> = steps.iter().map(|step| step[0]).collect();
    assert_eq!(verbs, ["seal", "seal", "guard", "guard", "verify", "verify"], "{}", init.stdout);
    let private = init.stdout.lines().next().unwrap().rsplit(' ').next().unwrap();
    for (seal, cache) in steps.iter().zip(["cargo", "npm"]) {
        fill(&project, cache);
        assert_eq!(seal[..3], ["seal", cache, "--key-env"]);
        project.json(&["seal", cache, "--key", private]).expect(0, &[]);
    }
    let saved = |cache: &str| project.outside(&format!("saved-{cache}"));
    let seal = |cache: &str| project.path(&format!(".cacheseal/{cache}"));
    let caches = [("cargo", "../home/.cargo/registry"), ("npm", "node_modules")];
    for (cache, root) in caches {
        fs::create_dir(saved(cache)).unwrap();
        fs::rename(project.path(root), saved(cache).join("root")).unwrap();
        fs::rename(seal(cache), saved(cache).join("seal")).unwrap();
    }
    let mut guard = project.command().args(&steps[2]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(project.run(&steps[3]).code, Some(0));
    // As the steps stand: each restore is followed by its verification.
    for (verify, (cache, root)) in steps[4..].iter().zip(caches) {
        copy_tree(&saved(cache).join("root"), &project.path(root));
        copy_tree(&saved(cache).join("seal"), &seal(cache));
        project.json(verify).expect(0, &[]);
    }
    assert_eq!(project.run(&["guard", "stop"]).code, Some(0));
    assert!(guard.wait().unwrap().success());
}

fn fill(project: &Project, cache: &str) {
    let root = match cache {
        "cargo" => "../home/.cargo/registry",
        "npm" => "node_modules",
        "go" => "../home/go/pkg/mod",
        _ => "vendor/bundle",
    };
    project.write(&format!("{root}/a/b"), "x");
}

#[test]
fn a_second_init_changes_nothing() {
    let project = bare(&["Cargo.lock", "package-lock.json"]);
    assert_eq!(project.run(&["init"]).code, Some(0));
    let state = || {
        let names = ["cacheseal.toml", "keys/deps-main.pub", ".gitignore"];
        names.map(|name| fs::read(project.path(name)).unwrap())
    };
    let before = state();
    project.json(&["init"]).expect_error(5, "file-exists");
    assert_eq!(state(), before);
    // Nor is a key overwritten when the policy is gone.
    remove(&project.path("cacheseal.toml"));
    project.json(&["init"]).expect_error(5, "file-exists");
    assert!(!project.path("cacheseal.toml").exists());
    remove(&project.path("keys"));
    project.json(&["init"]).expect_error(5, "file-exists");
    assert!(!project.path("cacheseal.toml").exists());
    // A link that leads nowhere is something too.
    project.relink("cacheseal.toml", "nowhere");
    project.json(&["init"]).expect_error(5, "file-exists");
    assert!(!project.path("nowhere").exists());
}

#[test]
fn lines_are_added_to_gitignore_and_none_is_lost() {
    let ours = ".cacheseal/\n.cacheseal-refused-*/\n";
    for (before, after) in [
        ("", ours.to_owned()),
        ("target", format!("target\n{ours}")),
        ("target\n", format!("target\n{ours}")),
        (".cacheseal/\n", ".cacheseal/\n.cacheseal-refused-*/\n".to_owned()),
        (".cacheseal-refused-*/\n.cacheseal/", ".cacheseal-refused-*/\n.cacheseal/".to_owned()),
    ] {
        let project = bare(&["Cargo.lock"]);
        project.write(".gitignore", before);
        assert_eq!(project.run(&["init"]).code, Some(0));
        assert_eq!(fs::read_to_string(project.path(".gitignore")).unwrap(), after, "{before:?}");
    }
}

#[test]
fn the_private_key_goes_where_it_was_said() {
    let project = bare(&["Cargo.lock"]);
    let run = project.run(&["init", "--key-out", "-"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let line = run.stdout.lines().next().unwrap();
    assert!(cacheseal::identity::SecretKey::from_line(line).is_ok());
    assert_eq!(fs::read_dir(project.home()).unwrap().count(), 0);

    let project = bare(&["Cargo.lock"]);
    let out = project.outside("mine.key");
    assert_eq!(project.run(&["init", "--key-out", out.to_str().unwrap()]).code, Some(0));
    project.write("../home/.cargo/registry/a", "x");
    project.json(&["seal", "cargo", "--key", out.to_str().unwrap()]).expect(0, &[]);
}

#[test]
fn a_project_name_cannot_write_into_the_policy() {
    for name in ["a\"\n[gate.evil]\nrequire = []", "a\u{1b}[2J", ""] {
        let project = bare(&["Cargo.lock"]);
        project.json(&["init", "--project", name]).expect_error(5, "malformed-policy");
        assert!(!project.path("cacheseal.toml").exists() && !project.path("keys").exists(), "{name:?}");
    }
}

#[test]
fn without_keys_only_what_lockfiles_prove_whole_is_proposed() {
    let project = bare(&["Cargo.lock", "Gemfile.lock"]);
    let lockfile = "version = 4\n";
    project.write("Cargo.lock", lockfile);
    let init = project.json(&["init", "--lockfile-only", "--project", "github.com/acme/app"]);
    assert_eq!(init.code, Some(0), "{:#}", init.json);
    assert_eq!(init.json["caches"], serde_json::json!(["cargo"]));
    assert!(!project.path("keys").exists() && !project.path(".gitignore").exists());
    assert_eq!(fs::read_dir(project.home()).unwrap().count(), 0);
    let policy = fs::read_to_string(project.path("cacheseal.toml")).unwrap();
    assert!(policy.contains("roots     = [\"~/.cargo/registry/cache\", \"~/.cargo/registry/src\"]\n"), "{policy}");
    assert_eq!(project.run(&["policy", "check"]).code, Some(0));
    let verify = ["verify", "cargo", "--gate", "lockfile", "--trust-checkout"];
    project.json(&verify).expect(3, &["nothing-restored"]);
    project.write("../home/.cargo/registry/src/a/b", "x");
    project.json(&verify).expect(14, &["unproven-entry"]);
    // What is there is not overwritten.
    project.json(&["init", "--lockfile-only"]).expect_error(5, "file-exists");
    assert_eq!(fs::read_to_string(project.path("cacheseal.toml")).unwrap(), policy);
}

#[test]
fn without_keys_a_lockfile_that_proves_nothing_whole_is_not_enough() {
    let project = bare(&["Gemfile.lock"]);
    project.json(&["init", "--lockfile-only"]).expect_error(5, "no-lockfile");
    assert!(!project.path("cacheseal.toml").exists());
    let run = project.run(&["init", "--lockfile-only", "--key-out", "-"]);
    assert_eq!(run.code, Some(2));
}

/// `cacheseal.toml` that `init --lockfile-only` writes for these files, and what it answers.
fn lockfile_only(lockfiles: &[&str]) -> (Project, serde_json::Value) {
    let project = bare(lockfiles);
    let init = project.json(&["init", "--lockfile-only", "--project", "github.com/acme/app"]);
    assert_eq!(init.code, Some(0), "{lockfiles:?}: {:#}", init.json);
    assert_eq!(project.run(&["policy", "check"]).code, Some(0), "{lockfiles:?}");
    (project, init.json)
}

#[test]
fn lockfiles_in_directories_are_known() {
    let (metadata, checksums) = ("gradle/verification-metadata.xml", ".mvn/checksums/checksums");
    let (sha256, central) = (format!("{checksums}.sha256"), format!("{checksums}-central.sha256"));
    let sha512 = format!("{checksums}.sha512");
    for (lockfiles, cache, root, written) in [
        (vec![metadata], "gradle", "~/.gradle/caches/modules-2/files-2.1", vec![metadata]),
        (vec![metadata, "gradle.lockfile"], "gradle", "~/.gradle/caches/modules-2/files-2.1", vec![metadata]),
        (vec![&sha256], "maven", "~/.m2/repository", vec![&sha256]),
        (vec![&sha512], "maven", "~/.m2/repository", vec![&sha512]),
        // One file for each repository, and all are needed; what the proof does not read is no lockfile.
        (
            vec![&sha256, &central, &sha512, ".mvn/checksums/checksumsx.sha256"],
            "maven",
            "~/.m2/repository",
            vec![&central, &sha256],
        ),
    ] {
        let (project, answer) = lockfile_only(&lockfiles);
        assert_eq!(answer["caches"], serde_json::json!([cache]));
        let policy = fs::read_to_string(project.path("cacheseal.toml")).unwrap();
        assert!(policy.contains(&format!("roots     = [\"{root}\"]\nlockfiles = {written:?}\n")), "{policy}");
    }
    // With keys too, and the key of the cache is that of all its lockfiles.
    let project = bare(&[&sha256, &central]);
    let init = project.run(&["init"]);
    assert_eq!(init.code, Some(0), "{}", init.stderr);
    let key = format!("maven-v1-{{{{ checksum \"{central}\" }}}}-{{{{ checksum \"{sha256}\" }}}}\n");
    assert!(init.stdout.contains(&key), "{}", init.stdout);
}

#[test]
fn the_policy_for_gradle_and_maven_holds() {
    let digest = cacheseal::base::Digest::sha256(b"a jar");
    let project = bare(&[".mvn/checksums/checksums.sha256"]);
    project.write(".mvn/checksums/checksums.sha256", format!("{digest}  org/lib.jar\n"));
    assert_eq!(project.json(&["init", "--lockfile-only"]).code, Some(0));
    let verify = ["verify", "maven", "--gate", "lockfile", "--trust-checkout"];
    project.write("../home/.m2/repository/org/lib.jar", "a jar");
    project.json(&verify).expect(0, &[]);
    project.write("../home/.m2/repository/org/lib.jar", "evil!");
    project.json(&verify).expect(14, &["lockfile-mismatch"]);
}

#[test]
fn a_lockfile_that_is_not_read_is_sealed_and_never_said_to_prove() {
    for (lockfile, cache) in [("gradle.lockfile", "gradle"), ("Gemfile.lock", "bundler")] {
        let project = bare(&[lockfile]);
        project.json(&["init", "--lockfile-only"]).expect_error(5, "no-lockfile");
        let init = project.json(&["init", "--project", "github.com/acme/app"]);
        assert_eq!((init.code, &init.json["caches"]), (Some(0), &serde_json::json!([cache])));
        let policy = fs::read_to_string(project.path("cacheseal.toml")).unwrap();
        assert!(policy.contains(", which no gate can prove by the lockfile\n[cache."), "{policy}");
        assert!(!policy.contains("\nrequire   = [\"lockfile\"]"), "{policy}");
    }
}

#[test]
fn of_lockfiles_that_fill_one_directory_the_first_is_taken() {
    let all = ["npm-shrinkwrap.json", "package-lock.json", "yarn.lock", "pnpm-lock.yaml"];
    for (count, cache) in [(1, "npm"), (2, "npm"), (3, "yarn"), (4, "pnpm")] {
        let project = bare(&all[..count]);
        assert_eq!(project.json(&["init"]).json["caches"], serde_json::json!([cache]));
    }
    let project = bare(&["requirements.txt", "Pipfile.lock"]);
    assert_eq!(project.json(&["init"]).json["caches"], serde_json::json!(["pipenv"]));
}

#[test]
fn without_keys_cargo_home_is_where_the_variable_says() {
    let project = bare(&["Cargo.lock"]);
    let mut command = project.command();
    let output =
        command.args(["init", "--lockfile-only"]).env("CARGO_HOME", project.home().join("rust/cargo")).output();
    assert!(output.unwrap().status.success());
    let policy = fs::read_to_string(project.path("cacheseal.toml")).unwrap();
    assert!(policy.contains("\"~/rust/cargo/registry/cache\""), "{policy}");
}

/// The roots of the only cache that `init` proposes where these variables are set.
fn roots(project: &Project, variables: &[(&str, &str)]) -> String {
    let mut command = project.command();
    let output = command.args(["init", "--project", "p", "--key-out", "-"]).envs(variables.iter().copied()).output();
    assert!(output.as_ref().unwrap().status.success(), "{output:?}");
    let policy = fs::read_to_string(project.path("cacheseal.toml")).unwrap();
    let mut lines = policy.lines().filter_map(|line| line.strip_prefix("roots     = "));
    let roots = lines.next().unwrap().to_owned();
    assert_eq!(lines.next(), None, "{policy}");
    roots
}

#[test]
fn roots_are_where_variables_put_them() {
    let rows = [
        ("Cargo.lock", "CARGO_HOME", r#"["/srv/x/registry", "/srv/x/git/db"]"#),
        ("go.sum", "GOMODCACHE", r#"["/srv/x"]"#),
        ("go.sum", "GOPATH", r#"["/srv/x/pkg/mod"]"#),
        ("uv.lock", "UV_CACHE_DIR", r#"["/srv/x"]"#),
        ("uv.lock", "XDG_CACHE_HOME", r#"["/srv/x/uv"]"#),
        ("poetry.lock", "POETRY_CACHE_DIR", r#"["/srv/x"]"#),
        ("Pipfile.lock", "PIP_CACHE_DIR", r#"["/srv/x"]"#),
        (".pre-commit-config.yaml", "PRE_COMMIT_HOME", r#"["/srv/x"]"#),
        ("gradle.lockfile", "GRADLE_USER_HOME", r#"["/srv/x/caches/modules-2"]"#),
        ("packages.lock.json", "NUGET_PACKAGES", r#"["/srv/x"]"#),
        ("Gemfile.lock", "BUNDLE_PATH", r#"["/srv/x"]"#),
        ("composer.lock", "COMPOSER_VENDOR_DIR", r#"["/srv/x"]"#),
        ("pnpm-lock.yaml", "npm_config_store_dir", r#"["node_modules", "/srv/x"]"#),
        ("pnpm-lock.yaml", "PNPM_HOME", r#"["node_modules", "/srv/x/store"]"#),
        ("pnpm-lock.yaml", "XDG_DATA_HOME", r#"["node_modules", "/srv/x/pnpm/store"]"#),
        ("bun.lock", "BUN_INSTALL_CACHE_DIR", r#"["node_modules", "/srv/x"]"#),
        ("bun.lockb", "BUN_INSTALL", r#"["node_modules", "/srv/x/install/cache"]"#),
        ("Podfile.lock", "PATH_OF_NOBODY", r#"["Pods"]"#),
    ];
    for (lockfile, variable, expected) in rows {
        assert_eq!(roots(&bare(&[lockfile]), &[(variable, "/srv/x")]), expected, "{lockfile} {variable}");
    }
    // In home and in the project they are spelled so that they hold elsewhere too.
    let project = bare(&["go.sum"]);
    let inside = project.path("build/mod");
    assert_eq!(roots(&project, &[("GOMODCACHE", inside.to_str().unwrap())]), r#"["build/mod"]"#);
    let project = bare(&["go.sum"]);
    let home = project.home().join("m");
    let both = [("GOPATH", "/srv/x"), ("GOMODCACHE", home.to_str().unwrap())];
    assert_eq!(roots(&project, &both), r#"["~/m"]"#);
    // Of several, Go fills the first; a slash at the end says nothing.
    assert_eq!(roots(&bare(&["go.sum"]), &[("GOPATH", "/srv/x/:/srv/y")]), r#"["/srv/x/pkg/mod"]"#);
    assert_eq!(roots(&bare(&["go.sum"]), &[("GOMODCACHE", "/srv/./x/")]), r#"["/srv/x"]"#);
    // A store among the installed packages is no root of its own.
    let project = bare(&["pnpm-lock.yaml"]);
    let inside = project.path("node_modules/.store");
    assert_eq!(roots(&project, &[("npm_config_store_dir", inside.to_str().unwrap())]), r#"["node_modules"]"#);
    // Relative to the project, as Bundler takes it; to nobody knows what; and nothing at all.
    assert_eq!(roots(&bare(&["Gemfile.lock"]), &[("BUNDLE_PATH", "gems")]), r#"["gems"]"#);
    assert_eq!(roots(&bare(&["uv.lock"]), &[("UV_CACHE_DIR", "x")]), r#"["~/.cache/uv"]"#);
    assert_eq!(roots(&bare(&["uv.lock"]), &[("UV_CACHE_DIR", "")]), r#"["~/.cache/uv"]"#);
}

#[test]
fn each_form_of_yarn_has_its_roots() {
    let (yarn_3, yarn_4) = ("__metadata:\n  version: 6\n", "__metadata:\n  version: 8\n  cacheKey: 10c0\n");
    for (lockfile, configuration, expected) in [
        ("# yarn lockfile v1\n", "", r#"["node_modules"]"#),
        (yarn_3, "", r#"[".yarn/cache"]"#),
        (yarn_4, "", r#"["~/.yarn/berry/cache"]"#),
        (yarn_4, "enableGlobalCache: false\n", r#"[".yarn/cache"]"#),
    ] {
        let project = bare(&[]);
        project.write("yarn.lock", lockfile);
        project.write(".yarnrc.yml", configuration);
        assert_eq!(roots(&project, &[]), expected, "{lockfile}{configuration}");
    }
    let project = bare(&[]);
    project.write("yarn.lock", yarn_4);
    let folder = project.outside("folder");
    let expected = format!("[\"{}/cache\"]", folder.display());
    assert_eq!(roots(&project, &[("YARN_GLOBAL_FOLDER", folder.to_str().unwrap())]), expected);
}

#[test]
fn roots_of_two_tools_never_touch() {
    let project = bare(&["Gemfile.lock", "composer.lock", "Podfile.lock"]);
    let init = project.json(&["init", "--project", "p"]);
    assert_eq!(init.json["caches"], serde_json::json!(["bundler", "cocoapods"]));
}

#[test]
fn an_init_that_fails_leaves_nothing_behind() {
    type Prepare = fn(&Project);
    let cases: [(&str, Prepare, i32, &str); 3] = [
        ("a private key", |p| p.write("../home/.config/cacheseal/p/deps-main.key", "mine"), 5, "file-exists"),
        ("a public key", |p| p.write("keys/deps-main.pub", "mine"), 5, "file-exists"),
        ("no list of what git ignores", |p| p.write(".gitignore/x", ""), 4, "unwritable"),
    ];
    for (what, prepare, exit, code) in cases {
        let project = bare(&["Cargo.lock"]);
        prepare(&project);
        let before = everything(&project);
        project.json(&["init", "--project", "p"]).expect_error(exit, code);
        assert_eq!(everything(&project), before, "{what}");
    }
}

/// Every path of the project and of home.
fn everything(project: &Project) -> Vec<std::path::PathBuf> {
    let mut all = vec![project.root().clone(), project.home().clone()];
    let mut at = 0;
    while at < all.len() {
        all.extend(fs::read_dir(&all[at]).into_iter().flatten().map(|entry| entry.unwrap().path()));
        at += 1;
    }
    all.sort();
    all
}

/// A policy that no command would take is not written.
#[test]
fn variables_that_no_root_can_follow_are_an_error() {
    for (lockfile, variable, value) in [
        ("Gemfile.lock", "BUNDLE_PATH", "keys"),
        ("Gemfile.lock", "BUNDLE_PATH", ".."),
        ("Gemfile.lock", "BUNDLE_PATH", "Gemfile.lock"),
        ("Gemfile.lock", "BUNDLE_PATH", "a\nb"),
        ("composer.lock", "COMPOSER_VENDOR_DIR", "."),
    ] {
        let project = bare(&[lockfile]);
        let before = everything(&project);
        let output = project.command().args(["init", "--project", "p"]).env(variable, value).output().unwrap();
        assert_eq!(output.status.code(), Some(5), "{variable}={value:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("hint: nothing was written"), "{said}");
        assert_eq!(everything(&project), before, "{variable}={value:?}");
    }
}
