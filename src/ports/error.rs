//! Why a call gave no answer, told by what the caller can do about it.

/// What a port gives back.
pub type Answer<T> = Result<T, PortError>;

/// A call that gave no answer.
///
/// The text in each says which call it was and what the other side said; it is
/// one line, made for people, and never matched on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Not allowed. The run cannot go on until somebody grants it.
    #[error("denied: {0}")]
    Denied(String),
    /// The credentials ran out or do not count. The run pauses; new ones resume it.
    #[error("credentials: {0}")]
    Credentials(String),
    /// There is no such thing.
    #[error("not found: {0}")]
    NotFound(String),
    /// It is there already, or it is not as the call presumed: look again.
    #[error("conflict: {0}")]
    Conflict(String),
    /// Too many calls, also after the adapter's own retries. Nothing happened.
    #[error("throttled: {0}")]
    Throttled(String),
    /// Not now: a budget forbids the eviction. Nothing happened.
    #[error("not now: {0}")]
    NotNow(String),
    /// The other side could not be reached, or its answer was lost. A write may have taken effect.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The other side refused the request as it is; sending it again is no use.
    #[error("refused: {0}")]
    Invalid(String),
    /// The other side failed (HTTP 5xx). A write may have taken effect.
    #[error("server error: {0}")]
    Server(String),
}

impl PortError {
    /// Whether a write that ended so may nevertheless have taken effect.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Server(_) => true,
            Self::Denied(_)
            | Self::Credentials(_)
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::Throttled(_)
            | Self::NotNow(_)
            | Self::Invalid(_) => false,
        }
    }

    /// Whether the same call may be answered if it is sent again a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Throttled(_) | Self::NotNow(_) | Self::Unreachable(_) | Self::Server(_) => true,
            Self::Denied(_) | Self::Credentials(_) | Self::NotFound(_) | Self::Conflict(_) | Self::Invalid(_) => false,
        }
    }
}
