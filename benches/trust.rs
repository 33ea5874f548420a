//! How long trust policies take, as ratios that mean the same on any machine.
//!
//! `cargo bench --bench trust` translates 10,000 policies of the corpus's mix and compares
//! that with parsing the same texts into values; and it shows that one policy's time grows
//! with the number of its ServiceAccounts and no faster.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use irsa_migrate::model::{AccountId, ClusterArn, Issuer};
use irsa_migrate::trust::{Document, Mode, Provider, Scope, ScopeCluster, Verdict, translate};

/// How many policies are translated.
const POLICIES: usize = 10_000;

/// The most that translating may take, as a multiple of parsing.
const MOST: f64 = 25.0;

type Failure = Box<dyn std::error::Error>;

fn scope(clusters: &Path) -> Result<Scope, Failure> {
    let clusters: BTreeMap<String, String> = serde_json::from_str(&std::fs::read_to_string(clusters)?)?;
    let cluster = |(issuer, arn): (String, String)| -> Result<ScopeCluster, Failure> {
        Ok(ScopeCluster {
            arn: ClusterArn::parse(&arn)?,
            issuer: Issuer::parse(&issuer)?,
            provider: Provider::Exists { client_ids: vec!["sts.amazonaws.com".to_owned()] },
        })
    };
    let clusters = clusters.into_iter().map(cluster).collect::<Result<_, _>>()?;
    Ok(Scope { role_account: AccountId::parse("111122223333")?, clusters })
}

/// The shortest of some runs: everything else is the machine's doing.
fn best(mut run: impl FnMut()) -> Duration {
    let once = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..5).map(once).min().unwrap_or_default()
}

fn translated(text: &str, scope: &Scope) -> Option<Verdict> {
    let document = Document::parse(text).ok()?;
    Some(translate(&document, scope, Mode::Equivalent, &[]).verdict)
}

/// A policy of many ServiceAccounts in a few namespaces.
fn policy(subjects: usize, issuer: &str) -> String {
    let list: Vec<String> =
        (0..subjects).map(|n| format!("\"system:serviceaccount:team-{}:app-{n}\"", n % 7)).collect();
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Federated":"arn:aws:iam::111122223333:oidc-provider/{issuer}"}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringEquals":{{"{issuer}:sub":[{}]}}}}}}]}}"#,
        list.join(",")
    )
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
fn main() -> Result<(), Failure> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let scope = scope(&corpus.join("clusters.json"))?;
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(corpus.join("trust"))? {
        texts.push(std::fs::read_to_string(entry?.path())?);
    }
    texts.sort();
    let mix: Vec<&String> = texts.iter().cycle().take(POLICIES).collect();
    let parsing = best(|| {
        for text in &mix {
            let _ = black_box(serde_json::from_str::<serde_json::Value>(text));
        }
    });
    let translating = best(|| {
        for text in &mix {
            let _ = black_box(translated(text, &scope));
        }
    });
    let ratio = translating.as_secs_f64() / parsing.as_secs_f64();
    println!("{POLICIES} policies: parsing {parsing:?}, translating and proving {translating:?}: {ratio:.1} times");

    let issuer = scope.clusters.first().map(|it| it.issuer.to_string()).unwrap_or_default();
    let own = Scope { clusters: scope.clusters.iter().take(1).cloned().collect(), ..scope.clone() };
    let mut last: Option<f64> = None;
    for subjects in [10, 100, 1_000] {
        let text = policy(subjects, &issuer);
        let rounds = 10_000 / subjects;
        let time = best(|| {
            for _ in 0..rounds {
                let _ = black_box(translated(&text, &own));
            }
        });
        let each = time.as_secs_f64() / f64::from(u32::try_from(rounds * subjects)?);
        let growth = last.map(|last| format!(", {:.2} times the one before", each / last)).unwrap_or_default();
        println!("{subjects} ServiceAccounts: {:.2} µs for each{growth}", each * 1e6);
        last = Some(each);
    }
    if ratio > MOST {
        return Err(format!("{ratio:.1} is more than {MOST} times").into());
    }
    Ok(())
}
