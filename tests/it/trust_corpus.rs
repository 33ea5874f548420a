//! Real trust policies, each with its translation as a snapshot, and answers for some.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use irsa_migrate::model::{AccountId, ClusterArn, Issuer};
use irsa_migrate::trust::{
    Document, Grant, Mode, Provider, Relation, Scope, ScopeCluster, Translation, Verdict, translate,
};
use serde_json::{Value, json};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// The account that owns every role of the corpus.
pub(crate) const ROLE_ACCOUNT: &str = "111122223333";

/// Every cluster of the corpus, its provider taking the default audience.
pub(crate) fn scope() -> Scope {
    let text = std::fs::read_to_string(corpus().join("clusters.json")).unwrap();
    let clusters: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    let cluster = |(issuer, arn): (String, String)| ScopeCluster {
        arn: ClusterArn::parse(&arn).unwrap(),
        issuer: Issuer::parse(&issuer).unwrap(),
        provider: Provider::Exists { client_ids: vec!["sts.amazonaws.com".to_owned()] },
    };
    Scope {
        role_account: AccountId::parse(ROLE_ACCOUNT).unwrap(),
        clusters: clusters.into_iter().map(cluster).collect(),
    }
}

/// Every policy of the corpus, by its file name, in order.
pub(crate) fn policies() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(corpus().join("trust")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 147);
    let named = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (named(path), std::fs::read_to_string(path).unwrap())).collect()
}

fn snapshot(text: &str) -> Value {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(invalid) => return json!({"verdict": "invalid", "reason": invalid.reason()}),
    };
    let it = translate(&document, &scope(), Mode::Equivalent, &[]);
    let added: Vec<Value> = it.added.iter().map(|add| serde_json::from_str(&add.text).unwrap()).collect();
    json!({
        "verdict": it.verdict,
        "grants": it.grants,
        "reasons": it.reasons,
        "added": added,
        "characters": it.characters,
        "proof": it.proof,
    })
}

#[test]
fn every_policy_of_the_corpus() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots/corpus");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, text) in policies() {
            let shown = serde_json::to_string_pretty(&snapshot(&text)).unwrap();
            insta::assert_snapshot!(name.trim_end_matches(".json"), shown);
        }
    });
}

/// What the answers call a verdict.
fn verdict(word: &str) -> &'static [Verdict] {
    match word {
        "exact" | "exact-carry" => &[Verdict::Translated],
        "nothing" => &[Verdict::Nothing],
        "no" => &[Verdict::Held],
        "refuse" => &[Verdict::Invalid],
        other => panic!("unknown answer {other}"),
    }
}

/// A grant as the answers write it.
fn as_answer(grant: &Grant) -> Value {
    let except: Vec<Value> = grant
        .except
        .iter()
        .map(|it| json!({"namespace": it.namespace, "serviceAccount": it.service_account}))
        .collect();
    let mut answer = json!({
        "issuer": grant.issuer,
        "clusterArn": grant.cluster_arn,
        "namespace": grant.namespace,
        "serviceAccount": grant.service_account,
    });
    if !except.is_empty() {
        answer["except"] = json!(except);
    }
    answer
}

fn sorted(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by_key(Value::to_string);
    values
}

#[test]
fn every_answer_agrees() {
    let texts: BTreeMap<String, String> = policies().into_iter().collect();
    let answers = std::fs::read_to_string(corpus().join("expected.jsonl")).unwrap();
    let mut count = 0;
    let mut wrong = Vec::new();
    for line in answers.lines() {
        let answer: Value = serde_json::from_str(line).unwrap();
        let file = answer["file"].as_str().unwrap().trim_start_matches("trust/");
        let text = &texts[file];
        let word = answer["translation"].as_str().unwrap();
        let (found, translation) = match Document::parse(text) {
            Ok(document) => {
                let it = translate(&document, &scope(), Mode::Equivalent, &[]);
                (it.verdict, Some(it))
            }
            Err(_) => (Verdict::Invalid, None),
        };
        count += 1;
        if !verdict(word).contains(&found) {
            wrong.push(format!("{file}: {found:?} instead of {word}"));
            continue;
        }
        let Some(translation) = translation else { continue };
        wrong.extend(disagreements(&answer, &translation).map(|what| format!("{file}: {what}")));
    }
    assert_eq!(count, 76);
    assert_eq!(wrong, Vec::<String>::new());
}

fn disagreements(answer: &Value, it: &Translation) -> Option<String> {
    if let Some(expected) = answer["grants"].as_array() {
        let found = sorted(it.grants.iter().map(as_answer).collect());
        if found != sorted(expected.clone()) {
            return Some(format!("grants {found:?}"));
        }
    }
    if let Some(rectangles) = answer["rectangles"].as_u64()
        && it.verdict == Verdict::Translated
        && it.added.len() as u64 != rectangles
    {
        return Some(format!("{} statements instead of {rectangles}", it.added.len()));
    }
    if it.verdict == Verdict::Translated && it.proof.as_ref().map(|proof| proof.relation) != Some(Relation::Equal) {
        return Some(format!("proof {:?}", it.proof));
    }
    None
}
