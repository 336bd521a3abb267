//! Environments are used in place: what is locked for this Python and is not there is missed. And what installers write
//! that no wheel says.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cacheseal::base::Digest;

use super::Locked;
use super::zips::zip;

const SITE: &str = ".venv/lib/python3.12/site-packages";
const WHEEL: &str = "Wheel-Version: 1.0\nTag: py3-none-any\n";

/// A wheel with one module.
fn wheel(name: &str, version: &str) -> Vec<u8> {
    let info = format!("{name}-{version}.dist-info");
    zip(&[
        (&format!("{name}.py"), format!("name = '{name}'\n").as_bytes(), 0o644),
        (&format!("{info}/WHEEL"), WHEEL.as_bytes(), 0o644),
        (&format!("{info}/RECORD"), b"", 0o644),
    ])
}

fn row(path: &str, contents: &[u8]) -> String {
    format!("{path},sha256={},{}\n", URL_SAFE_NO_PAD.encode(Digest::sha256(contents).0), contents.len())
}

/// Puts a wheel into the wheelhouse and installs it as uv does.
fn install(locked: &Locked, name: &str, version: &str) {
    locked.write(&format!("wheelhouse/{name}-{version}-py3-none-any.whl"), wheel(name, version));
    let module = format!("name = '{name}'\n");
    let info = format!("{name}-{version}.dist-info");
    locked.write(&format!("{SITE}/{name}.py"), &module);
    locked.write(&format!("{SITE}/{info}/WHEEL"), WHEEL);
    locked.write(&format!("{SITE}/{info}/INSTALLER"), "uv");
    let rows = [
        row(&format!("{name}.py"), module.as_bytes()),
        row(&format!("{info}/WHEEL"), WHEEL.as_bytes()),
        row(&format!("{info}/INSTALLER"), b"uv"),
        format!("{info}/RECORD,,\n"),
    ];
    locked.write(&format!("{SITE}/{info}/RECORD"), rows.concat());
}

fn uninstall(locked: &Locked, name: &str, version: &str) {
    fs::remove_file(locked.path(&format!("{SITE}/{name}.py"))).unwrap();
    fs::remove_dir_all(locked.path(&format!("{SITE}/{name}-{version}.dist-info"))).unwrap();
}

fn hash(name: &str, version: &str) -> String {
    format!("sha256:{}", Digest::sha256(&wheel(name, version)))
}

