//! Translations of random policies, judged by an evaluator that shares nothing with them.
//!
//! Every policy is put before IAM as it was and as it became, for the same requests: tokens
//! and Pod Identity calls of scanned clusters and of a foreign one, with session tags and
//! without, before and after the dates in it, for names that match its patterns, that miss
//! them, and that Kubernetes would refuse.

use irsa_migrate::model::{AccountId, ClusterArn, Issuer, Subject};
use irsa_migrate::sim::evaluate::{Decision, Policy, Request, pod_identity_requests, web_identity_request};
use irsa_migrate::trust::{
    Document, Mode, Provider, Relation, Scope, ScopeCluster, Translation, Undo, Verdict, translate, undo,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::trust_random::Random;

const ACCOUNT: &str = "111122223333";
const ALPHA: (&str, &str) =
    ("oidc.eks.eu-west-1.amazonaws.com/id/AAAA", "arn:aws:eks:eu-west-1:111122223333:cluster/alpha");
const BETA: (&str, &str) = ("oidc-eks.us-east-2.api.aws/id/BBBB", "arn:aws:eks:us-east-2:111122223333:cluster/beta");
const FOREIGN: (&str, &str) =
    ("oidc.eks.eu-west-1.amazonaws.com/id/CCCC", "arn:aws:eks:eu-west-1:111122223333:cluster/gamma");
const AUDIENCES: [&str; 2] = ["sts.amazonaws.com", "vault"];

/// Names that the patterns below match and miss; the last ones cannot exist.
const NAMESPACES: [&str; 9] = ["ns", "team-a", "team-b", "kube-system", "a", "axb", "fresh", "NS", "*"];
const ACCOUNTS: [&str; 9] = ["sa", "x-reader", "b", "xb", "default", "s.a", "fresh", "Sa", "team_x"];
const POSSIBLE: usize = 7;

fn provider_arn(issuer: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}")
}

fn scope() -> Scope {
    let cluster = |(issuer, arn): (&str, &str)| ScopeCluster {
        arn: ClusterArn::parse(arn).unwrap(),
        issuer: Issuer::parse(issuer).unwrap(),
        provider: Provider::Exists { client_ids: AUDIENCES.map(str::to_owned).to_vec() },
    };
    Scope { role_account: AccountId::parse(ACCOUNT).unwrap(), clusters: vec![cluster(ALPHA), cluster(BETA)] }
}

/// One ServiceAccount and everything that is asked on its behalf.
struct Probe {
    subject: Subject,
    scanned: bool,
    possible: bool,
    /// By audience.
    tokens: Vec<Request>,
    tagged: Vec<Request>,
    untagged: Vec<Request>,
}

fn probes(at: Timestamp) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (cluster, (issuer, arn)) in [ALPHA, BETA, FOREIGN].into_iter().enumerate() {
        for (n, namespace) in NAMESPACES.iter().enumerate() {
            for (s, account) in ACCOUNTS.iter().enumerate() {
                // Of the impossible names and of the other clusters a few are enough.
                if (n + 2 * s + cluster) % (1 + cluster) != 0 || (n >= POSSIBLE && s % 3 != 0) {
                    continue;
                }
                let subject = Subject {
                    cluster: ClusterArn::parse(arn).unwrap(),
                    namespace: (*namespace).to_owned(),
                    service_account: (*account).to_owned(),
                };
                let sub = subject.token_subject();
                let token = |aud: &&str| web_identity_request(issuer, &provider_arn(issuer), &sub, aud, at);
                probes.push(Probe {
                    scanned: cluster < 2,
                    possible: n < POSSIBLE && s < POSSIBLE,
                    tokens: AUDIENCES.iter().map(token).collect(),
                    tagged: pod_identity_requests(&subject, true, at),
                    untagged: pod_identity_requests(&subject, false, at),
                    subject,
                });
            }
        }
    }
    probes
}

fn segment(random: &mut Random, likely: &[&str]) -> String {
    match random.below(8) {
        0 => "*".to_owned(),
        1 => random.pick(&["team-*", "a*", "*b", "?", "??", "*-reader", "x*", "t*m-?"]).to_owned(),
        _ => random.pick(likely).to_owned(),
    }
}

fn subject(random: &mut Random) -> String {
    let whole = match random.below(12) {
        0 => random
            .pick(&["*", "system:serviceaccount:*", "system:*:ns:sa", "*:sa", "system:serviceaccount:a*b"])
            .to_owned(),
        1 => {
            random.pick(&["system:serviceaccount:ns?sa", "system:serviceaccount:t*a*r", "system:node:x", ""]).to_owned()
        }
        _ => format!("system:serviceaccount:{}:{}", segment(random, &NAMESPACES[..8]), segment(random, &ACCOUNTS[..8])),
    };
    match random.below(30) {
        0 => whole.replace("ns", "${aws:PrincipalTag/ns}"),
        1 => whole.replace('*', "${*}"),
        2 => whole.to_uppercase(),
        _ => whole,
    }
}

