//! What the webhook does, and who refuses a pod.

use super::*;
use crate::sim::{Lag, NeverReady};

#[test]
fn an_association_comes_before_the_annotation_and_a_running_pod_never_changes() {
    let sim = shop().deployment("carts", "cart", "cart", 1).sim();
    assert_eq!(probe(&sim), Probe::Admitted(irsa()));
    associate(&sim);
    assert_eq!(probe(&sim), Probe::Admitted(Mode::PodIdentity));
    pass(&sim, 3600);
    assert_eq!(modes(&sim), count("IRSA", 1));
    sim.world().annotate(&cart(), None).unwrap();
    assert_eq!(probe(&sim), Probe::Admitted(Mode::PodIdentity));
    sim.world().edit_association(&cart(), None).unwrap();
    assert_eq!(probe(&sim), Probe::Admitted(Mode::None), "neither: the node's role");
}

#[test]
fn the_annotation_is_injected_as_it_stands() {
    let sim = shop().service_account("carts", "odd", None).sim();
    let odd = Subject { service_account: "odd".into(), ..cart() };
    sim.world().annotate(&odd, Some("null")).unwrap();
    let reply = call(&sim, Call::Probe { subject: odd, template: None }).unwrap();
    assert_eq!(reply, Reply::Probe(Probe::Admitted(Mode::Irsa("null".into()))));
}

#[test]
fn a_pod_that_skips_the_webhook_gets_nothing() {
    let sim = shop()
        .workload_with(WorkloadKind::Deployment, "carts", "cart", "cart", 1, |it| it.template.skips_webhook = true)
        .association("carts", "cart", "cart")
        .sim();
    assert_eq!(modes(&sim), count("none", 1));
}

#[test]
fn variables_set_by_hand_are_never_overwritten() {
    let world = shop().workload_with(WorkloadKind::Deployment, "carts", "cart", "cart", 1, |it| {
        it.template.aws_env = vec!["AWS_ROLE_ARN".into(), "AWS_WEB_IDENTITY_TOKEN_FILE".into()];
        it.template.role_by_hand = Some("arn:aws:iam::111122223333:role/other".into());
    });
    let by_hand = Mode::Irsa("arn:aws:iam::111122223333:role/other".into());
    assert_eq!(pods(&world.clone().sim())[0].mode, by_hand);
    assert_eq!(pods(&world.association("carts", "cart", "cart").sim())[0].mode, Mode::Both);
}

#[test]
fn a_webhook_that_is_down_lets_pods_in_as_they_are() {
    let sim = shop().sim();
    associate(&sim);
    sim.world().set_webhook_down(&cluster(), true).unwrap();
    assert_eq!(probe(&sim), Probe::Admitted(Mode::None));
}

#[test]
fn each_api_server_has_a_lag_of_its_own() {
    let sim = shop().api_servers(2).sim();
    let slow = Lag { webhooks: [((cluster(), 1), Duration::from_secs(8))].into(), ..Lag::default() };
    sim.world().set_lag(slow);
    pass(&sim, 60);
    associate(&sim);
    let mut seen: Vec<Probe> = (0..40).map(|_| probe(&sim)).collect();
    assert!(seen.contains(&Probe::Admitted(irsa())) && seen.contains(&Probe::Admitted(Mode::PodIdentity)));
    pass(&sim, 8);
    seen = (0..40).map(|_| probe(&sim)).collect();
    assert!(seen.iter().all(|it| *it == Probe::Admitted(Mode::PodIdentity)));
}

#[test]
fn a_missing_service_account_stops_every_pod() {
    let sim = Builder::new().cluster("shop").deployment("carts", "cart", "cart", 2).sim();
    assert_eq!(pods(&sim), []);
    let Probe::Rejected(why) = probe(&sim) else { panic!("admitted") };
    assert!(why.contains("error looking up service account carts/cart"), "{why}");
    sim.world()
        .edit_service_account(&cart(), |_| {
            Some(crate::inventory::ServiceAccount {
                namespace: "carts".into(),
                name: "cart".into(),
                uid: "u".into(),
                role_arn: None,
                audience: None,
                owners: Vec::new(),
                labels: BTreeMap::new(),
            })
        })
        .unwrap();
    pass(&sim, 1000);
    assert_eq!(modes(&sim), count("none", 2), "made as soon as its controller tries again");
}

