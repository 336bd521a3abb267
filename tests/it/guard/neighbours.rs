//! What lies beside, above or behind a watched name, and what a value names in an unusual way.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::job::Job;

/// Values that name a file in an unusual way; `@` stands for the directory that holds home and checkout.
const VALUES: [(&str, &str, &str); 14] = [
    ("URL_PERCENT", "--import=file://@/srv/a%20b.mjs", "srv/a b.mjs"),
    ("URL_HOST", "--import=file://localhost@/srv/host.mjs", "srv/host.mjs"),
    ("URL_QUERY", "file://@/srv/query.mjs?v=1#x", "srv/query.mjs"),
    ("URL_JAR", "jar:file:@/srv/x.jar!/conf", "srv/x.jar"),
    ("AFTER_BAR", "https://proxy.example|file://@/srv/proxy", "srv/proxy/x.zip"),
    ("AFTER_COLON", "https://host/a:@/srv/colon", "srv/colon/x"),
    ("ESCAPED_BLANK", "--require @/srv/c\\ d.js", "srv/c d.js"),
    ("ESCAPED_QUOTE", "{\\\"a\\\":\\\"@/srv/quote\\\"}", "srv/quote"),
    ("UP_FROM_BELOW", "src/../../up/lib", "up/lib/m.py"),
    ("UP_FROM_HOME", "~/../tilde/f", "tilde/f"),
    ("LONG_OPTION", "-idirafter@/srv/h1 -Wl,-L@/srv/h2", "srv/h2/x.so"),
    ("OPTION_UP", "-isystem../up2/include", "up2/include/x.h"),
    ("BANG", "!@/srv/bang --x", "srv/bang"),
    ("QUESTION_MARK", "@/srv/jars/?.jar", "srv/jars/a.jar"),
];

#[test]
fn values_name_files_in_many_ways() {
    let mut job = Job::new();
    for directory in ["up/lib", "up2/include", "tilde"] {
        fs::create_dir_all(job.at(directory)).unwrap();
    }
    for (variable, value, _) in VALUES {
        job.set(variable, value.replace('@', job.place.to_str().unwrap()));
    }
    job.start(&[]);
    for (variable, _, planted) in VALUES {
        job.refuses(&job.at(planted), &format!("named by ${variable}"));
    }
}

#[test]
fn what_a_variable_names_by_its_file_name_alone_is_not_the_agents() {
    for (value, exit) in [("step-64f0c2d91ab34e5f6a7b8c9d", 15), ("x,step-64f0c2d91ab34e5f6a7b8c9d", 15), ("step", 0)] {
        let mut job = Job::new();
        job.set("SOURCED", value);
        job.start(&[]);
        fs::write(job.at("tmp/step-64f0c2d91ab34e5f6a7b8c9d"), "").unwrap();
        let codes: &[&str] = if exit == 0 { &[] } else { &["stray-write"] };
        job.guarded.check().expect_of(value, exit, codes);
    }
}

/// Directories on PATH and what their programs may read: what is there before, and what a restore adds.
const ON_PATH: [(&str, &[&str], &str); 6] = [
    ("srv/s/scripts", &["srv/s/lib/old.js"], "srv/s/lib/x.js"),
    ("srv/jdk/jre/bin", &["srv/jdk/release"], "srv/jdk/lib/x.jar"),
    // Directly in the directory that holds home.
    ("flat", &["flat/lib/old.js"], "flat/lib/x.js"),
    ("srv/t/bin", &[], "srv/t/lib/x.js"),
    ("srv/s/scripts", &[], "srv/node_modules/o/index.js"),
    ("srv/one/two/bin", &[], "srv/one/node_modules/o/index.js"),
];

#[test]
fn a_directory_on_path_is_watched_with_its_package_whatever_its_name() {
    let mut job = Job::new();
    let mut path = Vec::new();
    for (directory, before, _) in ON_PATH {
        fs::create_dir_all(job.at(directory)).unwrap();
        for file in before {
            job.write(file, "");
        }
        path.push(job.at(directory).to_str().unwrap().to_owned());
    }
    job.set("PATH", path.join(":"));
    job.start(&[]);
    for (directory, _, planted) in ON_PATH {
        let rule = format!("what `{}` on PATH belongs to", job.at(directory).display());
        let is_below = planted.starts_with(directory);
        job.refuses(&job.at(planted), if is_below { "directories on PATH" } else { &rule });
    }
}

