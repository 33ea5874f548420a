//! Odd policies, as somebody may write them: what each comes to, and where it is said.
//!
//! Written as in `trust_rules`.

use irsa_migrate::trust::{
    Code, Document, Grant, GrantPlace, Grants, MAX_CHARACTERS, Mode, Relation, Undo, Verdict, read, translate, undo,
};
use serde_json::json;

use crate::trust_rules::{
    allow, check, codes, condition, deny, document, expand, scope, subject, translated, versioned,
};

use Verdict::{Already, Held, Nothing, Translated};

const SUB: &str = "'StringEquals':{'P:sub':'S:ns:sa'}";

#[track_caller]
fn beside(extra: &str, verdict: Verdict, grants: &str, expected: &[&str]) {
    condition(&format!("{{{SUB},{extra}}}"), verdict, grants, expected);
}

#[test]
fn keys_that_may_be_there() {
    // A token's call is no service's: with the key or without it the answer is the same.
    beside("'BoolIfExists':{'aws:PrincipalIsAWSService':'false'}", Translated, "alpha ns/sa", &[]);
    beside("'Bool':{'aws:PrincipalIsAWSService':'true'}", Nothing, "", &["NEVER_TOGETHER"]);
    beside("'Bool':{'aws:PrincipalIsAWSService':'false'}", Held, "", &["CONDITION_ON_PRINCIPAL"]);
    for key in ["aws:userid", "aws:username", "aws:FederatedProvider"] {
        beside(&format!("'StringLike':{{'{key}':'x'}}"), Held, "", &["CONDITION_ON_PRINCIPAL"]);
    }
    // Every session has a name, and only `*` under StringLike takes any.
    for name in
        ["'StringEquals':{'P:sub':'S:ns:sa','sts:RoleSessionName':'*'}", "'StringNotLike':{'sts:RoleSessionName':'*'}"]
    {
        let block = if name.contains("P:sub") { format!("{{{name}}}") } else { format!("{{{SUB},{name}}}") };
        condition(&block, Held, "", &["CONDITION_ON_SESSION"]);
    }
    beside("'StringLike':{'sts:RoleSessionName':''}", Held, "", &["CONDITION_ON_SESSION"]);
    beside("'StringLike':{'sts:RoleSessionName':['x','**']}", Translated, "alpha ns/sa", &[]);
    // Tokens bring no tags and no external id.
    let met = &["CONDITION_ALWAYS_MET"];
    beside("'ForAllValues:StringEquals':{'aws:TagKeys':'team'}", Translated, "alpha ns/sa", met);
    beside("'StringLike':{'sts:ExternalId':'*'}", Nothing, "", &["KEY_NEVER_PRESENT"]);
    // Nor does a service call on behalf of a resource.
    for source in ["aws:SourceArn", "aws:SourceAccount", "aws:SourceOrgID", "aws:SourceOrgPaths"] {
        beside(&format!("'ForAnyValue:StringLike':{{'{source}':'*'}}"), Nothing, "", &["KEY_NEVER_PRESENT"]);
    }
    beside("'StringNotEquals':{'s3:prefix':'x'}", Translated, "alpha ns/sa", met);
}

#[test]
fn variables_and_wildcards_in_one_value() {
    let literal = |rest: &str| {
        let text = expand(&format!(
            "{{'Version':'2012-10-17','Statement':[{}]}}",
            allow("{'StringEquals':{'P:sub':'VALUE'}}")
        ));
        Document::parse(&text.replace("VALUE", &format!("system:serviceaccount:{rest}"))).unwrap()
    };
    // A variable that is replaced makes no wildcard of the star beside it.
    let star = literal("${aws:PrincipalTag/x, 'ns'}:*");
    check(&star, Nothing, "", &["LITERAL_WILDCARD", "NEVER_TOGETHER"]);
    check(&literal("${aws:PrincipalTag/x, 'ns'}:s?"), Nothing, "", &["LITERAL_WILDCARD", "NEVER_TOGETHER"]);
    check(&literal("${aws:PrincipalTag/x,'ns'}:sa"), Translated, "alpha ns/sa", &[]);
    for unknown in ["${aws:PrincipalTag/x, 'n*'}:sa", "${aws:PrincipalTag/x, ns}:sa", "${P:amr, 'ns'}:sa", "${open"] {
        let unknown = unknown.replace("P:", "oidc.eks.eu-west-1.amazonaws.com/id/AAAA:");
        check(&literal(&unknown), Held, "", &["POLICY_VARIABLE"]);
    }
    let dated = allow(&format!("{{{SUB},'DateLessThan':{{'aws:CurrentTime':'${{aws:PrincipalTag/end}}'}}}}"));
    check(&document(&dated), Held, "", &["POLICY_VARIABLE"]);
    let carried = "alpha ns/sa [DateLessThan aws:currenttime ${aws:PrincipalTag/end}]";
    check(&versioned("2008-10-17", &dated), Held, carried, &["NOT_EXPRESSIBLE"]);
}

