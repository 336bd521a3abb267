//! What a restore plants where no list names it is refused, by a rule.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::alone_json;
use super::job::Job;
use crate::harness::Run;
use crate::rows::some;

/// Variables that no list names.
const VARIABLES: [&str; 60] = [
    "ANDROID_SDK_ROOT",
    "ANT_HOME",
    "AWS_CA_BUNDLE",
    "BAT_CONFIG_PATH",
    "BUILDKIT_HOST_DIR",
    "BUNDLE_GEMFILE",
    "CABAL_DIR",
    "CARGO_TARGET_DIR",
    "CCACHE_DIR",
    "CHROME_BIN",
    "CLOUDSDK_CONFIG",
    "CMAKE_PREFIX_PATH",
    "CONAN_HOME",
    "COREPACK_HOME",
    "CPATH",
    "CYPRESS_CACHE_FOLDER",
    "DART_SDK",
    "DOTNET_ROOT",
    "ELECTRON_CACHE",
    "EMSDK",
    "ERL_LIBS",
    "FLUTTER_ROOT",
    "FPATH",
    "GHCUP_INSTALL_BASE_PREFIX",
    "GOTOOLDIR",
    "HEX_HOME",
    "INPUTRC",
    "JULIA_DEPOT_PATH",
    "JUPYTER_PATH",
    "LD_ORIGIN_PATH",
    "LIBRARY_PATH",
    "LUA_PATH",
    "MAKEFILES",
    "MAVEN_CONFIG",
    "MIX_HOME",
    "MYPYPATH",
    "NIX_PROFILES",
    "NODE_REPL_HISTORY",
    "NUGET_PACKAGES",
    "OPAMROOT",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "PERL5DB_FILE",
    "PHP_INI_SCAN_DIR",
    "PIPX_HOME",
    "PKG_CONFIG_PATH",
    "PLAYWRIGHT_BROWSERS_PATH",
    "PRE_COMMIT_HOME",
    "PUB_CACHE",
    "PYTHONPYCACHEPREFIX",
    "REQUESTS_CA_BUNDLE",
    "RUSTC_WRAPPER",
    "R_LIBS_USER",
    "SBT_HOME",
    "SCCACHE_DIR",
    "STACK_ROOT",
    "TERRAFORM_CONFIG",
    "VCPKG_ROOT",
    "XDG_CONFIG_DIRS",
    "YARN_CACHE_FOLDER",
];

/// Values that name a file among other things; `@` is the file.
const VALUES: [(&str, &str); 6] = [
    ("NODE_OPTIONS", "--max-old-space-size=4096 --require @"),
    ("JAVA_TOOL_OPTIONS", "-Xmx1g -javaagent:@=port"),
    ("RUBYOPT", "-r@ -W0"),
    ("JDK_JAVA_OPTIONS", "@@"),
    ("GIT_SSH_COMMAND", "ssh -i '@' -F none"),
    ("SOME_JSON", "{\"a\":[\"https://host/x\",\"@\"]}"),
];

/// What tools look for above the directory that they run in.
const ABOVE: [&str; 50] = [
    ".commitlintrc.cjs",
    ".detoxrc.js",
    ".eslintrc.cjs",
    ".flake8",
    ".golangci.yml",
    ".huskyrc",
    ".idea",
    ".jshintrc",
    ".lintstagedrc.js",
    ".mocharc.js",
    ".nycrc",
    ".pre-commit-config.yaml",
    ".pylintrc",
    ".releaserc.js",
    ".rubocop.yml",
    ".ruby-gemset",
    ".sdkmanrc",
    ".stylelintrc.js",
    ".swcrc",
    ".terraformrc",
    ".venv",
    ".vscode",
    "BUILD.bazel",
    "CMakePresets.json",
    "Directory.Build.props",
    "Directory.Build.targets",
    "Directory.Packages.props",
    "Jakefile",
    "Justfile",
    "Rakefile",
    "Taskfile.yml",
    "ava.config.js",
    "babel.config.cjs",
    "build.gradle",
    "compose.yaml",
    "deno.jsonc",
    "eslint.config.js",
    "gems.rb",
    "global.json",
    "gradle",
    "gulpfile.js",
    "justfile",
    "mypy.ini",
    "noxfile.py",
    "nuget.config",
    "pom.xml",
    "prettier.config.js",
    "rush.json",
    "vitest.config.ts",
    "webpack.config.js",
];

