//! The fleet of the demonstration is what it says it is.

use super::*;
use crate::inventory::{Compute, Node};
use crate::sim::fleet;

#[test]
fn the_fleet_has_one_of_each() {
    let sim = fleet();
    let prod = ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/shop-prod").unwrap();
    let state = sim.world().state();
    assert_eq!(state.annotations.len(), 12);
    assert_eq!(state.associations.len(), 1);
    let Reply::Pods(all) = call(&sim, Call::Pods(prod.clone())).unwrap() else { panic!() };
    assert!(all.iter().all(|it| it.ready), "everything is up");
    assert!(!all.iter().any(|it| it.namespace == "search"), "the ServiceAccount of search is missing");
    let Reply::Nodes(nodes) = call(&sim, Call::Nodes(prod.clone())).unwrap() else { panic!() };
    let fargate = |it: &&Node| it.compute == Compute::Fargate;
    assert!(nodes.iter().any(|it| fargate(&it)));
    // Each annotated ServiceAccount but the tenant's gets the role that it asks for.
    for (name, role) in &state.annotations {
        let (cluster, rest) = name.split_at(name.find("/").unwrap() + 1);
        let mut parts = rest.split('/');
        let cluster = format!("{cluster}{}", parts.next().unwrap());
        let subject = Subject {
            cluster: ClusterArn::parse(&cluster).unwrap(),
            namespace: parts.next().unwrap().into(),
            service_account: parts.next().unwrap().into(),
        };
        let granted = sim.world().irsa_ok(&subject, role, "sts.amazonaws.com");
        assert_eq!(granted, subject.namespace != "team-b", "{subject}");
    }
}

#[test]
fn states_are_compared_in_words() {
    let sim = fleet();
    let before = sim.world().state();
    assert_eq!(before.differences(&sim.world().state()), Vec::<String>::new());
    assert_eq!(before.digest(), fleet().world().state().digest(), "the fleet is the same every time");
    let role = RoleArn::parse("arn:aws:iam::111122223333:role/media-cdn").unwrap();
    sim.world().edit_trust(&role, Some("{}")).unwrap();
    let lines = before.differences(&sim.world().state());
    assert!(lines.len() == 1 && lines[0].starts_with("trust of arn:aws:iam::111122223333:role/media-cdn"), "{lines:?}");
}
