//! One ServiceAccount once more: what `apply` looks at before it touches it.

use super::{Progress, ScanError, Teller, Wanted, account, begin, cluster, somebody_answers};
use crate::inventory::{Inventory, Seen, Workload};
use crate::model::{RoleArn, Subject};
use crate::ports::{PortError, World};

/// Reads what the units of a run share: who asks, the account's roles, providers and quota, and of
/// each cluster what is one for the whole of it. [`subject`] adds the rest, one ServiceAccount at a
/// time; until then it is unseen.
///
/// # Errors
/// As [`super::scan`].
pub async fn shared<W: World>(
    world: &W,
    wanted: &[Wanted],
    progress: &mut impl FnMut(Progress),
) -> Result<Inventory, ScanError> {
    let teller = Teller::new(progress);
    let (mut inventory, wanted) = begin(world, wanted, &teller).await?;
    let clusters = wanted.iter().map(|it| cluster::what_is_shared(world, it, &teller));
    let (account, clusters) = futures::join!(account::whole(world, &teller), futures::future::join_all(clusters));
    let clusters = clusters.into_iter().collect::<Result<Vec<_>, _>>()?;
    inventory.clusters = somebody_answers(clusters)?;
    inventory.accounts.insert(inventory.caller.account.clone(), account);
    Ok(inventory)
}

/// A small inventory for one ServiceAccount, from which its findings can be computed anew: the
/// ServiceAccount, its association, role, workloads, pods and the nodes are read now, the rest is
/// what `shared` has.
///
/// Nothing here fails: what could not be read is unseen, and its findings hold the ServiceAccount.
pub async fn subject<W: World>(world: &W, shared: &Inventory, subject: &Subject) -> Inventory {
    let teller = Teller::new(|_: Progress| {});
    let mut inventory = shared.clone();
    inventory.taken_at = world.now();
    let Some(place) = inventory.clusters.iter_mut().find(|it| it.arn == subject.cluster) else { return inventory };
    let anew = cluster::anew(world, subject, &teller).await;
    let annotation = match &anew.service_account {
        Seen::Seen(Some(it)) => it.role_arn.clone(),
        Seen::Seen(None) | Seen::Unseen(_) => None,
    };
    place.service_accounts = listed(anew.service_account);
    place.associations = listed(anew.association);
    place.workloads = anew.workloads.into_iter().map(|(kind, it)| (kind, of(it, subject))).collect();
    place.pods = anew.pods;
    place.nodes = anew.nodes;
    if let Some(role) = annotation.and_then(|it| RoleArn::parse(&it).ok()) {
        renew(world, &mut inventory, &role, &teller).await;
    }
    inventory
}

/// An answer that is one thing or none, as the list that an inventory has of it.
fn listed<T>(answer: Seen<Option<T>>) -> Seen<Vec<T>> {
    match answer {
        Seen::Seen(it) => Seen::Seen(it.into_iter().collect()),
        Seen::Unseen(why) => Seen::Unseen(why),
    }
}

/// The workloads of this ServiceAccount; the namespace has others.
fn of(workloads: Seen<Vec<Workload>>, subject: &Subject) -> Seen<Vec<Workload>> {
    match workloads {
        Seen::Seen(mut all) => {
            all.retain(|it| it.service_account == subject.service_account);
            Seen::Seen(all)
        }
        Seen::Unseen(why) => Seen::Unseen(why),
    }
}

/// Reads the role once more, in the place of what was known of it.
async fn renew<W: World, F: FnMut(Progress)>(world: &W, inventory: &mut Inventory, arn: &RoleArn, teller: &Teller<F>) {
    if arn.account() != inventory.caller.account {
        return;
    }
    let Some(account) = inventory.accounts.get_mut(&arn.account()) else { return };
    let Seen::Seen(roles) = &mut account.roles else { return };
    let answer = teller.told(None, "the role", world.role(arn)).await;
    let known = roles.iter().position(|it| it.arn == *arn);
    match (answer, known) {
        (Ok(now), Some(at)) => roles[at] = account::with_detail(now),
        (Ok(now), None) => roles.push(account::with_detail(now)),
        (Err(PortError::NotFound(_)), Some(at)) => drop(roles.remove(at)),
        (Err(why), Some(at)) => roles[at].detail = Some(Seen::Unseen(why.to_string())),
        (Err(_), None) => {}
    }
}
