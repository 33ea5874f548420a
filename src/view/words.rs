//! Numbers and times, in words.

/// `1 pod`, `2 pods`.
pub(crate) fn count(number: usize, one: &str) -> String {
    // The few nouns of this program that end otherwise.
    let many = if one.ends_with("ss") { format!("{one}es") } else { format!("{one}s") };
    format!("{number} {}", if number == 1 { one } else { &many })
}

/// Seconds as `45 s`, `3 min`, `1 min 20 s`, `2 h 5 min`, `4 d 2 h`: two units at most.
pub(crate) fn seconds(total: u64) -> String {
    let (days, hours, minutes, seconds) = (total / 86_400, total / 3600 % 24, total / 60 % 60, total % 60);
    let parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")];
    let first = parts.iter().position(|(number, _)| *number > 0).unwrap_or(3);
    let shown = parts[first..].iter().take(2).enumerate().filter(|(index, (number, _))| *index == 0 || *number > 0);
    shown.map(|(_, (number, unit))| format!("{number} {unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (total, want) in [
            (0, "0 s"),
            (45, "45 s"),
            (60, "1 min"),
            (80, "1 min 20 s"),
            (3600, "1 h"),
            (7530, "2 h 5 min"),
            (3605, "1 h"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(seconds(total), want);
        }
    }

    #[test]
    fn counts() {
        assert_eq!((count(1, "pod"), count(0, "pod")), ("1 pod".into(), "0 pods".into()));
    }
}
