//! Edits of policies and their inverses, also where somebody else has edited meanwhile.

use irsa_migrate::model::Issuer;
use irsa_migrate::trust::{
    AddStatement, Document, Edit, EditError, Mode, Presence, Translation, Undo, Verdict, presence, remove_statement,
    remove_subject, translate, undo, undo_edits,
};
use serde_json::{Value, json};

use crate::trust_corpus::{policies, scope};

const ISSUER: &str = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE";

/// A statement for tokens, its `sub` values as JSON text.
fn token(subjects: &str) -> String {
    format!(
        r#"{{"Effect":"Allow","Principal":{{"Federated":"arn:aws:iam::111122223333:oidc-provider/{ISSUER}"}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringEquals":{{"{ISSUER}:sub":{subjects}}}}}}}"#
    )
}

fn subject(name: &str) -> String {
    format!(r#""system:serviceaccount:ns:{name}""#)
}

const FOREIGN: &str =
    r#"{"Sid":"Ec2","Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}"#;
const OURS: &str = r#"{"Sid":"IrsaMigrate0123456789abcdef","Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"StringEquals":{"aws:RequestTag/kubernetes-namespace":"ns"}}}"#;

fn listed(statements: &[&str]) -> Document {
    parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(",")))
}

fn parse(text: &str) -> Document {
    Document::parse(text).unwrap()
}

fn add(position: usize) -> AddStatement {
    AddStatement { sid: "IrsaMigrate0123456789abcdef".to_owned(), text: OURS.to_owned(), position }
}

fn issuer() -> Issuer {
    Issuer::parse(ISSUER).unwrap()
}

/// A policy before and after our statement.
fn added() -> (Document, Document, AddStatement) {
    let before = listed(&[&token(&subject("a"))]);
    let add = add(1);
    let after = Edit::AddStatement(add.clone()).apply(&before).unwrap();
    assert_eq!(after, listed(&[&token(&subject("a")), OURS]));
    (before, after, add)
}

fn undone(current: &Document) -> Undo {
    let (before, after, add) = added();
    undo(current, &before, &after, &[add])
}

#[test]
fn undo_of_a_policy_that_nobody_else_touched() {
    let (before, after, _) = added();
    assert_eq!(undone(&after), Undo::SendOriginal(before.text().to_owned()));
    assert_eq!(undone(&before), Undo::Nothing);
}

