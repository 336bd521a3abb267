//! Wheelhouses, caches of pip, uv and Poetry, and environments made here, against the lockfiles of Python's tools.
//! The real tools are judges of their own.

use std::fs;
use std::os::unix::fs::symlink;

use cacheseal::base::Digest;

use super::Locked;
use super::zips::zip;
use crate::rows::{each, some};

const WHEEL: &str = "demo-1.0-py3-none-any.whl";
const SITE: &str = ".venv/lib/python3.12/site-packages";

const ENTRY_POINTS: &[u8] = b"[console_scripts]\ndemo = demo:main\n\n[other]\nx = y:z\n";
const SCRIPT: &str = "import sys\nfrom demo import main\nif __name__ == '__main__':\n    \
                      sys.argv[0] = sys.argv[0].removesuffix('.exe')\n    sys.exit(main())\n";

/// The wheel of `demo 1.0`.
fn wheel() -> Vec<u8> {
    zip(&[
        ("demo/__init__.py", b"def main(): pass\n", 0o644),
        ("demo/tool.sh", b"#!/bin/sh\n", 0o755),
        ("demo-1.0.data/scripts/demo-x", b"#!python\nimport demo\n", 0o755),
        ("demo-1.0.data/data/share/demo.txt", b"x\n", 0o644),
        ("demo-1.0.dist-info/METADATA", b"Name: demo\nVersion: 1.0\n", 0o644),
        ("demo-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\nTag: py3-none-any\n", 0o644),
        ("demo-1.0.dist-info/entry_points.txt", ENTRY_POINTS, 0o644),
        ("demo-1.0.dist-info/RECORD", b"", 0o644),
    ])
}

fn source() -> &'static [u8] {
    b"a source distribution"
}

fn requirements() -> String {
    let (wheel, source) = (Digest::sha256(&wheel()), Digest::sha256(source()));
    format!("# pinned\ndemo==1.0 ; python_version > '3' \\\n    --hash=sha256:{wheel} \\\n    --hash=sha256:{source}\n")
}

fn uv_lock() -> String {
    format!(
        r#"version = 1
revision = 3
requires-python = ">=3.9"

[[package]]
name = "app"
version = "0.1.0"
source = {{ virtual = "." }}

[[package]]
name = "demo"
version = "1.0"
source = {{ registry = "https://example.com/simple" }}
sdist = {{ url = "https://example.com/demo-1.0.tar.gz", hash = "sha256:{}", size = 21 }}
wheels = [
    {{ url = "https://example.com/{WHEEL}", hash = "sha256:{}", size = 1 }},
]
"#,
        Digest::sha256(source()),
        Digest::sha256(&wheel())
    )
}

fn poetry_lock() -> String {
    format!(
        r#"[[package]]
name = "Demo"
version = "1.0"
files = [
    {{file = "{WHEEL}", hash = "sha256:{}"}},
    {{file = "demo-1.0.tar.gz", hash = "sha256:{}"}},
]

[metadata]
lock-version = "2.1"
content-hash = "x"
"#,
        Digest::sha256(&wheel()),
        Digest::sha256(source())
    )
}

fn pipfile_lock() -> String {
    format!(
        r#"{{
    "_meta": {{"hash": {{"sha256": "x"}}, "pipfile-spec": 6, "requires": {{}}, "sources": []}},
    "default": {{
        "demo": {{
            "hashes": ["sha256:{}", "sha256:{}"],
            "version": "==1.0"
        }}
    }},
    "develop": {{}}
}}
"#,
        Digest::sha256(&wheel()),
        Digest::sha256(source())
    )
}

