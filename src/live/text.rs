//! Other people's words inside our errors.

/// The text as one line of at most 600 characters: what a server says may be of any length, and may
/// hold line ends and terminal escapes.
pub(super) fn one_line(text: &str) -> String {
    const MOST: usize = 600;
    let words = text.split(|it: char| it.is_whitespace() || it.is_control()).filter(|it| !it.is_empty());
    let mut letters = words.flat_map(|it| std::iter::once(' ').chain(it.chars())).skip(1);
    let mut line: String = letters.by_ref().take(MOST).collect();
    if letters.next().is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_short_line() {
        assert_eq!(one_line("a\r\n\tb \u{1b}[31m c\n"), "a b [31m c");
        assert_eq!(one_line(&"x".repeat(1_000_000)).chars().count(), 601);
        assert_eq!(one_line(""), "");
        assert_eq!(one_line(" \n"), "");
    }
}
