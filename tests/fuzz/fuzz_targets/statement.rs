//! Statements: what parses is written and read again as the same statement.
#![no_main]

use cacheseal::base::Limits;
use cacheseal::seal::statement::{PAYLOAD_TYPE, Statement};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Ok(statement) = Statement::parse(PAYLOAD_TYPE, text, &Limits::STANDARD) {
        let again = Statement::parse(PAYLOAD_TYPE, &statement.to_json(), &Limits::STANDARD);
        assert_eq!(again.ok(), Some(statement));
    }
});
