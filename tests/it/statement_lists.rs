//! Lists in a statement are compared item by item.

use cacheseal::base::Digest;
use cacheseal::seal::envelope::sign;
use cacheseal::seal::manifest::{Listing, Manifest};
use cacheseal::seal::statement::{
    PAYLOAD_TYPE, Predicate, SealedLockfile, SealedRoot, Source, Statement, Subject, Tool,
};

use crate::harness::{Project, key, now, platform};

/// Signs, with the job's own key, a statement over these roots and lockfiles; the roots are empty.
fn seal_lists(project: &Project, roots: &[&str], lockfiles: &[&str]) {
    let algorithm = cacheseal::base::Algorithm::Blake3;
    let manifest = Manifest::new(algorithm, vec![Listing::default()]).encode();
    let sealed = roots.iter().enumerate().map(|(index, path)| {
        project.write(&format!(".cacheseal/deps/{index}.mtree"), &manifest);
        let manifest = Some(format!("{index}.mtree"));
        SealedRoot { path: (*path).to_owned(), manifest, digest: algorithm, entries: 1, bytes: 0 }
    });
    let sha256 = Digest::sha256(&std::fs::read(project.path("deps.lock")).unwrap());
    let statement = Statement {
        subjects: roots
            .iter()
            .map(|name| Subject { name: (*name).to_owned(), sha256: Digest::sha256(&manifest) })
            .collect(),
        predicate: Predicate {
            project: "github.com/acme/app".to_owned(),
            cache: "deps".to_owned(),
            roots: sealed.collect(),
            lockfiles: lockfiles.iter().map(|path| SealedLockfile { path: (*path).to_owned(), sha256 }).collect(),
            platform: platform(),
            bindings: std::collections::BTreeMap::new(),
            source: Source::default(),
            sealed_at: now(),
            tool: Tool { name: "test".to_owned(), version: "0".to_owned() },
        },
    };
    project.write(".cacheseal/deps/seal.json", sign(PAYLOAD_TYPE, &statement.to_json(), &[&key("job")]));
}

fn with_empty_roots() -> Project {
    let project = Project::empty(crate::harness::POLICY);
    std::fs::create_dir_all(project.path("deps")).unwrap();
    std::fs::create_dir_all(project.home().join("store")).unwrap();
    project
}

#[test]
fn the_very_roots_and_lockfiles_are_trusted() {
    let project = with_empty_roots();
    seal_lists(&project, &["deps", "~/store"], &["deps.lock"]);
    project.verify("exact").expect(0, &[]);
}

#[test]
fn roots_that_only_look_the_same_are_refused() {
    for roots in
        [&["deps\n~/store"][..], &["deps"], &["~/store", "deps"], &["deps", "~/store", "more"], &["deps, ~/store"]]
    {
        let project = with_empty_roots();
        seal_lists(&project, roots, &["deps.lock"]);
        std::fs::write(project.home().join("store/evil.js"), "evil").unwrap();
        project.verify("exact").expect(10, &["wrong-root"]);
    }
}

#[test]
fn lockfiles_that_only_look_the_same_are_refused() {
    for lockfiles in [&[][..], &["deps.lock\n"], &["deps.lock", "more.lock"], &["deps\n.lock"]] {
        let project = with_empty_roots();
        seal_lists(&project, &["deps", "~/store"], lockfiles);
        for gate in ["exact", "any"] {
            project.verify(gate).expect(10, &["wrong-lockfile"]);
        }
    }
}
