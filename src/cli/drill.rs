//! x
use super::*;
use super::arguments::DrillArguments;
pub(super) fn run(_: &DrillArguments, _: &Context) -> Result<Outcome, Failure> { Err(Failure::new(crate::base::Code::Internal, "x")) }
