//! `guard start`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::json;

use super::super::arguments::GuardStartArguments;
use super::super::outcome::Outcome;
use super::super::system::to_stdout;
use super::asking::name_of;
use super::duty::{Duty, failed};
use super::environment;
use super::failure_file::{self, understood};
use super::process::{close_to_others, listen, own_program};
use crate::base::{Code, Escaped, Exit};
use crate::checkout::{Checkout, Context, Failure, shown};
use crate::guard::{
    Answer, Begin, Elsewhere, Ended, Guard, ListenError, Listener, Pace, Surroundings, Territory, of_wire, serve,
    to_wire,
};
use crate::policy::PathPattern;
use crate::report::{Format, Guarding, json_line};
use crate::seal::SEALS;
use crate::tree::Pattern;

/// How often the guard shows whoever waits for an answer that it lives.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long the detached process may take until it is ready.
const READY_SECONDS: i64 = 600;

pub(super) fn run(arguments: &GuardStartArguments, context: &Context, format: &Format) -> Result<Outcome, Failure> {
    if arguments.process.detached {
        return Ok(stay(arguments, context));
    }
    if !arguments.process.foreground {
        let hello = detach()?;
        return Ok(Outcome::of(hello.exit, hello.text(), &hello));
    }
    let begun = Instant::now();
    let (listener, duty) = begin(arguments, context).map_err(|failure| match &arguments.failure_file {
        Some(path) => failure_file::write(path, &arguments.policy.policy, context, failure),
        None => failure,
    })?;
    let hello = duty.hello();
    let _ = to_stdout(&if format.is_json() { json_line(&hello) } else { hello.text().into_bytes() });
    let ended = serve_until_end(listener, &duty, arguments, begun)?;
    let text = match ended {
        Ended::Stopped => "ended: the guard was stopped\n",
        Ended::LifetimeOver => "ended: the time of the guard is over\n",
    };
    Ok(Outcome::of(Exit::Ok, text.to_owned(), &hello.said_by("guard start", "ended")))
}

/// The detached process: says on its standard output whether it is ready, to the one that made it, and stays.
fn stay(arguments: &GuardStartArguments, context: &Context) -> Outcome {
    // Whoever made it has no terminal to lose; a session of its own keeps signals of theirs away.
    let _ = rustix::process::setsid();
    let begun = Instant::now();
    let answer = match begin(arguments, context) {
        Ok((listener, duty)) => {
            let _ = to_stdout(&json_line(&to_wire(&Answer::Guarding(duty.hello()))));
            match serve_until_end(listener, &duty, arguments, begun) {
                Ok(_) => Ok(()),
                Err(failure) => Err(failure.code),
            }
        }
        Err(failure) => {
            let code = failure.code;
            let _ = to_stdout(&json_line(&to_wire(&failed(failure))));
            Err(code)
        }
    };
    Outcome {
        exit: answer.map_or_else(Code::exit, |()| Exit::Ok),
        output: Vec::new(),
        json: json!(null),
        product: None,
    }
}

fn serve_until_end(
    listener: Listener,
    duty: &Duty,
    arguments: &GuardStartArguments,
    begun: Instant,
) -> Result<Ended, Failure> {
    let pace = Pace { lifetime: Duration::from_secs(arguments.max_lifetime.seconds()), heartbeat: HEARTBEAT };
    serve(listener, pace, &|| begun.elapsed(), &|question, passed| duty.answer(question, passed))
        .map_err(|error| Failure::new(Code::Unreadable, format!("the guard's socket failed: {error}")))
}

