//! `demo`: the whole cycle, through the program that a person runs.

use crate::cli::Home;

#[test]
fn the_demo_goes_there_and_back() {
    let home = Home::new();
    let seen = home.run(&["demo"]);
    assert_eq!(seen.code, Some(0), "{}", seen.whole());
    for chapter in ["1. Scan", "2. Plan", "3. Apply", "4. Verify", "5. Roll back", "6. Compare"] {
        assert!(seen.stdout.contains(chapter), "{chapter} is missing:\n{}", seen.stdout);
    }
    assert!(seen.stdout.contains("Everything is as before"), "{}", seen.stdout);
    assert!(seen.stderr.is_empty(), "{}", seen.stderr);
    assert_eq!(std::fs::read_dir(home.path(".")).expect("the home").count(), 0, "it leaves no file");
}

#[test]
fn what_the_demo_keeps_can_be_looked_at() {
    let home = Home::new();
    let seen = home.run(&["demo", "--out", "shop"]);
    assert_eq!(seen.code, Some(0), "{}", seen.whole());
    let plan = std::fs::read(home.path("shop/plan.json")).expect("the plan");
    let digest = irsa_migrate::model::Digest::of(&plan);
    let again = home.run(&["plan", "--inventory", "shop/inventory.json", "-o", "json"]);
    assert!(again.stdout.contains(digest.as_str()), "the same plan: {}", again.stdout);
    let journal = ["--journal", "shop/journal.db"];
    let runs = home.run(&["status", journal[0], journal[1]]);
    assert!(runs.stdout.contains(digest.short(12)), "{}", runs.whole());
    let run = home.run(&["status", digest.short(12), journal[0], journal[1]]);
    assert_eq!(run.code, Some(0), "{}", run.whole());
    assert!(run.stdout.contains("18 undone"), "{}", run.whole());

    let refused = home.run(&["demo", "--out", "shop"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{}", refused.whole());
    assert!(refused.stderr.contains("journal.db is there already"), "{}", refused.whole());
}

#[test]
fn the_demo_is_the_same_each_time() {
    // Its journal's runs are named by digests, so that all of it is reproducible.
    assert_eq!(Home::new().run(&["demo"]).stdout, Home::new().run(&["demo"]).stdout);
}
