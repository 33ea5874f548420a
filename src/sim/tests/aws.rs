//! IAM and EKS.

use super::*;
use crate::ports::{NewAssociation, PortError};
use crate::sim::Lag;

/// The trust policy of `cart`, with our kind of statement added.
fn trusting(sim: &Sim) -> String {
    let trust = sim.world().state().trusts[ROLE].clone();
    let statement = r#",
    {
      "Sid": "IrsaMigrate0123456789abcdef",
      "Effect": "Allow",
      "Principal": { "Service": "pods.eks.amazonaws.com" },
      "Action": ["sts:AssumeRole", "sts:TagSession"],
      "Condition": { "StringEquals": { "aws:RequestTag/kubernetes-namespace": "carts" } }
    }
  ]
}
"#;
    trust.replace("\n  ]\n}\n", statement)
}

fn new(role: &str, token: &str) -> Call {
    let role_arn = RoleArn::parse(role).unwrap();
    Call::CreateAssociation(NewAssociation { subject: cart(), role_arn, tags: BTreeMap::new(), token: token.into() })
}

fn set_trust(document: &str) -> Call {
    Call::SetTrust { role: role(), document: document.into() }
}

fn refused(answer: Answer<Reply>, code: &str) {
    let error = answer.unwrap_err();
    assert!(matches!(&error, PortError::Invalid(it) if it.starts_with(code)), "{error}");
}

fn association(sim: &Sim) -> Option<crate::inventory::Association> {
    match call(sim, Call::AssociationOf(cart())).unwrap() {
        Reply::AssociationOf(it) => it,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_association_needs_a_role_of_the_account_that_lets_pod_identity_in() {
    let sim = shop().account("444455556666").cluster("other").account("111122223333").sim();
    refused(call(&sim, new(ROLE, "t")), "InvalidParameterException: Trust policy of the role provided is invalid");
    refused(call(&sim, new("arn:aws:iam::111122223333:role/none", "t")), "InvalidParameterException: Role provided");
    refused(call(&sim, new("arn:aws:iam::444455556666:role/cart", "t")), "InvalidParameterException");
    let document = trusting(&sim);
    call(&sim, set_trust(&document)).unwrap();
    call(&sim, new(ROLE, "t")).unwrap();
    assert_eq!(sim.world().writes(), 2);
    // The list tells neither role nor tags.
    let Reply::Associations(all) = call(&sim, Call::Associations(cluster())).unwrap() else { panic!() };
    assert!(all.len() == 1 && all[0].detail.is_none());
    assert!(association(&sim).unwrap().detail.is_some());
}

#[test]
fn an_idempotency_token_makes_nothing_twice() {
    let sim = shop().sim();
    let document = trusting(&sim);
    call(&sim, set_trust(&document)).unwrap();
    call(&sim, new(ROLE, "t")).unwrap();
    let first = association(&sim).unwrap();
    call(&sim, new(ROLE, "t")).unwrap();
    assert_eq!(association(&sim).unwrap(), first);
    assert!(matches!(call(&sim, new(ROLE, "u")), Err(PortError::Conflict(it)) if it.starts_with("ResourceInUse")));
    refused(call(&sim, new("arn:aws:iam::111122223333:role/none", "t")), "InvalidParameterException: the idempotency");
    let delete = Call::DeleteAssociation { cluster: cluster(), id: first.id };
    call(&sim, delete.clone()).unwrap();
    assert!(matches!(call(&sim, delete), Err(PortError::NotFound(_))));
    call(&sim, new(ROLE, "t")).unwrap();
}

#[test]
fn what_iam_does_not_store() {
    let sim = shop().sim();
    refused(call(&sim, set_trust("{}")), "MalformedPolicyDocument");
    let padded = trusting(&sim).replace('\n', &"\n ".repeat(2000));
    call(&sim, set_trust(&padded)).unwrap();
    let long = trusting(&sim).replace("carts\"", &format!("{}\"", "x".repeat(2048)));
    refused(call(&sim, set_trust(&long)), "LimitExceeded");
    let none = RoleArn::parse("arn:aws:iam::111122223333:role/none").unwrap();
    assert!(matches!(call(&sim, Call::Role(none)), Err(PortError::NotFound(_))));
    for other in ["arn:aws:iam::444455556666:role/cart", "arn:aws:iam::111122223333:role/team/cart"] {
        let other = RoleArn::parse(other).unwrap();
        assert!(matches!(call(&sim, Call::Role(other)), Err(PortError::Invalid(_))), "IAM looks by name alone");
    }
}

#[test]
fn a_read_in_lag_may_tell_the_old_and_the_new() {
    let sim = shop().sim();
    sim.world().set_lag(Lag { api: Duration::from_secs(10), ..Lag::default() });
    let old = sim.world().state().trusts[ROLE].clone();
    let new = trusting(&sim);
    call(&sim, set_trust(&new)).unwrap();
    let read = || match call(&sim, Call::Role(role())).unwrap() {
        Reply::Role(role) => role.trust,
        other => panic!("{other:?}"),
    };
    let seen: Vec<String> = (0..40).map(|_| read()).collect();
    assert!(seen.contains(&old) && seen.contains(&new));
    pass(&sim, 10);
    assert!((0..40).all(|_| read() == new));
}

/// EKS asks STS, which may not have seen the new trust policy yet.
#[test]
fn an_association_made_too_early_is_refused() {
    let sim = shop().sim();
    sim.world().set_lag(Lag { sts: Duration::from_secs(10), ..Lag::default() });
    let document = trusting(&sim);
    call(&sim, set_trust(&document)).unwrap();
    refused(call(&sim, new(ROLE, "t")), "InvalidParameterException: Trust policy");
    pass(&sim, 10);
    call(&sim, new(ROLE, "t")).unwrap();
}

#[test]
fn a_deleted_role_is_gone_and_lists_tell_less_than_gets() {
    let sim = shop().role_tags("cart", &[("ManagedBy", "terraform")]).sim();
    let Reply::Roles(all) = call(&sim, Call::Roles).unwrap() else { panic!() };
    assert!(all.len() == 1 && all[0].detail.is_none());
    let Reply::Role(one) = call(&sim, Call::Role(role())).unwrap() else { panic!() };
    assert_eq!(one.detail.unwrap().get().unwrap().tags.len(), 1);
    sim.world().edit_trust(&role(), None).unwrap();
    assert!(matches!(call(&sim, Call::Role(role())), Err(PortError::NotFound(_))));
    assert_eq!(call(&sim, Call::Roles).unwrap(), Reply::Roles(Vec::new()));
}

#[test]
fn the_quota_on_associations() {
    let sim = shop().association("carts", "other", "cart").sim();
    let document = trusting(&sim);
    call(&sim, set_trust(&document)).unwrap();
    sim.world().set_association_quota(&cluster(), 1).unwrap();
    refused(call(&sim, new(ROLE, "t")), "ResourceLimitExceededException");
}
