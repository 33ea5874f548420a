//! One small policy for each rule of IAM that a translation turns on.
//!
//! In the policies `P` and `Q` stand for the issuers of the clusters alpha and beta, `F` and
//! `G` for their providers as a principal, `WEB` for the action that presents a token, `A2`
//! for the two actions of Pod Identity, and `S:` for the start of every subject.

mod conditions;
mod denies;
mod statements;
mod whole;

use irsa_migrate::model::{AccountId, ClusterArn, Issuer, Subject};
use irsa_migrate::trust::{
    Document, Grant, Mode, Provider, Relation, Scope, ScopeCluster, Translation, Undo, Verdict, prove, read, translate,
    undo,
};

const P: &str = "oidc.eks.eu-west-1.amazonaws.com/id/AAAA";
const Q: &str = "oidc-eks.us-east-2.api.aws/id/BBBB";
const ACCOUNT: &str = "111122223333";

pub(crate) fn expand(text: &str) -> String {
    let arn = |issuer: &str| format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}");
    text.replace("'", "\"")
        .replace("\"F\"", &format!("{{\"Federated\":\"{}\"}}", arn(P)))
        .replace("\"G\"", &format!("{{\"Federated\":\"{}\"}}", arn(Q)))
        .replace("\"FG\"", &format!("{{\"Federated\":[\"{}\",\"{}\"]}}", arn(P), arn(Q)))
        .replace("\"PODS\"", "{\"Service\":\"pods.eks.amazonaws.com\"}")
        .replace("\"A2\"", "[\"sts:AssumeRole\",\"sts:TagSession\"]")
        .replace("\"WEB\"", "\"sts:AssumeRoleWithWebIdentity\"")
        .replace("\"P:", &format!("\"{P}:"))
        .replace("\"Q:", &format!("\"{Q}:"))
        .replace("\"S:", "\"system:serviceaccount:")
        .replace("ALPHA", &alpha().to_string())
        .replace("BETA", &beta().to_string())
}

fn alpha() -> ClusterArn {
    ClusterArn::parse(&format!("arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/alpha")).unwrap()
}

fn beta() -> ClusterArn {
    ClusterArn::parse(&format!("arn:aws:eks:us-east-2:{ACCOUNT}:cluster/beta")).unwrap()
}

pub(crate) fn scope() -> Scope {
    let cluster = |arn: ClusterArn, issuer: &str| ScopeCluster {
        arn,
        issuer: Issuer::parse(issuer).unwrap(),
        provider: Provider::Exists { client_ids: vec!["sts.amazonaws.com".to_owned(), "vault".to_owned()] },
    };
    Scope { role_account: AccountId::parse(ACCOUNT).unwrap(), clusters: vec![cluster(alpha(), P), cluster(beta(), Q)] }
}

pub(crate) fn document(statements: &str) -> Document {
    versioned("2012-10-17", statements)
}

pub(crate) fn versioned(version: &str, statements: &str) -> Document {
    let text = expand(&format!("{{'Version':'{version}','Statement':[{statements}]}}"));
    Document::parse(&text).unwrap_or_else(|invalid| panic!("{invalid}: {text}"))
}

/// An Allow for tokens of alpha under a condition.
pub(crate) fn allow(condition: &str) -> String {
    format!("{{'Effect':'Allow','Principal':'F','Action':'WEB','Condition':{condition}}}")
}

pub(crate) fn translated(document: &Document) -> Translation {
    translate(document, &scope(), Mode::Equivalent, &[])
}

/// Who is granted, in one line: `alpha ns/sa -ns/sa [operator key value]; ...`
fn granted(translation: &Translation) -> String {
    let line = |grant: &Grant| {
        let cluster = grant.cluster_arn.to_string();
        let name = cluster.rsplit('/').next().unwrap();
        let except = grant.except.iter().map(|it| {
            let mark = if it.ignore_case { "~" } else { "-" };
            format!(" {mark}{}/{}", it.namespace, it.service_account)
        });
        let carried = grant.carried.iter().map(|it| format!(" [{} {} {}]", it.operator, it.key, it.values.join(",")));
        let more: String = except.chain(carried).collect();
        format!("{name} {}/{}{more}", grant.namespace, grant.service_account)
    };
    translation.grants.iter().map(line).collect::<Vec<_>>().join("; ")
}

pub(crate) fn codes(translation: &Translation) -> Vec<&'static str> {
    let mut codes: Vec<_> = translation.reasons.iter().map(|reason| reason.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// Translates and expects a verdict, the grants, and the codes of the reasons.
#[track_caller]
pub(crate) fn check(document: &Document, verdict: Verdict, grants: &str, expected: &[&str]) {
    let it = translated(document);
    assert_eq!(
        (it.verdict, granted(&it).as_str(), codes(&it).as_slice()),
        (verdict, grants, expected),
        "{}",
        document.text()
    );
    match verdict {
        Verdict::Translated => {
            let proof = it.proof.clone().unwrap();
            assert_eq!((proof.relation, proof.witness), (Relation::Equal, None));
            assert!(!it.added.is_empty());
            assert_never_bare(&it);
            // Once added, there is nothing left to add.
            let again = translated(&it.document);
            assert_eq!((again.verdict, again.document), (Verdict::Already, it.document));
        }
        Verdict::Already | Verdict::Nothing | Verdict::Held | Verdict::Invalid => {
            assert!(it.added.is_empty());
            assert_eq!(it.document, *document);
        }
    }
}

/// No added statement passes a request that lacks the session tags.
fn assert_never_bare(it: &Translation) {
    for add in &it.added {
        let statement: serde_json::Value = serde_json::from_str(&add.text).unwrap();
        let conditions = statement["Condition"].as_object().unwrap();
        for (operator, keys) in conditions {
            for key in keys.as_object().unwrap().keys().filter(|key| key.starts_with("aws:RequestTag/")) {
                assert!(!operator.contains("IfExists") && !operator.contains("ForAllValues"), "{operator}");
                let positive = |name: &str| conditions.get(name).is_some_and(|it| it.get(key).is_some());
                assert!(!operator.contains("Not") || positive("StringEquals") || positive("StringLike"), "{key}");
            }
        }
        assert!(conditions["StringEquals"]["aws:RequestTag/eks-cluster-arn"] != serde_json::Value::Null);
    }
}

#[track_caller]
pub(crate) fn condition(condition: &str, verdict: Verdict, grants: &str, expected: &[&str]) {
    check(&document(&allow(condition)), verdict, grants, expected);
}

/// What is allowed to any `app` of alpha, beside a Deny.
pub(crate) fn deny(rest: &str) -> Document {
    document(&format!("{},{{'Effect':'Deny',{rest}}}", allow("{'StringLike':{'P:sub':'S:*:app'}}")))
}

pub(crate) fn subject(namespace: &str, name: &str) -> Subject {
    Subject { cluster: alpha(), namespace: namespace.to_owned(), service_account: name.to_owned() }
}
