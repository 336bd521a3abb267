//! Caches that another program packs and another user unpacks, at another time and under another umask.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::realtrees::{npm_project, seal};
use super::{is_root, judge, judge_path, must, told};
use crate::harness::{Project, Run, copy_program};

/// `nobody`.
const UNPRIVILEGED: u32 = 65_534;

/// Unpacks with other times than were packed, under the umask `$1`.
const UNPACK: &str = r#"umask "$1"; exec "$2" -xmf "$3""#;

/// Takes away what a restore brings back.
fn clear(project: &Project) {
    for name in ["node_modules", ".cacheseal"] {
        let path = project.path(name);
        if path.exists() {
            fs::remove_dir_all(path).unwrap();
        }
    }
}

/// Lets a command run as `user`, who owns the project's directory for now.
fn become_user(command: &mut Command, user: Option<u32>) {
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
}

fn restored_is_trusted(project: &Project, program: &Path, tar: &str, archive: &Path, umask: &str, user: Option<u32>) {
    clear(project);
    let mut unpack = judge("sh");
    unpack.args(["-c", UNPACK, "sh", umask]).arg(judge_path(tar)).arg(archive).current_dir(project.root());
    become_user(&mut unpack, user);
    must(&mut unpack);
    let mut verify = Command::new(program);
    verify.args(["verify", "npm", "--gate", "ci", "--trust-checkout"]).current_dir(project.root());
    verify.env_clear().env("HOME", project.home());
    become_user(&mut verify, user);
    let output = verify.output().unwrap();
    assert_eq!(Run::of(output).code, Some(0), "{tar}, umask {umask}, user {user:?}");
}

#[test]
fn a_cache_is_trusted_whoever_restores_it() {
    let (project, _) = npm_project();
    seal(&project, "npm");
    // Others must reach the project, and a program outside directories that are closed to them.
    fs::set_permissions(project.outside(""), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = project.outside("cacheseal");
    copy_program(&program);
    let archives = ["tar", "bsdtar"].map(|tar| {
        let archive = project.outside(&format!("{tar}.archive"));
        let mut pack = judge(tar);
        pack.arg("-cf").arg(&archive).arg("-C").arg(project.root()).args(["node_modules", ".cacheseal"]);
        let output = pack.output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        (tar, archive)
    });
    let users = if is_root() { vec![None, Some(UNPRIVILEGED)] } else { vec![None] };
    for user in users {
        if let Some(user) = user {
            clear(&project);
            chown(project.root(), Some(user), Some(user)).unwrap();
        }
        for (tar, archive) in &archives {
            for umask in ["002", "077"] {
                restored_is_trusted(&project, &program, tar, archive, umask, user);
            }
        }
    }
}
