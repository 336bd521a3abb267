#!/usr/bin/env python3
"""Times cacheseal against its floors and against what people would use instead, in turn, and prints ratios.

    python3 tests/bench/run.py [--rounds N] [--json FILE] [--svg FILE] [--only WORD] [TREE ...]

Without a tree it makes some: many tiny files, packages of small files, and four large files. Nothing is asserted; the
figures are whole processes, as the system accounts them. Needs Rust; what else is not installed is left out.
"""
import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


def built():
    """The binary and the floor programs, made by cargo in the profile that is released."""
    programs = {}
    for arguments in (["build", "--release", "--bin", "cacheseal"],
                      ["bench", "--no-run", "--bench", "floor", "--bench", "decompress"]):
        text = subprocess.run(["cargo", *arguments, "--quiet", "--message-format=json"], cwd=TOP, check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        for line in text.splitlines():
            message = json.loads(line)
            if message.get("executable"):
                programs[message["target"]["name"]] = message["executable"]
    return programs


def timed(command, cwd, env):
    """One run: wall, user and system seconds, and the peak of resident memory in MiB."""
    begin = time.monotonic()
    child = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    complaint = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {child.returncode}: {complaint.decode(errors='replace')}")
    return {"wall": wall, "user": usage.ru_utime, "sys": usage.ru_stime, "peak": usage.ru_maxrss / 1024}


def interleaved(commands, rounds, cwd, env):
    """Runs each command once uncounted, then all in turn, `rounds` times. `prepare` runs before each, uncounted."""
    runs = {name: [] for name, _, _ in commands}
    for number in range(rounds + 1):
        for name, command, prepare in commands:
            if prepare:
                prepare()
            run = timed(command, cwd, env)
            if number > 0:
                runs[name].append(run)
    return runs


def summary(runs, floor):
    """Medians of each command, and of the ratios to the floor of the same round."""
    rows = {}
    for name, of_name in runs.items():
        row = {key: statistics.median(run[key] for run in of_name) for key in ("wall", "user", "sys", "peak")}
        ratios = sorted(run["wall"] / base["wall"] for run, base in zip(of_name, runs[floor]))
        row["ratio"] = statistics.median(ratios)
        row["ratio_min"], row["ratio_max"] = ratios[0], ratios[-1]
        rows[name] = row
    return rows


def shown(title, rows, floor):
    print(f"\n{title}: wall against `{floor}`")
    for name, row in rows.items():
        print(f"  {name:<28} {row['ratio']:6.2f}  ({row['ratio_min']:.2f} to {row['ratio_max']:.2f})   "
              f"wall {row['wall']:.3f} s  user {row['user']:.3f}  sys {row['sys']:.3f}  peak {row['peak']:.0f} MiB",
              flush=True)


def make_trees(scratch):
    """Trees like those that caches hold; the same on every machine."""
    chance = random.Random(7)
    tiny, packages, large = (os.path.join(scratch, name) for name in ("tiny", "packages", "large"))
    for number in range(200_000):
        directory = os.path.join(tiny, f"d{number // 200}")
        if number % 200 == 0:
            os.makedirs(directory)
        with open(os.path.join(directory, f"f{number}"), "wb") as file:
            file.write(chance.randbytes(chance.randrange(200, 900)))
    for number in range(600):
        for below in ("lib", "dist/esm", "dist/cjs", "types"):
            directory = os.path.join(packages, f"package-{number}", below)
            os.makedirs(directory)
            for file_number in range(12):
                size = int(chance.lognormvariate(7, 1.6))
                with open(os.path.join(directory, f"{file_number}.js"), "wb") as file:
                    file.write(b"module.exports = " * (size // 17) + chance.randbytes(size % 17 + 1))
    os.makedirs(large)
    for number in range(4):
        with open(os.path.join(large, f"{number}.bin"), "wb") as file:
            block = chance.randbytes(1 << 20)
            for _ in range(1024):
                file.write(block)
    return [tiny, packages, large]


class Bench:
    """A project in a scratch directory, whose one root is the tree."""

    def __init__(self, programs, scratch, rounds):
        self.cacheseal, self.floor, self.decompress = (programs[n] for n in ("cacheseal", "floor", "decompress"))
        self.scratch, self.rounds = scratch, rounds
        self.key = os.path.join(scratch, "job.key")
        self.env = {"PATH": os.environ["PATH"], "HOME": scratch}
        os.makedirs(os.path.join(scratch, "keys"), exist_ok=True)
        self.run("key", "new", "job", "--out", self.key)

    def run(self, *arguments):
        subprocess.run([self.cacheseal, *arguments], cwd=self.scratch, env=self.env, check=True,
                       stdout=subprocess.DEVNULL)

    def policy(self, tree, digest):
        with open(os.path.join(self.scratch, "cacheseal.toml"), "w", encoding="utf-8") as file:
            file.write(f"""version = 1
project = "bench"
[cache.tree]
roots = [{json.dumps(tree)}]
digest = "{digest}"
[signer.job]
keys = [{{ file = "keys/job.pub" }}]
[gate.bench]
require = ["signature"]
signers = ["job"]
max_age = "7d"
lockfile = "any"
hardlinks = "any"
""")

    def directories(self, tree):
        """Sealing and verifying against reading every byte, and against reading and hashing it."""
        verify = [self.cacheseal, "verify", "tree", "--gate", "bench", "--trust-checkout"]
        seal = [self.cacheseal, "seal", "tree", "--key", self.key]
        results = {}
        for digest in ("blake3", "sha256"):
            self.policy(tree, digest)
            self.run(*seal[1:])
            floor = f"read and {digest}"
            # As many threads as processors: the fastest that a floor is on a warm cache.
            cores = ["--threads", str(os.cpu_count())]
            commands = [("read only", [self.floor, tree, *cores], None),
                        (floor, [self.floor, tree, "--hash", digest, *cores], None),
                        ("verify", verify, None), ("seal", seal, None)]
            if digest == "blake3":
                commands += self.peers(tree)
            rows = summary(interleaved(commands, self.rounds, self.scratch, self.env), floor)
            shown(f"{tree}, {digest}", rows, floor)
            results[digest] = rows
        return results

    def peers(self, tree):
        """What people would use instead, where it is installed."""
        sums = os.path.join(self.scratch, "sums")
        quoted = "'" + tree.replace("'", "'\\''") + "'"
        peers = []
        if shutil.which("b3sum"):
            create = f"find {quoted} -type f -print0 | xargs -0 -P2 b3sum --num-threads 1 > {sums}"
            check = f"split -n l/2 {sums} {sums}. && ls {sums}.* | xargs -P2 -n1 b3sum --num-threads 1 --quiet -c"
            peers += [("xargs -P2 b3sum", ["sh", "-c", create], None), ("xargs -P2 b3sum -c", ["sh", "-c", check], None)]
        if shutil.which("model_signing"):
            print("model_signing is there, and left out: it takes minutes a round")
        return peers

    def archives(self, tree):
        """Verifying and unpacking an archive against decompressing it to nothing."""
        self.policy(tree, "blake3")
        self.run("seal", "tree", "--key", self.key)
        packed = os.path.join(self.scratch, "tree.tar.zst")
        if os.path.exists(packed):
            os.remove(packed)
        self.run("pack", "tree", "-o", packed)
        floor = "decompress to nothing"
        commands = [(floor, [self.decompress, packed], None),
                    ("verify --archive", [self.cacheseal, "verify", "--archive", packed], None)]
        if shutil.which("zstd"):
            commands.append(("zstd -dc", ["sh", "-c", f"zstd -dc {packed} > /dev/null"], None))
        rows = summary(interleaved(commands, self.rounds, self.scratch, self.env), floor)
        shown(f"{tree}, archive", rows, floor)
        return rows


def svg(results, path):
    """Bars of the ratios to the floor, one group a tree."""
    bars = []
    for tree, of_tree in results.items():
        for digest, rows in of_tree.items():
            for name in ("verify", "seal", "verify --archive", "xargs -P2 b3sum", "xargs -P2 b3sum -c"):
                if name in rows:
                    bars.append((f"{os.path.basename(tree)} {digest} {name}", rows[name]["ratio"]))
    height = 22 * len(bars) + 30
    scale = 300 / max([2.0] + [ratio for _, ratio in bars])
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="700" height="{height}" font-family="sans-serif" font-size="12">']
    for number, (label, ratio) in enumerate(bars):
        y = 22 * number + 10
        lines.append(f'<text x="300" y="{y + 12}" text-anchor="end">{label}</text>'
                     f'<rect x="310" y="{y}" width="{ratio * scale:.1f}" height="16" fill="#4a7"/>'
                     f'<text x="{316 + ratio * scale:.1f}" y="{y + 12}">{ratio:.2f}</text>')
    lines.append(f'<line x1="{310 + scale:.1f}" y1="0" x2="{310 + scale:.1f}" y2="{height}" stroke="#c33"/></svg>')
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="*", metavar="TREE")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE")
    parser.add_argument("--only", choices=["directories", "archives"])
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    programs = built()
    scratch = os.path.realpath(tempfile.mkdtemp(prefix="cacheseal-bench-"))
    try:
        trees = [os.path.realpath(tree) for tree in arguments.trees] or make_trees(scratch)
        bench = Bench(programs, scratch, arguments.rounds)
        results = {}
        for tree in trees:
            of_tree = {}
            if arguments.only != "archives":
                of_tree.update(bench.directories(tree))
            if arguments.only != "directories":
                of_tree["archive"] = bench.archives(tree)
            results[tree] = of_tree
        if arguments.json:
            with open(arguments.json, "w", encoding="utf-8") as file:
                json.dump(results, file, indent=1)
        if arguments.svg:
            svg(results, arguments.svg)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
