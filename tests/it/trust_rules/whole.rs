//! The document as a whole: what IAM would not save, other accounts, the modes, our Sid.

use super::*;
use Verdict::{Already, Held, Nothing, Translated};

#[test]
fn saving_that_iam_refuses_is_found_before() {
    let web = allow("{'StringEquals':{'P:sub':'S:ns:a'}}");
    let gone = document(&format!(
        "{web},{{'Effect':'Allow','Principal':{{'AWS':'AROA0123456789ABCDEFG'}},'Action':'sts:AssumeRole'}}"
    ));
    check(&gone, Held, "alpha ns/a", &["DELETED_PRINCIPAL"]);
    let twice = web.replace("'Effect'", "'Sid':'Same','Effect'");
    check(
        &document(&format!("{twice},{}", twice.replace("ns:a", "ns:b"))),
        Held,
        "alpha ns/a; alpha ns/b",
        &["SID_TWICE"],
    );
    let empty = web.replace("'Effect'", "'Sid':'','Effect'");
    check(&document(&format!("{empty},{empty}")), Translated, "alpha ns/a", &[]);
    let refused = document(&web.replace("'Effect'", "'Sid':'\u{2713}','Effect'"));
    check(&refused, Held, "alpha ns/a", &["CHARACTER_REFUSED"]);
    // Nothing has to be saved where there is nothing to add.
    let nothing = document("{'Effect':'Allow','Principal':{'AWS':'AIDA0123456789ABCDEFG'},'Action':'sts:AssumeRole'}");
    check(&nothing, Nothing, "", &["DELETED_PRINCIPAL"]);
}

#[test]
fn a_byte_order_mark_is_kept_and_counts_for_nothing() {
    let bare = document(&allow("{'StringEquals':{'P:sub':'S:ns:sa'}}"));
    let marked = Document::parse(&format!("\u{feff}{}", bare.text())).unwrap();
    check(&marked, Translated, "alpha ns/sa", &[]);
    let it = translated(&marked);
    assert_eq!(it.document.text(), format!("\u{feff}{}", translated(&bare).document.text()));
    assert_eq!((marked.characters(), it.characters), (bare.characters(), translated(&bare).characters));
    assert_eq!(undo(&it.document, &marked, &it.document, &it.added), Undo::SendOriginal(marked.text().to_owned()));
    for (text, line, column) in [
        ("\u{feff}{\"Statement\":5}", 1, 14),
        ("\u{feff}{\r\n\t\"Statement\": nothing}", 2, 16),
        ("\u{feff}", 1, 1),
        ("\u{feff}\u{feff}{\"Statement\":[]}", 1, 1),
        (" \u{feff}{\"Statement\":[]}", 1, 2),
    ] {
        let place = Document::parse(text).unwrap_err().place;
        assert_eq!((place.line, place.column), (line, column), "{text}");
    }
}

#[test]
fn clusters_of_other_accounts() {
    let mut scope = scope();
    scope.clusters[1].arn = ClusterArn::parse("arn:aws:eks:us-east-2:444455556666:cluster/beta").unwrap();
    let other = "{'Effect':'Allow','Principal':'G','Action':'WEB','Condition':{'StringEquals':{'Q:sub':'S:ns:a'}}}";
    let it = translate(&document(other), &scope, Mode::Equivalent, &[]);
    assert_eq!(
        (it.verdict, granted(&it).as_str(), codes(&it).as_slice()),
        (Held, "beta ns/a", ["CLUSTER_IN_OTHER_ACCOUNT"].as_slice())
    );
    let both = document(&format!("{},{other}", allow("{'StringEquals':{'P:sub':'S:ns:a'}}")));
    let it = translate(&both, &scope, Mode::Equivalent, &[]);
    assert_eq!((it.verdict, codes(&it).as_slice()), (Translated, ["STAYS_ON_IRSA"].as_slice()));
    assert_eq!(it.proof.unwrap().relation, Relation::Narrower);
}

