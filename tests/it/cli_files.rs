//! `plan`, `show` and `apply` on files: good ones, and every way in which one can be bad.

use irsa_migrate::inventory::{Inventory, Seen};
use irsa_migrate::model::Digest;
use irsa_migrate::plan::{Settings, plan};

use crate::cli::Home;
use crate::inventories::{one, several};

fn planned(inventory: &Inventory) -> Vec<u8> {
    plan(inventory, &Settings::default()).expect("a plan").to_bytes().expect("bytes")
}

/// A home with an inventory and its plan.
fn home() -> Home {
    let home = Home::new();
    home.write("inventory.json", one().to_bytes().expect("bytes"));
    home.write("plan.json", planned(&one()));
    home
}

/// The plan with one text in it replaced by another.
fn edited(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(planned(&one())).expect("UTF-8");
    assert!(text.contains(from), "{text}");
    text.replacen(from, to, 1).into_bytes()
}

/// Nothing may be left behind by a command that refuses.
fn refused(name: &str, home: &Home, args: &[&str]) {
    let seen = home.run(args);
    assert!(!home.path(".local").exists(), "something was made");
    assert!(seen.stdout.is_empty(), "{}", seen.stdout);
    insta::assert_snapshot!(name, seen.whole());
}

#[test]
fn planning_writes_the_plan_that_it_shows() {
    let home = home();
    let seen = home.run(&["plan", "--inventory", "inventory.json", "--out", "new.json", "--exit-code"]);
    assert_eq!(seen.code, Some(10), "{}", seen.whole());
    let bytes = std::fs::read(home.path("new.json")).expect("the plan");
    assert_eq!(bytes, std::fs::read(home.path("plan.json")).expect("the plan"));
    assert!(seen.stdout.contains(Digest::of(&bytes).as_str()), "{}", seen.whole());
    assert_eq!(home.run(&["show", "new.json"]).stdout, seen.stdout);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(home.path("new.json")).expect("the plan").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_plan_for_programs_is_the_file_and_its_digest() {
    let home = home();
    let seen = home.run(&["plan", "--inventory", "inventory.json", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&seen.stdout).expect("JSON");
    let bytes = std::fs::read(home.path("plan.json")).expect("the plan");
    assert_eq!(json["digest"], Digest::of(&bytes).as_str());
    assert_eq!(json["plan"], serde_json::from_slice::<serde_json::Value>(&bytes).expect("JSON"));
}

#[test]
fn settings_that_lie_beside_are_used_and_named() {
    let home = home();
    home.write("irsa-migrate.toml", "[scope]\nexclude = [\"shop\"]\n");
    let seen = home.run(&["plan", "--inventory", "inventory.json", "--exit-code"]);
    assert_eq!(seen.code, Some(11), "{}", seen.whole());
    assert!(seen.stderr.contains("irsa-migrate.toml"), "{}", seen.stderr);
    assert!(seen.stdout.contains("OUT_OF_SCOPE"), "{}", seen.stdout);
}

#[test]
fn an_inventory_in_short() {
    insta::assert_snapshot!(home().run(&["show", "inventory.json"]).whole());
}

#[test]
fn an_inventory_with_reads_that_failed() {
    let mut inventory = several();
    inventory.clusters[1].nodes = Seen::Unseen("denied: nodes is forbidden\u{1b}[2J".to_owned());
    inventory.clusters[1].api_servers = Seen::Unseen("denied: leases is forbidden".to_owned());
    let home = Home::new();
    home.write("inventory.json", inventory.to_bytes().expect("bytes"));
    insta::assert_snapshot!(home.run(&["show", "inventory.json"]).whole());
}

#[test]
fn a_file_that_is_not_there() {
    refused("missing", &Home::new(), &["show", "plan.json"]);
    refused("folder", &Home::new(), &["show", "."]);
}

#[test]
fn a_plan_that_is_cut_off() {
    let home = home();
    let bytes = planned(&one());
    home.write("plan.json", &bytes[..bytes.len() / 2]);
    refused("cut_off", &home, &["apply", "plan.json"]);
}

#[test]
fn a_plan_of_a_newer_format() {
    let home = home();
    home.write("plan.json", edited("\"minor\": 0", "\"minor\": 1"));
    refused("newer", &home, &["apply", "plan.json"]);
}

#[test]
fn a_plan_with_an_unknown_step() {
    let home = home();
    home.write("plan.json", edited("\"createAssociation\"", "\"deleteRole\""));
    refused("unknown_step", &home, &["apply", "plan.json"]);
}

#[test]
fn a_plan_that_grants_more_than_it_says() {
    let home = home();
    home.write(
        "plan.json",
        edited(
            "\\\"aws:RequestTag/kubernetes-namespace\\\": \\\"shop\\\"",
            "\\\"aws:RequestTag/kubernetes-namespace\\\": \\\"*\\\"",
        ),
    );
    refused("edited", &home, &["apply", "plan.json"]);
    // Whoever reviews it is told so too.
    let seen = home.run(&["show", "plan.json"]);
    assert_eq!(seen.code, Some(2), "{}", seen.whole());
    assert!(seen.stdout.contains("Migration plan") && seen.stderr.contains("does not hold"), "{}", seen.whole());
}

#[test]
fn a_plan_that_was_edited_after_its_review() {
    let home = home();
    let reviewed = Digest::of(&planned(&one()));
    home.write("plan.json", edited("\"bake\": 300", "\"bake\": 0"));
    refused("other_digest", &home, &["apply", "plan.json", "--digest", reviewed.short(16)]);
}

#[test]
fn without_a_terminal_somebody_must_quote_the_digest() {
    refused("no_digest", &home(), &["apply", "plan.json"]);
}

#[test]
fn a_wave_that_the_plan_does_not_have() {
    refused("no_wave", &home(), &["apply", "plan.json", "--through", "nowhere"]);
}

#[test]
fn an_inventory_where_a_plan_is_wanted_and_the_other_way_round() {
    refused("inventory_as_plan", &home(), &["apply", "inventory.json"]);
    refused("plan_as_inventory", &home(), &["plan", "--inventory", "plan.json"]);
}

/// What a terminal would obey, or a reader be deceived by.
fn is_harmless(shown: &str) -> bool {
    shown.chars().all(|c| c == '\n' || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)))
}

