//! Tables of tests: all rows are run and the failures reported together, each under its name.
//!
//! One row, or some, can be run alone: `CACHESEAL_ROW='row 25' cargo test --test it seal::` runs the rows whose names
//! contain that text, in all tables of those tests.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::harness::judged_or_plain;

/// A row of a table: a tuple that begins with its name.
pub(crate) trait Row {
    fn name(&self) -> String;
}

impl<R: Row> Row for &R {
    fn name(&self) -> String {
        (*self).name()
    }
}

macro_rules! rows {
    ($($more:ident)*) => {
        impl<N: AsRef<str>, $($more),*> Row for (N, $($more),*) {
            fn name(&self) -> String {
                self.0.as_ref().to_owned()
            }
        }
    };
}

rows!(A);
rows!(A B);
rows!(A B C);
rows!(A B C D);

/// Runs every row that `CACHESEAL_ROW` lets through, and fails with all that failed.
#[track_caller]
pub(crate) fn each<R: Row>(rows: impl IntoIterator<Item = R>, run: impl FnMut(R)) {
    let failed = failures(rows, std::env::var("CACHESEAL_ROW").ok().as_deref(), run);
    assert!(failed.is_empty(), "{} failed; CACHESEAL_ROW runs one alone\n\n{}\n", failed.len(), failed.join("\n\n"));
}

/// All rows under `judges`, and every fifth in a plain run: for tables each row of which starts programs. A run that
/// names its rows has all to choose from.
pub(crate) fn some<R: IntoIterator>(rows: R) -> impl Iterator<Item = R::Item> {
    let is_named = std::env::var_os("CACHESEAL_ROW").is_some();
    rows.into_iter().step_by(if is_named { 1 } else { judged_or_plain(1, 5) })
}

/// What went wrong with the rows whose names contain `only`.
fn failures<R: Row>(rows: impl IntoIterator<Item = R>, only: Option<&str>, mut run: impl FnMut(R)) -> Vec<String> {
    let mut failed = Vec::new();
    for row in rows {
        let name = row.name();
        if only.is_none_or(|only| name.contains(only))
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(row)))
        {
            failed.push(format!("{name}\n{}", message(panic.as_ref())));
        }
    }
    failed
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words")
}

#[test]
fn a_row_that_fails_hides_no_other() {
    let rows = [("one", 1), ("two", 2), ("twenty-three", 3)];
    let run = |only: Option<&str>| {
        let mut seen = Vec::new();
        let failed = failures(&rows, only, |(_, number)| {
            seen.push(*number);
            assert!(*number == 2, "{number} is not two");
        });
        (seen, failed.len())
    };
    assert_eq!(run(None), (vec![1, 2, 3], 2));
    assert_eq!(run(Some("tw")), (vec![2, 3], 1));
    assert_eq!(run(Some("four")), (vec![], 0));
    let failed = failures(&rows, Some("one"), |(_, number)| assert!(*number == 2, "{number} is not two"));
    assert_eq!(failed, ["one\n1 is not two"]);
}
