//! cacheseal decides whether a restored dependency cache is exactly what a trusted job said it was.

pub mod base;
pub mod cache;
pub mod cli;
pub mod identity;
pub mod policy;
pub mod report;
pub mod seal;
pub mod tree;
pub mod verify;