#[test]
fn tight_mode_grants_the_named_ones_and_no_other() {
    let wide = document(&allow(
        "{'StringLike':{'P:sub':'S:team-*:*'},'DateLessThan':{'aws:CurrentTime':'2027-01-01T00:00:00Z'}}",
    ));
    let asked = [subject("team-a", "x"), subject("team-a", "y"), subject("other", "x"), subject("team-a", "x:y")];
    let it = translate(&wide, &scope(), Mode::Tight, &asked);
    assert_eq!((it.verdict, codes(&it).as_slice()), (Translated, ["SUBJECT_NOT_GRANTED"].as_slice()));
    assert_eq!(it.added.len(), 1);
    let proof = it.proof.unwrap();
    assert_eq!(proof.relation, Relation::Narrower);
    let witness = proof.witness.unwrap();
    assert!(witness.before && !witness.after && witness.namespace.starts_with("team-"), "{witness:?}");
    assert!(it.after.allows(&asked[0]) && it.after.allows(&asked[1]) && !it.after.allows(&subject("team-a", "z")));
    assert!(it.after.iter().all(|grant| grant.carried.len() == 1));
    let none = translate(&wide, &scope(), Mode::Tight, &[]);
    assert_eq!(none.verdict, Nothing);
    let other = translate(&wide, &scope(), Mode::Tight, &[subject("other", "x")]);
    assert_eq!((other.verdict, codes(&other).as_slice()), (Nothing, ["SUBJECT_NOT_GRANTED"].as_slice()));
}

#[test]
fn open_mode_is_new_access() {
    let policy = document(&allow("{'StringEquals':{'P:sub':'S:ns:a'}}"));
    let it = translate(&policy, &scope(), Mode::Open, &[]);
    assert_eq!((it.verdict, codes(&it).as_slice()), (Translated, ["NEW_ACCESS"].as_slice()));
    let proof = it.proof.unwrap();
    assert_eq!(proof.relation, Relation::Wider);
    assert!(proof.witness.unwrap().after);
    let again = translate(&it.document, &scope(), Mode::Open, &[]);
    assert_eq!(again.verdict, Already);
    // Even where every ServiceAccount of every scanned cluster is granted, other clusters are new.
    let all = document("{'Effect':'Allow','Principal':'FG','Action':'WEB'}");
    let it = translate(&all, &scope(), Mode::Open, &[]);
    let proof = it.proof.unwrap();
    assert_eq!((proof.relation, proof.witness.unwrap().cluster_arn.to_string().as_str()), (Relation::Wider, "*"));
}

#[test]
fn a_subject_by_name_or_under_a_wildcard() {
    let reading = read(&document(&allow("{'StringLike':{'P:sub':['S:ns:a','S:team-*:*']}}")), &scope());
    assert!(reading.grants.allows(&subject("ns", "a")) && reading.grants.names_literally(&subject("ns", "a")));
    assert!(reading.grants.allows(&subject("team-x", "a")) && !reading.grants.names_literally(&subject("team-x", "a")));
    assert!(!reading.grants.allows(&subject("ns", "b")));
    let proof = prove(&reading.grants, &reading.all()).unwrap();
    assert_eq!(proof.relation, Relation::Equal);
}

#[test]
fn a_taken_sid_gets_another() {
    let policy = document(&allow("{'StringEquals':{'P:sub':'S:ns:a'}}"));
    let sid = translated(&policy).added[0].sid.clone();
    let taken = format!(
        "{{'Sid':'{sid}','Effect':'Allow','Principal':{{'Service':'ec2.amazonaws.com'}},'Action':'sts:AssumeRole'}}"
    );
    let it = translated(&document(&format!("{},{taken}", allow("{'StringEquals':{'P:sub':'S:ns:a'}}"))));
    assert_eq!(it.verdict, Translated);
    assert_ne!(it.added[0].sid, sid);
    assert!(it.added[0].sid.starts_with("IrsaMigrate") && it.added[0].sid.len() == 27);
    // The hash is of the statement alone: the same one has the same Sid anywhere.
    let beside = translated(&document(&format!(
        "{},{}",
        allow("{'StringEquals':{'P:sub':'S:ns:a'}}"),
        taken.replace(&sid, "X")
    )));
    assert_eq!(beside.added[0].sid, sid);
}
