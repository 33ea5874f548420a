//! Kubeconfig files, as JSON, which every reader of YAML takes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::pki::Authority;

/// Who a kubeconfig is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum User<'a> {
    /// May do everything (`system:masters`).
    Admin,
    /// A person with a client certificate and only what RBAC gives them.
    Named { user: &'a str, group: Option<&'a str> },
    /// No credentials inside: whoever reads it brings a token.
    Nobody,
}

/// A kubeconfig whose only context is named `context`.
pub(crate) fn kubeconfig(server: &str, authority: &Authority, context: &str, user: User<'_>) -> Value {
    let identified = match user {
        User::Admin => Some(authority.client("admin", Some("system:masters"))),
        User::Named { user, group } => Some(authority.client(user, group)),
        User::Nobody => None,
    };
    let user = identified.map_or(json!({}), |identified| {
        json!({
            "client-certificate-data": STANDARD.encode(identified.certificate),
            "client-key-data": STANDARD.encode(identified.key),
        })
    });
    let cluster = json!({
        "server": server,
        "certificate-authority-data": STANDARD.encode(authority.certificate()),
    });
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "current-context": context,
    })
}
