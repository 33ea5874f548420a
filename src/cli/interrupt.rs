//! Ctrl-C: once to stop after the call in flight, twice to stop at once.

use std::future::pending;
use std::pin::pin;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::out::Printer;
use crate::apply::Stop;

/// Carries work out until it ends, or until somebody interrupts it twice: `None` then. The future
/// is dropped, and whatever it was doing is in doubt.
pub(crate) async fn carry_out<T>(work: impl Future<Output = T>, stop: &Stop, printer: Printer) -> Option<T> {
    let mut work = pin!(work);
    // A process that cannot listen to signals is stopped by them, which a run survives too.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt()).ok(), signal(SignalKind::terminate()).ok());
    loop {
        tokio::select! {
            biased;
            result = &mut work => return Some(result),
            () = next(&mut interrupt) => {}
            () = next(&mut terminate) => {}
        }
        if stop.is_asked() {
            return None;
        }
        stop.ask();
        printer.say("Stopping after the call in flight. Once more stops at once.");
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ctrl-C, for this process alone; whoever listens must have begun to.
    fn press() {
        let pid = std::process::id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    }

    #[tokio::test]
    async fn once_asks_the_work_to_stop_and_twice_gives_it_up() {
        let stop = Stop::default();
        let pressing = async {
            press();
            while !stop.is_asked() {
                tokio::task::yield_now().await;
            }
            press();
        };
        let (ended, ()) = tokio::join!(biased; carry_out(pending::<()>(), &stop, Printer::new()), pressing);
        assert_eq!(ended, None);
    }

    #[tokio::test]
    async fn work_that_stops_as_asked_ends_by_itself() {
        let stop = Stop::default();
        let work = async {
            while !stop.is_asked() {
                tokio::task::yield_now().await;
            }
            "paused"
        };
        // The listening begins before the key is pressed: in this order.
        let pressing = async { press() };
        let (ended, ()) = tokio::join!(biased; carry_out(work, &stop, Printer::new()), pressing);
        assert_eq!(ended, Some("paused"));
    }
}
