//! Clusters, reads that failed, and what a plan must account for.

use super::*;

#[test]
fn the_wrong_cluster() {
    let other = Issuer::parse("oidc.eks.eu-west-1.amazonaws.com/id/B").unwrap();
    check(|it| cluster(it).own_issuer = Seen::Seen(other.clone()), &["WRONG_CONTEXT"]);
    check(|it| cluster(it).own_issuer = Seen::Unseen("denied".into()), &["UNREAD"]);
    // Where the address itself is EKS' word, a server that does not tell is no doubt.
    let by_eks = |it: &mut Inventory| {
        cluster(it).own_issuer = Seen::Unseen("denied".into());
        cluster(it).context = None;
    };
    check(by_eks, &[]);
    let mut inventory = nothing_wrong();
    inventory.caller.account = AccountId::parse("222233334444").unwrap();
    assert!(codes(&of_subject(&inventory, &cart(&inventory))).contains("CLUSTER_IN_OTHER_ACCOUNT"));
}

#[test]
fn clusters_that_cannot() {
    check(|it| seen(&mut cluster(it).facts).issuer = None, &["CLUSTER_WITHOUT_ISSUER", "SHARED_ROLE"]);
    let version = |version: &'static str, platform: &'static str| {
        move |it: &mut Inventory| {
            seen(&mut cluster(it).facts).version = version.into();
            seen(&mut cluster(it).facts).platform_version = platform.into();
        }
    };
    for (kubernetes, platform) in
        [("1.23", "eks.99"), ("1.24", "eks.12"), ("1.28", "eks.3"), ("1.34", "eks-local-outposts.1")]
    {
        check(version(kubernetes, platform), &["CLUSTER_TOO_OLD"]);
    }
    for (kubernetes, platform) in [("1.24", "eks.13"), ("1.28", "eks.4"), ("1.29", "eks.1"), ("2.0", "eks.1")] {
        check(version(kubernetes, platform), &[]);
    }
    check(version("latest", "eks.1"), &["UNREAD"]);
    check(version("1.25", "new"), &["UNREAD"]);
}

#[test]
fn what_is_good_to_know_of_a_cluster() {
    check_all(|it| seen(&mut cluster(it).facts).status = "UPDATING".into(), &["CLUSTER_NOT_ACTIVE"]);
    check_all(|it| cluster(it).api_servers = Seen::Unseen("denied".into()), &["API_SERVERS_UNKNOWN"]);
    check_all(|it| cluster(it).agent_addon = Seen::Unseen("denied".into()), &["AGENT_ADDON_UNKNOWN"]);
    let addon = crate::inventory::Addon { version: "v1".into(), status: "DEGRADED".into() };
    check_all(|it| cluster(it).agent_addon = Seen::Seen(Some(addon)), &["AGENT_ADDON_UNHEALTHY"]);
    check_all(|it| nodes(it).push(node("n2", Compute::Auto, AgentOnNode::BuiltIn)), &["AUTO_MODE_MIXED"]);
}

#[test]
fn room_for_associations() {
    let with = |count: usize| {
        let mut inventory = nothing_wrong();
        for index in 0..count {
            let name = format!("app-{index}");
            associations(&mut inventory).push(association(&name, CART));
            seen(&mut cluster(&mut inventory).service_accounts).push(service_account(&name, None));
        }
        codes(&about_cluster::all(&inventory, &inventory.clusters[0]))
    };
    assert_eq!(with(4_499), BTreeSet::new());
    assert_eq!(with(4_500), BTreeSet::from(["ASSOCIATION_QUOTA_NEAR"]));
    assert_eq!(with(5_000), BTreeSet::from(["ASSOCIATION_QUOTA"]));
}

