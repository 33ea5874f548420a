//! One small policy for each rule of IAM that a translation turns on.
//!
//! In the policies `P` and `Q` stand for the issuers of the clusters alpha and beta, `F` and
//! `G` for their providers as a principal, `WEB` for the action that presents a token, `A2`
//! for the two actions of Pod Identity, and `S:` for the start of every subject.

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

use Verdict::{Already, Held, Nothing, Translated};

#[test]
fn plain_subjects() {
    condition("{'StringEquals':{'P:sub':'S:ns:sa'}}", Translated, "alpha ns/sa", &[]);
    condition("{'StringEquals':{'P:sub':'S:ns:sa','P:aud':'sts.amazonaws.com'}}", Translated, "alpha ns/sa", &[]);
    condition("{'StringEquals':{'P:sub':['S:n1:a','S:n2:b']}}", Translated, "alpha n1/a; alpha n2/b", &[]);
    condition("{'StringLike':{'P:sub':'S:ns:*'}}", Translated, "alpha ns/*", &[]);
    condition("{}", Translated, "alpha */*", &["ANY_SERVICE_ACCOUNT"]);
    let bare = document("{'Effect':'Allow','Principal':'F','Action':'WEB'}");
    check(&bare, Translated, "alpha */*", &["ANY_SERVICE_ACCOUNT"]);
    condition("{'StringEquals':{'P:SUB':'S:ns:sa'}}", Translated, "alpha ns/sa", &[]);
}

#[test]
fn equality_is_literal_and_has_case() {
    condition("{'StringEquals':{'P:sub':'S:ns:*'}}", Nothing, "", &["LITERAL_WILDCARD", "NEVER_TOGETHER"]);
    condition("{'StringEquals':{'P:sub':['S:ns:s?','S:ns:sa']}}", Translated, "alpha ns/sa", &["LITERAL_WILDCARD"]);
    condition("{'StringEquals':{'P:sub':'S:NS:sa'}}", Nothing, "", &["IMPOSSIBLE_NAME", "NEVER_TOGETHER"]);
    condition("{'StringEquals':{'P:sub':'S:a_b:sa'}}", Nothing, "", &["IMPOSSIBLE_NAME", "NEVER_TOGETHER"]);
    condition("{'StringEquals':{'P:sub':'S:a.b:sa'}}", Nothing, "", &["IMPOSSIBLE_NAME", "NEVER_TOGETHER"]);
    condition("{'StringEquals':{'P:sub':'S:ns:s.a'}}", Translated, "alpha ns/s.a", &[]);
    condition("{'StringEquals':{'P:sub':'system:node:x'}}", Nothing, "", &["NEVER_TOGETHER", "NOT_A_SERVICE_ACCOUNT"]);
    condition("{'StringEquals':{'P:sub':''}}", Nothing, "", &["NEVER_TOGETHER", "NOT_A_SERVICE_ACCOUNT"]);
    condition("{'StringEquals':{'P:sub':[]}}", Nothing, "", &["NO_VALUE"]);
    condition("{'StringEquals':{'P:sub':5}}", Nothing, "", &["NEVER_TOGETHER", "NOT_A_SERVICE_ACCOUNT"]);
    condition(
        "{'StringEqualsIgnoreCase':{'P:sub':'System:ServiceAccount:Ns:Sa'}}",
        Translated,
        "alpha ns/sa",
        &["IGNORE_CASE"],
    );
    condition("{'StringEqualsIgnoreCase':{'P:sub':'S:ns:sa'}}", Translated, "alpha ns/sa", &[]);
    // The Kelvin sign is a k to some readers.
    condition(
        "{'StringEqualsIgnoreCase':{'P:sub':'S:\u{212a}ube:sa'}}",
        Held,
        "",
        &["CHARACTER_REFUSED", "CONDITION_NOT_UNDERSTOOD"],
    );
}

#[test]
fn globs() {
    condition("{'StringLike':{'P:sub':'S:a*b'}}", Translated, "alpha a*/*b", &[]);
    condition("{'StringLike':{'P:sub':'S:ns?sa'}}", Translated, "alpha ns/sa", &[]);
    condition("{'StringLike':{'P:sub':'*'}}", Translated, "alpha */*", &["ANY_SERVICE_ACCOUNT"]);
    condition("{'StringLike':{'P:sub':'*:sa'}}", Translated, "alpha */sa", &[]);
    condition("{'StringLike':{'P:sub':'S:*'}}", Translated, "alpha */*", &["ANY_SERVICE_ACCOUNT"]);
    condition("{'StringLike':{'P:sub':'S:ns:sa'}}", Translated, "alpha ns/sa", &[]);
    condition("{'StringLike':{'P:sub':'S:UP*:sa'}}", Translated, "alpha UP*/sa", &[]);
    condition("{'StringLike':{'P:sub':'ns:sa'}}", Nothing, "", &["NEVER_TOGETHER", "NOT_A_SERVICE_ACCOUNT"]);
    let slow = format!("{{'StringLike':{{'P:sub':'S:{}'}}}}", "*a".repeat(120));
    condition(&slow, Held, "", &["TOO_COMPLEX"]);
}

