//! The tables, one for each part of an archive that can lie.

mod contents;
mod extensions;
mod framing;
mod gzipped;
mod headers;
mod layouts;
mod limits;
mod links;
mod names;
mod seals;
mod strays;
mod types;
mod zstandard;

use super::kit::Kind;

/// All of them, each with its name.
pub(crate) const TABLES: &[(&str, &[Kind])] = &[
    ("names", names::KINDS),
    ("strays", strays::KINDS),
    ("links", links::KINDS),
    ("types", types::KINDS),
    ("contents", contents::KINDS),
    ("layouts", layouts::KINDS),
    ("seals", seals::KINDS),
    ("headers", headers::KINDS),
    ("extensions", extensions::KINDS),
    ("framing", framing::KINDS),
    ("gzipped", gzipped::KINDS),
    ("zstandard", zstandard::KINDS),
    ("bombs", limits::BOMBS),
    ("limits", limits::NAMES),
];
