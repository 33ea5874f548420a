//! Edits of every kind, other people's edits before and after them, and the way back: the same
//! bytes, the others' edits kept, or a refusal; and never access that was not there.

use irsa_migrate::model::{Issuer, Subject};
use irsa_migrate::sim::evaluate::{Decision, Policy, Request, pod_identity_requests, web_identity_request};
use irsa_migrate::trust::{
    AddStatement, Document, Edit, Mode, Scope, Undo, remove_statement, remove_subject, translate, undo_edits,
};
use serde_json::{Map, Value, json};

use crate::trust_corpus::{ROLE_ACCOUNT, policies, scope};
use crate::trust_random::Random;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Subjects of one cluster, and everything that is asked for each of them.
struct Probes {
    issuer: Issuer,
    requests: Vec<Vec<Request>>,
}

impl Probes {
    fn of(scope: &Scope, issuer: &Issuer) -> Self {
        let at = "2026-06-01T00:00:00Z".parse().unwrap();
        let cluster = scope.clusters.iter().find(|it| it.issuer == *issuer).unwrap();
        let provider = issuer.provider_arn(cluster.arn.partition(), &scope.role_account);
        let mut requests = Vec::new();
        for namespace in ["ns", "default", "kube-system"] {
            for name in NAMES {
                let subject = Subject {
                    cluster: cluster.arn.clone(),
                    namespace: namespace.to_owned(),
                    service_account: name.to_owned(),
                };
                let sub = subject.token_subject();
                let token = web_identity_request(issuer.as_str(), &provider, &sub, "sts.amazonaws.com", at);
                requests.extend([vec![token], pod_identity_requests(&subject, true, at)]);
            }
        }
        Self { issuer: issuer.clone(), requests }
    }

    /// Which of the subjects Allow statements let assume the role, each way: Deny statements come
    /// and go with other people's edits.
    fn allowed(&self, text: &str) -> Vec<bool> {
        let (mut policy, mut all) = statements(text);
        all.retain(|it| it["Effect"] == "Allow");
        policy["Statement"] = Value::Array(all);
        let policy = Policy::parse(&policy.to_string()).unwrap();
        let allowed = |requests: &Vec<Request>| requests.iter().all(|it| policy.decide(it) == Decision::Allow);
        self.requests.iter().map(allowed).collect()
    }
}

fn subjects(random: &mut Random) -> Value {
    let one = |random: &mut Random| {
        let namespace = random.pick(&["ns", "ns", "ns", "default"]);
        let name = if random.below(12) == 0 { "*" } else { random.pick(&NAMES) };
        json!(format!("system:serviceaccount:{namespace}:{name}"))
    };
    match random.below(4) {
        0 => one(random),
        many => Value::Array((0..=many).map(|_| one(random)).collect()),
    }
}

/// A statement, mostly for tokens, sometimes without a Sid.
fn statement(random: &mut Random, issuer: &Issuer, number: usize) -> Value {
    let mut members = Map::new();
    if random.below(2) == 0 {
        members.insert("Sid".to_owned(), json!(format!("S{number}")));
    }
    members.insert("Effect".to_owned(), json!(if random.below(10) == 0 { "Deny" } else { "Allow" }));
    let provider = format!("arn:aws:iam::{ROLE_ACCOUNT}:oidc-provider/{issuer}");
    let (principal, action) = match random.below(8) {
        0 => (json!({"Service": "ec2.amazonaws.com"}), json!("sts:AssumeRole")),
        1 => (json!({"Service": "pods.eks.amazonaws.com"}), json!(["sts:AssumeRole", "sts:TagSession"])),
        _ => (json!({"Federated": provider}), json!("sts:AssumeRoleWithWebIdentity")),
    };
    let token = principal.get("Federated").is_some();
    members.insert("Principal".to_owned(), principal);
    members.insert("Action".to_owned(), action);
    if token {
        let operator = random.pick(&["StringEquals", "StringEquals", "StringLike", "StringEqualsIfExists"]);
        members.insert("Condition".to_owned(), json!({operator: {format!("{issuer}:sub"): subjects(random)}}));
    }
    Value::Object(members)
}