#[test]
fn a_full_quota_refuses_probes_and_pods_and_stalls_a_roll_out() {
    let sim = shop().deployment("carts", "cart", "cart", 2).sim();
    sim.world().set_pod_quota(&cluster(), "carts", Some(2)).unwrap();
    let Probe::Rejected(why) = probe(&sim) else { panic!("admitted") };
    assert!(why.contains("exceeded quota"), "{why}");
    stamp(&sim, WorkloadKind::Deployment, Some("one"));
    pass(&sim, 300);
    assert_eq!(rollout(&sim, WorkloadKind::Deployment).updated, 0, "no room for the surge");
    sim.world().set_pod_quota(&cluster(), "carts", Some(3)).unwrap();
    pass(&sim, 900);
    assert!(rollout(&sim, WorkloadKind::Deployment).complete);
}

#[test]
fn another_admission_webhook_may_refuse_and_says_why() {
    let sim = shop().sim();
    sim.world().reject_pods(&cluster(), "carts", Some("violates PodSecurity \"restricted:latest\"")).unwrap();
    assert_eq!(probe(&sim), Probe::Rejected("violates PodSecurity \"restricted:latest\"".into()));
    sim.world().reject_pods(&cluster(), "carts", None).unwrap();
    assert_eq!(probe(&sim), Probe::Admitted(irsa()));
}

#[test]
fn a_pod_that_needs_credentials_is_ready_once_it_gets_some() {
    let sim = shop()
        .workload_with(WorkloadKind::Deployment, "carts", "cart", "cart", 1, |it| it.needs_credentials = true)
        .sim();
    assert!(pods(&sim)[0].ready);
    // The trust policy does not let Pod Identity in: the switch breaks every new pod.
    associate(&sim);
    stamp(&sim, WorkloadKind::Deployment, Some("one"));
    pass(&sim, 60);
    let new = pods(&sim).into_iter().find(|it| it.mode == Mode::PodIdentity).unwrap();
    assert!(!new.ready && new.restarts > 3);
    sim.world().edit_trust(&role(), Some(OPEN)).unwrap();
    pass(&sim, 60);
    assert_eq!(modes(&sim), count("Pod Identity", 1));
    assert!(rollout(&sim, WorkloadKind::Deployment).complete);
}

/// What AWS documents as the trust policy for Pod Identity.
const OPEN: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}"#;

#[test]
fn pod_identity_needs_an_agent_on_the_node() {
    let sim = shop()
        .role_with("cart", OPEN)
        .association("carts", "cart", "cart")
        .without_agent()
        .workload_with(WorkloadKind::Deployment, "carts", "cart", "cart", 1, |it| it.needs_credentials = true)
        .sim();
    let pod = &pods(&sim)[0];
    assert!(!pod.ready);
    let node = pod.node.clone().unwrap();
    sim.world().set_agent(&cluster(), &node, crate::inventory::AgentOnNode::Ready).unwrap();
    pass(&sim, 30);
    assert!(pods(&sim)[0].ready);
}

#[test]
fn pods_go_where_they_may() {
    let sim = shop().fargate("carts").deployment("carts", "cart", "cart", 1).sim();
    assert!(pods(&sim)[0].node.as_ref().unwrap().starts_with("fargate-ip-"));
    let sim = shop()
        .workload_with(WorkloadKind::Deployment, "carts", "cart", "cart", 1, |it| {
            it.template.node_selector = [("pool".to_owned(), "gpu".to_owned())].into();
        })
        .sim();
    assert_eq!((pods(&sim)[0].node.clone(), pods(&sim)[0].ready), (None, false), "no node fits: pending");
    let broken = Some(NeverReady::Image("registry.example.com/cart:1.0.0".into()));
    let sim =
        shop().workload_with(WorkloadKind::Deployment, "carts", "cart", "cart", 1, |it| it.never_ready = broken).sim();
    assert!(!pods(&sim)[0].ready);
}
