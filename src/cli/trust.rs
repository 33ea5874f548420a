//! `trust`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::error::CommandError;
use super::exit::Exit;
use super::file;
use super::out::{Printer, Shown};
use crate::model::{AccountId, ClusterArn, Issuer, Subject};
use crate::trust::{
    Carried, Code, Document, Grants, Invalid, MAX_CHARACTERS, Mode, Place, Proof, Provider, Reason, Scope,
    ScopeCluster, Translation, Verdict, read, translate,
};
use crate::view;

/// Say who may assume a role by IRSA, and what to add for Pod Identity
///
/// Reads one trust policy, with no account and no cluster. Where it can be translated exactly, shows the statements
/// to add and proves that they grant the same; else says what is in the way. Nothing is changed: the new policy can
/// be pasted, or written by Terraform.
///
/// A cluster's OIDC provider is taken to exist in the role's account.
///
/// Exit codes: 0 translated, nothing to add or nothing to translate; 11 held; 2 not a trust policy.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy, as JSON; - for standard input
    file: PathBuf,
    /// A cluster: its OIDC issuer and its ARN
    #[arg(long = "cluster", value_name = "ISSUER=CLUSTER_ARN", required = true, value_parser = cluster)]
    clusters: Vec<Cluster>,
    /// What to grant: the same as IRSA, the named ServiceAccounts alone, or every association of the account
    ///
    /// Without it: tight if ServiceAccounts are named, else equivalent.
    #[arg(long, value_enum)]
    mode: Option<ModeName>,
    /// A ServiceAccount to grant in tight mode, in any of the clusters
    #[arg(long = "service-account", value_name = "NAMESPACE/NAME", value_parser = service_account)]
    service_accounts: Vec<(String, String)>,
    /// An audience that the clusters' providers take
    #[arg(long = "audience", value_name = "AUDIENCE", default_value = "sts.amazonaws.com")]
    audiences: Vec<String>,
    /// The account that owns the role; without it, that of the providers which the policy names
    #[arg(long, value_name = "ID", value_parser = AccountId::parse)]
    account: Option<AccountId>,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t)]
    output: Shown,
}

/// A mode's name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ModeName {
    /// The same as IRSA.
    Equivalent,
    /// The named ServiceAccounts, where IRSA grants them.
    Tight,
    /// Every association of the account: new access.
    Open,
}

/// An issuer and its cluster.
#[derive(Debug, Clone)]
struct Cluster {
    issuer: Issuer,
    arn: ClusterArn,
}

fn cluster(text: &str) -> Result<Cluster, String> {
    let (issuer, arn) = text.rsplit_once('=').ok_or("write it ISSUER=CLUSTER_ARN")?;
    let issuer = Issuer::parse(issuer).map_err(|error| error.to_string())?;
    let arn = ClusterArn::parse(arn).map_err(|error| error.to_string())?;
    Ok(Cluster { issuer, arn })
}

fn service_account(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("write it NAMESPACE/NAME".to_owned()),
    }
}

/// What a program gets.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// What became of the policy.
    verdict: Verdict,
    /// Who may assume the role by IRSA, as IAM patterns.
    grants: Grants,
    /// Conditions that are carried over, of all grants.
    carried: Vec<Carried>,
    /// Why.
    reasons: Vec<Reason>,
    /// The statements to add, as JSON.
    added: Vec<serde_json::Value>,
    /// The new policy's text; the old one if nothing is added, none if it is no policy.
    document: Option<String>,
    /// The new policy's length as IAM counts it.
    characters: Option<usize>,
    /// How what is granted after relates to what is granted before.
    proof: Option<Proof>,
}

impl Report {
    fn of(it: &Translation) -> Self {
        let carried: BTreeSet<&Carried> = it.grants.iter().flat_map(|grant| &grant.carried).collect();
        Self {
            verdict: it.verdict,
            grants: it.grants.clone(),
            carried: carried.into_iter().cloned().collect(),
            reasons: it.reasons.clone(),
            added: it.added.iter().filter_map(|add| serde_json::from_str(&add.text).ok()).collect(),
            document: Some(it.document.text().to_owned()),
            characters: Some(it.characters),
            proof: it.proof.clone(),
        }
    }

