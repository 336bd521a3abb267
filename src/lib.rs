//! cacheseal decides whether a restored dependency cache is exactly what a trusted job said it was.

pub mod base;
pub mod policy;
pub mod seal;
