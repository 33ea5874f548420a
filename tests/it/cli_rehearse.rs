//! `rehearse`: a plan on the twin of its inventory, through the program that a person runs.

use irsa_migrate::inventory::{Inventory, WorkloadKind};
use irsa_migrate::plan::{Plan, Settings, plan};

use crate::cli::Home;
use crate::inventories::{Fleet, one, role_arn, several, trust};

/// A report without its times and numbers of calls, which change with how steps wait.
fn timeless(report: &str) -> String {
    let words: Vec<&str> = report.split_inclusive(' ').collect();
    let unit = |at: usize| {
        let next = words.get(at + 1).copied().unwrap_or_default();
        let end = next.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(next.len());
        ["s", "min", "calls"].contains(&&next[..end])
    };
    let is_number = |word: &str| word.trim_end().bytes().all(|b| b.is_ascii_digit()) && word.len() > 1;
    let word =
        |(at, word): (usize, &&str)| if is_number(word) && unit(at) { "N ".to_owned() } else { (*word).to_owned() };
    words.iter().enumerate().map(word).collect()
}

fn home(inventory: &Inventory, settings: &str) -> Home {
    let home = Home::new();
    home.write("inventory.json", inventory.to_bytes().expect("bytes"));
    let settings = Settings::parse(settings).expect("settings");
    home.write("plan.json", plan(inventory, &settings).expect("a plan").to_bytes().expect("bytes"));
    home
}

#[test]
fn a_plan_that_does_what_it_says() {
    let home = home(&several(), "");
    let seen = home.run(&["rehearse", "plan.json", "--without-faults"]);
    assert_eq!(seen.code, Some(0), "{}", seen.whole());
    insta::assert_snapshot!(timeless(&seen.whole()));
    let seen = home.run(&["rehearse", "plan.json", "--without-faults", "-o", "markdown"]);
    insta::assert_snapshot!("markdown", timeless(&seen.stdout));
}

#[test]
fn every_fault_at_every_call() {
    // A run of few calls, so that all of it is soon tried.
    let few = "[numbers]\ntrust_settle = 1\nassociation_settle = 1\nbake = 0\n[apply]\neffective = \"observe\"\n";
    let home = home(&no_pods(), few);
    let seen = home.run(&["rehearse", "plan.json", "--inventory", "inventory.json", "-o", "json"]);
    assert_eq!(seen.code, Some(0), "{}", seen.whole());
    let json: serde_json::Value = serde_json::from_str(&seen.stdout).expect("JSON");
    assert_eq!(json["nominal"]["broken"], serde_json::json!([]));
    let trial = &json["trials"][0];
    assert_eq!(trial["shape"], "no workload");
    let count = |what: &str| trial[what].as_u64().expect("a number");
    assert!(count("calls") > 30 && count("entries") > 8 && count("undoCalls") > 10, "{trial:#}");
    assert_eq!(count("callCases"), count("calls") * 8 * 2);
    assert_eq!(count("entryCases"), count("entries") * 4 * 2);
    assert!(count("undoCases") > count("undoCalls") && count("failed") == 0, "{trial:#}");
    // Where nothing can be painted over, each part has its lines, whatever happens in it.
    let cases = count("callCases") + count("entryCases") + count("undoCases");
    let said = [
        "Rehearsing the whole plan".to_owned(),
        "Rehearsing its undo".to_owned(),
        "Rehearsing role by role, watched".to_owned(),
        format!("Rehearsing faults: {cases} cases on 1 shape; --without-faults leaves them out"),
        format!("Rehearsing shape 1 of 1 (no workload): {cases} cases"),
        format!("Rehearsed shape 1 of 1: {cases} cases, all well"),
    ];
    assert_eq!(seen.stderr.lines().collect::<Vec<_>>(), said);
}

#[test]
fn a_twin_that_is_quicker_than_aws_proves_nothing_of_settle_times() {
    let report = |settings: &str| {
        let seen = home(&no_pods(), settings).run(&["rehearse", "plan.json", "--without-faults"]);
        assert_eq!(seen.code, Some(0), "{}", seen.whole());
        seen.stdout
    };
    let warned = ["on a twin that is quicker than AWS", "times too short to rely on: trust_settle is 5 s"];
    let quick = report("[numbers]\ntrust_settle = 5\n");
    assert!(warned.iter().all(|it| quick.contains(it)), "{quick}");
    let enough = report("[numbers]\ntrust_settle = 11\nassociation_settle = 11\n");
    assert!(warned.iter().all(|it| !enough.contains(it)), "{enough}");
}

