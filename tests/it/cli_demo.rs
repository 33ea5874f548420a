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
fn the_demo_is_the_same_each_time() {
    // Its journal's runs are named by digests, so that all of it is reproducible.
    assert_eq!(Home::new().run(&["demo"]).stdout, Home::new().run(&["demo"]).stdout);
}
