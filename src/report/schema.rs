//! JSON schemas (2020-12) of what the commands say with `--format json`, from the types of the reports.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::json::ErrorV1;
use super::{
    CheckReport, DiffReport, DrillReport, ExplainReport, ExportReport, Guarding, InitReport, InspectReport,
    KeyNewReport, KeyRevokeReport, KeyShowReport, PackedReport, PolicyCheckReport, PolicyDigestReport,
    PolicyRootsReport, RecheckReport, RefusedReport, SealedReport, UnansweredReport, VerifyReport,
};

type Refer = fn(&mut SchemaGenerator) -> Value;

fn refer<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

/// The commands, and what each can say. All can end with an error instead.
const COMMANDS: &[(&str, &[Refer])] = &[
    ("diff", &[refer::<DiffReport<'_>>]),
    ("drill", &[refer::<DrillReport>]),
    ("explain", &[refer::<ExplainReport>]),
    ("export", &[refer::<ExportReport>]),
    ("guard-check", &[refer::<CheckReport>, refer::<UnansweredReport>]),
    ("guard-recheck", &[refer::<RecheckReport>, refer::<UnansweredReport>]),
    ("guard-start", &[refer::<Guarding>]),
    ("guard-stop", &[refer::<Guarding>, refer::<UnansweredReport>]),
    ("guard-wait", &[refer::<Guarding>, refer::<UnansweredReport>]),
    ("init", &[refer::<InitReport<'_>>]),
    ("inspect", &[refer::<InspectReport<'_>>]),
    ("key-new", &[refer::<KeyNewReport<'_>>]),
    ("key-revoke", &[refer::<KeyRevokeReport<'_>>]),
    ("key-show", &[refer::<KeyShowReport<'_>>]),
    ("pack", &[refer::<PackedReport<'_>>, refer::<RefusedReport<'_>>]),
    ("policy-check", &[refer::<PolicyCheckReport<'_>>]),
    ("policy-digest", &[refer::<PolicyDigestReport>]),
    ("policy-roots", &[refer::<PolicyRootsReport<'_>>]),
    ("seal", &[refer::<SealedReport<'_>>, refer::<RefusedReport<'_>>]),
    ("unpack", &[refer::<VerifyReport>]),
    ("verify", &[refer::<VerifyReport>]),
];

/// The schema of each command, by its name with hyphens.
#[must_use]
pub fn schemas() -> Vec<(&'static str, Value)> {
    COMMANDS.iter().map(|(command, said)| (*command, schema(command, said))).collect()
}

fn schema(command: &str, said: &[Refer]) -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let any: Vec<_> = said.iter().chain(&[refer::<ErrorV1<'_>> as Refer]).map(|refer| refer(&mut generator)).collect();
    let mut definitions = Value::Object(generator.take_definitions(true).into_iter().collect::<Map<_, _>>());
    open(&mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("cacheseal {}, with --format json", command.replace('-', " ")),
        "anyOf": any,
        "$defs": definitions,
    })
}

/// Later versions add fields, and their output still fits.
fn open(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for closed in ["additionalProperties", "unevaluatedProperties"] {
                if fields.get(closed) == Some(&Value::Bool(false)) {
                    fields.remove(closed);
                }
            }
            fields.values_mut().for_each(open);
        }
        Value::Array(values) => values.iter_mut().for_each(open),
        _ => {}
    }
}