#[test]
fn operators_and_keys_are_anded() {
    condition(
        "{'StringLike':{'P:sub':'S:ns:*'},'StringEquals':{'P:sub':['S:ns:a','S:other:a']}}",
        Translated,
        "alpha ns/a",
        &[],
    );
    condition("{'StringLike':{'P:sub':'S:a*'},'StringEquals':{'P:sub':'S:b:x'}}", Nothing, "", &["NEVER_TOGETHER"]);
    condition(
        "{'StringLike':{'P:sub':'S:a*:*'},'ForAnyValue:StringLike':{'P:sub':'S:*b:*'}}",
        Translated,
        "alpha a*b/*",
        &[],
    );
    condition("{'StringEquals':{'P:sub':'S:ns:sa','Q:sub':'S:ns:sa'}}", Nothing, "", &["KEY_NEVER_PRESENT"]);
    let text = "{'StringEquals':{'P:sub':'S:ns:a','P:Sub':'S:ns:b'}}";
    condition(text, Nothing, "", &["NEVER_TOGETHER"]);
    let text = "{'StringLike':{'P:sub':'S:ns:a*','P:Sub':'S:ns:*b'}}";
    condition(text, Held, "", &["CONDITION_KEY_TWICE"]);
}

#[test]
fn set_operators_and_absent_keys() {
    condition("{'ForAnyValue:StringEquals':{'P:sub':'S:ns:sa'}}", Translated, "alpha ns/sa", &[]);
    condition("{'ForAllValues:StringLike':{'P:sub':'S:ns:*'}}", Translated, "alpha ns/*", &[]);
    condition("{'ForAnyValue:StringLike':{'Q:sub':'*'}}", Nothing, "", &["KEY_NEVER_PRESENT"]);
    let any = &["ANY_SERVICE_ACCOUNT", "CONDITION_ALWAYS_MET"];
    condition("{'ForAllValues:StringEquals':{'Q:sub':'S:ns:sa'}}", Translated, "alpha */*", any);
    condition("{'StringEqualsIfExists':{'Q:sub':'S:ns:sa'}}", Translated, "alpha */*", any);
    condition("{'StringEqualsIfExists':{'P:sub':'S:ns:sa'}}", Translated, "alpha ns/sa", &[]);
    condition("{'StringNotEquals':{'Q:sub':'S:ns:sa'}}", Translated, "alpha */*", any);
    condition("{'ForAnyValue:StringNotEquals':{'Q:sub':'S:ns:sa'}}", Nothing, "", &["KEY_NEVER_PRESENT"]);
    condition(
        "{'ForAnyValue:StringNotEquals':{'P:sub':'S:n:s'}}",
        Translated,
        "alpha */* -n/s",
        &["ANY_SERVICE_ACCOUNT"],
    );
    // Whether one or all of the values must differ is not documented.
    let several = "{'ForAnyValue:StringNotEquals':{'P:sub':['S:n:s','S:n:t']}}";
    condition(several, Held, "", &["CONDITION_NOT_UNDERSTOOD"]);
    condition("{'ForAnyValue:StringEqualsIfExists':{'Q:sub':'S:n:s'}}", Held, "", &["CONDITION_NOT_UNDERSTOOD"]);
    condition("{'StringEquals':{'https://P:sub':'S:ns:sa'}}", Nothing, "", &["KEY_NEVER_PRESENT"]);
    condition("{'StringEquals':{'P:amr':'x'}}", Nothing, "", &["KEY_NEVER_PRESENT"]);
    condition("{'StringNotEquals':{'P:amr':'x'}}", Held, "", &["CONDITION_NOT_UNDERSTOOD"]);
    condition("{'StringEquals':{'aws:RequestTag/team':'x'}}", Nothing, "", &["KEY_NEVER_PRESENT"]);
    condition("{'StringLike':{'aws:PrincipalTag/team':'x'}}", Nothing, "", &["KEY_NEVER_PRESENT"]);
}

#[test]
fn null_tests_presence() {
    condition("{'Null':{'P:sub':'false'}}", Translated, "alpha */*", &["ANY_SERVICE_ACCOUNT"]);
    condition("{'Null':{'P:sub':'true'}}", Nothing, "", &["NEVER_TOGETHER"]);
    condition("{'Null':{'P:sub':true}}", Nothing, "", &["NEVER_TOGETHER"]);
    let any = &["ANY_SERVICE_ACCOUNT", "CONDITION_ALWAYS_MET"];
    condition("{'Null':{'Q:sub':'true'}}", Translated, "alpha */*", any);
    condition("{'Null':{'Q:sub':'false'}}", Nothing, "", &["KEY_NEVER_PRESENT"]);
    condition("{'Null':{'P:sub':['true','false']}}", Translated, "alpha */*", &["ANY_SERVICE_ACCOUNT"]);
    condition("{'Null':{'P:sub':'yes'}}", Held, "", &["CONDITION_NOT_UNDERSTOOD"]);
    condition("{'Null':{'P:amr':'true'}}", Held, "", &["CONDITION_NOT_UNDERSTOOD"]);
    condition("{'Null':{'P:amr':'false'}}", Nothing, "", &["KEY_NEVER_PRESENT"]);
    condition("{'Null':{'aws:SourceVpc':'true'}}", Held, "", &["CONDITION_ON_NETWORK"]);
}

