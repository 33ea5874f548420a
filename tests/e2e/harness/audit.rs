//! What was asked of the API servers, from their audit logs.

use std::path::Path;

use serde_json::{Value, json};

/// Requests of this group are written down, and no others.
pub(crate) const AUDITED: &str = "irsa-migrate";

/// One request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Audited {
    /// `get`, `list`, `create`, `patch`, ...
    pub(crate) verb: String,
    /// The resource, with its subresource: `pods/eviction`; or the path of what is no resource.
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// `dryRun=All`: nothing was stored.
    pub(crate) dry_run: bool,
    /// The HTTP status.
    pub(crate) status: u64,
}

impl Audited {
    /// Whether it may have changed something.
    pub(crate) fn is_write(&self) -> bool {
        !self.dry_run && !["get", "list", "watch"].contains(&self.verb.as_str())
    }
}

/// The audit policy of every API server. A request is written down before its answer is sent.
pub(super) fn policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{"level": "Metadata", "userGroups": [AUDITED]}, {"level": "None"}],
    })
}

/// The requests of `user` in the logs of a plane's folder; in order for each API server.
pub(super) fn read(folder: &Path, user: &str) -> Vec<Audited> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the plane's folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("audit-") || !name.ends_with(".log") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).expect("an audit log");
        // The last line may be half written, by a request of somebody else.
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        all.extend(events.filter(|it| it["user"]["username"] == user).map(|it| audited(&it)));
    }
    all
}

fn audited(event: &Value) -> Audited {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &event["objectRef"];
    let uri = text(&event["requestURI"]);
    let resource = match (object["resource"].as_str(), object["subresource"].as_str()) {
        (Some(resource), Some(sub)) => format!("{resource}/{sub}"),
        (Some(resource), None) => resource.to_owned(),
        (None, _) => uri.clone(),
    };
    Audited {
        verb: text(&event["verb"]),
        resource,
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        dry_run: uri.contains("dryRun=All"),
        status: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
    }
}