fn one_or_more(random: &mut Random, mut of: impl FnMut(&mut Random) -> String) -> Value {
    match random.below(3) {
        0 => json!(of(random)),
        1 => json!([of(random), of(random)]),
        _ => json!([of(random), of(random), of(random)]),
    }
}

const OPERATORS: [&str; 12] = [
    "StringEquals",
    "StringLike",
    "StringLike",
    "StringEquals",
    "StringNotEquals",
    "StringNotLike",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "ForAnyValue:StringLike",
    "ForAllValues:StringEquals",
    "StringLikeIfExists",
    "ForAllValues:StringNotLike",
];

/// Adds a condition on the claims of a token.
fn on_token(random: &mut Random, block: &mut Map<String, Value>, issuer: &str) {
    let issuer = if random.below(15) == 0 { FOREIGN.0 } else { issuer };
    let (operator, key, value) = match random.below(14) {
        0..=8 => (random.pick(&OPERATORS), format!("{issuer}:sub"), one_or_more(random, subject)),
        9 | 10 => {
            let audience =
                |random: &mut Random| random.pick(&["sts.amazonaws.com", "vault", "sts.*", "other"]).to_owned();
            (random.pick(&OPERATORS), format!("{issuer}:aud"), one_or_more(random, audience))
        }
        11 => ("Null", format!("{issuer}:sub"), json!(random.pick(&["true", "false"]))),
        12 => ("DateLessThan", "aws:CurrentTime".to_owned(), json!("2027-01-01T00:00:00Z")),
        _ => ("Bool", "aws:SecureTransport".to_owned(), json!("true")),
    };
    let keys = block.entry(operator).or_insert_with(|| json!({}));
    keys.as_object_mut().unwrap().insert(key, value);
}

/// Adds a condition on the session tags.
fn on_tags(random: &mut Random, block: &mut Map<String, Value>) {
    let (key, value) = match random.below(4) {
        0 => ("aws:RequestTag/eks-cluster-arn", json!(random.pick(&[ALPHA.1, BETA.1, FOREIGN.1]))),
        1 => ("aws:RequestTag/kubernetes-service-account", one_or_more(random, |it| segment(it, &ACCOUNTS[..7]))),
        2 => ("aws:SourceArn", json!(random.pick(&[ALPHA.1, BETA.1]))),
        _ => ("aws:RequestTag/kubernetes-namespace", one_or_more(random, |it| segment(it, &NAMESPACES[..7]))),
    };
    let keys = block.entry(random.pick(&OPERATORS)).or_insert_with(|| json!({}));
    keys.as_object_mut().unwrap().insert(key.to_owned(), value);
}

fn statement(random: &mut Random, effect: &str) -> Value {
    let (issuer, _) = random.pick(&[ALPHA, ALPHA, ALPHA, BETA]);
    let mut block = Map::new();
    let pods = random.below(if effect == "Deny" { 3 } else { 6 }) == 0;
    let (principal, action) = if pods {
        for _ in 0..random.below(3) {
            on_tags(random, &mut block);
        }
        let principal = if random.below(3) == 0 { json!("*") } else { json!({"Service": "pods.eks.amazonaws.com"}) };
        let both = json!(["sts:AssumeRole", "sts:TagSession"]);
        let action = match random.below(5) {
            0 => json!("sts:AssumeRole"),
            1 => json!("sts:TagSession"),
            2 => json!("sts:*"),
            _ => both,
        };
        (principal, action)
    } else {
        for _ in 0..random.below(4) {
            on_token(random, &mut block, issuer);
        }
        let principal = match random.below(12) {
            0 => json!("*"),
            1 => json!({"AWS": "*"}),
            2 => json!({"Federated": [provider_arn(ALPHA.0), provider_arn(BETA.0)]}),
            3 => json!({"Federated": provider_arn(FOREIGN.0)}),
            _ => json!({"Federated": provider_arn(issuer)}),
        };
        let action = random.pick(&[
            "sts:AssumeRoleWithWebIdentity",
            "sts:AssumeRoleWithWebIdentity",
            "sts:AssumeRole*",
            "sts:AssumeRoleWithSAML",
        ]);
        (principal, json!(action))
    };
    let mut statement = json!({"Effect": effect, "Principal": principal});
    let verb = if random.below(15) == 0 { "NotAction" } else { "Action" };
    statement[verb] = action;
    if !block.is_empty() || random.below(4) == 0 {
        statement["Condition"] = Value::Object(block);
    }
    statement
}

fn policy(random: &mut Random) -> String {
    let allows = 1 + random.below(3);
    let mut statements: Vec<Value> = (0..allows).map(|_| statement(random, "Allow")).collect();
    if random.below(4) == 0 {
        statements.push(statement(random, "Deny"));
    }
    let mut policy = json!({"Statement": statements});
    match random.below(4) {
        0 => {}
        1 => policy["Version"] = json!("2008-10-17"),
        _ => policy["Version"] = json!("2012-10-17"),
    }
    if random.below(2) == 0 { serde_json::to_string_pretty(&policy).unwrap() } else { policy.to_string() }
}

/// Counts what it asks.
struct Judge {
    asked: usize,
}

