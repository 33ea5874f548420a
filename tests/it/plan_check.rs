//! A plan file is input: what is changed in it is refused, or is not relied on.

use irsa_migrate::plan::check::check;
use irsa_migrate::plan::{Plan, Settings, plan};
use serde_json::Value;

use crate::inventories::{Fleet, several, trust};

/// Facts that only the world can contradict, and that `apply` compares with the world; and what
/// is only shown. A path matches by its last names, numbers left out.
const NOT_FOR_THE_CHECK: [&str; 23] = [
    // Compared with the world before anything is sent.
    "roleId",
    "uid",
    "strategy",
    "paused",
    "partition",
    "awsEnv",
    "before",
    "stamps",
    "bounces",
    "audience",
    "template.kind",
    "template.namespace",
    "template.name",
    "token",
    "irsa-migrate:plan",
    "irsa-migrate:unit",
    // Limits, and what is shown.
    "expectedSeconds",
    "timeoutSeconds",
    "worstSeconds",
    "replicas",
    "characters",
    "quota",
    "name",
];

fn is_exempt(path: &[String]) -> bool {
    let names: Vec<&str> = path.iter().map(String::as_str).filter(|it| it.parse::<usize>().is_err()).collect();
    let path = names.join(".");
    let whole = |suffix: &str| path == suffix || path.ends_with(&format!(".{suffix}"));
    NOT_FOR_THE_CHECK.iter().any(|it| whole(it)) || path.contains("notices") || path.contains("left")
}

/// Every leaf below a value, by its path.
fn leaves(value: &Value, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    let mut below = |key: String, value: &Value| {
        path.push(key);
        leaves(value, path, out);
        path.pop();
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| below(key.clone(), value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(at, value)| below(at.to_string(), value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push(path.clone()),
    }
}

fn at<'v>(value: &'v mut Value, path: &[String]) -> &'v mut Value {
    path.iter().fold(value, |value, key| match key.parse::<usize>() {
        Ok(index) => &mut value[index],
        Err(_) => &mut value[key.as_str()],
    })
}

/// Another value of the same kind; ARNs stay ARNs and ids of our own stay in shape.
fn changed(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(format!("{text}x")),
        Value::Number(number) => Value::from(number.as_u64().unwrap_or_default() + 7),
        Value::Bool(it) => Value::Bool(!it),
        Value::Null => Value::String("x".to_owned()),
        Value::Array(_) | Value::Object(_) => value.clone(),
    }
}

/// Whether the plan is refused, at reading or at checking.
fn is_refused(value: &Value) -> bool {
    let bytes = serde_json::to_vec(value).expect("JSON");
    Plan::from_bytes(&bytes).map_or(true, |plan| !check(&plan).is_empty())
}

fn value() -> Value {
    let plan = plan(&several(), &Settings::default()).expect("a plan");
    serde_json::to_value(plan).expect("JSON")
}

#[test]
fn every_word_of_a_unit_counts() {
    let mut original = value();
    assert!(!is_refused(&original));
    let mut paths = Vec::new();
    leaves(&original["units"], &mut vec!["units".to_owned()], &mut paths);
    let (mut tried, mut passed) = (0, Vec::new());
    for path in paths.iter().filter(|it| !is_exempt(it)) {
        let spot = at(&mut original, path);
        let kept = spot.clone();
        *spot = changed(&kept);
        if !is_refused(&original) {
            passed.push(path.join("."));
        }
        *at(&mut original, path) = kept;
        tried += 1;
    }
    assert!(tried > 300, "only {tried} places were tried");
    assert!(passed.is_empty(), "{} of {tried} changes passed: {passed:#?}", passed.len());
}

#[test]
fn a_step_that_is_missing_or_moved_is_refused() {
    let original = value();
    let units = original["units"].as_array().expect("units").len();
    for unit in 0..units {
        for list in ["steps", "undo"] {
            let steps = original["units"][unit][list].as_array().expect("steps").len();
            for step in 0..steps {
                let mut missing = original.clone();
                missing["units"][unit][list].as_array_mut().expect("steps").remove(step);
                // A role's undo may be absent as a whole: then it is simply not undone by this plan.
                let role_undo = steps == 1 && list == "undo";
                assert!(role_undo || is_refused(&missing), "unit {unit} without {list} {step}");
                if step > 0 {
                    let mut swapped = original.clone();
                    swapped["units"][unit][list].as_array_mut().expect("steps").swap(step, step - 1);
                    assert!(is_refused(&swapped), "unit {unit} with {list} {step} before its predecessor");
                }
            }
        }
    }
}

