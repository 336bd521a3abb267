//! `init`.

mod places;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::arguments::InitArguments;
use super::key::{make, remove_key, warn_of_checkout};
use super::key_file::for_shell;
use super::outcome::Outcome;
use super::system::to_stderr;
use super::unwritable::unwritable;
use crate::base::{Code, Exit};
use crate::checkout::{Context, Failure};
use crate::identity::SecretKey;
use crate::lockfile::{Starter, ecosystem_of, starters};
use crate::policy::{Document, Glob, StarterCache, lockfile_starter, starter};
use crate::report::{Head, InitKey, InitReport};
use crate::tree::Directory;
use places::{below, of_yarn, relocated, touch};

const POLICY: &str = "cacheseal.toml";
const SIGNER: &str = "deps-main";

pub(super) fn run(arguments: &InitArguments, context: &Context) -> Result<Outcome, Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::new(Code::Unreadable, format!("the current directory: {error}")))?;
    let directory = Directory::open(&here).map_err(|error| unwritable(".", &error))?;
    let taken = |name: &str| directory.kind_of(name).map_err(|error| unwritable(name, &error));
    if taken(POLICY)?.is_some() {
        let hint = "edit it, or move it away to begin anew";
        return Err(Failure::new(Code::FileExists, format!("`{POLICY}` exists and is never overwritten")).hint(hint));
    }
    let caches = caches(&here, arguments.lockfile_only, context);
    if caches.is_empty() {
        return Err(nothing_found(arguments.lockfile_only));
    }
    let project = arguments.project.clone().unwrap_or_else(|| project(&here));
    if arguments.lockfile_only {
        let text = lockfile_starter(&project, &caches);
        check(&text, "", &here, context)?;
        write_policy(&directory, &text)?;
        return Ok(without_key(&project, &caches));
    }
    let key_out = arguments.key_out.clone().map_or_else(|| default_key_path(&project, context), Ok)?;
    let public_file = format!("keys/{SIGNER}.pub");
    let text = starter(&project, &caches, SIGNER, &public_file);
    check(&text, &public_file, &here, context)?;
    let new = New::of(&here, &key_out);
    if arguments.key_out.is_none() {
        create_private(key_out.parent().unwrap_or(&key_out))?;
    }
    let (public, policy) = (here.join(&public_file), here.join(POLICY));
    let made = make(SIGNER, &key_out, &directory).inspect_err(|_| new.undo(&[], Path::new("-")))?;
    directory
        .create_file(POLICY, false, text.as_bytes())
        .map_err(|error| unwritable(POLICY, &error))
        .inspect_err(|_| new.undo(&[&public], &key_out))?;
    ignore(&here)
        .map_err(|error| unwritable(".gitignore", &error))
        .inspect_err(|_| new.undo(&[&policy, &public], &key_out))?;
    let first = caches.first().map_or("", |cache| cache.name.as_str());
    warn_of_checkout(&key_out, &here);
    let key_path = (key_out != Path::new("-")).then(|| for_shell(&key_out));
    let steps = next_steps(&caches, first, key_path.as_deref());
    let keyid = made.key.public().id().to_string();
    if key_path.is_some() {
        let key = InitKey { signer: SIGNER, keyid, private: key_out.to_string_lossy().into_owned() };
        return Ok(outcome(steps.into_bytes(), &project, &caches, Some(key)));
    }
    // The line is what goes on to a context: nothing else may be on stdout.
    let _ = to_stderr(steps.as_bytes());
    let line = made.key.to_line();
    let key = InitKey { signer: SIGNER, keyid, private: line.to_string() };
    let outcome = outcome(format!("{}\n", *line).into_bytes(), &project, &caches, Some(key));
    let undo = move || new.undo(&[&policy, &public, &new.ignore_file], &key_out);
    Ok(Outcome { product: Some(Box::new(undo)), ..outcome })
}

/// What was not there before.
struct New {
    directories: Vec<PathBuf>,
    ignore_file: PathBuf,
}

