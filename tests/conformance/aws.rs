//! Roles, and associations: what emulators of AWS can be trusted with.

use irsa_migrate::inventory::Seen;
use irsa_migrate::model::{ClusterArn, RoleArn, Subject};
use irsa_migrate::ports::{Eks, Iam, NewAssociation};
use serde_json::{Value, json};

use super::{Fixture, Transcript};

/// What trusts EKS Pod Identity, with these edits.
fn trust(edit: impl FnOnce(&mut Value)) -> String {
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    });
    edit(&mut statement);
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// A trust policy that every IAM takes.
pub(crate) fn open() -> String {
    trust(|_| {})
}

/// Trust policies, right and wrong.
fn documents() -> Vec<(&'static str, String)> {
    let with = |key: &str, value: Value| trust(|it| it[key] = value);
    let without = |key: &str| {
        trust(|it| {
            it.as_object_mut().expect("an object").remove(key);
        })
    };
    vec![
        ("as it was, in other words", open().replacen('{', "{\n  ", 1)),
        ("one statement, not in a list", open().replace(['[', ']'], "").replace(",\"sts:TagSession\"", "")),
        ("a Sid", with("Sid", json!("IrsaMigrate0123456789abcdef"))),
        ("a condition", with("Condition", json!({"StringEquals": {"aws:RequestTag/kubernetes-namespace": "shop"}}))),
        ("a Deny", with("Effect", json!("Deny"))),
        ("an account", with("Principal", json!({"AWS": "arn:aws:iam::111122223333:root"}))),
        ("no JSON", "{".to_owned()),
        ("a list", "[]".to_owned()),
        ("nothing", String::new()),
        ("no statements", json!({"Version": "2012-10-17"}).to_string()),
        ("another Version", open().replace("2012-10-17", "2020-01-01")),
        ("no Effect", without("Effect")),
        ("no Principal", without("Principal")),
        ("no Action", without("Action")),
        ("an unknown Effect", with("Effect", json!("Maybe"))),
        ("an action of another service", with("Action", json!("s3:GetObject"))),
        ("a Resource", with("Resource", json!("*"))),
        ("an unknown key", with("Colour", json!("blue"))),
        ("an unknown operator", with("Condition", json!({"StringResembles": {"aws:RequestTag/a": "b"}}))),
        ("both Action and NotAction", with("NotAction", json!("sts:AssumeRole"))),
    ]
}

/// Roles and their trust policies. The account holds the role, with the trust policy [`open`].
pub(crate) async fn roles<W: Iam>(world: &W, fixture: &Fixture) -> Vec<String> {
    let mut said = Transcript::default();
    let caller = world.caller().await.expect("a caller");
    said.say(format!("the caller is of the role's account: {}", caller.account == fixture.role.account()));
    let role = world.role(&fixture.role).await.expect("the role is there");
    said.say(format!("the role: {}, with its document: {}", role.arn, role.trust == open()));
    let Some(Seen::Seen(detail)) = &role.detail else { panic!("a role has its detail") };
    said.say(format!("    tags {:?}, used {}", detail.tags, detail.last_used.is_some()));
    let listed = world.roles().await.expect("roles can be listed");
    let listed: Vec<_> = listed.iter().filter(|it| it.arn == role.arn).collect();
    said.say(format!("listed {} times, no detail: {}", listed.len(), listed.iter().all(|it| it.detail.is_none())));
    said.say(format!(
        "    with the same id and document: {}",
        listed.iter().all(|it| it.role_id == role.role_id && it.trust == role.trust)
    ));

    let absent = RoleArn::parse(&format!("{}-absent", fixture.role)).expect("an ARN");
    let elsewhere = RoleArn::parse("arn:aws:iam::999988887777:role/app").expect("an ARN");
    let other_path = RoleArn::parse(&fixture.role.as_str().replace(":role/", ":role/team/")).expect("an ARN");
    for (what, arn) in [("not there", &absent), ("of another account", &elsewhere), ("of another path", &other_path)] {
        said.outcome(&format!("read a role {what}"), &world.role(arn).await);
    }
    for (what, arn) in [("not there", &absent), ("of another account", &elsewhere)] {
        said.outcome(&format!("write to a role {what}"), &world.set_trust(arn, &open()).await);
    }
    for (what, document) in documents() {
        let before = world.role(&fixture.role).await.expect("the role is there").trust;
        let answer = world.set_trust(&fixture.role, &document).await;
        said.outcome(&format!("trust policy: {what}"), &answer);
        let now = world.role(&fixture.role).await.expect("the role is there");
        let expected = if answer.is_ok() { &document } else { &before };
        said.say(format!(
            "    read as it was sent, or as it was: {}, same id: {}",
            now.trust == *expected,
            now.role_id == role.role_id
        ));
    }
    said.outcome("put back", &world.set_trust(&fixture.role, &role.trust).await);
    said.0
}

