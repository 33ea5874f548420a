//! What a trust policy says, typed, with the place of each part in its text.
//!
//! Source: IAM user guide, "Grammar of the IAM JSON policy language". Element names
//! are case-sensitive. What IAM would refuse to save is refused here.

use std::collections::HashSet;
use std::ops::Range;

use jsonc_parser::ast::{Object, ObjectProp, Value as Json};
use jsonc_parser::common::Ranged;

use crate::trust::operator::Operator;
use crate::trust::pattern::{Atom, glob_matches};
use crate::trust::reason::Code;

/// Why a text is no policy, with the byte that shows it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) at: usize,
}

type Parsed<T> = Result<T, Refusal>;

fn refuse<T>(code: Code, at: usize, message: impl Into<String>) -> Parsed<T> {
    Err(Refusal { code, message: message.into(), at })
}

/// The policy language's version; it decides whether `${...}` is a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// `2008-10-17`, also when there is none: no variables.
    V2008,
    /// `2012-10-17`.
    V2012,
}

/// Allow or Deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// A text with its place.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) range: Range<usize>,
}

/// `Principal` or `NotPrincipal`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Principal {
    pub(crate) negated: bool,
    /// `"*"` or `{"AWS": "*"}`, which mean the same.
    pub(crate) everyone: bool,
    pub(crate) aws: Vec<Word>,
    pub(crate) federated: Vec<Word>,
    pub(crate) service: Vec<Word>,
    pub(crate) canonical: Vec<Word>,
    pub(crate) at: usize,
}

/// `Action` or `NotAction`.
#[derive(Debug, Clone)]
pub(crate) struct Actions {
    pub(crate) negated: bool,
    pub(crate) globs: Vec<Word>,
    /// Whether they cover `sts:AssumeRoleWithWebIdentity`.
    pub(crate) web_identity: bool,
    /// Whether they cover `sts:AssumeRole`.
    pub(crate) assume_role: bool,
    /// Whether they cover `sts:TagSession`.
    pub(crate) tag_session: bool,
}

/// One operator on one key.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) operator: Operator,
    /// In lower case, for keys are compared without case.
    pub(crate) key: String,
    pub(crate) values: Vec<Word>,
    /// The range of the whole member: key, colon and value.
    pub(crate) range: Range<usize>,
    /// The operator has named this key before, in other letters.
    pub(crate) again: bool,
}

/// One statement.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) sid: Option<String>,
    pub(crate) effect: Effect,
    pub(crate) principal: Principal,
    pub(crate) actions: Actions,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) range: Range<usize>,
}

/// A trust policy.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) version: Version,
    pub(crate) id: Option<String>,
    pub(crate) statements: Vec<Statement>,
    /// `Statement` is a list; if not it is the one statement itself.
    pub(crate) listed: bool,
    /// The range of the value of `Statement`.
    pub(crate) range: Range<usize>,
}

fn range(node: &impl Ranged) -> Range<usize> {
    node.start()..node.end()
}

/// An object's members, each key once.
fn members<'o, 'a>(object: &'o Object<'a>) -> Parsed<&'o [ObjectProp<'a>]> {
    let properties = &object.properties;
    if let Some((name, at)) = repeated(properties) {
        let message = format!("the key {} stands twice in one object, and IAM refuses such a policy", quoted(name));
        return refuse(Code::DuplicateKey, at, message);
    }
    Ok(properties)
}

/// A key that stands twice in an object, with its second place.
fn repeated<'o>(properties: &'o [ObjectProp<'_>]) -> Option<(&'o str, usize)> {
    // Objects are small: comparing each with each needs no memory.
    if properties.len() <= 8 {
        let earlier = |at: usize, name: &str| properties.iter().take(at).any(|it| it.name.as_str() == name);
        let mut keys = properties.iter().map(|it| (it.name.as_str(), it.start())).enumerate();
        return keys.find(|(at, (name, _))| earlier(*at, name)).map(|(_, key)| key);
    }
    let mut seen = HashSet::with_capacity(properties.len());
    properties.iter().map(|it| (it.name.as_str(), it.start())).find(|(name, _)| !seen.insert(*name))
}