    fn stopped(verdict: Verdict, reason: Reason, document: Option<&Document>) -> Self {
        Self {
            verdict,
            grants: Grants::default(),
            carried: Vec::new(),
            reasons: vec![reason],
            added: Vec::new(),
            document: document.map(|it| it.text().to_owned()),
            characters: document.map(Document::characters),
            proof: None,
        }
    }
}

pub(crate) fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    let mode = mode(args)?;
    check_clusters(&args.clusters)?;
    let bytes = input(&args.file)?;
    let document = match document(&bytes) {
        Ok(document) => document,
        Err(invalid) => return refuse(args, printer, &invalid),
    };
    let scope = match scope(args, &document) {
        Ok(scope) => scope,
        Err(reason) => {
            let report = || serde_json::to_value(Report::stopped(Verdict::Held, reason.clone(), Some(&document)));
            printer.show(args.output, &view::trust_stopped(&reason), report)?;
            return Ok(Exit::Held);
        }
    };
    let subjects = subjects(args, &document, &scope);
    let translation = translate(&document, &scope, mode, &subjects);
    let doc = view::translation(&document, &translation);
    printer.show(args.output, &doc, || serde_json::to_value(Report::of(&translation)))?;
    Ok(match translation.verdict {
        Verdict::Translated | Verdict::Already | Verdict::Nothing => Exit::Done,
        Verdict::Held => Exit::Held,
        Verdict::Invalid => Exit::Usage,
    })
}

fn mode(args: &Args) -> Result<Mode, CommandError> {
    let named = !args.service_accounts.is_empty();
    match args.mode {
        None if named => Ok(Mode::Tight),
        Some(ModeName::Equivalent | ModeName::Open) if named => {
            Err(CommandError::usage("--service-account names whom tight mode grants, and another mode is asked for")
                .hint("leave one of the two out"))
        }
        None | Some(ModeName::Equivalent) => Ok(Mode::Equivalent),
        Some(ModeName::Open) => Ok(Mode::Open),
        Some(ModeName::Tight) if named => Ok(Mode::Tight),
        Some(ModeName::Tight) => {
            Err(CommandError::usage("tight mode grants the ServiceAccounts that are named, and none is")
                .hint("name them with --service-account NAMESPACE/NAME"))
        }
    }
}

/// A cluster has one issuer and an issuer one cluster: tokens of one would else be taken for the other's.
fn check_clusters(clusters: &[Cluster]) -> Result<(), CommandError> {
    let fail = |message: String| {
        let hint = "`aws eks describe-cluster --name NAME` shows the issuer of a cluster";
        Err(CommandError::usage(message).hint(hint))
    };
    for (index, one) in clusters.iter().enumerate() {
        for other in clusters.iter().take(index) {
            // One cluster's issuer has two hosts, with and without IPv6, and one id.
            let same =
                one.issuer == other.issuer || (id(&one.issuer).is_some() && id(&one.issuer) == id(&other.issuer));
            match (same, one.arn == other.arn) {
                (true, false) => return fail(format!("{} is given to two clusters", one.issuer)),
                (false, true) => return fail(format!("{} is given two issuers", one.arn)),
                (true, true) | (false, false) => {}
            }
        }
        if region(&one.issuer).is_some_and(|it| it != one.arn.region()) {
            return fail(format!("{} is in another region than {}", one.issuer, one.arn));
        }
    }
    Ok(())
}

/// The part of an EKS issuer that names its cluster: `oidc.eks.REGION.HOST/id/ID`.
fn id(issuer: &Issuer) -> Option<&str> {
    issuer.as_str().rsplit_once("/id/").map(|(_, id)| id)
}

/// The region of an EKS issuer: `oidc.eks.REGION.amazonaws.com`, or `oidc-eks.REGION.api.aws`.
fn region(issuer: &Issuer) -> Option<&str> {
    let host = issuer.as_str();
    let rest = host.strip_prefix("oidc.eks.").or_else(|| host.strip_prefix("oidc-eks."))?;
    rest.split('.').next()
}

/// The policy's bytes; one more character than the API takes is enough to refuse it.
fn input(path: &Path) -> Result<Vec<u8>, CommandError> {
    if path != Path::new("-") {
        return file::read(path, "the policy", MOST_OF_A_POLICY);
    }
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MOST_OF_A_POLICY).read_to_end(&mut bytes);
    read.map_err(|error| CommandError::usage(format!("standard input cannot be read: {error}")))?;
    Ok(bytes)
}

