//! The watch around a restore. A guard that was started before it keeps in memory what decides about trust, and how
//! everything looked that a restore has no business with; nothing that a restore writes can change what it knows.
#![expect(clippy::disallowed_methods, reason = "this room looks at places outside the roots, and has the one socket")]

mod client;
mod decide;
mod git;
mod guarded;
mod meaning;
mod mounts;
mod passed;
mod passing;
mod perimeter;
mod places;
mod programs;
mod protocol;
mod recheck;
mod rule;
mod server;
mod socket;
mod territory;
mod variables;
mod watch;

pub use client::{Silence, ask, ask_with};
pub use decide::{Decision, Disposed};
pub use guarded::{Ground, Sealing, Settled};
pub use passed::Passed;
pub use protocol::{Answer, Demand, Question, Recheck, of_wire, to_wire};
pub use recheck::Unkept;
pub use server::{Ended, Pace, serve};
pub use socket::{ListenError, Listener, SocketName, bear_witness};
pub use territory::{Surroundings, Territory};
pub use watch::{Begin, BeginError, Elsewhere, Guard, Strays};
