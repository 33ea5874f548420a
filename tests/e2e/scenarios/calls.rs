//! The calls that pass a relay, by name.

use crate::harness::Asked;

/// Whom a call is for, which says how its errors are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// IAM and STS: query and XML.
    Query,
    /// EKS: REST and JSON.
    Eks,
    /// The API server of the cluster.
    Kubernetes,
}

/// What a call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Read,
    Write,
    /// On the lease: its renewals come by the clock, so that no two runs have the same number of them.
    Lease,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) server: Server,
    pub(super) kind: Kind,
    /// `GetRole`, `POST pod-identity-associations`, `PATCH deployments`.
    pub(super) name: String,
}

impl Call {
    /// Of a call to AWS.
    pub(super) fn of_aws(asked: &Asked) -> Call {
        let form = String::from_utf8_lossy(&asked.body);
        let action = form.split('&').find_map(|it| it.strip_prefix("Action="));
        if let Some(action) = action.filter(|_| asked.uri.path() == "/") {
            let kind = if action.starts_with("Update") { Kind::Write } else { Kind::Read };
            return Call { server: Server::Query, kind, name: action.to_owned() };
        }
        let parts: Vec<&str> = asked.uri.path().split('/').filter(|it| !it.is_empty()).collect();
        let resource = parts.get(2).or(parts.first()).copied().unwrap_or_default();
        let kind = if asked.method == "GET" { Kind::Read } else { Kind::Write };
        Call { server: Server::Eks, kind, name: format!("{} {resource}", asked.method) }
    }

    /// Of a call to an API server.
    pub(super) fn of_kubernetes(asked: &Asked) -> Call {
        let parts: Vec<&str> = asked.uri.path().split('/').filter(|it| !it.is_empty()).collect();
        // `api/v1/...` or `apis/GROUP/VERSION/...`, with or without `namespaces/NAME`.
        let rest = match parts.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            whole => whole,
        };
        let rest = match rest {
            ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
            whole => whole,
        };
        let resource = match rest {
            [resource, _, sub] => format!("{resource}/{sub}"),
            [resource, ..] => (*resource).to_owned(),
            [] => "/".to_owned(),
        };
        let dry_run = asked.uri.query().is_some_and(|it| it.contains("dryRun=All"));
        let kind = if resource == "leases" && asked.method != "GET" {
            Kind::Lease
        } else if asked.method == "GET" || dry_run {
            Kind::Read
        } else {
            Kind::Write
        };
        let dry = if dry_run { " as a dry run" } else { "" };
        Call { server: Server::Kubernetes, kind, name: format!("{} {resource}{dry}", asked.method) }
    }
}
