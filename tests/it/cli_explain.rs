//! `explain`.

use super::cli::Home;

fn check(name: &str, args: &[&str]) {
    insta::assert_snapshot!(name, Home::new().run(args).whole());
}

#[test]
fn a_code_in_any_spelling() {
    check("a_code", &["explain", "trust-does-not-grant"]);
}

#[test]
fn a_code_for_a_pull_request() {
    check("a_code_markdown", &["explain", "SECOND_ROLE", "-o", "markdown"]);
}

#[test]
fn a_reason_of_trust() {
    check("a_reason", &["explain", "policy-variable"]);
    for code in irsa_migrate::trust::Code::ALL {
        let seen = Home::new().run(&["explain", code.as_str()]);
        assert_eq!(seen.code, Some(0), "{}", seen.whole());
        assert!(seen.stdout.contains(code.as_str()), "{}", seen.whole());
    }
}

#[test]
fn a_word_that_is_no_code() {
    check("no_code", &["explain", "\u{1b}[31mEVIL"]);
}

#[test]
fn all_codes() {
    let seen = Home::new().run(&["explain", "-o", "json"]);
    let all: serde_json::Value = serde_json::from_str(&seen.stdout).expect("JSON");
    let codes = irsa_migrate::findings::Code::ALL;
    assert_eq!(all.as_object().expect("an object").len(), codes.len());
    let shown = Home::new().run(&["explain"]).stdout;
    assert!(codes.iter().all(|it| shown.contains(it.as_str())), "{shown}");
    assert!(irsa_migrate::trust::Code::ALL.iter().all(|it| shown.contains(it.as_str())), "{shown}");
}
