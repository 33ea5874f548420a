//! The counter-list: what another migration tool (`eksctl utils migrate-to-pod-identity`) does wrong,
//! each defect on a world that shows it, and what this program does there instead.
//!
//! Each test's comment says the other tool's defect in a sentence.

use irsa_migrate::apply::{Ending, Why};
use irsa_migrate::findings::{Code, Target};
use irsa_migrate::inventory::{AgentOnNode, Compute, WorkloadKind};
use irsa_migrate::model::{AccountId, ClusterArn, RoleArn, Subject};
use irsa_migrate::permissions::{Need, Stage, calls};
use irsa_migrate::plan::{Plan, UnitId};
use irsa_migrate::ports::Eks as _;
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Call, Fault, MemoryJournal, Sim};

use crate::cycle::{carry_out, plan_of, undo_of};
use crate::wire::Wire;

const NONE: [String; 0] = [];

fn role(name: &str) -> RoleArn {
    RoleArn::parse(&format!("arn:aws:iam::111122223333:role/{name}")).unwrap()
}

fn blue() -> ClusterArn {
    ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/blue").unwrap()
}

fn subject(namespace: &str, name: &str) -> Subject {
    Subject { cluster: blue(), namespace: namespace.into(), service_account: name.into() }
}

/// One ServiceAccount, `shop/cart`, with a Deployment and the role `cart`.
fn shop() -> Builder {
    Builder::new()
        .cluster("blue")
        .role("cart", &[("shop", "cart")])
        .service_account("shop", "cart", Some("cart"))
        .deployment("shop", "cart", "cart", 2)
}

fn trust(sim: &Sim, name: &str) -> String {
    sim.world().trust_now(&role(name)).unwrap().to_owned()
}

/// Whether a ServiceAccount is a unit of the plan.
fn moves(plan: &Plan, subject: &Subject) -> bool {
    plan.unit(&UnitId::of_subject(subject)).is_some()
}

/// Why something is held.
fn held(plan: &Plan, what: &Target) -> Vec<Code> {
    let found = plan.held.iter().find(|it| it.what == *what);
    found.map(|it| it.findings.iter().map(|it| it.code).collect()).unwrap_or_default()
}

fn held_subject(plan: &Plan, subject: &Subject) -> Vec<Code> {
    held(plan, &Target::ServiceAccount(subject.clone()))
}

/// Carries a plan out to its end under the eyes of the promises, and gives its journal.
fn migrate(sim: &Sim, plan: &Plan) -> MemoryJournal {
    sim.world().watch();
    let journal = sim.journal();
    let ending = carry_out(sim, &journal, plan).unwrap();
    assert_all_done(&ending, plan);
    unbroken(sim);
    journal
}

fn assert_all_done(ending: &Ending, plan: &Plan) {
    assert_eq!((&ending.why, ending.done), (&Why::Ended, plan.units.len()), "{ending:?}");
}

fn unbroken(sim: &Sim) {
    let found: Vec<String> = sim.world().violations().iter().map(|it| it.what.clone()).collect();
    assert_eq!(found, NONE);
}

fn roll_back(sim: &Sim, journal: &MemoryJournal, plan: &Plan) {
    let undo = undo_of(sim, journal, plan);
    let ending = carry_out(sim, journal, &undo).unwrap();
    assert_all_done(&ending, &undo);
    unbroken(sim);
}

/// The names of the writes that took effect, in their order.
fn writes(sim: &Sim) -> Vec<&'static str> {
    sim.world().history().writes().map(|it| it.call.operation()).collect()
}

fn statements(document: &str) -> Vec<serde_json::Value> {
    let document: serde_json::Value = serde_json::from_str(document).unwrap();
    let all = &document["Statement"];
    all.as_array().cloned().unwrap_or_else(|| vec![all.clone()])
}

fn ours(document: &str) -> usize {
    let is_ours = |it: &&serde_json::Value| it["Sid"].as_str().is_some_and(|it| it.starts_with("IrsaMigrate"));
    statements(document).iter().filter(is_ours).count()
}

