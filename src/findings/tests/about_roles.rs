//! Roles and their trust.

use super::*;

const OTHER: &str = "arn:aws:iam::111122223333:role/other";

#[test]
fn roles_that_are_not_there() {
    check(|it| roles(it).clear(), &["ROLE_ABSENT"]);
    let moved = |it: &mut Inventory| roles(it)[0].arn = arn("arn:aws:iam::111122223333:role/team/cart");
    let found = check(moved, &["ROLE_ABSENT"]);
    assert!(found.iter().any(|it| it.evidence.contains("there is arn:aws:iam::111122223333:role/team/cart")));
    for far in ["arn:aws:iam::222233334444:role/cart", "arn:aws-cn:iam::111122223333:role/cart"] {
        let change = |it: &mut Inventory| {
            annotated(it).role_arn = Some(far.into());
            pods(it)[0].mode = Mode::Irsa(far.into());
        };
        check(change, &["ROLE_IN_OTHER_ACCOUNT"]);
    }
}

#[test]
fn service_linked_roles() {
    let linked = "arn:aws:iam::111122223333:role/aws-service-role/x.amazonaws.com/cart";
    let change = |it: &mut Inventory| {
        annotated(it).role_arn = Some(linked.into());
        roles(it)[0].arn = arn(linked);
        pods(it)[0].mode = Mode::Irsa(linked.into());
    };
    check(change, &["ROLE_SERVICE_LINKED"]);
}

#[test]
fn somebody_elses_role() {
    check(|it| roles(it)[0].trust = trust(ISSUER, &["shop:basket"]), &["TRUST_DOES_NOT_GRANT"]);
    let elsewhere = "oidc.eks.eu-west-1.amazonaws.com/id/B";
    check(|it| roles(it)[0].trust = trust(elsewhere, &["shop:cart"]), &["SHARED_ROLE", "TRUST_DOES_NOT_GRANT"]);
    // A grant for tokens of another audience is none for the tokens that the webhook mounts.
    let other_audience = |it: &mut Inventory| {
        seen(&mut account(it).providers)[0].client_ids.push("vault".into());
        let condition = json!({"StringEquals": {
            format!("{ISSUER}:sub"): "system:serviceaccount:shop:cart", format!("{ISSUER}:aud"): "vault",
        }});
        roles(it)[0].trust = policy(ISSUER, &condition);
    };
    let mut inventory = nothing_wrong();
    other_audience(&mut inventory);
    let found = codes(&of_subject(&inventory, &cart(&inventory)));
    assert!(found.contains("TRUST_DOES_NOT_GRANT"), "{found:?}");
}

#[test]
fn providers() {
    check(|it| seen(&mut account(it).providers).clear(), &["PROVIDER_ABSENT", "TRUST_REMARK"]);
    let refuses = |it: &mut Inventory| seen(&mut account(it).providers)[0].client_ids = vec!["vault".into()];
    let mut inventory = nothing_wrong();
    refuses(&mut inventory);
    let found = codes(&of_subject(&inventory, &cart(&inventory)));
    assert!(found.contains("PROVIDER_WITHOUT_AUDIENCE"), "{found:?}");
}

#[test]
fn shapes_that_are_held() {
    check(|it| roles(it)[0].trust = "{".into(), &["TRUST_UNTRANSLATED"]);
    let network = json!({
        "StringEquals": {format!("{ISSUER}:sub"): "system:serviceaccount:shop:cart"},
        "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
    });
    check(|it| roles(it)[0].trust = policy(ISSUER, &network), &["TRUST_UNTRANSLATED"]);
}

#[test]
fn deleted_principals() {
    let change = |it: &mut Inventory| {
        let mut policy: serde_json::Value = serde_json::from_str(&roles(it)[0].trust).unwrap();
        policy["Statement"].as_array_mut().unwrap().push(json!({
            "Effect": "Allow", "Principal": {"AWS": "AROAEXAMPLE1234567890"}, "Action": "sts:AssumeRole",
        }));
        roles(it)[0].trust = policy.to_string();
    };
    check(change, &["TRUST_DELETED_PRINCIPAL"]);
}

#[test]
fn policies_that_would_be_too_large() {
    assert_eq!(too_large(&arn(CART), 2048, 2048), None);
    assert_eq!(too_large(&arn(CART), 2049, 2048).unwrap().code, Code::TrustTooLarge);
}

#[test]
fn a_second_role_by_name() {
    let found = check(|it| roles(it).push(role(OTHER, trust(ISSUER, &["shop:cart", "shop:basket"]))), &["SECOND_ROLE"]);
    assert!(found[0].waivable && found[0].blocks() && found[0].evidence == OTHER, "{found:?}");
}

#[test]
fn a_second_role_under_a_wildcard() {
    let like = json!({"StringLike": {format!("{ISSUER}:sub"): "system:serviceaccount:shop:*"}});
    let found = check(|it| roles(it).push(role(OTHER, policy(ISSUER, &like))), &["SECOND_ROLE_WILDCARD"]);
    assert_eq!(found[0].severity, Severity::Notice);
    let other_namespace = json!({"StringLike": {format!("{ISSUER}:sub"): "system:serviceaccount:pay:*"}});
    check(|it| roles(it).push(role(OTHER, policy(ISSUER, &other_namespace))), &[]);
}