/// A token grant beside a Pod Identity statement under a condition.
fn pods(rest: &str) -> Document {
    let web = allow(&format!("{{{SUB}}}"));
    document(&format!("{web},{{'Effect':'Allow','Principal':'PODS','Action':'A2','Condition':{{{rest}}}}}"))
}

#[test]
fn what_pod_identity_statements_test() {
    for covering in [
        "'ForAnyValue:StringEquals':{'aws:TagKeys':['kubernetes-namespace','team']}",
        "'StringLike':{'aws:RequestTag/kubernetes-pod-name':'*','aws:RequestTag/kubernetes-pod-uid':'*'}",
        "'Bool':{'aws:PrincipalIsAWSService':'true'}",
        "'StringEquals':{'aws:PrincipalServiceName':'pods.eks.amazonaws.com'}",
        "'StringEqualsIgnoreCase':{'aws:SourceAccount':'111122223333'}",
        "'ArnLike':{'aws:SourceArn':'arn:aws:eks:*:111122223333:cluster/*'}",
    ] {
        check(&pods(covering), Already, "alpha ns/sa", &[]);
    }
    for other in [
        "'ForAnyValue:StringEquals':{'aws:TagKeys':'team'}",
        "'ForAnyValue:StringNotLike':{'aws:TagKeys':'*'}",
        "'StringLike':{'aws:RequestTag/kubernetes-pod-name':'web-*'}",
        "'StringEquals':{'aws:SourceOrgId':'o-1'}",
        "'StringEqualsIgnoreCase':{'aws:SourceAccount':'111122224444'}",
        "'StringEquals':{'aws:SourceAccount':'${aws:RequestTag/team}'}",
        "'ArnLike':{'aws:SourceArn':'arn:aws:eks:*:111122223333:cluster/b*'}",
    ] {
        check(&pods(other), Translated, "alpha ns/sa", &[]);
    }
}