/// Caches out of which default tools run code.
const CACHES: [&str; 7] = [
    "jest_0/jest-transform-cache-1/a/index.js",
    "v8-compile-cache-0/10.9.0/main.BLOB",
    "node-compile-cache/v22/a/b.js",
    "jiti/app-index.1a2b3c.js",
    "tsx-0/0a1b2c3d4e5f6071",
    "metro-file-map-0123456789abcdef0123456789abcdef-fedcba9876543210fedcba9876543210",
    ".bash_env-64f0c2d91ab34e5f6a7b8c9d-0-build",
];

#[test]
fn what_any_variable_names_is_watched() {
    let mut job = Job::new();
    for variable in VARIABLES {
        let place = job.at(&format!("srv/{variable}"));
        job.set(variable, place.to_str().unwrap());
    }
    for (variable, value) in VALUES {
        let place = job.at(&format!("srv/{variable}"));
        let value =
            if value == "@@" { format!("@{}", place.display()) } else { value.replace('@', place.to_str().unwrap()) };
        job.set(variable, value);
    }
    job.start(&[]);
    for variable in some(VARIABLES) {
        job.refuses(&job.at(&format!("srv/{variable}/below/file")), &format!("named by ${variable}"));
    }
    for (variable, _) in some(VALUES) {
        job.refuses(&job.at(&format!("srv/{variable}")), &format!("named by ${variable}"));
    }
}

#[test]
fn every_name_above_the_checkout_is_watched() {
    let job = Job::new();
    fs::create_dir_all(job.at(".cargo/there")).unwrap();
    job.start(&[]);
    for name in some(ABOVE) {
        job.refuses(&job.at(name), "directories above the checkout");
    }
    job.refuses(&job.at(".cargo/there/config.toml"), "directories above the checkout");
}

#[test]
fn caches_in_temporary_directories_are_watched() {
    let job = Job::new();
    job.start(&[]);
    for name in some(CACHES) {
        job.refuses(&job.at("tmp").join(name), "temporary directories");
    }
    // What the agent makes is told by its name: a file that nobody executes or looks for.
    let agent = job.at("tmp/step-64f0c2d91ab34e5f6a7b8c9d");
    fs::write(&agent, "").unwrap();
    job.guarded.check().expect(0, &[]);
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
    job.guarded.check().expect(15, &["stray-write"]);
    fs::remove_file(&agent).unwrap();
    fs::create_dir(&agent).unwrap();
    job.guarded.check().expect(15, &["stray-write"]);
}

#[test]
fn a_file_of_the_agent_that_a_variable_names_is_watched() {
    let mut job = Job::new();
    let named = job.at("tmp/step-64f0c2d91ab34e5f6a7b8c9d");
    job.set("BASH_ENV", named.to_str().unwrap());
    job.start(&[]);
    job.refuses(&named, "named by $BASH_ENV");
}

#[test]
fn a_planted_line_is_seen() {
    let job = Job::new();
    let sourced = job.at("tmp/.bash_env-64f0c2d91ab34e5f6a7b8c9d-0-build");
    fs::write(&sourced, "export A=1\n").unwrap();
    job.start(&[]);
    job.refuses(&sourced, "temporary directories");
}