/// Foreign text for a message: only its beginning.
fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{}`", short.escape_debug())
}

fn string(value: &Json<'_>, what: &str) -> Parsed<Word> {
    match value {
        Json::StringLit(it) => Ok(Word { text: it.value.clone().into_owned(), range: range(it) }),
        Json::NumberLit(_) | Json::BooleanLit(_) | Json::Object(_) | Json::Array(_) | Json::NullKeyword(_) => {
            refuse(Code::MalformedElement, value.start(), format!("{what} has to be a string"))
        }
    }
}

/// A string, or a list of strings.
fn strings(value: &Json<'_>, what: &str) -> Parsed<Vec<Word>> {
    match value {
        Json::Array(list) => list.elements.iter().map(|it| string(it, what)).collect(),
        Json::StringLit(_) | Json::NumberLit(_) | Json::BooleanLit(_) | Json::Object(_) | Json::NullKeyword(_) => {
            Ok(vec![string(value, what)?])
        }
    }
}

impl Policy {
    pub(crate) fn read(root: &Json<'_>) -> Parsed<Self> {
        let Json::Object(object) = root else {
            return refuse(Code::NotAPolicy, root.start(), "a policy is a JSON object");
        };
        let (mut version, mut id, mut statement) = (Version::V2008, None, None);
        for member in members(object)? {
            match member.name.as_str() {
                "Version" => version = read_version(&member.value)?,
                "Id" => id = Some(string(&member.value, "`Id`")?.text),
                "Statement" => statement = Some(&member.value),
                other => {
                    let message = format!("a trust policy has no element {}; names are case-sensitive", quoted(other));
                    return refuse(Code::UnknownElement, member.start(), message);
                }
            }
        }
        let Some(statement) = statement else {
            return refuse(Code::NotAPolicy, object.start(), "there is no `Statement`");
        };
        let (listed, statements) = match statement {
            Json::Array(list) => (true, list.elements.iter().map(Statement::read).collect::<Parsed<_>>()?),
            Json::Object(_) => (false, vec![Statement::read(statement)?]),
            Json::StringLit(_) | Json::NumberLit(_) | Json::BooleanLit(_) | Json::NullKeyword(_) => {
                let message = "`Statement` has to be a statement or a list of them";
                return refuse(Code::MalformedElement, statement.start(), message);
            }
        };
        Ok(Self { version, id, statements, listed, range: range(statement) })
    }
}

fn read_version(value: &Json<'_>) -> Parsed<Version> {
    let word = string(value, "`Version`")?;
    match word.text.as_str() {
        "2012-10-17" => Ok(Version::V2012),
        "2008-10-17" => Ok(Version::V2008),
        other => {
            let message = format!("`Version` is 2012-10-17 or 2008-10-17, not {}", quoted(other));
            refuse(Code::MalformedElement, word.range.start, message)
        }
    }
}

impl Statement {
    fn read(value: &Json<'_>) -> Parsed<Self> {
        let Json::Object(object) = value else {
            return refuse(Code::MalformedElement, value.start(), "a statement has to be an object");
        };
        let (mut sid, mut effect, mut principal, mut actions, mut conditions) = (None, None, None, None, Vec::new());
        for member in members(object)? {
            let (name, value) = (member.name.as_str(), &member.value);
            match name {
                "Sid" => sid = Some(string(value, "`Sid`")?.text),
                "Effect" => effect = Some(read_effect(value)?),
                "Principal" | "NotPrincipal" => {
                    if principal.is_some() {
                        let message = "a statement has `Principal` or `NotPrincipal`, not both";
                        return refuse(Code::MalformedElement, member.start(), message);
                    }
                    principal = Some(Principal::read(value, name == "NotPrincipal", member.start())?);
                }
                "Action" | "NotAction" => {
                    if actions.is_some() {
                        let message = "a statement has `Action` or `NotAction`, not both";
                        return refuse(Code::MalformedElement, member.start(), message);
                    }
                    actions = Some(Actions::read(value, name == "NotAction")?);
                }
                "Condition" => conditions = read_conditions(value)?,
                "Resource" | "NotResource" => {
                    let message = format!("a trust policy is about its own role and has no `{name}`");
                    return refuse(Code::UnknownElement, member.start(), message);
                }
                other => {
                    let message = format!("a statement has no element {}; names are case-sensitive", quoted(other));
                    return refuse(Code::UnknownElement, member.start(), message);
                }
            }
        }
        let missing = |what: &str| Refusal {
            code: Code::MissingElement,
            message: format!("the statement has no `{what}`"),
            at: object.start(),
        };
        Ok(Self {
            sid: sid.filter(|it| !it.is_empty()),
            effect: effect.ok_or_else(|| missing("Effect"))?,
            principal: principal.ok_or_else(|| missing("Principal"))?,
            actions: actions.ok_or_else(|| missing("Action"))?,
            conditions,
            range: range(object),
        })
    }
}

fn read_effect(value: &Json<'_>) -> Parsed<Effect> {
    let word = string(value, "`Effect`")?;
    match word.text.as_str() {
        "Allow" => Ok(Effect::Allow),
        "Deny" => Ok(Effect::Deny),
        other => {
            let message = format!("`Effect` is Allow or Deny, not {}", quoted(other));
            refuse(Code::MalformedElement, word.range.start, message)
        }
    }
}

impl Principal {
    fn read(value: &Json<'_>, negated: bool, at: usize) -> Parsed<Self> {
        let mut principal = Self { negated, at, ..Self::default() };
        let object = match value {
            Json::StringLit(it) if it.value == "*" => {
                principal.everyone = true;
                return Ok(principal);
            }
            Json::Object(object) => object,
            Json::StringLit(_) | Json::NumberLit(_) | Json::BooleanLit(_) | Json::Array(_) | Json::NullKeyword(_) => {
                let message = "a principal is \"*\" or an object such as {\"Federated\": \"arn:...\"}";
                return refuse(Code::MalformedPrincipal, value.start(), message);
            }
        };
        for member in members(object)? {
            let words = strings(&member.value, "a principal")
                .map_err(|refusal| Refusal { code: Code::MalformedPrincipal, ..refusal })?;
            if let Some(word) = words.iter().find(|it| it.text.is_empty()) {
                return refuse(Code::MalformedPrincipal, word.range.start, "a principal is empty");
            }
            match member.name.as_str() {
                "AWS" => {
                    principal.everyone |= words.iter().any(|word| word.text == "*");
                    principal.aws = words;
                }
                "Federated" => principal.federated = words,
                "Service" => principal.service = words,
                "CanonicalUser" => principal.canonical = words,
                other => {
                    let message = format!("IAM has no principals of type {}", quoted(other));
                    return refuse(Code::MalformedPrincipal, member.start(), message);
                }
            }
        }
        if object.properties.is_empty() {
            return refuse(Code::MalformedPrincipal, object.start(), "the principal names nobody");
        }
        Ok(principal)
    }
}

impl Actions {
    fn read(value: &Json<'_>, negated: bool) -> Parsed<Self> {
        let globs = strings(value, "an action")?;
        for word in &globs {
            if word.text != "*" && !word.text.contains(':') {
                let message = format!("an action is written SERVICE:NAME, which {} is not", quoted(&word.text));
                return refuse(Code::MalformedElement, word.range.start, message);
            }
        }
        // `NotAction` covers all that it does not list.
        let covers = |action: &str| globs.iter().any(|word| action_matches(&word.text, action)) != negated;
        let (web_identity, assume_role) = (covers("sts:assumerolewithwebidentity"), covers("sts:assumerole"));
        let tag_session = covers("sts:tagsession");
        Ok(Self { negated, globs, web_identity, assume_role, tag_session })
    }

    /// Whether they cover anything that EKS Pod Identity asks for.
    pub(crate) fn any_of_pods(&self) -> bool {
        self.assume_role || self.tag_session
    }
}

/// Whether an action's glob matches an action in lower case; actions have no case.
fn action_matches(glob: &str, action: &str) -> bool {
    if !glob.contains(['*', '?']) {
        return glob.eq_ignore_ascii_case(action);
    }
    let step = |c: char| match c {
        '*' => Atom::Star,
        '?' => Atom::One,
        c => Atom::Char(c.to_ascii_lowercase()),
    };
    let atoms: Vec<Atom> = glob.chars().map(step).collect();
    glob_matches(&atoms, action.as_bytes(), |atom, byte| atom.takes(char::from(*byte)))
}

fn read_conditions(value: &Json<'_>) -> Parsed<Vec<Condition>> {
    let Json::Object(block) = value else {
        return refuse(Code::MalformedElement, value.start(), "`Condition` has to be an object");
    };
    let mut conditions = Vec::new();
    for group in members(block)? {
        let name = group.name.as_str();
        let Some(operator) = Operator::parse(name) else {
            let message = format!("IAM has no condition operator {}", quoted(name));
            return refuse(Code::UnknownOperator, group.start(), message);
        };
        let Json::Object(keys) = &group.value else {
            let message = format!("`{operator}` has to hold an object of condition keys");
            return refuse(Code::MalformedElement, group.value.start(), message);
        };
        let mut seen = HashSet::new();
        for member in members(keys)? {
            let values = if let Json::Array(list) = &member.value {
                list.elements.iter().map(condition_value).collect::<Parsed<_>>()?
            } else {
                vec![condition_value(&member.value)?]
            };
            let key = member.name.as_str().to_ascii_lowercase();
            let again = !seen.insert(key.clone());
            conditions.push(Condition { operator, key, values, range: range(member), again });
        }
    }
    Ok(conditions)
}

/// A condition's value: IAM takes numbers and booleans for the strings of their text.
fn condition_value(value: &Json<'_>) -> Parsed<Word> {
    let text = match value {
        Json::StringLit(it) => it.value.clone().into_owned(),
        Json::NumberLit(it) => it.value.to_owned(),
        Json::BooleanLit(it) => it.value.to_string(),
        Json::Object(_) | Json::Array(_) | Json::NullKeyword(_) => {
            let message = "a condition's value has to be a string, a number or a boolean";
            return refuse(Code::MalformedElement, value.start(), message);
        }
    };
    Ok(Word { text, range: range(value) })
}