#[test]
fn negations_become_exceptions() {
    condition(
        "{'StringNotEquals':{'P:sub':'S:kube-system:x'}}",
        Translated,
        "alpha */* -kube-system/x",
        &["ANY_SERVICE_ACCOUNT"],
    );
    condition(
        "{'StringNotLike':{'P:sub':['S:kube-*','S:default:*']}}",
        Translated,
        "alpha */* -default/* -kube-*/*",
        &["ANY_SERVICE_ACCOUNT"],
    );
    condition(
        "{'StringLike':{'P:sub':'S:ns:*'},'StringNotEquals':{'P:sub':['S:ns:a','S:ns:b','S:x:c']}}",
        Translated,
        "alpha ns/* -ns/a -ns/b",
        &[],
    );
    condition(
        "{'StringLike':{'P:sub':'S:ns:*'},'StringNotEqualsIgnoreCase':{'P:sub':'S:NS:Admin'}}",
        Translated,
        "alpha ns/* ~ns/admin",
        &[],
    );
    condition("{'StringEquals':{'P:sub':'S:ns:a'},'StringNotLike':{'P:sub':'S:ns:*'}}", Nothing, "", &[]);
    condition("{'StringNotEquals':{'P:sub':[]}}", Held, "", &["CONDITION_NOT_UNDERSTOOD"]);
    // Pairs of names in several namespaces: one piece for each, and one for the rest.
    let pairs = document(&allow("{'StringNotEquals':{'P:sub':['S:n1:a','S:n2:b','S:n2:c']}}"));
    check(&pairs, Translated, "alpha */* -n1/a -n2/b -n2/c", &["ANY_SERVICE_ACCOUNT"]);
    assert_eq!(translated(&pairs).added.len(), 3);
}

#[test]
fn audiences() {
    condition("{'StringEquals':{'P:sub':'S:ns:sa','P:aud':'other'}}", Nothing, "", &["AUDIENCE_NOT_ACCEPTED"]);
    condition(
        "{'StringEquals':{'P:sub':'S:ns:sa','P:aud':['other','sts.amazonaws.com']}}",
        Translated,
        "alpha ns/sa",
        &[],
    );
    condition("{'StringEquals':{'P:sub':'S:ns:sa','P:aud':'vault'}}", Translated, "alpha ns/sa", &["CUSTOM_AUDIENCE"]);
    condition("{'StringEquals':{'P:sub':'S:ns:sa'},'StringLike':{'P:aud':'sts.*'}}", Translated, "alpha ns/sa", &[]);
    condition(
        "{'StringEquals':{'P:sub':'S:ns:sa'},'StringNotEquals':{'P:aud':'vault'}}",
        Translated,
        "alpha ns/sa",
        &[],
    );
    condition(
        "{'StringEquals':{'P:sub':'S:ns:sa'},'StringNotLike':{'P:aud':'*'}}",
        Nothing,
        "",
        &["AUDIENCE_NOT_ACCEPTED"],
    );
    condition(
        "{'StringEquals':{'P:sub':'S:ns:sa'},'StringEqualsIgnoreCase':{'P:aud':'STS.amazonaws.com'}}",
        Translated,
        "alpha ns/sa",
        &[],
    );
}

#[test]
fn conditions_that_no_pod_identity_call_can_meet_are_held() {
    for (extra, code) in [
        ("'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}", "CONDITION_ON_NETWORK"),
        ("'StringLike':{'aws:SourceVpce':'vpce-1'}", "CONDITION_ON_NETWORK"),
        ("'StringNotEqualsIfExists':{'aws:SourceVpc':'vpc-1'}", "CONDITION_ON_NETWORK"),
        ("'StringLike':{'sts:RoleSessionName':'a*'}", "CONDITION_ON_SESSION"),
        ("'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::*:role/x'}", "CONDITION_ON_PRINCIPAL"),
        ("'StringLike':{'aws:PrincipalOrgID':'o-1'}", "CONDITION_ON_PRINCIPAL"),
        ("'StringLike':{'aws:RequestedRegion':'eu-west-1'}", "CONDITION_NOT_UNDERSTOOD"),
        ("'StringLike':{'aws:Typo':'x'}", "CONDITION_NOT_UNDERSTOOD"),
        ("'StringLike':{'aws:CurrentTime':'2027*'}", "CONDITION_NOT_UNDERSTOOD"),
        ("'ArnLike':{'P:sub':'arn:*'}", "CONDITION_NOT_UNDERSTOOD"),
        ("'NumericEquals':{'P:sub':'1'}", "CONDITION_NOT_UNDERSTOOD"),
    ] {
        condition(&format!("{{'StringEquals':{{'P:sub':'S:ns:sa'}},{extra}}}"), Held, "", &[code]);
    }
    // What grants nobody anything needs no holding.
    condition(
        "{'StringEquals':{'P:sub':'S:ns:*','aws:SourceVpce':'vpce-1'}}",
        Nothing,
        "",
        &["LITERAL_WILDCARD", "NEVER_TOGETHER"],
    );
    condition("{'StringLike':{'P:sub':'S:ns:sa','sts:RoleSessionName':'*'}}", Translated, "alpha ns/sa", &[]);
}

