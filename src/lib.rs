//! cacheseal decides whether a restored dependency cache is exactly what a trusted job said it was.

pub mod base;
pub mod identity;
pub mod seal;
pub mod tree;