fn policy(random: &mut Random, issuer: &Issuer, corpus: &[(String, String)]) -> String {
    if random.below(4) == 0 {
        return corpus[random.below(corpus.len())].1.clone();
    }
    let mut statements: Vec<Value> = (0..1 + random.below(4)).map(|it| statement(random, issuer, it)).collect();
    if random.below(6) == 0 {
        let copied = statements[random.below(statements.len())].clone();
        statements.push(copied);
    }
    let policy = json!({"Version": "2012-10-17", "Statement": statements});
    if random.below(2) == 0 { serde_json::to_string_pretty(&policy).unwrap() } else { policy.to_string() }
}

/// Some edits, one after the other, and the document that they lead to.
fn edited(random: &mut Random, before: &Document, probes: &Probes, scope: &Scope) -> (Document, Vec<Edit>) {
    let (mut document, mut edits) = (before.clone(), Vec::new());
    for _ in 0..=random.below(3) {
        let made: Vec<Edit> = match random.below(4) {
            0 => {
                let it = translate(&document, scope, Mode::Equivalent, &[]);
                it.added.into_iter().map(Edit::AddStatement).collect()
            }
            1 => {
                let removed = remove_statement(&document, random.below(document.statement_count().max(1)));
                removed.map(Edit::RemoveStatement).into_iter().collect()
            }
            _ => remove_subject(&document, &probes.issuer, "ns", random.pick(&NAMES)).unwrap_or_default(),
        };
        for edit in made {
            // The edits of one removal are made for one document; a second may be done by the first.
            document = edit.apply(&document).unwrap();
            edits.push(edit);
        }
    }
    (document, edits)
}

fn statements(text: &str) -> (Value, Vec<Value>) {
    let policy: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
    let statements = policy["Statement"].as_array().cloned().unwrap_or_else(|| vec![policy["Statement"].clone()]);
    (policy, statements)
}

/// What somebody else makes of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Foreign {
    Respelled,
    Added,
    Altered,
    Removed,
    Copied,
}

fn foreign(random: &mut Random, text: &str, kind: Foreign, issuer: &Issuer) -> String {
    let (mut policy, mut all) = statements(text);
    let at = random.below(all.len().max(1));
    match kind {
        Foreign::Respelled => all.reverse(),
        Foreign::Added => all.insert(at.min(all.len()), statement(random, issuer, 9)),
        Foreign::Removed if all.len() > 1 => drop(all.remove(at)),
        Foreign::Copied if !all.is_empty() => {
            let mut copied = all[at].clone();
            copied.as_object_mut().unwrap().remove("Sid");
            all.push(copied);
        }
        Foreign::Altered if !all.is_empty() => {
            // The same Sid, if it has one, and other subjects or nothing else at all.
            let list = all[at]["Condition"].as_object_mut().and_then(|it| it.values_mut().next());
            if let Some(value) = list.and_then(|it| it.as_object_mut()?.values_mut().next()) {
                *value = subjects(random);
            } else {
                all[at]["Effect"] = json!("Deny");
            }
        }
        Foreign::Removed | Foreign::Copied | Foreign::Altered => {}
    }
    policy["Statement"] = Value::Array(all);
    serde_json::to_string_pretty(&policy).unwrap()
}

fn within(some: &[bool], all: &[bool], also: &[bool]) -> bool {
    some.iter().zip(all).zip(also).all(|((some, all), also)| !some || *all || *also)
}