impl Judge {
    fn allows(&mut self, policy: &Policy, requests: &[Request]) -> bool {
        self.asked += requests.len();
        requests.iter().all(|request| policy.decide(request) == Decision::Allow)
    }

    fn any(&mut self, policy: &Policy, requests: &[Request]) -> bool {
        requests.iter().any(|request| self.allows(policy, std::slice::from_ref(request)))
    }
}

/// Puts a translation before the evaluator.
fn judge(judge: &mut Judge, probes: &[Probe], it: &Translation, old: &str, context: &str) {
    let (before, after) = (Policy::parse(old).unwrap(), Policy::parse(it.document.text()).unwrap());
    let changed = it.document.text() != old;
    for probe in probes {
        let token = judge.any(&before, &probe.tokens);
        let pods = judge.allows(&before, &probe.tagged);
        let what = || format!("{:?} of {context}\n{old}\n{:?}\n{}", probe.subject, it.reasons, it.document.text());
        if changed {
            let pods_after = judge.allows(&after, &probe.tagged);
            // No new access, for whatever name; and to nobody of a foreign cluster.
            assert!(!pods_after || pods || (token && probe.scanned), "over-granted: {}", what());
            // No lost access, for every name that can exist.
            if probe.scanned && probe.possible {
                assert!(pods_after || !token, "under-granted: {}", what());
            }
            assert_eq!(judge.allows(&after, &probe.untagged), judge.allows(&before, &probe.untagged), "{}", what());
            assert_eq!(judge.any(&after, &probe.tokens), token, "{}", what());
        }
        if !probe.scanned || !probe.possible {
            continue;
        }
        match it.verdict {
            Verdict::Nothing => assert!(!token, "not nothing: {}", what()),
            Verdict::Already => assert!(pods || !token, "not already: {}", what()),
            Verdict::Translated | Verdict::Held | Verdict::Invalid => {}
        }
        // A Deny under a date or of TLS takes from both ways alike, and is not in the grants.
        let conditional = old.contains("aws:CurrentTime") || old.contains("aws:SecureTransport");
        if it.verdict != Verdict::Held && !conditional {
            assert_eq!(it.grants.allows(&probe.subject), token, "{}", what());
        }
    }
}

#[test]
fn random_policies_before_the_evaluator() {
    let scope = scope();
    let times = ["2026-06-01T00:00:00Z", "2028-06-01T00:00:00Z"].map(|it| it.parse::<Timestamp>().unwrap());
    let probes = times.map(probes);
    let mut random = Random::new(42);
    let mut asker = Judge { asked: 0 };
    let mut verdicts = [0; 5];
    let mut round = 0;
    while asker.asked < 1_200_000 {
        round += 1;
        let text = policy(&mut random);
        let document = Document::parse(&text).unwrap();
        let it = translate(&document, &scope, Mode::Equivalent, &[]);
        verdicts[it.verdict as usize] += 1;
        let context = format!("round {round}, {:?}", it.verdict);
        let dated = text.contains("aws:CurrentTime");
        for probes in &probes[..if dated { 2 } else { 1 }] {
            judge(&mut asker, probes, &it, &text, &context);
        }
        match it.verdict {
            Verdict::Translated => {
                assert_eq!(it.proof.as_ref().unwrap().relation, Relation::Equal, "{text}");
                let back = undo(&it.document, &document, &it.document, &it.added);
                assert_eq!(back, Undo::SendOriginal(text.clone()));
            }
            Verdict::Held => assert!(it.reasons.iter().any(|reason| reason.holds()), "{text}"),
            Verdict::Already | Verdict::Nothing | Verdict::Invalid => {}
        }
    }
    // Every outcome is met often, so that none is judged by its absence.
    let [translated, already, nothing, held, _] = verdicts;
    assert!(translated > 300 && already > 20 && nothing > 150 && held > 20, "{verdicts:?} in {round} rounds");
}

#[test]
fn tight_translations_before_the_evaluator() {
    let scope = scope();
    let probes = probes("2026-06-01T00:00:00Z".parse().unwrap());
    let mut random = Random::new(43);
    let mut asker = Judge { asked: 0 };
    let mut translated = 0;
    for round in 0..300 {
        let text = policy(&mut random);
        let document = Document::parse(&text).unwrap();
        let asked: Vec<Subject> = (0..3).map(|_| probes[random.below(probes.len())].subject.clone()).collect();
        let it = translate(&document, &scope, Mode::Tight, &asked);
        if it.verdict != Verdict::Translated {
            continue;
        }
        translated += 1;
        let (before, after) = (Policy::parse(&text).unwrap(), Policy::parse(it.document.text()).unwrap());
        for probe in &probes {
            let token = asker.any(&before, &probe.tokens);
            let (was, is) = (asker.allows(&before, &probe.tagged), asker.allows(&after, &probe.tagged));
            let named = asked.contains(&probe.subject) && probe.scanned;
            assert!(is == was || (named && token && is), "round {round}: {:?}\n{text}", probe.subject);
            assert!(is || !(named && token && probe.possible), "round {round}: {:?}\n{text}", probe.subject);
        }
    }
    assert!(translated > 40, "{translated}");
}