/// A character has at most four bytes; the rest tells a file that is far too long from one that is a policy.
const MOST_OF_A_POLICY: u64 = 8 * MAX_CHARACTERS as u64;

fn document(bytes: &[u8]) -> Result<Document, Invalid> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Document::parse(text),
        Err(error) => {
            let good = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
            let line = good.matches('\n').count() + 1;
            let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let message = "not JSON: the text is not in UTF-8".to_owned();
            Err(Invalid { code: Code::NotJson, message, place: Place { line, column } })
        }
    }
}

fn refuse(args: &Args, printer: Printer, invalid: &Invalid) -> Result<Exit, CommandError> {
    if args.output == Shown::Text {
        let name = if args.file == Path::new("-") { "standard input".into() } else { args.file.to_string_lossy() };
        let Place { line, column } = invalid.place;
        let message = format!("{name}, line {line}, column {column}: {} ({})", invalid.message, invalid.code.as_str());
        return Err(CommandError::usage(message).hint("IAM would not take this as a trust policy either"));
    }
    let report = || serde_json::to_value(Report::stopped(Verdict::Invalid, invalid.reason(), None));
    printer.show(args.output, &view::trust_stopped(&invalid.reason()), report)?;
    Ok(Exit::Usage)
}

/// What the policy is read against.
fn scope(args: &Args, document: &Document) -> Result<Scope, Reason> {
    let provider = Provider::Exists { client_ids: args.audiences.clone() };
    let cluster =
        |it: &Cluster| ScopeCluster { arn: it.arn.clone(), issuer: it.issuer.clone(), provider: provider.clone() };
    let role_account = match &args.account {
        Some(account) => account.clone(),
        None => role_account(&args.clusters, document)?,
    };
    Ok(Scope { role_account, clusters: args.clusters.iter().map(cluster).collect() })
}

/// The account that owns the role: that of the providers which the policy names, for a provider counts in the role's
/// own account only. Where several are named, the one that is also a cluster's.
fn role_account(clusters: &[Cluster], document: &Document) -> Result<AccountId, Reason> {
    let issuers: BTreeMap<&str, &Cluster> = clusters.iter().map(|it| (it.issuer.as_str(), it)).collect();
    let (mut named, mut own) = (BTreeSet::new(), BTreeSet::new());
    for (account, issuer) in document.providers() {
        let Some(cluster) = issuers.get(issuer.as_str()) else { continue };
        if cluster.arn.account() == account {
            own.insert(account.clone());
        }
        named.insert(account);
    }
    let one = |accounts: &BTreeSet<AccountId>| accounts.first().filter(|_| accounts.len() == 1).cloned();
    let of_clusters: BTreeSet<AccountId> = clusters.iter().map(|it| it.arn.account()).collect();
    let found = if named.is_empty() { of_clusters.first().cloned() } else { one(&named).or_else(|| one(&own)) };
    found.ok_or_else(|| {
        let accounts: Vec<String> = named.iter().map(ToString::to_string).collect();
        Reason {
            code: Code::RoleAccountUnclear,
            message: format!(
                "the policy names providers in the accounts {}, and only those of the role's own account count: say which it is with --account",
                accounts.join(" and ")
            ),
            place: None,
        }
    })
}

/// The named ServiceAccounts, each in every cluster whose tokens are granted it; in the first cluster if in none, so
/// that the translation says that it is not granted.
fn subjects(args: &Args, document: &Document, scope: &Scope) -> Vec<Subject> {
    let grants = read(document, scope).grants;
    let mut subjects = Vec::new();
    for (namespace, service_account) in &args.service_accounts {
        let in_cluster = |it: &ScopeCluster| Subject {
            cluster: it.arn.clone(),
            namespace: namespace.clone(),
            service_account: service_account.clone(),
        };
        let all: Vec<Subject> = scope.clusters.iter().map(in_cluster).collect();
        let granted: Vec<Subject> = all.iter().filter(|it| grants.allows(it)).cloned().collect();
        subjects.extend(if granted.is_empty() { all.into_iter().take(1).collect() } else { granted });
    }
    subjects
}
