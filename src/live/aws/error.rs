//! What an AWS call's failure means to us.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::live::text::one_line;
use crate::ports::PortError;

/// Remembers which host a client's requests go to: the SDK's own errors do not say whom they
/// could not reach.
#[derive(Debug, Clone, Default)]
pub(super) struct Host(Arc<Mutex<String>>);

impl Host {
    fn name(&self) -> String {
        let name = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if name.is_empty() { "the endpoint".to_owned() } else { name }
    }

    /// The failure of the call with this name, such as `iam:GetRole cart`.
    pub(super) fn said<E>(&self, call: &str, error: SdkError<E, HttpResponse>) -> PortError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let SdkError::ServiceError(it) = error else { return unanswered(call, &self.name(), &error) };
        let status = it.raw().status().as_u16();
        let (code, message) = (it.err().code(), it.err().message());
        answered(call, status, code.unwrap_or_default(), message.unwrap_or_default())
    }
}

#[dyn_dispatch_hint]
impl Intercept for Host {
    fn name(&self) -> &'static str {
        "Host"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(authority) =
            context.request().uri().parse::<http::Uri>().ok().and_then(|it| it.into_parts().authority)
        {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = authority.to_string();
        }
        Ok(())
    }
}

/// The service's own refusal. Codes are matched by name, for many of them (throttling above all)
/// are in no operation's model and reach us as unhandled errors.
fn answered(call: &str, status: u16, code: &str, message: &str) -> PortError {
    let text = one_line(&match (code, message) {
        ("", "") => format!("{call}: HTTP {status}"),
        ("", message) => format!("{call}: HTTP {status}: {message}"),
        (code, "") => format!("{call}: {code}"),
        (code, message) => format!("{call}: {code}: {message}"),
    });
    // EKS writes `AccessDeniedException` where IAM writes `AccessDenied`.
    let name = code.strip_suffix("Exception").unwrap_or(code);
    match name {
        "AccessDenied" | "Unauthorized" | "UnauthorizedOperation" | "NotAuthorized" => PortError::Denied(text),
        "ExpiredToken"
        | "InvalidClientTokenId"
        | "UnrecognizedClient"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "SignatureDoesNotMatch"
        | "InvalidSignature"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "AuthFailure"
        | "TokenRefreshRequired" => PortError::Credentials(text),
        "Throttling"
        | "Throttled"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "SlowDown"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete" => PortError::Throttled(text),
        "NoSuchEntity" | "ResourceNotFound" | "NotFound" => PortError::NotFound(text),
        "ResourceInUse" | "EntityAlreadyExists" | "EntityTemporarilyUnmodifiable" | "ConcurrentModification" => {
            PortError::Conflict(text)
        }
        "ServiceFailure" | "Server" | "ServiceUnavailable" | "InternalFailure" | "InternalServerError" => {
            PortError::Server(text)
        }
        _ => match status {
            429 => PortError::Throttled(text),
            403 => PortError::Denied(text),
            401 => PortError::Credentials(text),
            404 => PortError::NotFound(text),
            500.. => PortError::Server(text),
            _ => PortError::Invalid(text),
        },
    }
}

/// No answer, or none that can be read.
fn unanswered<E: Error + 'static>(call: &str, host: &str, error: &SdkError<E, HttpResponse>) -> PortError {
    let chain = causes(error);
    if chain.iter().any(|it| it.downcast_ref::<CredentialsError>().is_some()) {
        return PortError::Credentials(one_line(&format!("{call}: {}", told(&chain))));
    }
    if matches!(error, SdkError::ConstructionFailure(_)) {
        return PortError::Invalid(one_line(&format!("{call}: {}", told(&chain))));
    }
    let late = matches!(error, SdkError::TimeoutError(_));
    let why = if late { "it gave no answer in time".to_owned() } else { told(&chain) };
    PortError::Unreachable(one_line(&format!("{call}: {host}: {why}")))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut chain = vec![error];
    let mut next = error.source();
    while let Some(cause) = next {
        chain.push(cause);
        next = cause.source();
    }
    chain
}

/// The texts of the causes, the SDK's outermost (`dispatch failure`) left out where there is more
/// to tell, and none told twice.
fn told(chain: &[&(dyn Error + 'static)]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for it in chain.iter().skip(usize::from(chain.len() > 1)) {
        let text = it.to_string();
        if !texts.iter().any(|earlier| earlier.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

/// Failing to get credentials, outside of a call.
pub(super) fn no_credentials(what: &str, error: &CredentialsError) -> PortError {
    let chain = causes(error);
    let texts: Vec<_> = chain.iter().map(ToString::to_string).collect();
    PortError::Credentials(one_line(&format!("{what}: {}", texts.join(": "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, code: &str) -> String {
        answered("iam:GetRole cart", status, code, "no").to_string()
    }

    #[test]
    fn codes_are_told_by_what_can_be_done() {
        for (status, code, expected) in [
            (403, "AccessDenied", "denied: iam:GetRole cart: AccessDenied: no"),
            (400, "AccessDeniedException", "denied: iam:GetRole cart: AccessDeniedException: no"),
            (403, "ExpiredToken", "credentials: iam:GetRole cart: ExpiredToken: no"),
            (400, "ExpiredTokenException", "credentials: iam:GetRole cart: ExpiredTokenException: no"),
            (403, "UnrecognizedClientException", "credentials: iam:GetRole cart: UnrecognizedClientException: no"),
            (403, "InvalidClientTokenId", "credentials: iam:GetRole cart: InvalidClientTokenId: no"),
            (400, "Throttling", "throttled: iam:GetRole cart: Throttling: no"),
            (400, "ThrottlingException", "throttled: iam:GetRole cart: ThrottlingException: no"),
            (429, "TooManyRequestsException", "throttled: iam:GetRole cart: TooManyRequestsException: no"),
            (429, "", "throttled: iam:GetRole cart: HTTP 429: no"),
            (404, "NoSuchEntity", "not found: iam:GetRole cart: NoSuchEntity: no"),
            (404, "ResourceNotFoundException", "not found: iam:GetRole cart: ResourceNotFoundException: no"),
            (409, "ResourceInUseException", "conflict: iam:GetRole cart: ResourceInUseException: no"),
            // Sending it again is no use: the trust policy is too long.
            (409, "LimitExceeded", "refused: iam:GetRole cart: LimitExceeded: no"),
            (400, "ResourceLimitExceededException", "refused: iam:GetRole cart: ResourceLimitExceededException: no"),
            (400, "UnmodifiableEntity", "refused: iam:GetRole cart: UnmodifiableEntity: no"),
            (400, "MalformedPolicyDocument", "refused: iam:GetRole cart: MalformedPolicyDocument: no"),
            (500, "ServiceFailure", "server error: iam:GetRole cart: ServiceFailure: no"),
            (500, "ServerException", "server error: iam:GetRole cart: ServerException: no"),
            (503, "", "server error: iam:GetRole cart: HTTP 503: no"),
        ] {
            assert_eq!(kind(status, code), expected);
        }
    }
}
