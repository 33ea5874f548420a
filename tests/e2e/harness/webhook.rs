//! What the EKS pod identity webhook does to a pod, as a pure function.
//!
//! EKS runs its own build beside each API server. The rules here are those of
//! its published source, `aws/amazon-eks-pod-identity-webhook`
//! (`pkg/handler/handler.go`, `pkg/cache/cache.go`):
//!
//! - an association comes first: with one, a pod gets Pod Identity only, even if
//!   its ServiceAccount is annotated with a role;
//! - containers and init containers are changed alike, ephemeral ones never;
//! - a variable that the pod sets itself is left alone, and so is its partner:
//!   variables are looked at in groups (role and token file; address and token
//!   file; the two regions), and one of a group that is there keeps out the rest;
//! - the volume is added even where every variable was there already;
//! - the value of the role annotation is injected as it is, valid or not.

use std::collections::BTreeMap;

use serde_json::{Value, json};

const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
const AUDIENCE: &str = "eks.amazonaws.com/audience";
const STS_REGIONAL_ENDPOINTS: &str = "eks.amazonaws.com/sts-regional-endpoints";
const TOKEN_EXPIRATION: &str = "eks.amazonaws.com/token-expiration";
const SKIP_CONTAINERS: &str = "eks.amazonaws.com/skip-containers";

/// A pod with a label of this key never reaches the webhook.
pub(crate) const SKIP_LABEL: &str = "eks.amazonaws.com/skip-pod-identity-webhook";
/// The webhook puts this label, with the value `enabled`, on Pod Identity pods.
pub(crate) const POD_IDENTITY_LABEL: &str = "eks.amazonaws.com/pod-identity";

/// The token's life in seconds where nobody asked for another one.
const DEFAULT_EXPIRATION: i64 = 86_400;
/// Kubernetes refuses shorter ones.
const MINIMAL_EXPIRATION: i64 = 600;
/// The default is spread over this many seconds below itself, so that not all
/// pods renew their tokens at once.
const JITTER: u32 = 7_200;

/// What one replica of the webhook knows of a namespace and ServiceAccount that
/// have an association. Its configuration names no role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AssociationView {
    /// Where the agent listens: `http://169.254.170.23/v1/credentials`, or
    /// another address in a cluster that speaks IPv6 only.
    pub(crate) full_uri: String,
}

impl Default for AssociationView {
    fn default() -> AssociationView {
        AssociationView { full_uri: "http://169.254.170.23/v1/credentials".to_owned() }
    }
}

/// What is injected into every container: one of the two ways.
struct Method<'a> {
    /// The two variables that go together.
    variables: [(&'static str, String); 2],
    volume: &'static str,
    mount_path: &'static str,
    token: &'static str,
    audience: &'a str,
}

impl Method<'_> {
    fn pod_identity(view: &AssociationView, windows: bool) -> Method<'static> {
        let mount_path = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount";
        let token = "eks-pod-identity-token";
        Method {
            variables: [
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", view.full_uri.clone()),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token_file(mount_path, token, windows)),
            ],
            volume: token,
            mount_path,
            token,
            audience: "pods.eks.amazonaws.com",
        }
    }

    fn irsa<'a>(role_arn: &str, audience: &'a str, windows: bool) -> Method<'a> {
        let mount_path = "/var/run/secrets/eks.amazonaws.com/serviceaccount";
        let token = "token";
        Method {
            variables: [
                ("AWS_ROLE_ARN", role_arn.to_owned()),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", token_file(mount_path, token, windows)),
            ],
            volume: "aws-iam-token",
            mount_path,
            token,
            audience,
        }
    }
}

fn token_file(mount_path: &str, token: &str, windows: bool) -> String {
    let path = format!("{mount_path}/{token}");
    if windows { format!("C:{}", path.replace('/', "\\")) } else { path }
}