#[test]
fn conditions_that_mean_the_same_both_ways_are_carried() {
    condition(
        "{'StringEquals':{'P:sub':'S:ns:sa'},'DateLessThan':{'aws:CurrentTime':'2027-01-01T00:00:00Z'},'Bool':{'aws:SecureTransport':true}}",
        Translated,
        "alpha ns/sa [Bool aws:securetransport true] [DateLessThan aws:currenttime 2027-01-01T00:00:00Z]",
        &[],
    );
    condition(
        "{'StringEquals':{'P:sub':'S:ns:sa'},'NumericLessThan':{'aws:EpochTime':1900000000}}",
        Translated,
        "alpha ns/sa [NumericLessThan aws:epochtime 1900000000]",
        &[],
    );
    // Under a condition and without it are two grants, and stay two.
    let both = format!(
        "{},{}",
        allow("{'StringEquals':{'P:sub':'S:ns:a'},'DateLessThan':{'aws:CurrentTime':'2027-01-01T00:00:00Z'}}"),
        allow("{'StringEquals':{'P:sub':'S:ns:b'}}")
    );
    check(
        &document(&both),
        Translated,
        "alpha ns/a [DateLessThan aws:currenttime 2027-01-01T00:00:00Z]; alpha ns/b",
        &[],
    );
}

#[test]
fn policy_variables_by_version() {
    let variable = allow("{'StringLike':{'P:sub':'S:${aws:PrincipalTag/ns}:sa'}}");
    check(&document(&variable), Nothing, "", &["VARIABLE_WITHOUT_VALUE"]);
    let negated = allow("{'StringLike':{'P:sub':'S:ns:*'},'StringNotLike':{'P:sub':'S:${aws:PrincipalTag/ns}:sa'}}");
    check(&document(&negated), Translated, "alpha ns/*", &["CONDITION_ALWAYS_MET"]);
    let default = allow("{'StringEquals':{'P:sub':'S:${aws:PrincipalTag/ns, \u{2019}x\u{2019}}:sa'}}");
    check(&document(&default), Held, "", &["CHARACTER_REFUSED", "POLICY_VARIABLE"]);
    let own = allow("{'StringEquals':{'P:sub':'S:${oidc.eks.eu-west-1.amazonaws.com/id/AAAA:aud}:sa'}}");
    check(&document(&own), Held, "", &["POLICY_VARIABLE"]);
    let unknown = allow("{'StringEquals':{'P:sub':'S:${aws:SourceVpc}:sa'}}");
    check(&document(&unknown), Held, "", &["POLICY_VARIABLE"]);
    let among = allow("{'StringEquals':{'P:sub':['S:ns:sa','S:${aws:PrincipalTag/ns}:sa']}}");
    check(&document(&among), Held, "", &["POLICY_VARIABLE"]);
    let literal = allow("{'StringLike':{'P:sub':'S:ns:${*}'}}");
    check(&document(&literal), Nothing, "", &["LITERAL_WILDCARD", "NEVER_TOGETHER"]);
    check(&versioned("2008-10-17", &literal), Nothing, "", &["IMPOSSIBLE_NAME", "NEVER_TOGETHER"]);
}

#[test]
fn a_default_of_a_variable() {
    let text = expand(&format!(
        "{{'Version':'2012-10-17','Statement':[{}]}}",
        allow("{'StringEquals':{'P:sub':'S:DEFAULT:sa'}}")
    ))
    .replace("DEFAULT", "${aws:PrincipalTag/ns, 'ns'}");
    check(&Document::parse(&text).unwrap(), Translated, "alpha ns/sa", &[]);
}

#[test]
fn actions() {
    let with = |action: &str| {
        document(&format!(
            "{{'Effect':'Allow','Principal':'F',{action},'Condition':{{'StringEquals':{{'P:sub':'S:ns:sa'}}}}}}"
        ))
    };
    check(&with("'Action':'STS:assumerolewithwebidentity'"), Translated, "alpha ns/sa", &[]);
    check(&with("'Action':'sts:AssumeRole*'"), Translated, "alpha ns/sa", &[]);
    check(&with("'Action':'sts:AssumeRoleWithWebIdentit?'"), Translated, "alpha ns/sa", &[]);
    check(&with("'Action':'*'"), Translated, "alpha ns/sa", &[]);
    check(&with("'Action':['sts:AssumeRole','sts:TagSession']"), Nothing, "", &["WRONG_ACTION"]);
    check(&with("'NotAction':'sts:AssumeRole'"), Translated, "alpha ns/sa", &["NOT_ACTION"]);
    check(&with("'NotAction':['sts:AssumeRoleWith*']"), Nothing, "", &["WRONG_ACTION"]);
}

