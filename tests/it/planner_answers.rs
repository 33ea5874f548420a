//! What the settings answer to the findings, and how a plan shows it.

use std::collections::BTreeMap;

use irsa_migrate::findings::{Code, Target as About};
use irsa_migrate::inventory::{Inventory, RoleDetail, Seen, WorkloadKind};
use irsa_migrate::plan::check::check;
use irsa_migrate::plan::{Plan, Settings, UnitId, Work, plan};
use irsa_migrate::trust::Relation;

use crate::inventories::{Fleet, cluster_arn, one, role_arn, subject, trust};

fn planned(inventory: &Inventory, settings: &str) -> Plan {
    let plan = plan(inventory, &Settings::parse(settings).expect("settings")).expect("a plan");
    assert_eq!(check(&plan), []);
    plan
}

/// What holds the role `cart` back, in words.
fn holding(plan: &Plan) -> Vec<(Code, String)> {
    let found = plan.held.iter().filter(|it| it.what == About::Role(role_arn("cart")));
    found.flat_map(|it| it.findings.iter().map(|it| (it.code, it.evidence.clone()))).collect()
}

fn codes(plan: &Plan) -> Vec<Code> {
    holding(plan).into_iter().map(|it| it.0).collect()
}

/// The inventory of `one`, with other words in the role's trust policy.
fn trusting(change: impl FnOnce(String) -> String) -> Inventory {
    let policy = change(trust(&[("blue", "shop:cart")]));
    let fleet = Fleet::of(&["blue"]).role("cart", &policy).account("blue", "shop", "cart", "cart");
    fleet.deployment("blue", ("shop", "cart", "cart"), 3).0
}

/// A ServiceAccount whose pods name a profile of their own, in each of these clusters.
fn with_profile(clusters: &[&str]) -> Inventory {
    let grants: Vec<(&str, &str)> = clusters.iter().map(|it| (*it, "shop:cart")).collect();
    let mut fleet = Fleet::of(clusters).role("cart", &trust(&grants));
    for cluster in clusters {
        let account = ("shop", "cart", "cart");
        fleet = fleet.account(cluster, "shop", "cart", "cart").workload(
            cluster,
            account,
            WorkloadKind::Deployment,
            2,
            |it| it.aws_env = vec!["AWS_PROFILE".to_owned()],
        );
    }
    fleet.0
}

#[test]
fn a_waiver_lets_a_unit_go_and_the_plan_names_it_once() {
    let waiver = "[[waiver]]\ncode = \"CREDENTIALS_PRECEDE\"\nsubject = \"shop/cart\"\nreason = \"an old profile\"\n\
                  expires = \"2999-01-01T00:00:00Z\"\n";
    let warns = |it: &Plan| it.not_promised.iter().any(|said| said.contains("waivers"));
    for clusters in [&["blue"][..], &["blue", "green"]] {
        let inventory = with_profile(clusters);
        let held = planned(&inventory, "");
        assert!(held.units.is_empty() && held.waived.is_empty() && !warns(&held), "{:?}", held.held);
        let waived = planned(&inventory, waiver);
        assert_eq!(waived.units.len(), 1 + clusters.len());
        assert_eq!(waived.waived.iter().map(|it| it.code).collect::<Vec<_>>(), [Code::CredentialsPrecede]);
        assert!(warns(&waived), "{:?}", waived.not_promised);
        let only = format!("{waiver}cluster = \"{}\"\n", cluster_arn("blue"));
        let there = planned(&inventory, &only);
        let shown = there.units.iter().flat_map(|it| &it.notices).filter(|it| it.code == Code::CredentialsPrecede);
        assert_eq!((shown.count(), there.held.len()), (1, clusters.len() - 1), "{:?}", there.held);
    }
}