/// The same release in each of the lockfiles.
pub(crate) fn lockfiles() -> [(&'static str, String); 4] {
    [
        ("requirements.txt", requirements()),
        ("uv.lock", uv_lock()),
        ("poetry.lock", poetry_lock()),
        ("Pipfile.lock", pipfile_lock()),
    ]
}

/// A wheelhouse with all of `demo 1.0`.
fn wheelhouse(lockfile: &str, text: &str) -> Locked {
    let locked = Locked::new(&["wheelhouse"], lockfile);
    locked.write(lockfile, text);
    locked.write(&format!("wheelhouse/{WHEEL}"), wheel());
    locked.write("wheelhouse/demo-1.0.tar.gz", source());
    locked
}

#[test]
fn an_honest_wheelhouse_is_proven_whole_by_each_lockfile() {
    for (name, text) in lockfiles() {
        wheelhouse(name, &text).trusted(name);
    }
}

#[test]
fn each_tampering_of_a_wheelhouse_is_refused_where_it_is() {
    type Tamper = fn(&Locked);
    let rows: &[(&str, Tamper, &str, &str)] = &[
        (
            "other bytes",
            |house| house.write(&format!("wheelhouse/{WHEEL}"), zip(&[("demo/__init__.py", b"evil", 0o644)])),
            "lockfile-mismatch",
            WHEEL,
        ),
        (
            "another source distribution",
            |house| house.write("wheelhouse/demo-1.0.tar.gz", "evil"),
            "lockfile-mismatch",
            "demo-1.0.tar.gz",
        ),
        (
            "a release that is not locked",
            |house| house.write("wheelhouse/evil-1.0-py3-none-any.whl", wheel()),
            "unproven-entry",
            "evil-1.0-py3-none-any.whl",
        ),
        (
            "locked bytes under another version",
            |house| house.write("wheelhouse/demo-1.1-py3-none-any.whl", wheel()),
            "unproven-entry",
            "demo-1.1-py3-none-any.whl",
        ),
        ("something else", |house| house.write("wheelhouse/evil.pth", "import evil"), "unproven-entry", "evil.pth"),
        (
            "a link to a wheel",
            |house| symlink(WHEEL, house.path("wheelhouse/demo-1.0-1-py3-none-any.whl")).unwrap(),
            "unproven-entry",
            "demo-1.0-1-py3-none-any.whl",
        ),
    ];
    for (name, text) in lockfiles() {
        each(some(rows), |(row, tamper, code, place)| {
            let house = wheelhouse(name, &text);
            tamper(&house);
            let verdict = house.verify("lock");
            assert_eq!(verdict.code, Some(14), "{name}: {row}: {:#}", verdict.json);
            let place = format!("wheelhouse/{place}");
            let refusals = verdict.json["refusals"].as_array().unwrap();
            let named = refusals.iter().any(|refusal| refusal["code"] == *code && refusal["place"] == place.as_str());
            assert!(named, "{name}: {row}: {:#}", verdict.json);
        });
    }
}

#[test]
fn a_wheel_that_the_lockfile_does_not_name_is_not_among_its_files() {
    for (name, text) in [("uv.lock", uv_lock()), ("poetry.lock", poetry_lock())] {
        let house = wheelhouse(name, &text);
        house.write("wheelhouse/demo-1.0-cp312-cp312-linux_x86_64.whl", wheel());
        house.refused(name, &["unproven-entry"], "wheelhouse/demo-1.0-cp312-cp312-linux_x86_64.whl");
    }
}

#[test]
fn weak_digests_match_but_prove_nothing() {
    let text = poetry_lock()
        .replace(&format!("sha256:{}", Digest::sha256(source())), "sha1:8b9ec7411794fb580b4138af74e6c5e7ed3130d0");
    wheelhouse("poetry.lock", &text).refused("sha1", &["unproven-entry"], "wheelhouse/demo-1.0.tar.gz");
    let text =
        poetry_lock().replace(&format!("sha256:{}", Digest::sha256(source())), "md5:d41d8cd98f00b204e9800998ecf8427e");
    wheelhouse("poetry.lock", &text).refused("md5", &["unproven-entry"], "wheelhouse/demo-1.0.tar.gz");
}

/// A wheelhouse, and `demo 1.0` installed from it as pip does.
fn installed() -> Locked {
    let locked = Locked::new(&["wheelhouse", SITE], "requirements.txt");
    locked.write("requirements.txt", requirements());
    locked.write(&format!("wheelhouse/{WHEEL}"), wheel());
    install(&locked);
    locked
}

fn install(locked: &Locked) {
    locked.write(&format!("{SITE}/demo/__init__.py"), "def main(): pass\n");
    locked.write_mode(&format!("{SITE}/demo/tool.sh"), "#!/bin/sh\n", 0o755);
    let info = format!("{SITE}/demo-1.0.dist-info");
    locked.write(&format!("{info}/METADATA"), "Name: demo\nVersion: 1.0\n");
    locked.write(&format!("{info}/WHEEL"), "Wheel-Version: 1.0\nTag: py3-none-any\n");
    locked.write(&format!("{info}/entry_points.txt"), ENTRY_POINTS);
    locked.write(&format!("{info}/INSTALLER"), "pip\n");
    locked.write(&format!("{info}/REQUESTED"), "");
    locked.write(&format!("{info}/RECORD"), record());
    let python = fs::canonicalize(locked.project.root()).unwrap().join(".venv/bin/python");
    locked.write_mode(".venv/bin/demo", format!("#!{}\n{SCRIPT}", python.display()), 0o755);
    locked.write_mode(".venv/bin/demo-x", format!("#!{}\nimport demo\n", python.display()), 0o755);
    locked.write(".venv/share/demo.txt", "x\n");
}

/// `RECORD` as pip writes it; the digests of scripts depend on where the environment is.
fn record() -> String {
    use base64::Engine as _;
    let row = |path: &str, contents: &[u8]| {
        let digest = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Digest::sha256(contents).0);
        format!("{path},sha256={digest},{}\r\n", contents.len())
    };
    let info = "demo-1.0.dist-info";
    [
        row("../../../bin/demo", b"somewhere"),
        row("../../../bin/demo-x", b"somewhere"),
        row("../../../share/demo.txt", b"x\n"),
        row(&format!("{info}/INSTALLER"), b"pip\n"),
        row(&format!("{info}/METADATA"), b"Name: demo\nVersion: 1.0\n"),
        format!("{info}/RECORD,,\r\n"),
        row(&format!("{info}/REQUESTED"), b""),
        row(&format!("{info}/WHEEL"), b"Wheel-Version: 1.0\nTag: py3-none-any\n"),
        row(&format!("{info}/entry_points.txt"), ENTRY_POINTS),
        row("demo/__init__.py", b"def main(): pass\n"),
        "demo/__pycache__/__init__.cpython-312.pyc,,\r\n".to_owned(),
        row("demo/tool.sh", b"#!/bin/sh\n"),
    ]
    .concat()
}

