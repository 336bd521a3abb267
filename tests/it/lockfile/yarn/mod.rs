//! `yarn.lock` against what Yarn keeps. The real Yarn is a judge of its own.

mod berry;
mod classic;