#[test]
fn denies_that_are_not_what_they_look_like() {
    let app = "alpha */app";
    let pods = |rest: &str| deny(&format!("'Principal':'PODS','Action':'sts:*','Condition':{{{rest}}}"));
    // A variable without a value matches nothing, and what differs from nothing differs.
    check(&pods("'StringEquals':{'aws:SourceAccount':'${aws:RequestTag/x}'}"), Translated, app, &[]);
    check(&pods("'StringNotEquals':{'aws:SourceAccount':'${aws:RequestTag/x}'}"), Held, app, &["DENY_DEFEATS"]);
    let several = "'StringEquals':{'aws:SourceAccount':['${aws:RequestTag/x}','111122223333']}";
    check(&pods(several), Held, app, &["DENY_NOT_UNDERSTOOD"]);
    check(&pods("'StringEqualsIgnoreCase':{'aws:SourceAccount':'\u{e9}'}"), Held, app, &["DENY_NOT_UNDERSTOOD"]);
    // One of a list of services, in other letters, or any.
    let service = |name: &str| deny(&format!("'Principal':{{'Service':{name}}},'Action':'sts:AssumeRole'"));
    check(&service("['ec2.amazonaws.com','pods.eks.amazonaws.com']"), Held, app, &["DENY_DEFEATS"]);
    check(&service("'Pods.EKS.amazonaws.com'"), Held, app, &["DENY_NOT_UNDERSTOOD"]);
    check(&service("'*'"), Held, app, &["DENY_NOT_UNDERSTOOD"]);
    check(&service("'ec2.amazonaws.com'"), Translated, app, &[]);
    // It denies no subject of a ServiceAccount, at any time.
    let dated = "'DateGreaterThan':{'aws:CurrentTime':'2027-01-01T00:00:00Z'}";
    let nobody =
        format!("'Principal':'F','Action':'WEB','Condition':{{'StringLike':{{'P:sub':'system:node:*'}},{dated}}}");
    check(&deny(&nobody), Translated, app, &[]);
    // Without TLS nobody gets in either way; unless one of the two ways is hit in part.
    let plain = |more: &str| {
        deny(&format!(
            "'Principal':'*','Action':'sts:*','Condition':{{'Bool':{{'aws:SecureTransport':'false'}}{more}}}"
        ))
    };
    check(&plain(""), Translated, app, &[]);
    for more in [
        ",'StringNotEquals':{'P:sub':'S:x:y'}",
        ",'StringNotEquals':{'aws:RequestTag/kubernetes-namespace':'x'}",
        ",'StringNotEquals':{'P:aud':'vault'}",
    ] {
        check(&plain(more), Held, app, &["DENY_NOT_UNDERSTOOD"]);
    }
    // What is in the way is named.
    let some = pods("'StringEquals':{'aws:RequestTag/kubernetes-namespace':'x'}");
    let it = translated(&some);
    let reason = it.reasons.iter().find(|it| it.code == Code::NotExpressible).unwrap();
    assert!(reason.message.contains("a Deny") && reason.message.ends_with("less: for one, not x/app"), "{reason:?}");
}

#[test]
fn exceptions_without_case() {
    condition(
        "{'StringEquals':{'P:sub':'S:ns:sa'},'StringNotEqualsIgnoreCase':{'P:sub':['S:KUBE:sa','S:NS:other']}}",
        Translated,
        "alpha ns/sa",
        &[],
    );
    let never = "{'StringEquals':{'P:sub':'S:ns:sa'},'StringNotEqualsIgnoreCase':{'P:sub':'S:NS:SA'}}";
    condition(never, Nothing, "", &["NEVER_TOGETHER"]);
    // A long name has more spellings without case than can be tried.
    for name in ["NS:sa", "platform-system:load-balancer-controller"] {
        let but_one = format!("{{'StringNotEqualsIgnoreCase':{{'P:sub':'S:{name}'}}}}");
        let shown = name.to_lowercase().replace(':', "/");
        condition(&but_one, Translated, &format!("alpha */* ~{shown}"), &["ANY_SERVICE_ACCOUNT"]);
    }
    let but = document(&allow("{'StringLike':{'P:sub':'S:ns:*'},'StringNotEqualsIgnoreCase':{'P:sub':'S:NS:Admin'}}"));
    let grants = translated(&but).grants;
    let allows = |namespace: &str, name: &str| grants.allows(&subject(namespace, name));
    assert!(allows("ns", "app") && !allows("ns", "admin") && !allows("ns", "ADMIN") && !allows("other", "app"));
    // They survive a file, and so does the cluster that was not looked at.
    let json = serde_json::to_value(&grants).unwrap();
    assert_eq!(json[0]["except"], json!([{"namespace": "ns", "serviceAccount": "admin", "ignoreCase": true}]));
    assert_eq!(serde_json::from_value::<Grants>(json).unwrap(), grants);
    let elsewhere: Vec<Grant> =
        grants.iter().map(|it| Grant { cluster_arn: GrantPlace::Elsewhere, ..it.clone() }).collect();
    let json = serde_json::to_value(Grants::from(elsewhere.clone())).unwrap();
    assert_eq!(json[0]["clusterArn"], "*");
    assert_eq!(serde_json::from_value::<Vec<Grant>>(json).unwrap(), elsewhere);
    assert_eq!((&grants).into_iter().count(), grants.len());
    let excluding = document(&allow("{'StringLike':{'P:sub':'S:*:app'},'StringNotEquals':{'P:sub':'S:kube:app'}}"));
    let grants = translated(&excluding).grants;
    assert!(grants.allows(&subject("ns", "app")) && !grants.allows(&subject("kube", "app")));
    assert!(!grants.allows(&subject("KUBE", "other")));
}

