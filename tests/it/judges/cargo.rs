//! The real Cargo: it builds what was tampered with in its caches, and we refuse it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::recheck::{Watched, number};
use super::{judge, must, told, without};
use crate::forge::remove;
use crate::harness::{Project, copy_tree};
use crate::lockfile::{Locked, tgz};

/// What a tampered package says when it runs.
const POISON: &str = "poisoned";

/// The Cargo home that these tests were built from: it has the packages of this repository.
fn real_home() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

/// The directory of crates.io in one of the parts of a Cargo home's registry.
fn registry(home: &Path, part: &str) -> PathBuf {
    let entries = fs::read_dir(home.join("registry").join(part)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("index.crates.io-")).max().unwrap()
}

/// Packages of this repository's own lockfile: name, version and lines in it.
fn locked_here() -> Vec<(String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let value = |package: &str, field: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(&format!("{field} = \"")));
        line.map(|line| line.trim_end_matches('"').to_owned())
    };
    let packages = text.split("[[package]]").skip(1).filter(|package| package.contains("\nchecksum = "));
    packages.map(|package| (value(package, "name").unwrap(), value(package, "version").unwrap())).collect()
}

/// A project that uses `hex` at the version of this repository, and a Cargo home that has its archive only.
struct Built {
    locked: Locked,
    version: String,
}

impl Built {
    fn new(roots: &[&str]) -> Self {
        let locked = Locked::new(roots, "Cargo.lock");
        let version = locked_here().into_iter().find(|(name, _)| name == "hex").unwrap().1;
        let built = Self { locked, version };
        built.write(
            "Cargo.toml",
            &format!(
                "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\nhex = \"={}\"\n",
                built.version
            ),
        );
        built.write("src/main.rs", "fn main() {\n    println!(\"{}\", hex::encode(b\"a\"));\n}\n");
        copy_index(&built.home());
        copy_crate(&built.home(), &format!("hex-{}.crate", built.version));
        built
    }

    fn write(&self, path: &str, text: &str) {
        self.locked.write(path, text);
    }

    fn home(&self) -> PathBuf {
        self.locked.path("~/.cargo")
    }

    fn cargo(&self, arguments: &[&str]) -> Output {
        cargo(&self.locked.project, &self.home()).args(arguments).output().unwrap()
    }

