//! Steps on a role's trust policy.

use std::time::Duration;

use super::step::{Doubt, Look, Way};
use super::{Broken, End, Trouble};
use crate::model::{Issuer, RoleArn, Subject};
use crate::plan::{Plan, PlanCluster, RoleWork, Work};
use crate::ports::{JournalStore, PortError, World};
use crate::trust::{self, Document, Presence, Provider, Scope, ScopeCluster, Undo};

/// The work on the role that a step names, in whichever unit it stands.
fn role_work<'p>(plan: &'p Plan, role: &RoleArn) -> Result<&'p RoleWork, Trouble> {
    let found = plan.units.iter().find_map(|unit| match &unit.work {
        Work::Role(work) if work.role_arn == *role => Some(work),
        Work::Role(_) | Work::ServiceAccount(_) => None,
    });
    found.ok_or_else(|| Trouble::new(format!("the plan has no unit for role {role}")))
}

fn parse(text: &str, what: &str) -> Result<Document, Trouble> {
    Document::parse(text).map_err(|error| Trouble::new(format!("{what} cannot be read: {error}")))
}

/// The documents that a step deals with.
struct Documents {
    before: Document,
    after: Document,
}

impl Documents {
    fn of(work: &RoleWork) -> Result<Self, Trouble> {
        let before = parse(&work.before, "the trust policy in the plan")?;
        let after = parse(&work.after, "the trust policy in the plan")?;
        Ok(Self { before, after })
    }
}

/// The role's document as it stands; no role, or another of the same name, is drift.
async fn current<W: World, J: JournalStore>(way: &Way<'_, '_, W, J>, work: &RoleWork) -> Result<Document, Broken> {
    let gone = || Trouble::new(format!("role {} was deleted", work.role_arn)).into();
    current_if_there(way, work).await?.ok_or_else(gone)
}

/// The same; `None` where the role is gone.
async fn current_if_there<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    work: &RoleWork,
) -> Result<Option<Document>, Broken> {
    let ask = async || match way.world().role(&work.role_arn).await {
        Err(PortError::NotFound(_)) => Ok(None),
        answer => answer.map(Some),
    };
    let Some(role) = way.patience.ask(ask).await? else { return Ok(None) };
    if role.role_id != work.role_id {
        let why =
            format!("role {} was deleted and made again (id {}, was {})", work.role_arn, role.role_id, work.role_id);
        return Err(Trouble::new(why).into());
    }
    Ok(Some(parse(&role.trust, "the role's trust policy")?))
}

fn own_role<'a, W: World, J: JournalStore>(way: &'a Way<'_, '_, W, J>) -> Result<&'a RoleWork, Trouble> {
    match &way.unit.work {
        Work::Role(work) => Ok(work),
        Work::ServiceAccount(work) => role_work(way.patience.context.plan, &work.role_arn),
    }
}

/// Adds our statements. Gives an end where they were there before anything was sent.
pub(super) async fn add<W: World, J: JournalStore>(way: &Way<'_, '_, W, J>) -> Result<Option<End>, Broken> {
    let work = own_role(way)?;
    let documents = Documents::of(work)?;
    let doubt = if way.status().may_be_ours() { Doubt::Before } else { Doubt::No };
    let was_pending = !way.status().may_be_ours();
    let look = async || {
        let now = current(way, work).await?;
        if now.same_meaning(&documents.after) {
            return Ok(Look::After);
        }
        if now.same_meaning(&documents.before) {
            return Ok(Look::Before);
        }
        let why = "the trust policy was edited since the plan was made";
        Ok(match trust::presence(&now, &work.added) {
            // Once it may be ours, others may edit elsewhere: what we wanted holds.
            Presence::All if way.status().may_be_ours() => Look::After,
            Presence::All | Presence::None | Presence::Partly | Presence::Altered => Look::Drift(why.to_owned()),
        })
    };
    let settle = way.context().plan.numbers.trust_settle;
    let wrote =
        way.write(doubt, settle, look, async || way.world().set_trust(&work.role_arn, &work.after).await).await?;
    if !wrote && was_pending {
        // Somebody else put the same statement there: it stays when this run is undone.
        settled(way).await?;
        return Ok(Some(End::Unneeded("the statement was there already".to_owned())));
    }
    Ok(None)
}

