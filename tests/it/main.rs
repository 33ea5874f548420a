//! The tests that need no server, in one binary.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a helper of a test that cannot go on says where")]

mod api_server;
mod architecture;
mod aws;
mod cli;
mod cli_demo;
mod cli_explain;
mod cli_files;
mod cli_journal;
mod cli_permissions;
mod cli_runs;
mod cli_trust;
mod conformance;
mod cycle;
mod evaluate;
mod gate;
mod inventories;
mod journal;
mod locks;
mod permissions;
mod plan_check;
mod planner;
mod precheck;
mod promises;
mod promises_orders;
mod promises_restored;
mod recorded;
mod rollback;
mod scan;
mod trust_corpus;
mod trust_decisions;
mod trust_edits;
mod trust_fuzz;
mod trust_limits;
mod trust_odd;
mod trust_proof;
mod trust_random;
mod trust_rules;
mod trust_undo;
mod twin;
mod view_plan;
mod waiting;
mod windows;
#[path = "../wire/mod.rs"]
mod wire;
mod wire_self;
