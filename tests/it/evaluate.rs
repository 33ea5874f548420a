//! The evaluator against answers that the IAM user guide documents.
//!
//! A call that needs two actions (`AssumeRole` and `TagSession`) is allowed only if both are.

use irsa_migrate::sim::evaluate::{Context, Decision, Policy, Principal, Request};
use serde_json::Value;

fn request(check: &Value) -> Request {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let who = &check["principal"];
    let principal = match who["type"].as_str().unwrap() {
        "Federated" => Principal::Federated(text(&who["value"])),
        "Service" => Principal::Service(text(&who["value"])),
        "AWS" => Principal::Aws { arn: text(&who["value"]), account: text(&who["account"]) },
        other => panic!("unknown principal {other}"),
    };
    let mut context = Context::default();
    for (key, value) in check["context"].as_object().unwrap() {
        context = match value.as_array() {
            Some(all) => context.with_all(key, all.iter().map(|it| it.as_str().unwrap())),
            None => context.with(key, value.as_str().unwrap()),
        };
    }
    Request { principal, action: text(&check["action"]), context }
}

#[test]
fn documented_answers() {
    let cases = include_str!("iam_cases.jsonl");
    let mut wrong = Vec::new();
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let policy = Policy::parse(&case["policy"].to_string());
        let mut checks = case["checks"].as_array().unwrap().iter().map(request);
        let allowed = policy.is_ok_and(|it| checks.all(|request| it.decide(&request) == Decision::Allow));
        if allowed != (case["want"] == "allow") {
            wrong.push(case["id"].to_string());
        }
    }
    assert_eq!(cases.lines().count(), 133);
    assert_eq!(wrong, Vec::<String>::new());
}