/// Starts this very program once more, as the guard, and waits until it is ready or says why not.
fn detach() -> Result<Guarding, Failure> {
    let not_started = |what: String| Failure::new(Code::GuardGone, format!("the guard did not start: {what}"));
    let mut child = Command::new(own_program().map_err(|error| not_started(error.to_string()))?)
        .arg0("cacheseal")
        .args(arguments_of_guard(std::env::args_os().skip(1)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| not_started(error.to_string()))?;
    let Some(output) = child.stdout.take() else { return Err(not_started("it has no output".to_owned())) };
    let timeout = Timespec { tv_sec: READY_SECONDS, tv_nsec: 0 };
    if poll(&mut [PollFd::new(&output, PollFlags::IN)], Some(&timeout)) == Ok(0) {
        let _ = child.kill();
        return Err(not_started(format!("it was not ready within {READY_SECONDS} seconds")));
    }
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).map_err(|error| not_started(error.to_string()))?;
    let answer = serde_json::from_str(&line).ok().and_then(|line| of_wire(&line));
    match understood(answer) {
        Ok(Answer::Guarding(hello)) => Ok(hello),
        Err(Some(failure)) => Err(failure),
        _ => Err(not_started("it ended before it was ready".to_owned())),
    }
}

/// The arguments as they were given, and after the verb the one that makes the difference.
fn arguments_of_guard(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<_> = given.collect();
    let after = |word: &str, from: usize| {
        arguments.iter().skip(from).position(|argument| argument == word).map_or(from, |at| from + at + 1)
    };
    let verb = after("start", after("guard", 0));
    arguments.insert(verb, "--detached".into());
    arguments
}

/// Closes itself to others, takes the name, loads what decides, and looks at everything.
fn begin(arguments: &GuardStartArguments, context: &Context) -> Result<(Listener, Duty), Failure> {
    close_to_others()?;
    let later = arguments.environment_of.as_deref().map(environment::read).transpose()?.unwrap_or_default();
    let mut checkout = Checkout::load(&arguments.policy.policy, context)?;
    for (at, cache) in arguments.caches.iter().enumerate() {
        checkout.policy.cache(cache)?;
        if arguments.caches.iter().take(at).any(|before| before == cache) {
            return Err(Failure::new(Code::Usage, format!("expected each cache once, found `{cache}` twice")));
        }
    }
    let (name, user) = name_of(&arguments.policy.policy)?;
    let listener = listen(&name).map_err(|error| taken(&error))?;
    let lockfiles: Vec<_> = arguments.caches.iter().filter_map(|cache| checkout.policy.cache(cache).ok()).collect();
    let lockfiles: Vec<String> = lockfiles.into_iter().flat_map(|cache| cache.lockfiles.value.clone()).collect();
    for lockfile in lockfiles {
        checkout.workspace.hold_lockfile(&lockfile, context.limits.lockfile_bytes_max).map_err(|error| {
            let message = format!("expected a lockfile at {}, but it {error}", shown(Path::new(&lockfile)));
            Failure::new(Code::Unreadable, message)
        })?;
    }
    let guard = Guard::begin(what_to_watch(arguments, context, &checkout, user, later)?).map_err(|error| {
        let failure = Failure::new(error.code(), error.to_string());
        match error.code() {
            Code::RootNotEmpty => failure
                .hint("start the guard before the restore, and remove what an earlier job left")
                .hint("or say `--allow-filled`, and what is there is verified with what is restored"),
            Code::Unreadable => failure
                .hint("make the directory readable for this user (`chmod u+rx DIRECTORY`) before the guard starts")
                .hint("or leave out of PATH and other variables what lies below it, or say `--allow DIRECTORY`"),
            _ => failure,
        }
    })?;
    Ok((listener, Duty::new(checkout, guard)))
}

fn taken(error: &ListenError) -> Failure {
    match error {
        ListenError::Io(error) => Failure::new(Code::Unwritable, format!("could not make the guard's socket: {error}")),
        _ => Failure::new(Code::GuardRunning, "expected no guard of this policy yet, found one")
            .hint("let one guard watch all caches of the job: `cacheseal guard start CACHE…`")
            .hint("or end it with `cacheseal guard stop`"),
    }
}