impl New {
    fn of(here: &Path, key: &Path) -> Self {
        let is_new = |path: &Path| std::fs::symlink_metadata(path).is_err();
        let keys = here.join("keys");
        let directories = std::iter::once(keys.as_path()).chain(key.ancestors().skip(1));
        let directories = directories.filter(|path| is_new(path)).map(Path::to_path_buf).collect();
        let ignore_file = Some(here.join(".gitignore")).filter(|path| is_new(path)).unwrap_or_default();
        Self { directories, ignore_file }
    }

    /// Takes files away that were made, and every new directory in which there is nothing else.
    fn undo(&self, files: &[&Path], key: &Path) {
        remove_key(key);
        for path in files {
            drop(std::fs::remove_file(path));
        }
        for path in &self.directories {
            drop(std::fs::remove_dir(path));
        }
    }
}

/// What cannot be used is not written: a project name may hold what a policy may not, and a variable may put a root where
/// none can be.
fn check(text: &str, public_file: &str, here: &Path, context: &Context) -> Result<(), Failure> {
    let any_key = SecretKey::from_seed(zeroize::Zeroizing::new([0; 32])).public().to_pem();
    let files = BTreeMap::from([(public_file.to_owned(), any_key.into_bytes())]);
    let here = std::fs::canonicalize(here).unwrap_or_else(|_| here.to_owned());
    let usable = Document::parse(POLICY, text.as_bytes())
        .and_then(|document| document.resolve(&files))
        .and_then(|policy| policy.place(context.home_directory().as_deref(), &here, POLICY).map(drop));
    usable.map_err(|error| {
        Failure::from(error).hint(
            "nothing was written; `--project`, or a variable that tells a tool where to keep its files, leads to such a policy",
        )
    })
}

fn write_policy(directory: &Directory, text: &str) -> Result<(), Failure> {
    directory.create_file(POLICY, false, text.as_bytes()).map_err(|error| unwritable(POLICY, &error))
}

fn nothing_found(lockfile_only: bool) -> Failure {
    if lockfile_only {
        let found = "expected a lockfile here that can prove directories whole; found none";
        return Failure::new(Code::NoLockfile, found).hint("docs/LOCKFILES.md says what each lockfile proves");
    }
    Failure::new(Code::NoLockfile, format!("expected a lockfile here, one of {}; found none", known()))
        .hint("run `cacheseal init` in the directory that holds the lockfile")
}

/// What `init --lockfile-only` ends with.
fn without_key(project: &str, caches: &[StarterCache]) -> Outcome {
    let mut output = format!(
        "wrote {POLICY}\n\n\
         1. commit {POLICY}\n\
         2. fill each cache from empty, as `cargo fetch --locked` does for Cargo, and save these directories and nothing beside them\n\
         3. start a guard before the restore, since a restore can overwrite the lockfile; verify after it, before anything\n\
         \x20  uses the files. At a desk, where nothing is restored, say --trust-checkout and start none\n"
    );
    let names: Vec<_> = caches.iter().map(|cache| cache.name.as_str()).collect();
    let _ = writeln!(output, "     cacheseal guard start {}", names.join(" "));
    for cache in caches {
        let _ = writeln!(output, "     cacheseal verify {} --gate lockfile --guard --allow-miss", cache.name);
        for root in &cache.roots {
            let _ = writeln!(output, "       {root}");
        }
    }
    outcome(output.into_bytes(), project, caches, None)
}

fn outcome(output: Vec<u8>, project: &str, caches: &[StarterCache], key: Option<InitKey<'_>>) -> Outcome {
    let caches = caches.iter().map(|cache| cache.name.as_str()).collect();
    let report = InitReport { head: Head::of("init", Exit::Ok), policy: POLICY, project, caches, key };
    Outcome { output, ..Outcome::of(Exit::Ok, String::new(), &report) }
}

fn known() -> String {
    let mut names: Vec<_> = starters().map(|starter| format!("`{}`", starter.lockfile)).collect();
    names.dedup();
    names.join(", ")
}