#[test]
fn an_honest_installation_is_proven_whole() {
    installed().trusted("");
}

#[test]
fn each_tampering_of_an_installation_is_refused_where_it_is() {
    type Tamper = fn(&Locked);
    const INFO: &str = "demo-1.0.dist-info";
    let rows: &[(&str, Tamper, &str, &str)] = &[
        (
            "other bytes of the same length",
            |home| home.write(&format!("{SITE}/demo/__init__.py"), "def evil(): pass\n"),
            "lockfile-mismatch",
            "demo/__init__.py",
        ),
        (
            "a file less",
            |home| fs::remove_file(home.path(&format!("{SITE}/demo/tool.sh"))).unwrap(),
            "lockfile-mismatch",
            "demo/tool.sh",
        ),
        (
            "an executable bit",
            |home| home.write_mode(&format!("{SITE}/demo/__init__.py"), "def main(): pass\n", 0o755),
            "lockfile-mismatch",
            "demo/__init__.py",
        ),
        (
            "a link for a file",
            |home| {
                fs::remove_file(home.path(&format!("{SITE}/demo/tool.sh"))).unwrap();
                symlink("__init__.py", home.path(&format!("{SITE}/demo/tool.sh"))).unwrap();
            },
            "lockfile-mismatch",
            "demo/tool.sh",
        ),
        ("a module more", |home| home.write(&format!("{SITE}/demo/evil.py"), ""), "unproven-entry", "demo/evil.py"),
        (
            "a module that starts with Python",
            |home| home.write(&format!("{SITE}/sitecustomize.py"), ""),
            "unproven-entry",
            "sitecustomize.py",
        ),
        ("a path file", |home| home.write(&format!("{SITE}/evil.pth"), "import evil"), "unproven-entry", "evil.pth"),
        (
            "compiled code",
            |home| home.write(&format!("{SITE}/demo/__pycache__/__init__.cpython-312.pyc"), "evil"),
            "unproven-entry",
            "demo/__pycache__/__init__.cpython-312.pyc",
        ),
        (
            "another distribution",
            |home| home.write(&format!("{SITE}/evil-1.0.dist-info/METADATA"), ""),
            "unproven-entry",
            "evil-1.0.dist-info/METADATA",
        ),
        (
            "another installer",
            |home| home.write(&format!("{SITE}/{INFO}/INSTALLER"), "evil\n"),
            "unproven-entry",
            "demo-1.0.dist-info/INSTALLER",
        ),
        (
            "a URL that it does not come from",
            |home| home.write(&format!("{SITE}/{INFO}/direct_url.json"), "{}"),
            "unproven-entry",
            "demo-1.0.dist-info/direct_url.json",
        ),
        (
            "an executable record",
            |home| home.write_mode(&format!("{SITE}/{INFO}/RECORD"), record(), 0o755),
            "unproven-entry",
            "demo-1.0.dist-info/RECORD",
        ),
        (
            "a record that uninstalls what is not its own",
            |home| home.write(&format!("{SITE}/{INFO}/RECORD"), record() + "../../../bin/python,,\r\n"),
            "unproven-entry",
            "demo-1.0.dist-info/RECORD",
        ),
        (
            "entry points of another",
            |home| home.write(&format!("{SITE}/{INFO}/entry_points.txt"), "[console_scripts]\ndemo = evil:main\n"),
            "lockfile-mismatch",
            "demo-1.0.dist-info/entry_points.txt",
        ),
        (
            "a file more in what is its own",
            |home| home.write(&format!("{SITE}/{INFO}/licenses/evil.py"), ""),
            "lockfile-mismatch",
            "demo-1.0.dist-info/licenses/evil.py",
        ),
    ];
    each(some(rows), |(row, tamper, code, place)| {
        let home = installed();
        tamper(&home);
        let verdict = home.verify("lock");
        assert_eq!(verdict.code, Some(14), "{row}: {:#}", verdict.json);
        let place = format!("{SITE}/{place}");
        let refusals = verdict.json["refusals"].as_array().unwrap();
        let named = refusals.iter().any(|refusal| refusal["code"] == *code && refusal["place"] == place.as_str());
        assert!(named, "{row}: {:#}", verdict.json);
    });
}