/// Makes one read fail.
type Failure = (&'static str, fn(&mut Inventory));

fn lost<T>(it: &mut Seen<T>) {
    *it = Seen::Unseen("denied: a call".into());
}

const FAILURES: [Failure; 13] = [
    ("quota", |it| lost(&mut account(it).trust_quota)),
    ("providers", |it| lost(&mut account(it).providers)),
    ("roles", |it| lost(&mut account(it).roles)),
    ("detail", |it| lost(roles(it)[0].detail.as_mut().unwrap())),
    ("cluster", |it| lost(&mut cluster(it).facts)),
    ("own issuer", |it| lost(&mut cluster(it).own_issuer)),
    ("add-ons", |it| lost(&mut cluster(it).addons)),
    ("associations", |it| lost(&mut cluster(it).associations)),
    ("ServiceAccounts", |it| lost(&mut cluster(it).service_accounts)),
    ("pods", |it| lost(&mut cluster(it).pods)),
    ("nodes", |it| lost(&mut cluster(it).nodes)),
    ("agent", |it| lost(&mut nodes(it)[0].agent)),
    ("workloads", |it| lost(cluster(it).workloads.get_mut(&WorkloadKind::DaemonSet).unwrap())),
];

#[test]
fn whatever_was_not_read_holds_whoever_needs_it() {
    for (what, fail) in FAILURES {
        let mut inventory = nothing_wrong();
        fail(&mut inventory);
        let found = of_subject(&inventory, &cart(&inventory));
        let unread: Vec<_> = found.iter().filter(|it| it.code == Code::Unread).collect();
        assert!(!unread.is_empty(), "{what}: {found:#?}");
        assert!(unread.iter().all(|it| it.blocks() && !it.may_be_answered()), "{what}");
        let whole = of_inventory(&inventory);
        assert!(whole.iter().any(|it| it.code == Code::Unread), "{what}");
    }
}

#[test]
fn each_kind_of_workload_is_needed() {
    for kind in WorkloadKind::ALL {
        check(|it| lost(cluster(it).workloads.get_mut(&kind).unwrap()), &["UNREAD"]);
        check(|it| drop(cluster(it).workloads.remove(&kind)), &["UNREAD"]);
    }
}

#[test]
fn an_issuer_that_may_be_of_the_cluster_that_was_not_read() {
    let mut inventory = nothing_wrong();
    let mut second = inventory.clusters[0].clone();
    second.arn = ClusterArn::parse(&format!("arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/b")).unwrap();
    lost(&mut second.facts);
    inventory.clusters.push(second);
    let found = of_role(&inventory, &arn(CART));
    assert!(!found.iter().any(|it| it.blocks()), "{found:#?}");
    roles(&mut inventory)[0].trust =
        roles(&mut inventory)[0].trust.replace(&format!("oidc-provider/{ISSUER}\""), "oidc-provider/example.org/b\"");
    assert!(codes(&of_role(&inventory, &arn(CART))).contains("UNREAD"));
}

#[test]
fn candidates_are_whatever_has_to_do_with_a_role() {
    let mut inventory = nothing_wrong();
    let it = &mut inventory;
    associations(it).push(association("nobody", CART));
    roles(it).push(role("arn:aws:iam::111122223333:role/idle", trust(ISSUER, &["pay:card"])));
    roles(it).push(role("arn:aws:iam::111122223333:role/ci", trust("token.actions.githubusercontent.com", &["x:y"])));
    seen(&mut cluster(it).addons).push(AddonUse {
        name: "vpc-cni".into(),
        version: "v1".into(),
        status: "ACTIVE".into(),
        role_arn: None,
        association_arns: vec!["a".into()],
    });
    let words: Vec<String> = candidates(it).iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "role arn:aws:iam::111122223333:role/cart",
            "role arn:aws:iam::111122223333:role/idle",
            "ServiceAccount a/shop/cart",
            "ServiceAccount a/shop/nobody",
            "add-on a/vpc-cni",
        ]
    );
    // Each of them has something said about it, or is clean.
    let said = of_inventory(it);
    for candidate in candidates(it) {
        let own: Vec<_> =
            Checks::new(it).of_candidate(&candidate).into_iter().filter(|it| it.subject == candidate).collect();
        assert_eq!(own, said.iter().filter(|it| it.subject == candidate).cloned().collect::<Vec<_>>(), "{candidate}");
    }
    for candidate in candidates(it) {
        let about: Vec<_> = said.iter().filter(|it| it.subject == candidate).collect();
        assert!(!about.is_empty() || candidate == Target::ServiceAccount(cart(it)), "{candidate}");
    }
}

#[test]
fn a_list_that_is_missing_stands_for_what_it_had() {
    for (what, fail) in FAILURES {
        let mut inventory = nothing_wrong();
        let whole = candidates(&inventory);
        fail(&mut inventory);
        let rest = candidates(&inventory);
        let blind = rest.iter().any(|it| matches!(it, Target::Account(_) | Target::Cluster(_)));
        assert!(whole.is_subset(&rest) || blind, "{what}");
    }
}

#[test]
fn a_finding_survives_being_written() {
    let found = check(|it| roles(it).clear(), &["ROLE_ABSENT"]);
    let text = serde_json::to_string(&found).unwrap();
    assert!(text.contains(r#""severity":"blocker","code":"ROLE_ABSENT""#), "{text}");
    assert_eq!(serde_json::from_str::<Vec<Finding>>(&text).unwrap(), found);
}

#[test]
fn the_order_is_fixed() {
    let mut inventory = nothing_wrong();
    deployment(&mut inventory).paused = true;
    nodes(&mut inventory)[0].compute = Compute::Fargate;
    let found = of_inventory(&inventory);
    assert!(found.is_sorted() && found == of_inventory(&inventory));
}
