use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn scope() -> Scope {
    Scope {
        clusters: vec![ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/a").unwrap()],
        roles: vec![RoleArn::parse("arn:aws:iam::111122223333:role/team/cart").unwrap()],
        identity: Identity::Group("irsa-migrate".into()),
        lease_namespace: "kube-system".into(),
        probe: true,
    }
}

fn text(stage: Stage, scope: &Scope, name: &str) -> String {
    let files = files(stage, scope).unwrap();
    files.into_iter().find(|it| it.name == name).unwrap().text
}

#[test]
fn scanning_only_reads() {
    let policy = text(Stage::Scan, &scope(), "iam-scan.json");
    for need in calls(Stage::Scan).flat_map(|it| it.needs) {
        match need {
            Need::Aws(action, _) => {
                let verb = action.split_once(':').unwrap().1;
                assert!(["Get", "List", "Describe"].iter().any(|it| verb.starts_with(it)), "{action}");
                assert!(policy.contains(action));
            }
            Need::Everywhere(_, _, verb) | Need::System(_, _, verb) => assert!(["get", "list"].contains(verb)),
            Need::Path(_) => {}
            Need::OurLease(_) | Need::NewLease | Need::DryRunPod => panic!("a scan writes: {need:?}"),
        }
    }
    assert!(!text(Stage::Scan, &scope(), "rbac-scan.yaml").contains("create"));
}

#[test]
fn applying_is_limited_to_what_is_in_scope() {
    let policy: Value = serde_json::from_str(&text(Stage::Apply, &scope(), "iam-apply.json")).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let by_action = |action: &str| {
        let found: Vec<_> =
            statements.iter().filter(|it| it["Action"].as_array().unwrap().contains(&action.into())).collect();
        assert_eq!(found.len(), 1, "{action}");
        found[0]
    };
    let role = serde_json::json!(["arn:aws:iam::111122223333:role/team/cart"]);
    assert_eq!(by_action("iam:UpdateAssumeRolePolicy")["Resource"], role);
    assert_eq!(by_action("iam:PassRole")["Resource"], role);
    assert_eq!(by_action("iam:PassRole")["Condition"]["StringEquals"]["iam:PassedToService"], "pods.eks.amazonaws.com");
    let cluster = serde_json::json!(["arn:aws:eks:eu-west-1:111122223333:cluster/a"]);
    assert_eq!(by_action("eks:CreatePodIdentityAssociation")["Resource"], cluster);
    let delete = by_action("eks:DeletePodIdentityAssociation");
    assert_eq!(delete["Resource"][0], "arn:aws:eks:eu-west-1:111122223333:podidentityassociation/a/*");
    assert_eq!(delete["Condition"]["Null"]["aws:ResourceTag/irsa-migrate:plan"], "false");
    let open: Vec<_> = statements.iter().filter(|it| it["Resource"][0] == "*").collect();
    assert_eq!(open.len(), 1);
    for action in open[0]["Action"].as_array().unwrap() {
        assert!(
            ["iam:GetAccountSummary", "iam:ListRoles", "iam:ListOpenIDConnectProviders"].iter().any(|it| action == it)
        );
    }
}

#[test]
fn many_roles_are_spread_over_policies_that_iam_takes() {
    let role = |index: usize| RoleArn::parse(&format!("arn:aws:iam::111122223333:role/team/cart-{index:04}")).unwrap();
    let scope = Scope { roles: (0..300).map(role).collect(), ..scope() };
    let policies: Vec<File> =
        files(Stage::Apply, &scope).unwrap().into_iter().filter(|it| it.name.ends_with(".json")).collect();
    assert!(policies.len() > 2);
    let mut passed = BTreeSet::new();
    for file in &policies {
        assert!(file.text.chars().filter(|it| !it.is_whitespace()).count() <= 6_144, "{}", file.name);
        let policy: Value = serde_json::from_str(&file.text).unwrap();
        for statement in policy["Statement"].as_array().unwrap().iter().filter(|it| it["Sid"] == "PassedRoles") {
            passed.extend(statement["Resource"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()));
        }
    }
    assert_eq!(passed.len(), 300);
}

#[test]
fn rights_in_a_cluster() {
    insta::assert_snapshot!(text(Stage::Apply, &scope(), "rbac-apply.yaml"));
}

#[test]
fn without_probes_no_pod_is_created() {
    let scope = Scope { probe: false, ..scope() };
    let text = text(Stage::Apply, &scope, "rbac-apply.yaml");
    assert!(!text.contains("ValidatingAdmissionPolicy"));
    let creates: Vec<&str> = text.split("  - apiGroups").filter(|it| it.contains("\"create\"")).collect();
    assert_eq!(creates.len(), 2, "{creates:?}");
    assert!(creates[0].contains("pods/eviction") && creates[1].contains("leases"));
}

#[test]
fn scopes_that_cannot_be() {
    let refused = |scope: Scope| files(Stage::Apply, &scope).unwrap_err();
    let far = RoleArn::parse("arn:aws:iam::222233334444:role/cart").unwrap();
    assert!(matches!(refused(Scope { roles: vec![far], ..scope() }), ScopeError::OtherAccount { .. }));
    assert!(matches!(refused(Scope { clusters: vec![], ..scope() }), ScopeError::NoCluster));
    for name in ["", "a'b", "a\"b", "a\nb", "a b"] {
        let identity = Identity::User(name.into());
        assert!(matches!(refused(Scope { identity, ..scope() }), ScopeError::Name(_)), "{name:?}");
    }
    assert!(matches!(refused(Scope { lease_namespace: "a/b".into(), ..scope() }), ScopeError::Name(_)));
}