/// `main` for every system, `win` for another, `extra-x` for an extra, `tests` for a group, `deep` asked for by `main`.
fn lockfiles() -> [(&'static str, String); 4] {
    let line = |name: &str, marker: &str| format!("{name}==1.0 {marker} --hash={}\n", hash(name, "1.0"));
    let requirements = ["main", "deep", "tests", "extra_x"].map(|name| line(name, "")).concat();
    let requirements = requirements + &line("win", "; sys_platform == 'win32'");
    let uv = |name: &str, more: &str| {
        format!(
            "[[package]]\nname = \"{}\"\nversion = \"1.0\"\nsource = {{ registry = \"https://example.com/simple\" }}\n{more}\
             wheels = [\n    {{ url = \"https://example.com/{name}-1.0-py3-none-any.whl\", hash = \"{}\" }},\n]\n\n",
            name.replace('_', "-"),
            hash(name, "1.0")
        )
    };
    let mut uv_lock = "version = 1\nrequires-python = \">=3.9\"\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n\
         source = { editable = \".\" }\ndependencies = [\n    { name = \"main\" },\n    \
         { name = \"win\", marker = \"sys_platform == 'win32'\" },\n]\n\n[package.optional-dependencies]\n\
         http = [{ name = \"extra-x\" }]\n\n[package.dev-dependencies]\ndev = [{ name = \"tests\" }]\n\n"
        .to_owned();
    uv_lock += &uv("main", "dependencies = [{ name = \"deep\" }]\n");
    for name in ["deep", "tests", "extra_x", "win"] {
        uv_lock += &uv(name, "");
    }
    let poetry = |name: &str, more: &str| {
        format!(
            "[[package]]\nname = \"{name}\"\nversion = \"1.0\"\n{more}files = [{{file = \"{name}-1.0-py3-none-any.whl\", hash = \"{}\"}}]\n\n",
            hash(name, "1.0")
        )
    };
    let poetry_lock = poetry("main", "groups = [\"main\"]\n")
        + &poetry("deep", "groups = [\"main\", \"dev\"]\n")
        + &poetry("tests", "groups = [\"dev\"]\n")
        + &poetry("extra_x", "optional = true\ngroups = [\"main\"]\nmarkers = \"extra == 'http'\"\n")
        + &poetry("win", "groups = [\"main\"]\nmarkers = \"sys_platform == 'win32'\"\n")
        + "[metadata]\nlock-version = \"2.1\"\ncontent-hash = \"x\"\n";
    let pipfile = |name: &str, marker: &str| {
        format!("\"{name}\": {{\"hashes\": [\"{}\"], \"version\": \"==1.0\"{marker}}}", hash(name, "1.0"))
    };
    let pipfile_lock = format!(
        "{{\"_meta\": {{\"pipfile-spec\": 6}}, \"default\": {{{}, {}, {}, {}}}, \"dev\": {{{}}}}}",
        pipfile("main", ""),
        pipfile("deep", ""),
        pipfile("extra_x", ""),
        pipfile("win", ", \"markers\": \"sys_platform == 'win32'\""),
        pipfile("tests", "")
    );
    [
        ("requirements/base.txt", requirements),
        ("uv.lock", uv_lock),
        ("poetry.lock", poetry_lock),
        ("Pipfile.lock", pipfile_lock),
    ]
}

fn installed(name: &str, text: &str) -> Locked {
    let locked = Locked::new(&["wheelhouse", SITE], name);
    locked.write(name, text);
    for name in ["main", "deep", "tests", "extra_x"] {
        install(&locked, name, "1.0");
    }
    locked
}

fn with_policy(locked: &Locked, installed: &str) {
    let policy = fs::read_to_string(locked.path("cacheseal.toml")).unwrap();
    locked.write("cacheseal.toml", policy.replacen("\n\n[signer", &format!("\ninstalled = {installed}\n\n[signer"), 1));
}

#[test]
fn each_release_that_is_taken_away_is_missed_and_what_is_for_others_is_not() {
    for (file, text) in lockfiles() {
        installed(file, &text).trusted(file);
        for name in ["main", "deep", "tests", "extra_x"] {
            let locked = installed(file, &text);
            uninstall(&locked, name, "1.0");
            let verdict = locked.verify("lock");
            verdict.expect_of(format!("{file} {name}"), 14, &["lockfile-mismatch"]);
            assert_eq!(verdict.json["counts"]["lockfile-mismatch"], 1, "{file} {name}: {:#}", verdict.json);
            let place = verdict.json["refusals"][0]["place"].as_str().unwrap().replace('_', "-");
            assert_eq!(place, format!("{SITE}/{}-1.0.dist-info", name.replace('_', "-")), "{file}");
            // An empty directory of its name would be found by `import`.
            fs::create_dir(locked.path(&format!("{SITE}/{name}"))).unwrap();
            locked.verify("lock").expect_of(name, 14, &["lockfile-mismatch", "unproven-entry"]);
        }
    }
}

#[test]
fn groups_and_extras_that_the_policy_leaves_out_are_not_missed() {
    for (file, text) in lockfiles() {
        if file.starts_with("requirements") {
            continue;
        }
        let main = if file == "Pipfile.lock" { "default" } else { "main" };
        let locked = installed(file, &text);
        uninstall(&locked, "tests", "1.0");
        locked.verify("lock").expect_of(file, 14, &["lockfile-mismatch"]);
        with_policy(&locked, &format!("{{ groups = [\"{main}\"] }}"));
        locked.verify("lock").expect_of(file, 0, &[]);
        if file == "Pipfile.lock" {
            continue;
        }
        uninstall(&locked, "extra_x", "1.0");
        locked.verify("lock").expect_of(file, 14, &["lockfile-mismatch"]);
        with_policy(&locked, "{ extras = [], groups = [\"main\"] }");
        let policy = fs::read_to_string(locked.path("cacheseal.toml")).unwrap();
        locked.write("cacheseal.toml", policy.replace(&format!("installed = {{ groups = [\"{main}\"] }}\n"), ""));
        locked.verify("lock").expect_of(file, 0, &[]);
    }
}

#[test]
fn an_included_file_of_a_directory_of_requirements_is_read() {
    let line = |name: &str| format!("{name}==1.0 --hash={}\n", hash(name, "1.0"));
    let locked = Locked::new(&["wheelhouse"], "requirements/dev.txt");
    let policy = fs::read_to_string(locked.path("cacheseal.toml")).unwrap();
    locked.write("requirements/dev.txt", format!("-r base.txt\n{}", line("tests")));
    locked.write("requirements/base.txt", line("main"));
    locked.write("wheelhouse/main-1.0-py3-none-any.whl", wheel("main", "1.0"));
    locked.write("wheelhouse/tests-1.0-py3-none-any.whl", wheel("tests", "1.0"));
    locked.verify("lock").expect_error(5, "unsupported-lockfile");
    let both = "[\"requirements/dev.txt\", \"requirements/base.txt\"]";
    locked.write("cacheseal.toml", policy.replace("[\"requirements/dev.txt\"]", both));
    locked.trusted("");
}

/// uv notes when the wheel was written that it took from a directory; nothing of it is run.
#[test]
fn the_notes_of_uv_are_known_by_their_shape() {
    const NOTES: &str = "{\"timestamp\":{\"secs_since_epoch\":1795514006,\"nanos_since_epoch\":5},\"commit\":null,\
                         \"tags\":null,\"env\":{},\"directories\":{}}";
    let (file, text) = &lockfiles()[1];
    let info = format!("{SITE}/main-1.0.dist-info");
    let noted = |notes: &str| {
        let locked = installed(file, text);
        locked.write(&format!("{info}/uv_cache.json"), notes);
        let record = fs::read_to_string(locked.path(&format!("{info}/RECORD"))).unwrap();
        locked.write(&format!("{info}/RECORD"), record + &row("main-1.0.dist-info/uv_cache.json", notes.as_bytes()));
        locked
    };
    noted(NOTES).trusted("");
    for notes in [
        NOTES.replace("null,\"tags\"", "\"x\",\"tags\""),
        NOTES.replace("{},\"dir", "{\"PATH\":\"x\"},\"dir"),
        NOTES.replace("\"env\"", "\"evil\""),
        NOTES.replace("1795514006", "\"x\""),
        "[]".to_owned(),
        String::new(),
    ] {
        noted(&notes).refused(&notes, &["unproven-entry"], &format!("{info}/uv_cache.json"));
    }
}

/// A wheel whose own `RECORD` is executable, as that of protobuf: uv writes over it and keeps the bit.
#[test]
fn an_executable_record_of_a_wheel_stays_one() {
    let wheel = zip(&[
        ("main.py", b"name = 'main'\n", 0o644),
        ("main-1.0.dist-info/WHEEL", WHEEL.as_bytes(), 0o644),
        ("main-1.0.dist-info/RECORD", b"", 0o777),
    ]);
    let locked = Locked::new(&["wheelhouse", SITE], "requirements.txt");
    locked.write("requirements.txt", format!("main==1.0 --hash=sha256:{}\n", Digest::sha256(&wheel)));
    install(&locked, "main", "1.0");
    locked.write("wheelhouse/main-1.0-py3-none-any.whl", wheel);
    locked.trusted("as pip");
    let record = format!("{SITE}/main-1.0.dist-info/RECORD");
    let text = fs::read_to_string(locked.path(&record)).unwrap();
    locked.write_mode(&record, text, 0o755);
    locked.trusted("as uv");
}

/// What pip makes executable: a regular file with any executable bit, whatever system the zip is from. uv asks for the
/// system and not for the type; where the two differ, either is as locked.
#[test]
fn modes_are_those_that_installers_read() {
    let module = b"name = 'main'\n";
    let made = |mode: u32, system: u8, has_type: bool| {
        let info: [(&str, &[u8], u32); 3] = [
            ("main.py", module, mode),
            ("main-1.0.dist-info/WHEEL", WHEEL.as_bytes(), 0o644),
            ("main-1.0.dist-info/RECORD", b"", 0o644),
        ];
        let mut bytes = zip(&info);
        let central = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        bytes[central + 5] = system;
        if !has_type {
            bytes[central + 41] &= 0x0f;
        }
        bytes
    };
    // Mode and system in the zip, whether it says the type, and which bits are as locked.
    let rows = [
        (0o644, 3, true, false, true),
        (0o755, 3, true, true, false),
        (0o654, 3, true, true, false),
        (0o645, 3, true, true, false),
        (0o755, 0, true, true, true),
        (0o755, 3, false, true, true),
        (0o644, 0, true, false, true),
    ];
    for (mode, system, has_type, executable, plain) in rows {
        let wheel = made(mode, system, has_type);
        for (installed, is_good) in [(0o755, executable), (0o644, plain)] {
            let row = format!("{mode:o} {system} {has_type} {installed:o}");
            let locked = Locked::new(&["wheelhouse", SITE], "requirements.txt");
            locked.write("requirements.txt", format!("main==1.0 --hash=sha256:{}\n", Digest::sha256(&wheel)));
            install(&locked, "main", "1.0");
            locked.write("wheelhouse/main-1.0-py3-none-any.whl", &wheel);
            locked.write_mode(&format!("{SITE}/main.py"), module, installed);
            let verdict = locked.verify("lock");
            if is_good {
                verdict.expect_of(row, 0, &[]);
            } else {
                assert_eq!(verdict.code, Some(14), "{row}: {:#}", verdict.json);
            }
        }
    }
}

/// Installers write the command of pip once more for the version of Python.
#[test]
fn pip_itself_may_be_locked() {
    let points = b"[console_scripts]\npip = pip:main\npip3 = pip:main\n";
    let info = "pip-1.0.dist-info";
    let wheel = zip(&[
        ("pip.py", b"name = 'pip'\n", 0o644),
        (&format!("{info}/WHEEL"), WHEEL.as_bytes(), 0o644),
        (&format!("{info}/entry_points.txt"), points, 0o644),
        (&format!("{info}/RECORD"), b"", 0o644),
    ]);
    let script = "import sys\nfrom pip import main\nif __name__ == '__main__':\n    \
                  sys.argv[0] = sys.argv[0].removesuffix('.exe')\n    sys.exit(main())\n";
    let with = |scripts: &[&str], roots: &[&str]| {
        let locked = Locked::new(roots, "requirements.txt");
        locked.write("requirements.txt", format!("pip==1.0 --hash=sha256:{}\n", Digest::sha256(&wheel)));
        install(&locked, "pip", "1.0");
        locked.write("wheelhouse/pip-1.0-py3-none-any.whl", &wheel);
        locked.write(&format!("{SITE}/{info}/entry_points.txt"), points);
        let python = fs::canonicalize(locked.project.root()).unwrap().join(".venv/bin/python");
        let text = format!("#!{}\n{script}", python.display());
        let record = fs::read_to_string(locked.path(&format!("{SITE}/{info}/RECORD"))).unwrap();
        let rows = scripts.iter().map(|name| row(&format!("../../../bin/{name}"), text.as_bytes()));
        let rows = rows.collect::<String>() + &row(&format!("{info}/entry_points.txt"), points);
        locked.write(&format!("{SITE}/{info}/RECORD"), record + &rows);
        for name in scripts {
            locked.write_mode(&format!(".venv/bin/{name}"), &text, 0o755);
        }
        locked
    };
    let packages: [&str; 2] = ["wheelhouse", SITE];
    with(&["pip", "pip3", "pip3.12"], &packages).trusted("pip and uv");
    with(&["pip", "pip3"], &packages).trusted("Poetry");
    with(&["pip", "pip3", "pip3.12"], &["wheelhouse", ".venv"]).trusted("the whole environment");
    let record = format!("{SITE}/{info}/RECORD");
    with(&["pip", "pip3", "pip3.11"], &packages).refused("another Python", &["unproven-entry"], &record);
}