#[test]
fn an_owned_role_is_edited_only_where_somebody_answers_for_it() {
    let mut inventory = one();
    let account = inventory.accounts.values_mut().next().expect("an account");
    let Seen::Seen(roles) = &mut account.roles else { panic!("roles were read") };
    let tags = BTreeMap::from([("aws:cloudformation:stack-name".to_owned(), "shop".to_owned())]);
    roles[0].detail = Some(Seen::Seen(RoleDetail { tags, description: None, last_used: None }));
    let by_role = |name: &str| format!("[owners.roles]\n\"{}\" = \"edit-live\"", role_arn(name));
    for (settings, held) in [
        (String::new(), true),
        ("[owners]\ndefault = \"edit-live\"".to_owned(), false),
        (by_role("cart"), false),
        (by_role("other"), true),
    ] {
        let plan = planned(&inventory, &settings);
        assert_eq!(codes(&plan), if held { vec![Code::RoleOwned] } else { vec![] }, "{settings}");
        assert_eq!(plan.units.len(), if held { 0 } else { 2 }, "{settings}");
    }
}

#[test]
fn what_is_doubtful_is_told_or_held_as_the_settings_say() {
    // A role without a mark of its owner.
    assert_eq!(codes(&planned(&one(), "")), []);
    assert_eq!(codes(&planned(&one(), "[owners]\nshared_roles = \"hold\"")), []);
    assert_eq!(codes(&planned(&one(), "[owners]\nunknown_owner = \"hold\"")), [Code::RoleOwnerUnknown]);
    // A role that a cluster outside this plan uses too.
    let both = trust(&[("blue", "shop:cart"), ("green", "shop:cart")]);
    let shared = trusting(|_| both);
    assert_eq!(codes(&planned(&shared, "")), []);
    assert_eq!(codes(&planned(&shared, "[owners]\nshared_roles = \"hold\"")), [Code::SharedRole]);
}

#[test]
fn a_held_role_says_why_its_policy_is_not_translated() {
    let limited = trusting(|it| {
        it.replace("\"Condition\": {", "\"Condition\": {\n \"IpAddress\": { \"aws:SourceIp\": \"10.0.0.0/8\" },")
    });
    let plan = planned(&limited, "");
    let held = holding(&plan);
    assert_eq!(codes(&plan), [Code::TrustUntranslated], "{held:?}");
    assert!(held[0].1.contains("the network is that of EKS"), "{held:?}");
}

/// How the grants after relate to those before, for the role `cart`.
fn relation(plan: &Plan) -> Relation {
    let unit = plan.unit(&UnitId::of_role(&role_arn("cart"))).expect("the role's unit");
    let Work::Role(work) = &unit.work else { panic!("a role") };
    assert!(work.grants_after.allows(&subject("blue", "shop", "cart")));
    work.proof.relation
}

#[test]
fn a_role_may_be_translated_in_a_mode_of_its_own() {
    let wildcard = trusting(|it| it.replace("StringEquals", "StringLike").replace("shop:cart", "shop:*"));
    let mode = |role: &str, mode: &str| format!("[trust.roles]\n\"{}\" = \"{mode}\"", role_arn(role));
    assert_eq!(relation(&planned(&wildcard, "")), Relation::Equal);
    assert_eq!(relation(&planned(&wildcard, &mode("cart", "tight"))), Relation::Narrower);
    assert_eq!(relation(&planned(&wildcard, &mode("other", "tight"))), Relation::Equal);
    assert_eq!(relation(&planned(&wildcard, "[trust]\nmode = \"tight\"")), Relation::Narrower);
    // New access, which was asked for by the role's name.
    assert_eq!(relation(&planned(&wildcard, &mode("cart", "open"))), Relation::Wider);
}

