//! Who may write: several operators at once, leases that are lost, clocks that jump, machines that sleep.

mod at_once;
mod busy_journal;
mod journal_file;
mod lease;
mod one_lease;
mod one_role;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::{join, join_all};
use irsa_migrate::apply::{self, ApplyError, Ending, LEASE_NAME, Options, Stop, Why};
use irsa_migrate::cli::exit::Exit;
use irsa_migrate::inventory::Caller;
use irsa_migrate::model::ClusterArn;
use irsa_migrate::plan::{Plan, Settings, plan};
use irsa_migrate::ports::Clock as _;
use irsa_migrate::scan::{self, Wanted};
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Call, Deed, Fault, Lag, MemoryJournal, Sim, Stopped};

use crate::cycle::{plan_of, undo_of};

const NONE: [String; 0] = [];

fn arn(name: &str) -> ClusterArn {
    ClusterArn::parse(&format!("arn:aws:eks:eu-west-1:111122223333:cluster/{name}")).unwrap()
}

/// One ServiceAccount with its own role and a Deployment.
fn shop() -> Sim {
    Builder::new()
        .cluster("blue")
        .role("cart", &[("shop", "cart")])
        .service_account("shop", "cart", Some("cart"))
        .deployment("shop", "cart", "cart", 2)
        .sim()
}

/// A role that ServiceAccounts of two clusters share.
fn two_clusters() -> Sim {
    let in_each = |it: Builder| {
        it.role("ship", &[("logs", "ship")])
            .service_account("logs", "ship", Some("ship"))
            .deployment("logs", "ship", "ship", 1)
    };
    in_each(in_each(Builder::new().cluster("blue")).cluster("green")).sim()
}

/// A plan of some clusters alone.
fn plan_for(sim: &Sim, clusters: &[&str]) -> Plan {
    let wanted: Vec<Wanted> = clusters.iter().map(|it| Wanted { arn: arn(it), context: None }).collect();
    let inventory = sim.run(async { scan::scan(sim, &wanted, &mut |_| {}).await }).unwrap().unwrap();
    plan(&inventory, &Settings::parse(SHORT).unwrap()).unwrap()
}

/// Times that keep a run short, so that each moment of it can be tried.
const SHORT: &str = "[numbers]\ntrust_settle = 10\nassociation_settle = 10\nbake = 40\n";

/// Somebody with a terminal, a plan and a journal.
struct Operator<'a> {
    sim: Sim,
    holder: String,
    journal: MemoryJournal,
    plan: &'a Plan,
    /// How long after the others.
    after: Duration,
}

type Ended = Result<Ending, ApplyError>;

impl<'a> Operator<'a> {
    fn new(sim: &Sim, name: &str, journal: &MemoryJournal, plan: &'a Plan) -> Self {
        let who = Caller { arn: format!("{}-{name}", sim.who().arn), ..sim.who().clone() };
        let (sim, holder, journal) = (sim.called_by(who), name.to_owned(), journal.clone());
        Self { sim, holder, journal, plan, after: Duration::ZERO }
    }

    async fn apply(&self) -> Ended {
        self.sim.sleep(self.after).await;
        let bytes = self.plan.to_bytes().unwrap();
        let options = Options { through: None, holder: self.holder.clone() };
        apply::apply(&self.sim, &self.journal, &bytes, &options, &Stop::default(), &mut |_| {}).await
    }

    /// How many writes of theirs arrived.
    fn writes(&self) -> usize {
        let world = self.sim.world();
        world.history().calls().filter(|it| it.by == self.sim.who().arn && it.call.is_write()).count()
    }
}

fn all_at_once(sim: &Sim, operators: &[Operator<'_>]) -> Vec<Ended> {
    sim.run(join_all(operators.iter().map(Operator::apply))).unwrap()
}

fn is_locked(ended: &Ended) -> bool {
    let exit = match ended {
        Ok(ending) => Exit::of_ending(ending),
        Err(error) => Exit::of_apply_error(error),
    };
    exit == Exit::Locked
}

fn is_done(ended: &Ended) -> bool {
    matches!(ended, Ok(Ending { why: Why::Ended, refused: 0, failed: 0, pending: 0, .. }))
}

/// Exactly one goes on to its end; the others are told that it is locked, and sent nothing.
fn assert_one(operators: &[Operator<'_>], ended: &[Ended], what: &str) {
    let done: Vec<usize> = (0..ended.len()).filter(|it| is_done(&ended[*it])).collect();
    let locked = ended.iter().filter(|it| is_locked(it)).count();
    assert_eq!((done.len(), locked), (1, ended.len() - 1), "{what}: {ended:?}");
    for (at, operator) in operators.iter().enumerate() {
        assert_eq!(operator.writes() > 0, done.contains(&at), "{what}: writes of {}", operator.holder);
    }
}

fn broken(sim: &Sim) -> Vec<String> {
    sim.world().violations().iter().map(|it| format!("{}: {}", it.promise, it.what)).collect()
}

fn one(sim: &Sim, journal: &MemoryJournal, plan: &Plan) -> Ended {
    sim.run(Operator::new(sim, "one", journal, plan).apply()).unwrap()
}
