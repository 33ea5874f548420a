//! What a condition grants: operators, absent keys, values, audiences, variables.

use super::*;
use Verdict::{Held, Nothing, Translated};

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
    let never = &["NEVER_TOGETHER"];
    condition("{'StringEquals':{'P:sub':'S:ns:a'},'StringNotLike':{'P:sub':'S:ns:*'}}", Nothing, "", never);
    condition("{'StringNotLike':{'P:sub':'S:*'}}", Nothing, "", never);
    // A wildcard that is taken literally leaves out nobody who exists.
    for but in ["S:*:default", "S:kube-system:*", "S:kube-*:*"] {
        let one = but.replace("S:", "").replace(':', "/").replace('*', "${*}");
        let notes = &["ANY_SERVICE_ACCOUNT", "LITERAL_WILDCARD"];
        condition(
            &format!("{{'StringNotEquals':{{'P:sub':'{but}'}}}}"),
            Translated,
            &format!("alpha */* -{one}"),
            notes,
        );
    }
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
