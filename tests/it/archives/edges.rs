//! Honest archives at the edges: sizes beyond octal digits, deep trees, names that only the command line explains,
//! absolute roots; and what `unpack` makes of all that `verify` trusts.

use std::fs;

use super::honest::VARIANTS;
use super::sample::{Form, Layout, Sample};
use super::stage::{Stage, fill, policy, text};
use super::tar::{BLOCK, Item, NAME, SIZE, dir, file, pax};
use crate::harness::{Project, judged_or_plain, key};
use crate::rows::some;

/// One byte more than octal digits can tell.
const LARGE: u64 = (8 << 30) + 1;

/// Signs a manifest that says that `deps/big` is so large.
fn seal_large(project: &Project) {
    let manifest = fs::read_to_string(project.seal_path().join("0.mtree")).unwrap();
    let statement: serde_json::Value = serde_json::from_slice(&project.payload()).unwrap();
    let total = |name: &str| statement["predicate"]["roots"][0][name].as_u64().unwrap();
    let (entries, bytes) = (total("entries"), total("bytes") - 3_200 + LARGE);
    let manifest = manifest.replace("size=3200 ", &format!("size={LARGE} "));
    project.resign_manifest(manifest.as_bytes(), entries, bytes);
}

#[test]
fn sizes_beyond_octal_digits_are_read() {
    let stage = Stage::after(seal_large);
    let in_pax = || pax(&[("size", LARGE.to_string().as_bytes())]);
    let spellings: [(&str, Vec<Item>); 3] = [
        ("base 256", vec![file("deps/big", "").gnu().base256(SIZE, LARGE.into())]),
        ("PAX alone", vec![in_pax(), file("deps/big", "")]),
        ("PAX and base 256", vec![in_pax(), file("deps/big", "").base256(SIZE, LARGE.into())]),
    ];
    for (row, items) in spellings {
        let mut draft = stage.sample.draft(Layout::Plain, Form::Ustar, true);
        let at = draft.at("deps/big");
        draft.replace("deps/big", items.clone());
        draft.tar.items.truncate(at + items.len());
        // The contents are cut off. That they are missed shows that the size was read and is the sealed one.
        let cut = [draft.tar.without_end(), vec![b'x'; 20 * BLOCK]].concat();
        stage.verify(&cut, &[]).expect_of(row, 12, &["truncated-archive"]);
    }
}

#[test]
fn a_deep_tree_is_trusted_and_unpacked() {
    let project = Project::empty(&policy());
    fill(&project);
    project.write(&format!("deps/{}file", "d/".repeat(judged_or_plain(1_000, 300))), "deep\n");
    project.seal();
    let stage = Stage::of(project);
    for form in [Form::Gnu, Form::Pax] {
        let tar = stage.sample.draft(Layout::Packed, form, true).tar.bytes();
        stage.verify(&tar, &[]).expect_of(format!("{form:?}"), 0, &[]);
        stage.unpack(&tar, &[]).expect_of(format!("{form:?}"), 0, &[]);
        stage.project.verify("any").expect_of(format!("{form:?}"), 0, &[]);
    }
}

/// Gives the members below `label` other names; each must still fit in its header.
fn rename(draft: &mut super::sample::Draft, label: &str, to: &str) {
    for item in &mut draft.tar.items {
        if item.label == label || item.label.starts_with(&format!("{label}/")) {
            let slash = if item.get(NAME).contains(&b'/') && item.get(super::tar::FLAG) == b"5" { "/" } else { "" };
            let name = format!("{to}{}{slash}", &item.label[label.len()..]);
            item.set(NAME, name);
        }
    }
}