#[test]
fn principals() {
    let with = |principal: &str| {
        document(&format!(
            "{{'Effect':'Allow',{principal},'Action':'WEB','Condition':{{'StringEquals':{{'P:sub':'S:ns:sa'}}}}}}"
        ))
    };
    let arn = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{P}");
    check(&with("'Principal':'FG'"), Translated, "alpha ns/sa", &["KEY_NEVER_PRESENT"]);
    check(&with("'Principal':'*'"), Translated, "alpha ns/sa", &["KEY_NEVER_PRESENT"]);
    check(&with("'Principal':{'AWS':'*'}"), Translated, "alpha ns/sa", &["KEY_NEVER_PRESENT"]);
    check(&with("'Principal':{'AWS':['*']}"), Translated, "alpha ns/sa", &["KEY_NEVER_PRESENT"]);
    check(
        &with(&format!("'Principal':{{'Service':'ec2.amazonaws.com','Federated':'{arn}'}}")),
        Translated,
        "alpha ns/sa",
        &[],
    );
    check(&with("'Principal':{'AWS':'arn:aws:iam::111122223333:root'}"), Nothing, "", &[]);
    check(&with("'Principal':{'Federated':'*'}"), Held, "", &["PRINCIPAL_WILDCARD"]);
    check(
        &with("'Principal':{'Federated':'arn:aws:iam::111122223333:oidc-provider/*'}"),
        Nothing,
        "",
        &["ISSUER_UNKNOWN"],
    );
    check(&with(&format!("'NotPrincipal':{{'Federated':'{arn}'}}")), Held, "", &["NOT_PRINCIPAL"]);
    // Exactly this provider, in this account, partition and spelling.
    check(
        &with(&format!("'Principal':{{'Federated':'{}'}}", arn.replace(ACCOUNT, "444455556666"))),
        Nothing,
        "",
        &["PROVIDER_ELSEWHERE"],
    );
    check(
        &with(&format!("'Principal':{{'Federated':'{}'}}", arn.replace("arn:aws:", "arn:aws-cn:"))),
        Nothing,
        "",
        &["PROVIDER_ELSEWHERE"],
    );
    check(
        &with(&format!("'Principal':{{'Federated':'{}'}}", arn.to_lowercase())),
        Nothing,
        "",
        &["PROVIDER_ELSEWHERE"],
    );
    check(
        &with("'Principal':{'Federated':'arn:aws:iam::111122223333:oidc-provider/other.example'}"),
        Nothing,
        "",
        &["ISSUER_UNKNOWN"],
    );
    check(&with("'Principal':{'Federated':'cognito-identity.amazonaws.com'}"), Nothing, "", &[]);
}

#[test]
fn providers_that_are_gone_or_take_no_audience() {
    let policy = document(&allow("{'StringEquals':{'P:sub':'S:ns:sa'}}"));
    let mut scope = scope();
    scope.clusters[0].provider = Provider::Absent;
    let it = translate(&policy, &scope, Mode::Equivalent, &[]);
    assert_eq!((it.verdict, codes(&it).as_slice()), (Nothing, ["PROVIDER_GONE"].as_slice()));
    scope.clusters[0].provider = Provider::Exists { client_ids: Vec::new() };
    let it = translate(&policy, &scope, Mode::Equivalent, &[]);
    assert_eq!((it.verdict, codes(&it).as_slice()), (Nothing, ["AUDIENCE_NOT_ACCEPTED"].as_slice()));
}

#[test]
fn several_clusters() {
    let one = allow("{'StringEquals':{'P:sub':'S:ns:a'}}");
    let other = "{'Effect':'Allow','Principal':'G','Action':'WEB','Condition':{'StringEquals':{'Q:sub':'S:ns:a'}}}";
    let equal = document(&format!("{one},{other}"));
    check(&equal, Translated, "beta ns/a; alpha ns/a", &[]);
    assert_eq!(translated(&equal).added.len(), 1);
    let differing = document(&format!("{one},{}", other.replace("ns:a", "ns:b")));
    check(&differing, Translated, "beta ns/b; alpha ns/a", &[]);
    assert_eq!(translated(&differing).added.len(), 2);
}

#[test]
fn pairs_that_are_no_rectangle_are_never_crossed() {
    let l = document(&allow("{'StringEquals':{'P:sub':['S:n1:a','S:n1:b','S:n2:a']}}"));
    check(&l, Translated, "alpha n1/a; alpha n1/b; alpha n2/a", &[]);
    let crossed = Subject { cluster: alpha(), namespace: "n2".to_owned(), service_account: "b".to_owned() };
    assert!(!translated(&l).after.allows(&crossed));
    let full = document(&allow("{'StringEquals':{'P:sub':['S:n1:a','S:n1:b','S:n2:a','S:n2:b']}}"));
    assert_eq!(translated(&full).added.len(), 1);
}

pub(crate) fn deny(rest: &str) -> Document {
    document(&format!("{},{{'Effect':'Deny',{rest}}}", allow("{'StringLike':{'P:sub':'S:*:app'}}")))
}