#[test]
fn names_that_would_write_to_the_terminal() {
    let evil = "x\u{1b}[2K\r\u{7}\u{202e}";
    let mut inventory = several();
    let Seen::Seen(accounts) = &mut inventory.clusters[1].service_accounts else { panic!("they were read") };
    accounts[1].role_arn = Some(format!("arn:aws:iam::111122223333:role/{evil}"));
    accounts[1].name = format!("thief{evil}");
    let home = home();
    home.write("inventory.json", inventory.to_bytes().expect("bytes"));
    let planned = planned(&inventory);
    let digest = Digest::of(&planned).to_string();
    home.write("plan.json", planned);
    home.write("edited.json", edited("\"createAssociation\"", "\"\\u001b[2Kwhatever\\u202e\""));
    let apply = ["apply", "plan.json", "--digest", &digest, "--journal", "journal.db"];
    for (args, says) in [
        (&["plan", "--inventory", "inventory.json", "--out", "new.json"][..], "thief"),
        (&["show", "plan.json"], "thief"),
        (&["show", "inventory.json"], ""),
        (&["show", "edited.json"], "whatever"),
        (&apply, "credentials"),
        (&["show", evil], "x"),
    ] {
        let seen = home.run(args);
        assert!(is_harmless(&seen.stdout) && is_harmless(&seen.stderr), "{args:?}\n{:?}", seen.whole());
        assert!(seen.stdout.contains(says) || seen.stderr.contains(says), "{args:?}\n{}", seen.whole());
    }
}

#[test]
fn something_else_altogether() {
    let home = home();
    home.write("plan.json", "apiVersion: v1\n");
    refused("not_json", &home, &["show", "plan.json"]);
    home.write("plan.json", format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)));
    refused("too_deep", &home, &["show", "plan.json"]);
}

#[test]
fn settings_that_cannot_be_meant() {
    let home = home();
    home.write("irsa-migrate.toml", "[numbers]\ntrust_settle = 60\ntrust_setle = 1\n");
    refused("settings", &home, &["plan", "--inventory", "inventory.json"]);
    home.write("irsa-migrate.toml", "[apply]\nrestart = \"never\"\n");
    refused("settings_value", &home, &["plan", "--inventory", "inventory.json"]);
}

