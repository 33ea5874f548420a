//! Whether two sets of grants are the same: decided, not sampled.

mod classes;
mod plane;

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::trust::grants::{Carried, Grant, Grants, Place};

/// How what is granted after relates to what was granted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Relation {
    /// The same.
    Equal,
    /// Less: nothing new, something gone.
    Narrower,
    /// More: nothing gone, something new.
    Wider,
    /// Something new and something gone.
    Incomparable,
}

/// A subject that one of the two sets grants and the other does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Witness {
    /// The cluster, or `*` for one that was not looked at.
    pub cluster_arn: Place,
    /// The namespace.
    pub namespace: String,
    /// The ServiceAccount.
    pub service_account: String,
    /// Granted before.
    pub before: bool,
    /// Granted after.
    pub after: bool,
}

/// What was decided about two sets of grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// How they relate.
    pub relation: Relation,
    /// A difference, unless they are equal: new access if there is any, else lost access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Witness>,
}

/// The sets are too intricate to be decided within the bounds on time and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the patterns are too intricate to be compared exactly")]
pub struct OverBudget;

/// How much work one decision may be, in small steps.
///
/// Real policies take a few hundred. Enough for thousands of literal names and dozens of
/// intricate globs; and few enough that no input takes a second.
const STEPS: usize = 3_000_000;

/// What is left of [`STEPS`].
pub(crate) struct Budget(usize);

impl Budget {
    fn new() -> Self {
        Self(STEPS)
    }

    fn spend(&mut self, steps: usize) -> Result<(), OverBudget> {
        self.0 = self.0.checked_sub(steps).ok_or(OverBudget)?;
        Ok(())
    }
}

/// Decides how two sets of grants relate, over all clusters and all names without a colon.
///
/// Carried conditions are compared by equality: a grant under conditions is inside a grant
/// under fewer of them, and no other relation between conditions is assumed.
///
/// # Errors
/// The sets are too intricate.
pub fn prove(before: &Grants, after: &Grants) -> Result<Proof, OverBudget> {
    if before == after {
        return Ok(Proof { relation: Relation::Equal, witness: None });
    }
    let mut budget = Budget::new();
    let gained = outside(after, before, &mut budget)?;
    let lost = outside(before, after, &mut budget)?;
    let relation = match (&gained, &lost) {
        (None, None) => Relation::Equal,
        (None, Some(_)) => Relation::Narrower,
        (Some(_), None) => Relation::Wider,
        (Some(_), Some(_)) => Relation::Incomparable,
    };
    let witness = |(place, (namespace, service_account)): (Place, (String, String)), after: bool| Witness {
        cluster_arn: place,
        namespace,
        service_account,
        before: !after,
        after,
    };
    let witness = match (gained, lost) {
        (Some(gained), _) => Some(witness(gained, true)),
        (None, Some(lost)) => Some(witness(lost, false)),
        (None, None) => None,
    };
    Ok(Proof { relation, witness })
}

/// Whether all of one grant is in a set of grants.
pub(crate) fn is_inside(grant: &Grant, all: &Grants) -> Result<bool, OverBudget> {
    // Of one pair of names, as most grants are, nothing has to be decided.
    if let (Some(namespace), Some(account)) = (grant.namespace.as_literal(), grant.service_account.as_literal())
        && grant.except.is_empty()
    {
        let carries = |it: &Grant| it.carried.iter().all(|one| grant.carried.contains(one));
        return Ok(all
            .iter()
            .any(|it| it.cluster_arn == grant.cluster_arn && carries(it) && it.has(&namespace, &account)));
    }
    Ok(outside(&Grants::new(vec![grant.clone()]), all, &mut Budget::new())?.is_none())
}

type Found = (Place, (String, String));

/// A subject that `some` grants and `others` does not, carried conditions considered.
fn outside(some: &Grants, others: &Grants, budget: &mut Budget) -> Result<Option<Found>, OverBudget> {
    budget.spend(some.len() + others.len())?;
    let known: HashSet<&Grant> = others.iter().collect();
    let mut groups: BTreeMap<(&Place, &[Carried]), Vec<&Grant>> = BTreeMap::new();
    for grant in some.iter().filter(|grant| !known.contains(grant)) {
        groups.entry((&grant.cluster_arn, &grant.carried)).or_default().push(grant);
    }
    for ((place, carried), inside) in groups {
        budget.spend(others.len())?;
        let covering = |it: &&Grant| it.cluster_arn == *place && it.carried.iter().all(|one| carried.contains(one));
        let beside: Vec<&Grant> = others.iter().filter(covering).collect();
        if let Some(names) = plane::outside(&inside, &beside, budget)? {
            return Ok(Some((place.clone(), names)));
        }
    }
    Ok(None)
}
