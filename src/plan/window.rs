//! Windows: when units may start.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A weekly time in which units may start: some weekdays, a time of day, and a length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// The days that it opens on.
    pub days: Vec<Day>,
    /// When it opens, `HH:MM` on that day's clock in its time zone.
    pub start: String,
    /// How many minutes it stays open; it may go past midnight.
    pub minutes: u32,
    /// An IANA time zone, such as `Europe/Berlin`.
    #[serde(alias = "time_zone")]
    pub time_zone: String,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        }
    }
}

/// A window that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// No such time of day.
    #[error("window start {0:?} is not a time of day such as \"22:00\"")]
    Start(String),
    /// No such time zone.
    #[error("time zone {0:?} is not in the IANA database")]
    TimeZone(String),
    /// It never opens, or is longer than a week.
    #[error("a window needs at least one day, and a length from 1 to 10080 minutes")]
    Empty,
}

/// Whether units may start now, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Until this moment.
    Until(Timestamp),
    /// Not before this moment.
    NotBefore(Timestamp),
    /// There is no window at all: always.
    Always,
}

impl Window {
    /// # Errors
    /// A time of day or a time zone that does not exist; no days; no length.
    pub fn check(&self) -> Result<(), WindowError> {
        self.parts()?;
        Ok(())
    }

    fn parts(&self) -> Result<(Time, TimeZone), WindowError> {
        // Seconds are refused with everything else that is not HH:MM: a plan should read as it is meant.
        let start = match self.start.len() {
            5 => Time::strptime("%H:%M", &self.start).ok(),
            _ => None,
        };
        let start = start.ok_or_else(|| WindowError::Start(self.start.clone()))?;
        let zone = TimeZone::get(&self.time_zone).map_err(|_| WindowError::TimeZone(self.time_zone.clone()))?;
        if self.days.is_empty() || !(1..=7 * 24 * 60).contains(&self.minutes) {
            return Err(WindowError::Empty);
        }
        Ok((start, zone))
    }

    /// Each opening that has not ended at `now`, as from and until, soonest first: those of the
    /// week before, which may still be open, and of the two weeks to come.
    fn openings(&self, now: Timestamp) -> Result<Vec<(Timestamp, Timestamp)>, WindowError> {
        let (start, zone) = self.parts()?;
        let today = now.to_zoned_datetime(zone.clone()).date();
        let length = SignedDuration::from_mins(i64::from(self.minutes));
        let mut openings = Vec::new();
        for offset in -7..=14 {
            let Ok(date) = today.checked_add(offset.days()) else { continue };
            if !self.days.iter().any(|day| day.weekday() == date.weekday()) {
                continue;
            }
            // Where a clock change skips the start, the window opens when the clock goes on.
            let Ok(from) = zone.to_ambiguous_zoned_datetime(date.to_datetime(start)).compatible() else { continue };
            let from = from.timestamp();
            let Ok(until) = from.checked_add(length) else { continue };
            if until > now {
                openings.push((from, until));
            }
        }
        openings.sort();
        Ok(openings)
    }
}

/// Whether units may start at `now`: in any of these windows, or always where there is none.
///
/// # Errors
/// A window that means nothing.
pub fn opening(windows: &[Window], now: Timestamp) -> Result<Opening, WindowError> {
    if windows.is_empty() {
        return Ok(Opening::Always);
    }
    let mut openings = Vec::new();
    for window in windows {
        openings.extend(window.openings(now)?);
    }
    openings.sort();
    let mut open_until: Option<Timestamp> = None;
    for (from, until) in &openings {
        // Windows that touch or overlap are one.
        let joined = open_until.unwrap_or(now);
        if *from <= joined {
            open_until = Some(joined.max(*until));
        }
    }
    match (open_until, openings.first()) {
        (Some(until), _) => Ok(Opening::Until(until)),
        (None, Some((from, _))) => Ok(Opening::NotBefore(*from)),
        // Every window opens once a week at least, so that two weeks always hold one.
        (None, None) => Err(WindowError::Empty),
    }
}

/// The longest that any of these windows is open; `None` if there is none.
#[must_use]
pub fn longest(windows: &[Window]) -> Option<u64> {
    windows.iter().map(|it| u64::from(it.minutes) * 60).max()
}