    /// Builds and runs the project; must work.
    #[track_caller]
    fn run(&self) -> String {
        let output = self.cargo(&["run", "--quiet", "--locked", "--offline"]);
        assert!(output.status.success(), "{}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn src(&self) -> PathBuf {
        registry(&self.home(), "src").join(format!("hex-{}", self.version))
    }

    /// The same place as the policy spells it.
    fn spelled(&self, path: &Path) -> String {
        format!("~/{}", path.strip_prefix(self.locked.project.home()).unwrap().to_str().unwrap())
    }
}

fn cargo(project: &Project, home: &Path) -> Command {
    let mut command = judge("cargo");
    for name in ["RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(name);
    }
    command.current_dir(project.root()).env("CARGO_HOME", home);
    command
}

/// Copies what Cargo knows of the index without asking the network.
fn copy_index(home: &Path) {
    let from = registry(&real_home(), "index");
    copy_tree(&from, &home.join("registry/index").join(from.file_name().unwrap()));
}

fn copy_crate(home: &Path, name: &str) -> bool {
    let from = registry(&real_home(), "cache");
    let to = home.join("registry/cache").join(from.file_name().unwrap());
    fs::create_dir_all(&to).unwrap();
    from.join(name).is_file() && fs::copy(from.join(name), to.join(name)).is_ok()
}

/// Puts a line into `hex::encode` that tells on it.
fn poisoned(lib: &str) -> String {
    let signature = "pub fn encode<T: AsRef<[u8]>>(data: T) -> String {";
    assert!(lib.contains(signature));
    lib.replace(signature, &format!("{signature}\n    println!(\"{POISON}\");"))
}

const ROOTS: [&str; 2] = ["~/.cargo/registry/cache", "~/.cargo/registry/src"];

#[test]
fn a_registry_that_cargo_filled_is_proven_whole() {
    let locked = Locked::new(&ROOTS, "Cargo.lock");
    let home = locked.path("~/.cargo");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy_index(&home);
    let copied =
        locked_here().iter().filter(|(name, version)| copy_crate(&home, &format!("{name}-{version}.crate"))).count();
    assert!(copied > 50, "{copied}");
    let manifest = here.join("Cargo.toml");
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    must(
        cargo(&locked.project, &home)
            .args(["fetch", "--locked", "--offline", "--target", &host, "--manifest-path"])
            .arg(manifest),
    );
    locked.write("Cargo.lock", fs::read(here.join("Cargo.lock")).unwrap());
    // What was copied and is for other systems is not unpacked, and proven all the same.
    locked.trusted("");
    let verdict = locked.verify("lock");
    let amount = |what: &str| verdict.json["coverage"][what]["bytes"].as_u64().unwrap();
    println!("proven: {} of {} bytes, {} packages", amount("lockfile"), amount("total"), copied);
    assert!(amount("lockfile") * 100 >= amount("total") * 99);
}

#[test]
fn an_edited_source_is_built_by_cargo_and_refused_by_us() {
    let built = Built::new(&ROOTS);
    must(cargo(&built.locked.project, &built.home()).args(["generate-lockfile", "--offline"]));
    assert_eq!(built.run(), "61\n");
    built.locked.trusted("");
    let lib = built.src().join("src/lib.rs");
    fs::write(&lib, poisoned(&fs::read_to_string(&lib).unwrap())).unwrap();
    // Another directory, so that nothing that was built before is used.
    remove(&built.locked.path("target"));
    assert_eq!(built.run(), format!("{POISON}\n61\n"));
    built.locked.refused("", &["lockfile-mismatch"], &built.spelled(&lib));
}

#[test]
fn an_archive_that_was_made_anew_is_built_by_cargo_and_refused_by_us() {
    let built = Built::new(&ROOTS);
    must(cargo(&built.locked.project, &built.home()).args(["generate-lockfile", "--offline"]));
    assert_eq!(built.run(), "61\n");
    let (src, id) = (built.src(), format!("hex-{}", built.version));
    let read = |name: &str| fs::read(src.join(name)).unwrap();
    let lib = poisoned(&String::from_utf8(read("src/lib.rs")).unwrap());
    let error = read("src/error.rs");
    let manifest = read("Cargo.toml");
    let archive = registry(&built.home(), "cache").join(format!("{id}.crate"));
    let path = |name: &str| format!("{id}/{name}");
    let members = [
        (path("Cargo.toml"), manifest.as_slice()),
        (path("src/lib.rs"), lib.as_bytes()),
        (path("src/error.rs"), error.as_slice()),
    ];
    let members: Vec<_> = members.iter().map(|(path, bytes)| (path.as_str(), *bytes, 0o644)).collect();
    fs::write(&archive, tgz(&members)).unwrap();
    remove(&src);
    remove(&built.locked.path("target"));
    assert_eq!(built.run(), format!("{POISON}\n61\n"));
    // Cargo has unpacked the archive again: both agree with one another, and neither with the lockfile.
    assert!(src.join("src/lib.rs").is_file());
    built.locked.refused("", &["lockfile-mismatch", "unproven-entry"], &built.spelled(&archive));
}

#[test]
fn a_vendored_package_whose_list_was_made_anew_is_built_by_cargo_and_refused_by_us() {
    let built = Built::new(&["~/.cargo/registry/cache", "vendor"]);
    must(cargo(&built.locked.project, &built.home()).args(["generate-lockfile", "--offline"]));
    must(cargo(&built.locked.project, &built.home()).args(["vendor", "--locked", "--offline", "vendor"]));
    built.write(
        ".cargo/config.toml",
        "[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = \"vendor\"\n",
    );
    assert_eq!(built.run(), "61\n");
    built.locked.trusted("");
    let (lib, list) =
        (built.locked.path("vendor/hex/src/lib.rs"), built.locked.path("vendor/hex/.cargo-checksum.json"));
    let sum = |text: &str| cacheseal::base::Digest::sha256(text.as_bytes()).to_string();
    let before = fs::read_to_string(&lib).unwrap();
    let after = poisoned(&before);
    fs::write(&lib, &after).unwrap();
    let sums = fs::read_to_string(&list).unwrap();
    assert!(sums.contains(&sum(&before)));
    fs::write(&list, sums.replace(&sum(&before), &sum(&after))).unwrap();
    remove(&built.locked.path("target"));
    assert_eq!(built.run(), format!("{POISON}\n61\n"));
    built.locked.refused("", &["lockfile-mismatch"], "vendor/hex/src/lib.rs");
    // Without the archive nothing shows what the files should be.
    remove(&registry(&built.home(), "cache"));
    built.locked.refused("", &["unproven-entry"], "vendor/hex/src/lib.rs");
}

#[test]
fn each_vendored_package_that_is_taken_away_is_missed() {
    let built = Built::new(&["~/.cargo/registry/cache", "vendor"]);
    let mut manifest = fs::read_to_string(built.locked.path("Cargo.toml")).unwrap();
    for other in ["cfg-if", "itoa", "memchr"] {
        let (name, version) = locked_here().into_iter().find(|(name, _)| name == other).unwrap();
        assert!(copy_crate(&built.home(), &format!("{name}-{version}.crate")), "{name}");
        let _ = writeln!(manifest, "{name} = \"={version}\"");
    }
    built.write("Cargo.toml", &manifest);
    must(cargo(&built.locked.project, &built.home()).args(["generate-lockfile", "--offline"]));
    must(cargo(&built.locked.project, &built.home()).args(["vendor", "--locked", "--offline", "vendor"]));
    built.locked.trusted("all");
    for name in ["cfg-if", "hex", "itoa", "memchr"] {
        let verdict = without(&built.locked, &[built.locked.path(&format!("vendor/{name}"))]);
        verdict.expect_of(name, 14, &["lockfile-mismatch"]);
        assert_eq!(verdict.json["refusals"][0]["place"], format!("vendor/{name}"), "{:#}", verdict.json);
    }
    built.locked.trusted("as it was");
}

/// Packages from git are named by SHA-1, so nothing of them is proven: what real Cargo makes of one is unproven.
#[test]
fn a_package_that_cargo_fetched_from_git_is_unproven() {
    let built = Built { locked: Locked::new(&["~/.cargo/git"], "Cargo.lock"), version: String::new() };
    let upstream = built.locked.project.outside("up");
    let git = |arguments: &[&str]| {
        let mut git = judge("git");
        git.current_dir(&upstream).env("HOME", built.locked.project.home()).env("GIT_CONFIG_NOSYSTEM", "1");
        must(git.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(arguments));
    };
    fs::create_dir_all(upstream.join("src")).unwrap();
    fs::write(upstream.join("Cargo.toml"), "[package]\nname = \"up\"\nversion = \"0.1.0\"\n").unwrap();
    fs::write(upstream.join("src/lib.rs"), "pub fn value() -> u8 {\n    1\n}\n").unwrap();
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "first"]);
    let source = format!("git = \"file://{}\"", upstream.display());
    built.write(
        "Cargo.toml",
        &format!("[package]\nname = \"app\"\nversion = \"0.1.0\"\n\n[dependencies]\nup = {{ {source} }}\n"),
    );
    built.write("src/main.rs", "fn main() {\n    println!(\"{}\", up::value());\n}\n");
    let output = built.cargo(&["run", "--quiet"]);
    assert!(output.status.success(), "{}", told(&output));
    built.locked.project.seal();
    let verdict = built.locked.verify("both");
    verdict.expect(0, &[]);
    let coverage = &verdict.json["coverage"];
    assert_eq!((&coverage["weak"]["files"], &coverage["mismatched"]["files"]), (&0.into(), &0.into()), "{coverage:#}");
    let entries = coverage["entries"].as_array().unwrap();
    let is_of_git = |entry: &serde_json::Value| {
        entry["reason"].as_str().unwrap() == "of a git package: Cargo.lock has the commit of it, and no digest"
    };
    assert!(entries.len() > 10 && entries.iter().all(is_of_git), "{coverage:#}");
    built.locked.verify("lock").expect(14, &["unproven-entry"]);
}

#[test]
fn what_cargo_builds_beside_what_was_verified_is_allowed_by_a_pattern() {
    let built = Built::new(&["~/.cargo/registry"]);
    must(cargo(&built.locked.project, &built.home()).args(["generate-lockfile", "--offline"]));
    built.run();
    remove(&built.locked.path("target"));
    let watched = Watched::verified(&built.locked.project, &["~/.cargo/registry", "target"]);
    assert_eq!(built.run(), "61\n");
    watched.recheck(&[]).expect(11, &["changed-after-verify"]);
    let verdict = watched.recheck(&["--allow-new", "target/**"]);
    verdict.expect(0, &[]);
    assert!(number(&verdict, "new") > 10, "{:#}", verdict.json);
    watched.recheck(&["--full", "--allow-new", "target/**"]).expect(0, &[]);
    fs::write(built.src().join("src/lib.rs"), POISON).unwrap();
    watched.recheck(&["--allow-new", "target/**"]).expect(11, &["changed-after-verify"]);
}
