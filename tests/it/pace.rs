//! So many pods are started each second, and no more.

use irsa_migrate::apply::Why;
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Call, Sim};
use jiff::{SignedDuration, Timestamp};

use crate::cycle::{carry_out, plan_of};

const PODS: u32 = 6;

/// Four Deployments of six pods each, of one ServiceAccount each.
fn shop() -> Sim {
    let mut builder = Builder::new().cluster("blue");
    for name in ["one", "two", "three", "four"] {
        let with = builder.role(name, &[("shop", name)]).service_account("shop", name, Some(name));
        builder = with.deployment("shop", name, name, PODS);
    }
    builder.sim()
}

/// When each Deployment was restarted, at this rate. All are ready for it at the same moment.
fn restarts(rate: u32) -> Vec<Timestamp> {
    let sim = shop();
    let plan = plan_of(&sim, &format!("[[wave]]\nname = \"all\"\n[numbers]\npod_starts_per_second = {rate}\n"));
    assert_eq!(carry_out(&sim, &sim.journal(), &plan).unwrap().why, Why::Ended);
    let world = sim.world();
    let stamps = world.history().writes().filter(|it| matches!(it.call, Call::Stamp { .. }));
    stamps.map(|it| it.at).collect()
}

#[test]
fn pods_of_units_side_by_side_start_at_the_rate_that_was_asked_for() {
    for rate in [1, 2, 3] {
        let at = restarts(rate);
        assert_eq!(at.len(), 4);
        let pause = SignedDuration::from_secs(i64::from(PODS / rate));
        for pair in at.windows(2) {
            let between = pair[1].duration_since(pair[0]);
            assert!(between >= pause, "at {rate} a second: {between} between restarts of {PODS} pods");
        }
        // And nobody waits for longer than the rate asks.
        let all = at[3].duration_since(at[0]);
        assert!(all <= pause * 3 + SignedDuration::from_secs(5), "at {rate} a second it took {all}");
    }
}