#[test]
fn a_second_role_that_cannot_be_read_exactly() {
    let held = |subject: &str| {
        json!({
            "StringEquals": {format!("{ISSUER}:sub"): format!("system:serviceaccount:{subject}")},
            "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
        })
    };
    check(|it| roles(it).push(role(OTHER, policy(ISSUER, &held("shop:cart")))), &["SECOND_ROLE"]);
    check(|it| roles(it).push(role(OTHER, policy(ISSUER, &held("pay:card")))), &["SECOND_ROLE_WILDCARD"]);
}

#[test]
fn a_role_that_other_clusters_trust_too() {
    let change = |it: &mut Inventory| {
        let mut policy: serde_json::Value = serde_json::from_str(&roles(it)[0].trust).unwrap();
        for issuer in ["oidc.eks.eu-west-1.amazonaws.com/id/B", "token.actions.githubusercontent.com"] {
            let statement: serde_json::Value = serde_json::from_str(&trust(issuer, &["shop:cart"])).unwrap();
            policy["Statement"].as_array_mut().unwrap().push(statement["Statement"][0].clone());
        }
        roles(it)[0].trust = policy.to_string();
    };
    let found = check(change, &["SHARED_ROLE"]);
    assert_eq!(found[0].evidence, "oidc.eks.eu-west-1.amazonaws.com/id/B");
}

#[test]
fn owners_of_roles() {
    let owner = |tags: &[(&str, &str)]| owner_of(&RoleDetail { tags: map(tags), description: None, last_used: None });
    let stack = ("aws:cloudformation:stack-name", "eksctl-a-addon");
    assert_eq!(owner(&[stack]), Owner::CloudFormation("eksctl-a-addon".into()));
    assert!(matches!(owner(&[stack, ("alpha.eksctl.io/cluster-name", "a")]), Owner::Eksctl(_)));
    assert!(matches!(owner(&[("services.k8s.aws/controller-version", "iam-1.3")]), Owner::Ack(_)));
    assert!(matches!(owner(&[("crossplane-name", "cart")]), Owner::Crossplane(_)));
    for tag in [("ManagedBy", "terraform"), ("managed-by", "OpenTofu"), ("Terraform", "true"), ("terraform", "yes")] {
        assert!(matches!(owner(&[tag]), Owner::Terraform(_)), "{tag:?}");
    }
    for tag in [("team", "shop"), ("Terraform", "false"), ("managed-by", "people")] {
        assert_eq!(owner(&[tag]), Owner::Unknown, "{tag:?}");
    }
    let tagged = |it: &mut Inventory| {
        let detail = RoleDetail { tags: map(&[stack]), description: None, last_used: None };
        roles(it)[0].detail = Some(Seen::Seen(detail));
    };
    let found = check(tagged, &["ROLE_OWNED"]);
    assert!(!found[0].waivable && found[0].may_be_answered());
}

#[test]
fn a_role_whose_tags_were_not_read() {
    // Not asked for is not failed: the planner makes no unit of such a role.
    check(|it| roles(it)[0].detail = None, &[]);
    check(|it| roles(it)[0].detail = Some(Seen::Unseen("denied: iam:GetRole".into())), &["UNREAD"]);
    // Where it is held anyhow nobody has to ask whose it is.
    let held = |it: &mut Inventory| {
        roles(it)[0].detail = None;
        roles(it)[0].trust = "{".into();
    };
    check(held, &["TRUST_UNTRANSLATED"]);
}

#[test]
fn a_role_that_nobody_asks_for() {
    let unused = |it: &mut Inventory| {
        roles(it).push(Role { detail: None, ..role(OTHER, trust(ISSUER, &["pay:card"])) });
    };
    check_all(unused, &["ROLE_UNUSED"]);
    assert!(Code::RoleUnused.leaves_nothing_to_do());
}

#[test]
fn the_roles_whose_detail_is_needed() {
    let wanted = |change: fn(&mut Inventory)| {
        let mut inventory = nothing_wrong();
        roles(&mut inventory)[0].detail = None;
        change(&mut inventory);
        Checks::new(&inventory).roles_to_look_at().len()
    };
    assert_eq!(wanted(|_| {}), 1);
    // The settings may answer for this one, a waiver for the next.
    assert_eq!(wanted(|it| deployment(it).paused = true), 1);
    assert_eq!(wanted(|it| roles(it).push(role(OTHER, trust(ISSUER, &["shop:cart"])))), 1);
    assert_eq!(wanted(|it| nodes(it)[0].compute = Compute::Fargate), 0);
    assert_eq!(wanted(|it| associations(it).push(association("cart", CART))), 0);
    assert_eq!(wanted(|it| roles(it).push(role(OTHER, trust(ISSUER, &["pay:card"])))), 1);
}