#[test]
fn node_modules_above_a_linked_program_are_watched() {
    let mut job = Job::new();
    job.write("srv/npm/lib/cli.js", "");
    job.write("srv/npm/package.json", "{}");
    fs::create_dir_all(job.at("other/bin")).unwrap();
    symlink(job.at("srv/npm/lib/cli.js"), job.at("other/bin/npm")).unwrap();
    job.set("PATH", job.at("other/bin").to_str().unwrap());
    job.start(&[]);
    let rule = format!("what `{}` on PATH belongs to", job.at("other/bin/npm").display());
    job.refuses(&job.at("srv/node_modules/o/index.js"), &rule);
}

#[test]
fn what_tools_find_above_home_is_watched() {
    let mut job = Job::new();
    fs::create_dir_all(job.at("homes/user")).unwrap();
    fs::create_dir_all(job.at("homes/node_modules/old")).unwrap();
    job.set("HOME", job.at("homes/user").to_str().unwrap());
    job.start(&[]);
    job.refuses(&job.at("homes/node_modules/x/index.js"), "directories above home");
    job.refuses(&job.at("homes/node_modules/old/index.js"), "directories above home");
    job.refuses(&job.at("homes/.npmrc"), "directories above home");
}

/// A link of the checkout or home, its target, the target's mode and what else is there; what a restore adds.
const LINKS: [(&str, &str, u32, &str, &str); 5] = [
    ("app/run.js", "srv/tools/run.js", 0o644, "srv/tools/old.js", "srv/tools/helper.js"),
    ("app/sub/cli.js", "srv/cli/dist/cli.js", 0o644, "srv/cli/package.json", "srv/cli/lib/x.js"),
    ("app/tool", "srv/tool/bin/tool", 0o755, "srv/tool/lib/old.sh", "srv/tool/lib/x.sh"),
    ("home/.toolrc", "srv/dot/toolrc", 0o644, "srv/dot/other", "srv/dot/x"),
    // What is larger than a file's neighbours is not entered for one that is no program.
    ("app/data.csv", "srv/data/2024/all.csv", 0o644, "srv/data/2025/x", ""),
];

#[test]
fn what_lies_beside_the_target_of_a_link_is_watched() {
    let job = Job::new();
    for (link, target, mode, other, _) in LINKS {
        let target = job.write(target, "");
        fs::set_permissions(&target, fs::Permissions::from_mode(mode)).unwrap();
        job.write(other, "{}");
        fs::create_dir_all(job.at(link).parent().unwrap()).unwrap();
        symlink(&target, job.at(link)).unwrap();
    }
    job.start(&[]);
    for (link, _, _, _, planted) in LINKS.into_iter().filter(|row| !row.4.is_empty()) {
        job.refuses(&job.at(planted), &format!("where `{}` leads", job.at(link).display()));
    }
    job.write("srv/data/2025/y", "");
    job.guarded.check().expect(0, &[]);
}

/// Configuration that git reads for a part of the checkout or of home, with hooks elsewhere.
const REPOSITORIES: [(&str, &str, &str); 7] = [
    // A submodule as git keeps it, one with a slash in its name, and one of a submodule.
    ("app/.git/modules/s/config", "srv/hooks1", ""),
    ("app/.git/modules/a/b/config", "srv/hooks2", ""),
    ("app/.git/modules/s/modules/t/config", "srv/hooks3", ""),
    ("app/.git/worktrees/w/config.worktree", "srv/hooks4", ""),
    // One that keeps its git directory elsewhere, and repositories that are in the way.
    ("srv/kept/config", "srv/hooks5", "app/deep/sub/.git"),
    ("app/vendored/.git/config", "srv/hooks6", ""),
    ("home/.nvm/.git/config", "srv/hooks7", ""),
];

#[test]
fn every_repository_of_the_checkout_and_home_is_read_as_git_does() {
    let job = Job::new();
    for (configuration, hooks, file) in REPOSITORIES {
        fs::create_dir_all(job.at(hooks)).unwrap();
        job.write(configuration, &format!("[core]\n\thooksPath = {}\n", job.at(hooks).display()));
        if !file.is_empty() {
            let directory = job.at(configuration);
            job.write(file, &format!("gitdir: {}\n", directory.parent().unwrap().display()));
        }
    }
    job.start(&[]);
    for (_, hooks, _) in REPOSITORIES {
        job.refuses(&job.at(hooks).join("post-checkout"), "what git reads for the checkout");
    }
    job.refuses(&job.at("srv/kept/hooks/post-checkout"), "what git reads for the checkout");
}
