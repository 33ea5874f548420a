//! What Deny statements take away, and what Pod Identity grants already.

use super::*;
use Verdict::{Already, Held, Nothing, Translated};

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

/// An Allow of a namespace beside a Deny of everybody who is not one of its ServiceAccounts.
fn all_but_one(more: &str) -> Document {
    let not_one = "'StringNotEquals':{'P:sub':'S:ns:sa'}";
    let deny = format!("{{'Effect':'Deny','Principal':'*','Action':'sts:*','Condition':{{{more}{not_one}}}}}");
    document(&format!("{},{deny}", allow("{'StringLike':{'P:sub':'S:ns:*'}}")))
}

#[test]
fn the_remedy_for_a_deny_keeps_what_it_denies_to_tokens() {
    let defeated = all_but_one("");
    check(&defeated, Held, "alpha ns/sa", &["DENY_DEFEATS"]);
    let said = translated(&defeated).reasons.into_iter().find(|it| it.code.as_str() == "DENY_DEFEATS").unwrap().message;
    assert!(said.contains("`BoolIfExists` `aws:PrincipalIsAWSService` `false`"), "{said}");
    check(&all_but_one("'BoolIfExists':{'aws:PrincipalIsAWSService':'false'},"), Translated, "alpha ns/sa", &[]);
    // A request by token is not signed, and lacks the key: `Bool` would let the others in.
    let spared = translated(&all_but_one("'Bool':{'aws:PrincipalIsAWSService':'false'},"));
    assert!(spared.verdict == Held || granted(&spared) == "alpha ns/*", "{}", granted(&spared));
}

#[test]
fn a_deny_that_spares_nobody_who_exists() {
    let deny = "{'Effect':'Deny','Principal':'F','Action':'WEB','Condition':{'StringNotEquals':{'P:sub':'S:ns:*'}}}";
    let policy = document(&format!("{},{deny}", allow("{'StringLike':{'P:sub':'S:*'}}")));
    check(&policy, Nothing, "", &["LITERAL_WILDCARD"]);
}

/// One ServiceAccount of alpha by its token under `irsa`, beside a Pod Identity statement of a cluster and names under `more`.
fn beside_pods(irsa: &str, cluster: &str, namespace: &str, more: &str) -> Document {
    let tags = format!(
        "'aws:RequestTag/eks-cluster-arn':'{cluster}','aws:RequestTag/kubernetes-namespace':'{namespace}',\
         'aws:RequestTag/kubernetes-service-account':'sa'"
    );
    let pods = format!(
        "{{'Effect':'Allow','Principal':'PODS','Action':'A2','Condition':{{'StringEquals':{{{tags}}}{more}}}}}"
    );
    document(&format!("{},{pods}", allow(&format!("{{'StringEquals':{{'P:sub':'S:ns:sa'}}{irsa}}}"))))
}

#[test]
fn what_pod_identity_grants_already_is_that_cluster_those_names_and_no_further_condition() {
    let until = ",'DateLessThan':{'aws:CurrentTime':'2027-01-01T00:00:00Z'}";
    let shown = "alpha ns/sa [DateLessThan aws:currenttime 2027-01-01T00:00:00Z]";
    check(&beside_pods("", "ALPHA", "ns", ""), Already, "alpha ns/sa", &[]);
    check(&beside_pods(until, "ALPHA", "ns", ""), Already, shown, &[]);
    check(&beside_pods(until, "ALPHA", "ns", until), Already, shown, &[]);
    // Access that ends with a date, another cluster's, and another name's are not enough.
    check(&beside_pods("", "ALPHA", "ns", until), Translated, "alpha ns/sa", &[]);
    check(&beside_pods("", "BETA", "ns", ""), Translated, "alpha ns/sa", &[]);
    check(&beside_pods("", "ALPHA", "other", ""), Translated, "alpha ns/sa", &[]);
}
