//! The kinds of names that a set of patterns can tell apart.
//!
//! A literal is a kind of its own. Of all other names, a deterministic automaton over all
//! globs at once finds every combination of globs that one name can match, with a name
//! for each. It is built step by step and given up over budget, for it may be
//! exponentially large.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use crate::trust::pattern::{Atom, Pattern, glob_matches};
use crate::trust::prove::{Budget, OverBudget};

/// A pattern along one axis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Form<'g> {
    /// This very text.
    Text(Cow<'g, str>),
    /// Everything else; in lower case if letters are compared without case.
    Glob { pattern: Cow<'g, Pattern>, ignore_case: bool },
}

/// One kind of names: those that match exactly these patterns.
#[derive(Debug, Clone)]
pub(super) struct Class {
    /// A name of the kind.
    pub(super) text: String,
    /// The numbers of the patterns that it matches, ascending.
    pub(super) matching: Vec<usize>,
}

impl Class {
    pub(super) fn matches(&self, pattern: usize) -> bool {
        self.matching.binary_search(&pattern).is_ok()
    }
}

/// Makes classes.
pub(super) struct Classes;

/// A glob with its number.
struct Glob {
    id: usize,
    atoms: Vec<Atom>,
    ignore_case: bool,
}

impl Glob {
    fn takes(&self, atom: Atom, c: char) -> bool {
        atom.takes(if self.ignore_case { c.to_ascii_lowercase() } else { c })
    }

    fn matches(&self, text: &[char]) -> bool {
        glob_matches(&self.atoms, text, |atom, c| self.takes(atom, *c))
    }
}

impl Classes {
    /// Every kind of names that matches at least one of the patterns.
    pub(super) fn of(forms: &[Form<'_>], budget: &mut Budget) -> Result<Vec<Class>, OverBudget> {
        let (mut texts, mut globs) = (HashMap::new(), Vec::new());
        for (id, form) in forms.iter().enumerate() {
            match form {
                Form::Text(text) => {
                    texts.insert(text.as_ref(), id);
                }
                Form::Glob { pattern, ignore_case } => {
                    globs.push(Glob { id, atoms: pattern.atoms(), ignore_case: *ignore_case });
                }
            }
        }
        let mut classes = Vec::with_capacity(texts.len() + globs.len());
        for (text, id) in &texts {
            let chars: Vec<char> = text.chars().collect();
            let mut matching = vec![*id];
            for glob in &globs {
                budget.spend(1 + chars.len())?;
                matching.extend(glob.matches(&chars).then_some(glob.id));
            }
            matching.sort_unstable();
            classes.push(Class { text: (*text).to_owned(), matching });
        }
        // A map has no order of its own, and a witness should be the same each time.
        classes.sort_by(|a, b| a.text.cmp(&b.text));
        if !globs.is_empty() {
            let taken: HashSet<&str> = texts.keys().copied().collect();
            classes.extend(Automaton::new(&globs, &taken).classes(budget)?);
        }
        Ok(classes)
    }
}

/// A set of positions in the globs, as bits.
type State = Vec<u64>;

struct Automaton<'a> {
    globs: &'a [Glob],
    taken: &'a HashSet<&'a str>,
    /// Where the positions of each glob start among the bits.
    starts: Vec<usize>,
    words: usize,
    /// The characters that occur in the globs, and last one that does not occur at all.
    alphabet: Vec<char>,
}

/// A state as it was first reached: with or without the character that occurs nowhere.
type Reached = (usize, bool);

impl<'a> Automaton<'a> {
    fn new(globs: &'a [Glob], taken: &'a HashSet<&'a str>) -> Self {
        let mut alphabet: Vec<char> = Vec::new();
        for glob in globs {
            for atom in &glob.atoms {
                if let Atom::Char(c) = atom {
                    alphabet.push(*c);
                    if glob.ignore_case {
                        alphabet.push(c.to_ascii_uppercase());
                    }
                }
            }
        }
        alphabet.sort_unstable();
        alphabet.dedup();
        alphabet.push(fresh(&alphabet, taken));
        let mut starts = Vec::with_capacity(globs.len());
        let mut bits = 0;
        for glob in globs {
            starts.push(bits);
            bits += glob.atoms.len() + 1;
        }
        Self { globs, taken, starts, words: bits.div_ceil(64), alphabet }
    }

    /// Adds a position, and those behind the stars that it may skip.
    fn enter(&self, state: &mut State, glob: &Glob, start: usize, mut position: usize) {
        loop {
            let bit = start + position;
            if let Some(word) = state.get_mut(bit / 64) {
                *word |= 1 << (bit % 64);
            }
            if glob.atoms.get(position) != Some(&Atom::Star) {
                return;
            }
            position += 1;
        }
    }

    fn start(&self) -> State {
        let mut state = vec![0; self.words];
        for (glob, start) in self.globs.iter().zip(&self.starts) {
            self.enter(&mut state, glob, *start, 0);
        }
        state
    }

    fn step(&self, state: &State, c: char) -> State {
        let mut next = vec![0; self.words];
        for (glob, start) in self.globs.iter().zip(&self.starts) {
            for (position, atom) in glob.atoms.iter().enumerate() {
                if !has(state, start + position) {
                    continue;
                }
                match atom {
                    Atom::Star => self.enter(&mut next, glob, *start, position),
                    Atom::One | Atom::Char(_) => {
                        if glob.takes(*atom, c) {
                            self.enter(&mut next, glob, *start, position + 1);
                        }
                    }
                }
            }
        }
        next
    }

    /// The numbers of the globs that match once the text ends here.
    fn accepted(&self, state: &State) -> Vec<usize> {
        let ended = self.globs.iter().zip(&self.starts).filter(|(glob, start)| has(state, *start + glob.atoms.len()));
        ended.map(|(glob, _)| glob.id).collect()
    }

    /// A name for each combination of globs that a name outside of `taken` can match.
    fn classes(&self, budget: &mut Budget) -> Result<Vec<Class>, OverBudget> {
        let bits = self.words * 64;
        let mut states: Vec<State> = vec![self.start()];
        let mut numbers: HashMap<State, usize> = HashMap::from([(self.start(), 0)]);
        let mut came: HashMap<Reached, (Reached, char)> = HashMap::new();
        let mut next: HashMap<(usize, char), usize> = HashMap::new();
        let mut queue = VecDeque::from([(0, false)]);
        let mut seen: HashSet<Reached> = HashSet::from([(0, false)]);
        // For each combination, one way to it; better one that uses the unused character,
        // for such a name is no literal.
        let mut ways: Vec<(Vec<usize>, Reached)> = Vec::new();
        let mut known: HashMap<Vec<usize>, usize> = HashMap::new();
        let unused = self.alphabet.last().copied();
        while let Some(at) = queue.pop_front() {
            let Some(state) = states.get(at.0).cloned() else { continue };
            let accepted = self.accepted(&state);
            match known.get(&accepted) {
                None => {
                    known.insert(accepted.clone(), ways.len());
                    ways.push((accepted, at));
                }
                Some(index) => {
                    if let Some((_, way)) = ways.get_mut(*index)
                        && at.1
                        && !way.1
                    {
                        *way = at;
                    }
                }
            }
            for c in &self.alphabet {
                let number = match next.get(&(at.0, *c)) {
                    Some(number) => *number,
                    None => {
                        budget.spend(8 + bits / 4)?;
                        let target = self.step(&state, *c);
                        let number = *numbers.entry(target.clone()).or_insert(states.len());
                        if number == states.len() {
                            states.push(target);
                        }
                        next.insert((at.0, *c), number);
                        number
                    }
                };
                let to = (number, at.1 || Some(*c) == unused);
                if seen.insert(to) {
                    came.insert(to, (at, *c));
                    queue.push_back(to);
                }
            }
        }
        let mut classes = Vec::new();
        for (matching, way) in ways {
            if matching.is_empty() {
                continue;
            }
            let text = if way.1 {
                Some(self.legible(&spell(way, &came)))
            } else {
                self.untaken(&matching, &states, &next, budget)?
            };
            classes.extend(text.map(|text| Class { text, matching }));
        }
        Ok(classes)
    }

    /// The text with a letter or digit for the unused character, where one does as well.
    fn legible(&self, text: &str) -> String {
        let Some(unused) = self.alphabet.last() else { return text.to_owned() };
        let letters = ('a'..='z').chain('0'..='9').filter(|c| !self.alphabet.contains(c));
        let mut spelled = letters.map(|c| text.replace(*unused, c.encode_utf8(&mut [0; 4])));
        spelled.find(|text| !self.taken.contains(text.as_str())).unwrap_or_else(|| text.to_owned())
    }

    /// A name of a combination that no name with the unused character has, outside of `taken`.
    ///
    /// There are finitely many: a long name would have a character that only wildcards
    /// take, and the unused one could stand there instead. But there may be as many as a name
    /// has spellings without case; one way is followed to its end before the next, and each
    /// ends in a name, so that no more are tried than are taken.
    fn untaken(
        &self,
        matching: &[usize],
        states: &[State],
        next: &HashMap<(usize, char), usize>,
        budget: &mut Budget,
    ) -> Result<Option<String>, OverBudget> {
        let useful = self.leading_to(matching, states, next, budget)?;
        let longest: usize = self.globs.iter().map(|glob| glob.atoms.len()).sum();
        let mut open = vec![(0, String::new())];
        while let Some((state, text)) = open.pop() {
            budget.spend(8 + text.len())?;
            let Some(bits) = states.get(state) else { continue };
            if self.accepted(bits) == matching && !self.taken.contains(text.as_str()) {
                return Ok(Some(text));
            }
            if text.chars().count() >= longest {
                continue;
            }
            for c in self.alphabet.iter().rev() {
                if let Some(target) = next.get(&(state, *c))
                    && useful.contains(target)
                {
                    let mut longer = text.clone();
                    longer.push(*c);
                    open.push((*target, longer));
                }
            }
        }
        Ok(None)
    }

    /// The states from which a combination can still be reached.
    fn leading_to(
        &self,
        matching: &[usize],
        states: &[State],
        next: &HashMap<(usize, char), usize>,
        budget: &mut Budget,
    ) -> Result<HashSet<usize>, OverBudget> {
        budget.spend(states.len() + next.len())?;
        let mut back: HashMap<usize, Vec<usize>> = HashMap::new();
        for ((from, _), to) in next {
            back.entry(*to).or_default().push(*from);
        }
        let mut open: Vec<usize> = Vec::new();
        for (number, state) in states.iter().enumerate() {
            if self.accepted(state) == matching {
                open.push(number);
            }
        }
        let mut useful: HashSet<usize> = open.iter().copied().collect();
        while let Some(state) = open.pop() {
            for from in back.get(&state).into_iter().flatten() {
                if useful.insert(*from) {
                    open.push(*from);
                }
            }
        }
        Ok(useful)
    }
}

fn has(state: &State, bit: usize) -> bool {
    state.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
}

/// The text that led to a state.
fn spell(mut at: Reached, came: &HashMap<Reached, (Reached, char)>) -> String {
    let mut text = Vec::new();
    while let Some((from, c)) = came.get(&at) {
        text.push(*c);
        at = *from;
    }
    text.iter().rev().collect()
}

/// A character that occurs in no glob and in no literal.
fn fresh(alphabet: &[char], taken: &HashSet<&str>) -> char {
    let free = |c: &char| !alphabet.contains(c) && !taken.iter().any(|text| text.contains(*c));
    // Texts are bounded, so that the private use area is never used up.
    ('\u{e000}'..='\u{f8ff}').find(free).unwrap_or('\u{10fffd}')
}