#[test]
fn settings_about_nothing_that_is_there_are_told() {
    let home = home();
    let waiver = |code: &str, expires: &str| {
        format!("[[waiver]]\ncode = \"{code}\"\nsubject = \"shop/crat\"\nreason = \"none\"\nexpires = \"{expires}\"\n")
    };
    let never = "2999-01-01T00:00:00Z";
    let waivers =
        [waiver("SECOND_ROLE", never), waiver("SECOND_ROLE", "2000-01-01T00:00:00Z"), waiver("FARGATE", never)];
    let roles = "[trust.roles]\n\"arn:aws:iam::111122223333:role/crat\" = \"tight\"\n\
                 \"arn:aws:iam::444455556666:role/of-an-account-that-is-not-read\" = \"tight\"\n\
                 [owners.roles]\n\"arn:aws:iam::111122223333:role/cart\" = \"exported\"\n\
                 \"arn:aws:iam::111122223333:role/catr\" = \"exported\"\n";
    let waves = "[[wave]]\nname = \"first\"\nnamespaces = [\"shpo\"]\n[[wave]]\nname = \"rest\"\n";
    home.write("irsa-migrate.toml", [&waivers.concat(), roles, waves].concat());
    let seen = home.run(&["plan", "--inventory", "inventory.json"]);
    assert_eq!(seen.code, Some(0), "{}", seen.whole());
    insta::assert_snapshot!(seen.stderr);
}

#[test]
fn settings_for_what_has_no_such_name() {
    for (name, settings) in [
        ("settings_cluster", "[clusters.shop]\ncontext = \"shop\"\n"),
        ("settings_account", "[accounts.1]\nprofile = \"shop\"\n"),
    ] {
        let home = home();
        home.write("irsa-migrate.toml", settings);
        refused(name, &home, &["plan", "--inventory", "inventory.json"]);
    }
}

#[test]
fn what_is_printed_of_a_plan_is_not_the_plan() {
    let home = home();
    let printed = home.run(&["plan", "--inventory", "inventory.json", "-o", "json"]).stdout;
    home.write("printed.json", printed);
    refused("printed", &home, &["apply", "printed.json"]);
}

#[test]
fn a_result_goes_into_a_regular_file_alone() {
    let home = home();
    let plan = |out: &str| home.run(&["plan", "--inventory", "inventory.json", "--out", out]);
    let inventory = std::fs::read(home.path("inventory.json")).expect("the inventory");
    std::fs::create_dir(home.path("folder")).expect("a folder");
    let made = std::process::Command::new("mkfifo").arg(home.path("pipe")).status().expect("mkfifo runs");
    assert!(made.success());
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, home.path(name)).expect("a link");
    link("nowhere", "broken");
    link("inventory.json", "link-to-inventory");
    let outs = ["folder", "pipe", "broken", "no/plan.json", "inventory.json", "link-to-inventory"];
    let said: Vec<String> = outs.into_iter().map(|out| plan(out).whole()).collect();
    insta::assert_snapshot!(said.join("\n"));
    assert_eq!(std::fs::read(home.path("inventory.json")).expect("the inventory"), inventory);
    let mut left: Vec<String> = home
        .path("")
        .read_dir()
        .expect("the home")
        .map(|it| it.expect("a file").file_name().display().to_string())
        .collect();
    left.sort();
    assert_eq!(left, ["broken", "folder", "inventory.json", "link-to-inventory", "pipe", "plan.json"]);

    // A link stays one, and what it leads to is the plan.
    home.write("target.json", "of before");
    link("target.json", "link.json");
    assert_eq!(plan("link.json").code, Some(0));
    assert!(home.path("link.json").is_symlink());
    let read = |name: &str| std::fs::read(home.path(name)).expect("a plan");
    assert_eq!(read("target.json"), read("plan.json"));
}

#[test]
fn a_plan_from_nothing() {
    refused("plan_from_nothing", &Home::new(), &["plan"]);
}

#[test]
fn ten_megabytes_of_annotation_are_one_finding() {
    let mut inventory = one();
    let Seen::Seen(accounts) = &mut inventory.clusters[0].service_accounts else { panic!("they were read") };
    accounts[0].role_arn = Some("x".repeat(10 << 20));
    let home = Home::new();
    home.write("inventory.json", inventory.to_bytes().expect("bytes"));
    let seen = home.run(&["plan", "--inventory", "inventory.json"]);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    assert!(seen.stdout.contains("ANNOTATION_MALFORMED"), "{}", seen.stdout);
    assert!(seen.stdout.len() < 20_000, "{} bytes", seen.stdout.len());
}

#[test]
fn without_credentials_nothing_is_scanned() {
    let arn = "arn:aws:eks:eu-west-1:111122223333:cluster/blue";
    refused("no_credentials", &Home::new(), &["scan", "--cluster", arn]);
}

#[test]
fn a_cluster_by_name_wants_a_region() {
    refused("no_region", &Home::new(), &["scan", "--cluster", "blue"]);
}
