//! Cache archives, honest and hostile, built by code byte for byte: what `verify --archive` and `unpack` say of
//! each.

pub(crate) mod codec;
mod edges;
mod honest;
mod hostile;
pub(crate) mod kinds;
pub(crate) mod kit;
mod memory;
pub(crate) mod sample;
pub(crate) mod stage;
pub(crate) mod tar;
