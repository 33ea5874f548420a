//! Who may write: several operators at once, leases that are lost, clocks that jump, machines that sleep.

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
use irsa_migrate::sim::{Call, Fault, Lag, MemoryJournal, Sim, Stopped};

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

#[test]
fn ten_applies_of_one_plan_at_once() {
    let start = shop();
    let plan = plan_of(&start, "");
    let mut tried = 0;
    // One journal for all or one each; names of their own or all the same; at once or one after the other.
    for (shared, same, step) in [
        (true, false, 0),
        (true, true, 0),
        (false, false, 0),
        (false, true, 0),
        (true, false, 7),
        (false, false, 13),
        (true, true, 60),
        (false, true, 25),
    ] {
        let sim = start.fork();
        sim.set_latency(Duration::from_millis(50));
        let journal = sim.journal();
        let operator = |at: u32| {
            let name = format!("host/{at}");
            let own = sim.journal();
            let mut it = Operator::new(&sim, &name, if shared { &journal } else { &own }, &plan);
            if same {
                it.holder = "host/1".to_owned();
            }
            it.after = Duration::from_millis(step) * at;
            it
        };
        let operators: Vec<Operator<'_>> = (0..10).map(operator).collect();
        let ended = all_at_once(&sim, &operators);
        assert_one(&operators, &ended, &format!("{shared} {same} {step}"));
        tried += operators.len();
    }
    assert_eq!(tried, 80);
}

#[test]
fn plans_that_overlap_in_one_cluster() {
    let start = two_clusters();
    let (both, green) = (plan_for(&start, &["blue", "green"]), plan_for(&start, &["green"]));
    for step in 0..15 {
        for first in [&both, &green] {
            let sim = start.fork();
            sim.set_latency(Duration::from_millis(50));
            let second = if std::ptr::eq(first, &both) { &green } else { &both };
            let mut operators: Vec<Operator<'_>> = Vec::new();
            for at in 0..10 {
                let plan = if at % 2 == 0 { first } else { second };
                let mut it = Operator::new(&sim, &format!("host/{at}"), &sim.journal(), plan);
                it.after = Duration::from_millis(step * 19) * at;
                operators.push(it);
            }
            let ended = all_at_once(&sim, &operators);
            assert_one(&operators, &ended, &format!("step {step}"));
        }
    }
}

#[test]
fn one_journal_takes_one_run_of_a_cluster() {
    let start = two_clusters();
    let (both, green) = (plan_for(&start, &["blue", "green"]), plan_for(&start, &["green"]));
    let journal = start.journal();
    let bytes = both.to_bytes().unwrap();
    let options = Options { through: Some("prepare".into()), holder: "one".into() };
    let prepared = start
        .run(async { apply::apply(&start, &journal, &bytes, &options, &Stop::default(), &mut |_| {}).await.unwrap() });
    assert!(matches!(prepared, Ok(Ending { why: Why::Through(_), .. })), "{prepared:?}");
    // The lease was given back; the run is open in the journal all the same.
    let writes = start.world().writes();
    let refused = one(&start, &journal, &green);
    assert!(is_locked(&refused) && matches!(refused, Err(ApplyError::Journal(_))), "{refused:?}");
    assert_eq!(start.world().writes(), writes);
    let ended = one(&start, &journal, &both);
    assert!(is_done(&ended), "{ended:?}");
}

/// Whoever waits for a lease of the same run finds it done once it is free.
#[test]
fn who_waited_for_a_run_that_ended_meanwhile_is_told_so() {
    let start = shop();
    let quick =
        "[numbers]\ntrust_settle = 1\nassociation_settle = 1\nbake = 0\nlease_renewal = 40\nlease_duration = 120\n";
    let plan = plan_of(&start, quick);
    let whole = {
        let sim = start.fork();
        let own = sim.journal();
        assert!(is_done(&one(&sim, &own, &plan)));
        sim.monotonic()
    };
    let mut waited = 0;
    for seconds in 0..=whole.as_secs() {
        let sim = start.fork();
        let journal = sim.journal();
        let mut late = Operator::new(&sim, "late", &journal, &plan);
        late.after = Duration::from_secs(seconds);
        let early = Operator::new(&sim, "early", &journal, &plan);
        let (first, second) = sim.run(join(early.apply(), late.apply())).unwrap();
        assert!(is_done(&first), "{seconds}: {first:?}");
        assert!(is_done(&second) || is_locked(&second), "{seconds}: {second:?}");
        assert_eq!(late.writes(), 0, "{seconds}");
        waited += usize::from(is_done(&second));
    }
    assert!(waited > 0, "nobody waited for the other's lease");
}

