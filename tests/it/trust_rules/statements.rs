//! Which statements grant: actions, principals, providers, clusters.

use super::*;
use Verdict::{Held, Nothing, Translated};

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

#[test]
fn a_provider_that_is_not_named_by_its_arn() {
    let arn = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{P}");
    for principal in [format!("'Federated':'{P}'"), format!("'Federated':'https://{P}'"), format!("'AWS':'{arn}'")] {
        let condition = "{'StringEquals':{'P:sub':'S:ns:sa'}}";
        let statement =
            format!("{{'Effect':'Allow','Principal':{{{principal}}},'Action':'WEB','Condition':{condition}}}");
        check(&document(&statement), Nothing, "", &["PROVIDER_ELSEWHERE"]);
    }
}

#[test]
fn a_key_that_one_provider_lacks_is_told_of_its_cluster() {
    let statement =
        "{'Effect':'Allow','Principal':'FG','Action':'WEB','Condition':{'StringEquals':{'P:sub':'S:ns:sa'}}}";
    let policy = document(statement);
    check(&policy, Translated, "alpha ns/sa", &["KEY_NEVER_PRESENT"]);
    let said = &translated(&policy).reasons[0].message;
    assert_eq!(said, "a token of beta never carries this key: nobody there meets the condition");
}
