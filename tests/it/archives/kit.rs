//! The kinds of hostile archives: what each is, and what it must get.

use super::codec::{gzip, zstd};
use super::sample::{Draft, Form, Layout};
use super::stage::Stage;
use crate::harness::Project;

/// One failure.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) exit: i32,
    /// All codes that must be given, and no other.
    pub(crate) codes: &'static [&'static str],
    pub(crate) layout: Layout,
    /// Further arguments.
    pub(crate) more: &'static [&'static str],
    make: Make,
    order: Order,
    /// What `unpack` says, where it stops before it has seen all that `verify` tells.
    unpacked: Option<(i32, &'static [&'static str])>,
}

/// How a good archive becomes a bad one.
#[derive(Clone, Copy)]
enum Make {
    /// By a change to its members.
    Members(fn(&mut Draft)),
    /// By a change to the bytes of the tar.
    Stream(fn(&mut Vec<u8>)),
    /// By what is made of the bytes of the tar, compression included.
    File(fn(&[u8]) -> Vec<u8>),
    /// By a change to the project before the archive is made.
    Project(fn(&Project)),
}

/// Where the seal must be for the kind to get what it gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Any,
    SealFirst,
    SealLast,
}

impl Kind {
    const fn new(name: &'static str, exit: i32, codes: &'static [&'static str], make: Make) -> Self {
        Self { name, exit, codes, layout: Layout::Plain, more: &[], make, order: Order::Any, unpacked: None }
    }

    /// The same in the layout that `CircleCI` writes.
    pub(crate) const fn circle(mut self) -> Self {
        self.layout = Layout::Circle;
        self
    }

    /// The same with further arguments.
    pub(crate) const fn more(mut self, more: &'static [&'static str]) -> Self {
        self.more = more;
        self
    }

    /// The same, where `unpack` stops before it has seen all of it.
    pub(crate) const fn unpacked(mut self, exit: i32, codes: &'static [&'static str]) -> Self {
        self.unpacked = Some((exit, codes));
        self
    }

    /// The exit status and the codes of `verify`.
    pub(crate) fn verified_as(&self) -> (i32, &'static [&'static str]) {
        (self.exit, self.codes)
    }

    /// The exit status and the codes of `unpack`; `None` for what only comes with the seal last.
    pub(crate) fn unpacked_as(&self) -> Option<(i32, &'static [&'static str])> {
        (self.order != Order::SealLast).then(|| self.unpacked.unwrap_or(self.verified_as()))
    }

    /// Only where the seal comes first.
    pub(crate) const fn seal_first(mut self) -> Self {
        self.order = Order::SealFirst;
        self
    }

    /// Only where the seal comes last.
    pub(crate) const fn seal_last(mut self) -> Self {
        self.order = Order::SealLast;
        self
    }

    /// The stage that it is shown on, if not the usual one.
    pub(crate) fn stage(&self) -> Option<Stage> {
        if let Make::Project(edit) = self.make { Some(Stage::after(edit)) } else { None }
    }

    /// The archives of this kind, and what each is called: with the seal first and last, plain and compressed.
    pub(crate) fn rows(&self, stage: &Stage) -> Vec<(String, Vec<u8>)> {
        let first = (self.order != Order::SealLast).then(|| self.rows_of(stage, true));
        let last = (self.order != Order::SealFirst).then(|| self.rows_of(stage, false));
        first.into_iter().chain(last).flatten().collect()
    }

    /// The same with the seal first or last only, whether or not the kind is meant to be made so.
    pub(crate) fn rows_of(&self, stage: &Stage, seal_first: bool) -> Vec<(String, Vec<u8>)> {
        let order = if seal_first { "seal first" } else { "seal last" };
        let files = self.files(stage, seal_first).into_iter();
        files.map(|(form, archive)| (format!("{} ({form}, {order})", self.name), archive)).collect()
    }

    /// The archive as a tar and compressed, in a plain run as a tar where its seal comes first and compressed where not; a
    /// kind that is about compression as the one file that it is.
    fn files(&self, stage: &Stage, seal_first: bool) -> Vec<(&'static str, Vec<u8>)> {
        let mut draft = stage.sample.draft(self.layout, Form::Ustar, seal_first);
        if let Make::Members(edit) = self.make {
            edit(&mut draft);
        }
        let mut tar = draft.tar.bytes();
        match self.make {
            Make::File(make) => return vec![("file", make(&tar))],
            Make::Stream(edit) => edit(&mut tar),
            Make::Members(_) | Make::Project(_) => {}
        }
        match (cfg!(feature = "judges"), seal_first) {
            (false, true) => vec![("tar", tar)],
            (false, false) => vec![("tar.zst", zstd(&tar))],
            (true, true) => vec![("tar", tar.clone()), ("tar.gz", gzip(&tar))],
            (true, false) => vec![("tar", tar.clone()), ("tar.zst", zstd(&tar))],
        }
    }
}

/// Changes the members.
pub(crate) const fn members(
    name: &'static str,
    exit: i32,
    codes: &'static [&'static str],
    change: fn(&mut Draft),
) -> Kind {
    Kind::new(name, exit, codes, Make::Members(change))
}

/// Changes the bytes of the tar.
pub(crate) const fn stream(
    name: &'static str,
    exit: i32,
    codes: &'static [&'static str],
    change: fn(&mut Vec<u8>),
) -> Kind {
    Kind::new(name, exit, codes, Make::Stream(change))
}

/// Makes the whole file.
pub(crate) const fn whole(
    name: &'static str,
    exit: i32,
    codes: &'static [&'static str],
    make: fn(&[u8]) -> Vec<u8>,
) -> Kind {
    Kind::new(name, exit, codes, Make::File(make))
}

/// Changes the sealed project.
pub(crate) const fn project(
    name: &'static str,
    exit: i32,
    codes: &'static [&'static str],
    change: fn(&Project),
) -> Kind {
    Kind::new(name, exit, codes, Make::Project(change))
}