#[test]
fn denies_that_take_from_tokens() {
    check(
        &deny("'Principal':'F','Action':'WEB','Condition':{'StringLike':{'P:sub':'S:kube-*:*'}}"),
        Translated,
        "alpha */app -kube-*/app",
        &[],
    );
    check(
        &deny("'Principal':'F','Action':'WEB','Condition':{'StringNotLike':{'P:sub':'S:team-*:*'}}"),
        Translated,
        "alpha team-*/app",
        &[],
    );
    check(&deny("'Principal':'F','Action':'WEB'"), Nothing, "", &["DENIED"]);
    check(&deny("'Principal':'G','Action':'WEB'"), Translated, "alpha */app", &[]);
    check(&deny("'Principal':'F','Action':'sts:AssumeRole'"), Translated, "alpha */app", &[]);
    // One audience of two is denied: the other is left.
    check(
        &deny("'Principal':'F','Action':'WEB','Condition':{'StringEquals':{'P:aud':'vault'}}"),
        Translated,
        "alpha */app",
        &[],
    );
    check(&deny("'Principal':'F','Action':'WEB','Condition':{'StringLike':{'P:aud':'*'}}"), Nothing, "", &["DENIED"]);
    // A key that is absent meets a negation.
    check(
        &deny("'Principal':'F','Action':'WEB','Condition':{'StringNotEquals':{'Q:aud':'x'}}"),
        Nothing,
        "",
        &["DENIED"],
    );
    check(
        &deny("'Principal':'F','Action':'WEB','Condition':{'StringEquals':{'Q:aud':'x'}}"),
        Translated,
        "alpha */app",
        &[],
    );
    check(
        &deny("'Principal':'F','Action':'WEB','Condition':{'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}}"),
        Held,
        "alpha */app",
        &["CONDITION_ON_NETWORK", "DENY_NOT_UNDERSTOOD"],
    );
    check(
        &deny(
            "'Principal':'F','Action':'WEB','Condition':{'DateGreaterThan':{'aws:CurrentTime':'2027-01-01T00:00:00Z'}}",
        ),
        Held,
        "alpha */app",
        &["DENY_NOT_UNDERSTOOD"],
    );
    check(&deny("'NotPrincipal':'F','Action':'WEB'"), Held, "alpha */app", &["DENY_NOT_UNDERSTOOD", "NOT_PRINCIPAL"]);
}

#[test]
fn denies_that_would_meet_pod_identity() {
    check(&deny("'Principal':'PODS','Action':'sts:TagSession'"), Held, "alpha */app", &["DENY_DEFEATS"]);
    check(
        &deny(
            "'Principal':'*','Action':'sts:AssumeRole','Condition':{'StringNotLike':{'aws:PrincipalArn':'arn:aws:iam::111122223333:role/ci'}}",
        ),
        Held,
        "alpha */app",
        &["DENY_NOT_UNDERSTOOD"],
    );
    check(
        &deny(
            "'Principal':'*','Action':'sts:AssumeRole','Condition':{'StringNotEquals':{'P:aud':'sts.amazonaws.com'}}",
        ),
        Held,
        "alpha */app",
        &["DENY_DEFEATS"],
    );
    check(
        &deny("'Principal':'*','Action':'sts:AssumeRole','Condition':{'Bool':{'aws:PrincipalIsAWSService':'false'}}"),
        Translated,
        "alpha */app",
        &[],
    );
    check(
        &deny("'Principal':'*','Action':'sts:AssumeRole','Condition':{'ArnNotEquals':{'aws:SourceArn':'ALPHA'}}"),
        Translated,
        "alpha */app",
        &[],
    );
    check(
        &deny("'Principal':'*','Action':'sts:AssumeRole','Condition':{'ArnNotEquals':{'aws:SourceArn':'BETA'}}"),
        Held,
        "alpha */app",
        &["DENY_DEFEATS"],
    );
    // It takes some of what our statement would grant, and nothing from tokens.
    check(
        &deny(
            "'Principal':'PODS','Action':'sts:*','Condition':{'StringEquals':{'aws:RequestTag/kubernetes-namespace':'x'}}",
        ),
        Held,
        "alpha */app",
        &["NOT_EXPRESSIBLE"],
    );
    check(
        &deny("'Principal':'*','Action':'sts:*','Condition':{'Bool':{'aws:SecureTransport':'false'}}"),
        Translated,
        "alpha */app",
        &[],
    );
    check(
        &deny("'Principal':'*','Action':'sts:AssumeRole','Condition':{'Bool':{'aws:SecureTransport':'false'}}"),
        Held,
        "alpha */app",
        &["DENY_NOT_UNDERSTOOD"],
    );
    check(&deny("'Principal':'*','Action':'sts:SetSourceIdentity'"), Translated, "alpha */app", &[]);
}

