mod dsse;
mod ed25519;
mod keys;

fn main() {}