#[test]
fn what_was_installed_from_a_wheel_that_is_not_the_locked_one_is_unproven() {
    let home = installed();
    home.write(&format!("wheelhouse/{WHEEL}"), zip(&[("demo/__init__.py", b"evil", 0o644)]));
    home.refused("", &["lockfile-mismatch", "unproven-entry"], &format!("wheelhouse/{WHEEL}"));
    fs::remove_file(home.path(&format!("wheelhouse/{WHEEL}"))).unwrap();
    home.refused("", &["unproven-entry"], &format!("{SITE}/demo/__init__.py"));
}

/// What the verdict says of the scripts of an environment that is a root as a whole.
fn unproven_scripts(tamper: fn(&Locked)) -> Vec<String> {
    let home = Locked::new(&["wheelhouse", ".venv"], "requirements.txt");
    home.write("requirements.txt", requirements());
    home.write(&format!("wheelhouse/{WHEEL}"), wheel());
    install(&home);
    home.write(".venv/pyvenv.cfg", "home = /usr/bin\n");
    tamper(&home);
    let verdict = home.verify("lock");
    let refusals = verdict.json["refusals"].as_array().unwrap();
    let places = refusals.iter().map(|refusal| format!("{} {}", refusal["code"], refusal["place"]).replace('"', ""));
    places.filter(|place| !place.contains("RECORD")).collect()
}