#[test]
fn as_few_statements_as_either_side_allows() {
    let count = |subjects: &str| {
        translated(&document(&allow(&format!("{{'StringEquals':{{'P:sub':[{subjects}]}}}}")))).added.len()
    };
    assert_eq!(count("'S:n1:a','S:n1:b','S:n2:a','S:n3:b'"), 2);
    assert_eq!(count("'S:a:n1','S:b:n1','S:a:n2','S:b:n3'"), 2);
}

#[test]
fn open_mode_beside_statements_that_are_not_open() {
    for narrow in [
        "'StringLike':{'aws:RequestTag/kubernetes-namespace':'ns'}",
        "'StringLike':{'aws:RequestTag/kubernetes-service-account':'sa'}",
        "'StringNotEquals':{'aws:RequestTag/kubernetes-namespace':'other'}",
        "'DateLessThan':{'aws:CurrentTime':'2027-01-01T00:00:00Z'}",
        "'ArnEquals':{'aws:SourceArn':'ALPHA'}",
    ] {
        let it = translate(&pods(narrow), &scope(), Mode::Open, &[]);
        assert_eq!((it.verdict, it.added.len(), codes(&it)), (Translated, 1, vec!["NEW_ACCESS"]), "{narrow}");
        assert_eq!(it.proof.unwrap().relation, Relation::Wider);
    }
    assert_eq!(translate(&pods(""), &scope(), Mode::Open, &[]).verdict, Already);
}

#[test]
fn reading_says_whether_it_holds() {
    let held = |block: &str| read(&document(&allow(block)), &scope()).held();
    assert!(held("{'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}}"));
    assert!(!held("{'StringEquals':{'P:sub':'S:ns:*'}}"));
}

#[test]
fn nothing_is_proven_of_what_is_not_understood() {
    let proof = |block: &str| translated(&document(&allow(block))).proof;
    assert_eq!(proof("{'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}}"), None);
    assert_eq!(proof("{'StringEquals':{'P:sub':'S:ns:*'}}").unwrap().relation, Relation::Equal);
}

#[test]
fn characters_beyond_latin_are_written_as_escapes() {
    let block = "{'StringLike':{'P:sub':['S:ns:*\\u2713*','S:ns:*\\ud83d\\ude00\\u00e9*']}}";
    let it = translated(&document(&allow(block)));
    assert_eq!((it.verdict, it.grants.len(), it.added.len()), (Translated, 2, 1));
    assert!(
        it.added[0].text.contains("*\\u2713*") && it.added[0].text.contains("*\\ud83d\\ude00é*"),
        "{}",
        it.added[0].text
    );
    assert_eq!(it.document.refused_character(), None);
}

#[test]
fn unique_ids_of_the_deleted() {
    let with = |principal: &str| {
        let web = allow(&format!("{{{SUB}}}"));
        document(&format!("{web},{{'Effect':'Allow','Principal':{{'AWS':'{principal}'}},'Action':'sts:AssumeRole'}}"))
    };
    check(&with("AIDA0123456789ABCDEFG"), Held, "alpha ns/sa", &["DELETED_PRINCIPAL"]);
    for other in ["AROASHORT", "AROA0123456789abcdefg", "XXXX0123456789ABCDEFG", "111122223333"] {
        check(&with(other), Translated, "alpha ns/sa", &[]);
    }
}

/// The code of a text that is no policy, with its place and what the message has to hold.
#[track_caller]
fn refused(text: &str, code: Code, place: (usize, usize), words: &str) {
    let invalid = Document::parse(text).unwrap_err();
    assert_eq!((invalid.code, (invalid.place.line, invalid.place.column)), (code, place), "{invalid}: {text}");
    assert!(invalid.message.contains(words), "{invalid}");
}