#[test]
fn what_iam_respells_is_nobodys_edit() {
    let (before, after, _) = added();
    let original = Undo::SendOriginal(before.text().to_owned());
    let respelled = [
        // White space, also as IAM's console writes it.
        serde_json::to_string_pretty(&serde_json::from_str::<Value>(after.text()).unwrap()).unwrap(),
        after.text().replace(',', ",\r\n\t"),
        // A list of one for a single value, and the other way around.
        after.text().replace(r#":"ns"}"#, r#":["ns"]}"#),
        after.text().replace(r#""pods.eks.amazonaws.com""#, r#"["pods.eks.amazonaws.com"]"#),
        after.text().replace(&subject("a"), &format!("[{}]", subject("a"))),
        // Order, of values, of keys and of statements.
        after.text().replace(r#"["sts:AssumeRole","sts:TagSession"]"#, r#"["sts:TagSession","sts:AssumeRole"]"#),
        format!(r#"{{"Statement":[{OURS},{}],"Version":"2012-10-17"}}"#, token(&subject("a"))),
        after.text().replace(
            r#""Sid":"IrsaMigrate0123456789abcdef","Effect":"Allow""#,
            r#""Effect":"Allow","Sid":"IrsaMigrate0123456789abcdef""#,
        ),
        // The case of actions and of condition keys, escapes.
        after.text().replace("sts:TagSession", "STS:tagsession"),
        after.text().replace("aws:RequestTag", "AWS:requesttag"),
        after.text().replace(r#":"ns"}"#, r#":"\u006es"}"#),
    ];
    for text in respelled {
        assert_ne!(text, after.text());
        assert_eq!(undone(&parse(&text)), original, "{text}");
    }
}

#[test]
fn foreign_edits_stay_byte_for_byte() {
    let (own, other) = (token(&subject("a")), token(&subject("b")));
    let cases: [(Document, Document); 6] = [
        // Another statement before, after, and between.
        (listed(&[FOREIGN, &own, OURS]), listed(&[FOREIGN, &own])),
        (listed(&[&own, OURS, FOREIGN]), listed(&[&own, FOREIGN])),
        (listed(&[OURS, FOREIGN, &own]), listed(&[FOREIGN, &own])),
        (listed(&[FOREIGN, OURS, &own]), listed(&[FOREIGN, &own])),
        // The statement that we translated was altered.
        (listed(&[&other, OURS]), listed(&[&other])),
        // A statement with our prefix that is not ours.
        (
            listed(&[&own, &FOREIGN.replace("Ec2", "IrsaMigrateffffffffffffffff"), OURS]),
            listed(&[&own, &FOREIGN.replace("Ec2", "IrsaMigrateffffffffffffffff")]),
        ),
    ];
    for (current, expected) in cases {
        assert_eq!(undone(&current), Undo::SendEdited(expected.text().to_owned()));
    }
    // Our statement respelled beside a foreign edit, with odd spacing.
    let own = token(&subject("a"));
    let ours = OURS.replace(r#":"ns"}"#, r#": [ "ns" ] }"#);
    let current = parse(&format!("{{ \"Statement\" :\r\n[ {FOREIGN} ,\r\n\t{ours}\r\n, {own} ] }}\r\n"));
    let expected = format!("{{ \"Statement\" :\r\n[ {FOREIGN}\r\n, {own} ] }}\r\n");
    assert_eq!(undone(&current), Undo::SendEdited(expected));
}

#[test]
fn an_altered_statement_of_ours_is_refused_and_a_deleted_one_is_nothing() {
    let own = token(&subject("a"));
    let altered = OURS.replace(r#":"ns"}"#, r#":"other"}"#);
    for text in [&altered, &FOREIGN.replace("Ec2", "IrsaMigrate0123456789abcdef")] {
        let current = listed(&[&own, text]);
        assert!(matches!(undone(&current), Undo::Refuse(why) if why.contains("IrsaMigrate0123456789abcdef")));
        assert_eq!(presence(&current, &[add(1)]), Presence::Altered);
        let error = Edit::AddStatement(add(1)).apply(&current).unwrap_err();
        assert_eq!(error, EditError::SidTaken("IrsaMigrate0123456789abcdef".to_owned()));
    }
    // Deleted, beside a foreign edit: nothing of ours is there.
    assert_eq!(undone(&listed(&[&own, FOREIGN])), Undo::Nothing);
    // Its Sid was renamed: it is no longer marked as ours, and stays.
    assert_eq!(undone(&listed(&[&own, &OURS.replace("0123", "aaaa")])), Undo::Nothing);
    // Ours alone is left: a policy without statements cannot be sent.
    let (_, _, add) = added();
    assert!(matches!(undone(&listed(&[OURS])), Undo::Refuse(_)));
    assert_eq!(Edit::AddStatement(add).revert(&listed(&[OURS]), &[]), Err(EditError::Empty));
}

#[test]
fn some_of_several_statements() {
    let own = token(&subject("a"));
    let second = OURS.replace("0123", "4567").replace(r#":"ns"}"#, r#":"two"}"#);
    let adds = [add(1), AddStatement { sid: OURS[8..35].replace("0123", "4567"), text: second.clone(), position: 2 }];
    let (before, after) = (listed(&[&own]), listed(&[&own, OURS, &second]));
    assert_eq!(presence(&before, &adds), Presence::None);
    assert_eq!(presence(&after, &adds), Presence::All);
    let partly = listed(&[&own, &second]);
    assert_eq!(presence(&partly, &adds), Presence::Partly);
    assert_eq!(undo(&partly, &before, &after, &adds), Undo::SendEdited(before.text().to_owned()));
    let mixed = listed(&[&second, FOREIGN, OURS, &own]);
    assert_eq!(undo(&mixed, &before, &after, &adds), Undo::SendEdited(listed(&[FOREIGN, &own]).text().to_owned()));
}

#[test]
fn making_an_edit_twice_is_making_it_once() {
    let (before, after, add) = added();
    let edit = Edit::AddStatement(add);
    assert_eq!(edit.apply(&after).unwrap(), after);
    assert_eq!(edit.revert(&before, &[]).unwrap(), before);
    // Also where the statement that is there stands elsewhere and is written otherwise.
    let moved = listed(&[&OURS.replace(r#":"ns"}"#, r#":["ns"]}"#), &token(&subject("a"))]);
    assert_eq!(edit.apply(&moved).unwrap(), moved);
    let remove = Edit::RemoveStatement(remove_statement(&listed(&[FOREIGN, OURS]), 0).unwrap());
    assert_eq!(remove.apply(&listed(&[OURS])).unwrap(), listed(&[OURS]));
}

#[test]
fn removing_a_statement_and_taking_it_back() {
    let own = token(&subject("a"));
    let all = [FOREIGN, own.as_str(), OURS];
    let before = listed(&all);
    for position in 0..3 {
        let edit = Edit::RemoveStatement(remove_statement(&before, position).unwrap());
        let after = edit.apply(&before).unwrap();
        let rest: Vec<&str> = all.iter().enumerate().filter(|(at, _)| *at != position).map(|(_, it)| *it).collect();
        assert_eq!(after, listed(&rest));
        assert_eq!(edit.revert(&after, &[&before]).unwrap(), before);
        assert_eq!(edit.revert(&before, &[&before]).unwrap(), before);
        let edits = [edit];
        assert_eq!(undo_edits(&after, &before, &after, &edits), Undo::SendOriginal(before.text().to_owned()));
        // Somebody else has added a statement since.
        let other = token(&subject("z"));
        let current = listed(&[rest[0], rest[1], &other]);
        let undone = undo_edits(&current, &before, &after, &edits);
        if position == 1 {
            // It had no Sid: the new statement may be the old one, altered before we came.
            assert!(matches!(undone, Undo::Refuse(why) if why.contains("altered")));
            continue;
        }
        let mut expected = all.to_vec();
        expected.push(&other);
        assert_eq!(undone, Undo::SendEdited(listed(&expected).text().to_owned()));
    }
    assert_eq!(remove_statement(&before, 3).unwrap_err(), EditError::Missing);
    assert_eq!(remove_statement(&listed(&[FOREIGN]), 0).unwrap_err(), EditError::Empty);
}

#[test]
fn an_altered_statement_is_not_a_removed_one() {
    let own = token(&subject("a"));
    let before = listed(&[FOREIGN, &own]);
    for (position, altered) in [
        // Another service under the same Sid; another name, and nothing else to tell it by.
        (0, listed(&[&FOREIGN.replace("ec2", "lambda"), &own])),
        (1, listed(&[FOREIGN, &token(&subject("b"))])),
        (1, listed(&[FOREIGN, &own.replace("StringEquals", "StringLike")])),
        (1, listed(&[FOREIGN, &own.replace("\"Effect\"", "\"Sid\":\"Named\",\"Effect\"")])),
    ] {
        let edit = Edit::RemoveStatement(remove_statement(&before, position).unwrap());
        let after = edit.apply(&before).unwrap();
        assert_eq!(edit.apply(&altered), Err(EditError::Altered));
        assert_eq!(edit.revert(&altered, &[&before, &after]), Err(EditError::Altered));
        assert!(matches!(undo_edits(&altered, &before, &after, &[edit]), Undo::Refuse(_)), "{}", altered.text());
    }
    // Beside what was there before nothing can be it, and the order is nobody's edit.
    let before = listed(&[FOREIGN, &own, OURS, &token(&subject("b"))]);
    let edit = Edit::RemoveStatement(remove_statement(&before, 1).unwrap());
    let after = edit.apply(&before).unwrap();
    let fewer = listed(&[OURS, FOREIGN]);
    let Undo::SendEdited(text) = undo_edits(&fewer, &before, &after, std::slice::from_ref(&edit)) else { panic!() };
    assert_eq!(text, listed(&[OURS, &own, FOREIGN]).text());
    // The document alone does not say so.
    assert_eq!(edit.apply(&after), Err(EditError::Altered));
}

#[test]
fn statements_that_mean_the_same_cannot_be_told_apart_later() {
    let [a, b] = ["a", "b"].map(subject);
    let (one, both) = (token(&a), token(&format!("[{a},{b}]")));
    let respelled = both.replace(&format!("[{a},{b}]"), &format!("[ {b}, {a} ]"));
    let removed = |document: &Document| remove_subject(document, &issuer(), "ns", "a").unwrap_err();
    assert_eq!(removed(&listed(&[&one, FOREIGN, &one])), EditError::Alike);
    assert_eq!(removed(&listed(&[&both, &respelled])), EditError::Alike);
    assert_eq!(remove_statement(&listed(&[&both, &respelled]), 0).unwrap_err(), EditError::Alike);
    // Somebody has added a like of the statement, or of what we leave of it, since.
    let before = listed(&[FOREIGN, &both]);
    let edits = remove_subject(&before, &issuer(), "ns", "a").unwrap();
    let after = edits[0].apply(&before).unwrap();
    for current in [
        listed(&[FOREIGN, &token(&b), &both]),
        listed(&[FOREIGN, &both, &both]),
        listed(&[FOREIGN, &token(&b), &token(&b)]),
    ] {
        assert_eq!(edits[0].apply(&current), Err(EditError::Altered));
        assert!(matches!(undo_edits(&current, &before, &after, &edits), Undo::Refuse(_)), "{}", current.text());
    }
    let twice = listed(&[&one, FOREIGN, &one]);
    let edit = Edit::RemoveStatement(remove_statement(&listed(&[&one, FOREIGN]), 0).unwrap());
    assert_eq!(edit.apply(&twice), Err(EditError::Altered));
}

/// Removes `a` from a policy of one statement with these subjects, and takes it back.
fn without_a(subjects: &str) -> String {
    let before = listed(&[&token(subjects), FOREIGN]);
    let edits = remove_subject(&before, &issuer(), "ns", "a").unwrap();
    assert_eq!(edits.len(), 1, "{subjects}");
    let after = edits[0].apply(&before).unwrap();
    assert_eq!(edits[0].apply(&after).unwrap(), after);
    assert_eq!(edits[0].revert(&after, &[]).unwrap(), before);
    assert_eq!(edits[0].revert(&before, &[]).unwrap(), before);
    let (start, _) = token("\u{0}").split_once('\u{0}').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let rest = after.text().split_once(&start).unwrap().1;
    rest[..=rest.find(']').unwrap()].to_owned()
}

#[test]
fn one_subject_of_a_list() {
    let [a, b, c] = ["a", "b", "c"].map(subject);
    assert_eq!(without_a(&format!("[{a},{b},{c}]")), format!("[{b},{c}]"));
    assert_eq!(without_a(&format!("[{b},{a},{c}]")), format!("[{b},{c}]"));
    assert_eq!(without_a(&format!("[{b},{c},{a}]")), format!("[{b},{c}]"));
    assert_eq!(without_a(&format!("[\r\n\t{b} ,\r\n\t{a}\r\n]")), format!("[\r\n\t{b}\r\n]"));
    assert_eq!(without_a(&format!("[\n  {a},\n  {b}\n]")), format!("[\n  {b}\n]"));
    // A name that stands twice goes twice, whatever the space between.
    assert_eq!(without_a(&format!("[{b},{a},{a}]")), format!("[{b}]"));
    for spaces in 0..60 {
        let gap = " ".repeat(spaces);
        let left: Vec<String> = serde_json::from_str(&without_a(&format!("[{a},{gap}{a},{b},{c}]"))).unwrap();
        assert_eq!(json!(left), json!(["system:serviceaccount:ns:b", "system:serviceaccount:ns:c"]), "{spaces}");
    }
}

#[test]
fn one_subject_of_a_document_that_changed_meanwhile() {
    let [a, b, c] = ["a", "b", "c"].map(subject);
    let before = listed(&[&token(&format!("[{a},{b}]"))]);
    let edits = remove_subject(&before, &issuer(), "ns", "a").unwrap();
    let after = edits[0].apply(&before).unwrap();
    let current = listed(&[FOREIGN, &token(&b)]);
    let expected = listed(&[FOREIGN, &token(&format!("[{a},{b}]"))]);
    assert_eq!(undo_edits(&current, &before, &after, &edits), Undo::SendEdited(expected.text().to_owned()));
    // The very list was altered since: nobody can say what it should be.
    let current = listed(&[&token(&format!("[{b},{c}]"))]);
    assert!(matches!(undo_edits(&current, &before, &after, &edits), Undo::Refuse(_)));
    assert_eq!(edits[0].apply(&current), Err(EditError::Altered));
}

#[test]
fn a_statement_that_looks_like_the_outcome_is_left_and_the_work_done() {
    let [a, b] = ["a", "b"].map(subject);
    let both = token(&format!("[{a},{b}]"));
    for before in [listed(&[&token(&b), &both]), listed(&[&both, &token(&b)])] {
        let edits = remove_subject(&before, &issuer(), "ns", "a").unwrap();
        let after = edits[0].apply(&before).unwrap();
        // The other statement grants the rest in the same words.
        assert_eq!((edits.len(), after.text()), (1, listed(&[&token(&b)]).text()));
        assert_eq!(edits[0].revert(&after, &[&before]).unwrap(), before);
    }
}

#[test]
fn one_subject_of_several_statements() {
    let [a, b, c] = ["a", "b", "c"].map(subject);
    let marked = token(&a).replace("\"Effect\"", "\"Sid\":\"Alone\",\"Effect\"");
    let before = listed(&[&marked, FOREIGN, &token(&format!("[{a},{b}]")), &token(&format!("[{c},{a}]"))]);
    let edits = remove_subject(&before, &issuer(), "ns", "a").unwrap();
    let after = edits.iter().fold(before.clone(), |document, edit| edit.apply(&document).unwrap());
    assert_eq!(after, listed(&[FOREIGN, &token(&format!("[{b}]")), &token(&format!("[{c}]"))]));
    assert_eq!(undo_edits(&after, &before, &after, &edits), Undo::SendOriginal(before.text().to_owned()));
    let current = parse(&after.text().replace("Ec2", "Ec3"));
    let expected = before.text().replace("Ec2", "Ec3");
    assert_eq!(undo_edits(&current, &before, &after, &edits), Undo::SendEdited(expected));
}

#[test]
fn subjects_that_cannot_be_removed_alone() {
    let remove = |document: &Document| remove_subject(document, &issuer(), "ns", "a").unwrap_err();
    let one = token(&subject("a"));
    assert_eq!(remove(&listed(&[&one])), EditError::Empty);
    let [a, b] = ["a", "b"].map(subject);
    let two = token(&format!("[{a},{b}]"));
    let others = [
        one.replace("Allow", "Deny"),
        one.replace("StringEquals", "StringNotEquals"),
        one.replace("StringEquals", "StringEqualsIgnoreCase"),
        one.replace("StringEquals", "StringLike").replace("ns:a", "ns:*"),
        one.replace("EXAMPLE", "OTHER"),
        one.replace("Principal", "NotPrincipal"),
        token(&b),
        // Another value may match it as well: a wildcard, or what a variable stands for.
        two.replace("StringEquals", "StringLike").replace("ns:b", "ns:?"),
        two.replace("ns:b", "ns:${aws:PrincipalTag/x}"),
        two.replace("StringEquals", "StringLike").replace("ns:b", "ns:${aws:PrincipalTag/x}"),
        // Two conditions on the subject.
        two.replace("}}}", &format!("}},\"StringLike\":{{\"{ISSUER}:sub\":\"*\"}}}}}}")),
        // The statement is not about tokens of this issuer.
        one.replace(&format!("oidc-provider/{ISSUER}\""), "oidc-provider/other.example\""),
    ];
    for other in others {
        assert_eq!(remove(&listed(&[FOREIGN, &other])), EditError::NotLiteral, "{other}");
    }
    // Alone in its list, in a statement that others may come in by.
    for more in [
        r#"],"AWS":"111122223333""#,
        r#"],"Service":"ec2.amazonaws.com""#,
        r#"],"CanonicalUser":"x""#,
        r#","arn:aws:iam::111122223333:oidc-provider/other.example"]"#,
    ] {
        let shared = one.replace("\"Federated\":", "\"Federated\":[").replacen("\"},", &format!("\"{more}}},"), 1);
        assert_eq!(remove(&listed(&[FOREIGN, &shared])), EditError::NotLiteral, "{shared}");
        let listed_with_b = shared.replace(&a, &format!("[{a},{b}]"));
        let edits = remove_subject(&listed(&[FOREIGN, &listed_with_b]), &issuer(), "ns", "a").unwrap();
        assert!(matches!(edits[..], [Edit::RemoveSubject(_)]), "{listed_with_b}");
    }
}

#[test]
fn every_token_has_a_subject_so_that_a_test_of_its_presence_changes_nothing() {
    let [a, b] = ["a", "b"].map(subject);
    for operator in
        ["StringEquals", "StringLike", "ForAnyValue:StringEquals", "StringEqualsIfExists", "ForAllValues:StringLike"]
    {
        let with = |subjects: &str| token(subjects).replace("StringEquals", operator);
        let before = listed(&[FOREIGN, &with(&format!("[{a},{b}]"))]);
        let edits = remove_subject(&before, &issuer(), "ns", "a").unwrap();
        assert_eq!(edits[0].apply(&before).unwrap(), listed(&[FOREIGN, &with(&format!("[{b}]"))]));
        let before = listed(&[FOREIGN, &with(&a)]);
        let edits = remove_subject(&before, &issuer(), "ns", "a").unwrap();
        assert_eq!(edits[0].apply(&before).unwrap(), listed(&[FOREIGN]));
    }
}

/// Adds what a translation adds, one by one, and takes it back in every way.
fn there_and_back(before: &Document, it: &Translation, context: &str) {
    let Translation { added, document: after, .. } = it;
    let edits: Vec<Edit> = added.iter().cloned().map(Edit::AddStatement).collect();
    let one_by_one = edits.iter().fold(before.clone(), |document, edit| edit.apply(&document).unwrap());
    assert_eq!(one_by_one, *after, "{context}");
    assert_eq!(edits.iter().fold(after.clone(), |document, edit| edit.apply(&document).unwrap()), *after);
    let back = edits.iter().rev().fold(after.clone(), |document, edit| edit.revert(&document, &[]).unwrap());
    assert!(back.same_meaning(before), "{context}");
    assert_eq!(undo(after, before, after, added), Undo::SendOriginal(before.text().to_owned()), "{context}");
    assert_eq!(undo(before, before, after, added), Undo::Nothing, "{context}");
    assert_eq!((presence(before, added), presence(after, added)), (Presence::None, Presence::All), "{context}");
    // A foreign statement at the end: ours go, it stays.
    let edit =
        Edit::AddStatement(AddStatement { sid: "Ec2".to_owned(), text: FOREIGN.to_owned(), position: usize::MAX });
    let (current, alone) = (edit.apply(after).unwrap(), edit.apply(&back).unwrap());
    let Undo::SendEdited(text) = undo(&current, before, after, added) else { panic!("{context}") };
    assert!(parse(&text).same_meaning(&alone), "{context}\n{text}");
}

#[test]
fn every_policy_of_the_corpus_there_and_back() {
    let scope = scope();
    let mut translated = 0;
    for (name, text) in policies() {
        // As it is, without its white space, with the line ends of Windows, and with its mark.
        let line_ends = text.replace("\r\n", "\n").replace('\n', "\r\n");
        let marked = format!("\u{feff}{}", text.trim_start_matches('\u{feff}'));
        let mut ways = vec![text, line_ends, marked];
        let is_one = Document::parse(&ways[0]).is_ok();
        if is_one {
            ways.push(serde_json::from_str::<Value>(&ways[0]).unwrap().to_string());
        }
        for text in ways {
            let read = Document::parse(&text);
            assert_eq!(read.is_ok(), is_one, "{name}: {read:?}");
            let Ok(before) = read else { continue };
            let it = translate(&before, &scope, Mode::Equivalent, &[]);
            assert_eq!(before.text(), text);
            if it.verdict != Verdict::Translated {
                assert_eq!(it.document, before, "{name}");
                continue;
            }
            translated += 1;
            there_and_back(&before, &it, &name);
            // What was there is there, byte for byte, around what is new.
            let unlisted = before.statement_text(0).unwrap();
            assert!(it.document.text().contains(unlisted) && it.document.text().len() > text.len(), "{name}");
            let bare = |text: &str| text.replace("\r\n", "").contains('\n');
            assert!(!text.contains("\r\n") || bare(&text) || !bare(it.document.text()), "{name}: mixed line ends");
        }
    }
    assert!(translated > 250, "{translated}");
}

#[test]
fn a_statement_that_is_no_list() {
    let own = token(&subject("a"));
    let before = parse(&format!(r#"{{"Statement": {own} }}"#));
    let after = Edit::AddStatement(add(1)).apply(&before).unwrap();
    assert_eq!(after.text(), format!(r#"{{"Statement": [{own},{OURS}] }}"#));
    assert_eq!(undo(&after, &before, &after, &[add(1)]), Undo::SendOriginal(before.text().to_owned()));
    let current = parse(&after.text().replace("ns:a", "ns:b"));
    let expected = after.text().replace("ns:a", "ns:b").replace(&format!(",{OURS}"), "");
    assert_eq!(undo(&current, &before, &after, &[add(1)]), Undo::SendEdited(expected));
}
