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
