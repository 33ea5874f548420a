//! Every fault of the wire, between the program and AWS, and between the program and the API server.
//!
//! One fault a case: it hits the call of one number, counted from the first call of `apply` to the
//! last one of `rollback`, and if it lasts, the tries of the same call that follow. Then whatever did
//! not end well is tried again with the same command, as a person would, until it has; then the world
//! must be what it was.
//!
//! What is tried: every write, by its number, until a run has no more, with every fault; of the calls
//! that read, every [`STRIDE`]th number, and of those on the lease every third, each with the next of
//! the faults in turn. Scans under faults are tried in process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use irsa_migrate::ports::PortError;
use serde_json::json;

use super::calls::{Call, Kind, Server};
use super::stage::Stage;
use super::tell;
use crate::harness::{Decide, Fate, Mode, Relay};
use crate::wire::Said;

const LANES: usize = 6;

/// Of the calls that read, one of so many is hit.
const STRIDE: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// One answer is that there were too many calls; nothing happens.
    Throttled,
    /// The same for as long as the program tries: more tries than any client makes.
    ThrottledOn,
    /// One connection is reset before anything happens.
    Reset,
    /// One answer is 5xx; nothing happens.
    Failing,
    /// The call takes effect, and its answer never comes.
    Lost,
}

impl Fault {
    const ALL: [Fault; 5] = [Fault::Throttled, Fault::ThrottledOn, Fault::Reset, Fault::Failing, Fault::Lost];

    /// How many calls of the same name it hits.
    fn lasts(self) -> usize {
        if self == Fault::ThrottledOn { 8 } else { 1 }
    }

    fn fate(self, server: Server) -> Fate {
        match self {
            Fault::Throttled | Fault::ThrottledOn => Fate::Answer(throttled(server)),
            Fault::Failing => Fate::Answer(failing(server)),
            Fault::Reset => Fate::Reset,
            Fault::Lost => Fate::Lost,
        }
    }
}

fn throttled(server: Server) -> Response {
    let error = PortError::Throttled("ThrottlingException: Rate exceeded".to_owned());
    match server {
        Server::Query => Said::error(&error).xml(),
        Server::Eks => Said::error(&error).json(),
        Server::Kubernetes => {
            let answer = status(429, "TooManyRequests", "the server has received too many requests");
            ([("retry-after", "1")], answer).into_response()
        }
    }
}

fn failing(server: Server) -> Response {
    let error = PortError::Server("ServiceFailure: Internal error".to_owned());
    match server {
        Server::Query => Said::error(&error).xml(),
        Server::Eks => Said::error(&error).json(),
        Server::Kubernetes => status(500, "InternalError", "etcdserver: leader changed"),
    }
}

fn status(code: u16, reason: &str, message: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    let code = StatusCode::from_u16(code).expect("a status");
    (code, [("content-type", "application/json")], body.to_string()).into_response()
}

/// What is to be hit: of the calls of a kind, the one of this number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Aim {
    kind: Kind,
    number: usize,
    fault: Fault,
}

/// The calls of one cycle, as they come by both relays.
#[derive(Debug, Default)]
struct Traffic {
    /// Nothing is counted while there is no cycle.
    aim: Option<Aim>,
    counts: BTreeMap<Kind, usize>,
    /// The call that was hit, and how often it may still be.
    hit: Option<(String, usize)>,
}

impl Traffic {
    fn fate(&mut self, call: &Call) -> Fate {
        let Some(aim) = self.aim else { return Fate::Pass };
        let count = self.counts.entry(call.kind).or_default();
        *count += 1;
        if self.hit.is_none() && (aim.kind, aim.number) == (call.kind, *count) {
            self.hit = Some((call.name.clone(), aim.fault.lasts()));
        }
        match &mut self.hit {
            Some((name, left)) if *name == call.name && *left > 0 => {
                *left -= 1;
                aim.fault.fate(call.server)
            }
            Some(_) | None => Fate::Pass,
        }
    }
}

type Shared = Arc<Mutex<Traffic>>;

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

fn decide(traffic: &Shared, call: fn(&crate::harness::Asked) -> Call) -> Decide {
    let traffic = Arc::clone(traffic);
    Arc::new(move |asked| {
        let fate = lock(&traffic).fate(&call(&asked));
        async move { fate }.boxed()
    })
}

/// A stage with a relay on each of its two sides.
struct Lane {
    stage: Stage<'static>,
    traffic: Shared,
    #[expect(dead_code, reason = "held for their Drop")]
    relays: [Relay; 2],
}

/// How a cycle went.
struct Cycle {
    /// The name of the call that was hit.
    hit: Option<String>,
    counts: BTreeMap<Kind, usize>,
    /// The exit codes, in order.
    codes: Vec<i32>,
}

impl Lane {
    async fn new(number: usize) -> Lane {
        let plane = Stage::shared_plane().await;
        let name = format!("faults-{number}");
        let traffic = Shared::default();
        let cluster = Relay::before_plane(plane, decide(&traffic, Call::of_kubernetes)).await;
        let endpoint = format!("https://{}", cluster.address());
        let mut stage =
            Stage::behind(&endpoint, plane, &name, |world| world.role("cart", &[(name.as_str(), "cart")])).await;
        let aws = Relay::before_aws(&stage.wire.url(), decide(&traffic, Call::of_aws));
        stage.variables.insert("AWS_ENDPOINT_URL", format!("http://{}", aws.address()));
        stage.hurry();
        stage.app("cart", "cart", 1).await;
        Lane { stage, traffic, relays: [cluster, aws] }
    }

