//! What a command has found, as a value; and the forms that it is shown in. A form is a file, and a row of [`FORMATS`].

mod advice;
mod commands;
mod form;
mod format;
mod guarding;
mod json;
mod junit;
#[cfg(feature = "schema")]
mod schema;
mod text;
mod verdict;

pub use advice::Asker;
pub use commands::{
    ArchiveContents, DiffReport, DrillReport, DrillRow, DrillTried, ExplainReport, ExportReport, Head, InitKey,
    InitReport, InspectReport, InspectedSeal, KeyNewReport, KeyRevokeReport, KeyShowReport, PackedReport,
    PolicyCheckReport, PolicyDigestReport, PolicyFinding, PolicyRoot, PolicyRootsReport, RefusedReport, SealedReport,
    UnansweredReport,
};
pub use form::{ErrorReport, Format};
pub use format::FORMATS;
pub use guarding::{CheckReport, Guarding, Looked, RecheckReport};
pub use json::json_line;
#[cfg(feature = "schema")]
pub use schema::schemas;
pub use text::{bytes_text, candidates_text, listing_text, refusals_text, verdict_text};
pub use verdict::{
    ArchiveReport, CoverageReport, Findings, SealReport, Signed, SourceReport, UnpackReport, UnprovenReport,
    VerifyReport, verdict,
};