fn caches(here: &Path, lockfile_only: bool, context: &Context) -> Vec<StarterCache> {
    let mut caches: Vec<StarterCache> = Vec::new();
    for starter in starters() {
        let roots = if lockfile_only { starter.proven } else { starter.roots };
        let at = |root: &&str| if lockfile_only { (*root).to_owned() } else { of_yarn(root, here).to_owned() };
        let mut roots: Vec<String> = roots.iter().map(|root| relocated(&at(root), here, context)).collect();
        // A store among the installed packages is saved with them.
        let all = roots.clone();
        roots.retain(|root| all.iter().all(|other| root == other || below(root, other).is_none()));
        let lockfiles = files_of(here, starter);
        let is_taken = caches.iter().any(|cache| {
            cache.roots.iter().any(|one| roots.iter().any(|other| touch(one, other)))
                || cache.lockfiles.iter().any(|lockfile| lockfiles.contains(lockfile))
        });
        if !lockfiles.is_empty() && !is_taken && !roots.is_empty() {
            let mut note = starter.note.to_owned();
            if lockfiles.iter().all(|lockfile| ecosystem_of(lockfile).is_none()) {
                note.push_str(", which no gate can prove by the lockfile");
            }
            caches.push(StarterCache { name: starter.cache.to_owned(), roots, lockfiles, note });
        }
    }
    caches
}

/// The files that a lockfile of the table is here, sorted. Of those with `*` in their name, only what is read counts.
fn files_of(here: &Path, starter: &Starter) -> Vec<String> {
    let lockfile = starter.lockfile;
    let (directory, name) = lockfile.rsplit_once('/').map_or(("", lockfile), |(directory, name)| (directory, name));
    let is_file =
        |path: &String| here.join(path).is_file() && starter.marker.is_none_or(|line| has(&here.join(path), line));
    let (true, Ok(glob)) = (name.contains('*'), Glob::parse(lockfile)) else {
        return Some(lockfile.to_owned()).into_iter().filter(is_file).collect();
    };
    let names = std::fs::read_dir(here.join(directory)).into_iter().flatten().flatten();
    let paths = names.filter_map(|name| Some(format!("{directory}/{}", name.file_name().to_str()?)));
    let mut files: Vec<_> =
        paths.filter(|path| glob.matches(path) && ecosystem_of(path).is_some()).filter(is_file).collect();
    files.sort();
    files
}

/// Whether a file has this line.
fn has(file: &Path, line: &str) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text.lines().any(|found| found == line))
}

/// The project as git's origin names it, `host/owner/name`; else the name of the directory.
fn project(here: &Path) -> String {
    let config = std::fs::read_to_string(here.join(".git/config")).unwrap_or_default();
    let section = config.split("[remote \"origin\"]").nth(1).and_then(|rest| rest.split('[').next());
    let url = section.and_then(|section| section.lines().find_map(|line| line.trim().strip_prefix("url = ")));
    url.and_then(project_of_url).unwrap_or_else(|| {
        let name = here.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
    })
}

/// `github.com/acme/app` of the URLs that git uses, without user, password and `.git`.
fn project_of_url(url: &str) -> Option<String> {
    let url = url.trim().trim_end_matches('/').trim_end_matches(".git");
    let (host, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        None => url.split_once(':')?,
    };
    let host = host.rsplit('@').next()?.split(':').next()?;
    (!host.is_empty() && !path.is_empty()).then(|| format!("{host}/{path}"))
}

fn default_key_path(project: &str, context: &Context) -> Result<PathBuf, Failure> {
    let home = context.home_directory().filter(|home| home.is_absolute()).ok_or_else(|| {
        Failure::new(Code::NoHome, "expected HOME to be an absolute path for the private key")
            .hint("say `--key-out FILE`")
    })?;
    Ok(home.join(".config/cacheseal").join(project.replace('/', "-")).join(format!("{SIGNER}.key")))
}

/// A directory for its owner alone.
fn create_private(directory: &Path) -> Result<(), Failure> {
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory).map_err(|error| unwritable(&directory.to_string_lossy(), &error))
}

