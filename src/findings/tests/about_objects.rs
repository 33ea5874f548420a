//! Annotations, associations, workloads, pods and nodes.

use super::*;

#[test]
fn annotations_that_are_no_role() {
    for value in ["", "null", "cart", " arn:aws:iam::111122223333:role/cart", "arn:aws:iam::1:role/cart", "${ROLE}"] {
        let found = check(|it| annotated(it).role_arn = Some(value.into()), &["ANNOTATION_MALFORMED"]);
        assert!(found[0].evidence.contains(&format!("{value:?}")), "{found:?}");
    }
    let long = "x".repeat(10_000_000);
    let found = check(|it| annotated(it).role_arn = Some(long), &["ANNOTATION_MALFORMED"]);
    assert!(found[0].evidence.len() < 300);
}

#[test]
fn a_custom_audience_must_be_accepted_and_is_asked_about() {
    check(|it| annotated(it).audience = Some("vault".into()), &["AUDIENCE_CUSTOM", "PROVIDER_WITHOUT_AUDIENCE"]);
    let accepted = |it: &mut Inventory| {
        annotated(it).audience = Some("vault".into());
        seen(&mut account(it).providers)[0].client_ids.push("vault".into());
    };
    check(accepted, &["AUDIENCE_CUSTOM"]);
    check(|it| annotated(it).audience = Some(String::new()), &[]);
}

#[test]
fn an_association_whose_service_account_nobody_created() {
    let change = |it: &mut Inventory| {
        seen(&mut cluster(it).service_accounts).pop();
        associations(it).push(association("cart", CART));
    };
    let found = check(change, &["ASSOCIATION_WITHOUT_SERVICE_ACCOUNT"]);
    for said in ["Deployment shop/cart", "a-1", "role/cart"] {
        assert!(found[0].evidence.contains(said), "{found:?}");
    }
    for said in ["serviceAccount.create=true", "podIdentityAssociations", "Neither an association nor eksctl"] {
        assert!(found[0].remedy.contains(said), "{found:?}");
    }
    assert!(Code::AssociationWithoutServiceAccount.explain().why.contains("error looking up service account"));
    check_all(change, &["ASSOCIATION_WITHOUT_SERVICE_ACCOUNT", "ROLE_UNUSED"]);
}

#[test]
fn a_workload_whose_service_account_nobody_created() {
    let found = check_all(|it| deployment(it).service_account = "basket".into(), &["SERVICE_ACCOUNT_ABSENT"]);
    assert_eq!(found[0].evidence, "named by Deployment shop/cart");
}

#[test]
fn a_service_account_that_nobody_uses() {
    let empty = |it: &mut Inventory| {
        deployment(it).service_account = "default".into();
        pods(it).clear();
    };
    check(empty, &["SERVICE_ACCOUNT_UNUSED"]);
    let unread = |it: &mut Inventory| {
        empty(it);
        cluster(it).workloads.insert(WorkloadKind::Job, Seen::Unseen("denied: jobs".into()));
    };
    check(unread, &["UNREAD"]);
}

#[test]
fn associations_that_are_there() {
    check(|it| associations(it).push(association("cart", CART)), &["ASSOCIATION_ADOPTED", "ASSOCIATION_NOT_TRUSTED"]);
    let other = "arn:aws:iam::111122223333:role/other";
    check(|it| associations(it).push(association("cart", other)), &["ASSOCIATION_OTHER_ROLE"]);
    let with = |change: fn(&mut AssociationDetail)| {
        move |it: &mut Inventory| {
            roles(it)[0].trust = unconditioned(&roles(it)[0].trust);
            let mut it_has = association("cart", CART);
            change(seen(it_has.detail.as_mut().unwrap()));
            associations(it).push(it_has);
        }
    };
    let mut found = check(with(|_| {}), &["ASSOCIATION_ADOPTED"]);
    assert!(found.remove(0).code.leaves_nothing_to_do());
    let remarked = |change: fn(&mut AssociationDetail), code: &'static str| {
        let mut inventory = nothing_wrong();
        with(change)(&mut inventory);
        let found = of_subject(&inventory, &cart(&inventory));
        assert!(codes(&found).contains(code), "{found:#?}");
        assert!(!codes(&found).contains("ASSOCIATION_ADOPTED"));
    };
    remarked(|it| it.disable_session_tags = true, "ASSOCIATION_TAGS_OFF");
    remarked(|it| it.has_policy = true, "ASSOCIATION_WITH_POLICY");
    remarked(
        |it| it.target_role_arn = Some("arn:aws:iam::222233334444:role/far".into()),
        "ASSOCIATION_WITH_TARGET_ROLE",
    );
}

