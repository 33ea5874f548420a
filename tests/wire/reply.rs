//! Answers in the shapes of the two protocols.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use irsa_migrate::ports::PortError;
use serde_json::{Value, json};

/// An answer that has no protocol yet.
pub(crate) enum Said {
    /// An XML document, for IAM and STS.
    Xml(String),
    /// A JSON document, for EKS.
    Json(Value),
    /// A refusal.
    Error {
        /// The HTTP status.
        status: u16,
        /// The code, as the simulated world has it.
        code: String,
        /// What is said to people.
        message: String,
    },
}

impl Said {
    /// A refusal. The text of the world's errors begins with their code.
    pub(crate) fn error(error: &PortError) -> Self {
        let (text, code, status) = match error {
            PortError::Denied(text) => (text, "AccessDenied", 403),
            PortError::Credentials(text) => (text, "ExpiredToken", 403),
            PortError::NotFound(text) => (text, "NoSuchEntity", 404),
            PortError::Conflict(text) => (text, "ResourceInUseException", 409),
            PortError::Throttled(text) | PortError::NotNow(text) => (text, "Throttling", 400),
            PortError::Invalid(text) => (text, "ValidationError", 400),
            PortError::Unreachable(text) | PortError::Server(text) => (text, "ServiceFailure", 500),
        };
        let word = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphabetic());
        let (code, message) = match text.split_once(": ") {
            Some((first, rest)) if word(first) => (first, rest),
            Some(_) | None => (code, text.as_str()),
        };
        Self::Error { status, code: code.to_owned(), message: message.to_owned() }
    }

    /// As IAM and STS say it (query protocol).
    pub(crate) fn xml(self) -> Response {
        let (status, body) = match self {
            Self::Xml(body) => (200, body),
            Self::Json(_) => (500, String::new()),
            Self::Error { status, code, message } => {
                // IAM says `Throttling` with 400, and `LimitExceeded` with 409.
                let code = if code == "ThrottlingException" { "Throttling" } else { &code };
                let status = if code == "LimitExceeded" { 409 } else { status };
                let (code, message) = (escaped(code), escaped(&message));
                let body = format!(
                    "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
                     <Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
                );
                (status, body)
            }
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [("content-type", "text/xml")], body).into_response()
    }

    /// As EKS says it (REST and JSON).
    pub(crate) fn json(self) -> Response {
        let (status, code, body) = match self {
            Self::Json(body) => (200, None, body),
            Self::Xml(_) => (500, None, Value::Null),
            Self::Error { status, code, message } => {
                let code = match code.as_str() {
                    "AccessDenied" => "AccessDeniedException",
                    "ExpiredToken" => "ExpiredTokenException",
                    "InvalidClientTokenId" => "UnrecognizedClientException",
                    "ServiceFailure" | "InternalError" => "ServerException",
                    "NoSuchEntity" => "ResourceNotFoundException",
                    "ValidationError" => "InvalidParameterException",
                    other => other,
                }
                .to_owned();
                let status = if code == "ThrottlingException" { 429 } else { status };
                (status, Some(code), json!({ "message": message }))
            }
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = ([("content-type", "application/json")], body.to_string());
        match code {
            Some(code) => (status, [("x-amzn-errortype", code)], body).into_response(),
            None => (status, body).into_response(),
        }
    }
}

/// Text inside XML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