/// B1. The statement is added again by each run, so that re-running after a failure fills the policy.
#[test]
fn b01_running_again_and_again_adds_one_statement() {
    let sim = shop().sim();
    let plan = plan_of(&sim, "");
    let journal = sim.journal();
    // The answer to the write is lost, fifteen times the run is started again, and then all is planned anew.
    let first = sim.world().history().number_of_calls();
    let number = {
        let probe = sim.fork();
        carry_out(&probe, &probe.journal(), &plan).unwrap();
        let world = probe.world();
        let set = world.history().calls().find(|it| matches!(it.call, Call::SetTrust { .. })).unwrap().number;
        assert!(set > first);
        set
    };
    sim.world().fault_at(number, Fault::CrashAfter);
    carry_out(&sim, &journal, &plan).unwrap_err();
    sim.restart();
    sim.world().heal();
    for _ in 0..15 {
        carry_out(&sim, &journal, &plan).unwrap();
        assert_eq!(ours(&trust(&sim, "cart")), 1);
    }
    let again = plan_of(&sim, "");
    assert!(again.units.is_empty(), "there is nothing left to do");
    assert_eq!(writes(&sim).iter().filter(|it| **it == "set_trust").count(), 1);
}

/// B2. Each ServiceAccount of a shared role reads, changes and writes the role on its own, all at once,
/// so that updates are lost or doubled.
#[test]
fn b02_a_shared_role_is_written_once() {
    let names: Vec<String> = (0..10).map(|it| format!("worker-{it}")).collect();
    let subjects: Vec<(&str, &str)> = names.iter().map(|it| ("shop", it.as_str())).collect();
    let mut world = Builder::new().cluster("blue").role("shared", &subjects);
    for name in &names {
        world = world.service_account("shop", name, Some("shared")).deployment("shop", name, name, 1);
    }
    let sim = world.sim();
    sim.set_latency(std::time::Duration::from_millis(30));
    let plan = plan_of(&sim, "");
    migrate(&sim, &plan);
    assert_eq!(writes(&sim).iter().filter(|it| **it == "set_trust").count(), 1);
    assert_eq!(ours(&trust(&sim, "shared")), 1);
    assert_eq!(writes(&sim).iter().filter(|it| **it == "create_association").count(), 10);
}

