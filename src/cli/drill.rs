//! x
use super::arguments::DrillArguments;
use super::context::Context;
use super::failure::Failure;
use super::outcome::Outcome;
pub(super) fn run(_: &DrillArguments, _: &Context) -> Result<Outcome, Failure> {
    Err(Failure::new(crate::base::Code::Internal, "x"))
}
