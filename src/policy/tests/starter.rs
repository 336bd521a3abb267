use super::*;
use crate::base::Code;

fn cache(name: &str, roots: &[&str], lockfiles: &[&str]) -> StarterCache {
    let owned = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
    StarterCache {
        name: name.to_owned(),
        roots: owned(roots),
        lockfiles: owned(lockfiles),
        note: format!("Cache {name}:\nwhat \u{7} was downloaded."),
    }
}

#[test]
fn what_init_writes_is_a_policy() {
    let cargo = cache("cargo", &["~/.cargo/registry", "~/.cargo/git/db"], &["Cargo.lock"]);
    let npm = cache("npm-web", &["web/a \u{e9}/node_modules"], &[]);
    for caches in [vec![], vec![cargo.clone()], vec![npm.clone()], vec![cargo, npm]] {
        let text = starter("github.com/acme/app", &caches, "deps-main", "keys/deps-main.pub");
        let policy = policy(&text);
        assert_eq!(policy.project().as_str(), "github.com/acme/app");
        assert_eq!(policy.caches().count(), caches.len());
        for expected in &caches {
            let found = policy.cache(&expected.name).unwrap();
            assert!(found.roots.iter().map(|root| &root.spelling).eq(&expected.roots));
            assert_eq!(*found.lockfiles, expected.lockfiles);
            assert!(policy.edge(&expected.name, "ci").is_ok());
            let release = policy.edge(&expected.name, "release").map_err(|error| error.code());
            assert_eq!(release.is_ok(), !expected.lockfiles.is_empty());
            assert!(release.is_ok() || release == Err(Code::GateWithoutEvidence));
        }
        let signer = policy.signers().next().unwrap();
        assert_eq!((signer.name.as_str(), signer.keys[0].file.as_str()), ("deps-main", "keys/deps-main.pub"));
        let (release, ci) = (policy.gate("release").unwrap(), policy.gate("ci").unwrap());
        assert_eq!((release.max_age.to_string(), *release.lockfile), ("7d".to_owned(), LockfileRule::Exact));
        assert_eq!((ci.max_age.to_string(), *ci.lockfile), ("15d".to_owned(), LockfileRule::Any));
    }
}

#[test]
fn every_line_of_the_page_is_short_and_says_what_a_field_is() {
    let text = starter("p", &[cache("c", &["r"], &["l"])], "s", "k");
    for field in ["roots", "lockfiles", "digest", "keys", "caches", "refs", "jobs", "require", "signers", "max_age"] {
        assert!(text.contains(&format!("#   {field} ")), "{field}");
    }
    for field in ["lockfile", "links", "hardlinks"] {
        assert!(text.contains(&format!("#   {field} ")), "{field}");
    }
    assert_eq!(text.lines().find(|line| line.len() > 120), None);
    assert!(text.ends_with('\n') && !text.contains("\n\n\n"));
}

#[test]
fn awkward_names_stay_inside_their_quotes() {
    let text = starter("a\"]\n[gate.x]", &[], "s", "k");
    // The text is TOML still; its project is refused for what it is.
    let error = parse(&text).unwrap_err();
    assert!(error.message.contains("found `a\"]\\n[gate.x]`"), "{error}");
    let text = starter("p", &[], "s", "keys/o'brien \"x\".pub");
    assert_eq!(parse(&text).unwrap().files(), ["keys/o'brien \"x\".pub"]);
    assert!(parse(&starter("p", &[cache("c", &["a\\b"], &[])], "s", "k")).unwrap_err().message.contains("`a\\\\b`"));
}

#[test]
fn examples_in_comments_work_when_the_comment_sign_is_taken_away() {
    let text = starter("p", &[], "s", "k");
    let field = ["# [cache.", "# roots ", "# lockfiles ", "# digest ", "# refs ", "# jobs "];
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if field.iter().any(|start| line.starts_with(start)) => rest,
        _ => line,
    });
    let policy = policy(&lines.collect::<Vec<_>>().join("\n"));
    assert!(policy.edge("example", "release").is_ok());
    assert!(!policy.signers().next().unwrap().scope.allows_ref(None));
}
