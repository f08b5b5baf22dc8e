/// What a peer may make the decoder hold or count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of a request line with its fields, and of a trailer section. Default 32 KiB, at most
    /// [`Limits::HEAD_MAX`].
    pub(crate) head: usize,
    /// Field lines of a head, and of a trailer section. Default 100, at most
    /// [`Limits::FIELDS_MAX`].
    pub(crate) fields: usize,
    /// Bytes of a request target. Default 8 KiB.
    pub(crate) target: usize,
    /// Bytes of a body, chunk framing not counted. Default 2 MiB.
    pub(crate) body: u64,
}

impl Limits {
    /// Offsets into a head are 16 bits wide.
    pub(crate) const HEAD_MAX: usize = u16::MAX as usize;
    /// Field lines are parsed into room on the stack.
    pub(crate) const FIELDS_MAX: usize = 256;

    /// Bytes that a head may really have, whatever was asked for.
    pub(super) fn head_bytes(&self) -> usize {
        self.head.min(Self::HEAD_MAX)
    }

    /// Field lines that a head may really have, whatever was asked for.
    pub(super) fn field_lines(&self) -> usize {
        self.fields.min(Self::FIELDS_MAX)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: 32 * 1024, fields: 100, target: 8 * 1024, body: 2 * 1024 * 1024 }
    }
}
