//! Ctrl-C: once to stop after the call in flight, twice to stop at once.

use std::future::pending;
use std::pin::pin;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::out::Printer;
use crate::apply::Stop;

/// Carries work out until it ends, or until somebody interrupts it twice: `None` then. The future
/// is dropped, and whatever it was doing is in doubt.
pub(crate) async fn carry_out<T>(work: impl Future<Output = T>, stop: &Stop, printer: Printer) -> Option<T> {
    // A process that cannot listen to signals is stopped by them, which a run survives too.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt()).ok(), signal(SignalKind::terminate()).ok());
    let pressed = async || {
        tokio::select! {
            () = next(&mut interrupt) => {}
            () = next(&mut terminate) => {}
        }
    };
    until_pressed_twice(work, stop, printer, pressed).await
}

async fn until_pressed_twice<T>(
    work: impl Future<Output = T>,
    stop: &Stop,
    printer: Printer,
    mut pressed: impl AsyncFnMut(),
) -> Option<T> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            result = &mut work => return Some(result),
            () = pressed() => {}
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

// A signal is the whole process's, so the tests press nothing: a real Ctrl-C is in the end-to-end suite.
#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn once_asks_the_work_to_stop_and_twice_gives_it_up() {
        let stop = Stop::default();
        let mut presses = 0;
        let ended = until_pressed_twice(pending::<()>(), &stop, Printer::new(), async || presses += 1).await;
        assert_eq!((ended, presses), (None, 2));
        assert!(stop.is_asked());
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
        let mut pressed = false;
        let once = async || {
            if std::mem::replace(&mut pressed, true) {
                pending::<()>().await;
            }
        };
        assert_eq!(until_pressed_twice(work, &stop, Printer::new(), once).await, Some("paused"));
    }

    #[tokio::test]
    async fn work_that_nobody_interrupts_is_not_asked_to_stop() {
        let stop = Stop::default();
        let ended = until_pressed_twice(async { 7 }, &stop, Printer::new(), async || {}).await;
        assert_eq!((ended, stop.is_asked()), (Some(7), false), "what has ended is told before what was pressed");
    }
}