#[test]
fn texts_that_are_no_policy() {
    let principal =
        |text: &str| expand(&format!("{{'Statement':[{{'Effect':'Allow','Principal':{text},'Action':'WEB'}}]}}"));
    refused(&principal("'arn:aws:iam::111122223333:root'"), Code::MalformedPrincipal, (1, 45), "a principal is");
    refused(&principal("{'AWS':5}"), Code::MalformedPrincipal, (1, 52), "has to be a string");
    refused(&principal("{'AWS':['']}"), Code::MalformedPrincipal, (1, 53), "empty");
    let long = format!("{{\"{}\":1}}", "k".repeat(100));
    refused(&long, Code::UnknownElement, (1, 2), &format!("`{}…`", "k".repeat(80)));
    refused("{\"Kind\":1}", Code::UnknownElement, (1, 2), "`Kind`;");
    // A key twice in an object of many.
    let block = |keys: usize, more: &str| {
        let keys: Vec<String> = (0..keys).map(|it| format!("'k{it}':'x'")).collect();
        expand(&format!("{{'Statement':[{}]}}", allow(&format!("{{'StringEquals':{{{}{more}}}}}", keys.join(",")))))
    };
    assert!(Document::parse(&block(8, "")).is_ok() && Document::parse(&block(20, "")).is_ok());
    for keys in [2, 8, 20] {
        let text = block(keys, ",'k1':'y'");
        let column = text.rfind("\"k1\"").unwrap() + 1;
        refused(&text, Code::DuplicateKey, (1, column), "`k1`");
    }
    refused(
        "{\"Statement\":[{\"Effect\":\"Allow\",\"\\u0045ffect\":\"Deny\"}]}",
        Code::DuplicateKey,
        (1, 33),
        "`Effect`",
    );
    refused("{\n  \"Statement\": nope\n}", Code::NotJson, (2, 17), "not JSON");
    refused("", Code::NotJson, (1, 1), "no text");
    refused(" \r\n ", Code::NotJson, (1, 1), "no text");
}

#[test]
fn places_of_reasons() {
    let text = "{\"Statement\":[\n{\"Effect\":\"Allow\",\n \"NotPrincipal\":{\"AWS\":\"*\"},\"Action\":\"sts:*\"}]}";
    let it = translated(&Document::parse(text).unwrap());
    let places: Vec<_> =
        it.reasons.iter().map(|it| (it.code, it.place.unwrap().line, it.place.unwrap().column)).collect();
    assert_eq!(places, [(Code::NotPrincipal, 3, 2)]);
    // Columns are characters.
    let text = "{\"Id\":\"é😀\",\"Statement\":5}";
    refused(text, Code::MalformedElement, (1, 24), "`Statement`");
}

#[test]
fn depth_is_counted_outside_of_strings() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    refused(&nested(32), Code::NotAPolicy, (1, 1), "object");
    refused(&nested(33), Code::TooDeep, (1, 33), "deep");
    refused(&format!("[{}]", vec!["{}"; 50].join(",")), Code::NotAPolicy, (1, 1), "object");
    refused(&format!("[{}]", vec!["[]"; 50].join(",")), Code::NotAPolicy, (1, 1), "object");
    let text = format!("[\"{}\",\"\\\"{}\",{}]", "[".repeat(40), "{".repeat(40), nested(10));
    refused(&text, Code::NotAPolicy, (1, 1), "object");
    refused(&format!("[\"\\\\\",{}", "[".repeat(40)), Code::TooDeep, (1, 38), "deep");
}

#[test]
fn size_is_counted_in_characters() {
    let text = |fill: usize| {
        let web = allow(&format!("{{{SUB}}}"));
        expand(&format!("{{'Id':'{}','Statement':[{web}]}}", "\u{e9}".repeat(fill)))
    };
    let room = MAX_CHARACTERS - text(0).chars().count();
    let document = Document::parse(&text(room)).unwrap();
    assert_eq!((document.characters(), document.text().len()), (MAX_CHARACTERS, MAX_CHARACTERS + room));
    assert_eq!(Document::parse(&text(room + 1)).unwrap_err().code, Code::TooLarge);
    // White space counts inside strings only, and an escaped quote ends none.
    let spaced = "{ \"Id\" : \"a b\\\" c\\\\\" ,\r\n\t\"Statement\" : [ ] }";
    assert_eq!(Document::parse(spaced).unwrap().characters(), "{\"Id\":\"a b\\\" c\\\\\",\"Statement\":[]}".len());
}