#[test]
fn names_that_lead_elsewhere_are_read_only_where_they_are_explained() {
    let stage = Stage::new();
    let mut draft = stage.sample.draft(Layout::Plain, Form::Ustar, true);
    rename(&mut draft, "store", "/home/runner/store");
    rename(&mut draft, "deps", "../../app/deps");
    let tar = draft.tar.bytes();
    let explained = ["--root", "/home/runner/store=~/store", "--root", "../../app/deps=deps"];
    stage.verify(&tar, &explained).expect(0, &[]);
    stage.verify(&tar, &[]).expect(12, &["missing-entry", "unsafe-path"]);
    stage.verify(&tar, &explained[..2]).expect(12, &["missing-entry", "unsafe-path"]);
    stage.assert_untouched("explained");
    // What would be written is what is named.
    stage.unpack(&tar, &[]).expect(12, &["missing-entry", "unsafe-path"]);
    stage.assert_restored("unpacked");
    draft.refill("deps/tool", "#!/bin/sh\necho evil\n");
    stage.verify(&draft.tar.bytes(), &explained).expect(11, &["digest-mismatch"]);
}

#[test]
fn an_archive_may_be_one_root_and_nothing_else() {
    let project = Project::empty(&policy().replace(r#"["deps", "~/store", "~/never"]"#, r#"["deps"]"#));
    fill(&project);
    project.seal();
    let seal = project.outside("given");
    crate::harness::copy_tree(&project.seal_path(), &seal);
    let stage = Stage::of(project);
    let mut draft = stage.sample.draft(Layout::Plain, Form::Ustar, true);
    draft.remove_all(".cacheseal/deps");
    draft.remove_all("store");
    rename(&mut draft, "deps", ".");
    let explained = ["--root", ".=deps", "--seal", text(&seal)];
    stage.verify(&draft.tar.bytes(), &explained).expect(0, &[]);
    draft.add([file("./evil", "x")]);
    stage.verify(&draft.tar.bytes(), &explained).expect(11, &["extra-entry"]);
}

/// A sealed project that has a root at an absolute path, with these files in it; and that path as archives name it.
fn with_absolute_root(files: &[(&str, &str)]) -> (Project, String) {
    let project = Project::empty("");
    let root = project.outside("absolute");
    let written = text(&root);
    fs::write(project.path("cacheseal.toml"), policy().replace("\"~/never\"", &format!("\"{written}\""))).unwrap();
    fill(&project);
    fs::create_dir(&root).unwrap();
    for (name, contents) in files {
        fs::write(root.join(name), contents).unwrap();
    }
    project.seal();
    let name = written.trim_start_matches('/').to_owned();
    (project, name)
}

#[test]
fn an_absolute_root_is_found_without_its_slash() {
    let (project, name) = with_absolute_root(&[("file", "absolute\n")]);
    let sample = Sample::read(&project);
    let stage = Stage::of(project);
    for layout in [Layout::Plain, Layout::Circle] {
        let mut draft = sample.draft(layout, Form::Ustar, true);
        draft.add([dir(&name), file(format!("{name}/file"), "absolute\n")]);
        stage.verify(&draft.tar.bytes(), &[]).expect_of(format!("{layout:?}"), 0, &[]);
        draft.add([file(format!("{name}/evil"), "x")]);
        stage.verify(&draft.tar.bytes(), &[]).expect_of(format!("{layout:?}"), 11, &["extra-entry"]);
    }
    stage.assert_untouched("absolute");
}

#[test]
fn an_absolute_root_is_in_one_place() {
    let (project, name) = with_absolute_root(&[("one", "1\n"), ("two", "2\n")]);
    let sample = Sample::read(&project);
    let stage = Stage::of(project);
    for (other, expected) in [("", &[][..]), ("root/", &["ambiguous-layout", "missing-entry"])] {
        let mut draft = sample.draft(Layout::Packed, Form::Ustar, false);
        draft.begin([file(format!("{name}/one"), "1\n")]);
        draft.add([file(format!("{other}{name}/two"), "2\n")]);
        let exit = if expected.is_empty() { 0 } else { 12 };
        stage.verify(&draft.tar.bytes(), &[]).expect_of(other, exit, expected);
    }
}

#[test]
fn places_of_their_own_are_told() {
    let stage = Stage::new();
    let mut draft = stage.sample.draft(Layout::Plain, Form::Ustar, true);
    rename(&mut draft, "store", "var/lib/ci/store");
    rename(&mut draft, "deps", "opt/app/deps");
    rename(&mut draft, ".cacheseal/deps", "opt/app/.cacheseal/deps");
    let tar = draft.tar.bytes();
    let told = ["--home", "/var/lib/ci", "--checkout", "opt/app/"];
    stage.verify(&tar, &[]).expect(12, &["ambiguous-layout"]);
    stage.verify(&tar, &told[..2]).expect(12, &["ambiguous-layout"]);
    stage.verify(&tar, &told).expect(0, &[]);
    stage.unpack(&tar, &[]).expect(12, &["ambiguous-layout"]);
    stage.assert_restored("places");
    stage.unpack(&tar, &told).expect(0, &[]);
    stage.project.verify("any").expect(0, &[]);
}

#[test]
fn where_lockfiles_decide_an_archive_is_to_be_unpacked_first() {
    let stage = Stage::new();
    let tar = stage.sample.draft(Layout::Plain, Form::Ustar, true).tar.bytes();
    let gate = "\n[gate.locked]\nrequire = [\"lockfile\"]\n";
    stage.project.write("cacheseal.toml", policy() + gate);
    let verdict = stage.verify(&tar, &["--gate", "locked"]);
    verdict.expect(14, &["unproven-entry"]);
    stage.unpack(&tar, &["--gate", "locked"]).expect(14, &["unproven-entry"]);
    let archive = stage.file(&tar);
    let run = stage.project.run(&["verify", "--archive", text(&archive), "--gate", "locked"]);
    assert!(run.stdout.contains("hint: unpack the archive and run `verify` on the directories"), "{}", run.stdout);
    assert!(!run.stdout.contains("signature by"), "{}", run.stdout);
}

#[test]
fn hints_name_the_option_that_made_the_archive() {
    let stage = Stage::new();
    for (flag, option) in [(b'S', "`--no-read-sparse`"), (b'V', "`-V`"), (b'D', "`-g`"), (b'M', "`-M`")] {
        let mut draft = stage.sample.draft(Layout::Plain, Form::Gnu, true);
        draft.begin([super::tar::typed("x", flag)]);
        let archive = stage.file(&draft.tar.bytes());
        let run = stage.project.run(&["verify", "--archive", text(&archive), "--gate", "any"]);
        assert!(run.code == Some(12) && run.stdout.contains(option), "{}", run.stdout);
    }
}

#[test]
fn the_only_cache_and_gate_need_no_names() {
    let stage = Stage::new();
    let tar = stage.sample.draft(Layout::Plain, Form::Ustar, true).tar.bytes();
    let archive = stage.file(&tar);
    let verify = ["verify", "--archive", text(&archive)];
    let run = stage.project.json(&verify);
    run.expect_error(2, "usage");
    let one_gate = policy();
    let one_gate = &one_gate[..one_gate.find("[gate.exact]").unwrap()];
    let gate = "[gate.only]\nrequire = [\"signature\"]\nsigners = [\"job\"]\nmax_age = \"7d\"\n";
    stage.project.write("cacheseal.toml", format!("{one_gate}{gate}"));
    stage.project.json(&verify).expect(0, &[]);
    // Keys are read from the checkout, where there is no other one.
    stage.project.write("keys/job.pub", key("stranger").public().to_pem());
    stage.project.json(&verify).expect(10, &["unknown-signer"]);
}

#[test]
fn what_is_trusted_with_its_seal_first_is_unpacked() {
    let stage = Stage::new();
    let spoil = || stage.project.write("deps/tool", "spoilt\n");
    let unpacked = |row: &str, tar: &[u8]| {
        spoil();
        stage.unpack(tar, &[]).expect_of(row, 0, &[]);
        stage.project.verify("exact").expect_of(row, 0, &[]);
    };
    for layout in Layout::ALL {
        for form in some(Form::ALL) {
            unpacked(&format!("{layout:?} {form:?}"), &stage.sample.draft(layout, form, true).tar.bytes());
        }
    }
    for variant in some(VARIANTS) {
        let mut draft = stage.sample.draft(Layout::Plain, Form::Ustar, true);
        (variant.edit)(&mut draft);
        unpacked(variant.name, &draft.tar.bytes());
    }
}
