//! How the account and the clusters are reached.

use std::path::{Path, PathBuf};

use super::error::CommandError;
use super::file;
use crate::live::{ClusterAt, ClusterName, Live, LiveConfig};
use crate::model::ClusterArn;
use crate::plan::Settings;
use crate::plan::settings::ClusterAccess;
use crate::ports::PortError;

/// How the account and the clusters are reached.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Access {
    /// The AWS profile; without it, what the environment says
    #[arg(long)]
    profile: Option<String>,
    /// The AWS region, for clusters that are given by name
    #[arg(long)]
    region: Option<String>,
    /// The kubeconfig context of a cluster: CONTEXT, or CLUSTER=CONTEXT where there are several. Without it, a token
    /// is made from the AWS credentials
    #[arg(long, value_name = "[CLUSTER=]CONTEXT")]
    context: Vec<String>,
    /// The kubeconfig file; without it, what the environment says
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The settings; without it, irsa-migrate.toml if it is there
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

impl Access {
    /// The settings.
    pub(crate) fn settings(&self) -> Result<Settings, CommandError> {
        Ok(file::settings(self.settings.as_deref())?.0)
    }

    /// The settings' file, if it was named.
    pub(crate) fn settings_file(&self) -> Option<&Path> {
        self.settings.as_deref()
    }

    /// Finds the way to these clusters, each an ARN or a name.
    pub(crate) async fn connect(&self, clusters: &[String], settings: &Settings) -> Result<Live, CommandError> {
        let mut at: Vec<ClusterAt> = clusters.iter().map(|it| self.cluster(it, settings)).collect::<Result<_, _>>()?;
        self.contexts(clusters, &mut at)?;
        let account = at.iter().find_map(|it| match &it.cluster {
            ClusterName::Arn(arn) => Some(arn.account()),
            name @ ClusterName::Name(_) => self.in_settings(name, settings).map(|(arn, _)| arn.account()),
        });
        let profile = self.profile.clone().or_else(|| settings.accounts.get(account.as_ref()?)?.profile.clone());
        let config =
            LiveConfig { profile, region: self.region.clone(), kubeconfig: self.kubeconfig.clone(), clusters: at };
        Live::connect(&config).await.map_err(|error| match error {
            // What is wrong with the question is the asker's to mend.
            PortError::Invalid(said) | PortError::NotFound(said) => {
                CommandError::usage(said).hint("--cluster takes an ARN, or a name with --region")
            }
            PortError::Denied(_)
            | PortError::Credentials(_)
            | PortError::Conflict(_)
            | PortError::Throttled(_)
            | PortError::NotNow(_)
            | PortError::Unreachable(_)
            | PortError::Server(_) => CommandError::from(error),
        })
    }

    fn cluster(&self, word: &str, settings: &Settings) -> Result<ClusterAt, CommandError> {
        let cluster = match ClusterArn::parse(word) {
            Ok(arn) if self.region.as_ref().is_some_and(|region| arn.region() != region) => {
                let message = format!("{arn} is not in the region that --region names");
                return Err(CommandError::usage(message).hint("an ARN needs no --region"));
            }
            Ok(arn) => ClusterName::Arn(arn),
            // No cluster's name holds a colon.
            Err(error) if word.contains(':') => {
                let hint = "`aws eks describe-cluster --name NAME` shows a cluster's ARN";
                return Err(CommandError::usage(error.to_string()).hint(hint));
            }
            Err(_) => ClusterName::Name(word.to_owned()),
        };
        let context = self.in_settings(&cluster, settings).and_then(|(_, it)| it.context.clone());
        Ok(ClusterAt { cluster, context })
    }

    /// What the settings say of a cluster.
    fn in_settings<'s>(
        &self,
        cluster: &ClusterName,
        settings: &'s Settings,
    ) -> Option<(&'s ClusterArn, &'s ClusterAccess)> {
        settings.clusters.iter().find(|(arn, _)| match cluster {
            ClusterName::Arn(of) => *arn == of,
            ClusterName::Name(name) => {
                arn.name() == name && self.region.as_ref().is_none_or(|region| arn.region() == region)
            }
        })
    }

    /// What the command line says of contexts comes before the settings.
    fn contexts(&self, clusters: &[String], at: &mut [ClusterAt]) -> Result<(), CommandError> {
        for word in &self.context {
            // A context's own name may hold `=`: only what names a cluster of ours splits it.
            let pair = word.split_once('=').and_then(|(cluster, context)| {
                let index = clusters.iter().position(|it| it == cluster || short(it) == Some(cluster))?;
                Some((index, context))
            });
            let (index, context) = match pair {
                Some(pair) => pair,
                None if at.len() == 1 => (0, word.as_str()),
                None => {
                    let message = format!("--context {word} does not say which cluster it is for");
                    return Err(
                        CommandError::usage(message).hint("with several clusters it is --context CLUSTER=CONTEXT")
                    );
                }
            };
            at[index].context = Some(context.to_owned());
        }
        Ok(())
    }
}

fn short(cluster: &str) -> Option<&str> {
    cluster.rsplit_once("cluster/").map(|(_, name)| name)
}