fn what_to_watch(
    arguments: &GuardStartArguments,
    context: &Context,
    checkout: &Checkout,
    user: u32,
    later: BTreeMap<OsString, OsString>,
) -> Result<Begin, Failure> {
    let directory = &checkout.directory;
    let home = context.home_directory().filter(|home| home.is_absolute());
    let is_guarded = |cache: &str| arguments.caches.iter().any(|guarded| guarded == cache);
    let others = checkout.all_roots().filter(|(cache, _)| !is_guarded(cache));
    let working_directory = working_directory()?;
    let Allowed { paths, patterns } = Allowed::of(arguments, checkout, home.as_deref())?;
    let territory = Territory {
        policy_directory: directory.clone(),
        policy_files: checkout.files.iter().map(|file| directory.join(file)).collect(),
        lockfiles: checkout
            .policy
            .caches()
            .flat_map(|cache| &cache.lockfiles)
            .map(|file| directory.join(file))
            .collect(),
        guarded: Vec::new(),
        others: others.map(|(cache, root)| (cache.to_owned(), root.absolute.clone())).collect(),
        allowed: paths,
        allowed_patterns: patterns,
        watched: absolute(&arguments.watch, home.as_deref(), "--watch")?,
    };
    let cache = |cache: &String| (cache.clone(), checkout.roots(cache).to_vec(), directory.join(SEALS).join(cache));
    Ok(Begin {
        caches: arguments.caches.iter().map(cache).collect(),
        elsewhere: elsewhere(arguments, checkout, &working_directory, home.as_deref())?,
        surroundings: Surroundings {
            user,
            home,
            account_home: account_home(user),
            working_directory,
            program: std::env::current_exe().ok(),
            variables: environment::joined(std::env::vars_os().collect(), later),
        },
        territory,
        filled_allowed: arguments.allow_filled,
        no_restore: arguments.no_restore,
        report_only: arguments.report_only,
        threads: usize::from(arguments.walk.threads),
        limits: context.limits.clone(),
    })
}

fn working_directory() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| Failure::new(Code::Unreadable, format!("the current directory: {error}")))
}

/// The directories that stand for roots, each with the cache whose root it is.
fn elsewhere(
    arguments: &GuardStartArguments,
    checkout: &Checkout,
    working_directory: &Path,
    home: Option<&Path>,
) -> Result<Vec<Elsewhere>, Failure> {
    let mut found: Vec<Elsewhere> = Vec::new();
    for (place, root) in &arguments.root {
        let of_root = |cache: &&String| checkout.roots(cache).iter().any(|placed| placed.root.spelling == *root);
        let cache = arguments.caches.iter().find(of_root).ok_or_else(|| unknown_root(root))?;
        if found.iter().any(|one| one.root == *root) {
            return Err(Failure::new(
                Code::Usage,
                format!("expected each root once, found `{}` twice", Escaped(root.as_bytes())),
            ));
        }
        found.push(Elsewhere { cache: cache.clone(), root: root.clone(), place: working_directory.join(place) });
    }
    let places: Vec<_> = found.iter().map(|one| one.place.clone()).collect();
    not_vital(&places, home, &checkout.directory, "--root")?;
    Ok(found)
}

/// A root that none of the caches has.
pub(crate) fn unknown_root(root: &str) -> Failure {
    let root = Escaped(root.as_bytes());
    Failure::new(Code::Usage, format!("expected ROOT as the policy writes a root of the cache, found `{root}`"))
}

/// What is left alone, by the command line and the policy.
#[derive(Default)]
struct Allowed {
    paths: Vec<PathBuf>,
    patterns: Vec<Pattern>,
}

impl Allowed {
    fn of(arguments: &GuardStartArguments, checkout: &Checkout, home: Option<&Path>) -> Result<Self, Failure> {
        let mut allowed = Self::default();
        let hint = "name the files that change, as `guard check --report-only` lists them";
        for path in &arguments.allow {
            let hinted = |failure: Failure| failure.hint(hint);
            if let Some(text) = path.to_str().filter(|text| text.contains('*')) {
                let pattern = PathPattern::parse(text);
                let pattern = pattern.map_err(|error| Failure::new(Code::Usage, format!("`--allow`: {error}")))?;
                allowed.add(&pattern, checkout, home, "`--allow`").map_err(hinted)?;
            } else {
                let path = absolute(std::slice::from_ref(path), home, "--allow")?;
                not_vital(&path, home, &checkout.directory, "--allow").map_err(hinted)?;
                allowed.paths.extend(path);
            }
        }
        for pattern in checkout.policy.allowed() {
            let origin = checkout.policy.origin(pattern);
            let of_policy = |failure: Failure| match failure.code {
                Code::Usage => Failure { code: Code::MalformedPolicy, ..failure }.hint(hint),
                _ => failure,
            };
            allowed.add(pattern, checkout, home, &origin).map_err(of_policy)?;
        }
        Ok(allowed)
    }