/// The names of all roles, and whether each has the document [`open`]: more than one page.
pub(crate) async fn many_roles<W: Iam>(world: &W) -> Vec<String> {
    let mut roles = world.roles().await.expect("roles can be listed");
    roles.sort_by(|a, b| a.arn.cmp(&b.arn));
    roles.iter().map(|it| format!("{} {}", it.arn, it.trust == open())).collect()
}

/// Associations. The cluster has none; the role has the trust policy [`open`].
pub(crate) async fn associations<W: Eks>(world: &W, fixture: &Fixture) -> Vec<String> {
    let mut said = Transcript::default();
    let nowhere = ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/nowhere").expect("an ARN");
    said.outcome("describe the cluster", &world.cluster(&fixture.cluster).await);
    said.outcome("describe one that is not there", &world.cluster(&nowhere).await);
    said.outcome("associations of one that is not there", &world.associations(&nowhere).await);
    let new = |service_account: &str, token: &str| NewAssociation {
        subject: fixture.subject(service_account),
        role_arn: fixture.role.clone(),
        tags: [("irsa-migrate:plan".to_owned(), "conformance".to_owned())].into(),
        token: token.to_owned(),
    };
    let elsewhere =
        NewAssociation { subject: Subject { cluster: nowhere.clone(), ..fixture.subject("app") }, ..new("app", "c-0") };
    said.outcome("associate in a cluster that is not there", &world.create_association(&elsewhere).await);

    told(world, fixture, &mut said, "at first").await;
    said.outcome("associate", &world.create_association(&new("app", "c-1")).await);
    told(world, fixture, &mut said, "associated").await;
    said.outcome("associate it by another token", &world.create_association(&new("app", "c-2")).await);
    said.outcome("associate another ServiceAccount", &world.create_association(&new("other", "c-3")).await);
    told(world, fixture, &mut said, "two").await;

    let found = world.association_of(&fixture.subject("app")).await.expect("it can be asked for").expect("it is there");
    said.outcome("describe it", &world.association(&fixture.cluster, &found.id).await);
    said.outcome("describe one that is not there", &world.association(&fixture.cluster, "a-absent0000000001").await);
    said.outcome("delete it", &world.delete_association(&fixture.cluster, &found.id).await);
    said.outcome("delete it again", &world.delete_association(&fixture.cluster, &found.id).await);
    said.outcome("describe it now", &world.association(&fixture.cluster, &found.id).await);
    told(world, fixture, &mut said, "one deleted").await;
    said.outcome("associate it anew", &world.create_association(&new("app", "c-4")).await);
    let anew = world.association_of(&fixture.subject("app")).await.expect("it can be asked for").expect("it is there");
    said.say(format!("    by the same id: {}", anew.id == found.id));
    told(world, fixture, &mut said, "anew").await;
    said.0
}

async fn told<W: Eks>(world: &W, fixture: &Fixture, said: &mut Transcript, when: &str) {
    let mut all = world.associations(&fixture.cluster).await.expect("they can be listed");
    all.sort_by(|a, b| a.service_account.cmp(&b.service_account));
    let words: Vec<_> = all
        .iter()
        .map(|it| {
            format!("{}/{} owner {:?} detail {}", it.namespace, it.service_account, it.owner, it.detail.is_some())
        })
        .collect();
    said.say(format!("{when}: [{}]", words.join(", ")));
    for service_account in ["app", "other", "nobody"] {
        let found = world.association_of(&fixture.subject(service_account)).await.expect("it can be asked for");
        let Some(found) = found else {
            said.say(format!("    {service_account}: none"));
            continue;
        };
        let Some(Seen::Seen(detail)) = found.detail else { panic!("an association has its detail") };
        said.say(format!(
            "    {service_account}: {}, target {:?}, tags off {}, policy {}, tags {:?}, dated {}",
            detail.role_arn,
            detail.target_role_arn,
            detail.disable_session_tags,
            detail.has_policy,
            detail.tags,
            detail.created_at.is_some()
        ));
    }
}
