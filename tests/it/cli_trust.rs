//! `trust`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::cli::Home;

const ALPHA: &str = "oidc.eks.us-east-1.amazonaws.com/id/C36640459C0DFE049A8217ECD09D1F90=arn:aws:eks:us-east-1:111122223333:cluster/prod-use1";
const BETA: &str = "https://oidc.eks.us-west-2.amazonaws.com/id/5CA53956FAE0DEF6BD718B2BC12F21A7=arn:aws:eks:us-west-2:111122223333:cluster/prod-usw2";

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/trust").join(name)
}

/// Runs it on a copy of a policy of the corpus.
fn check(snapshot: &str, policy: &str, more: &[&str]) -> Option<i32> {
    let home = Home::new();
    std::fs::copy(corpus(policy), home.path("policy.json")).expect("a copy");
    let mut args = vec!["trust", "policy.json", "--cluster", ALPHA, "--cluster", BETA];
    args.extend(more);
    let seen = home.run(&args);
    insta::assert_snapshot!(snapshot, seen.whole());
    seen.code
}

#[test]
fn what_is_added_and_why_nothing_else_changes() {
    assert_eq!(check("trust_exact", "176-eq-and-notequals.json", &[]), Some(0));
    assert_eq!(check("trust_exact_json", "193-date-window.json", &["-o", "json"]), Some(0));
    assert_eq!(check("trust_exact_markdown", "041-velero-root-plus-two-clusters.json", &["-o", "markdown"]), Some(0));
    assert_eq!(check("trust_one_line", "205-unicode-escapes.json", &[]), Some(0));
}

#[test]
fn what_grants_nothing_and_what_is_held() {
    assert_eq!(check("trust_nothing", "022-eq-star-star-literal.json", &[]), Some(0));
    assert_eq!(check("trust_held", "191-source-vpce.json", &[]), Some(11));
    assert_eq!(check("trust_held_json", "194-role-session-name.json", &["-o", "json"]), Some(11));
}

#[test]
fn the_named_ones_and_everybody() {
    let named = ["--service-account", "apps/a", "--service-account", "apps/b", "--service-account", "other/c"];
    assert_eq!(check("trust_tight", "176-eq-and-notequals.json", &named), Some(0));
    assert_eq!(check("trust_open", "176-eq-and-notequals.json", &["--mode", "open"]), Some(0));
    assert_eq!(check("trust_tight_unnamed", "176-eq-and-notequals.json", &["--mode", "tight"]), Some(2));
    let both = [&named[..], &["--mode", "open"]].concat();
    assert_eq!(check("trust_open_and_named", "176-eq-and-notequals.json", &both), Some(2));
}

#[test]
fn what_is_no_policy() {
    assert_eq!(check("trust_invalid", "202-duplicate-condition-key.json", &[]), Some(2));
    assert_eq!(check("trust_invalid_json", "203-duplicate-operator-key.json", &["-o", "json"]), Some(2));
    let home = Home::new();
    let whole = |args: &[&str]| home.run(&[&["trust"], args].concat()).whole();
    insta::assert_snapshot!("trust_no_file", whole(&["missing.json", "--cluster", ALPHA]));
    insta::assert_snapshot!("trust_no_cluster", whole(&["missing.json"]));
    insta::assert_snapshot!("trust_bad_cluster", whole(&["missing.json", "--cluster", "nonsense"]));
}

