#!/usr/bin/env python3
"""Times cacheseal against its floors and against what people would use instead, in turn, and prints ratios.

    python3 tests/bench/run.py [--rounds N] [--json FILE] [--svg FILE] [--only PART ...] [--slow] [TREE ...]

Without a tree it makes some: many tiny files, packages of small files, and four large files. The parts are
`directories`, `archives`, `start` (an empty root), `scale` (10,000 to 1,000,000 files in memory) and `cold` (the page
cache dropped before each run, which only root may do); without `--only` it is the first three. `--slow` adds programs
that take minutes, once each. Nothing is asserted; the figures are whole processes, as the system accounts them. Needs
Rust; what else is not installed is left out.
"""
import argparse
import json
import os
import random
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


PARTS = ["directories", "archives", "start", "scale", "cold"]


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


def make_tiny(tree, count):
    """Files of 200 to 900 bytes, 200 to a directory."""
    chance = random.Random(7)
    for number in range(count):
        directory = os.path.join(tree, f"d{number // 200}")
        if number % 200 == 0:
            os.makedirs(directory)
        with open(os.path.join(directory, f"f{number}"), "wb") as file:
            file.write(chance.randbytes(chance.randrange(200, 900)))


def drop_caches():
    """Forgets what the system has read; only root may."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="utf-8") as file:
        file.write("3")


def make_trees(scratch):
    """Trees like those that caches hold; the same on every machine."""
    chance = random.Random(7)
    tiny, packages, large = (os.path.join(scratch, name) for name in ("tiny", "packages", "large"))
    make_tiny(tiny, 200_000)
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
        self.verify = [self.cacheseal, "verify", "tree", "--gate", "bench", "--trust-checkout"]
        self.key = os.path.join(scratch, "job.key")
        self.env = {"PATH": os.environ["PATH"], "HOME": scratch}
        os.makedirs(os.path.join(scratch, "keys"), exist_ok=True)
        self.run("key", "new", "job", "--out", self.key)

    def run(self, *arguments):
        subprocess.run([self.cacheseal, *arguments], cwd=self.scratch, env=self.env, check=True,
                       stdout=subprocess.DEVNULL)

    def policy(self, tree, digest, project=None):
        with open(os.path.join(project or self.scratch, "cacheseal.toml"), "w", encoding="utf-8") as file:
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
        verify = self.verify
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

    def sums(self, tree):
        """The best line that a shell has: a list of BLAKE3 digests, on two processors."""
        return f"find {shlex.quote(tree)} -type f -print0 | xargs -0 -P2 b3sum --num-threads 1 > {self.scratch}/sums"

    def peers(self, tree):
        """What people would use instead, where it is installed."""
        sums = os.path.join(self.scratch, "sums")
        quoted = shlex.quote(tree)
        peers = []
        if shutil.which("b3sum"):
            create = self.sums(tree)
            check = f"split -n l/2 {sums} {sums}. && ls {sums}.* | xargs -P2 -n1 b3sum --num-threads 1 --quiet -c"
            peers += [("xargs -P2 b3sum", ["sh", "-c", create], None), ("xargs -P2 b3sum -c", ["sh", "-c", check], None)]
        return peers

    def slow_peers(self, tree, base):
        """Programs that nobody waits for twice: one run each, against the median of `verify`."""
        sums, quoted = os.path.join(self.scratch, "slow"), shlex.quote(tree)
        model = f"{sums}.key", f"{sums}.pub", f"{sums}.sig"
        sign = f"model_signing sign key --allow_symlinks --private_key {model[0]} --signature {model[2]} {quoted}"
        check = f"model_signing verify key --allow_symlinks --public_key {model[1]} --signature {model[2]} {quoted}"
        commands = [("sha256sum", f"find {quoted} -type f -print0 | xargs -0 -P2 sha256sum > {sums}.sha256"),
                    ("sha256sum", f"sha256sum --quiet -c {sums}.sha256"),
                    ("rhash", f"rhash --sha256 -r {quoted} > {sums}.rhash"),
                    ("rhash", f"rhash --skip-ok -c {sums}.rhash"),
                    ("hashdeep", f"hashdeep -c sha256 -r {quoted} > {sums}.hashdeep"),
                    ("hashdeep", f"hashdeep -c sha256 -a -k {sums}.hashdeep -r {quoted}"),
                    ("model_signing", sign), ("model_signing", check)]
        if shutil.which("model_signing"):
            for of_key in (f"ecparam -name prime256v1 -genkey -noout -out {model[0]}", f"ec -in {model[0]} -pubout -out {model[1]}"):
                subprocess.run(["openssl", *of_key.split()], check=True, stderr=subprocess.DEVNULL)
        rows = {}
        for program, command in commands:
            if shutil.which(program):
                run = timed(["sh", "-c", command], self.scratch, self.env)
                rows[command.replace(self.scratch, "")] = run
                print(f"  {run['wall'] / base:6.1f} of verify   wall {run['wall']:.1f} s   {program}: {command.split('|')[-1].strip()[:60]}",
                      flush=True)
        return rows

    def start(self):
        """What a run costs that finds an empty directory."""
        tree = os.path.join(self.scratch, "empty")
        os.makedirs(os.path.join(tree, "directory"))
        self.policy(tree, "blake3")
        self.run("seal", "tree", "--key", self.key)
        floor = "cacheseal --version"
        commands = [(floor, [self.cacheseal, "--version"], None), ("verify", self.verify, None)]
        rows = summary(interleaved(commands, max(self.rounds, 21), self.scratch, self.env), floor)
        shown("an empty root", rows, floor)
        return rows

    def scale(self):
        """Trees of more and more files in memory, so that no disk is in the way; the cost a file beside it."""
        rows = {}
        with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="cacheseal-bench-") as memory:
            for count in (10_000, 100_000, 1_000_000):
                tree = os.path.join(memory, str(count))
                make_tiny(tree, count)
                self.policy(tree, "blake3")
                self.run("seal", "tree", "--key", self.key)
                seal = [self.cacheseal, "seal", "tree", "--key", self.key]
                commands = [("verify", self.verify, None), ("seal", seal, None)]
                of_count = summary(interleaved(commands, self.rounds, self.scratch, self.env), "verify")
                for name, row in of_count.items():
                    print(f"{count:>9} files, {name:<7} {row['wall'] / count * 1e6:6.2f} us a file   "
                          f"wall {row['wall']:.3f} s  peak {row['peak']:.0f} MiB", flush=True)
                rows[count] = of_count
                shutil.rmtree(tree)
        return rows

    def cold(self, tree):
        """The same with nothing in the page cache."""
        self.policy(tree, "blake3")
        self.run("seal", "tree", "--key", self.key)
        subprocess.run(["sh", "-c", self.sums(tree)], cwd=self.scratch, env=self.env, check=True)
        check = f"b3sum --num-threads 1 --quiet -c {self.scratch}/sums"
        many = f"split -n l/16 {self.scratch}/sums {self.scratch}/cold. && ls {self.scratch}/cold.* | xargs -P16 -n1 b3sum --num-threads 1 --quiet -c"
        commands = [("read only, 16 threads", [self.floor, tree, "--threads", "16"], drop_caches),
                    ("verify", self.verify, drop_caches),
                    ("verify --threads 2", [*self.verify, "--threads", "2"], drop_caches)]
        if shutil.which("b3sum"):
            commands += [("xargs -P16 b3sum -c", ["sh", "-c", many], drop_caches),
                         ("b3sum -c", ["sh", "-c", check], drop_caches)]
        rows = summary(interleaved(commands, self.rounds, self.scratch, self.env), "verify")
        shown(f"{tree}, cold", rows, "verify")
        return rows

    def archives(self, tree):
        """Verifying an archive, as `pack` and as `zstd` make it, against decompressing it to nothing."""
        self.policy(tree, "blake3")
        self.run("seal", "tree", "--key", self.key)
        packed = self.packed("tree.tar.zst")
        parts = {"archive": self.archive(f"{tree}, archive of `pack`", packed)}
        if shutil.which("zstd"):
            plain = self.packed("tree.tar")
            subprocess.run(["zstd", "-qf", "--rm", "-T1", plain, "-o", packed], check=True)
            parts["archive of zstd"] = self.archive(f"{tree}, archive of `zstd`", packed)
        os.remove(packed)
        return parts

    def packed(self, name):
        """A new archive of the tree that was sealed last."""
        path = os.path.join(self.scratch, name)
        if os.path.exists(path):
            os.remove(path)
        self.run("pack", "tree", "-o", path)
        return path

    def archive(self, title, packed):
        floor = "decompress to nothing"
        commands = [(floor, [self.decompress, packed], None),
                    ("verify --archive", [self.cacheseal, "verify", "--archive", packed], None)]
        if shutil.which("zstd"):
            commands.append(("zstd -dc", ["sh", "-c", f"zstd -dc {packed} > /dev/null"], None))
        rows = summary(interleaved(commands, self.rounds, self.scratch, self.env), floor)
        shown(title, rows, floor)
        return rows

    def unpacked(self, tree):
        """Unpacking against `tar` with the same decompressor, of a copy of the tree and in memory: it is not about disks."""
        with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="cacheseal-bench-") as project:
            shutil.copytree(tree, os.path.join(project, "tree"), symlinks=True)
            os.makedirs(os.path.join(project, "keys"))
            shutil.copy(os.path.join(self.scratch, "keys/job.pub"), os.path.join(project, "keys"))
            self.policy("tree", "blake3", project)
            packed = os.path.join(self.scratch, "unpack.tar.zst")
            for command in (["seal", "tree", "--key", self.key], ["pack", "tree", "-o", packed]):
                subprocess.run([self.cacheseal, *command], cwd=project, env=self.env, check=True,
                               stdout=subprocess.DEVNULL)

            def clean():
                for name in ("tree", ".cacheseal", "checkout"):
                    shutil.rmtree(os.path.join(project, name), ignore_errors=True)

            floor = "decompress | tar -x"
            commands = [(floor, ["sh", "-c", f"{self.decompress} --out {packed} | tar -x"], clean),
                        ("unpack", [self.cacheseal, "unpack", packed, "--gate", "bench"], clean)]
            rows = summary(interleaved(commands, self.rounds, project, self.env), floor)
        os.remove(packed)
        shown(f"{tree}, unpacked", rows, floor)
        return rows


def svg(results, path):
    """Bars of the ratios to the floor, one group a tree."""
    bars = []
    for tree, of_tree in results.items():
        for part in ("blake3", "sha256", "archive", "archive of zstd", "unpack"):
            for name, row in of_tree.get(part, {}).items():
                if row["ratio_min"] != row["ratio_max"]:
                    bars.append((f"{os.path.basename(tree)} {part}: {name}", row["ratio"]))
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
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS[:3], metavar="PART")
    parser.add_argument("--slow", action="store_true")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    programs = built()
    scratch = os.path.realpath(tempfile.mkdtemp(prefix="cacheseal-bench-"))
    try:
        bench = Bench(programs, scratch, arguments.rounds)
        results = measured(bench, scratch, arguments)
        if arguments.json:
            with open(arguments.json, "w", encoding="utf-8") as file:
                json.dump(results, file, indent=1)
        if arguments.svg:
            svg(results, arguments.svg)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def measured(bench, scratch, arguments):
    """The parts that were asked for, by tree and then by name."""
    results, only = {}, arguments.only
    if "start" in only:
        results["an empty root"] = {"start": bench.start()}
    if "scale" in only:
        results["scale"] = bench.scale()
    if not {"directories", "archives", "cold"} & set(only):
        return results
    for tree in [os.path.realpath(tree) for tree in arguments.trees] or make_trees(scratch):
        of_tree = results[tree] = {}
        if "directories" in only:
            of_tree.update(bench.directories(tree))
            if arguments.slow:
                of_tree["slow"] = bench.slow_peers(tree, of_tree["sha256"]["verify"]["wall"])
        if "archives" in only:
            of_tree.update(bench.archives(tree))
            of_tree["unpack"] = bench.unpacked(tree)
        if "cold" in only:
            of_tree["cold"] = bench.cold(tree)
    return results


if __name__ == "__main__":
    main()
