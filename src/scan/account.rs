//! An account's IAM.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt};

use super::{DETAILS_AT_A_TIME, Progress, Teller};
use crate::findings::{Checks, concerns};
use crate::inventory::{Account, Inventory, Role, Seen};
use crate::model::RoleArn;
use crate::ports::{Iam, World};

/// Quota, providers and all roles.
pub(super) async fn whole<W: Iam, F: FnMut(Progress)>(world: &W, teller: &Teller<F>) -> Account {
    let (trust_quota, providers, roles) = futures::join!(
        teller.seen(None, "the quota of trust policies", world.trust_quota()),
        teller.seen(None, "OIDC providers", world.providers()),
        teller.seen(None, "roles", world.roles()),
    );
    Account { trust_quota, providers, roles }
}

/// Leaves out the roles that have nothing to do with a scanned cluster: an account has thousands.
pub(super) fn keep_what_concerns(inventory: &mut Inventory) {
    let issuers: Vec<String> =
        inventory.clusters.iter().filter_map(|it| it.issuer()).map(|it| it.as_str().to_owned()).collect();
    let issuers: Vec<&str> = issuers.iter().map(String::as_str).collect();
    let named = named(inventory);
    for account in inventory.accounts.values_mut() {
        if let Seen::Seen(roles) = &mut account.roles {
            roles.retain(|it| named.contains(&name(&it.arn)) || concerns(&it.trust, &issuers));
            roles.sort_by(|a, b| a.arn.cmp(&b.arn));
        }
    }
}

/// Names of the roles that annotations and associations ask for. By name alone, so that a role
/// under another path than the one that is asked for can be told of.
fn named(inventory: &Inventory) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for cluster in &inventory.clusters {
        let accounts = cluster.service_accounts.get().into_iter().flatten();
        let annotated = accounts.filter_map(|it| RoleArn::parse(it.role_arn.as_deref()?).ok());
        let details = cluster.associations.get().into_iter().flatten().filter_map(|it| it.detail.as_ref()?.get());
        all.extend(annotated.map(|it| name(&it)));
        all.extend(details.map(|it| name(&it.role_arn)));
    }
    all
}

/// IAM keeps no two roles whose names differ by case alone.
fn name(role: &RoleArn) -> String {
    role.name().to_ascii_lowercase()
}

/// One `GetRole` for each role that would become a unit.
pub(super) async fn details<W: World, F: FnMut(Progress)>(world: &W, inventory: &mut Inventory, teller: &Teller<F>) {
    let wanted = Checks::new(inventory).roles_to_look_at();
    let here = wanted.into_iter().filter(|it| it.account() == inventory.caller.account);
    let read = stream::iter(here).map(|arn| async move {
        let answer = teller.told(None, "a role", world.role(&arn)).await;
        (arn, answer)
    });
    let answers: Vec<_> = read.buffered(DETAILS_AT_A_TIME).collect().await;
    let Some(account) = inventory.accounts.get_mut(&inventory.caller.account) else { return };
    let Seen::Seen(roles) = &mut account.roles else { return };
    for (arn, answer) in answers {
        let Some(role) = roles.iter_mut().find(|it| it.arn == arn) else { continue };
        match answer {
            Ok(now) => *role = with_detail(now),
            Err(why) => role.detail = Some(Seen::Unseen(why.to_string())),
        }
    }
}

/// What `GetRole` answered; without detail it did not answer what was asked.
pub(super) fn with_detail(role: Role) -> Role {
    let detail = role.detail.unwrap_or_else(|| Seen::Unseen("iam:GetRole answered without tags".to_owned()));
    Role { detail: Some(detail), ..role }
}