/// Takes our statements out.
pub(super) async fn remove<W: World, J: JournalStore>(way: &Way<'_, '_, W, J>) -> Result<(), Broken> {
    let work = own_role(way)?;
    let documents = Documents::of(work)?;
    let undo = async || {
        // With the role went our statement.
        let Some(now) = current_if_there(way, work).await? else { return Ok(Undo::Nothing) };
        Ok::<_, Broken>(trust::undo(&now, &documents.before, &documents.after, &work.added))
    };
    // The text to send is that of the last look.
    let text = std::cell::RefCell::new(String::new());
    let look = async || {
        Ok(match undo().await? {
            Undo::Nothing => Look::After,
            Undo::SendOriginal(it) | Undo::SendEdited(it) => {
                *text.borrow_mut() = it;
                Look::Before
            }
            Undo::Refuse(why) => Look::Drift(why),
        })
    };
    let settle = way.context().plan.numbers.trust_settle;
    // Not there may only mean not yet seen: our own write may be on its way.
    let send = async || {
        let document = text.borrow().clone();
        way.world().set_trust(&work.role_arn, &document).await
    };
    way.write(Doubt::After, settle, look, send).await?;
    way.start().await
}

/// Whether what is left of the role's policy without our statements surely lets Pod Identity in for a
/// ServiceAccount.
pub(super) async fn lets_in_without_us<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    subject: &Subject,
) -> Result<bool, Broken> {
    let work = own_role(way)?;
    let documents = Documents::of(work)?;
    let now = current(way, work).await?;
    let rest = match trust::undo(&now, &documents.before, &documents.after, &work.added) {
        Undo::Nothing => now,
        Undo::SendOriginal(text) | Undo::SendEdited(text) => parse(&text, "the role's trust policy without ours")?,
        Undo::Refuse(_) => return Ok(false),
    };
    let cluster = |it: &PlanCluster| ScopeCluster {
        arn: it.arn.clone(),
        issuer: it.issuer.clone(),
        provider: Provider::Exists { client_ids: Vec::new() },
    };
    let clusters = way.context().plan.clusters.iter().map(cluster).collect();
    let scope = Scope { role_account: work.role_arn.account(), clusters };
    // A grant that holds under a condition, of a date or a network, may not hold tomorrow.
    Ok(trust::read(&rest, &scope).pod_identity.carried_for(subject).iter().any(|it| it.is_empty()))
}

/// Whether a document lets Pod Identity in as planned: with our statements; or, where it did so before
/// and nothing is added, as it was.
fn is_prepared(now: &Document, work: &RoleWork) -> Result<bool, Trouble> {
    if work.added.is_empty() {
        return Ok(now.same_meaning(&Documents::of(work)?.before));
    }
    Ok(trust::presence(now, &work.added) == Presence::All)
}

/// Our statements, in one answer.
pub(super) async fn seen<W: World, J: JournalStore>(way: &Way<'_, '_, W, J>) -> Result<(), Broken> {
    let work = own_role(way)?;
    loop {
        if is_prepared(&current(way, work).await?, work)? {
            return Ok(());
        }
        way.patience.pause("our statement in the role's trust policy", way.interval()).await?;
    }
}

