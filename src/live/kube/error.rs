//! What a Kubernetes call's failure means to us.

use std::error::Error;

use kube::client::AuthError;
use kube::core::Status;

use crate::live::text::one_line;
use crate::ports::PortError;

/// The failure of the call with these words, such as `list pods in shop`, to this endpoint.
pub(super) fn said(what: &str, endpoint: &str, error: &kube::Error) -> PortError {
    if let kube::Error::Api(status) = error {
        return refused(what, status);
    }
    if let kube::Error::SerdeError(it) = error {
        return PortError::Server(one_line(&format!("{what}: {endpoint} gave an answer that is none: {it}")));
    }
    unanswered(what, endpoint, error)
}

/// The API server's own refusal (`meta/v1 Status`). The HTTP code decides, for reasons are open-ended.
fn refused(what: &str, status: &Status) -> PortError {
    let message = if status.message.is_empty() { &status.reason } else { &status.message };
    let text = one_line(&format!("{what}: {message}"));
    match status.code {
        401 => PortError::Credentials(text),
        403 => PortError::Denied(text),
        404 => PortError::NotFound(text),
        409 | 410 => PortError::Conflict(text),
        429 => PortError::Throttled(text),
        500.. => PortError::Server(text),
        _ => PortError::Invalid(text),
    }
}

/// No answer. What went wrong may be deep inside: our own token, an exec plugin, the connection.
fn unanswered(what: &str, endpoint: &str, error: &kube::Error) -> PortError {
    let mut texts: Vec<String> = Vec::new();
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(it) = next {
        if let Some(ours) = it.downcast_ref::<PortError>() {
            return ours.clone();
        }
        if let Some(plugin) = it.downcast_ref::<AuthError>() {
            return PortError::Credentials(one_line(&format!("{what}: {}", told(plugin))));
        }
        let text = it.to_string();
        if !texts.iter().any(|earlier| earlier.contains(&text)) {
            texts.push(text);
        }
        next = it.source();
    }
    PortError::Unreachable(one_line(&format!("{what}: {endpoint}: {}", texts.join(": "))))
}

/// What an exec plugin said. Its standard output is where a token would be: it is not repeated.
fn told(error: &AuthError) -> String {
    if let AuthError::AuthExecRun { out, .. } = error {
        let said = String::from_utf8_lossy(&out.stderr);
        return format!("the kubeconfig's exec plugin ended with {}: {said}", out.status);
    }
    error.to_string()
}

/// Nothing is wrong with the connection, but with the configuration of it.
pub(super) fn unusable(what: &str, error: impl std::fmt::Display) -> PortError {
    PortError::Invalid(one_line(&format!("{what}: {error}")))
}