#[test]
fn edits_of_every_kind_and_other_peoples_and_the_way_back() {
    use Foreign::{Added, Altered, Copied, Removed, Respelled};
    let scope = scope();
    let corpus = policies();
    let probes = Probes::of(&scope, &scope.clusters[0].issuer);
    let mut random = Random::new(11);
    let (mut original, mut kept, mut refused, mut nothing, mut kinds) = (0, 0, 0, 0, [0; 3]);
    for round in 0..4_000 {
        let text = policy(&mut random, &probes.issuer, &corpus);
        let Ok(before) = Document::parse(&text) else { continue };
        if Policy::parse(&text).is_err() {
            continue;
        }
        let (after, edits) = edited(&mut random, &before, &probes, &scope);
        if edits.is_empty() {
            continue;
        }
        for edit in &edits {
            kinds[match edit {
                Edit::AddStatement(_) => 0,
                Edit::RemoveStatement(_) => 1,
                Edit::RemoveSubject(_) => 2,
            }] += 1;
        }
        // Nobody else: the same bytes.
        let alone = undo_edits(&after, &before, &after, &edits);
        let same = after.same_meaning(&before);
        assert_eq!(alone, if same { Undo::Nothing } else { Undo::SendOriginal(text.clone()) }, "round {round}");
        // Whatever order things come in, our own edit is never made twice.
        let kind = random.pick(&[Respelled, Added, Altered, Removed, Copied]);
        let (base, made) = if random.below(2) == 0 { (&after, true) } else { (&before, false) };
        let current = foreign(&mut random, base.text(), kind, &probes.issuer);
        let Ok(current) = Document::parse(&current) else { continue };
        let what = || format!("round {round}, {kind:?}\n{text}\n{edits:?}\n{}", current.text());
        let back = match undo_edits(&current, &before, &after, &edits) {
            Undo::Nothing => {
                nothing += 1;
                continue;
            }
            Undo::Refuse(why) => {
                assert!(!why.is_empty());
                refused += 1;
                continue;
            }
            Undo::SendOriginal(back) => {
                assert!(back == text && current.same_meaning(&after), "{}", what());
                original += 1;
                back
            }
            Undo::SendEdited(back) => {
                kept += 1;
                back
            }
        };
        let (is, was, now) = (probes.allowed(&back), probes.allowed(&text), probes.allowed(current.text()));
        // Nobody gets what neither we took nor somebody else gave.
        assert!(within(&is, &now, &was), "gained: {}\n{back}", what());
        // Where we had changed nothing yet, an altered statement is nothing that we took.
        if !made && kind == Altered && !current.same_meaning(&after) {
            let none = vec![false; is.len()];
            assert!(within(&is, &now, &none), "gained by an altered statement: {}\n{back}", what());
        }
        // What somebody else added is still there, and nothing else differs from what was.
        if made && kind == Added && !current.same_meaning(&after) {
            let (_, mut left) = statements(&back);
            let (_, own) = statements(&text);
            let added = statements(current.text()).1;
            left.retain(|it| !own.contains(it));
            assert!(left.iter().all(|it| added.contains(it)), "{}\n{back}", what());
        }
    }
    assert!(kinds.iter().all(|it| *it > 500), "{kinds:?}");
    let counts = [original, kept, refused, nothing];
    assert!(counts.iter().all(|it| *it > 150), "{counts:?}");
}

#[test]
fn a_statement_of_ours_among_removals() {
    let scope = scope();
    let issuer = scope.clusters[0].issuer.clone();
    let token = |sid: &str, subjects: Value| {
        let principal = json!({"Federated": format!("arn:aws:iam::{ROLE_ACCOUNT}:oidc-provider/{issuer}")});
        let mut statement = json!({"Sid": sid, "Effect": "Allow", "Principal": principal});
        statement["Action"] = json!("sts:AssumeRoleWithWebIdentity");
        statement["Condition"] = json!({"StringEquals": {format!("{issuer}:sub"): subjects}});
        statement
    };
    let [a, b] = ["a", "b"].map(|it| format!("system:serviceaccount:ns:{it}"));
    let text = json!({"Statement": [token("One", json!([a, b])), token("Two", json!(a))]}).to_string();
    let before = Document::parse(&text).unwrap();
    let it = translate(&before, &scope, Mode::Equivalent, &[]);
    let mut edits: Vec<Edit> = it.added.into_iter().map(Edit::AddStatement).collect();
    edits.extend(remove_subject(&it.document, &issuer, "ns", "a").unwrap());
    assert!(matches!(edits[..], [Edit::AddStatement(_), Edit::RemoveSubject(_), Edit::RemoveStatement(_)]));
    let after = edits.iter().fold(before.clone(), |document, edit| edit.apply(&document).unwrap());
    // Somebody else's statement stays, and all three are taken back around it.
    let foreign =
        r#"{"Sid":"Ec2","Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}"#;
    let edit = Edit::AddStatement(AddStatement { sid: "Ec2".to_owned(), text: foreign.to_owned(), position: 0 });
    let current = edit.apply(&after).unwrap();
    let expected = edit.apply(&before).unwrap();
    let Undo::SendEdited(back) = undo_edits(&current, &before, &after, &edits) else { panic!("{}", current.text()) };
    assert!(Document::parse(&back).unwrap().same_meaning(&expected), "{back}");
}