/// Our statements, in each answer throughout the settle time: IAM has no other proof than time,
/// and another writer's edit may have swallowed ours.
pub(super) async fn settled<W: World, J: JournalStore>(way: &Way<'_, '_, W, J>) -> Result<(), Broken> {
    let work = own_role(way)?;
    let settle = Duration::from_secs(way.context().plan.numbers.trust_settle);
    let mut since: Option<Duration> = None;
    loop {
        let present = is_prepared(&current(way, work).await?, work)?;
        let clock = way.world().monotonic();
        since = if present { since.or(Some(clock)) } else { None };
        if since.is_some_and(|from| clock.saturating_sub(from) >= settle) {
            return Ok(());
        }
        let left = since.map_or(settle, |from| settle.saturating_sub(clock.saturating_sub(from)));
        let on = if present { "the trust policy to settle" } else { "our statement in the role's trust policy" };
        way.patience.pause(on, left.min(Duration::from_secs(5)).max(Duration::from_millis(100))).await?;
    }
}

/// A document without our statements. Gives a note where others have edited the rest of it.
pub(super) async fn restored<W: World, J: JournalStore>(way: &Way<'_, '_, W, J>) -> Result<Option<String>, Broken> {
    let work = own_role(way)?;
    let before = Documents::of(work)?.before;
    loop {
        let Some(now) = current_if_there(way, work).await? else {
            return Ok(Some("the role was deleted by others since".to_owned()));
        };
        if trust::presence(&now, &work.added) == Presence::None {
            let edited = "the trust policy was edited by others since, and is left as they wrote it";
            return Ok((!now.same_meaning(&before)).then(|| edited.to_owned()));
        }
        way.patience.pause("the trust policy without our statement", way.interval()).await?;
    }
}

/// Whether a pod that is admitted on IRSA now would get credentials.
pub(super) async fn irsa_works<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    subject: &Subject,
    role_arn: &RoleArn,
    issuer: &Issuer,
    audience: &str,
) -> Result<(), Broken> {
    loop {
        let Some(why) = why_irsa_fails(way, subject, role_arn, issuer, audience).await? else { return Ok(()) };
        way.patience.pause(&format!("IRSA to work again ({why})"), Duration::from_secs(5)).await?;
    }
}

async fn why_irsa_fails<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    subject: &Subject,
    role_arn: &RoleArn,
    issuer: &Issuer,
    audience: &str,
) -> Result<Option<String>, Broken> {
    let world = way.world();
    let Some(account) = way.patience.ask(async || world.service_account(subject).await).await? else {
        return Ok(Some(format!("ServiceAccount {subject} is gone")));
    };
    if account.role_arn.as_deref() != Some(role_arn.as_str()) {
        return Ok(Some(format!("ServiceAccount {subject} is no longer annotated with {role_arn}")));
    }
    if account.audience.as_deref().unwrap_or("sts.amazonaws.com") != audience {
        return Ok(Some(format!("the audience of ServiceAccount {subject} is no longer {audience}")));
    }
    let providers = way.patience.ask(async || world.providers().await).await?;
    let Some(provider) = providers.into_iter().find(|it| it.issuer == *issuer) else {
        return Ok(Some(format!("there is no OIDC provider for {issuer}")));
    };
    if !provider.client_ids.iter().any(|it| it == audience) {
        return Ok(Some(format!("the OIDC provider for {issuer} does not take the audience {audience}")));
    }
    let role = way.patience.ask(async || world.role(role_arn).await).await.map_err(|error| match error {
        Broken::Step(trouble) => Broken::Step(Trouble { why: format!("role {role_arn}: {}", trouble.why), ..trouble }),
        Broken::Run(halt) => Broken::Run(halt),
    })?;
    let document = parse(&role.trust, "the role's trust policy")?;
    let scope = Scope {
        role_account: role_arn.account(),
        clusters: vec![ScopeCluster {
            arn: subject.cluster.clone(),
            issuer: issuer.clone(),
            provider: Provider::Exists { client_ids: provider.client_ids },
        }],
    };
    let reading = trust::read(&document, &scope);
    Ok((!reading.grants.allows(subject)).then(|| format!("role {role_arn} does not trust {subject}")))
}