#[test]
fn what_pod_identity_grants_already() {
    let web = allow("{'StringEquals':{'P:sub':['S:ns:a','S:ns:b']}}");
    let pods = |rest: &str| document(&format!("{web},{{'Effect':'Allow','Principal':'PODS',{rest}}}"));
    check(&pods("'Action':'A2'"), Already, "alpha ns/a; alpha ns/b", &[]);
    check(&pods("'Action':'sts:*'"), Already, "alpha ns/a; alpha ns/b", &[]);
    check(&pods("'Action':'sts:AssumeRole'"), Translated, "alpha ns/a; alpha ns/b", &[]);
    check(
        &pods("'Action':'sts:AssumeRole'},{'Effect':'Allow','Principal':'*','Action':'sts:TagSession'"),
        Already,
        "alpha ns/a; alpha ns/b",
        &[],
    );
    let exact = "'Action':'A2','Condition':{'StringEquals':{'aws:RequestTag/kubernetes-namespace':'ns','aws:RequestTag/kubernetes-service-account':'a'}}";
    check(&pods(exact), Translated, "alpha ns/a; alpha ns/b", &["PARTLY_COVERED"]);
    let it = translated(&pods(exact));
    assert!(it.added[0].text.contains("\"b\"") && !it.added[0].text.contains("\"a\""));
    let other_cluster = "'Action':'A2','Condition':{'StringEquals':{'aws:RequestTag/eks-cluster-arn':'BETA'}}";
    check(&pods(other_cluster), Translated, "alpha ns/a; alpha ns/b", &[]);
    let by_name = "'Action':'A2','Condition':{'StringEquals':{'AWS:requesttag/EKS-Cluster-Name':'alpha','aws:SourceAccount':'111122223333'}}";
    check(&pods(by_name), Already, "alpha ns/a; alpha ns/b", &[]);
    let never = "'Action':'A2','Condition':{'ArnLike':{'aws:SourceArn':'arn:aws:eks:*:111122223333:podidentityassociation/alpha/*'}}";
    check(&pods(never), Translated, "alpha ns/a; alpha ns/b", &[]);
    let tags = "'Action':'A2','Condition':{'ForAllValues:StringEquals':{'aws:TagKeys':['eks-cluster-arn','eks-cluster-name','kubernetes-namespace','kubernetes-service-account','kubernetes-pod-name','kubernetes-pod-uid']}}";
    check(&pods(tags), Already, "alpha ns/a; alpha ns/b", &[]);
    let too_few_tags =
        "'Action':'A2','Condition':{'ForAllValues:StringEquals':{'aws:TagKeys':['kubernetes-namespace']}}";
    check(&pods(too_few_tags), Translated, "alpha ns/a; alpha ns/b", &[]);
}

#[test]
fn saving_that_iam_refuses_is_found_before() {
    let web = allow("{'StringEquals':{'P:sub':'S:ns:a'}}");
    let gone = document(&format!(
        "{web},{{'Effect':'Allow','Principal':{{'AWS':'AROA0123456789ABCDEFG'}},'Action':'sts:AssumeRole'}}"
    ));
    check(&gone, Held, "alpha ns/a", &["DELETED_PRINCIPAL"]);
    let twice = web.replace("'Effect'", "'Sid':'Same','Effect'");
    check(
        &document(&format!("{twice},{}", twice.replace("ns:a", "ns:b"))),
        Held,
        "alpha ns/a; alpha ns/b",
        &["SID_TWICE"],
    );
    let empty = web.replace("'Effect'", "'Sid':'','Effect'");
    check(&document(&format!("{empty},{empty}")), Translated, "alpha ns/a", &[]);
    let refused = document(&web.replace("'Effect'", "'Sid':'\u{2713}','Effect'"));
    check(&refused, Held, "alpha ns/a", &["CHARACTER_REFUSED"]);
    // Nothing has to be saved where there is nothing to add.
    let nothing = document("{'Effect':'Allow','Principal':{'AWS':'AIDA0123456789ABCDEFG'},'Action':'sts:AssumeRole'}");
    check(&nothing, Nothing, "", &["DELETED_PRINCIPAL"]);
}

#[test]
fn a_byte_order_mark_is_kept_and_counts_for_nothing() {
    let bare = document(&allow("{'StringEquals':{'P:sub':'S:ns:sa'}}"));
    let marked = Document::parse(&format!("\u{feff}{}", bare.text())).unwrap();
    check(&marked, Translated, "alpha ns/sa", &[]);
    let it = translated(&marked);
    assert_eq!(it.document.text(), format!("\u{feff}{}", translated(&bare).document.text()));
    assert_eq!((marked.characters(), it.characters), (bare.characters(), translated(&bare).characters));
    assert_eq!(undo(&it.document, &marked, &it.document, &it.added), Undo::SendOriginal(marked.text().to_owned()));
    for (text, line, column) in [
        ("\u{feff}{\"Statement\":5}", 1, 14),
        ("\u{feff}{\r\n\t\"Statement\": nothing}", 2, 16),
        ("\u{feff}", 1, 1),
        ("\u{feff}\u{feff}{\"Statement\":[]}", 1, 1),
        (" \u{feff}{\"Statement\":[]}", 1, 2),
    ] {
        let place = Document::parse(text).unwrap_err().place;
        assert_eq!((place.line, place.column), (line, column), "{text}");
    }
}

