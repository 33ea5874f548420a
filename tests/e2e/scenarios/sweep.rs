//! `kill -9` after each entry of the journal, on the way there and on the way back.
//!
//! The program knows nothing of it: the journal's file is watched from outside. Lanes side by side
//! take one entry after the other, until a run has no such entry and ends by itself. A lane's world
//! must be what it was after each of its cases, so the next case begins where the first one did.
//!
//! `IRSA_MIGRATE_SWEEP=whole` makes it three ServiceAccounts of two roles, and has each killed run
//! both gone on with and undone at once; without it there is one, and these take turns.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::stage::{Planned, Stage};
use super::tell;
use crate::harness::Mode;

const LANES: usize = 6;

/// How a case goes on after the kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    GoesOn,
    IsUndone,
}

/// Which way the program is going when it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

fn whole() -> bool {
    std::env::var_os("IRSA_MIGRATE_SWEEP").is_some_and(|it| it == "whole")
}

/// The ServiceAccounts, each with its role.
fn accounts() -> &'static [(&'static str, &'static str)] {
    const ALL: [(&str, &str); 3] = [("cart", "shop"), ("web", "shop"), ("ledger", "ledger")];
    if whole() { &ALL } else { &ALL[..1] }
}

/// What was tried.
#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    /// Of each kill, how many entries the journal held when its program was dead.
    at: BTreeSet<usize>,
}

struct Sweep {
    way: Way,
    next: AtomicUsize,
    tally: Mutex<Tally>,
}

impl Sweep {
    fn new(way: Way) -> Sweep {
        Sweep { way, next: AtomicUsize::new(0), tally: Mutex::default() }
    }

    /// Case after case, until a run ends before it can be killed.
    async fn lane(&self, lane: usize) {
        let name = format!("sweep-{}-{lane}", if self.way == Way::There { "there" } else { "back" });
        let stage = Stage::shared(&name, |world| {
            let roles: BTreeSet<&str> = accounts().iter().map(|it| it.1).collect();
            roles.into_iter().fold(world, |world, role| {
                let have = accounts().iter().filter(|it| it.1 == role);
                world.role(role, &have.map(|it| (name.as_str(), it.0)).collect::<Vec<_>>())
            })
        })
        .await;
        stage.hurry();
        for (account, role) in accounts() {
            stage.app(account, role, 1).await;
        }
        loop {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            // In whole, two cases for each entry.
            let (entry, odd) = if whole() { (number / 2 + 1, number % 2) } else { (number + 1, number % 2) };
            let then = if odd == 0 { Then::GoesOn } else { Then::IsUndone };
            if !self.case(&stage, entry, then).await {
                break;
            }
        }
    }

    /// One migration that is killed once the journal holds `entry` entries of this way. Whether it was.
    async fn case(&self, stage: &Stage<'_>, entry: usize, then: Then) -> bool {
        stage.forget_journal().await;
        let before = stage.state().await;
        let planned = stage.plan().await;
        let ended = match self.way {
            Way::There => {
                let run = stage.start(&["apply", "plan.json", "--digest", &planned.digest]);
                run.kill_once(stage.journal_holds(entry)).await
            }
            Way::Back => {
                stage.apply(&planned).await.ended(0);
                let wanted = stage.entries().await + entry;
                let run = stage.start(&["rollback", &planned.run, "--yes"]);
                run.kill_once(stage.journal_holds(wanted)).await
            }
        };
        let what = format!("killed at entry {entry}, {:?}, then {then:?}", self.way);
        if let Some(code) = ended {
            assert_eq!(code, 0, "{what}");
        } else {
            stage.lease_runs_out().await;
            let at = stage.entries().await;
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.kills += 1;
            tally.at.insert(at);
        }
        if self.way == Way::There && then == Then::GoesOn {
            goes_on(stage, &planned, &what).await;
        }
        let back = stage.roll_back(&planned).await;
        assert_eq!(back.code, Some(0), "{what}\n{}", back.whole());
        assert_eq!(stage.state().await, before, "{what}");
        ended.is_none()
    }

    async fn run(way: Way) -> Tally {
        let sweep = Sweep::new(way);
        futures::future::join_all((0..LANES).map(|lane| sweep.lane(lane))).await;
        sweep.tally.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same command again, to its end.
async fn goes_on(stage: &Stage<'_>, planned: &Planned, what: &str) {
    let ran = stage.apply(planned).await;
    assert_eq!(ran.code, Some(0), "{what}\n{}", ran.whole());
    let names: Vec<&str> = accounts().iter().map(|it| it.0).collect();
    assert_eq!(stage.modes(&names).await, [Mode::PodIdentity].into(), "{what}");
}

#[tokio::test]
async fn killed_after_each_entry_on_the_way_there() {
    let tally = Sweep::run(Way::There).await;
    tell(&format!("on the way there: {} kills, with so many entries: {:?}", tally.kills, tally.at));
    // After the twelfth entry nothing is waited for, and the rest may be written faster than anybody can look.
    assert!(tally.kills >= 12, "{tally:?}");
}

#[tokio::test]
async fn killed_after_each_entry_on_the_way_back() {
    let tally = Sweep::run(Way::Back).await;
    tell(&format!("on the way back: {} kills, with so many entries: {:?}", tally.kills, tally.at));
    assert!(tally.kills >= 10, "{tally:?}");
}
