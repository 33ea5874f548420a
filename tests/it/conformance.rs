//! The scripts of port calls on the simulated world alone. The same transcripts are compared with
//! real servers in the end-to-end suite: what is written here is what the simulated world claims
//! of Kubernetes and of AWS.

#[path = "../conformance/mod.rs"]
mod scripts;

use scripts::{Fixture, aws, kubernetes, simulated};

#[test]
fn what_a_simulated_cluster_answers() {
    let fixture = Fixture::new();
    let sim = simulated::cluster(&fixture);
    let said = sim.run(kubernetes::run(&sim, &fixture)).unwrap();
    insta::assert_snapshot!("kubernetes", said.join("\n"));
}

#[test]
fn what_a_simulated_account_answers() {
    let fixture = Fixture::new();
    let sim = simulated::account(&fixture).sim();
    let said = sim.run(async {
        let mut said = aws::roles(&sim, &fixture).await;
        said.extend(aws::associations(&sim, &fixture).await);
        said.extend(aws::many_roles(&sim).await);
        said
    });
    insta::assert_snapshot!("aws", said.unwrap().join("\n"));
}