#[test]
fn the_lease_is_renewed_as_long_as_the_run_goes_on() {
    let sim = shop();
    let plan = plan_of(&sim, "[numbers]\nbake = 1800\n");
    let journal = sim.journal();
    let from = sim.world().history().number_of_calls();
    assert!(is_done(&one(&sim, &journal, &plan)));
    let world = sim.world();
    let calls: Vec<_> = world.history().calls().filter(|it| it.number > from).collect();
    let mut renewed = None;
    let (mut renewals, mut writes) = (0, 0);
    for it in &calls {
        if matches!(it.call, Call::WriteLease { .. }) {
            assert!(it.applied, "{it:?}");
            if let Some(before) = renewed {
                assert!(it.at.duration_since(before).as_secs() <= 20, "{it:?}");
            }
            renewed = Some(it.at);
            renewals += 1;
        }
        if it.call.is_write() {
            // Lease duration less the time that a call may take.
            assert!(it.at.duration_since(renewed.expect("a lease before any write")).as_secs() < 60 - 15, "{it:?}");
            writes += 1;
        }
    }
    assert!(renewals > 90 && writes >= 3, "{renewals} renewals, {writes} writes");
    assert!(matches!(calls.last().map(|it| &it.call), Some(Call::DeleteLease { .. })), "and given back at the end");
}

/// What may happen to a lease.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Deleted,
    Stolen,
}

/// At each second of the run the lease is lost. The call in flight finishes; once the loss is
/// known nothing more is sent; and the run goes on when the lease is free.
#[test]
fn a_lease_that_is_lost_stops_the_run() {
    let start = shop();
    let plan = plan_of(&start, SHORT);
    let whole = length(&start, &plan);
    let mut stopped = 0;
    for loss in [Loss::Deleted, Loss::Stolen] {
        for second in 0..whole {
            let sim = start.fork();
            sim.set_latency(Duration::from_millis(300));
            sim.world().watch();
            let journal = sim.journal();
            let operator = Operator::new(&sim, "one", &journal, &plan);
            let thief = async {
                sim.sleep(Duration::from_secs(second)).await;
                let now = sim.now();
                let holder = match loss {
                    Loss::Deleted => None,
                    Loss::Stolen => Some(("another", Duration::from_secs(60), now)),
                };
                sim.world().edit_lease(&arn("blue"), "kube-system", LEASE_NAME, holder).unwrap();
            };
            let (ended, ()) = sim.run(join(operator.apply(), thief)).unwrap();
            if !is_done(&ended) {
                assert!(is_locked(&ended), "{loss:?} {second}: {ended:?}");
                stopped += 1;
            }
            assert_nothing_after_the_loss(&sim);
            // The thief's lease runs out, or there is none.
            sim.run(sim.sleep(Duration::from_secs(61))).unwrap();
            let again = one(&sim, &journal, &plan);
            assert!(is_done(&again), "{loss:?} {second}: {again:?}");
            assert_eq!(broken(&sim), NONE, "{loss:?} {second}");
        }
    }
    assert!(stopped > whole, "only {stopped} runs were stopped");
}

/// How many seconds a run takes in which nothing happens.
fn length(start: &Sim, plan: &Plan) -> u64 {
    let sim = start.fork();
    sim.set_latency(Duration::from_millis(300));
    assert!(is_done(&one(&sim, &sim.journal(), plan)));
    sim.monotonic().as_secs()
}

/// After a renewal that was refused only what was sent before it still arrives.
fn assert_nothing_after_the_loss(sim: &Sim) {
    let world = sim.world();
    let refused = world.history().calls().find(|it| matches!(it.call, Call::WriteLease { .. }) && !it.applied);
    let Some(refused) = refused else { return };
    let in_flight = refused.at + Duration::from_millis(300);
    let late: Vec<_> = world
        .history()
        .calls()
        .filter(|it| it.call.is_write() && it.number > refused.number && it.at > in_flight)
        .collect();
    assert!(late.is_empty(), "{late:?}");
}

