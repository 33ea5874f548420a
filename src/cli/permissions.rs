//! `permissions`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::error::CommandError;
use super::exit::Exit;
use super::file::{self, OutFile};
use super::out::{Printer, Told};
use crate::model::{ClusterArn, RoleArn};
use crate::permissions::{File, Identity, Scope, ScopeError, Stage, files};
use crate::plan::Work;
use crate::plan::settings::Effective;

/// Write the least rights that scan and apply need: IAM policies and Kubernetes RBAC
///
/// The rights follow from the calls that the program makes, and no call is made to write them. With --plan
/// they are those of that plan, its rollback included: its clusters, its roles, and no more. The probes' dry runs are
/// fenced in by a ValidatingAdmissionPolicy, which Kubernetes has from 1.30 on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is to be done with them; both where it is not said
    #[arg(long = "for", value_enum)]
    stage: Option<For>,
    /// The plan that is to be applied
    #[arg(long, conflicts_with_all = ["cluster", "role"])]
    plan: Option<PathBuf>,
    /// A cluster, by its ARN
    #[arg(long)]
    cluster: Vec<ClusterArn>,
    /// A role that may be changed and given to pods, by its ARN; every role of the account where none is named
    #[arg(long)]
    role: Vec<RoleArn>,
    /// The Kubernetes group of the caller, as an EKS access entry gives it
    #[arg(long, default_value = "irsa-migrate", conflicts_with = "user")]
    group: String,
    /// The Kubernetes user of the caller, instead of a group
    #[arg(long)]
    user: Option<String>,
    /// The folder to write the files to; without it they are printed
    #[arg(long)]
    out: Option<PathBuf>,
    /// How to print them
    #[arg(short, long, value_enum, default_value_t)]
    output: Told,
}

/// What the rights are for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum For {
    /// Reading: scan, plan, verify
    Scan,
    /// Carrying out a plan, and undoing it
    Apply,
}

pub(crate) fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    let scope = scope(args)?;
    let stages = match args.stage {
        Some(For::Scan) => vec![Stage::Scan],
        Some(For::Apply) => vec![Stage::Apply],
        None => Stage::ALL.to_vec(),
    };
    let mut all = Vec::new();
    for stage in stages {
        all.extend(files(stage, &scope).map_err(usage)?);
    }
    match &args.out {
        Some(folder) => {
            file::folder(folder)?;
            for it in &all {
                let out = OutFile::at(&folder.join(&it.name))?;
                out.write(it.text.as_bytes())?;
                printer.say(&format!("wrote {out}"));
            }
        }
        None => printer.data(&printed(&all, args.output)?)?,
    }
    Ok(Exit::Done)
}

fn scope(args: &Args) -> Result<Scope, CommandError> {
    let identity = match &args.user {
        Some(user) => Identity::User(user.clone()),
        None => Identity::Group(args.group.clone()),
    };
    let Some(path) = &args.plan else {
        return Ok(Scope {
            clusters: args.cluster.clone(),
            roles: args.role.clone(),
            identity,
            lease_namespace: "kube-system".to_owned(),
            probe: true,
        });
    };
    let plan = file::plan(path)?.plan;
    let roles = plan.units.iter().filter_map(|it| match &it.work {
        Work::Role(role) => Some(role.role_arn.clone()),
        Work::ServiceAccount(_) => None,
    });
    Ok(Scope {
        clusters: plan.clusters.iter().map(|it| it.arn.clone()).collect(),
        roles: roles.collect(),
        identity,
        lease_namespace: plan.rules.lease_namespace.clone(),
        probe: plan.rules.effective == Effective::Probe,
    })
}

fn printed(all: &[File], output: Told) -> Result<String, CommandError> {
    match output {
        Told::Text => Ok(all.iter().map(|it| format!("==> {} <==\n{}\n", it.name, it.text)).collect()),
        Told::Json => {
            let object: serde_json::Map<_, _> =
                all.iter().map(|it| (it.name.clone(), it.text.clone().into())).collect();
            Ok(format!("{}\n", serde_json::to_string(&object)?))
        }
    }
}

fn usage(error: ScopeError) -> CommandError {
    let hint = match &error {
        ScopeError::NoCluster => "name a cluster by its ARN, or a plan",
        ScopeError::OtherAccount { .. } => "one policy is for one account: write one for each",
        ScopeError::Name(_) => "letters, digits and most marks, but no quotes, spaces or backslashes",
    };
    CommandError::usage(error.to_string()).hint(hint)
}
