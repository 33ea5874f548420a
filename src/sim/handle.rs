//! A handle to a world, and the clock that moves only when nobody has anything to do.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use jiff::Timestamp;

use super::call::{Call, Reply};
use super::journal::MemoryJournal;
use super::world::World;
use crate::inventory::Caller;
use crate::ports::{Answer, Clock};

/// Longer than any migration of a test: who is not done by then turns in circles.
const LONGEST: Duration = Duration::from_hours(24 * 30);

/// A handle to a simulated world: cheap to clone, and each clone is the same world.
///
/// It implements the ports. Everything happens on one thread: futures that use it are driven
/// by [`Sim::run`], which lets the world's time pass only when all of them wait for it.
#[derive(Debug, Clone)]
pub struct Sim {
    shared: Rc<Shared>,
    who: Caller,
}

#[derive(Debug)]
struct Shared {
    world: RefCell<World>,
    /// By the monotonic clock.
    sleepers: RefCell<BTreeMap<(Duration, u64), Waker>>,
    next_sleeper: Cell<u64>,
    latency: Cell<Duration>,
    began: Timestamp,
    /// How long the machine has slept: its monotonic clock stood still meanwhile.
    suspended: Cell<Duration>,
}

impl Shared {
    fn monotonic(&self) -> Duration {
        let passed = Duration::try_from(self.world.borrow().now.duration_since(self.began)).unwrap_or_default();
        passed.saturating_sub(self.suspended.get())
    }

    /// When the monotonic clock will show this, in the world's time.
    fn world_time(&self, monotonic: Duration) -> Timestamp {
        self.began + monotonic + self.suspended.get()
    }
}

/// Why a future was not driven to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// A fault ended the program; [`Sim::restart`] lets another one begin.
    #[error("the program was ended")]
    Crashed,
    /// It waits for something that is not the clock.
    #[error("nothing can happen any more")]
    Stuck,
    /// The time is up.
    #[error("the time is up")]
    TimeUp,
}

impl Sim {
    pub(crate) fn of(world: World, who: Caller) -> Self {
        let began = world.now;
        let shared = Shared {
            world: RefCell::new(world),
            sleepers: RefCell::default(),
            next_sleeper: Cell::new(0),
            latency: Cell::new(Duration::ZERO),
            began,
            suspended: Cell::new(Duration::ZERO),
        };
        Self { shared: Rc::new(shared), who }
    }

    /// A world of its own that is now as this one is, with nobody waiting in it.
    #[must_use]
    pub fn fork(&self) -> Self {
        let fork = Self::of(self.world().clone(), self.who.clone());
        fork.set_latency(self.shared.latency.get());
        fork
    }

    /// The world itself. Not to be held while a future runs.
    #[must_use]
    pub fn world(&self) -> RefMut<'_, World> {
        self.shared.world.borrow_mut()
    }

    /// Who calls through this handle.
    #[must_use]
    pub fn who(&self) -> &Caller {
        &self.who
    }

    /// The same world, called by somebody else.
    #[must_use]
    pub fn called_by(&self, who: Caller) -> Self {
        Self { shared: self.shared.clone(), who }
    }

    /// Lets each call take this long, so that calls of several tasks overlap. None by default.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.latency.set(latency);
    }

    /// The machine that the callers run on sleeps for this long: the world and the wall clock go on, and
    /// the monotonic clock and whoever waits for it stand still.
    pub fn suspend(&self, time: Duration) {
        self.shared.suspended.set(self.shared.suspended.get() + time);
        let mut world = self.world();
        let until = world.now + time;
        world.tick(until);
    }

    /// A journal that lives with this world: it survives a crash.
    #[must_use]
    pub fn journal(&self) -> MemoryJournal {
        MemoryJournal::new(self.clone())
    }

    /// After a crash: lets another program call the world. What the first one waited for is forgotten.
    pub fn restart(&self) {
        self.world().crashed = false;
        self.shared.sleepers.borrow_mut().clear();
    }

    /// Drives a future to its end, in the world's time.
    ///
    /// # Errors
    /// See [`Stopped`]; the future is dropped.
    pub fn run<F: Future>(&self, future: F) -> Result<F::Output, Stopped> {
        self.run_for(LONGEST, future)
    }

    /// Drives a future for this long at most.
    ///
    /// # Errors
    /// See [`Stopped`]; the future is dropped.
    pub fn run_for<F: Future>(&self, time: Duration, future: F) -> Result<F::Output, Stopped> {
        let until = self.world().now + time;
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(flag.clone());
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            flag.0.store(false, Ordering::Relaxed);
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Ok(output);
            }
            if self.world().crashed {
                return Err(Stopped::Crashed);
            }
            if flag.0.load(Ordering::Relaxed) {
                continue;
            }
            let next = self.shared.sleepers.borrow().keys().next().map(|(at, _)| *at);
            let next = next.ok_or(Stopped::Stuck)?;
            if self.shared.world_time(next) > until {
                self.world().tick(until);
                return Err(Stopped::TimeUp);
            }
            self.advance(next);
        }
    }

    /// Moves the clock and wakes whoever waited for it.
    fn advance(&self, to: Duration) {
        let time = self.shared.world_time(to);
        self.world().tick(time);
        let mut sleepers = self.shared.sleepers.borrow_mut();
        let later = sleepers.split_off(&(to, u64::MAX));
        let due = std::mem::replace(&mut *sleepers, later);
        drop(sleepers);
        due.into_values().for_each(Waker::wake);
    }

    /// Sends one call. Others who are ready get their turn before it is answered.
    pub(crate) async fn send(&self, call: Call) -> Answer<Reply> {
        self.pause(self.shared.latency.get()).await;
        self.unless_crashed().await;
        let answer = {
            let mut world = self.world();
            let now = world.now;
            world.call(&self.who, now, call)
        };
        // Whoever has ended does not read the answer.
        self.unless_crashed().await;
        answer
    }

    /// Never returns once the program has ended.
    pub(crate) async fn unless_crashed(&self) {
        if self.world().crashed {
            pending::<()>().await;
        }
    }

    async fn pause(&self, time: Duration) {
        if time.is_zero() {
            let mut turns = 0;
            return poll_fn(|context| {
                turns += 1;
                if turns > 1 {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
        let until = self.shared.monotonic() + time;
        Sleep { shared: self.shared.clone(), until, id: None }.await;
    }
}

impl Clock for Sim {
    fn now(&self) -> Timestamp {
        let world = self.world();
        world.now + world.clock_error
    }

    fn monotonic(&self) -> Duration {
        self.shared.monotonic()
    }

    async fn sleep(&self, time: Duration) {
        self.pause(time).await;
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits for a moment of the monotonic clock.
struct Sleep {
    shared: Rc<Shared>,
    until: Duration,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.shared.monotonic() >= self.until {
            return Poll::Ready(());
        }
        let id = self.id.unwrap_or_else(|| {
            let id = self.shared.next_sleeper.get();
            self.shared.next_sleeper.set(id + 1);
            id
        });
        self.id = Some(id);
        self.shared.sleepers.borrow_mut().insert((self.until, id), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.sleepers.borrow_mut().remove(&(self.until, id));
        }
    }
}