#[test]
fn a_wall_clock_that_is_set_forward_stops_the_run_or_is_outlived_and_one_set_back_changes_nothing() {
    let start = shop();
    let plan = plan_of(&start, SHORT);
    let whole = length(&start, &plan);
    for hours in [-5, 5] {
        let mut stopped = 0;
        for second in (0..whole).step_by(2) {
            let sim = start.fork();
            sim.set_latency(Duration::from_millis(300));
            sim.world().watch();
            let journal = sim.journal();
            let operator = Operator::new(&sim, "one", &journal, &plan);
            let hand = async {
                sim.sleep(Duration::from_secs(second)).await;
                sim.world().set_clock_error(jiff::SignedDuration::from_hours(hours));
            };
            let (ended, ()) = sim.run(join(operator.apply(), hand)).unwrap();
            assert!(is_done(&ended) || is_locked(&ended), "{hours} {second}: {ended:?}");
            stopped += usize::from(is_locked(&ended));
            let again = one(&sim, &journal, &plan);
            assert!(is_done(&again), "{hours} {second}: {again:?}");
            assert_eq!(broken(&sim), NONE, "{hours} {second}");
        }
        assert_eq!(stopped > 0, hours > 0, "{stopped} runs stopped by {hours} hours");
    }
}

/// A laptop's lid is closed at each second of the run. Its lease is dead by then, and somebody else
/// has taken it, or nobody has.
#[test]
fn a_machine_that_slept_sends_nothing_under_its_dead_lease() {
    let start = shop();
    let plan = plan_of(&start, SHORT);
    let whole = length(&start, &plan);
    for taken in [true, false] {
        let mut stopped = 0;
        for second in 0..whole {
            let sim = start.fork();
            sim.set_latency(Duration::from_millis(300));
            sim.world().watch();
            let journal = sim.journal();
            let operator = Operator::new(&sim, "one", &journal, &plan);
            let lid = async {
                sim.sleep(Duration::from_secs(second)).await;
                sim.suspend(Duration::from_hours(2));
                let now = sim.now();
                if taken {
                    let holder = Some(("another", Duration::from_secs(60), now));
                    sim.world().edit_lease(&arn("blue"), "kube-system", LEASE_NAME, holder).unwrap();
                }
                now
            };
            let (ended, woke) = sim.run(join(operator.apply(), lid)).unwrap();
            assert!(is_done(&ended) || is_locked(&ended), "{taken} {second}: {ended:?}");
            stopped += u64::from(is_locked(&ended));
            assert_leased(&sim, woke);
            sim.run(sim.sleep(Duration::from_secs(61))).unwrap();
            let again = one(&sim, &journal, &plan);
            assert!(is_done(&again), "{taken} {second}: {again:?}");
            assert_eq!(broken(&sim), NONE, "{taken} {second}");
        }
        assert!(stopped * 2 > whole, "{taken}: only {stopped} of {whole} runs stopped");
    }
}

/// Each write since then, those in flight aside, is behind a renewal since then.
fn assert_leased(sim: &Sim, since: jiff::Timestamp) {
    let world = sim.world();
    let mut leased = false;
    for it in world.history().calls().filter(|it| it.at > since + Duration::from_millis(300)) {
        leased |= matches!(it.call, Call::WriteLease { .. }) && it.applied;
        assert!(leased || !it.call.is_write(), "{it:?}");
    }
}

/// A run that died leaves its lease. Strangers are sent away while it may be alive; once it shows no
/// sign of life it is outlived, and whoever goes on with the same run waits for it.
#[test]
fn the_lease_of_a_dead_run_is_outlived() {
    let start = shop();
    let plan = plan_of(&start, "");
    // The same cluster, and other numbers: another plan.
    let other = plan_of(&start, "[numbers]\nbake = 10\n");
    let first = start.world().history().number_of_calls();
    let mut outlived = 0;
    for call in first + 1..first + 90 {
        let sim = start.fork();
        sim.world().watch();
        let journal = sim.journal();
        sim.world().fault_at(call, Fault::CrashAfter);
        let died = sim.run(Operator::new(&sim, "one", &journal, &plan).apply());
        assert!(matches!(died, Err(Stopped::Crashed)), "call {call}: {died:?}");
        sim.restart();
        sim.world().heal();
        let held = sim.world().history().calls().any(|it| matches!(it.call, Call::WriteLease { .. }) && it.applied);
        if held {
            let stranger = Operator::new(&sim, "stranger", &sim.journal(), &other);
            let sent_away = sim.run(stranger.apply()).unwrap();
            assert!(is_locked(&sent_away), "call {call}: {sent_away:?}");
            assert_eq!(stranger.writes(), 0);
        }
        let number = sim.world().history().number_of_calls();
        let before = sim.now();
        let again = one(&sim, &journal, &plan);
        assert!(is_done(&again), "call {call}: {again:?}");
        if held {
            let took = leased_after(&sim, number).duration_since(before).as_secs();
            assert!(took >= 60, "call {call}: outlived after {took} s");
            outlived += 1;
        }
        assert_eq!(broken(&sim), NONE, "call {call}");
    }
    assert!(outlived > 60, "{outlived}");
}