#[test]
fn characters_that_the_api_refuses() {
    let with = |id: &str| Document::parse(&format!("{{\"Id\":\"{id}\",\r\n\t\"Statement\":[]}}")).unwrap();
    assert_eq!(with("\u{20}~\u{7f}\u{80}\u{a9}\u{ff}").refused_character(), None);
    for c in ['\u{100}', '\u{2713}', '\u{1f600}', '\u{feff}'] {
        let (found, place) = with(&format!("é{c}")).refused_character().unwrap();
        assert_eq!((found, place.line, place.column), (c, 1, 9), "{c:?}");
    }
    let marked = Document::parse("\u{feff}{\"Statement\":[]}").unwrap();
    assert_eq!(marked.refused_character(), None);
}

#[test]
fn a_document_is_its_text() {
    let it = document(&format!("{},{}", allow("{}"), allow("{}").replace("'F'", "'G'").replace("Allow", "Deny")));
    assert!(format!("{it:?}").starts_with("Document(\"{"));
    let json = serde_json::to_value(&it).unwrap();
    assert_eq!(json, it.text());
    assert_eq!(serde_json::from_value::<Document>(json).unwrap(), it);
    assert!(serde_json::from_value::<Document>(json!("{}")).is_err());
    // Only those that Allow statements name.
    let named: Vec<_> = it.providers().into_iter().map(|(account, issuer)| format!("{account} {issuer}")).collect();
    assert_eq!(named, ["111122223333 oidc.eks.eu-west-1.amazonaws.com/id/AAAA"]);
}

#[test]
fn what_means_the_same_and_what_does_not() {
    let of = |principal: &str, effect: &str, version: &str| {
        let text = format!(
            "{{{version}'Statement':[{{'Effect':'{effect}','Principal':{principal},'Action':'sts:AssumeRole'}}]}}"
        );
        Document::parse(&text.replace('\'', "\"")).unwrap()
    };
    let one = of("{'AWS':'111122223333'}", "Allow", "");
    assert!(one.same_meaning(&of("{'AWS':'arn:aws:iam::111122223333:root'}", "Allow", "'Version':'2008-10-17',")));
    assert!(one.same_meaning(&of("{'AWS':['arn:aws-cn:iam::111122223333:root']}", "Allow", "")));
    assert!(of("'*'", "Allow", "").same_meaning(&of("{'AWS':'*'}", "Allow", "")));
    for other in [
        of("{'AWS':'111122224444'}", "Allow", ""),
        of("{'AWS':'arn:aws:iam::111122223333:user/root'}", "Allow", ""),
        of("{'AWS':'111122223333'}", "Deny", ""),
        of("{'AWS':'111122223333'}", "Allow", "'Version':'2012-10-17',"),
        of("{'AWS':'111122223333'}", "Allow", "'Id':'x',"),
        of("{'CanonicalUser':'111122223333'}", "Allow", ""),
    ] {
        assert!(!one.same_meaning(&other), "{}", other.text());
    }
}