#[test]
fn a_unit_that_is_missing_doubled_or_in_another_wave_is_refused() {
    let original = value();
    let refused = |change: &dyn Fn(&mut Value), what: &str| {
        let mut copy = original.clone();
        change(&mut copy);
        assert!(is_refused(&copy), "{what}");
    };
    refused(&|it| drop(it["units"].as_array_mut().expect("units").remove(0)), "a role unit is missing");
    refused(
        &|it| {
            let first = it["units"][0].clone();
            it["units"].as_array_mut().expect("units").push(first);
        },
        "a unit is doubled",
    );
    refused(&|it| it["waves"].as_array_mut().expect("waves").swap(0, 1), "prepare comes second");
    refused(&|it| it["waves"][1]["name"] = it["waves"][0]["name"].clone(), "two waves of one name");
    refused(&|it| it["account"] = Value::from("999988887777"), "another account");
    refused(&|it| it["clusters"] = Value::Array(Vec::new()), "no clusters");
    refused(&|it| it["units"][0]["steps"][0]["write"] = serde_json::json!({"deleteRole": {}}), "an unknown step");
    refused(&|it| it["surprise"] = Value::from(1), "an unknown field");
    refused(&|it| it["format"]["minor"] = Value::from(99), "a newer format");
    refused(&|it| it["numbers"]["lease_duration"] = Value::from(1), "a lease that runs out");
    refused(
        &|it| {
            let waves = it["waves"].as_array_mut().expect("waves");
            let canary = waves.remove(1)["units"].as_array().expect("units").clone();
            waves[0]["units"].as_array_mut().expect("units").extend(canary);
        },
        "a ServiceAccount beside the role that it needs",
    );
    refused(&|it| it["units"][0]["steps"][0]["write"] = Value::Null, "a statement that is never added");
}

/// Every request of the plan, by its path.
fn requests(plan: &Value) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (unit, it) in plan["units"].as_array().expect("units").iter().enumerate() {
        for list in ["steps", "undo"] {
            for step in 0..it[list].as_array().expect("steps").len() {
                let path = ["units", &unit.to_string(), list, &step.to_string(), "write"].map(str::to_owned);
                paths.push(path.to_vec());
            }
        }
    }
    paths
}

/// A part of a request, which stands below its kind.
fn part<'v>(plan: &'v mut Value, request: &[String], name: &str) -> Option<&'v mut Value> {
    at(plan, request).as_object_mut()?.values_mut().next()?.get_mut(name)
}

/// What is exempt above where it is only of another value.
#[test]
fn a_request_without_our_mark_or_for_another_object_is_refused() {
    let mut original = value();
    let (mut marks, mut uids) = (0, 0);
    for path in requests(&original) {
        let kept = at(&mut original, &path).clone();
        for tag in ["irsa-migrate:plan", "irsa-migrate:unit"] {
            let Some(tags) = part(&mut original, &path, "tags").and_then(Value::as_object_mut) else { continue };
            tags.remove(tag).expect("our mark");
            assert!(is_refused(&original), "{path:?} without {tag}");
            *at(&mut original, &path) = kept.clone();
            marks += 1;
        }
        if let Some(uid) = part(&mut original, &path, "uid") {
            *uid = Value::from("uid-of-another");
            assert!(is_refused(&original), "{path:?} for another object");
            *at(&mut original, &path) = kept;
            uids += 1;
        }
    }
    assert!(marks >= 16 && uids >= 8, "{marks} {uids}");
}

#[test]
fn a_service_account_that_loses_its_access_by_the_new_statements_is_refused() {
    let policy = trust(&[("blue", "shop:cart")]).replace("StringEquals", "StringLike").replace("shop:cart", "shop:*");
    let fleet = Fleet::of(&["blue"]).role("cart", &policy).account("blue", "shop", "cart", "cart");
    let inventory = fleet.deployment("blue", ("shop", "cart", "cart"), 1).0;
    let tight = plan(&inventory, &Settings::parse("[trust]\nmode = \"tight\"").expect("settings")).expect("a plan");
    assert_eq!(check(&tight), []);
    // The same unit for a ServiceAccount that IRSA grants, and the new statements do not.
    let mut value = serde_json::to_value(tight).expect("JSON");
    let unit = value["units"][1].to_string().replace("cart\"", "stock\"").replace("role/stock", "role/cart");
    value["units"][1] = serde_json::from_str(&unit).expect("JSON");
    let id = value["units"][1]["id"].clone();
    value["waves"][1]["units"][0] = id;
    let problems = check(&serde_json::from_value(value).expect("a plan"));
    let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(words.iter().any(|it| it.contains("its role does not grant it before and after")), "{words:?}");
}

#[test]
fn a_lease_lasts_for_longer_than_its_renewal_and_a_call() {
    let lasting = |seconds: u64| {
        let mut plan = value();
        plan["numbers"]["lease_duration"] = Value::from(seconds);
        is_refused(&plan)
    };
    let numbers = &value()["numbers"];
    let needs =
        numbers["lease_renewal"].as_u64().expect("seconds") + numbers["call_timeout"].as_u64().expect("seconds");
    assert!(lasting(needs) && !lasting(needs + 1));
}
