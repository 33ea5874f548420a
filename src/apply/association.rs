//! Steps on a ServiceAccount's association: the switch for every pod admitted from then on.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::restart::pods_of;
use super::step::{Doubt, Look, Way};
use super::{Broken, Trouble, trust};
use crate::inventory::{Association, AssociationDetail, Mode, Pod, Seen};
use crate::model::{ClusterArn, RoleArn, Subject};
use crate::ports::{JournalStore, NewAssociation, PortError, Sight, World};

/// How many associations are described at a time: EKS throttles.
const DESCRIBES_AT_A_TIME: usize = 4;

/// How often all associations are looked through while somebody's still names a role: EKS has no watch.
const ASSOCIATIONS: Duration = Duration::from_secs(5);

/// Whether an association carries this mark: all the tags, with these values.
fn is_marked(detail: &AssociationDetail, tags: &BTreeMap<String, String>) -> bool {
    tags.iter().all(|(key, value)| detail.tags.get(key) == Some(value))
}

/// The ServiceAccount's association and its detail. A list that still names one which was deleted
/// meanwhile is no association.
async fn found<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    subject: &Subject,
) -> Result<Option<(Association, AssociationDetail)>, Broken> {
    let ask = async || match way.world().association_of(subject).await {
        Err(PortError::NotFound(_)) => Ok(None),
        answer => answer,
    };
    let Some(association) = way.patience.ask(ask).await? else { return Ok(None) };
    match association.detail.clone() {
        Some(Seen::Seen(detail)) => Ok(Some((association, detail))),
        Some(Seen::Unseen(why)) => {
            Err(Trouble::new(format!("the association of {subject} cannot be read: {why}")).into())
        }
        None => Err(Trouble::new(format!("the association of {subject} was not described")).into()),
    }
}

/// Makes the association.
pub(super) async fn create<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    subject: &Subject,
    role_arn: &RoleArn,
    tags: &BTreeMap<String, String>,
    token: &str,
) -> Result<(), Broken> {
    let look = async || {
        Ok(match found(way, subject).await? {
            None => Look::Before,
            Some((_, detail)) if is_marked(&detail, tags) && is_plain(&detail, role_arn) => Look::After,
            // Without our mark it is somebody else's, also where it names the same role: their next
            // change of it would be taken for ours, and our undo would delete it.
            Some((it, detail)) => Look::Drift(format!(
                "{subject} has association {} to {}, which is not what this plan makes",
                it.id, detail.role_arn
            )),
        })
    };
    let new = NewAssociation {
        subject: subject.clone(),
        role_arn: role_arn.clone(),
        tags: tags.clone(),
        token: token.to_owned(),
    };
    let doubt = if way.status().may_be_ours() { Doubt::Before } else { Doubt::No };
    let settle = way.context().plan.numbers.association_settle;
    way.write(doubt, settle, look, async || way.world().create_association(&new).await).await?;
    // Found with our mark before anything was sent: the journal that knew of it was lost.
    way.start().await
}

/// Whether it is as we make them: this role, session tags on, no target role, no policy.
fn is_plain(detail: &AssociationDetail, role_arn: &RoleArn) -> bool {
    detail.role_arn == *role_arn
        && detail.target_role_arn.is_none()
        && !detail.disable_session_tags
        && !detail.has_policy
}

/// Deletes the association with our mark, as we made it.
pub(super) async fn delete<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    subject: &Subject,
    role_arn: &RoleArn,
    tags: &BTreeMap<String, String>,
) -> Result<(), Broken> {
    let id = std::cell::RefCell::new(String::new());
    let look = async || {
        Ok(match found(way, subject).await? {
            None => Look::After,
            Some((it, detail)) if is_marked(&detail, tags) && is_plain(&detail, role_arn) => {
                *id.borrow_mut() = it.id;
                Look::Before
            }
            Some((it, _)) => Look::Drift(format!(
                "{subject} has association {}, which this plan did not make, or which was changed since: it is left alone",
                it.id
            )),
        })
    };
    let send = async || {
        let id = id.borrow().clone();
        way.world().delete_association(&subject.cluster, &id).await
    };
    let settle = way.context().plan.numbers.association_settle;
    // No association may only mean that ours is not seen yet.
    way.write(Doubt::After, settle, look, send).await?;
    way.start().await
}