/// The seven ways to lead a watched name elsewhere: what is there before, what a restore does, and the place told.
type Kind = (&'static str, fn(&Path), fn(&Path), &'static str, &'static str);

const KINDS: [Kind; 9] = [
    (
        "the target of a program on PATH",
        |at| fs::write(at.join("srv/lib/tool.sh"), "ok").unwrap(),
        |at| fs::write(at.join("srv/lib/tool.sh"), "evil").unwrap(),
        "srv/lib/tool.sh",
        "what `",
    ),
    (
        "beside the target: npm requires ../lib",
        |at| fs::write(at.join("srv/npm/package.json"), "{}").unwrap(),
        |at| fs::write(at.join("srv/npm/lib/cli.js"), "evil").unwrap(),
        "srv/npm/lib/cli.js",
        "what `",
    ),
    (
        "a link above a directory on PATH",
        |_| {},
        |at| {
            fs::create_dir_all(at.join("srv/node/v2/bin")).unwrap();
            relink("v2", &at.join("srv/node/current"));
        },
        "srv/node/current",
        "directories on PATH",
    ),
    ("the middle link of ~/.bashrc", |_| {}, |at| relink("c", &at.join("srv/a")), "srv/a", "where `"),
    (
        "the target of a dangling link of home",
        |_| {},
        |at| fs::write(at.join("srv/npmrc"), "evil").unwrap(),
        "srv/npmrc",
        "where `",
    ),
    (
        "below a directory that a link of the checkout leads to",
        |_| {},
        |at| fs::write(at.join("srv/venv/new.pth"), "evil").unwrap(),
        "srv/venv/new.pth",
        "where `",
    ),
    (
        "core.hooksPath",
        |_| {},
        |at| fs::write(at.join("srv/hooks/post-checkout"), "evil").unwrap(),
        "srv/hooks/post-checkout",
        "what git reads for the checkout",
    ),
    (
        "include.path of git's configuration",
        |_| {},
        |at| fs::write(at.join("srv/included"), "[core]\n").unwrap(),
        "srv/included",
        "what git reads for the checkout",
    ),
    (
        "a directory swapped behind the name that a variable has",
        |_| {},
        |at| {
            fs::create_dir(at.join("srv/sdk-2")).unwrap();
            relink("sdk-2", &at.join("srv/sdk"));
        },
        "srv/sdk",
        "named by $SDK",
    ),
];

fn relink(target: &str, at: &Path) {
    fs::remove_file(at).unwrap();
    symlink(target, at).unwrap();
}

/// A job with one of each kind.
fn linked() -> Job {
    let mut job = Job::new();
    let at = job.place.clone();
    for directory in ["srv/bin", "srv/lib", "srv/npm/bin", "srv/npm/lib", "srv/node/v1/bin", "srv/venv", "srv/hooks"] {
        fs::create_dir_all(at.join(directory)).unwrap();
    }
    fs::create_dir(at.join("srv/sdk-1")).unwrap();
    fs::write(at.join("srv/npm/bin/cli.js"), "").unwrap();
    let (hooks, included) = (at.join("srv/hooks"), at.join("srv/included"));
    let configuration =
        format!("[core]\n\thooksPath = {}\n[include]\n\tpath = {}\n", hooks.display(), included.display());
    fs::write(job.guarded.path(".git/config"), configuration).unwrap();
    for (target, link) in [
        ("../lib/tool.sh", "srv/bin/tool"),
        ("../npm/bin/cli.js", "srv/bin/npm"),
        ("v1", "srv/node/current"),
        ("b", "srv/a"),
        ("sdk-1", "srv/sdk"),
    ] {
        symlink(target, at.join(link)).unwrap();
    }
    symlink(at.join("srv/a"), at.join("home/.bashrc")).unwrap();
    symlink(at.join("srv/npmrc"), at.join("home/.npmrc")).unwrap();
    symlink(at.join("srv/venv"), job.guarded.path(".venv")).unwrap();
    job.set("PATH", format!("{0}/srv/bin:{0}/srv/node/current/bin", at.display()));
    job.set("SDK", at.join("srv/sdk").to_str().unwrap());
    job
}

#[test]
fn links_between_a_name_and_what_is_used_are_watched() {
    for (kind, before, restore, place, rule) in some(KINDS) {
        let job = linked();
        before(&job.place);
        job.start(&[]);
        job.guarded.restore();
        job.guarded.verify_guarded(&[]).expect_of(kind, 0, &[]);
        restore(&job.place);
        let verified = job.guarded.verify_guarded(&[]);
        verified.expect_of(kind, 15, &["stray-write"]);
        let expected = verified.expected(&job.at(place));
        assert!(expected.contains(&format!("(watched: {rule}")), "{kind}: {expected}");
    }
}

#[test]
fn a_git_directory_elsewhere_is_watched() {
    let job = Job::new();
    let main = job.at("srv/main.git");
    fs::create_dir_all(main.join("worktrees/one")).unwrap();
    fs::create_dir(main.join("hooks")).unwrap();
    fs::write(main.join("worktrees/one/commondir"), "../..\n").unwrap();
    fs::remove_dir(job.guarded.path(".git")).unwrap();
    job.guarded.write(".git", format!("gitdir: {}\n", main.join("worktrees/one").display()));
    job.start(&[]);
    job.refuses(&main.join("worktrees/one/config.worktree"), "what git reads for the checkout");
    job.refuses(&main.join("hooks/post-checkout"), "what git reads for the checkout");
}

#[test]
fn the_working_directory_is_watched_without_git() {
    let job = Job::new();
    let (policy, work) = (job.guarded.path("cacheseal.toml"), job.at("work/sub"));
    fs::create_dir_all(&work).unwrap();
    let mut command = job.guarded.command();
    command.current_dir(&work).args(alone_json()).args(["--policy", policy.to_str().unwrap()]);
    Run::of(command.output().unwrap()).verdict().expect(0, &[]);
    job.refuses(&work.join("src/main.rs"), "the working directory");
    job.refuses(&job.at("work/conftest.py"), "directories above the checkout");
}