/// B3. Removing OIDC trust removes every statement of every OIDC provider: other clusters', GitHub's.
#[test]
fn b03_what_a_role_trusts_beside_this_cluster_stays() {
    let world = shop();
    let text = world.trust_of("cart");
    let other = |provider: &str, key: &str| {
        format!(
            r#"{{"Effect":"Allow","Principal":{{"Federated":"arn:aws:iam::111122223333:oidc-provider/{provider}"}},
            "Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringEquals":{{{key}}}}}}}"#
        )
    };
    let green = "oidc.eks.eu-west-1.amazonaws.com/id/GREENGREENGREENGREENGREENGREENGR";
    let github = "token.actions.githubusercontent.com";
    let others = format!(
        "{},{}",
        other(green, &format!(r#""{green}:sub":"system:serviceaccount:shop:cart""#)),
        other(github, &format!(r#""{github}:sub":"repo:shop/cart:ref:refs/heads/main""#))
    );
    let before = text.replace("\n  ]\n}\n", &format!(",\n{others}\n  ]\n}}\n"));
    let sim = world.role_with("cart", &before).sim();
    let plan = plan_of(&sim, "");
    let journal = migrate(&sim, &plan);
    let (was, is) = (statements(&before), statements(&trust(&sim, "cart")));
    assert_eq!((was.len(), is.len()), (3, 4));
    assert!(was.iter().all(|it| is.contains(it)), "every statement stays as it was");
    roll_back(&sim, &journal, &plan);
    assert_eq!(trust(&sim, "cart"), before, "byte for byte");
}

/// B4. A statement whose provider stands in a list is overlooked.
#[test]
fn b04_a_provider_in_a_list_is_read_like_one_that_stands_alone() {
    let world = shop();
    let text = world.trust_of("cart");
    let start = text.find("{ \"Federated\": ").unwrap() + "{ \"Federated\": ".len();
    let end = start + text[start..].find(" }").unwrap();
    let (provider, gone) = (&text[start..end], "\"arn:aws:iam::111122223333:oidc-provider/gone.example.com\"");
    let list = text.replace(provider, &format!("[{gone}, {provider}]"));
    let sim = world.role_with("cart", &list).sim();
    let plan = plan_of(&sim, "");
    assert!(moves(&plan, &subject("shop", "cart")), "{:?}", plan.held);
    let journal = migrate(&sim, &plan);
    assert_eq!((statements(&trust(&sim, "cart")).len(), ours(&trust(&sim, "cart"))), (2, 1));
    roll_back(&sim, &journal, &plan);
    assert_eq!(trust(&sim, "cart"), list);
}

/// An add-on and a ServiceAccount of somebody else with one role.
fn shared_with_addon() -> Builder {
    Builder::new()
        .cluster("blue")
        .role("net", &[("kube-system", "aws-node"), ("shop", "cart")])
        .service_account_with("kube-system", "aws-node", |it| {
            it.role_arn = Some(role("net").to_string());
            it.owners = vec!["EKS add-on vpc-cni".into()];
        })
        .workload(WorkloadKind::DaemonSet, "kube-system", "aws-node", "aws-node", 3)
        .addon("vpc-cni", "v1.20.4-eksbuild.1", Some("net"))
        .service_account_with("shop", "cart", |it| {
            it.role_arn = Some(role("net").to_string());
            it.owners = vec!["Helm release cart".into()];
        })
        .deployment("shop", "cart", "cart", 2)
}

fn addon(name: &str) -> Target {
    Target::Addon { cluster: blue(), name: name.into() }
}

/// B5. A ServiceAccount that shares its role with an add-on is skipped, while the role's OIDC trust is
/// taken away for the add-on's sake: it is left with neither.
#[test]
fn b05_who_shares_a_role_with_an_addon_moves_and_the_addon_keeps_its_trust() {
    let sim = shared_with_addon().sim();
    let plan = plan_of(&sim, "");
    assert!(moves(&plan, &subject("shop", "cart")), "{:?}", plan.held);
    assert_eq!(held(&plan, &addon("vpc-cni")), [Code::Addon]);
    assert!(held_subject(&plan, &subject("kube-system", "aws-node")).contains(&Code::Addon));
    let before = sim.world().state();
    let journal = migrate(&sim, &plan);
    let node = subject("kube-system", "aws-node");
    assert!(sim.world().irsa_ok(&node, role("net").as_str(), "sts.amazonaws.com"), "the add-on's IRSA still works");
    assert!(sim.world().pi_ok(&subject("shop", "cart")));
    roll_back(&sim, &journal, &plan);
    assert_eq!(before.differences(&sim.world().state()), NONE);
}

/// B6. Add-ons are kept in a map by role, so that of two with one role the first is forgotten, and
/// loses its trust.
#[test]
fn b06_two_addons_of_one_role_are_both_listed_and_neither_is_touched() {
    let sim = shared_with_addon().addon("aws-ebs-csi-driver", "v1.50.1-eksbuild.1", Some("net")).sim();
    let plan = plan_of(&sim, "");
    for name in ["vpc-cni", "aws-ebs-csi-driver"] {
        assert_eq!(held(&plan, &addon(name)), [Code::Addon], "{name}");
    }
    let before = statements(&trust(&sim, "net"));
    migrate(&sim, &plan);
    let after = statements(&trust(&sim, "net"));
    assert!(before.iter().all(|it| after.contains(it)), "the add-ons' trust stays");
    assert!(writes(&sim).iter().all(|it| !it.contains("addon")));
}

/// B7. An add-on's trust is removed before the add-on is updated; where the update is refused, vpc-cni
/// is left without credentials.
#[test]
fn b07_an_addon_stays_on_irsa_and_is_said_to() {
    let sim = shared_with_addon().service_account("shop", "cart", None).sim();
    let plan = plan_of(&sim, "");
    assert!(plan.units.is_empty(), "{:?}", plan.units);
    assert_eq!(held(&plan, &addon("vpc-cni")), [Code::Addon]);
    assert!(plan.not_promised.iter().any(|it| it.contains("add-ons")));
    let asks = |what: &str| {
        calls(Stage::Apply).flat_map(|it| it.needs).any(|it| matches!(it, Need::Aws(action, _) if *action == what))
    };
    assert!(asks("eks:DescribeAddon") && !asks("eks:UpdateAddon"), "there is no call that could change one");
}

/// B8. Trust and annotation are removed before the association is made: pods that start in between
/// get nothing, and fall back to the node's role.
#[test]
fn b08_nothing_is_taken_away_and_every_pod_that_starts_gets_its_role() {
    let sim = shop().sim();
    let plan = plan_of(&sim, "");
    let before = sim.world().service_account_now(&subject("shop", "cart")).cloned();
    // The promises look at whoever would be admitted at each moment.
    let journal = migrate(&sim, &plan);
    assert_eq!(writes(&sim), ["set_trust", "create_association", "stamp"]);
    assert_eq!(sim.world().service_account_now(&subject("shop", "cart")).cloned(), before);
    assert!(sim.world().irsa_ok(&subject("shop", "cart"), role("cart").as_str(), "sts.amazonaws.com"));
    roll_back(&sim, &journal, &plan);
    let undone = writes(&sim).split_off(3);
    let at = |what| undone.iter().position(|it| *it == what).unwrap();
    assert!(at("delete_association") < at("stamp") && at("stamp") < at("set_trust"), "{undone:?}");
}

/// B9. A ServiceAccount is replaced by one that holds its metadata alone: pull secrets and
/// `automountServiceAccountToken` are lost.
#[test]
fn b09_no_service_account_is_ever_written() {
    let writes = |need: &Need| match *need {
        Need::Everywhere(_, resource, verb) | Need::System(_, resource, verb) => {
            resource == "serviceaccounts" && !["get", "list", "watch"].contains(&verb)
        }
        Need::Aws(..) | Need::OurLease(_) | Need::NewLease | Need::DryRunPod | Need::Path(_) => false,
    };
    let reads = |need: &&Need| matches!(need, Need::Everywhere("", "serviceaccounts", _));
    for stage in Stage::ALL {
        let needs: Vec<Need> = calls(stage).flat_map(|it| it.needs.iter().copied()).collect();
        assert!(needs.iter().any(|it| reads(&it)), "the table was not read");
        assert!(!needs.iter().any(writes), "{stage:?}");
    }
}

/// B10. A role with an IAM path ends the whole command; nothing is planned for anybody.
#[test]
fn b10_a_role_with_a_path_moves_like_any_other() {
    let sim = shop()
        .role("team/platform/stock", &[("shop", "stock")])
        .service_account("shop", "stock", Some("team/platform/stock"))
        .deployment("shop", "stock", "stock", 1)
        .sim();
    let plan = plan_of(&sim, "");
    assert!(moves(&plan, &subject("shop", "stock")) && moves(&plan, &subject("shop", "cart")), "{:?}", plan.held);
    migrate(&sim, &plan);
    assert!(sim.world().pi_ok(&subject("shop", "stock")));
}

/// B11. The account in the annotation is ignored: a role of the same name in the cluster's own account
/// gets its trust edited.
#[test]
fn b11_a_role_of_another_account_is_held_and_its_namesake_is_left_alone() {
    let foreign = "arn:aws:iam::444455556666:role/cart";
    let sim = shop()
        .service_account("shop", "cart", Some(foreign))
        .service_account("shop", "stock", Some("stock"))
        .role("stock", &[("shop", "stock")])
        .sim();
    let before = trust(&sim, "cart");
    let plan = plan_of(&sim, "");
    assert!(held_subject(&plan, &subject("shop", "cart")).contains(&Code::RoleInOtherAccount), "{:?}", plan.held);
    migrate(&sim, &plan);
    assert_eq!(trust(&sim, "cart"), before);
    let edited =
        |it: &irsa_migrate::sim::Record| matches!(&it.call, Call::SetTrust { role: it, .. } if *it == role("cart"));
    assert!(!sim.world().history().calls().any(edited));
}

/// B14. The policy is decoded and written anew: one statement that is no list fails, `Id` is lost,
/// `Version` is changed, `NotAction` is broken.
#[test]
fn b14_everything_else_in_a_policy_stays_as_it_is_written() {
    let world = shop();
    let whole = world.trust_of("cart");
    let one = whole.replace("\"Statement\": [\n", "\"Statement\":\n").replace("\n  ]\n}\n", "\n}\n");
    let odd = whole
        .replace(
            "\"Version\": \"2012-10-17\",",
            "\"Id\": \"kept, and: not  formatted\",\n  \"Version\": \"2008-10-17\",",
        )
        .replace(
            "\n  ]\n}\n",
            ",\n    {\"Effect\":\"Deny\",\"Principal\":\"*\",\"NotAction\":[\"sts:*\"],\"Sid\":\"odd\"}\n  ]\n}\n",
        );
    for before in [one, odd] {
        let sim = world.clone().role_with("cart", &before).sim();
        let plan = plan_of(&sim, "");
        assert!(moves(&plan, &subject("shop", "cart")), "{:#?}", plan.held);
        let journal = migrate(&sim, &plan);
        let after = trust(&sim, "cart");
        for part in ["\"Id\": \"kept, and: not  formatted\"", "\"2008-10-17\"", "\"NotAction\":[\"sts:*\"]"] {
            assert_eq!(before.contains(part), after.contains(part), "{part}");
        }
        assert!(statements(&before).iter().all(|it| statements(&after).contains(it)));
        roll_back(&sim, &journal, &plan);
        assert_eq!(trust(&sim, "cart"), before, "byte for byte");
    }
}

/// B15. Subjects in a list, a statement without conditions, or StringLike end the command or are
/// passed over; only the first subject is used.
#[test]
fn b15_every_subject_of_every_statement_is_read() {
    let world = Builder::new().cluster("blue").role("shared", &[("shop", "cart"), ("shop", "stock")]);
    let both = world.trust_of("shared");
    let like =
        world.clone().role("like", &[("price", "price-*")]).trust_of("like").replace("StringEquals", "StringLike");
    let statement = |text: &str| text[text.find("    {").unwrap()..text.rfind("\n  ]").unwrap()].to_owned();
    let open =
        r#"    {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}"#;
    let all = format!(
        "{{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n{open},\n{},\n{}\n  ]\n}}\n",
        statement(&both),
        statement(&like)
    );
    let mut world = world.role_with("shared", &all);
    for (namespace, name) in [("shop", "cart"), ("shop", "stock"), ("price", "price-list")] {
        world = world.service_account(namespace, name, Some("shared")).deployment(namespace, name, name, 1);
    }
    let sim = world.sim();
    let plan = plan_of(&sim, "");
    for (namespace, name) in [("shop", "cart"), ("shop", "stock"), ("price", "price-list")] {
        assert!(moves(&plan, &subject(namespace, name)), "{name}: {:#?}", plan.held);
    }
    migrate(&sim, &plan);
    assert!(sim.world().pi_ok(&subject("price", "price-list")));
    let stranger = subject("price", "cart");
    assert!(!sim.world().could(&stranger, &role("shared")));
}

/// B16. An association that is there already counts as success, whatever role it gives.
#[test]
fn b16_an_association_with_another_role_holds_and_one_that_appears_later_refuses() {
    let other = |it: Builder| it.role_with("other", OPEN);
    let sim = other(shop()).association("shop", "cart", "other").sim();
    let plan = plan_of(&sim, "");
    assert!(held_subject(&plan, &subject("shop", "cart")).contains(&Code::AssociationOtherRole), "{:?}", plan.held);

    let sim = other(shop()).sim();
    let plan = plan_of(&sim, "");
    sim.world().edit_association(&subject("shop", "cart"), Some(&role("other"))).unwrap();
    let journal = sim.journal();
    let ending = carry_out(&sim, &journal, &plan).unwrap();
    assert_eq!((ending.done, ending.refused), (1, 1), "{ending:?}");
    assert!(!writes(&sim).contains(&"create_association"));
    let status = crate::cycle::status(&sim, &journal, &plan);
    let why = status.detail(&UnitId::of_subject(&subject("shop", "cart")).0).unwrap_or_default().to_owned();
    assert!(why.contains("ASSOCIATION"), "{why}");
}

const OPEN: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}"#;

/// B17. The agent is looked for as an add-on only, and Auto Mode counts as an agent everywhere: one
/// from Helm is installed over, and managed nodes of an Auto Mode cluster get none.
#[test]
fn b17_the_agent_is_looked_for_on_the_nodes_and_never_installed() {
    // From Helm: no add-on, and a pod on each node.
    let mut helm = shop().without_agent();
    for address in ["10-0-1-23", "10-0-2-117", "10-0-3-81"] {
        helm = helm.node(address, Compute::Ec2, AgentOnNode::Ready);
    }
    let sim = helm.sim();
    let plan = plan_of(&sim, "");
    assert!(moves(&plan, &subject("shop", "cart")), "{:?}", plan.held);
    migrate(&sim, &plan);
    assert_eq!(writes(&sim), ["set_trust", "create_association", "stamp"], "nothing is installed");

    // Auto Mode, with pods on managed nodes that have no agent.
    let auto = shop().without_agent().node("10-0-7-7", Compute::Auto, AgentOnNode::BuiltIn);
    let plan = plan_of(&auto.sim(), "");
    assert!(held_subject(&plan, &subject("shop", "cart")).contains(&Code::AgentAbsent), "{:?}", plan.held);
}

/// B18. The provider is looked for under one name in the cluster's account alone: elsewhere there is
/// "nothing to migrate", and the command succeeds.
#[test]
fn b18_a_provider_that_is_not_there_is_a_reason_and_not_nothing_to_do() {
    // Registered under the dual-stack name.
    let sim = shop().sim();
    let issuer = sim.run(sim.cluster(&blue())).unwrap().unwrap().issuer.unwrap();
    let dual = issuer.as_str().replace("oidc.eks.eu-west-1.amazonaws.com", "oidc-eks.eu-west-1.api.aws");
    let account = AccountId::parse("111122223333").unwrap();
    let registered = irsa_migrate::model::Issuer::parse(&dual).unwrap();
    sim.world().edit_provider(&account, &issuer, None);
    sim.world().edit_provider(&account, &registered, Some(&["sts.amazonaws.com"]));
    let text = trust(&sim, "cart").replace(issuer.as_str(), &dual);
    sim.world().edit_trust(&role("cart"), Some(&text)).unwrap();
    let plan = plan_of(&sim, "");
    assert!(held_subject(&plan, &subject("shop", "cart")).contains(&Code::ProviderAbsent), "{:?}", plan.held);

    // In the role's own account, which is another one.
    let sim = shop().service_account("shop", "cart", Some("arn:aws:iam::444455556666:role/cart")).sim();
    let plan = plan_of(&sim, "");
    assert!(held_subject(&plan, &subject("shop", "cart")).contains(&Code::RoleInOtherAccount), "{:?}", plan.held);
    assert_eq!(plan.units, []);
}

/// B20. Associations are listed by a single call, and what is on later pages is not shown.
#[tokio::test]
async fn b20_associations_of_all_pages_are_seen() {
    let mut world = Builder::new().begins(crate::wire::wall_clock()).cluster("blue").role_with("open", OPEN);
    for number in 0..230 {
        world = world.association("many", &format!("sa-{number:03}"), "open");
    }
    let wire = Wire::start(world.world()).await.unwrap();
    wire.key_of("AKIDEXAMPLE", AccountId::parse("111122223333").unwrap());
    let at = irsa_migrate::live::ClusterAt { cluster: irsa_migrate::live::ClusterName::Arn(blue()), context: None };
    let config = irsa_migrate::live::LiveConfig { clusters: vec![at], ..irsa_migrate::live::LiveConfig::default() };
    let live = irsa_migrate::live::Live::with_sdk(crate::recorded::sdk(&wire.url()).await, &config).await.unwrap();
    assert_eq!(live.associations(&blue()).await.unwrap().len(), 230);
    assert_eq!(wire.counts()["ListPodIdentityAssociations"], 3);
}