/// The pod as the webhook would admit it.
///
/// `annotations` are those of its ServiceAccount, `None` where there is none;
/// `region` is the webhook's own setting; `seed` chooses the jitter of a token
/// that lives for the default time.
pub(crate) fn inject(
    pod: &Value,
    association: Option<&AssociationView>,
    annotations: Option<&BTreeMap<String, String>>,
    region: &str,
    seed: u32,
) -> Value {
    let mut pod = pod.clone();
    let annotation = |key: &str| annotations.and_then(|all| all.get(key)).map(String::as_str);
    let windows = ["beta.kubernetes.io/os", "kubernetes.io/os"]
        .iter()
        .any(|key| pod["spec"]["nodeSelector"][*key].as_str() == Some("windows"));
    let method = match (association, annotation(ROLE_ARN)) {
        (Some(view), _) => Method::pod_identity(view, windows),
        (None, Some(role)) if !role.is_empty() => {
            Method::irsa(role, annotation(AUDIENCE).unwrap_or("sts.amazonaws.com"), windows)
        }
        (None, _) => return pod,
    };
    // EKS asks for regional endpoints unless the ServiceAccount says otherwise;
    // for a ServiceAccount that the webhook has not seen it asks for nothing.
    let regional = annotations.is_some() && annotation(STS_REGIONAL_ENDPOINTS).and_then(boolean).unwrap_or(true);
    let expiration = expiration(&pod, annotation(TOKEN_EXPIRATION), seed);
    let skipped = skipped_containers(&pod);

    for list in ["containers", "initContainers"] {
        let containers = pod.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            if !skipped.iter().any(|name| Some(name.as_str()) == container["name"].as_str()) {
                change_container(container, &method, region, regional);
            }
        }
    }
    add_volume(&mut pod, &method, expiration);
    if association.is_some() {
        pod["metadata"]["labels"][POD_IDENTITY_LABEL] = json!("enabled");
    }
    pod
}

/// The JSON patch from `before` to `after`: whole lists, as the webhook sends them.
pub(crate) fn patch(before: &Value, after: &Value) -> Value {
    let paths = ["/metadata/labels", "/spec/volumes", "/spec/containers", "/spec/initContainers"];
    let changed = paths.into_iter().filter(|path| before.pointer(path) != after.pointer(path));
    changed.map(|path| json!({"op": "add", "path": path, "value": after.pointer(path)})).collect()
}

fn change_container(container: &mut Value, method: &Method<'_>, region: &str, regional: bool) {
    let set = |container: &Value, names: &[&str]| {
        let variables = container["env"].as_array().into_iter().flatten();
        variables.filter_map(|variable| variable["name"].as_str()).any(|name| names.contains(&name))
    };
    let mut added = Vec::new();
    if regional && !set(container, &["AWS_STS_REGIONAL_ENDPOINTS"]) {
        added.push(("AWS_STS_REGIONAL_ENDPOINTS", "regional".to_owned()));
    }
    if !region.is_empty() && !set(container, &["AWS_REGION", "AWS_DEFAULT_REGION"]) {
        added.push(("AWS_DEFAULT_REGION", region.to_owned()));
        added.push(("AWS_REGION", region.to_owned()));
    }
    if !set(container, &method.variables.each_ref().map(|(name, _)| *name)) {
        added.extend(method.variables.iter().cloned());
    }
    for (name, value) in added {
        push(container, "env", json!({"name": name, "value": value}));
    }
    let mounts = container["volumeMounts"].as_array().into_iter().flatten();
    if !mounts.into_iter().any(|mount| mount["name"].as_str() == Some(method.volume)) {
        let mount = json!({"name": method.volume, "readOnly": true, "mountPath": method.mount_path});
        push(container, "volumeMounts", mount);
    }
}

fn add_volume(pod: &mut Value, method: &Method<'_>, expiration: i64) {
    let mut volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    if volumes.any(|volume| volume["name"].as_str() == Some(method.volume)) {
        return;
    }
    let token = json!({"audience": method.audience, "expirationSeconds": expiration, "path": method.token});
    let volume = json!({"name": method.volume, "projected": {"sources": [{"serviceAccountToken": token}]}});
    match pod["spec"]["volumes"].as_array_mut() {
        Some(volumes) => volumes.insert(0, volume),
        None => pod["spec"]["volumes"] = json!([volume]),
    }
}

