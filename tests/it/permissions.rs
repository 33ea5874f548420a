//! The table of calls that the written rights follow from, against the ports themselves.

use std::collections::BTreeSet;

use irsa_migrate::permissions::{Stage, calls};

/// The async methods of one port, as its source declares them.
fn methods(source: &str, port: &str) -> BTreeSet<String> {
    let start = source.find(&format!("pub trait {port} {{")).expect("the trait");
    let body = &source[start..];
    let body = &body[..body.find("\n}").expect("its end")];
    body.split("async fn ").skip(1).filter_map(|it| it.split('(').next()).map(str::to_owned).collect()
}

#[test]
fn every_call_of_the_ports_has_one_row() {
    let aws = include_str!("../../src/ports/aws.rs");
    for (port, source) in [("Iam", aws), ("Eks", aws), ("Cluster", include_str!("../../src/ports/cluster.rs"))] {
        let rows: Vec<_> = calls(Stage::Apply).filter(|it| it.port == port).map(|it| it.method.to_owned()).collect();
        assert_eq!(rows.len(), rows.iter().collect::<BTreeSet<_>>().len(), "{port}");
        assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), methods(source, port), "{port}");
    }
}
