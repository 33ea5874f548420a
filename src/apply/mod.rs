//! The one loop that changes the world.
//!
//! It carries out any plan, forward or undo. For each step it looks, then acts,
//! then waits until the step's condition is seen: found `after` with our mark is
//! done, found `before` is acted on, anything else is drift and refused. That a
//! step was started is durable before its call is sent, and its outcome after
//! it, so that a crash at any moment leaves a run that goes on or is undone.
//!
//! It works over ports only, prints nothing, and tells what happens as
//! [`Progress`]. Units of a wave run side by side on one thread; nothing is
//! spawned, so that dropping the future stops everything at once.

mod association;
mod effective;
mod ending;
mod evict;
mod gate;
mod lease;
mod precheck;
mod progress;
mod record;
mod restart;
mod run;
mod step;
mod trust;
mod unit;
mod wait;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

pub use ending::{Ending, Why};
pub use lease::LEASE_NAME;
pub use progress::{Progress, UnitEnd};
pub use run::apply;

use crate::inventory::Inventory;
use crate::journal::{Event, IllegalEntry, Scope};
use crate::plan::Plan;
use crate::ports::{JournalError, JournalStore, PortError, World};

use lease::Leases;
use record::Recorder;

/// What the caller chose. Nothing of it changes the plan.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Stop after the wave of this name; the run stays open.
    pub through: Option<String>,
    /// Names this process among others that may want the same lease.
    pub holder: String,
}

/// How a person stops a run: shared with whoever handles signals.
#[derive(Debug, Default)]
pub struct Stop(Cell<bool>);

impl Stop {
    /// Finish the call in flight, then stop.
    pub fn ask(&self) {
        self.0.set(true);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.get()
    }
}

/// Why a run could not be started, or cannot go on at all.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The plan contradicts itself, or promises what it does not keep.
    #[error("the plan does not hold: {0}")]
    Plan(String),
    /// The credentials or the clusters are not those of the plan.
    #[error("{0}")]
    WrongWorld(String),
    /// Somebody else writes to one of the clusters, or to this run.
    #[error("{0}")]
    Locked(String),
    /// The run is closed, or is being undone.
    #[error("{0}")]
    Ended(String),
    /// The journal gave no answer.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal holds what cannot have happened.
    #[error(transparent)]
    Illegal(#[from] IllegalEntry),
    /// The world gave no answer.
    #[error(transparent)]
    Port(#[from] PortError),
    /// There is no wave of that name.
    #[error("the plan has no wave {0:?}")]
    NoSuchWave(String),
}

/// Why the whole run stops where it is, as seen from within a step.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Halt {
    /// A person asked for it.
    Asked,
    /// The credentials ran out. Nothing failed.
    Credentials(String),
    /// The lease is lost, or the run is another's.
    Locked(String),
    /// What must be known before a unit may start could not be read. Nothing failed.
    Blind(String),
    /// The journal cannot be written: nothing more may be sent.
    Journal(JournalError),
    /// The journal holds what cannot have happened.
    Illegal(IllegalEntry),
}

/// What ends a step early: its own trouble, or the whole run's stop.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Broken {
    /// The step cannot go on.
    Step(Trouble),
    /// The run cannot.
    Run(Halt),
}

impl From<Trouble> for Broken {
    fn from(trouble: Trouble) -> Self {
        Self::Step(trouble)
    }
}

impl From<Halt> for Broken {
    fn from(halt: Halt) -> Self {
        Self::Run(halt)
    }
}

impl From<JournalError> for Halt {
    fn from(error: JournalError) -> Self {
        if let JournalError::Locked(why) = error { Self::Locked(why) } else { Self::Journal(error) }
    }
}

impl From<IllegalEntry> for Halt {
    fn from(error: IllegalEntry) -> Self {
        Self::Illegal(error)
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// Its condition was seen, and holds by our work.
    Succeeded(Option<String>),
    /// It was so already.
    Unneeded(String),
    /// Nothing was sent.
    Refused(Trouble),
    /// It was sent, and did not end as it should.
    Failed(Trouble),
}

/// What went wrong, and whether somebody has to grant something first.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trouble {
    why: String,
    denied: bool,
    /// There was no answer for so long that nothing is known.
    unanswered: bool,
}

impl Trouble {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), denied: false, unanswered: false }
    }
}

impl From<PortError> for Trouble {
    fn from(error: PortError) -> Self {
        Self { why: error.to_string(), denied: matches!(error, PortError::Denied(_)), unanswered: error.is_passing() }
    }
}

/// Everything that a unit needs while it is carried out.
struct Context<'a, W, J> {
    world: &'a W,
    plan: &'a Plan,
    recorder: Recorder<'a, J>,
    /// The run that is being undone, which is told of each unit.
    undone: Option<Recorder<'a, J>>,
    leases: Leases<'a, W>,
    /// What the findings of all units share, read when the first of them is computed.
    shared: RefCell<Option<Rc<Inventory>>>,
    stop: &'a Stop,
    emit: RefCell<&'a mut dyn FnMut(Progress)>,
    /// When the next pods may be started, on the monotonic clock.
    next_start: Cell<Duration>,
    /// Whether a call was denied anywhere in this run.
    denied: Cell<bool>,
}

impl<W: World, J: JournalStore> Context<'_, W, J> {
    fn emit(&self, progress: Progress) {
        (self.emit.borrow_mut())(progress);
    }

    /// What must hold before anything is sent: nobody asked to stop, and the leases are ours.
    fn may_write(&self) -> Result<(), Halt> {
        if self.stop.is_asked() {
            return Err(Halt::Asked);
        }
        self.leases.check().map_err(Halt::Locked)
    }

    async fn record(&self, scope: Scope, event: Event, detail: Option<String>) -> Result<(), Halt> {
        self.recorder.add(self.world.now(), scope, event, detail).await
    }

    /// Waits until so many more pods may be started.
    async fn take_starts(&self, pods: u32) {
        let now = self.world.monotonic();
        let from = self.next_start.get().max(now);
        let rate = u32::try_from(self.plan.numbers.pod_starts_per_second).unwrap_or(u32::MAX).max(1);
        self.next_start.set(from + Duration::from_secs(1) * pods / rate);
        if from > now {
            self.world.sleep(from - now).await;
        }
    }
}
