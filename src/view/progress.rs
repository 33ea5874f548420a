//! A run while it goes on: lines for people and logs, and bars where there is a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::doc::{Line, Span, bad, caution, faint, good, line, name, strong};
use super::names::Names;
use super::text::{self, Look};
use super::words::{count, seconds};
use crate::apply::{Progress, UnitEnd};
use crate::journal::Event;
use crate::plan::{Plan, UnitId};

/// In a log a wait is told again after so many seconds.
const AGAIN: u64 = 60;

/// Tells a run's progress on stderr.
#[derive(Debug)]
pub struct Teller {
    names: BTreeMap<UnitId, String>,
    look: Look,
    bars: Option<Bars>,
    /// What each unit was last said to wait for, and when.
    waits: BTreeMap<UnitId, (String, u64)>,
}

impl Teller {
    /// For one plan; with bars where stderr is a terminal.
    #[must_use]
    pub fn new(plan: &Plan, look: Look, terminal: bool) -> Self {
        let names = Names::of(plan);
        let names = plan.units.iter().map(|it| (it.id.clone(), names.unit(it))).collect();
        Self { names, look, bars: terminal.then(Bars::new), waits: BTreeMap::new() }
    }

    /// Takes in an event; gives the line to print, if there is one and the bars have not shown it.
    pub fn tell(&mut self, progress: &Progress) -> Option<String> {
        let line = self.line(progress)?;
        let shown = text::one_line(&line, self.look);
        match &mut self.bars {
            None => Some(shown),
            Some(bars) => {
                bars.show(progress, &self.names, &shown, &line);
                None
            }
        }
    }

    fn called(&self, unit: &UnitId) -> Span {
        name(self.names.get(unit).map_or(unit.0.as_str(), String::as_str))
    }

    /// What an event says. `None` for what would only repeat itself in a log.
    fn line(&mut self, progress: &Progress) -> Option<Line> {
        Some(match progress {
            Progress::RunStarted { run, resumed: false } => line!["Run ", name(run), " starts"],
            Progress::RunStarted { run, resumed: true } => line!["Run ", name(run), " goes on"],
            Progress::Unanswered { error, seconds: time } => {
                line![caution("no answer"), ", asking again in ", seconds(*time), ": ", name(error)]
            }
            Progress::LeaseWaiting { cluster, holder, seconds: time } => line![
                "waiting for the lease of ",
                name(cluster),
                ", held by ",
                name(holder),
                format!(": ours after {} without a sign of life", seconds(*time))
            ],
            Progress::WaveStarted { wave, units } => {
                line![strong("Wave "), strong(wave), format!(": {} to do", count(*units, "unit"))]
            }
            Progress::UnitStarted { unit } => line![self.called(unit), ": starts"],
            Progress::StepStarted { unit, step, expected_seconds } => {
                self.waits.remove(unit);
                line![self.called(unit), ": ", name(step), faint(format!(" (usually {})", seconds(*expected_seconds)))]
            }
            Progress::Waiting { unit, step, on, seconds: spent, at_most_seconds } => {
                let again =
                    self.waits.get(unit).is_none_or(|(last, at)| last != on || spent.saturating_sub(*at) >= AGAIN);
                if self.bars.is_none() && !again {
                    return None;
                }
                self.waits.insert(unit.clone(), (on.clone(), *spent));
                let time = format!(", {} of at most {}", seconds(*spent), seconds(*at_most_seconds));
                line![self.called(unit), ": ", name(step), ": waits for ", name(on), time]
            }
            Progress::StepEnded { unit, step, outcome, detail } => {
                let line = line![self.called(unit), ": ", name(step), ": ", outcome_word(*outcome)];
                with(line, detail.as_deref())
            }
            Progress::UnitEnded { unit, end, detail } => {
                let line = line![self.called(unit), ": ", end_word(*end)];
                with(line, detail.as_deref().filter(|_| *end != UnitEnd::Done))
            }
            Progress::GateWaiting { wave, seconds: time } => {
                line!["Wave ", name(wave), format!(": its pods are watched for {}", seconds(*time))]
            }
            Progress::WaveEnded { wave, passed, detail } => {
                let word = if *passed { good("passed") } else { bad("not passed") };
                with(line!["Wave ", name(wave), ": ", word], detail.as_deref())
            }
            Progress::Paused { why } => line![caution("Paused: "), name(why)],
            Progress::Closed => line!["Every unit has ended; the run is closed"],
        })
    }
}