/// The association with its role is seen.
pub(super) async fn seen<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    subject: &Subject,
    role_arn: &RoleArn,
) -> Result<(), Broken> {
    loop {
        if found(way, subject).await?.is_some_and(|(_, detail)| is_plain(&detail, role_arn)) {
            return Ok(());
        }
        way.patience.pause("the association to be seen", way.interval()).await?;
    }
}

/// No association is seen.
pub(super) async fn gone<W: World, J: JournalStore>(way: &Way<'_, '_, W, J>, subject: &Subject) -> Result<(), Broken> {
    while found(way, subject).await?.is_some() {
        way.patience.pause("the association to be gone", way.interval()).await?;
    }
    Ok(())
}

/// Nobody uses the role through Pod Identity any more.
pub(super) async fn role_unused<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    role_arn: &RoleArn,
    subjects: &[Subject],
    clusters: &[ClusterArn],
) -> Result<(), Broken> {
    loop {
        match user_of(way, role_arn, subjects, clusters).await? {
            None => return Ok(()),
            Some(User::Pods(subject, pods, on)) => {
                way.patience.watch(&on, Sight { subject, pods: &pods, workload: None }).await?;
            }
            Some(User::Association(on)) => way.patience.pause(&on, ASSOCIATIONS).await?,
        }
    }
}

/// Somebody who still uses a role through Pod Identity, and what is waited for in words.
enum User<'a> {
    /// Pods of this ServiceAccount, among all that it has.
    Pods(&'a Subject, Vec<Pod>, String),
    /// An association, in whichever cluster.
    Association(String),
}

async fn user_of<'a, W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    role_arn: &RoleArn,
    subjects: &'a [Subject],
    clusters: &[ClusterArn],
) -> Result<Option<User<'a>>, Broken> {
    let world = way.world();
    for subject in subjects {
        let pods = pods_of(way, subject).await?;
        // A pod that is on its way out may still fetch credentials.
        if let Some(user) = pods.iter().find(|it| matches!(it.mode, Mode::PodIdentity | Mode::Both)) {
            let on = format!("pod {}/{} of {subject} to leave the role", user.namespace, user.name);
            return Ok(Some(User::Pods(subject, pods, on)));
        }
    }
    for cluster in clusters {
        let all = way.patience.ask(async || world.associations(cluster).await).await?;
        let users: Vec<Option<String>> = stream::iter(all)
            .map(async |it| {
                let ask = async || match world.association(cluster, &it.id).await {
                    Err(PortError::NotFound(_)) => Ok(None),
                    answer => answer.map(Some),
                };
                let detail = way.patience.ask(ask).await?.filter(|it| it.role_arn == *role_arn);
                let Some(detail) = detail else { return Ok(None) };
                let (namespace, service_account) = (it.namespace.clone(), it.service_account.clone());
                let subject = Subject { cluster: cluster.clone(), namespace, service_account };
                // An association that others made, and let in by a statement of their own, is no user of ours.
                let is_theirs = !detail.disable_session_tags && trust::lets_in_without_us(way, &subject).await?;
                let words = || format!("association {} of {}/{}", it.id, it.namespace, it.service_account);
                Ok::<_, Broken>((!is_theirs).then(words))
            })
            .buffered(DESCRIBES_AT_A_TIME)
            .try_collect()
            .await?;
        if let Some(user) = users.into_iter().flatten().next() {
            return Ok(Some(User::Association(format!("{user} to leave the role"))));
        }
    }
    Ok(None)
}
