//! What a name brings with it: beside the program or the repository that is named lies what that reads.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::job::Job;
use crate::rows::some;

const GIT: &str = "what git reads for the checkout";

/// A program with what it reads beside it: its path.
fn program(job: &Job, path: &str) -> String {
    let program = job.write(path, "");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program.to_str().unwrap().to_owned()
}

/// A bare repository whose hooks lie at `srv/hooks`, as git makes them.
fn repository(job: &Job, path: &str) -> String {
    let hooks = job.write("srv/hooks/README", "");
    job.write(&format!("{path}/HEAD"), "ref: refs/heads/main\n");
    job.write(&format!("{path}/objects/info/README"), "");
    job.write(&format!("{path}/refs/README"), "");
    let hooks = hooks.parent().unwrap().display();
    let config = job.write(&format!("{path}/config"), &format!("[core]\n\thooksPath = {hooks}\n"));
    config.parent().unwrap().to_str().unwrap().to_owned()
}

/// How something is named, what a restore writes, and the rule that sees it.
type Kind = (&'static str, fn(&mut Job), &'static str, &'static str);

const KINDS: [Kind; 10] = [
    (
        "a variable names a program",
        |job| {
            let program = program(job, "srv/tc/bin/gcc");
            job.write("srv/tc/lib/cc1", "");
            job.set("CC", format!("ccache {program}"));
        },
        "srv/tc/lib/cc1",
        "named by $CC",
    ),
    (
        "a variable names a script",
        |job| {
            let script = job.write("srv/boot/boot.js", "require('./lib/more')");
            job.set("NODE_OPTIONS", format!("--require {}", script.display()));
        },
        "srv/boot/lib/more.js",
        "named by $NODE_OPTIONS",
    ),
    (
        "a variable names a script of a package",
        |job| {
            job.write("srv/pack/package.json", "{}");
            job.write("srv/pack/dist/esm/package.json", "{\"type\":\"module\"}");
            let script = job.write("srv/pack/dist/esm/boot.js", "");
            job.set("NODE_OPTIONS", format!("--import {}", script.display()));
        },
        "srv/pack/lib/more.js",
        "named by $NODE_OPTIONS",
    ),
    (
        "a link of home leads to a program in a package within another",
        |job| {
            job.write("srv/tool/package.json", "{}");
            job.write("srv/tool/dist/esm/package.json", "{\"type\":\"module\"}");
            let program = program(job, "srv/tool/dist/esm/cli.js");
            symlink(program, job.at("home/cli")).unwrap();
        },
        "srv/tool/lib/more.js",
        "where `",
    ),
    (
        "a variable names a repository",
        |job| {
            let repository = repository(job, "srv/repo.git");
            job.set("GIT_DIR", repository);
        },
        "srv/hooks/post-checkout",
        GIT,
    ),
    ("a repository of any name in home", |job| drop(repository(job, "home/mirror")), "srv/hooks/post-checkout", GIT),
    (
        "a variable has git include a file",
        |job| {
            let hooks = job.write("srv/hooks/README", "");
            let config = format!("[core]\n\thooksPath = {}\n", hooks.parent().unwrap().display());
            let included = job.write("srv/included", &config);
            job.set("GIT_CONFIG_COUNT", "1");
            job.set("GIT_CONFIG_KEY_0", "include.path");
            job.set("GIT_CONFIG_VALUE_0", included.to_str().unwrap());
        },
        "srv/hooks/post-checkout",
        GIT,
    ),
    (
        "git is told to include a file",
        |job| {
            let hooks = job.write("srv/hooks/README", "");
            let config = format!("[core]\n\thooksPath = {}\n", hooks.parent().unwrap().display());
            let included = job.write("srv/included", &config);
            job.set("GIT_CONFIG_PARAMETERS", format!("'include.path'='{}'", included.display()));
        },
        "srv/hooks/post-checkout",
        GIT,
    ),
    (
        "objects of a repository lie in another one",
        |job| {
            job.write("srv/mirror/objects/pack/README", "");
            let far = job.write("srv/far/objects/pack/README", "");
            let far = far.parent().unwrap().parent().unwrap().display().to_string();
            job.write("srv/mirror/objects/info/alternates", &format!("{far}\n"));
            let objects = job.at("srv/mirror/objects");
            job.guarded.write(".git/objects/info/alternates", format!("{}\n", objects.display()));
        },
        "srv/far/objects/pack/one.pack",
        GIT,
    ),
    (
        "git's configuration names a program",
        |job| {
            let program = program(job, "srv/helper/bin/helper");
            job.write("srv/helper/lib/more", "");
            job.guarded.write(".git/config", format!("[credential]\n\thelper = {program} --cache\n"));
        },
        "srv/helper/lib/more",
        GIT,
    ),
];

#[test]
fn what_lies_beside_something_named_is_watched() {
    for (kind, before, place, rule) in some(KINDS) {
        let mut job = Job::new();
        before(&mut job);
        job.start(&[]);
        let place = job.write(place, "planted");
        let checked = job.guarded.check();
        checked.expect_of(kind, 15, &["stray-write"]);
        let expected = checked.expected(&place);
        assert!(expected.contains(&format!("(watched: {rule}")), "{kind}: {expected}");
    }
}
