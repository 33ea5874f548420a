//! `permissions`, as a person sees it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::cli::Home;

const CLUSTER: &str = "arn:aws:eks:eu-west-1:111122223333:cluster/shop-prod";

#[test]
fn the_files_are_written_where_they_are_asked_for() {
    let home = Home::new();
    let done = home.run(&["permissions", "--cluster", CLUSTER, "--out", "rights"]);
    assert_eq!(done.code, Some(0), "{}", done.whole());
    assert_eq!(done.stdout, "");
    for name in ["iam-scan.json", "rbac-scan.yaml", "iam-apply.json", "rbac-apply.yaml"] {
        let path = home.path("rights").join(name);
        assert!(done.stderr.contains(&format!("wrote rights/{name}")), "{}", done.whole());
        assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
    }
    let policy = fs::read_to_string(home.path("rights/iam-apply.json")).expect("the policy");
    serde_json::from_str::<serde_json::Value>(&policy).expect("JSON");
}

#[test]
fn what_a_scan_needs_is_printed() {
    insta::assert_snapshot!(Home::new().run(&["permissions", "--for", "scan", "--cluster", CLUSTER]).whole());
    let json = Home::new().run(&["permissions", "--for", "scan", "--cluster", CLUSTER, "-o", "json"]);
    let files: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert!(files["iam-scan.json"].is_string() && files["rbac-scan.yaml"].is_string());
}

#[test]
fn bad_input_is_refused_in_a_sentence() {
    let refused = |args: &[&str], said: &str| {
        let done = Home::new().run(args);
        assert_eq!(done.code, Some(2), "{}", done.whole());
        assert!(done.stderr.contains(said), "{}", done.whole());
        assert_eq!(done.stdout, "");
    };
    refused(&["permissions"], "no cluster is named");
    refused(&["permissions", "--cluster", "shop-prod"], "is not the ARN of an EKS cluster");
    refused(&["permissions", "--cluster", CLUSTER, "--user", "a'b"], "is not a name that can be written into RBAC");
    refused(
        &["permissions", "--cluster", CLUSTER, "--role", "arn:aws:iam::222233334444:role/cart"],
        "is not in the account",
    );
    refused(&["permissions", "--plan", "nowhere.json"], "cannot be read");
}