fn push(object: &mut Value, list: &str, item: Value) {
    match object[list].as_array_mut() {
        Some(items) => items.push(item),
        None => object[list] = json!([item]),
    }
}

/// The pod's own annotation, else the ServiceAccount's, else the default; a value
/// that is no number counts as absent.
fn expiration(pod: &Value, of_service_account: Option<&str>, seed: u32) -> i64 {
    let of_pod = pod["metadata"]["annotations"][TOKEN_EXPIRATION].as_str();
    let asked = [of_pod, of_service_account].into_iter().flatten().find_map(|text| text.parse::<i64>().ok());
    match asked.map(|seconds| seconds.max(MINIMAL_EXPIRATION)).unwrap_or(DEFAULT_EXPIRATION) {
        DEFAULT_EXPIRATION => DEFAULT_EXPIRATION - i64::from(seed % (JITTER + 1)),
        other => other,
    }
}

/// One line of comma-separated values. Spaces belong to the values.
fn skipped_containers(pod: &Value) -> Vec<String> {
    let line = pod["metadata"]["annotations"][SKIP_CONTAINERS].as_str().unwrap_or_default();
    line.split(',').map(|name| name.trim_matches('"').to_owned()).collect()
}

/// The spellings that Go's `strconv.ParseBool` takes.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/app";

    fn annotated(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn pod(spec: Value) -> Value {
        json!({"metadata": {"name": "p"}, "spec": spec})
    }

    /// The names of a container's variables, in order.
    fn names(container: &Value) -> Vec<&str> {
        container["env"].as_array().into_iter().flatten().filter_map(|v| v["name"].as_str()).collect()
    }

    fn value<'a>(container: &'a Value, name: &str) -> Option<&'a str> {
        let mut variables = container["env"].as_array()?.iter();
        variables.find(|v| v["name"] == name)?["value"].as_str()
    }

    const COMMON: [&str; 3] = ["AWS_STS_REGIONAL_ENDPOINTS", "AWS_DEFAULT_REGION", "AWS_REGION"];
    const IRSA: [&str; 2] = ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"];
    const POD_IDENTITY: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];

    #[test]
    fn a_role_annotation_gives_irsa() {
        let before = pod(json!({"containers": [{"name": "a"}], "initContainers": [{"name": "i"}]}));
        let after = inject(&before, None, Some(&annotated(&[(ROLE_ARN, ROLE)])), "eu-west-1", 0);

        for container in [&after["spec"]["containers"][0], &after["spec"]["initContainers"][0]] {
            assert_eq!(names(container), [&COMMON[..], &IRSA].concat());
            assert_eq!(value(container, "AWS_ROLE_ARN"), Some(ROLE));
            assert_eq!(
                value(container, "AWS_WEB_IDENTITY_TOKEN_FILE"),
                Some("/var/run/secrets/eks.amazonaws.com/serviceaccount/token")
            );
            assert_eq!(value(container, "AWS_REGION"), Some("eu-west-1"));
            assert_eq!(
                container["volumeMounts"],
                json!([{"name": "aws-iam-token", "readOnly": true,
                        "mountPath": "/var/run/secrets/eks.amazonaws.com/serviceaccount"}])
            );
        }
        assert_eq!(
            after["spec"]["volumes"],
            json!([{"name": "aws-iam-token", "projected": {"sources": [{"serviceAccountToken":
                {"audience": "sts.amazonaws.com", "expirationSeconds": 86400, "path": "token"}}]}}])
        );
        assert_eq!(after["metadata"], before["metadata"]);
    }

    #[test]
    fn an_association_wins_over_the_annotation() {
        let before = pod(json!({"containers": [{"name": "a"}]}));
        let annotations = annotated(&[(ROLE_ARN, ROLE), (AUDIENCE, "other")]);
        let after = inject(&before, Some(&AssociationView::default()), Some(&annotations), "eu-west-1", 7_200);

        let container = &after["spec"]["containers"][0];
        assert_eq!(names(container), [&COMMON[..], &POD_IDENTITY].concat());
        assert_eq!(value(container, POD_IDENTITY[0]), Some("http://169.254.170.23/v1/credentials"));
        assert_eq!(
            value(container, POD_IDENTITY[1]),
            Some("/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token")
        );
        assert_eq!(after["metadata"]["labels"], json!({"eks.amazonaws.com/pod-identity": "enabled"}));
        assert_eq!(
            after["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"],
            json!({"audience": "pods.eks.amazonaws.com", "expirationSeconds": 79_200, "path": "eks-pod-identity-token"})
        );
    }

    #[test]
    fn who_gets_what() {
        let view = AssociationView::default();
        let role = annotated(&[(ROLE_ARN, ROLE)]);
        let none = annotated(&[]);
        let null = annotated(&[(ROLE_ARN, "null")]);
        let empty = annotated(&[(ROLE_ARN, "")]);
        let global = annotated(&[(ROLE_ARN, ROLE), (STS_REGIONAL_ENDPOINTS, "false")]);
        let cases = [
            ("no annotation, no association", None, Some(&none), Vec::<&str>::new()),
            ("unknown ServiceAccount", None, None, vec![]),
            ("empty annotation", None, Some(&empty), vec![]),
            ("a word instead of a role", None, Some(&null), [&COMMON[..], &IRSA].concat()),
            ("annotation", None, Some(&role), [&COMMON[..], &IRSA].concat()),
            ("association alone", Some(&view), Some(&none), [&COMMON[..], &POD_IDENTITY].concat()),
            ("association, unknown ServiceAccount", Some(&view), None, [&COMMON[1..], &POD_IDENTITY].concat()),
            ("global endpoint asked for", None, Some(&global), [&COMMON[1..], &IRSA].concat()),
        ];
        for (case, association, annotations, expected) in cases {
            let after = inject(&pod(json!({"containers": [{"name": "a"}]})), association, annotations, "eu-west-1", 0);
            assert_eq!(names(&after["spec"]["containers"][0]), expected, "{case}");
        }
    }

    #[test]
    fn variables_of_the_pod_are_never_overwritten() {
        let view = AssociationView::default();
        let role = annotated(&[(ROLE_ARN, ROLE)]);
        let cases = [
            // One of a pair keeps the other out as well.
            (None, "AWS_ROLE_ARN", COMMON.to_vec()),
            (None, "AWS_WEB_IDENTITY_TOKEN_FILE", COMMON.to_vec()),
            (Some(&view), "AWS_CONTAINER_CREDENTIALS_FULL_URI", COMMON.to_vec()),
            (None, "AWS_REGION", [&COMMON[..1], &IRSA].concat()),
            (None, "AWS_DEFAULT_REGION", [&COMMON[..1], &IRSA].concat()),
            (None, "AWS_STS_REGIONAL_ENDPOINTS", [&COMMON[1..], &IRSA].concat()),
            // Set by hand for the other way: Pod Identity is added beside it.
            (Some(&view), "AWS_ROLE_ARN", [&COMMON[..], &POD_IDENTITY].concat()),
        ];
        for (association, own, added) in cases {
            let before = pod(json!({"containers": [{"name": "a", "env": [{"name": own, "value": "mine"}]}]}));
            let after = inject(&before, association, Some(&role), "eu-west-1", 0);
            let container = &after["spec"]["containers"][0];
            assert_eq!(names(container), [&[own], &added[..]].concat(), "{own}");
            assert_eq!(value(container, own), Some("mine"));
            assert_eq!(container["volumeMounts"].as_array().map(Vec::len), Some(1), "{own}: mounted all the same");
        }
    }

    #[test]
    fn annotations_change_the_token() {
        let cases = [
            (None, None, 0, 86_400),
            (None, None, 7_200, 79_200),
            (None, None, 7_201, 86_400),
            (Some("3600"), None, 5, 3_600),
            (Some("3600"), Some("7200"), 5, 7_200),
            (Some("3600"), Some("soon"), 5, 3_600),
            (Some("60"), None, 5, 600),
            (None, Some("60"), 5, 600),
        ];
        for (of_service_account, of_pod, seed, expected) in cases {
            let mut annotations = annotated(&[(ROLE_ARN, ROLE), (AUDIENCE, "mine")]);
            annotations.extend(of_service_account.map(|value| (TOKEN_EXPIRATION.to_owned(), value.to_owned())));
            let mut before = pod(json!({"containers": [{"name": "a"}]}));
            if let Some(value) = of_pod {
                before["metadata"]["annotations"] = json!({TOKEN_EXPIRATION: value});
            }
            let after = inject(&before, None, Some(&annotations), "", seed);
            let token = &after["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"];
            assert_eq!(token["expirationSeconds"], expected, "{of_service_account:?} {of_pod:?} {seed}");
            assert_eq!(token["audience"], "mine");
        }
    }

    #[test]
    fn skipped_containers_are_left_alone_in_both_ways() {
        let view = AssociationView::default();
        let role = annotated(&[(ROLE_ARN, ROLE)]);
        for association in [None, Some(&view)] {
            let mut before = pod(json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
                                        "initContainers": [{"name": "i"}],
                                        "ephemeralContainers": [{"name": "e"}]}));
            before["metadata"]["annotations"] = json!({SKIP_CONTAINERS: "a,i, c"});
            let after = inject(&before, association, Some(&role), "eu-west-1", 0);
            assert_eq!(after["spec"]["containers"][0], json!({"name": "a"}));
            assert_eq!(after["spec"]["initContainers"][0], json!({"name": "i"}));
            assert_eq!(after["spec"]["ephemeralContainers"], json!([{"name": "e"}]));
            assert_eq!(names(&after["spec"]["containers"][1]).len(), 5);
            assert_eq!(names(&after["spec"]["containers"][2]).len(), 5, "a space is part of the name");
        }
    }

    #[test]
    fn windows_paths_follow_the_node_selector() {
        let role = annotated(&[(ROLE_ARN, ROLE)]);
        let before = pod(json!({"containers": [{"name": "a"}], "nodeSelector": {"kubernetes.io/os": "windows"}}));
        let after = inject(&before, None, Some(&role), "eu-west-1", 0);
        assert_eq!(
            value(&after["spec"]["containers"][0], "AWS_WEB_IDENTITY_TOKEN_FILE"),
            Some(r"C:\var\run\secrets\eks.amazonaws.com\serviceaccount\token")
        );
    }

    #[test]
    fn a_second_pass_changes_nothing() {
        let view = AssociationView::default();
        let role = annotated(&[(ROLE_ARN, ROLE)]);
        for association in [None, Some(&view)] {
            let before = pod(json!({"containers": [{"name": "a"}], "volumes": [{"name": "own"}]}));
            let once = inject(&before, association, Some(&role), "eu-west-1", 0);
            let twice = inject(&once, association, Some(&role), "eu-west-1", 1);
            assert_eq!(once, twice);
            assert_eq!(patch(&once, &twice), json!([]));
        }
    }

    #[test]
    fn the_patch_names_only_what_changed() {
        let before = pod(json!({"containers": [{"name": "a"}], "volumes": [{"name": "own"}]}));
        let after = inject(&before, None, Some(&annotated(&[(ROLE_ARN, ROLE)])), "eu-west-1", 0);
        let operations = patch(&before, &after);
        let paths: Vec<_> = operations.as_array().into_iter().flatten().map(|o| o["path"].as_str()).collect();
        assert_eq!(paths, [Some("/spec/volumes"), Some("/spec/containers")]);
        assert_eq!(after["spec"]["volumes"][1], json!({"name": "own"}));
    }
}
