//! Plans as a person reads them: on a terminal, in a pull request.

use irsa_migrate::inventory::{Inventory, Seen, WorkloadKind};
use irsa_migrate::model::Digest;
use irsa_migrate::plan::{Plan, Settings, plan};
use irsa_migrate::view::text::Look;
use irsa_migrate::view::{self, markdown, text};

use crate::inventories::{Fleet, role_arn, several, trust};

fn planned(inventory: &Inventory, settings: &str) -> (Plan, Digest) {
    let plan = plan(inventory, &Settings::parse(settings).expect("settings")).expect("a plan");
    let digest = Digest::of(&plan.to_bytes().expect("bytes"));
    (plan, digest)
}

fn shown(inventory: &Inventory, settings: &str, width: usize) -> String {
    let (plan, digest) = planned(inventory, settings);
    text::render(&view::plan::plan(&plan, &digest), Look { width, colour: false })
}

fn in_markdown(inventory: &Inventory) -> String {
    let (plan, digest) = planned(inventory, "");
    markdown::render(&view::plan::plan(&plan, &digest))
}

const SETTINGS: &str = r#"
[[window]]
days = ["tue", "thu"]
start = "22:00"
minutes = 240
time_zone = "Europe/Berlin"
[numbers]
trust_settle = 5
"#;

#[test]
fn a_plan_on_a_narrow_terminal() {
    insta::assert_snapshot!(shown(&several(), SETTINGS, 80));
}

#[test]
fn a_plan_on_a_wide_terminal() {
    insta::assert_snapshot!(shown(&several(), SETTINGS, 200));
}

#[test]
fn a_plan_in_a_pull_request() {
    insta::assert_snapshot!(in_markdown(&several()));
}

#[test]
fn every_line_fits_the_terminal_but_a_diffs() {
    let is_diff = |it: &str| it.starts_with(['+', '-', ' ', '@']);
    for width in [80, 200] {
        let shown = shown(&several(), SETTINGS, width);
        let long: Vec<&str> = shown.lines().filter(|it| it.chars().count() > width && !is_diff(it)).collect();
        assert!(long.is_empty(), "{long:#?}");
    }
}

/// Three hundred tenants that annotated themselves with a role that does not trust them.
fn three_hundred_held() -> Inventory {
    let mut fleet = Fleet::of(&["blue"]).role("cart", &trust(&[("blue", "shop:cart")]));
    for number in 0..300 {
        fleet = fleet.account("blue", &format!("tenant-{number:03}"), "app", "cart");
    }
    fleet.0
}

#[test]
fn three_hundred_that_are_held_stay_readable() {
    let shown = shown(&three_hundred_held(), "", 100);
    assert!(shown.lines().count() < 130, "{shown}");
    for number in 0..300 {
        assert!(shown.contains(&format!("tenant-{number:03}/app")), "{number} is not named:\n{shown}");
    }
    assert_eq!(shown.matches("What to do:").count(), 2, "{shown}");
}

/// Names of others that wish the reader ill.
fn hostile() -> Inventory {
    let evil = "x\u{1b}[2K\r\n# heading | `code` <script>alert(1)</script> \u{202e}";
    let mut fleet = several();
    let Seen::Seen(accounts) = &mut fleet.clusters[1].service_accounts else { panic!("they were read") };
    accounts[1].role_arn = Some(format!("arn:aws:iam::111122223333:role/{evil}"));
    accounts[1].name = format!("thief{evil}");
    let deployments = fleet.clusters[0].workloads.get_mut(&WorkloadKind::Deployment).expect("deployments");
    let Seen::Seen(deployments) = deployments else { panic!("they were read") };
    deployments[0].at.name = format!("cart{evil}");
    fleet
}

#[test]
fn names_of_others_do_no_harm_on_a_terminal() {
    let shown = shown(&hostile(), "", 100);
    assert!(shown.contains("cart"), "{shown}");
    let harmless = |c: char| c == '\n' || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
    assert!(shown.chars().all(harmless), "{shown:?}");
    assert!(!shown.lines().any(|it| it.starts_with("# heading")), "{shown}");
}

#[test]
fn names_of_others_do_no_harm_in_a_pull_request() {
    let shown = in_markdown(&hostile());
    assert!(shown.contains("script"), "{shown}");
    assert!(!shown.lines().any(|it| it.starts_with("# heading")), "{shown}");
    // Wherever the tag stands, it is inside a code span that the backtick of the name cannot end.
    for line in shown.lines().filter(|it| it.contains("<script>")) {
        let (before, _) = line.split_once("<script>").expect("the tag");
        assert!(before.matches("``").count() % 2 == 1, "{line}");
    }
}

/// A role that a whole namespace may assume, and one ServiceAccount there that has it.
fn a_whole_namespace() -> Inventory {
    let trust = trust(&[("blue", "shop:*")]).replace("StringEquals", "StringLike");
    Fleet::of(&["blue"]).role("cart", &trust).account("blue", "shop", "cart", "cart").0
}

/// Whether a table has this row.
fn has_row(shown: &str, row: &str) -> bool {
    shown.lines().any(|it| it.split_whitespace().collect::<Vec<_>>().join(" ") == row)
}

#[test]
fn whom_a_pattern_covers_is_let_in_by_it() {
    let tight = shown(&a_whole_namespace(), "[trust]\nmode = \"tight\"", 100);
    assert!(has_row(&tight, "blue shop * yes not all") && has_row(&tight, "blue shop cart yes yes"), "{tight}");
    assert!(tight.contains("for 1 role fewer than that") && !tight.contains("NEW ACCESS"), "{tight}");
}

#[test]
fn new_access_is_said_in_the_plans_head() {
    let open = format!("[trust.roles]\n\"{}\" = \"open\"", role_arn("cart"));
    let open = shown(&a_whole_namespace(), &open, 100);
    assert!(open.contains("NEW ACCESS to 1 role") && open.contains("MORE than that"), "{open}");
    assert!(has_row(&open, "blue * * not all yes") && has_row(&open, "any other * * no yes"), "{open}");
    assert!(has_row(&open, "blue shop * yes yes"), "{open}");
}