#[test]
fn scripts_of_an_environment_are_derived() {
    const CONFIG: &str = "unproven-entry .venv/pyvenv.cfg";
    // The record has other digests of scripts than these scripts have, and is not asked here.
    assert_eq!(unproven_scripts(|_| {}), [CONFIG]);
    for (script, code) in [
        ("#!/tmp/evil\nimport demo\n", "unproven-entry .venv/bin/demo-x"),
        ("#!/bin/sh\nimport evil\n", "lockfile-mismatch .venv/bin/demo-x"),
    ] {
        let tamper: fn(&Locked) = if script.contains("evil\nimport demo") {
            |home| home.write_mode(".venv/bin/demo-x", "#!/tmp/evil\nimport demo\n", 0o755)
        } else {
            |home| home.write_mode(".venv/bin/demo-x", "#!/bin/sh\nimport evil\n", 0o755)
        };
        let found = unproven_scripts(tamper);
        assert!(found.iter().any(|place| place == code) && found.len() == 2, "{found:?}");
    }
    let found = unproven_scripts(|home| home.write_mode(".venv/bin/demo", "#!/bin/sh\nevil\n", 0o755));
    assert!(found.iter().any(|place| place == "unproven-entry .venv/bin/demo"), "{found:?}");
    let found = unproven_scripts(|home| home.write_mode(".venv/bin/python", "evil", 0o755));
    assert!(found.iter().any(|place| place == "unproven-entry .venv/bin/python"), "{found:?}");
    let found = unproven_scripts(|home| home.write(".venv/share/demo.txt", "y\n"));
    assert!(found.iter().any(|place| place == "lockfile-mismatch .venv/share/demo.txt"), "{found:?}");
}

#[test]
fn poetrys_artifacts_are_those_of_one_release_for_each_url() {
    const ARTIFACTS: &str =
        "~/.cache/pypoetry/artifacts/66/ef/a4/fa820b2fe8f6c9f7b71d8c9489522b61c3cca7defee3e4774e20958451";
    let home = Locked::new(&["~/.cache/pypoetry/artifacts"], "poetry.lock");
    home.write("poetry.lock", poetry_lock());
    home.write(&format!("{ARTIFACTS}/{WHEEL}"), wheel());
    home.trusted("");
    // Poetry takes the best wheel of the directory, and asks only the digest of the one that is locked.
    let better = format!("{ARTIFACTS}/demo-1.0-cp312-cp312-linux_x86_64.whl");
    home.write(&better, "evil");
    home.refused("a better wheel", &["unproven-entry"], &better);
    fs::remove_file(home.path(&better)).unwrap();
    let other = format!("{ARTIFACTS}/other-1.0-py3-none-any.whl");
    home.write(&other, "evil");
    home.refused("another release", &["unproven-entry"], &other);
    fs::remove_file(home.path(&other)).unwrap();
    home.write("~/.cache/pypoetry/artifacts/66/ef/demo-1.0.tar.gz", source());
    let shallow = "~/.cache/pypoetry/artifacts/66/ef/demo-1.0.tar.gz";
    home.refused("not where Poetry looks", &["unproven-entry"], shallow);
}