/// When a window opens next, of those that are not open yet and are longer than this; `None` if each is too
/// short.
#[must_use]
pub fn next_longer_than(windows: &[Window], now: Timestamp, seconds: u64) -> Option<Timestamp> {
    let wanted = SignedDuration::from_secs(i64::try_from(seconds).ok()?);
    // Whatever opens does so once a week; in two weeks the one that is open now has come again.
    let last = now.checked_add(SignedDuration::from_hours(14 * 24)).ok()?;
    let (mut at, mut opens) = (now, None);
    while at <= last {
        match opening(windows, at) {
            Ok(Opening::NotBefore(from)) => (at, opens) = (from, Some(from)),
            Ok(Opening::Until(until)) => {
                if let Some(from) = opens.filter(|from| until.duration_since(*from) > wanted) {
                    return Some(from);
                }
                (at, opens) = (until, None);
            }
            Ok(Opening::Always) | Err(_) => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[Day], start: &str, minutes: u32, time_zone: &str) -> Window {
        Window { days: days.to_vec(), start: start.into(), minutes, time_zone: time_zone.into() }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn open_closed_and_past_midnight() {
        let windows = [window(&[Day::Tue, Day::Thu], "22:00", 240, "Europe/Berlin")];
        let check = |now: &str, want: Opening| assert_eq!(opening(&windows, at(now)).unwrap(), want, "{now}");
        // 2026-11-24 is a Tuesday, and Berlin is one hour ahead of UTC then.
        check("2026-11-24T20:59:59Z", Opening::NotBefore(at("2026-11-24T21:00:00Z")));
        check("2026-11-24T21:00:00Z", Opening::Until(at("2026-11-25T01:00:00Z")));
        check("2026-11-25T00:59:59Z", Opening::Until(at("2026-11-25T01:00:00Z")));
        check("2026-11-25T01:00:00Z", Opening::NotBefore(at("2026-11-26T21:00:00Z")));
    }

    #[test]
    fn a_clock_change_moves_the_moment_and_not_the_time_of_day() {
        let windows = [window(&[Day::Sat], "22:00", 60, "Europe/Berlin")];
        let next = |now: &str| opening(&windows, at(now)).unwrap();
        assert_eq!(next("2026-10-23T00:00:00Z"), Opening::NotBefore(at("2026-10-24T20:00:00Z")));
        assert_eq!(next("2026-10-26T00:00:00Z"), Opening::NotBefore(at("2026-10-31T21:00:00Z")));
    }

    #[test]
    fn a_start_that_the_clock_skips_opens_when_it_goes_on() {
        // In Berlin on 2027-03-28 there is no 02:30.
        let windows = [window(&[Day::Sun], "02:30", 60, "Europe/Berlin")];
        assert_eq!(
            opening(&windows, at("2027-03-28T00:00:00Z")).unwrap(),
            Opening::NotBefore(at("2027-03-28T01:30:00Z"))
        );
    }

    #[test]
    fn windows_that_touch_are_one() {
        let windows = [window(&[Day::Tue], "10:00", 60, "UTC"), window(&[Day::Tue], "11:00", 30, "UTC")];
        assert_eq!(opening(&windows, at("2026-11-24T10:30:00Z")).unwrap(), Opening::Until(at("2026-11-24T11:30:00Z")));
    }

    #[test]
    fn the_next_that_is_long_enough() {
        let windows = [window(&[Day::Tue, Day::Thu], "10:00", 1, "UTC"), window(&[Day::Fri], "10:00", 30, "UTC")];
        let next = |now: &str, seconds| next_longer_than(&windows, at(now), seconds).map(|it| it.to_string());
        let (tuesday, thursday, friday) = ("2026-11-24T10:00:00Z", "2026-11-26T10:00:00Z", "2026-11-27T10:00:00Z");
        assert_eq!(next("2026-11-24T09:00:00Z", 59).as_deref(), Some(tuesday));
        // What is open already is not the next.
        assert_eq!(next(tuesday, 59).as_deref(), Some(thursday));
        assert_eq!(next("2026-11-24T10:00:30Z", 59).as_deref(), Some(thursday));
        // What takes all of a window would have to start in the moment in which it opens.
        assert_eq!(next(tuesday, 60).as_deref(), Some(friday));
        assert_eq!(next("2026-11-27T10:00:01Z", 60).as_deref(), Some("2026-12-04T10:00:00Z"));
        assert_eq!(next(tuesday, 30 * 60), None);
        assert_eq!(next(tuesday, u64::MAX), None);
        assert_eq!(next_longer_than(&[], at(tuesday), 1), None);
        let always = [window(&[Day::Tue], "10:00", 7 * 24 * 60, "UTC")];
        assert_eq!(next_longer_than(&always, at(tuesday), 60), None);
    }

    #[test]
    fn none_is_always() {
        assert_eq!(opening(&[], at("2026-11-24T10:30:00Z")).unwrap(), Opening::Always);
    }

    #[test]
    fn what_means_nothing_is_said() {
        let broken = |w: Window| w.check().unwrap_err();
        assert!(matches!(broken(window(&[Day::Mon], "25:00", 1, "UTC")), WindowError::Start(_)));
        assert!(matches!(broken(window(&[Day::Mon], "9:00", 1, "UTC")), WindowError::Start(_)));
        assert!(matches!(broken(window(&[Day::Mon], "09:00", 1, "Europe/Berlyn")), WindowError::TimeZone(_)));
        assert_eq!(broken(window(&[], "09:00", 1, "UTC")), WindowError::Empty);
        assert_eq!(broken(window(&[Day::Mon], "09:00", 0, "UTC")), WindowError::Empty);
    }
}