#[test]
fn an_issuer_is_one_clusters_and_a_cluster_has_one_issuer() {
    let home = Home::new();
    let file = corpus("001-eks-doc-vpc-cni.json").display().to_string();
    let (host, arn) = ALPHA.split_once('=').expect("an issuer and an ARN");
    let with = |more: &str| home.run(&["trust", &file, "--cluster", ALPHA, "--cluster", more]);
    let other = arn.replace("cluster/", "cluster/other-");
    let dual = host.replace("oidc.eks.", "oidc-eks.").replace(".amazonaws.com", ".api.aws");
    for (more, says) in [
        (format!("{host}={other}"), "is given to two clusters"),
        (format!("{dual}={other}"), "is given to two clusters"),
        (format!("oidc.eks.us-east-1.amazonaws.com/id/OTHER={arn}"), "is given two issuers"),
        (format!("oidc.eks.eu-west-1.amazonaws.com/id/OTHER={other}"), "is in another region than"),
    ] {
        let seen = with(&more);
        assert_eq!((seen.code, seen.stdout.as_str()), (Some(2), ""), "{more}\n{}", seen.whole());
        assert!(seen.stderr.contains(says), "{more}\n{}", seen.whole());
    }
    // The two hosts of a cluster that speaks IPv6 too, and the same words twice.
    for more in [format!("{dual}={arn}"), ALPHA.to_owned()] {
        assert_eq!(with(&more).code, Some(0), "{}", with(&more).whole());
    }
}

fn piped(home: &Home, bytes: &[u8], more: &[&str]) -> (String, Option<i32>) {
    let mut args = vec!["trust", "-", "--cluster", ALPHA, "-o", "json"];
    args.extend(more);
    let mut command = home.command(&args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program");
    child.stdin.take().expect("stdin").write_all(bytes).expect("a pipe");
    let output = child.wait_with_output().expect("an end");
    (String::from_utf8(output.stdout).expect("UTF-8"), output.status.code())
}

#[test]
fn standard_input_and_broken_bytes() {
    let home = Home::new();
    let text = std::fs::read(corpus("001-eks-doc-vpc-cni.json")).expect("a policy");
    let (out, code) = piped(&home, &text, &[]);
    let seen: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((seen["verdict"].as_str(), code), (Some("translated"), Some(0)));
    let mut broken = text.clone();
    broken[20] = 0xff;
    for (bytes, code_of, place) in [
        (broken.as_slice(), "NOT_JSON", serde_json::json!({"line": 2, "column": 19})),
        (b"".as_slice(), "NOT_JSON", serde_json::json!({"line": 1, "column": 1})),
        (b"{}".as_slice(), "NOT_A_POLICY", serde_json::json!({"line": 1, "column": 1})),
        ("[".repeat(10_000).as_bytes(), "TOO_DEEP", serde_json::json!({"line": 1, "column": 33})),
    ] {
        let (out, code) = piped(&home, bytes, &[]);
        let seen: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!((seen["verdict"].as_str(), code), (Some("invalid"), Some(2)), "{out}");
        assert_eq!((&seen["reasons"][0]["code"], &seen["reasons"][0]["place"]), (&code_of.into(), &place), "{out}");
    }
}

#[test]
fn the_roles_account_is_that_of_the_providers() {
    let home = Home::new();
    let text = std::fs::read_to_string(corpus("001-eks-doc-vpc-cni.json")).expect("a policy");
    // A provider of another account: the role is that account's, and the cluster is not.
    let (out, code) = piped(&home, text.replace("111122223333", "999988887777").as_bytes(), &[]);
    assert!(out.contains("CLUSTER_IN_OTHER_ACCOUNT") && code == Some(11), "{out}");
    let own = ["--account", "111122223333"];
    let (out, code) = piped(&home, text.replace("111122223333", "999988887777").as_bytes(), &own);
    assert!(out.contains("PROVIDER_ELSEWHERE") && out.contains("\"nothing\"") && code == Some(0), "{out}");
    let arn =
        "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/C36640459C0DFE049A8217ECD09D1F90";
    let two = |first: &str, second: &str| {
        let list = format!("[\"{}\",\"{}\"]", arn.replace("111122223333", first), arn.replace("111122223333", second));
        text.replace(&format!("\"{arn}\""), &list)
    };
    let (out, code) = piped(&home, two("111122223333", "999988887777").as_bytes(), &[]);
    assert!(out.contains("\"translated\"") && code == Some(0), "{out}");
    let (out, code) = piped(&home, two("444455556666", "999988887777").as_bytes(), &[]);
    assert!(out.contains("ROLE_ACCOUNT_UNCLEAR") && code == Some(11), "{out}");
}
