//! `tests/ATTACKS.md`: each row that a test names is there, and a test names each row, or the row says why not.

use std::collections::BTreeMap;

use super::{SourceFile, assert_none, repository};

/// The numbers of the table, and what each row says.
fn table(text: &str) -> BTreeMap<u16, &str> {
    let number = |line: &str| line.strip_prefix("| ")?.split(' ').next()?.parse().ok();
    text.lines().filter_map(|line| Some((number(line)?, line))).collect()
}

/// The numbers after each `row` and `rows`: `row 25`, `rows 1, 20, 21`, `rows 36 to 50 and 52 to 59`.
fn named(text: &str) -> Vec<u16> {
    let text = text.to_lowercase();
    let words: Vec<_> = text.split(|c: char| c.is_whitespace() || c == '(' || c == '"').collect();
    let mut numbers = Vec::new();
    for (at, _) in words.iter().enumerate().filter(|(_, word)| matches!(**word, "row" | "rows")) {
        let mut is_range = false;
        for word in &words[at + 1..] {
            let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
            match digits.parse() {
                Ok(number) => {
                    let first = numbers.last().copied().filter(|_| is_range).map_or(number, |last: u16| last + 1);
                    numbers.extend(first..=number);
                    is_range = false;
                    if !matches!(&word[digits.len()..], "" | ",") {
                        break;
                    }
                }
                Err(_) if *word == "to" => is_range = true,
                Err(_) if *word == "and" || word.starts_with("//") => {}
                Err(_) => break,
            }
        }
    }
    numbers
}

/// Rows that tests name and the table does not have; rows that no test names and that do not say why.
fn astray(table_text: &str, tests: &[SourceFile]) -> Vec<String> {
    let table = table(table_text);
    let mut offences = Vec::new();
    let mut unnamed = table.clone();
    for file in tests {
        for number in named(&file.text()) {
            unnamed.remove(&number);
            if !table.contains_key(&number) {
                offences.push(format!("{}: row {number} is not in tests/ATTACKS.md", file.path));
            }
        }
    }
    for (number, line) in table {
        match (unnamed.contains_key(&number), line.contains("Not tested: ")) {
            (true, false) => offences.push(format!("row {number} of tests/ATTACKS.md: no test names it")),
            (false, true) => offences.push(format!("row {number} of tests/ATTACKS.md: it is tested")),
            _ => {}
        }
    }
    offences
}

#[test]
fn the_numbers_of_rows_are_read() {
    let word = "row";
    for (text, numbers) in [
        ("{}s 1 to 3, 5 and 7: x 9", vec![1, 2, 3, 5, 7]),
        ("/// {} 4. Only 6 are", vec![4]),
        ("(\"{} 8: two, 5\", 3)", vec![8]),
        ("{}s 2 and\n//! 3 to\n/// 4: x", vec![2, 3, 4]),
        ("every {} is one", vec![]),
    ] {
        assert_eq!(named(&text.replace("{}", word)), numbers, "{text}");
    }
}

#[test]
fn a_row_that_leads_nowhere_is_reported() {
    let table = "| Row | Attack |\n| --- | --- |\n| 1 | x |\n| 2 | Not tested: y |\n";
    let word = "row";
    for (text, count) in [("{} 1", 0), ("{}s 1 and 3", 1), ("{}s 1 to 2", 1), ("", 1)] {
        let file = SourceFile::sample("tests/it/a.rs", &text.replace("{}", word));
        assert_eq!(astray(table, &[file]).len(), count, "{text}");
    }
}

#[test]
fn every_row_leads_to_a_test_and_back() {
    let files = repository();
    let text = files.iter().find(|file| file.path == "tests/ATTACKS.md").unwrap().text();
    assert!(table(&text).len() >= 75);
    let tests: Vec<_> = files.into_iter().filter(|file| file.path.starts_with("tests/") && file.is("rs")).collect();
    assert_none(&astray(&text, &tests));
}
