//! `explain`: what a code means, without a network.

use super::arguments::ExplainArguments;
use super::outcome::Outcome;
use crate::base::{Code, Exit};
use crate::checkout::Failure;
use crate::policy::closest;
use crate::report::{ExplainReport, Head};

/// The document that explains every code; a test holds the two together.
const DOCUMENT: &str = include_str!("../../docs/VERIFY.md");

pub(super) fn run(arguments: &ExplainArguments) -> Result<Outcome, Failure> {
    // As it stands in a report: `refused[digest-mismatch]`.
    let word = arguments.code.rsplit('[').next().unwrap_or_default().trim_end_matches([']', ':']).to_ascii_lowercase();
    let Some(code) = Code::of_word(&word) else {
        let failure = Failure::new(Code::Usage, "expected a code as a report shows it, such as `digest-mismatch`")
            .hint("reports show codes in brackets, as in `refused[digest-mismatch]`; docs/VERIFY.md has them all");
        return Err(match closest(&word, Code::ALL.iter().map(|code| code.as_str())) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure,
        });
    };
    let section = section(code).ok_or_else(|| Failure::new(Code::Internal, format!("nothing explains `{code}`")))?;
    let exit = code.exit().number();
    let text = format!("{code} (exit {exit})\n\n{section}\n");
    let report = ExplainReport { head: Head::of("explain", Exit::Ok), code, leads_to: code.exit(), text: section };
    Ok(Outcome::of(Exit::Ok, text, &report))
}

/// The section of a code, without its heading.
fn section(code: Code) -> Option<&'static str> {
    let heading = format!("\n### {code}\n");
    let (_, rest) = DOCUMENT.split_once(heading.as_str())?;
    let end = ["\n## ", "\n### "].iter().filter_map(|next| rest.find(next)).min().unwrap_or(rest.len());
    Some(rest.get(..end)?.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A release is looked through for paths of the machine that built it.
    #[test]
    fn the_document_names_no_path_of_a_machine() {
        for path in ["/home/", "/root/", "/Users/"] {
            assert!(!DOCUMENT.contains(path), "{path}");
        }
    }

    #[test]
    fn every_code_is_explained() {
        for code in Code::ALL {
            let text = section(*code).unwrap_or_else(|| panic!("{code}"));
            assert!(text.len() > 80 && !text.contains("\n#"), "{code}: {text}");
        }
    }
}
