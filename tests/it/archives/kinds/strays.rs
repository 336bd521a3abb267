//! Members outside the roots and the seal, row 60: what unpacks the archive writes them there.

use crate::archives::kit::{Kind, members};
use crate::archives::tar::{dir, file, hardlink, symlink, typed};

const STRAY: &[&str] = &["stray-entry"];

pub(crate) const KINDS: &[Kind] = &[
    members("stray-npmrc", 15, STRAY, |d| d.add([file("home/circleci/.npmrc", "registry=evil\n")])).circle(),
    members("stray-cargo-config", 15, STRAY, |d| {
        d.add([file("home/circleci/.cargo/config.toml", "[build]\nrustc-wrapper = \"evil\"\n")]);
    })
    .circle(),
    members("stray-shell-start-up", 15, STRAY, |d| d.add([file("home/circleci/.bash_profile", "evil\n")])).circle(),
    members("stray-program", 15, STRAY, |d| d.add([file("usr/local/bin/cacheseal", "evil").mode(0o755)])).circle(),
    members("stray-home-program", 15, STRAY, |d| d.add([file("home/circleci/bin/npm", "evil").mode(0o755)])).circle(),
    members("stray-git-hook", 15, STRAY, |d| {
        d.add([file("home/circleci/project/.git/hooks/post-checkout", "evil").mode(0o755)]);
    })
    .circle(),
    members("stray-policy", 15, STRAY, |d| d.add([file("home/circleci/project/cacheseal.toml", "version = 1\n")]))
        .circle(),
    members("stray-key", 15, STRAY, |d| d.add([file("home/circleci/project/keys/job.pub", "evil\n")])).circle(),
    members("stray-lockfile", 15, STRAY, |d| d.add([file("home/circleci/project/deps.lock", "evil 1\n")])).circle(),
    members("stray-source", 15, STRAY, |d| d.add([file("home/circleci/project/src/main.rs", "evil\n")])).circle(),
    members("stray-action", 15, STRAY, |d| d.add([file("home/circleci/actions/next/action.yml", "evil\n")])).circle(),
    members("stray-other-user", 15, STRAY, |d| d.add([file("root/.ssh/authorized_keys", "evil\n")])).circle(),
    members("stray-first-of-all", 15, STRAY, |d| d.begin([file("home/circleci/.npmrc", "registry=evil\n")])).circle(),
    members("stray-beside-plain-roots", 15, STRAY, |d| d.add([file(".npmrc", "registry=evil\n")])),
    members("stray-in-a-longer-name", 15, STRAY, |d| d.add([file("deps-evil/x", "x")])),
    members("stray-in-another-case", 15, STRAY, |d| d.add([file("Deps/x", "x")])),
    members("stray-backslash-dotdot", 15, STRAY, |d| d.add([file("..\\evil", "x")])),
    members("stray-workflow-command", 15, STRAY, |d| d.add([file("x\n::set-env name=PATH::/tmp", "x")])),
    members("stray-other-cache-seal", 15, STRAY, |d| d.add([file(".cacheseal/other/seal.json", "{}")])),
    members("stray-beside-the-seal", 15, STRAY, |d| d.add([file(".cacheseal/evil", "x")])),
    members("stray-directory", 15, STRAY, |d| d.add([dir("bin/")])),
    members("stray-link", 15, STRAY, |d| d.add([symlink("home/circleci/.npmrc", "project/deps/tool")])).circle(),
    members("stray-hard-link", 15, STRAY, |d| {
        d.add([hardlink("home/circleci/.npmrc", "home/circleci/project/deps/tool").mode(0o755)]);
    })
    .circle(),
    members("stray-device", 15, STRAY, |d| d.add([typed("dev/sda", b'4').mode(0o600)])).circle(),
    members("stray-empty", 15, STRAY, |d| d.add([file("evil", "")])),
    members("stray-and-changed", 15, &["stray-entry", "digest-mismatch"], |d| {
        d.refill("deps/pkg/index.js", "module.exports = 2\n");
        d.add([file("evil", "x")]);
    }),
];
