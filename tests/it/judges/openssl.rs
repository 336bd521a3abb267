//! openssl as second opinion on keys and signatures.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{assert_error, judge, must, text};
use crate::harness::{Project, Run};

const SEAL: &str = ".cacheseal/deps/seal.json";

/// The pre-authentication encoding, spelled out a second time from the DSSE protocol.
pub(super) fn pae(envelope: &Value) -> Vec<u8> {
    let payload_type = envelope["payloadType"].as_str().unwrap();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    [format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).as_bytes(), &payload].concat()
}

/// Whether openssl takes the only signature of `envelope` for one over `message` by the key in `public`.
pub(super) fn openssl_verifies(project: &Project, public: &Path, message: &[u8], envelope: &Value) -> bool {
    let [message_file, signature_file] = ["message", "signature"].map(|name| project.outside(name));
    fs::write(&message_file, message).unwrap();
    fs::write(&signature_file, STANDARD.decode(envelope["signatures"][0]["sig"].as_str().unwrap()).unwrap()).unwrap();
    let mut command = judge("openssl");
    command.args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey"]).arg(public).arg("-in").arg(message_file);
    let output = command.arg("-sigfile").arg(signature_file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // Its words and its status must agree.
    assert_eq!(output.status.success(), said.contains("Signature Verified Successfully"), "{}", super::told(&output));
    output.status.success()
}

fn openssl_signs(project: &Project, message: &[u8]) -> String {
    let [message_file, signature_file] = ["message", "signature"].map(|name| project.outside(name));
    fs::write(&message_file, message).unwrap();
    let mut command = judge("openssl");
    command.args(["pkeyutl", "-sign", "-rawin", "-inkey"]).arg(project.private_key("job")).arg("-in");
    must(command.arg(message_file).arg("-out").arg(&signature_file));
    STANDARD.encode(fs::read(signature_file).unwrap())
}

/// Makes a private key with `genpkey` and these arguments.
fn genpkey(path: &Path, arguments: &[&str]) {
    must(judge("openssl").arg("genpkey").args(arguments).arg("-out").arg(path));
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn public_of(private: &Path) -> Vec<u8> {
    must(judge("openssl").args(["pkey", "-pubout", "-in"]).arg(private))
}

fn read_seal(project: &Project) -> Value {
    serde_json::from_slice(&fs::read(project.path(SEAL)).unwrap()).unwrap()
}

#[test]
fn openssl_accepts_our_signature_and_no_other_message() {
    let project = Project::new();
    project.seal();
    let envelope = read_seal(&project);
    let public = project.path("keys/job.pub");
    let message = pae(&envelope);
    assert!(openssl_verifies(&project, &public, &message, &envelope));
    assert!(!openssl_verifies(&project, &project.path("keys/other.pub"), &message, &envelope));
    for at in [0, 7, message.len() / 2, message.len() - 1] {
        let mut changed = message.clone();
        changed[at] ^= 1;
        assert!(!openssl_verifies(&project, &public, &changed, &envelope), "byte {at}");
    }
}

#[test]
fn a_signature_that_openssl_made_is_trusted() {
    let project = Project::new();
    project.seal();
    let mut envelope = read_seal(&project);
    // Ed25519 is deterministic: both must make the very same signature.
    assert_eq!(openssl_signs(&project, &pae(&envelope)), envelope["signatures"][0]["sig"]);
    let payload = String::from_utf8(STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap()).unwrap();
    let changed = payload.replace("\"name\":\"cacheseal\"", "\"name\":\"openssl\"");
    assert_ne!(payload, changed);
    envelope["payload"] = STANDARD.encode(changed).into();
    project.write(SEAL, envelope.to_string());
    project.verify("exact").expect(10, &["signature-mismatch"]);
    envelope["signatures"][0]["sig"] = openssl_signs(&project, &pae(&envelope)).into();
    project.write(SEAL, envelope.to_string());
    project.verify("exact").expect(0, &[]);
}

#[test]
fn a_key_that_openssl_made_seals_and_verifies() {
    let project = Project::new();
    let private = project.private_key("job");
    genpkey(&private, &["-algorithm", "ed25519"]);
    project.write("keys/job.pub", public_of(&private));
    project.seal();
    project.verify("exact").expect(0, &[]);
    // The line that `init` tells users to put into a context.
    let der = must(judge("openssl").args(["pkey", "-outform", "DER", "-in"]).arg(&private));
    let mut command = project.command();
    command.env("KEY", STANDARD.encode(der)).args(["seal", "deps", "--key-env", "KEY"]);
    let run = Run::of(command.output().unwrap());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    project.verify("exact").expect(0, &[]);
}

#[test]
fn openssl_writes_our_keys_as_we_do() {
    let project = Project::new();
    let private = project.private_key("made");
    assert_eq!(project.run(&["key", "new", "made", "--out", text(&private)]).code, Some(0));
    let public = project.path("keys/made.pub");
    assert_eq!(must(judge("openssl").args(["pkey", "-in"]).arg(&private)), fs::read(&private).unwrap());
    assert_eq!(public_of(&private), fs::read(&public).unwrap());
    assert_eq!(must(judge("openssl").args(["pkey", "-pubin", "-in"]).arg(&public)), fs::read(&public).unwrap());
}

#[test]
fn keys_that_are_not_plain_ed25519_have_their_code() {
    let ec = "ec_paramgen_curve:P-256";
    for (what, arguments, code) in [
        ("encrypted", &["-algorithm", "ed25519", "-aes256", "-pass", "pass:word"][..], "encrypted-key"),
        ("RSA", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "wrong-key-type"),
        ("P-256", &["-algorithm", "EC", "-pkeyopt", ec], "wrong-key-type"),
        ("X25519", &["-algorithm", "X25519"], "wrong-key-type"),
    ] {
        let project = Project::new();
        let private = project.private_key("foreign");
        genpkey(&private, arguments);
        let run = project.run(&["seal", "deps", "--key", text(&private)]);
        assert_error(&run, 5, code);
        if what == "encrypted" {
            continue;
        }
        // Its public half in the policy, and its private half where a public one belongs.
        for pem in [public_of(&private), fs::read(&private).unwrap()] {
            project.write("keys/job.pub", pem);
            project.verify("exact").expect_error(5, code);
        }
    }
}

#[test]
fn keys_in_the_old_forms_of_openssl_are_of_the_wrong_type() {
    let project = Project::new();
    for (algorithm, option, program) in
        [("RSA", "rsa_keygen_bits:2048", "rsa"), ("EC", "ec_paramgen_curve:P-256", "ec")]
    {
        let private = project.private_key(program);
        genpkey(&private, &["-algorithm", algorithm, "-pkeyopt", option]);
        let flags: &[&str] = if program == "rsa" { &["-traditional"] } else { &[] };
        let old = must(judge("openssl").arg(program).args(flags).arg("-in").arg(&private));
        fs::write(&private, old).unwrap();
        assert_error(&project.run(&["seal", "deps", "--key", text(&private)]), 5, "wrong-key-type");
    }
}