#[test]
fn pips_downloads_are_proven_where_the_lockfile_has_their_url() {
    let home = Locked::new(&["~/.cache/pip"], "uv.lock");
    home.write("uv.lock", uv_lock());
    let digits: Vec<_> = PIP_KEY.chars().take(5).map(String::from).collect();
    let body = format!("~/.cache/pip/http-v2/{}/{PIP_KEY}.body", digits.join("/"));
    home.write(&body, wheel());
    home.trusted("");
    home.write(&body, "evil");
    home.refused("other bytes", &["lockfile-mismatch"], &body);
    home.write(&body, wheel());
    let other = body.replace(".body", "0.body");
    home.write(&other, wheel());
    home.refused("another URL", &["unproven-entry"], &other);
    fs::remove_file(home.path(&other)).unwrap();
    let built = "~/.cache/pip/wheels/aa/bb/cc/dd/demo-1.0-py3-none-any.whl";
    home.write(built, wheel());
    home.refused("built here", &["unproven-entry"], built);
}

/// `printf %s https://example.com/demo-1.0-py3-none-any.whl | sha224sum`
const PIP_KEY: &str = "7859fea7ece5feba70809d5c5944787f3ffd81b5b8affcdf67eed88b";

#[test]
fn what_uv_unpacked_is_compared_with_the_wheel() {
    let home = Locked::new(&["wheelhouse", "~/.cache/uv"], "uv.lock");
    home.write("uv.lock", uv_lock());
    home.write(&format!("wheelhouse/{WHEEL}"), wheel());
    let archive = "~/.cache/uv/archive-v0/x_1";
    home.write(&format!("{archive}/demo/__init__.py"), "def main(): pass\n");
    home.write_mode(&format!("{archive}/demo/tool.sh"), "#!/bin/sh\n", 0o755);
    home.write_mode(&format!("{archive}/demo-1.0.data/scripts/demo-x"), "#!python\nimport demo\n", 0o755);
    home.write(&format!("{archive}/demo-1.0.data/data/share/demo.txt"), "x\n");
    home.write(&format!("{archive}/demo-1.0.dist-info/METADATA"), "Name: demo\nVersion: 1.0\n");
    home.write(&format!("{archive}/demo-1.0.dist-info/WHEEL"), "Wheel-Version: 1.0\nTag: py3-none-any\n");
    home.write(&format!("{archive}/demo-1.0.dist-info/entry_points.txt"), ENTRY_POINTS);
    home.write(&format!("{archive}/demo-1.0.dist-info/RECORD"), "");
    let index = home.path("~/.cache/uv/wheels-v8/pypi/demo");
    fs::create_dir_all(&index).unwrap();
    symlink("../../../archive-v0/x_1", index.join("1.0-py3-none-any")).unwrap();
    home.trusted("");
    home.write(&format!("{archive}/demo/__init__.py"), "def evil(): pass\n");
    home.refused("other bytes", &["lockfile-mismatch"], &format!("{archive}/demo/__init__.py"));
    home.write(&format!("{archive}/demo/__init__.py"), "def main(): pass\n");
    home.write(&format!("{archive}/demo/evil.py"), "");
    home.refused("a file more", &["lockfile-mismatch"], &format!("{archive}/demo/evil.py"));
    fs::remove_file(home.path(&format!("{archive}/demo/evil.py"))).unwrap();
    home.write("~/.cache/uv/archive-v0/x_2/evil.py", "");
    home.refused("another archive", &["unproven-entry"], "~/.cache/uv/archive-v0/x_2/evil.py");
    fs::remove_dir_all(home.path("~/.cache/uv/archive-v0/x_2")).unwrap();
    fs::remove_file(home.path(&format!("wheelhouse/{WHEEL}"))).unwrap();
    home.refused("no wheel", &["unproven-entry"], &format!("{archive}/demo/__init__.py"));
}