/// When a lease was first taken after the call with this number.
fn leased_after(sim: &Sim, number: u64) -> jiff::Timestamp {
    let world = sim.world();
    let taken = |it: &&irsa_migrate::sim::Record| {
        it.number > number && it.applied && matches!(it.call, Call::WriteLease { .. })
    };
    world.history().calls().find(taken).expect("a lease was taken").at
}

/// Two operators, each with a cluster and a journal of their own, prepare one role at the same
/// moment. IAM has no conditional write, so that one statement may be lost: whoever lost it notices.
#[test]
fn two_operators_who_edit_one_role_lose_no_statement_unseen() {
    let start = two_clusters();
    let (blue, green) = (plan_for(&start, &["blue"]), plan_for(&start, &["green"]));
    let (mut lost, mut interleavings) = (0, BTreeSet::new());
    // Without a lag there is nothing to choose from, so that one seed is all.
    for (lag, seeds) in [(0, 1), (4, 2)] {
        for seed in 0..seeds {
            for step in -30..=30_i64 {
                let sim = start.fork();
                sim.set_latency(Duration::from_millis(100));
                sim.world().set_lag(Lag {
                    api: Duration::from_secs(lag),
                    sts: Duration::from_secs(lag),
                    ..Lag::default()
                });
                sim.world().set_seed(seed);
                sim.world().watch();
                let journals = [sim.journal(), sim.journal()];
                let mut operators =
                    [Operator::new(&sim, "ann", &journals[0], &blue), Operator::new(&sim, "bob", &journals[1], &green)];
                let apart = Duration::from_millis(step.unsigned_abs() * if lag == 0 { 40 } else { 160 });
                operators[usize::from(step < 0)].after = apart;
                let ended = all_at_once(&sim, &operators);
                let what = format!("lag {lag} seed {seed} step {step}");
                interleavings.insert(order(&sim));
                for (operator, ended) in operators.iter().zip(&ended) {
                    let there = has_statement(&sim, operator.plan);
                    let done = is_done(ended);
                    assert!(there || !done, "{what}: the statement of {} is lost unseen: {ended:?}", operator.holder);
                    lost += usize::from(!there && operator.writes() > 0);
                    if !done {
                        says_why(&sim, operator, &what);
                    }
                }
                assert!(ended.iter().any(is_done), "{what}: {ended:?}");
                assert_eq!(broken(&sim), NONE, "{what}");
                repaired(&sim, &operators, &what);
            }
        }
    }
    assert!(lost > 30, "only {lost} statements were lost");
    assert!(interleavings.len() > 10, "only {} interleavings", interleavings.len());
}

/// In which order the two looked at the role and wrote to it.
fn order(sim: &Sim) -> Vec<(char, char)> {
    let world = sim.world();
    let who = |by: &str| if by.ends_with("ann") { 'a' } else { 'b' };
    let what = |call: &Call| match call.operation() {
        "role" => Some('r'),
        "set_trust" => Some('w'),
        _ => None,
    };
    let calls = world.history().calls().filter_map(|it| Some((who(&it.by), what(&it.call)?)));
    calls.take(24).collect()
}

fn role_work(plan: &Plan) -> &irsa_migrate::plan::RoleWork {
    plan.units
        .iter()
        .find_map(|it| match &it.work {
            irsa_migrate::plan::Work::Role(work) => Some(work),
            irsa_migrate::plan::Work::ServiceAccount(_) => None,
        })
        .expect("a role")
}

fn has_statement(sim: &Sim, plan: &Plan) -> bool {
    let work = role_work(plan);
    let world = sim.world();
    let trust = world.trust_now(&work.role_arn).unwrap();
    work.added.iter().all(|it| trust.contains(&it.sid))
}

/// The journal says what happened to the role, in words: with the role, or with who relies on it.
fn says_why(sim: &Sim, operator: &Operator<'_>, what: &str) {
    let status = crate::cycle::status(sim, &operator.journal, operator.plan);
    let told: Vec<&str> = operator.plan.units.iter().filter_map(|it| status.detail(&it.id.0)).collect();
    let says = |it: &&str| {
        it.contains("our statement in the role's trust policy") || it.contains("edited since the plan was made")
    };
    assert!(told.iter().any(says), "{what}: {} is told {told:?}", operator.holder);
}