#[test]
fn a_window_has_to_be_longer_than_the_unit_takes() {
    let unit = |plan: &Plan| plan.unit(&UnitId::of_subject(&subject("blue", "shop", "cart"))).cloned();
    let expected = unit(&planned(&one(), "")).expect("the unit").expected_seconds;
    // Bring the unit to whole minutes by what it waits for, and give it exactly those.
    let extra = 60 - expected % 60;
    let usual = Settings::default().numbers.association_settle;
    let settings = |minutes: u64| {
        format!(
            "[apply]\neffective = \"observe\"\n[numbers]\nassociation_settle = {}\n[[window]]\ndays = [\"tue\"]\n\
             start = \"22:00\"\nminutes = {minutes}\ntime_zone = \"UTC\"",
            usual + extra
        )
    };
    let observed = unit(&planned(&one(), &settings(600))).expect("the unit").expected_seconds;
    let waits = usual + extra + (60 - observed % 60) % 60;
    let exact =
        |minutes: u64| settings(minutes).replace(&format!("settle = {}", usual + extra), &format!("settle = {waits}"));
    let takes = unit(&planned(&one(), &exact(600))).expect("the unit").expected_seconds;
    assert_eq!(takes % 60, 0);
    // A unit that takes all of it would have to start in the moment in which it opens.
    assert!(unit(&planned(&one(), &exact(takes / 60))).is_none());
    assert!(unit(&planned(&one(), &exact(takes / 60 + 1))).is_some());
}

#[test]
fn default_waves_are_said_to_be_nobodys_choice_where_there_are_any() {
    let says = |plan: &Plan| plan.not_promised.iter().any(|it| it.contains("default ones"));
    assert!(says(&planned(&one(), "")));
    assert!(!says(&planned(&one(), "[[wave]]\nname = \"all\"")));
    assert!(!says(&planned(&Fleet::of(&["blue"]).0, "")));
}

#[test]
fn a_role_of_no_service_account_is_held_by_its_own_findings() {
    let plan = planned(&Fleet::of(&["blue"]).role("cart", &trust(&[("blue", "shop:cart")])).0, "");
    assert_eq!(codes(&plan), [Code::RoleUnused]);
}

#[test]
fn names_of_waves_and_patterns_have_their_limits() {
    let is_name = |name: &str| Settings::parse(&format!("[[wave]]\nname = {name:?}")).is_ok();
    assert!(is_name("a") && is_name("Wave_1-b") && is_name(&"w".repeat(40)));
    assert!(!is_name("") && !is_name(&"w".repeat(41)) && !is_name("a/b") && !is_name(" a"));
    let no_reason =
        "[[waiver]]\ncode = \"SECOND_ROLE\"\nsubject = \"a/b\"\nreason = \" \"\nexpires = \"2999-01-01T00:00:00Z\"";
    assert!(Settings::parse(no_reason).is_err());
    let with = |subject: &str, cluster: &str| {
        let waiver = format!("code = \"SECOND_ROLE\"\nsubject = {subject:?}\ncluster = {cluster:?}\nreason = \"r\"");
        Settings::parse(&format!("[[waiver]]\n{waiver}\nexpires = \"2999-01-01T00:00:00Z\"")).is_ok()
    };
    let (cluster, role) = (cluster_arn("blue").to_string(), "arn:aws:iam::111122223333:role/cart");
    assert!(with("a/b", &cluster) && !with("a/b", "blue") && !with(role, &cluster) && !with(&cluster, &cluster));
    let matches = irsa_migrate::plan::wildcard::matches;
    for (pattern, name, want) in [
        ("a*b*c", "a-x-b-y-c", true),
        ("*ab", "aab", true),
        ("x*ab", "xaaab", true),
        ("x*a?c", "xabababc", true),
        ("x*ab*cd", "xaababccd", true),
        ("x*ab*cd", "xaababcc", false),
        ("**", "anything", true),
        ("a", "", false),
        ("a*", "b", false),
    ] {
        assert_eq!(matches(pattern, name), want, "{pattern} {name}");
    }
}

#[test]
fn what_happens_with_a_unit_that_fails_is_in_the_plan_file() {
    for (settings, word) in [("", None), ("[apply]\non_failure = \"undo-unit\"", Some("undo-unit"))] {
        let plan = planned(&one(), settings);
        let bytes = plan.to_bytes().expect("bytes");
        assert_eq!(Plan::from_bytes(&bytes).expect("the same plan").rules, plan.rules);
        let written: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(written["rules"].get("on_failure").and_then(|it| it.as_str()), word);
    }
}
