//! Two operators, two journals, one role.

use super::*;

/// Two operators, each with a cluster and a journal of their own, prepare one role at the same
/// moment. IAM has no conditional write, so that one statement may be lost: whoever lost it notices.
#[test]
fn two_operators_who_edit_one_role_lose_no_statement_unseen() {
    let start = two_clusters();
    let (blue, green) = (plan_for(&start, &["blue"]), plan_for(&start, &["green"]));
    let (mut lost, mut interleavings) = (0, BTreeSet::new());
    // Without a lag there is nothing to choose from, so that one seed is all.
    for (lag, seeds) in [(0, 1), (4, 2)] {
        for seed in 0..seeds {
            for step in -30..=30_i64 {
                let sim = start.fork();
                sim.set_latency(Duration::from_millis(100));
                sim.world().set_lag(Lag {
                    api: Duration::from_secs(lag),
                    sts: Duration::from_secs(lag),
                    ..Lag::default()
                });
                sim.world().set_seed(seed);
                sim.world().watch();
                let journals = [sim.journal(), sim.journal()];
                let mut operators =
                    [Operator::new(&sim, "ann", &journals[0], &blue), Operator::new(&sim, "bob", &journals[1], &green)];
                let apart = Duration::from_millis(step.unsigned_abs() * if lag == 0 { 40 } else { 160 });
                operators[usize::from(step < 0)].after = apart;
                let ended = all_at_once(&sim, &operators);
                let what = format!("lag {lag} seed {seed} step {step}");
                interleavings.insert(order(&sim));
                for (operator, ended) in operators.iter().zip(&ended) {
                    let there = has_statement(&sim, operator.plan);
                    let done = is_done(ended);
                    assert!(there || !done, "{what}: the statement of {} is lost unseen: {ended:?}", operator.holder);
                    lost += usize::from(!there && operator.writes() > 0);
                    if !done {
                        says_why(&sim, operator, &what);
                    }
                }
                assert!(ended.iter().any(is_done), "{what}: {ended:?}");
                assert_eq!(broken(&sim), NONE, "{what}");
                repaired(&sim, &operators, &what);
            }
        }
    }
    assert!(lost > 30, "only {lost} statements were lost");
    assert!(interleavings.len() > 10, "only {} interleavings", interleavings.len());
}

/// In which order the two looked at the role and wrote to it.
fn order(sim: &Sim) -> Vec<(char, char)> {
    let world = sim.world();
    let who = |by: &str| if by.ends_with("ann") { 'a' } else { 'b' };
    let what = |call: &Call| match call.operation() {
        "role" => Some('r'),
        "set_trust" => Some('w'),
        _ => None,
    };
    let calls = world.history().calls().filter_map(|it| Some((who(&it.by), what(&it.call)?)));
    calls.take(24).collect()
}

fn role_work(plan: &Plan) -> &irsa_migrate::plan::RoleWork {
    plan.units
        .iter()
        .find_map(|it| match &it.work {
            irsa_migrate::plan::Work::Role(work) => Some(work),
            irsa_migrate::plan::Work::ServiceAccount(_) => None,
        })
        .expect("a role")
}

fn has_statement(sim: &Sim, plan: &Plan) -> bool {
    let work = role_work(plan);
    let world = sim.world();
    let trust = world.trust_now(&work.role_arn).unwrap();
    work.added.iter().all(|it| trust.contains(&it.sid))
}

/// The journal says what happened to the role, in words: with the role, or with who relies on it.
fn says_why(sim: &Sim, operator: &Operator<'_>, what: &str) {
    let status = crate::cycle::status(sim, &operator.journal, operator.plan);
    let told: Vec<&str> = operator.plan.units.iter().filter_map(|it| status.detail(&it.id.0)).collect();
    let says = |it: &&str| {
        it.contains("our statement in the role's trust policy") || it.contains("edited since the plan was made")
    };
    assert!(told.iter().any(says), "{what}: {} is told {told:?}", operator.holder);
}

/// Who failed is told so again; a new plan brings both on; and all of it can be undone.
fn repaired(sim: &Sim, operators: &[Operator<'_>; 2], what: &str) {
    for (operator, cluster) in operators.iter().zip(["blue", "green"]) {
        let again = sim.run(operator.apply()).unwrap();
        if is_done(&again) {
            continue;
        }
        // What is left of the run is given up, and planned again from the world as it is.
        let fresh = plan_for(sim, &[cluster]);
        let own = sim.journal();
        let anew = one(sim, &own, &fresh);
        assert!(is_done(&anew), "{what}: {anew:?}");
        assert!(has_statement(sim, &fresh), "{what}");
    }
    for operator in operators {
        assert!(has_statement(sim, operator.plan) || !is_done(&sim.run(operator.apply()).unwrap()), "{what}");
    }
    assert_eq!(broken(sim), NONE, "{what}");
}

/// A rollback beside another operator's run on the same role takes out its own statement alone.
#[test]
fn a_rollback_leaves_the_other_operators_statement() {
    let sim = two_clusters();
    sim.world().watch();
    let role = role_work(&plan_for(&sim, &["blue"])).role_arn.clone();
    let original = sim.world().trust_now(&role).unwrap().to_owned();
    let (ann, bob) = (sim.journal(), sim.journal());
    let blue = plan_for(&sim, &["blue"]);
    assert!(is_done(&one(&sim, &ann, &blue)));
    let green = plan_for(&sim, &["green"]);
    assert!(is_done(&one(&sim, &bob, &green)));
    assert!(is_done(&one(&sim, &ann, &undo_of(&sim, &ann, &blue))));
    assert!(has_statement(&sim, &green) && !has_statement(&sim, &blue));
    assert!(is_done(&one(&sim, &bob, &undo_of(&sim, &bob, &green))));
    let (left, before): (serde_json::Value, serde_json::Value) = (
        serde_json::from_str(sim.world().trust_now(&role).unwrap()).unwrap(),
        serde_json::from_str(&original).unwrap(),
    );
    assert_eq!(left, before);
    assert_eq!(broken(&sim), NONE);
}
