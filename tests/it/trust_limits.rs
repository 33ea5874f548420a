//! Policies as large as the API takes, and made to be slow: each gets its verdict.
//!
//! The bounds on work are counted by the product itself; here it is shown that what is
//! over them ends as a reason and never as a hang or an overflow of the stack.

use irsa_migrate::trust::{Code, Document, MAX_CHARACTERS, Mode, Undo, Verdict, translate, undo};
use serde_json::{Value, json};

use crate::trust_corpus::scope;

/// A statement for tokens of the first cluster in scope.
fn token(operator: &str, subjects: &[String], effect: &str) -> Value {
    let scope = scope();
    let issuer = scope.clusters[0].issuer.as_str();
    let provider = format!("arn:aws:iam::{}:oidc-provider/{issuer}", scope.role_account);
    json!({
        "Effect": effect,
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {operator: {format!("{issuer}:sub"): subjects}},
    })
}

/// A policy of as many statements or subjects as there is room for.
fn filled(of: impl Fn(usize) -> String) -> String {
    let (mut low, mut high) = (1, MAX_CHARACTERS);
    while low + 1 < high {
        let middle = (low + high) / 2;
        if of(middle).len() <= MAX_CHARACTERS { low = middle } else { high = middle }
    }
    of(low)
}

fn policy(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn name(at: usize) -> String {
    format!("system:serviceaccount:team-{}:app-{at}", at % 17)
}

fn verdict(text: &str) -> (Verdict, Vec<Code>) {
    let document = Document::parse(text).unwrap();
    let it = translate(&document, &scope(), Mode::Equivalent, &[]);
    if it.verdict == Verdict::Translated {
        let back = undo(&it.document, &document, &it.document, &it.added);
        assert_eq!(back, Undo::SendOriginal(text.to_owned()));
    }
    let codes = it.reasons.iter().filter(|it| it.holds()).map(|it| it.code).collect();
    (it.verdict, codes)
}

fn many(of: impl Fn(usize) -> String) -> impl Fn(usize) -> Vec<String> {
    move |count| (0..count).map(&of).collect()
}

#[test]
fn subjects_and_statements_as_many_as_fit() {
    let names = many(name);
    let list = filled(|count| policy(&[token("StringEquals", &names(count.min(20_000)), "Allow")]));
    assert!(list.len() > MAX_CHARACTERS - 100);
    // It is understood; there is no room left for as many names once more.
    assert_eq!(verdict(&list), (Verdict::Held, vec![Code::TooLong]));
    let statements = filled(|count| {
        let each = |at| token("StringLike", &[name(at)], "Allow");
        policy(&(0..count.min(2_000)).map(each).collect::<Vec<_>>())
    });
    assert_eq!(verdict(&statements), (Verdict::Held, vec![Code::TooLong]));
    let denied = filled(|count| {
        let deny = |at| token("StringLike", &[format!("system:serviceaccount:*{at}:*")], "Deny");
        let mut all: Vec<Value> = (0..count.min(2_000)).map(deny).collect();
        all.push(token("StringLike", &["system:serviceaccount:*:*".to_owned()], "Allow"));
        policy(&all)
    });
    assert_eq!(verdict(&denied), (Verdict::Held, vec![Code::TooLong]));
    // With room for both it is translated, in as few statements as it has namespaces.
    let half = policy(&[token("StringEquals", &names(1_500), "Allow")]);
    assert_eq!(verdict(&half), (Verdict::Translated, vec![]));
}

#[test]
fn globs_made_to_be_slow() {
    let slow = |at: usize| format!("system:serviceaccount:{}b{at}:{}", "*a".repeat(60), "*a?".repeat(40));
    for (operator, of_list) in [("StringLike", Code::TooLong), ("StringNotLike", Code::TooComplex)] {
        let list = filled(|count| policy(&[token(operator, &many(slow)(count.min(2_000)), "Allow")]));
        assert_eq!(verdict(&list), (Verdict::Held, vec![of_list]));
        let statements = filled(|count| {
            let each = |at| token(operator, &[slow(at)], "Allow");
            policy(&(0..count.min(2_000)).map(each).collect::<Vec<_>>())
        });
        assert_eq!(verdict(&statements), (Verdict::Held, vec![Code::TooLong]));
    }
    // One glob that fills the document: no name is so long, and none is guessed. Where it is
    // certain that no subject matches, it grants nothing.
    let too_complex = (Verdict::Held, vec![Code::TooComplex]);
    let nothing = (Verdict::Nothing, vec![]);
    for (unit, expected) in [
        ("*a", &too_complex),
        ("?", &too_complex),
        ("a*:", &nothing),
        ("*:", &nothing),
        ("a", &nothing),
        (":", &nothing),
    ] {
        let one = filled(|count| {
            policy(&[token("StringLike", &[format!("system:serviceaccount:{}", unit.repeat(count))], "Allow")])
        });
        assert_eq!(verdict(&one), *expected, "{unit}");
    }
}

#[test]
fn too_large_and_too_deep() {
    let whole = policy(&[token("StringEquals", &[name(1)], "Allow")]);
    let padded = |to: usize| format!("{whole}{}", " ".repeat(to - whole.len()));
    assert_eq!(verdict(&padded(MAX_CHARACTERS - 2_000)).0, Verdict::Translated);
    // There is no room left for a statement of ours: the API would not take the new document.
    assert_eq!(verdict(&padded(MAX_CHARACTERS)), (Verdict::Held, vec![Code::TooLong]));
    assert_eq!(Document::parse(&padded(MAX_CHARACTERS + 1)).unwrap_err().code, Code::TooLarge);
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[", ""), ("{\"Statement\":[", "")] {
        let depth = MAX_CHARACTERS / (open.len() + close.len());
        let text = format!("{}{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(Document::parse(&text).unwrap_err().code, Code::TooDeep, "{open}");
    }
    // Brackets inside a string nest nothing, and an open string ends.
    let text = format!("\"{}", "[".repeat(MAX_CHARACTERS - 1));
    assert_eq!(Document::parse(&text).unwrap_err().code, Code::NotJson);
    let keys: Vec<String> = (0..8_000).map(|at| format!("\"k{at}\":1")).collect();
    assert!(Document::parse(&format!("{{{}}}", keys.join(","))).is_err());
}