/// Seals are saved with the cache, never committed.
fn ignore(here: &Path) -> std::io::Result<()> {
    let path = here.join(".gitignore");
    let before = std::fs::read(&path).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(Vec::new()),
        _ => Err(error),
    })?;
    let before = String::from_utf8_lossy(&before);
    let missing: Vec<_> = [".cacheseal/", ".cacheseal-refused-*/"]
        .into_iter()
        .filter(|wanted| before.lines().all(|line| line.trim() != *wanted))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&path)?;
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    file.write_all(format!("{gap}{}\n", missing.join("\n")).as_bytes())
}

/// What to do now, with the `CircleCI` steps to paste. Without a file, the key was shown.
fn next_steps(caches: &[StarterCache], first: &str, key: Option<&str>) -> String {
    let mut out = match key {
        Some(key) => format!(
            "wrote {POLICY}, keys/{SIGNER}.pub and the private key: {key}\n\n\
             1. commit {POLICY}, keys/ and .gitignore\n\
             2. put the private key into a restricted context as CACHESEAL_KEY: the line that this prints\n\
             \x20    cacheseal key show --private-line {key}\n\
             3. try it here: cacheseal seal {first} --key {key} && cacheseal verify {first} --gate ci --trust-checkout\n"
        ),
        None => format!(
            "wrote {POLICY} and keys/{SIGNER}.pub; the line on standard output is the private key, and nothing else has it\n\n\
             1. commit {POLICY}, keys/ and .gitignore\n\
             2. put the private key into a restricted context as CACHESEAL_KEY\n\
             3. try it where CACHESEAL_KEY is set: cacheseal seal {first} --key-env CACHESEAL_KEY && cacheseal verify {first} --gate ci --trust-checkout\n"
        ),
    };
    out.push_str("4. in .circleci/config.yml\n\n");
    for cache in caches {
        let paths: String = cache
            .roots
            .iter()
            .map(|root| format!("              - {root}\n"))
            .chain([format!("              - .cacheseal/{}\n", cache.name)])
            .collect();
        let _ = write!(
            out,
            "    # the job that fills the cache, with the key's context\n\
             \x20   - run: cacheseal seal {name} --key-env CACHESEAL_KEY\n\
             \x20   - save_cache:\n\
             \x20         key: {key}-{{{{ epoch }}}}\n\
             \x20         paths:\n{paths}",
            name = cache.name,
            key = cache_key(cache),
        );
    }
    let names: Vec<_> = caches.iter().map(|cache| cache.name.as_str()).collect();
    let _ = write!(
        out,
        "    # the job that uses it; the orb of docs/CIRCLECI.md does all of this, and more\n\
         \x20   - run: {{ background: true, command: cacheseal guard start {} --foreground }}\n\
         \x20   - run: cacheseal guard wait\n",
        names.join(" ")
    );
    for cache in caches {
        let _ = write!(
            out,
            "    - restore_cache:\n\
             \x20         key: {key}\n\
             \x20   - run: cacheseal verify {name} --gate ci --guard --allow-miss\n",
            name = cache.name,
            key = cache_key(cache),
        );
    }
    out.push('\n');
    out
}

/// The name under which `CircleCI` keeps a cache.
fn cache_key(cache: &StarterCache) -> String {
    let checksums = cache.lockfiles.iter().map(|lockfile| format!("-{{{{ checksum \"{lockfile}\" }}}}"));
    format!("{}-v1{}", cache.name, checksums.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_of_urls() {
        for (url, project) in [
            ("git@github.com:acme/app.git", Some("github.com/acme/app")),
            ("https://github.com/acme/app.git", Some("github.com/acme/app")),
            ("https://user:secret@example.com:8443/acme/app/", Some("example.com/acme/app")),
            ("ssh://git@example.com:22/acme/app", Some("example.com/acme/app")),
            ("/srv/git/app", None),
        ] {
            assert_eq!(project_of_url(url).as_deref(), project, "{url}");
        }
    }
}