fn with(line: Line, detail: Option<&str>) -> Line {
    match detail.filter(|it| !it.is_empty()) {
        Some(detail) => line.and(line![" (", name(detail), ")"]),
        None => line,
    }
}

fn outcome_word(event: Event) -> Span {
    match event {
        Event::Succeeded => good("done"),
        Event::Unneeded => good("was so already"),
        Event::Failed => bad("failed"),
        Event::Refused => caution("refused, nothing was sent"),
        Event::Started | Event::Sending | Event::Paused | Event::PauseAsked | Event::Undone | Event::Closed => {
            Span::from(event.as_str())
        }
    }
}

fn end_word(end: UnitEnd) -> Span {
    match end {
        UnitEnd::Done => good("done"),
        UnitEnd::Refused => caution("refused"),
        UnitEnd::Failed => bad("FAILED"),
        UnitEnd::Stopped => caution("stopped; it can go on"),
        UnitEnd::NotNow => caution("does not fit into what is left of the window"),
    }
}

/// Bars at the foot of a terminal: the wave, and each unit that is at work. Lines go above them.
#[derive(Debug)]
struct Bars {
    all: MultiProgress,
    wave: Option<ProgressBar>,
    units: BTreeMap<UnitId, ProgressBar>,
}

impl Bars {
    fn new() -> Self {
        Self { all: MultiProgress::new(), wave: None, units: BTreeMap::new() }
    }

    fn show(&mut self, progress: &Progress, names: &BTreeMap<UnitId, String>, shown: &str, line: &Line) {
        let plain: String = text::one_line(line, Look { width: usize::MAX, colour: false });
        match progress {
            Progress::WaveStarted { wave, units } => {
                self.above(shown);
                let length = u64::try_from(*units).unwrap_or(u64::MAX);
                let bar = self.all.add(
                    ProgressBar::new(length).with_style(style("{prefix} [{bar:30}] {pos}/{len} {elapsed} {wide_msg}")),
                );
                bar.set_prefix(super::sanitize::plain(wave));
                bar.enable_steady_tick(Duration::from_millis(500));
                self.wave = Some(bar);
            }
            Progress::UnitStarted { unit } => {
                let bar = self.all.add(ProgressBar::new_spinner().with_style(style("  {spinner} {wide_msg}")));
                bar.set_message(super::sanitize::plain(names.get(unit).map_or(unit.0.as_str(), String::as_str)));
                bar.enable_steady_tick(Duration::from_millis(200));
                self.units.insert(unit.clone(), bar);
            }
            Progress::StepStarted { unit, .. } | Progress::Waiting { unit, .. } => {
                if let Some(bar) = self.units.get(unit) {
                    bar.set_message(plain);
                }
            }
            Progress::UnitEnded { unit, .. } => {
                if let Some(bar) = self.units.remove(unit) {
                    bar.finish_and_clear();
                }
                if let Some(bar) = &self.wave {
                    bar.inc(1);
                }
                self.above(shown);
            }
            Progress::GateWaiting { .. } => {
                if let Some(bar) = &self.wave {
                    bar.set_message("its pods are watched");
                }
                self.above(shown);
            }
            Progress::WaveEnded { .. } | Progress::Paused { .. } | Progress::Closed => {
                for bar in std::mem::take(&mut self.units).into_values().chain(self.wave.take()) {
                    bar.finish_and_clear();
                }
                self.above(shown);
            }
            Progress::RunStarted { .. }
            | Progress::Unanswered { .. }
            | Progress::LeaseWaiting { .. }
            | Progress::StepEnded { .. } => self.above(shown),
        }
    }

    fn above(&self, shown: &str) {
        // A terminal that is gone shows nothing, and the run goes on.
        let _ = self.all.println(shown);
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are ours; one that did not parse would only look plain.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
