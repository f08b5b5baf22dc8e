use http::StatusCode;
use std::fmt;

/// Why a peer's bytes are not an acceptable request. The connection closes after each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    BareLf,
    RequestLine,
    Version,
    Target,
    TargetTooLong,
    HeadTooLarge,
    TooManyFields,
    FieldName,
    FieldValue,
    Host,
    ContentLength,
    LengthAndCoding,
    TransferEncoding,
    UnknownCoding,
    BodyTooLarge,
    Chunk,
    ExtensionsTooLarge,
    Trailers,
    TrailersTooLarge,
}

impl Error {
    /// The status to answer with.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge | Self::TooManyFields | Self::TrailersTooLarge => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// What to tell the peer.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::BareLf => "a line ended in LF without CR",
            Self::RequestLine => "malformed request line",
            Self::Version => "this server speaks HTTP/1.0 and HTTP/1.1",
            Self::Target => "invalid request target",
            Self::TargetTooLong => "request target too long",
            Self::HeadTooLarge => "request head too large",
            Self::TooManyFields => "too many header fields",
            Self::FieldName => "malformed header field name",
            Self::FieldValue => "malformed header field value",
            Self::Host => "the Host field must be given once and be valid",
            Self::ContentLength => "invalid Content-Length",
            Self::LengthAndCoding => "Content-Length and Transfer-Encoding exclude each other",
            Self::TransferEncoding => "invalid Transfer-Encoding",
            Self::UnknownCoding => "the only transfer coding known here is chunked",
            Self::BodyTooLarge => "request body too large",
            Self::Chunk => "malformed chunk",
            Self::ExtensionsTooLarge => "chunk extensions too large",
            Self::Trailers => "malformed trailer section",
            Self::TrailersTooLarge => "trailer section too large",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Error {}