    /// There and back under one fault.
    async fn cycle(&self, aim: Aim) -> Cycle {
        let stage = &self.stage;
        stage.forget_journal().await;
        let before = stage.state().await;
        let planned = stage.plan().await;
        *lock(&self.traffic) = Traffic { aim: Some(aim), ..Traffic::default() };
        let mut codes = Vec::new();
        self.until_done(&["apply", "plan.json", "--digest", &planned.digest], aim, &mut codes).await;
        assert_eq!(stage.modes(&["cart"]).await, [Mode::PodIdentity].into(), "{aim:?}");
        self.until_done(&["rollback", &planned.run, "--yes"], aim, &mut codes).await;
        assert_eq!(stage.state().await, before, "{aim:?}");
        let traffic = std::mem::take(&mut *lock(&self.traffic));
        Cycle { hit: traffic.hit.map(|it| it.0), counts: traffic.counts, codes }
    }

    /// The same command, until it ends with 0. What else it may end with is that it can go on.
    async fn until_done(&self, args: &[&str], aim: Aim, codes: &mut Vec<i32>) {
        for _ in 0..5 {
            let ran = self.stage.run(args).await;
            let code = ran.code.unwrap_or(-1);
            codes.push(code);
            if code == 0 {
                return;
            }
            assert!([1, 21, 22, 23, 24].contains(&code), "{aim:?}\n{}", ran.whole());
            assert!(!ran.stderr.is_empty(), "it says why\n{}", ran.whole());
            self.stage.lease_runs_out().await;
        }
        panic!("{aim:?}: it does not get done: {codes:?}");
    }
}

/// Which cases are still to come, and what came of those that were.
#[derive(Debug, Default)]
struct Book {
    due: VecDeque<Aim>,
    /// Writes are tried in order of their numbers until one is not there.
    next_write: usize,
    no_more_writes: bool,
    cases: BTreeMap<Fault, usize>,
    hit: BTreeSet<String>,
    missed: usize,
    codes: BTreeMap<Vec<i32>, usize>,
}

impl Book {
    fn next(&mut self) -> Option<Aim> {
        if self.due.is_empty() && !self.no_more_writes {
            self.next_write += 1;
            let number = self.next_write;
            self.due.extend(Fault::ALL.map(|fault| Aim { kind: Kind::Write, number, fault }));
        }
        self.due.pop_front()
    }

    fn note(&mut self, aim: Aim, cycle: &Cycle) {
        *self.codes.entry(cycle.codes.clone()).or_default() += 1;
        match &cycle.hit {
            Some(name) => {
                *self.cases.entry(aim.fault).or_default() += 1;
                self.hit.insert(name.clone());
            }
            None => {
                self.missed += 1;
                self.no_more_writes |= aim.kind == Kind::Write;
            }
        }
    }

    /// A spread of the calls that do not write, by how many there were without a fault.
    fn spread(counts: &BTreeMap<Kind, usize>) -> VecDeque<Aim> {
        let mut faults = Fault::ALL.into_iter().cycle();
        let mut due = VecDeque::new();
        for (kind, stride) in [(Kind::Read, STRIDE), (Kind::Lease, 3)] {
            let last = counts.get(&kind).copied().unwrap_or(0);
            let numbers = (1..=last).step_by(stride);
            due.extend(numbers.zip(faults.by_ref()).map(|(number, fault)| Aim { kind, number, fault }));
        }
        due
    }
}

#[tokio::test]
async fn every_fault_at_every_write_and_at_a_spread_of_the_reads() {
    let first = Lane::new(0).await;
    // No run has so many writes: nothing is hit.
    let nothing = Aim { kind: Kind::Write, number: usize::MAX, fault: Fault::Reset };
    let clean = first.cycle(nothing).await;
    assert_eq!((clean.hit, clean.codes), (None, vec![0, 0]));
    tell(&format!("a cycle without a fault: {:?}", clean.counts));
    let book = Mutex::new(Book { due: Book::spread(&clean.counts), ..Book::default() });
    let work = async |lane: Lane| {
        loop {
            let Some(aim) = lock(&book).next() else { break };
            let cycle = lane.cycle(aim).await;
            lock(&book).note(aim, &cycle);
        }
    };
    let mut lanes = vec![first];
    lanes.extend(futures::future::join_all((1..LANES).map(Lane::new)).await);
    futures::future::join_all(lanes.into_iter().map(work)).await;

    let book = book.into_inner().unwrap_or_else(PoisonError::into_inner);
    tell(&format!("cases by fault: {:?}; beyond the last call: {}", book.cases, book.missed));
    tell(&format!("calls that were hit: {:?}", book.hit));
    tell(&format!("exit codes of apply and rollback: {:?}", book.codes));
    for name in [
        "UpdateAssumeRolePolicy",
        "POST pod-identity-associations",
        "DELETE pod-identity-associations",
        "PATCH deployments",
    ] {
        assert!(book.hit.contains(name), "{name}");
    }
    assert!(book.cases.values().all(|it| *it >= 6), "{:?}", book.cases);
    assert!(book.codes.keys().any(|it| it.len() > 2), "faults that never stop a run would show nothing");
}