/// The policy with AWS's own unconditioned Pod Identity statement beside what it has.
fn unconditioned(policy: &str) -> String {
    let mut policy: serde_json::Value = serde_json::from_str(policy).unwrap();
    policy["Statement"].as_array_mut().unwrap().push(json!({
        "Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }));
    policy.to_string()
}

#[test]
fn associations_of_others() {
    let owned = |it: &mut Inventory| {
        let owner = Some("arn:aws:eks:eu-west-1:111122223333:addon/a/x/1".into());
        associations(it).push(Association { owner, ..association("cart", CART) });
    };
    let found = check_with(owned);
    assert!(found.contains("ASSOCIATION_OF_ADDON"), "{found:?}");
    // The API writes an empty owner for none.
    let found = check_with(|it| {
        associations(it).push(Association { owner: Some(String::new()), ..association("cart", CART) });
    });
    assert!(found.contains("ASSOCIATION_ADOPTED") && !found.contains("ASSOCIATION_OF_ADDON"), "{found:?}");
    let found = check_with(|it| {
        annotated(it).role_arn = None;
        associations(it).push(Association { detail: None, ..association("cart", CART) });
    });
    assert_eq!(found, BTreeSet::from(["ASSOCIATION_ONLY"]));
    let found = check_with(|it| associations(it).push(Association { detail: None, ..association("cart", CART) }));
    assert!(found.contains("UNREAD"), "{found:?}");
}

fn check_with(change: impl FnOnce(&mut Inventory)) -> BTreeSet<&'static str> {
    let mut inventory = nothing_wrong();
    change(&mut inventory);
    codes(&of_subject(&inventory, &cart(&inventory)))
}

#[test]
fn addons_are_held() {
    let vpc_cni = |it: &mut Inventory| {
        seen(&mut cluster(it).addons).push(AddonUse {
            name: "vpc-cni".into(),
            version: "v1".into(),
            status: "ACTIVE".into(),
            role_arn: Some(CART.into()),
            association_arns: vec![],
        });
    };
    check(vpc_cni, &["ADDON"]);
    check_all(vpc_cni, &["ADDON"]);
    let of_helm = |it: &mut Inventory| {
        vpc_cni(it);
        annotated(it).owners.push("Helm release cart".into());
    };
    check(of_helm, &[]);
    check(|it| annotated(it).owners.push("EKS add-on".into()), &["ADDON"]);
}

#[test]
fn the_agent_where_its_pods_run() {
    let agent = |agent: AgentOnNode| move |it: &mut Inventory| nodes(it)[0].agent = Seen::Seen(agent);
    check(agent(AgentOnNode::Absent), &["AGENT_ABSENT"]);
    check(agent(AgentOnNode::NotReady), &["AGENT_NOT_READY"]);
    check(agent(AgentOnNode::BuiltIn), &[]);
    // A node's own state does not matter to the pods that are on it.
    let not_ready = |it: &mut Inventory| {
        nodes(it)[0].ready = false;
        nodes(it)[0].agent = Seen::Seen(AgentOnNode::Absent);
    };
    check(not_ready, &["AGENT_ABSENT"]);
    check(|it| nodes(it)[0].agent = Seen::Unseen("denied: pods".into()), &["UNREAD"]);
    check(|it| nodes(it)[0].name = "n2".into(), &["NODE_UNKNOWN"]);
    let auto = |it: &mut Inventory| {
        nodes(it)[0].compute = Compute::Auto;
        nodes(it)[0].agent = Seen::Seen(AgentOnNode::Absent);
    };
    check(auto, &[]);
}

#[test]
fn the_agent_where_its_pods_may_run() {
    let other = |agent: AgentOnNode| move |it: &mut Inventory| nodes(it).push(node("n2", Compute::Ec2, agent));
    check(other(AgentOnNode::Ready), &[]);
    let found = check(other(AgentOnNode::Absent), &["AGENT_NOT_EVERYWHERE"]);
    assert!(found[0].waivable && found[0].evidence.ends_with("n2"));
    let elsewhere = |it: &mut Inventory| {
        other(AgentOnNode::Absent)(it);
        deployment(it).node_selector = map(&[("pool", "n1")]);
    };
    check(elsewhere, &[]);
    let away = |it: &mut Inventory| {
        other(AgentOnNode::NotReady)(it);
        nodes(it)[1].ready = false;
    };
    check(away, &[]);
}

#[test]
fn the_agent_where_no_node_is_yet() {
    let none = |it: &mut Inventory| {
        pods(it).clear();
        nodes(it).clear();
    };
    check(none, &["AGENT_ABSENT"]);
    let addon = |it: &mut Inventory| {
        none(it);
        let addon = crate::inventory::Addon { version: "v1".into(), status: "ACTIVE".into() };
        cluster(it).agent_addon = Seen::Seen(Some(addon));
    };
    check(addon, &[]);
    let auto = |it: &mut Inventory| {
        none(it);
        seen(&mut cluster(it).facts).auto_mode = true;
    };
    check(auto, &[]);
    let unread = |it: &mut Inventory| {
        none(it);
        cluster(it).agent_addon = Seen::Unseen("denied".into());
    };
    check(unread, &["UNREAD"]);
}

#[test]
fn machines_without_pod_identity() {
    check(|it| nodes(it)[0].compute = Compute::Fargate, &["FARGATE"]);
    check(|it| nodes(it)[0].compute = Compute::Windows, &["WINDOWS"]);
    check(|it| nodes(it)[0].compute = Compute::Hybrid, &["HYBRID_NODE"]);
    let asks = |key: &'static str, value: &'static str| {
        move |it: &mut Inventory| {
            pods(it).clear();
            deployment(it).node_selector = map(&[(key, value)]);
        }
    };
    check(asks("kubernetes.io/os", "windows"), &["WINDOWS"]);
    check(asks("eks.amazonaws.com/compute-type", "fargate"), &["FARGATE"]);
}

#[test]
fn variables_set_by_hand() {
    let set = |name: &'static str| move |it: &mut Inventory| deployment(it).aws_env.push(name.into());
    for (name, code) in [
        ("AWS_ROLE_ARN", "CREDENTIALS_BY_HAND"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "CREDENTIALS_BY_HAND"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "CREDENTIALS_BY_HAND"),
        ("AWS_PROFILE", "CREDENTIALS_PRECEDE"),
        ("AWS_CONFIG_FILE", "CREDENTIALS_PRECEDE"),
        ("AWS_ACCESS_KEY_ID", "CREDENTIALS_STATIC"),
        ("AWS_ROLE_SESSION_NAME", "SESSION_NAME_SET"),
    ] {
        let found = check(set(name), &[code]);
        assert!(found[0].evidence.contains(name), "{found:?}");
    }
    check(set("AWS_REGION"), &[]);
    check(|it| pods(it)[0].mode = Mode::Both, &["CREDENTIALS_BY_HAND"]);
}

#[test]
fn workloads_that_are_not_ours_to_restart() {
    check(|it| deployment(it).paused = true, &["RESTART_BY_OWNER"]);
    let owner = || OwnerRef { kind: "Rollout".into(), name: "cart".into(), uid: "o".into() };
    check(|it| deployment(it).controller = Some(owner()), &["RESTART_BY_OWNER"]);
    let of_operator = |it: &mut Inventory| {
        pods(it)[0].workload = None;
        pods(it)[0].controller = Some(owner());
    };
    check(of_operator, &["RESTART_BY_OWNER"]);
    let bare = |it: &mut Inventory| {
        pods(it)[0].workload = None;
        pods(it)[0].controller = None;
    };
    check(bare, &["BARE_POD"]);
    check(|it| deployment(it).strategy = Strategy::Recreate, &["RESTART_WITH_DOWNTIME"]);
    assert!(!Code::RestartByOwner.explain().waivable && Code::RestartByOwner.is_settled_by_settings());
}

#[test]
fn jobs_stay_until_the_next() {
    for kind in [WorkloadKind::Job, WorkloadKind::CronJob] {
        let change = move |it: &mut Inventory| {
            let mut job = workload(kind, "nightly", "cart");
            job.paused = true;
            cluster(it).workloads.insert(kind, Seen::Seen(vec![job]));
        };
        check(change, &["BATCH_STAYS"]);
    }
}

#[test]
fn budgets_matter_to_what_must_be_evicted() {
    let budget = |kind: WorkloadKind, change: fn(&mut Workload, &mut Pod)| {
        move |it: &mut Inventory| {
            let mut workload = workload(kind, "cart", "cart");
            let mut pod = pod("cart-0", Some(&workload));
            pod.budgets.insert("cart".into(), 0);
            change(&mut workload, &mut pod);
            cluster(it).workloads.insert(WorkloadKind::Deployment, Seen::Seen(vec![]));
            cluster(it).workloads.insert(kind, Seen::Seen(vec![workload]));
            *pods(it) = vec![pod];
        }
    };
    check(budget(WorkloadKind::Deployment, |_, _| {}), &[]);
    check(budget(WorkloadKind::StatefulSet, |_, _| {}), &[]);
    check(budget(WorkloadKind::StatefulSet, |it, _| it.strategy = Strategy::OnDelete), &["EVICTION_BLOCKED"]);
    check(budget(WorkloadKind::StatefulSet, |it, _| it.partition = 1), &["EVICTION_BLOCKED"]);
    check(budget(WorkloadKind::DaemonSet, |it, _| it.strategy = Strategy::OnDelete), &["EVICTION_BLOCKED"]);
    check(budget(WorkloadKind::ReplicationController, |_, _| {}), &["EVICTION_BLOCKED"]);
    check(budget(WorkloadKind::ReplicaSet, |it, _| it.replicas = 1), &["EVICTION_IMPOSSIBLE"]);
    let recovering = |it: &mut Workload, pod: &mut Pod| {
        it.replicas = 1;
        pod.ready = false;
    };
    check(budget(WorkloadKind::ReplicaSet, recovering), &["EVICTION_BLOCKED"]);
    let two = |_: &mut Workload, pod: &mut Pod| pod.budgets = BTreeMap::from([("a".into(), 1), ("b".into(), 1)]);
    check(budget(WorkloadKind::ReplicaSet, two), &["EVICTION_IMPOSSIBLE"]);
    check(budget(WorkloadKind::ReplicaSet, |_, pod| *pod.budgets.entry("cart".into()).or_default() = 1), &[]);
}

#[test]
fn what_the_webhook_skips() {
    check(|it| deployment(it).skip_containers.push("proxy".into()), &["CONTAINERS_SKIPPED"]);
    let skipped = |it: &mut Inventory| {
        deployment(it).skips_webhook = true;
        deployment(it).aws_env.push("AWS_ROLE_ARN".into());
        pods(it)[0].skips_webhook = true;
        pods(it)[0].mode = Mode::None;
        nodes(it)[0].compute = Compute::Fargate;
    };
    check(skipped, &["WEBHOOK_SKIPPED"]);
}

#[test]
fn pods_that_use_something_else() {
    check(|it| pods(it)[0].mode = Mode::None, &["POD_MODE_UNEXPECTED"]);
    check(|it| pods(it)[0].mode = Mode::Irsa("other".into()), &["POD_MODE_UNEXPECTED"]);
    check(|it| pods(it)[0].mode = Mode::PodIdentity, &[]);
}