    /// A pattern that would match all that is in home or the policy's directory would switch the guard off as well.
    fn add(
        &mut self,
        pattern: &PathPattern,
        checkout: &Checkout,
        home: Option<&Path>,
        origin: &str,
    ) -> Result<(), Failure> {
        let base = match (pattern.in_home, home) {
            (false, _) => Path::new("/"),
            (true, Some(home)) => home,
            (true, None) => return Err(Failure::new(Code::NoHome, format!("{origin}: expected HOME for `~/…`"))),
        };
        let above = crate::tree::resolve(&base.join(pattern.literal.iter().collect::<PathBuf>()));
        let vital =
            |path: &Path| checkout.directory.starts_with(path) || home.is_some_and(|home| home.starts_with(path));
        let is_vital = match &pattern.rest {
            Some(rest) => {
                rest.to_string() == "*" && (above == checkout.directory || home.is_some_and(|home| home == above))
            }
            None => vital(&above),
        };
        if is_vital {
            let expected = "a path that holds neither home nor the policy, nor all that is in them";
            let found = Escaped(pattern.text.as_bytes());
            return Err(Failure::new(Code::Usage, format!("{origin}: expected {expected}, found `{found}`")));
        }
        match &pattern.rest {
            Some(rest) => self.patterns.push(Pattern { above, rest: rest.clone() }),
            None => self.paths.push(above),
        }
        Ok(())
    }
}

/// Paths of the command line: absolute, or below home.
fn absolute(paths: &[PathBuf], home: Option<&Path>, flag: &str) -> Result<Vec<PathBuf>, Failure> {
    let absolute = |path: &PathBuf| match (path.strip_prefix("~"), home) {
        (Ok(below), Some(home)) => Ok(home.join(below)),
        _ if path.is_absolute() => Ok(path.clone()),
        _ => Err(Failure::new(
            Code::Usage,
            format!("expected `{flag}` with an absolute path or `~/…`, found {}", shown(path)),
        )),
    };
    paths.iter().map(absolute).collect()
}

/// Refuses to leave out home or the policy's directory: that would be to switch the guard off.
fn not_vital(paths: &[PathBuf], home: Option<&Path>, policy_directory: &Path, flag: &str) -> Result<(), Failure> {
    let vital = |path: &&PathBuf| {
        let path = crate::tree::resolve(path);
        policy_directory.starts_with(&path) || home.is_some_and(|home| home.starts_with(&path))
    };
    match paths.iter().find(vital) {
        Some(path) => {
            let expected = format!("expected `{flag}` with a path that holds neither home nor the policy");
            Err(Failure::new(Code::Usage, format!("{expected}, found {}", shown(path))))
        }
        None => Ok(()),
    }
}

/// The home that the system's own list of users has.
fn account_home(user: u32) -> Option<PathBuf> {
    let list = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = list.lines().find(|line| line.split(':').nth(2) == Some(&user.to_string()))?;
    line.split(':').nth(5).map(PathBuf::from).filter(|home| home.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_is_told_apart_by_one_argument() {
        for (given, made) in [
            ("guard start deps", "guard start --detached deps"),
            (
                "--format json guard start --policy start deps",
                "--format json guard start --detached --policy start deps",
            ),
            ("guard --format json start guard", "guard --format json start --detached guard"),
        ] {
            let given = given.split(' ').map(OsString::from);
            let made: Vec<_> = made.split(' ').map(OsString::from).collect();
            assert_eq!(arguments_of_guard(given), made);
        }
    }
}
