#!/usr/bin/env python3
"""Times a lockfile proof of a Cargo registry against a signature-only verify of the same tree, in turn.

    python3 tests/bench/lockfile.py [--rounds N] [--home DIR] [--without NAME ...]

Copies `registry/cache` and `registry/src` of a Cargo home (of this machine, unless said otherwise) and writes a
`Cargo.lock` that names all of it, so that the lockfile proves every byte. Nothing is asserted; the figures are whole
processes. What is compared is wall time; with others at work on the machine, look at the processor time beside it.
"""
import argparse
import glob
import hashlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

from run import TOP, interleaved, shown, summary

POLICY = """version = 1
project = "bench"
[cache.cargo]
roots = ["registry/cache", "registry/src"]
lockfiles = ["Cargo.lock"]
[signer.job]
keys = [{ file = "keys/job.pub" }]
[gate.signature]
require = ["signature"]
signers = ["job"]
max_age = "7d"
[gate.lockfile]
require = ["lockfile"]
[gate.both]
require = ["signature", "lockfile"]
signers = ["job"]
max_age = "7d"
"""


def fill(home, scratch, without):
    """Copies what is unpacked and its archives, and locks it."""
    archives = sorted(glob.glob(os.path.join(home, "registry/cache/index.crates.io-*/*.crate")))
    lines = ["version = 4\n"]
    for archive in archives:
        identity = os.path.basename(archive)[:-len(".crate")]
        name, version = re.fullmatch(r"(.+?)-(\d+\.\d+.*)", identity).groups()
        registry = os.path.basename(os.path.dirname(archive))
        if name in without:
            continue
        with open(archive, "rb") as file:
            checksum = hashlib.sha256(file.read()).hexdigest()
        lines.append(f'[[package]]\nname = "{name}"\nversion = "{version}"\nchecksum = "{checksum}"\n'
                     'source = "registry+https://github.com/rust-lang/crates.io-index"\n')
        to = os.path.join(scratch, "registry/cache", registry)
        os.makedirs(to, exist_ok=True)
        shutil.copy2(archive, to)
        unpacked = os.path.join(home, "registry/src", registry, identity)
        if os.path.isdir(unpacked):
            shutil.copytree(unpacked, os.path.join(scratch, "registry/src", registry, identity), symlinks=True)
    with open(os.path.join(scratch, "Cargo.lock"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    return len(lines) - 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--home", default=os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo")))
    parser.add_argument("--without", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--binary", help="a program that is built already")
    arguments = parser.parse_args()
    binary = arguments.binary
    if not binary:
        subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "cacheseal"], cwd=TOP, check=True)
        target = os.environ.get("CARGO_TARGET_DIR", os.path.join(TOP, "target"))
        binary = os.path.join(target, "release/cacheseal")
    scratch = os.path.realpath(tempfile.mkdtemp(prefix="cacheseal-bench-"))
    env = {"PATH": os.environ["PATH"], "HOME": scratch}
    try:
        packages = fill(arguments.home, scratch, arguments.without)
        if packages == 0:
            sys.exit(f"{arguments.home}: no packages to prove")
        with open(os.path.join(scratch, "cacheseal.toml"), "w", encoding="utf-8") as file:
            file.write(POLICY)
        os.makedirs(os.path.join(scratch, "keys"))
        key = os.path.join(os.path.dirname(scratch), os.path.basename(scratch) + ".key")
        for command in (["key", "new", "job", "--out", key], ["seal", "cargo", "--key", key]):
            subprocess.run([binary, *command], cwd=scratch, env=env, check=True, stdout=subprocess.DEVNULL)
        os.remove(key)
        verify = [binary, "verify", "cargo", "--trust-checkout", "--gate"]
        commands = [(gate, [*verify, gate], None) for gate in ("signature", "lockfile", "both")]
        runs = interleaved(commands, arguments.rounds, scratch, env)
        shown(f"{packages} packages of {arguments.home}", summary(runs, "signature"), "signature")
        for name in ("lockfile", "both"):
            ratios = [(run["user"] + run["sys"]) / (base["user"] + base["sys"])
                      for run, base in zip(runs[name], runs["signature"])]
            print(f"  {name}: {statistics.median(ratios):.2f} in processor time")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