/// Who failed is told so again; a new plan brings both on; and all of it can be undone.
fn repaired(sim: &Sim, operators: &[Operator<'_>; 2], what: &str) {
    for (operator, cluster) in operators.iter().zip(["blue", "green"]) {
        let again = sim.run(operator.apply()).unwrap();
        if is_done(&again) {
            continue;
        }
        // What is left of the run is given up, and planned again from the world as it is.
        let fresh = plan_for(sim, &[cluster]);
        let own = sim.journal();
        let anew = one(sim, &own, &fresh);
        assert!(is_done(&anew), "{what}: {anew:?}");
        assert!(has_statement(sim, &fresh), "{what}");
    }
    for operator in operators {
        assert!(has_statement(sim, operator.plan) || !is_done(&sim.run(operator.apply()).unwrap()), "{what}");
    }
    assert_eq!(broken(sim), NONE, "{what}");
}

/// A rollback beside another operator's run on the same role takes out its own statement alone.
#[test]
fn a_rollback_leaves_the_other_operators_statement() {
    let sim = two_clusters();
    sim.world().watch();
    let role = role_work(&plan_for(&sim, &["blue"])).role_arn.clone();
    let original = sim.world().trust_now(&role).unwrap().to_owned();
    let (ann, bob) = (sim.journal(), sim.journal());
    let blue = plan_for(&sim, &["blue"]);
    assert!(is_done(&one(&sim, &ann, &blue)));
    let green = plan_for(&sim, &["green"]);
    assert!(is_done(&one(&sim, &bob, &green)));
    assert!(is_done(&one(&sim, &ann, &undo_of(&sim, &ann, &blue))));
    assert!(has_statement(&sim, &green) && !has_statement(&sim, &blue));
    assert!(is_done(&one(&sim, &bob, &undo_of(&sim, &bob, &green))));
    let (left, before): (serde_json::Value, serde_json::Value) = (
        serde_json::from_str(sim.world().trust_now(&role).unwrap()).unwrap(),
        serde_json::from_str(&original).unwrap(),
    );
    assert_eq!(left, before);
    assert_eq!(broken(&sim), NONE);
}

mod journal_file {
    //! The journal's own lock, in the file that the program uses.

    use irsa_migrate::journal::{Event, NewEntry, Run, Scope};
    use irsa_migrate::live::SqliteJournal;
    use irsa_migrate::ports::{JournalError, JournalStore as _};

    use crate::journal::run;

    fn entry(seq: u64) -> NewEntry {
        let at = "2026-11-24T10:00:01Z".parse().unwrap();
        let scope = Scope::Step { unit: "role:cart".into(), step: 0 };
        NewEntry { at, scope, event: Event::Started, detail: Some(format!("{seq}")) }
    }

    async fn handles(home: &tempfile::TempDir) -> Vec<SqliteJournal> {
        let mut all = Vec::new();
        for _ in 0..8 {
            all.push(SqliteJournal::open(&home.path().join("journal.db")).await.unwrap());
        }
        all
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn eight_writers_of_one_run_take_each_place_once() {
        let home = tempfile::tempdir().unwrap();
        let handles = handles(&home).await;
        let run = run("one", &["blue"]);
        handles[0].open_run(&run).await.unwrap();
        for seq in 1..=20 {
            let appends = handles.iter().map(|it| async { it.append(&run.id, seq, &entry(seq)).await });
            let outcomes = futures::future::join_all(appends).await;
            let locked = outcomes.iter().filter(|it| matches!(it, Err(JournalError::Locked(_)))).count();
            assert_eq!((outcomes.iter().filter(|it| it.is_ok()).count(), locked), (1, 7), "{outcomes:?}");
        }
        assert_eq!(handles[3].entries(&run.id).await.unwrap().len(), 20);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn eight_plans_of_one_cluster_open_one_run() {
        let home = tempfile::tempdir().unwrap();
        let handles = handles(&home).await;
        let runs: Vec<Run> = (0..8).map(|it| run(&format!("plan {it}"), &["blue"])).collect();
        let opened = handles.iter().zip(&runs).map(|(journal, run)| journal.open_run(run));
        let outcomes = futures::future::join_all(opened).await;
        let open = outcomes.iter().filter(|it| matches!(it, Err(JournalError::Open { .. }))).count();
        assert_eq!((outcomes.iter().filter(|it| it.is_ok()).count(), open), (1, 7), "{outcomes:?}");
        assert_eq!(handles[0].runs().await.unwrap().len(), 1);
    }
}
