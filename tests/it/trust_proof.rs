//! The proof against brute force: small random sets of grants, every short name.

use irsa_migrate::model::ClusterArn;
use irsa_migrate::trust::{Carried, Except, Grant, GrantPlace, Grants, OverBudget, Pattern, Relation, prove};

use crate::trust_random::Random;

fn cluster() -> GrantPlace {
    GrantPlace::Cluster(ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/alpha").unwrap())
}

fn grant(namespace: &str, service_account: &str) -> Grant {
    Grant {
        issuer: None,
        cluster_arn: cluster(),
        namespace: Pattern::parse(namespace).unwrap(),
        service_account: Pattern::parse(service_account).unwrap(),
        except: Vec::new(),
        carried: Vec::new(),
    }
}

fn except(namespace: &str, service_account: &str, ignore_case: bool) -> Except {
    Except {
        namespace: Pattern::parse(namespace).unwrap(),
        service_account: Pattern::parse(service_account).unwrap(),
        ignore_case,
    }
}

fn until(year: &str) -> Carried {
    Carried { operator: "DateLessThan".to_owned(), key: "aws:currenttime".to_owned(), values: vec![year.to_owned()] }
}

fn random_pattern(random: &mut Random) -> String {
    let length = random.below(4);
    (0..length).map(|_| random.pick(&['a', 'b', '?', '*', 'a', '*'])).collect()
}

fn random_grants(random: &mut Random) -> Grants {
    let count = random.below(4);
    let grants = (0..count).map(|_| {
        let mut grant = grant(&random_pattern(random), &random_pattern(random));
        for _ in 0..random.below(3) {
            grant.except.push(except(&random_pattern(random), &random_pattern(random), random.below(5) == 0));
        }
        for year in ["2027", "2028"] {
            if random.below(4) == 0 {
                grant.carried.push(until(year));
            }
        }
        grant
    });
    Grants::new(grants.collect())
}

/// Every name of at most this length; `x` stands in no pattern, and `A` only without case.
fn names(length: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..length {
        last = last.iter().flat_map(|name| ["a", "b", "x", "A"].map(|c| format!("{name}{c}"))).collect();
        all.extend(last.iter().cloned());
    }
    all
}

fn matches(pattern: &Pattern, text: &str, ignore_case: bool) -> bool {
    if ignore_case {
        let lower = Pattern::parse(&pattern.as_str().to_ascii_lowercase()).unwrap();
        return lower.matches(&text.to_ascii_lowercase());
    }
    pattern.matches(text)
}

/// Membership as the definition has it, with `met` conditions, for each pair of names.
fn members(grants: &Grants, names: &[String], met: &[Carried]) -> Vec<bool> {
    let along = |pattern: &Pattern, ignore_case: bool| -> Vec<bool> {
        names.iter().map(|name| matches(pattern, name, ignore_case)).collect()
    };
    let mut members = vec![false; names.len() * names.len()];
    for grant in grants.iter().filter(|grant| grant.carried.iter().all(|carried| met.contains(carried))) {
        let (namespaces, accounts) = (along(&grant.namespace, false), along(&grant.service_account, false));
        let except: Vec<_> = grant
            .except
            .iter()
            .map(|it| (along(&it.namespace, it.ignore_case), along(&it.service_account, it.ignore_case)))
            .collect();
        for ns in 0..names.len() {
            for sa in 0..names.len() {
                members[ns * names.len() + sa] |=
                    namespaces[ns] && accounts[sa] && !except.iter().any(|(n, s)| n[ns] && s[sa]);
            }
        }
    }
    members
}

/// Membership of one pair of names.
fn holds(grants: &Grants, namespace: &str, account: &str, met: &[Carried]) -> bool {
    let names = [namespace.to_owned(), account.to_owned()];
    members(grants, &names, met)[1]
}

#[test]
fn random_sets_agree_with_brute_force() {
    let names = names(3);
    let worlds = [vec![], vec![until("2027")], vec![until("2028")], vec![until("2027"), until("2028")]];
    let mut random = Random::new(7);
    let mut relations = [0; 4];
    for round in 0..400 {
        let before = random_grants(&mut random);
        let after =
            if random.below(4) == 0 { before.union(&random_grants(&mut random)) } else { random_grants(&mut random) };
        let proof = prove(&before, &after).unwrap();
        let (mut gained, mut lost) = (false, false);
        for met in &worlds {
            for (was, is) in members(&before, &names, met).into_iter().zip(members(&after, &names, met)) {
                gained |= is && !was;
                lost |= was && !is;
            }
        }
        let claims_gain = matches!(proof.relation, Relation::Wider | Relation::Incomparable);
        let claims_loss = matches!(proof.relation, Relation::Narrower | Relation::Incomparable);
        assert!(claims_gain || !gained, "round {round}: {before:?} {after:?}");
        assert!(claims_loss || !lost, "round {round}: {before:?} {after:?}");
        match &proof.witness {
            None => assert_eq!(proof.relation, Relation::Equal),
            Some(it) => {
                assert_eq!((it.before, it.after), (!claims_gain, claims_gain));
                let differs = worlds.iter().any(|met| {
                    let was = holds(&before, &it.namespace, &it.service_account, met);
                    let is = holds(&after, &it.namespace, &it.service_account, met);
                    (was, is) == (it.before, it.after)
                });
                assert!(differs, "round {round}: {it:?} {before:?} {after:?}");
            }
        }
        relations[proof.relation as usize] += 1;
    }
    assert!(relations.iter().all(|count| *count > 10), "{relations:?}");
}

#[track_caller]
fn relation(before: Vec<Grant>, after: Vec<Grant>, expected: Relation) {
    assert_eq!(prove(&Grants::new(before), &Grants::new(after)).unwrap().relation, expected);
}

#[test]
fn unions_of_globs_are_decided_and_not_guessed() {
    use Relation::{Equal, Incomparable, Narrower, Wider};
    // A star is no character, or one and a star.
    relation(vec![grant("*", "a")], vec![grant("", "a"), grant("?*", "a")], Equal);
    relation(vec![grant("a*", "x"), grant("*b", "x")], vec![grant("*b", "x"), grant("a*", "x")], Equal);
    relation(vec![grant("*a", "x")], vec![grant("?*", "x")], Wider);
    relation(vec![grant("?*", "x")], vec![grant("*a", "x")], Narrower);
    relation(vec![grant("a*", "x")], vec![grant("*a", "x")], Incomparable);
    // A rectangle cut in two along either side.
    relation(
        vec![grant("n", "*")],
        vec![grant("n", "a*"), Grant { except: vec![except("n", "a*", false)], ..grant("n", "*") }],
        Equal,
    );
    relation(vec![grant("*", "s")], vec![Grant { except: vec![except("k", "*", false)], ..grant("*", "s") }], Narrower);
    // One name that three patterns meet in, and a literal is that name.
    relation(
        vec![grant("a?", "x"), grant("?b", "x")],
        vec![grant("a?", "x"), grant("?b", "x"), grant("ab", "x")],
        Equal,
    );
    // Without case.
    let cased = Grant { except: vec![except("k", "*", true)], ..grant("*", "s") };
    relation(vec![Grant { except: vec![except("k", "*", false)], ..grant("*", "s") }], vec![cased], Narrower);
}

#[test]
fn carried_conditions_are_compared_by_equality() {
    let under = |years: &[&str]| Grant { carried: years.iter().map(|year| until(year)).collect(), ..grant("n", "s") };
    relation(vec![under(&["2027"])], vec![under(&["2027"])], Relation::Equal);
    relation(vec![under(&[])], vec![under(&["2027"])], Relation::Narrower);
    relation(vec![under(&["2027"])], vec![under(&[])], Relation::Wider);
    relation(vec![under(&["2027"])], vec![under(&["2027", "2028"])], Relation::Narrower);
    relation(vec![under(&["2027"])], vec![under(&["2028"])], Relation::Incomparable);
    relation(vec![under(&["2027"]), under(&[])], vec![under(&[])], Relation::Equal);
}

#[test]
fn clusters_are_apart() {
    let elsewhere = Grant { cluster_arn: GrantPlace::Elsewhere, ..grant("n", "s") };
    relation(vec![grant("n", "s")], vec![grant("n", "s"), elsewhere.clone()], Relation::Wider);
    relation(vec![grant("n", "s")], vec![elsewhere], Relation::Incomparable);
    relation(vec![], vec![], Relation::Equal);
    relation(vec![grant("n", "s")], vec![], Relation::Narrower);
}

#[test]
fn a_witness_is_a_name_that_reads_well() {
    let proof = prove(&Grants::new(vec![grant("team-*", "*")]), &Grants::new(vec![grant("team-a", "*")])).unwrap();
    let witness = proof.witness.unwrap();
    assert!(witness.namespace.starts_with("team-") && witness.namespace != "team-a", "{witness:?}");
    assert!(witness.namespace.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{witness:?}");
}

#[test]
fn sets_made_to_be_slow_are_given_up() {
    let slow = |c: char| grant(&format!("*{c}{}", "?".repeat(40)), "s");
    let before = Grants::new("abcdefgh".chars().map(slow).collect());
    let after = Grants::new("ijklmnop".chars().map(slow).collect());
    assert_eq!(prove(&before, &after), Err(OverBudget));
}

#[test]
fn many_literals_are_decided() {
    let pairs = |count: usize| (0..count).map(|n| grant(&format!("n{}", n % 50), &format!("s{n}"))).collect::<Vec<_>>();
    let mut after = pairs(3000);
    assert_eq!(after.pop().unwrap().service_account.as_str(), "s2999");
    relation(pairs(3000), after, Relation::Narrower);
    let with_glob = |mut grants: Vec<Grant>| {
        grants.push(grant("n*", "t*"));
        grants
    };
    relation(with_glob(pairs(1000)), pairs(1000), Relation::Narrower);
}