#[test]
fn what_is_added_is_laid_out_like_the_rest() {
    let one = allow(&format!("{{{SUB}}}"));
    let value: serde_json::Value = serde_json::from_str(&expand(&one)).unwrap();
    let added = |text: &str| {
        let before = Document::parse(text).unwrap();
        let it = translated(&before);
        assert_eq!(it.verdict, Translated, "{text}");
        assert_eq!(undo(&it.document, &before, &it.document, &it.added), Undo::SendOriginal(text.to_owned()));
        it.document.text().to_owned()
    };
    let pretty = |indent: &str| {
        let text = serde_json::to_string_pretty(&json!({"Statement": [value]})).unwrap();
        let lines = text.lines().map(|line| {
            let bare = line.trim_start();
            format!("{}{bare}", indent.repeat((line.len() - bare.len()) / 2))
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    // Whatever the indent is, written anew with it the whole document is the same.
    for indent in ["  ", "    ", "\t", "   "] {
        let text = added(&pretty(indent));
        let again: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut bytes = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
        serde::Serialize::serialize(&again, &mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
            .unwrap();
        assert_eq!(text, String::from_utf8(bytes).unwrap());
        // The same with the line ends of Windows.
        assert_eq!(added(&pretty(indent).replace('\n', "\r\n")), text.replace('\n', "\r\n"));
    }
    // On one line, or a statement a line.
    let line = added(&expand(&format!("{{'Statement':[{one}]}}")));
    assert!(!line.contains('\n') && line.contains("}},{\"Sid\""), "{line}");
    let each = added(&expand(&format!("{{'Statement':[\n  {one}\n]}}")));
    assert!(each.contains("},\n  {\"Sid\"") && each.ends_with("}\n]}"), "{each}");
    // The brace stands behind the bracket: the closing one shows the indent.
    let behind = added(&pretty("  ").replace("[\n    {", "[{").replace("    }\n  ]", "    }]"));
    assert!(behind.contains("    }, {\n      \"Sid\"") && behind.contains("\n    }]"), "{behind}");
}

/// The numbers below are the most that the bounds on work let through, and one more.
#[test]
fn lists_up_to_the_bounds_and_beyond() {
    let names = |count: usize, start: &str| (0..count).map(|it| format!("'{start}{it}'")).collect::<Vec<_>>().join(",");
    let both = |count: usize, second: &str| {
        let (first, other) = (names(count, "S:ns:a"), names(632, second));
        let operator = if second == "S:no:b" { "StringNotEquals" } else { "ForAnyValue:StringEquals" };
        document(&allow(&format!("{{'StringEquals':{{'P:sub':[{first}]}},'{operator}':{{'P:sub':[{other}]}}}}")))
    };
    for second in ["S:ns:a", "S:no:b"] {
        let it = translated(&both(632, second));
        assert_eq!((it.verdict, it.grants.len(), it.added.len()), (Translated, 632, 1), "{second}");
        let it = translated(&both(633, second));
        assert_eq!((it.verdict, codes(&it)), (Held, vec!["TOO_COMPLEX"]), "{second}");
    }
    let tag = |key: &str, values: &str| format!("'aws:RequestTag/kubernetes-{key}':[{values}]");
    let product = |namespaces: usize| {
        let accounts = tag("service-account", &format!("'sa',{}", names(199, "s")));
        let namespaces = tag("namespace", &format!("'ns',{}", names(namespaces - 1, "n")));
        translated(&pods(&format!("'StringEquals':{{{namespaces},{accounts}}}"))).verdict
    };
    // A statement that is not understood counts for nothing, and ours is added beside it.
    assert_eq!((product(100), product(101)), (Already, Translated));
    let twice = |count: usize| {
        let [first, second] = [count, 632].map(|it| tag("namespace", &format!("'ns',{}", names(it - 1, "n"))));
        translated(&pods(&format!("'StringEquals':{{{first}}},'ForAnyValue:StringEquals':{{{second}}}"))).verdict
    };
    assert_eq!((twice(632), twice(633)), (Already, Translated));
    let halves = |assume: usize| {
        let half = |action: &str| format!("{{'Effect':'Allow','Principal':'PODS','Action':'sts:{action}'}}");
        let mut all = vec![allow(&format!("{{{SUB}}}"))];
        all.extend(vec![half("AssumeRole"); assume]);
        all.extend(vec![half("TagSession"); 64]);
        translated(&document(&all.join(","))).verdict
    };
    assert_eq!((halves(64), halves(65)), (Already, Held));
    let pieces = |pairs: usize| {
        let pairs: Vec<String> = (0..pairs).map(|it| format!("'S:n{it}:a'")).collect();
        translated(&document(&allow(&format!("{{'StringNotEquals':{{'P:sub':[{}]}}}}", pairs.join(",")))))
    };
    assert_eq!((pieces(255).verdict, pieces(255).added.len()), (Translated, 2));
    assert_eq!(pieces(256).verdict, Held);
}
