//! EKS.

use aws_sdk_eks::types as sdk;
use futures::{StreamExt as _, TryStreamExt as _};

use super::iam::{odd, timestamp};
use super::{Aws, SIDE_BY_SIDE};
use crate::inventory::{Addon, AddonUse, Association, AssociationDetail, ClusterFacts, Seen};
use crate::model::{ClusterArn, Issuer, RoleArn, Subject};
use crate::ports::{Answer, Eks, NewAssociation, PortError};

const AGENT: &str = "eks-pod-identity-agent";

impl Eks for Aws {
    async fn cluster(&self, cluster: &ClusterArn) -> Answer<ClusterFacts> {
        let call = format!("eks:DescribeCluster {}", cluster.name());
        self.eks_of(&call, cluster).await?;
        let found = self.described(cluster.name(), cluster.region()).await?;
        if found.arn() != Some(cluster.as_str()) {
            let arn = found.arn().unwrap_or("one without an ARN");
            return Err(PortError::Invalid(format!("{call}: the cluster of this name is {arn}, not {cluster}")));
        }
        let issuer = found.identity().and_then(|it| it.oidc()).and_then(|it| it.issuer());
        let issuer = issuer.filter(|it| !it.is_empty()).map(Issuer::parse).transpose();
        let text = |it: Option<&str>| it.unwrap_or_default().to_owned();
        Ok(ClusterFacts {
            endpoint: text(found.endpoint()),
            certificate_authority: text(found.certificate_authority().and_then(|it| it.data())),
            issuer: issuer.map_err(|it| odd(&call, it))?,
            version: text(found.version()),
            platform_version: text(found.platform_version()),
            auto_mode: found.compute_config().and_then(|it| it.enabled()).unwrap_or(false),
            status: text(found.status().map(sdk::ClusterStatus::as_str)),
        })
    }

    async fn agent_addon(&self, cluster: &ClusterArn) -> Answer<Option<Addon>> {
        let found = self.addon(cluster, AGENT).await?;
        Ok(found.map(|it| Addon { version: version(&it), status: status(&it) }))
    }

    async fn addons(&self, cluster: &ClusterArn) -> Answer<Vec<AddonUse>> {
        let call = format!("eks:ListAddons {}", cluster.name());
        let eks = self.eks_of(&call, cluster).await?;
        let names = eks.read.list_addons().cluster_name(cluster.name()).into_paginator().page_size(100).items().send();
        let names: Vec<String> = names.try_collect().await.map_err(|it| eks.host.said(&call, it))?;
        let read = futures::stream::iter(names.iter().map(|it| self.addon(cluster, it))).buffered(SIDE_BY_SIDE);
        let found: Vec<_> = read.try_collect().await?;
        let uses = found.into_iter().flatten().map(|it| AddonUse {
            name: it.addon_name().unwrap_or_default().to_owned(),
            version: version(&it),
            status: status(&it),
            role_arn: it.service_account_role_arn().filter(|it| !it.is_empty()).map(str::to_owned),
            association_arns: it.pod_identity_associations().to_vec(),
        });
        Ok(uses.filter(|it| it.role_arn.is_some() || !it.association_arns.is_empty()).collect())
    }

    async fn associations(&self, cluster: &ClusterArn) -> Answer<Vec<Association>> {
        self.listed(cluster, None).await
    }

    async fn association(&self, cluster: &ClusterArn, id: &str) -> Answer<AssociationDetail> {
        let call = format!("eks:DescribePodIdentityAssociation {}/{id}", cluster.name());
        let eks = self.eks_of(&call, cluster).await?;
        let _turn = self.eks_reads.acquire().await;
        let describe = eks.read.describe_pod_identity_association().cluster_name(cluster.name()).association_id(id);
        let out = describe.send().await.map_err(|it| eks.host.said(&call, it))?;
        detail(&call, out.association().ok_or_else(|| odd(&call, "the answer has no association"))?)
    }

    async fn association_of(&self, subject: &Subject) -> Answer<Option<Association>> {
        let listed = self.listed(&subject.cluster, Some(subject)).await?;
        let mine =
            |it: &Association| it.namespace == subject.namespace && it.service_account == subject.service_account;
        let Some(found) = listed.into_iter().find(mine) else { return Ok(None) };
        match self.association(&subject.cluster, &found.id).await {
            Ok(detail) => Ok(Some(Association { detail: Some(Seen::Seen(detail)), ..found })),
            // Deleted between the two calls.
            Err(PortError::NotFound(_)) => Ok(None),
            Err(it) => Err(it),
        }
    }

