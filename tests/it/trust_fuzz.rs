//! Broken policies: every text gets an answer that points into it, and what is a policy
//! comes back byte for byte.

use irsa_migrate::trust::{Document, Edit, Mode, Undo, Verdict, prove, translate, undo};

use crate::trust_corpus::{policies, scope};
use crate::trust_random::Random;

/// What JSON and policies are made of, and what they are not.
const TOKENS: [&str; 34] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "-1e999",
    "\"*\"",
    "\"?\"",
    "\"Statement\"",
    "\"Sid\":\"x\",",
    "\"Effect\"",
    "\"Allow\"",
    "\"Deny\"",
    "\"Principal\"",
    "\"NotPrincipal\"",
    "\"NotAction\"",
    "\"StringLike\"",
    "\"ForAllValues:StringNotLikeIfExists\"",
    "${aws:PrincipalTag/x}",
    "\u{0}",
    "\r\n",
    "\u{feff}",
    "\u{2028}",
    "e\u{301}",
    "\u{1f600}",
    "ß",
    "\u{202e}",
];

/// A place between two characters.
fn place(random: &mut Random, text: &str) -> usize {
    let at = random.below(text.len() + 1);
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap()
}

/// A chunk of the text.
fn chunk(random: &mut Random, text: &str) -> std::ops::Range<usize> {
    let (a, b) = (place(random, text), place(random, text));
    let longest = if random.below(4) == 0 { usize::MAX } else { 40 };
    let (start, end) = (a.min(b), a.max(b));
    let end = end.min(start.saturating_add(longest));
    start..(start..=end).rev().find(|at| text.is_char_boundary(*at)).unwrap()
}

/// Two strings of the text change places.
fn swap(random: &mut Random, text: &str) -> String {
    let mut parts: Vec<&str> = text.split('"').collect();
    if parts.len() > 4 {
        let (a, b) = (random.below(parts.len() / 2) * 2 + 1, random.below(parts.len() / 2) * 2 + 1);
        if a.max(b) < parts.len() {
            parts.swap(a, b);
        }
    }
    parts.join("\"")
}

fn mutate(random: &mut Random, mut text: String, other: &str) -> String {
    for _ in 0..=random.below(3) {
        let at = place(random, &text);
        match random.below(9) {
            0 => {
                let mut bytes = text.into_bytes();
                if !bytes.is_empty() {
                    let at = random.below(bytes.len());
                    bytes[at] ^= 1 << random.below(8);
                }
                text = String::from_utf8_lossy(&bytes).into_owned();
            }
            1 => text.truncate(at),
            2 => {
                let copied = text[chunk(random, &text)].to_owned();
                text.insert_str(at, &copied);
            }
            3 => text.replace_range(chunk(random, &text), ""),
            4 => text.insert_str(at, random.pick(&TOKENS)),
            5 => text = swap(random, &text),
            6 => text.insert_str(at, &other[chunk(random, other)]),
            7 => {
                let (open, close) = random.pick(&[("[", "]"), ("{\"a\":", "}")]);
                let depth = random.pick(&[1, 8, 40, 2_000]);
                text = format!("{}{}{}{}", &text[..at], open.repeat(depth), &text[at..], close.repeat(depth));
            }
            _ => {
                text.insert_str(at, &random.pick(&["*a", "x", "?", "é", " ", "*"]).repeat(random.pick(&[1, 30, 1_500])))
            }
        }
    }
    text
}

/// The text as a policy, if it is one.
fn read(text: &str) -> Option<Document> {
    match Document::parse(text) {
        Ok(document) => Some(document),
        Err(invalid) => {
            let lines: Vec<&str> = text.split('\n').collect();
            let inside = lines
                .get(invalid.place.line.wrapping_sub(1))
                .is_some_and(|line| (1..=line.chars().count() + 1).contains(&invalid.place.column));
            assert!(inside && !invalid.message.is_empty(), "{invalid} does not point into {text:?}");
            None
        }
    }
}

#[test]
fn broken_policies_get_an_answer_and_whole_ones_come_back() {
    let scope = scope();
    let corpus = policies();
    let mut random = Random::new(7);
    let (mut read_ones, mut translated) = (0, 0);
    for round in 0..12_000 {
        let (_, text) = &corpus[random.below(corpus.len())];
        let (_, other) = &corpus[random.below(corpus.len())];
        let text = mutate(&mut random, text.clone(), other);
        let Some(before) = read(&text) else { continue };
        read_ones += 1;
        assert_eq!(before.text(), text);
        let it = translate(&before, &scope, Mode::Equivalent, &[]);
        assert!(it.verdict != Verdict::Held || it.reasons.iter().any(|reason| reason.holds()), "{text}");
        let _ = prove(&it.before, &it.after);
        if it.verdict != Verdict::Translated {
            assert_eq!(it.document, before, "round {round}");
            continue;
        }
        translated += 1;
        let edits = it.added.iter().cloned().map(Edit::AddStatement);
        let made = edits.fold(before.clone(), |document, edit| edit.apply(&document).unwrap());
        assert_eq!(made, it.document, "round {round}: {text}");
        assert_eq!(undo(&made, &before, &it.document, &it.added), Undo::SendOriginal(text.clone()), "round {round}");
    }
    // Enough of them are policies still, so that more than the reader is tried.
    assert!(read_ones > 500 && translated > 150, "{read_ones} read, {translated} translated");
}
