//! Worlds with one idea each.

use irsa_migrate::inventory::{Strategy, WorkloadKind};
use irsa_migrate::sim::build::Builder;

/// A world with one idea in it.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) build: fn() -> Builder,
}

pub(crate) const SHAPES: [Shape; 4] = [
    Shape { name: "one ServiceAccount", build: one },
    Shape { name: "a shared role", build: shared },
    Shape { name: "a role in two clusters", build: two_clusters },
    Shape { name: "a DaemonSet that rolls on delete", build: on_delete },
];

fn one() -> Builder {
    Builder::new()
        .cluster("blue")
        .role("cart", &[("shop", "cart")])
        .service_account("shop", "cart", Some("cart"))
        .deployment("shop", "cart", "cart", 2)
}

fn shared() -> Builder {
    Builder::new()
        .cluster("blue")
        .role("shared", &[("shop", "cart"), ("shop", "stock")])
        .service_account("shop", "cart", Some("shared"))
        .service_account("shop", "stock", Some("shared"))
        .deployment("shop", "cart", "cart", 1)
        .workload(WorkloadKind::StatefulSet, "shop", "stock", "stock", 2)
}

fn two_clusters() -> Builder {
    let in_each = |it: Builder| {
        it.role("ship", &[("logs", "ship")])
            .service_account("logs", "ship", Some("ship"))
            .deployment("logs", "ship", "ship", 1)
    };
    in_each(in_each(Builder::new().cluster("blue")).cluster("green"))
}

fn on_delete() -> Builder {
    Builder::new()
        .cluster("blue")
        .role("ship", &[("logs", "ship")])
        .service_account("logs", "ship", Some("ship"))
        .workload_with(WorkloadKind::DaemonSet, "logs", "ship", "ship", 3, |it| it.strategy = Strategy::OnDelete)
}