/// One ServiceAccount without a workload.
fn no_pods() -> Inventory {
    Fleet::of(&["blue"]).role("cart", &trust(&[("blue", "shop:cart")])).account("blue", "shop", "cart", "cart").0
}

#[test]
fn windows_are_waited_for_in_the_twins_own_time() {
    let windows = "[[window]]\ndays = [\"thu\"]\nstart = \"22:00\"\nminutes = 30\ntime_zone = \"Europe/Berlin\"\n";
    let seen = home(&one(), windows).run(&["rehearse", "plan.json", "--without-faults"]);
    assert_eq!(seen.code, Some(0), "{}", seen.whole());
    // The inventory is of a Tuesday, 12:00 UTC.
    assert!(seen.stdout.contains("2 d 9 h of waiting for windows"), "{}", seen.stdout);
    assert!(seen.stdout.contains("2026-11-26 21:00:00Z"), "{}", seen.stdout);
}

#[test]
fn windows_that_nothing_fits_into_are_not_waited_for() {
    let home = home(&one(), "");
    let short = "[[window]]\ndays = [\"thu\"]\nstart = \"22:00\"\nminutes = 1\ntime_zone = \"UTC\"\n";
    let mut edited = Plan::from_bytes(&std::fs::read(home.path("plan.json")).expect("the plan")).expect("a plan");
    edited.windows = Settings::parse(short).expect("settings").windows;
    home.write("plan.json", edited.to_bytes().expect("bytes"));
    let seen = home.run(&["rehearse", "plan.json", "--without-faults"]);
    assert_eq!(seen.code, Some(21), "{}", seen.whole());
    for said in ["what is left fits into no window", "it is expected to take 62 s, and the longest window is 60 s"] {
        assert!(seen.stdout.contains(said), "{said}: {}", seen.stdout);
    }
    assert!(!seen.stdout.contains("waiting for windows"), "{}", seen.stdout);
    assert_eq!(seen.stderr.matches("Rehearsing the whole plan").count(), 1, "{}", seen.stderr);
}

#[test]
fn units_that_would_not_end_are_told() {
    // No node has this label any more: pods that run stay, and a roll-out never ends.
    let inventory = Fleet::of(&["blue"])
        .role("cart", &trust(&[("blue", "shop:cart")]))
        .account("blue", "shop", "cart", "cart")
        .workload("blue", ("shop", "cart", "cart"), WorkloadKind::Deployment, 3, |it| {
            it.node_selector.insert("disk".into(), "nowhere".into());
        })
        .0;
    let seen = home(&inventory, "").run(&["rehearse", "plan.json", "--without-faults"]);
    assert_eq!(seen.code, Some(21), "{}", seen.whole());
    for said in
        ["not every unit ends", "The run stops before its end: a unit failed", "shop/cart  failed", "none was broken"]
    {
        assert!(seen.stdout.contains(said), "{said}: {}", seen.stdout);
    }
}

#[test]
fn new_access_that_is_asked_for_is_told_and_breaks_no_promise() {
    let open = format!("[trust.roles]\n\"{}\" = \"open\"\n", role_arn("cart"));
    let seen = home(&no_pods(), &open).run(&["rehearse", "plan.json", "--without-faults"]);
    assert_eq!(seen.code, Some(0), "{}", seen.whole());
    for said in ["none was broken", "role cart: the settings ask for it, and it is not counted"] {
        assert!(seen.stdout.contains(said), "{said}: {}", seen.stdout);
    }
}

#[test]
fn another_inventory_is_refused() {
    let home = home(&one(), "");
    home.write("inventory.json", several().to_bytes().expect("bytes"));
    let seen = home.run(&["rehearse", "plan.json"]);
    assert_eq!((seen.code, seen.stdout.as_str()), (Some(2), ""), "{}", seen.whole());
    insta::assert_snapshot!("another_inventory", seen.whole());
}

#[test]
fn without_an_inventory_there_is_no_twin() {
    let home = home(&one(), "");
    std::fs::remove_file(home.path("inventory.json")).expect("the inventory");
    insta::assert_snapshot!("no_inventory", home.run(&["rehearse", "plan.json"]).whole());
}

#[test]
fn a_plan_that_was_edited_is_not_rehearsed() {
    let home = home(&one(), "");
    let text = std::fs::read_to_string(home.path("plan.json")).expect("the plan");
    home.write("plan.json", text.replacen("\"lease_duration\": 60", "\"lease_duration\": 1", 1));
    let seen = home.run(&["rehearse", "plan.json"]);
    assert_eq!((seen.code, seen.stdout.as_str()), (Some(2), ""), "{}", seen.whole());
    assert!(seen.stderr.contains("the plan does not hold"), "{}", seen.whole());
}