    async fn create_association(&self, new: &NewAssociation) -> Answer<()> {
        let subject = &new.subject;
        let call = format!("eks:CreatePodIdentityAssociation {subject}");
        let eks = self.eks_of(&call, &subject.cluster).await?;
        let create = eks
            .write
            .create_pod_identity_association()
            .cluster_name(subject.cluster.name())
            .namespace(&subject.namespace)
            .service_account(&subject.service_account)
            .role_arn(new.role_arn.as_str())
            .client_request_token(&new.token)
            .set_tags(Some(new.tags.clone().into_iter().collect()));
        create.send().await.map_err(|it| eks.host.said(&call, it))?;
        Ok(())
    }

    async fn delete_association(&self, cluster: &ClusterArn, id: &str) -> Answer<()> {
        let call = format!("eks:DeletePodIdentityAssociation {}/{id}", cluster.name());
        let eks = self.eks_of(&call, cluster).await?;
        let delete = eks.write.delete_pod_identity_association().cluster_name(cluster.name()).association_id(id);
        delete.send().await.map_err(|it| eks.host.said(&call, it))?;
        Ok(())
    }
}

impl Aws {
    /// The ARN of the cluster of this name in this region, of whatever account the caller is.
    pub(in crate::live) async fn cluster_named(&self, name: &str, region: &str) -> Answer<ClusterArn> {
        let found = self.described(name, region).await?;
        let call = format!("eks:DescribeCluster {name}");
        ClusterArn::parse(found.arn().unwrap_or_default()).map_err(|it| odd(&call, it))
    }

    async fn described(&self, name: &str, region: &str) -> Answer<sdk::Cluster> {
        let call = format!("eks:DescribeCluster {name} in {region}");
        let eks = self.eks_in(region);
        let _turn = self.eks_reads.acquire().await;
        let out = eks.read.describe_cluster().name(name).send().await.map_err(|it| eks.host.said(&call, it))?;
        out.cluster.ok_or_else(|| odd(&call, "the answer has no cluster"))
    }

    /// An add-on; `None` if it is not installed.
    async fn addon(&self, cluster: &ClusterArn, name: &str) -> Answer<Option<sdk::Addon>> {
        let call = format!("eks:DescribeAddon {}/{name}", cluster.name());
        let eks = self.eks_of(&call, cluster).await?;
        let _turn = self.eks_reads.acquire().await;
        let out = eks.read.describe_addon().cluster_name(cluster.name()).addon_name(name).send().await;
        match out {
            Ok(out) => Ok(out.addon),
            Err(it) => {
                // A cluster that is not there is the same error with another text, and no addonName.
                let of_cluster = it.as_service_error().is_some_and(|it| it.to_string().contains("No cluster found"));
                let said = eks.host.said(&call, it);
                let absent = matches!(said, PortError::NotFound(_)) && !of_cluster;
                if absent { Ok(None) } else { Err(said) }
            }
        }
    }

    /// Associations without their detail: all, or those of one ServiceAccount.
    async fn listed(&self, cluster: &ClusterArn, of: Option<&Subject>) -> Answer<Vec<Association>> {
        let call = format!("eks:ListPodIdentityAssociations {}", cluster.name());
        let eks = self.eks_of(&call, cluster).await?;
        let list = eks
            .read
            .list_pod_identity_associations()
            .cluster_name(cluster.name())
            .set_namespace(of.map(|it| it.namespace.clone()))
            .set_service_account(of.map(|it| it.service_account.clone()));
        let mut pages = list.into_paginator().page_size(100).send();
        let mut associations = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|it| eks.host.said(&call, it))?;
            for it in page.associations() {
                associations.push(summary(&call, it)?);
            }
        }
        Ok(associations)
    }
}

fn version(it: &sdk::Addon) -> String {
    it.addon_version().unwrap_or_default().to_owned()
}

fn status(it: &sdk::Addon) -> String {
    it.status().map(sdk::AddonStatus::as_str).unwrap_or_default().to_owned()
}

fn summary(call: &str, it: &sdk::PodIdentityAssociationSummary) -> Answer<Association> {
    let id = it.association_id().filter(|it| !it.is_empty());
    Ok(Association {
        id: id.ok_or_else(|| odd(call, "an association has no id"))?.to_owned(),
        namespace: it.namespace().unwrap_or_default().to_owned(),
        service_account: it.service_account().unwrap_or_default().to_owned(),
        // An empty owner is how some answers say that there is none.
        owner: it.owner_arn().filter(|it| !it.is_empty()).map(str::to_owned),
        detail: None,
    })
}

fn detail(call: &str, it: &sdk::PodIdentityAssociation) -> Answer<AssociationDetail> {
    let filled = |it: Option<&str>| it.filter(|it| !it.is_empty()).map(str::to_owned);
    Ok(AssociationDetail {
        role_arn: RoleArn::parse(it.role_arn().unwrap_or_default()).map_err(|it| odd(call, it))?,
        target_role_arn: filled(it.target_role_arn()),
        disable_session_tags: it.disable_session_tags().unwrap_or(false),
        has_policy: filled(it.policy()).is_some(),
        tags: it.tags().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect(),
        created_at: it.created_at().and_then(timestamp),
    })
}