#[test]
fn clusters_of_other_accounts() {
    let mut scope = scope();
    scope.clusters[1].arn = ClusterArn::parse("arn:aws:eks:us-east-2:444455556666:cluster/beta").unwrap();
    let other = "{'Effect':'Allow','Principal':'G','Action':'WEB','Condition':{'StringEquals':{'Q:sub':'S:ns:a'}}}";
    let it = translate(&document(other), &scope, Mode::Equivalent, &[]);
    assert_eq!(
        (it.verdict, granted(&it).as_str(), codes(&it).as_slice()),
        (Held, "beta ns/a", ["CLUSTER_IN_OTHER_ACCOUNT"].as_slice())
    );
    let both = document(&format!("{},{other}", allow("{'StringEquals':{'P:sub':'S:ns:a'}}")));
    let it = translate(&both, &scope, Mode::Equivalent, &[]);
    assert_eq!((it.verdict, codes(&it).as_slice()), (Translated, ["STAYS_ON_IRSA"].as_slice()));
    assert_eq!(it.proof.unwrap().relation, Relation::Narrower);
}

pub(crate) fn subject(namespace: &str, name: &str) -> Subject {
    Subject { cluster: alpha(), namespace: namespace.to_owned(), service_account: name.to_owned() }
}

#[test]
fn tight_mode_grants_the_named_ones_and_no_other() {
    let wide = document(&allow(
        "{'StringLike':{'P:sub':'S:team-*:*'},'DateLessThan':{'aws:CurrentTime':'2027-01-01T00:00:00Z'}}",
    ));
    let asked = [subject("team-a", "x"), subject("team-a", "y"), subject("other", "x"), subject("team-a", "x:y")];
    let it = translate(&wide, &scope(), Mode::Tight, &asked);
    assert_eq!((it.verdict, codes(&it).as_slice()), (Translated, ["SUBJECT_NOT_GRANTED"].as_slice()));
    assert_eq!(it.added.len(), 1);
    let proof = it.proof.unwrap();
    assert_eq!(proof.relation, Relation::Narrower);
    let witness = proof.witness.unwrap();
    assert!(witness.before && !witness.after && witness.namespace.starts_with("team-"), "{witness:?}");
    assert!(it.after.allows(&asked[0]) && it.after.allows(&asked[1]) && !it.after.allows(&subject("team-a", "z")));
    assert!(it.after.iter().all(|grant| grant.carried.len() == 1));
    let none = translate(&wide, &scope(), Mode::Tight, &[]);
    assert_eq!(none.verdict, Already);
}

#[test]
fn open_mode_is_new_access() {
    let policy = document(&allow("{'StringEquals':{'P:sub':'S:ns:a'}}"));
    let it = translate(&policy, &scope(), Mode::Open, &[]);
    assert_eq!((it.verdict, codes(&it).as_slice()), (Translated, ["NEW_ACCESS"].as_slice()));
    let proof = it.proof.unwrap();
    assert_eq!(proof.relation, Relation::Wider);
    assert!(proof.witness.unwrap().after);
    let again = translate(&it.document, &scope(), Mode::Open, &[]);
    assert_eq!(again.verdict, Already);
    // Even where every ServiceAccount of every scanned cluster is granted, other clusters are new.
    let all = document("{'Effect':'Allow','Principal':'FG','Action':'WEB'}");
    let it = translate(&all, &scope(), Mode::Open, &[]);
    let proof = it.proof.unwrap();
    assert_eq!((proof.relation, proof.witness.unwrap().cluster_arn.to_string().as_str()), (Relation::Wider, "*"));
}

#[test]
fn a_subject_by_name_or_under_a_wildcard() {
    let reading = read(&document(&allow("{'StringLike':{'P:sub':['S:ns:a','S:team-*:*']}}")), &scope());
    assert!(reading.grants.allows(&subject("ns", "a")) && reading.grants.names_literally(&subject("ns", "a")));
    assert!(reading.grants.allows(&subject("team-x", "a")) && !reading.grants.names_literally(&subject("team-x", "a")));
    assert!(!reading.grants.allows(&subject("ns", "b")));
    let proof = prove(&reading.grants, &reading.all()).unwrap();
    assert_eq!(proof.relation, Relation::Equal);
}

#[test]
fn a_taken_sid_gets_another() {
    let policy = document(&allow("{'StringEquals':{'P:sub':'S:ns:a'}}"));
    let sid = translated(&policy).added[0].sid.clone();
    let taken = format!(
        "{{'Sid':'{sid}','Effect':'Allow','Principal':{{'Service':'ec2.amazonaws.com'}},'Action':'sts:AssumeRole'}}"
    );
    let it = translated(&document(&format!("{},{taken}", allow("{'StringEquals':{'P:sub':'S:ns:a'}}"))));
    assert_eq!(it.verdict, Translated);
    assert_ne!(it.added[0].sid, sid);
    assert!(it.added[0].sid.starts_with("IrsaMigrate") && it.added[0].sid.len() == 27);
    // The hash is of the statement alone: the same one has the same Sid anywhere.
    let beside = translated(&document(&format!(
        "{},{}",
        allow("{'StringEquals':{'P:sub':'S:ns:a'}}"),
        taken.replace(&sid, "X")
    )));
    assert_eq!(beside.added[0].sid, sid);
}
